/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datastores that a host finds when it boots, and one that is mounted later: the VMs whose host it
 * is are registered once, started at the boot alone, and descriptions that have lost their place
 * go.
 */
// SOURCES: kernel/home/home.c kernel/home/home_former.c kernel/home/home_parts.c
// SOURCES: kernel/home/home_file.c kernel/home/home_work.c kernel/home/home_life.c
// SOURCES: kernel/home/home_edit.c kernel/home/home_boot.c kernel/home/home_settle.c
// SOURCES: kernel/home/desc.c kernel/home/desc_keys.c kernel/home/desc_devs.c
// SOURCES: kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c drivers/blkdev.c
// SOURCES: kernel/lib/crc32c.c kernel/store/ds_*.c test/unit/fake_disk.c
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
#include <tern/page.h>

#include "kernel/home/home_int.h"
#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"

#define DISK_BYTES (12u << 20)
#define VMS 4u

/* ---- what the sources take from elsewhere ---- */

static struct vm vm[VMS];
static unsigned starts, warnings;
static char why[256];

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	warnings += level <= LOG_WARN;
}

const char *config_get(const char *key)
{
	return NULL;
}

struct vm *vm_find(const char *name)
{
	for (unsigned i = 0; i < VMS; i++)
		if (vm[i].cfg.name[0] && !strcmp(vm[i].cfg.name, name))
			return &vm[i];
	return NULL;
}

void vm_put(struct vm *v)
{
}

int vm_check(const struct vm_config *cfg, char *text, size_t len)
{
	return 0;
}

int vm_create(const struct vm_config *cfg, struct vm **out, char *text, size_t len)
{
	unsigned i = 0;

	if (vm_find(cfg->name)) {
		snprintf(text, len, "there is one");
		return -EEXIST;
	}
	while (vm[i].cfg.name[0])
		i++;
	vm[i] = (struct vm){ .cfg = *cfg, .state = VM_OFF };
	*out = &vm[i];
	return 0;
}

int vm_delete(struct vm *v, char *text, size_t len)
{
	v->cfg.name[0] = '\0';
	return 0;
}

int vm_start(struct vm *v, char *text, size_t len)
{
	starts++;
	return 0;
}

const char *vm_state_name(enum vm_state s)
{
	return "off";
}

void vm_request_reset(struct vm *v)
{
	abort();
}

void vm_request_off(struct vm *v, const char *reason, bool error)
{
	abort();
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	*out = ptr_hpa(aligned_alloc(PAGE_SIZE, PAGE_SIZE << order));
	return 0;
}

void page_put(hpa_t block)
{
	free(hpa_ptr(block));
}

static int nothing(struct vm *v, char *text, size_t len)
{
	return 0;
}

static void none(struct vm *v)
{
}

/* ---- two datastores ---- */

static const char *const store[2] = { "old", "new" };
static const struct ds_host host = { .id = { 1 }, .name = "a" };
static struct fake_disk disk[2];
static struct datastore *ds[2];

static void idle(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (ds[i])
			ds_grow_run(ds[i]);
}

static void mount(unsigned i)
{
	assert_int_equal(ds_mount(&disk[i].dev, &host, DS_MOUNT_WRITE, &ds[i]), 0);
}

static void unmount(unsigned i)
{
	assert_int_equal(ds_unmount(ds[i]), 0);
	ds[i] = NULL;
}

static int setup(void **state)
{
	static const struct vm_platform base = { .acquire = nothing,
						 .release = none,
						 .destroy = none };

	fake_idle = idle;
	ds_host_set(&host);
	starts = warnings = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct ds_format_options o = { .table_blocks = 32,
					       .nr_slots = 4,
					       .beat_ms = 100,
					       .lease_ms = 400,
					       .io_timeout_ms = 200,
					       .host = host };

		fake_disk_init(&disk[i], DISK_BYTES, 512);
		strcpy(o.name, store[i]);
		assert_int_equal(ds_format(&disk[i].dev, &o), 0);
		mount(i);
	}
	(void)home_platform(&base);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < VMS; i++) {
		if (vm[i].cfg.name[0] && home_find(vm[i].cfg.name))
			home_forget(home_find(vm[i].cfg.name));
		vm[i].cfg.name[0] = '\0';
	}
	for (unsigned i = 0; i < 2; i++) {
		unmount(i);
		fake_disk_fini(&disk[i]);
	}
	return 0;
}

static bool there(unsigned i, const char *name)
{
	struct ds_entry e;

	return !ds_stat(ds[i], name, &e);
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
	assert_int_equal(starts, 1);
}

static void mounted_later(void **state)
{
	write(0, "mine", "a", "", "");
	write(1, "too", "a", "", "");
	write(1, "yours", "b", "", "");
	unmount(1);
	home_boot();
	assert_null(vm_find("too"));
	mount(1);
	home_mounted();
	assert_non_null(vm_find("too"));
	assert_null(vm_find("yours"));
	assert_int_equal(starts, 1); /* of what was there at the boot */
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
	unmount(0);
	home_boot();
	assert_non_null(vm_find("g"));
	mount(0);
	home_mounted();
	assert_false(there(0, "g/g.vm") || there(0, "g/vmlinuz"));
	assert_true(there(0, "g/notes") && there(1, "g/vmlinuz"));
	assert_string_equal(vm_find("g")->cfg.home, "new");
}

/* Or the new one: until then nobody could say which counts. */
static void the_new_one_is_back(void **state)
{
	write(0, "g", "a", "new", "");
	write(1, "g", "a", "", "old");
	write(0, "h", "a", "new", ""); /* which did not get so far */
	unmount(1);
	home_boot();
	assert_null(vm_find("g"));
	assert_null(vm_find("h"));
	mount(1);
	home_mounted();
	assert_string_equal(vm_find("g")->cfg.home, "new");
	assert_string_equal(vm_find("h")->cfg.home, "old");
	assert_false(there(0, "g/g.vm"));
	assert_int_equal(starts, 0);
}

/* A move of this host ends it itself. */
static void a_move_is_left_alone(void **state)
{
	write(0, "g", "a", "new", "");
	write(1, "g", "a", "", "old");
	home_add("g")->carried = true;
	home_mounted();
	assert_true(there(0, "g/g.vm"));
	assert_null(vm_find("g"));
	home_find("g")->carried = false;
	home_forget(home_find("g"));
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
	};

	return cmocka_run_group_tests_name("home_boot", tests, NULL, NULL);
}
