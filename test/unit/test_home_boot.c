/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datastores that a host finds when it boots, and one that is mounted later: the VMs whose host it
 * is are registered once, started at the boot alone, and descriptions that have lost their place
 * go.
 */
// SOURCES: kernel/home/home.c kernel/home/home_former.c kernel/home/home_parts.c
// SOURCES: kernel/home/home_file.c kernel/home/home_work.c kernel/home/home_life.c
// SOURCES: kernel/home/home_edit.c kernel/home/home_boot.c kernel/home/home_settle.c
// SOURCES: kernel/home/desc*.c
// SOURCES: kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c drivers/blkdev.c
// SOURCES: kernel/lib/crc32c.c kernel/store/ds_*.c test/unit/fake_disk.c
// SOURCES: test/unit/fake_home.c test/unit/two_stores.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/log.h>

#include "kernel/home/home_int.h"
#include "test/unit/fake_home.h"
#include "test/unit/two_stores.h"

static unsigned warnings;
static char why[256];

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	warnings += level <= LOG_WARN;
}

static int setup(void **state)
{
	warnings = 0;
	(void)stores_begin(state);
	fake_home_init();
	return 0;
}

static int teardown(void **state)
{
	fake_home_end();
	return stores_end(state);
}

/* A description of VM name, as some host left it. */
static void write(unsigned i, const char *name, const char *of_host, const char *to,
		  const char *from)
{
	char path[64], fresh[HOME_NEW_NAME];
	struct vm_desc d;

	vm_desc_init(&d);
	strcpy(d.cfg.name, name);
	strcpy(d.cfg.home, store[i]);
	strcpy(d.host, of_host);
	strcpy(d.moves_to, to);
	strcpy(d.moved_from, from);
	d.autostart = 1;
	assert_int_equal(vm_desc_set(&d, "kernel", "./vmlinuz", why, sizeof(why)), 0);
	assert_int_equal(home_write_new(&d, why, sizeof(why)), 0);
	home_new_name(name, fresh);
	snprintf(path, sizeof(path), "%s/%s.vm", name, name);
	assert_int_equal(ds_replace(ds[i], fresh, path, NULL), 0);
}

static void make_file(unsigned i, const char *name)
{
	assert_int_equal(ds_create(ds[i], name, DS_KIND_PLAIN, 4096, 0), 0);
}

/* ---- what is registered ---- */

static void at_boot(void **state)
{
	write(0, "mine", "a", "", "");
	write(1, "yours", "b", "", "");
	home_boot();
	assert_non_null(vm_find("mine"));
	assert_null(vm_find("yours"));
	assert_int_equal(fake_starts, 1);
}

static void mounted_later(void **state)
{
	write(0, "mine", "a", "", "");
	write(1, "too", "a", "", "");
	write(1, "yours", "b", "", "");
	store_unmount(1);
	home_boot();
	assert_null(vm_find("too"));
	store_mount(1);
	home_mounted();
	assert_non_null(vm_find("too"));
	assert_null(vm_find("yours"));
	assert_int_equal(fake_starts, 1); /* of what was there at the boot */
	home_mounted();
	assert_int_equal(warnings, 0); /* each of them once */
}

/* A host that crashed behind the switch of a home, whose old datastore is back only now. */
static void the_old_one_is_back(void **state)
{
	write(0, "g", "a", "new", "");
	make_file(0, "g/vmlinuz");
	make_file(0, "g/notes");
	write(1, "g", "a", "", "old");
	make_file(1, "g/vmlinuz");
	store_unmount(0);
	home_boot();
	assert_non_null(vm_find("g"));
	store_mount(0);
	home_mounted();
	assert_true(store_has(0, "g/notes") && store_has(1, "g/vmlinuz"));
	assert_int_equal(store_count(0), 1);
	assert_string_equal(vm_find("g")->cfg.home, "new");
}

/* Or the new one: until then nobody could say which counts. */
static void the_new_one_is_back(void **state)
{
	write(0, "g", "a", "new", "");
	write(1, "g", "a", "", "old");
	write(0, "h", "a", "new", ""); /* which did not get so far */
	store_unmount(1);
	home_boot();
	assert_null(vm_find("g"));
	assert_null(vm_find("h"));
	store_mount(1);
	home_mounted();
	assert_string_equal(vm_find("g")->cfg.home, "new");
	assert_string_equal(vm_find("h")->cfg.home, "old");
	assert_false(store_has(0, "g/g.vm"));
	assert_int_equal(fake_starts, 0);
}

/* A move of this host ends it itself. */
static void a_move_is_left_alone(void **state)
{
	write(0, "g", "a", "new", "");
	write(1, "g", "a", "", "old");
	home_add("g")->carried = true;
	home_mounted();
	assert_true(store_has(0, "g/g.vm"));
	assert_null(vm_find("g"));
	home_find("g")->carried = false;
	home_forget(home_find("g"));
}

static int no_change(struct vm_desc *d, void *arg, char *why, size_t len)
{
	fail_msg("it was to be refused");
	return 0;
}

/* Who waits for a move is not told to stop the VM, which may be off. */
static void what_holds_a_change_up(void **state)
{
	char why[160] = "";
	struct vm *vm;

	write(0, "mine", "a", "", "");
	home_boot();
	vm = vm_find("mine");
	vm->mig = why;
	vm->doing = "having its disks moved";
	assert_int_equal(home_edit("mine", true, no_change, NULL, why, sizeof(why)), -EBUSY);
	assert_string_equal(why, "VM mine is having its disks moved: try again when that is over");
	vm->mig = NULL;
	vm->doing = NULL;
	vm->state = VM_RUNNING;
	assert_int_equal(home_edit("mine", true, no_change, NULL, why, sizeof(why)), -EBUSY);
	assert_non_null(strstr(why, "'vm stop mine'"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(at_boot),
		test(mounted_later),
		test(the_old_one_is_back),
		test(the_new_one_is_back),
		test(a_move_is_left_alone),
		test(what_holds_a_change_up),
	};

	return cmocka_run_group_tests_name("home_boot", tests, NULL, NULL);
}
