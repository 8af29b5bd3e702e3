/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM that moves with its home to another host, seen by a third one that has either datastore:
 * from before GO until the move is settled it registers the VM and does not start it, whichever
 * host dies; and the operator can say that it runs nowhere.
 */
// SOURCES: kernel/home/home.c kernel/home/home_former.c kernel/home/home_parts.c
// SOURCES: kernel/home/home_file.c kernel/home/home_work.c kernel/home/home_life.c
// SOURCES: kernel/home/home_edit.c kernel/home/home_sent.c kernel/home/home_come.c
// SOURCES: kernel/home/home_move.c kernel/home/home_settle.c kernel/home/home_snap.c
// SOURCES: kernel/home/desc*.c
// SOURCES: kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c drivers/blkdev.c
// SOURCES: kernel/lib/crc32c.c kernel/store/ds_*.c test/unit/fake_disk.c
// SOURCES: test/unit/fake_home.c
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
#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"
#include "test/unit/fake_home.h"

#define DISK_BYTES (12u << 20)
#define THERE "10.77.0.2"

static const struct home_mark there = { .host = THERE, .id = { 1, 2, 3 } };

/* ---- a datastore, with the VM g at home on it ---- */

static const struct ds_host host = { .id = { 1 }, .name = "a" };
static struct fake_disk disk;
static struct datastore *ds;
static char why[256];
static struct home_sent sent;
static char logged[256]; /* the last line */

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(logged, sizeof(logged), fmt, ap);
	va_end(ap);
}

static void idle(void)
{
	if (ds)
		ds_grow_run(ds);
}

static int some_bytes(void *user, uint64_t at, size_t n, void *buf)
{
	memset(buf, 'k', n);
	return 0;
}

static int setup(void **state)
{
	struct ds_format_options o = { .name = "ds",
				       .table_blocks = 32,
				       .nr_slots = 4,
				       .beat_ms = 100,
				       .lease_ms = 400,
				       .io_timeout_ms = 200,
				       .host = host };

	fake_idle = idle;
	ds_host_set(&host);
	fake_home_init();
	fake_disk_init(&disk, DISK_BYTES, 512);
	assert_int_equal(ds_format(&disk.dev, &o), 0);
	assert_int_equal(ds_mount(&disk.dev, &host, DS_MOUNT_WRITE, &ds), 0);
	sent = (struct home_sent){ .store = "ds",
				   .files = 1,
				   .file = { { .name = "g/vmlinuz", .size = 3000 } },
				   .text = "kernel = ./vmlinuz\n" };
	return 0;
}

static int teardown(void **state)
{
	if (home_find("g"))
		home_forget(home_find("g"));
	assert_int_equal(ds_unmount(ds), 0); /* nothing is held open */
	ds = NULL;
	fake_disk_fini(&disk);
	return 0;
}

static void make(void)
{
	struct vm_desc d;

	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "ds");
	assert_int_equal(vm_desc_set(&d, "kernel", "./vmlinuz", why, sizeof(why)), 0);
	assert_int_equal(home_create(&d, why, sizeof(why)), 0);
}

/* As of the host on which it runs. */
static struct home *runs(void)
{
	struct home *h = home_find("g");

	mutex_lock(&h->lock);
	assert_int_equal(home_hold_locked(h, why, sizeof(why)), 0);
	mutex_unlock(&h->lock);
	fake_vm.state = VM_RUNNING;
	return h;
}

/* The host is not there any more, and this is another one. */
static void dies(struct home *h)
{
	if (h->held)
		ds_close(h->held);
	h->held = NULL;
	h->carried = h->sent = false;
	home_forget(h);
	fake_vm.cfg.name[0] = '\0';
}

static void third_host_refuses(void)
{
	char name[VM_NAME_MAX];

	assert_int_equal(home_register("/ds/ds/g/g.vm", name, why, sizeof(why)), 0);
	assert_int_equal(home_start("g", why, sizeof(why)), -EAGAIN);
	assert_non_null(strstr(why, THERE));
	assert_non_null(strstr(why, "'migrate resolve g here'"));
	assert_true(strlen(why) < 160); /* what the console has room for */
	assert_int_equal(home_check_settled(&fake_vm, why, sizeof(why)),
			 -EAGAIN); /* nor moves it */
	assert_int_equal(home_snapshot("g", "s", why, sizeof(why)), -EAGAIN);
	assert_int_equal(home_revert("g", "s", why, sizeof(why)), -EAGAIN);
	assert_int_equal(home_merge("g", "s", why, sizeof(why)), -EAGAIN);
	assert_int_equal(fake_starts, 0);
}

static void starts_by_word(void)
{
	assert_int_equal(home_resolve("g", why, sizeof(why)), 0);
	assert_int_equal(home_start("g", why, sizeof(why)), 0);
	assert_int_equal(fake_starts, 1);
	assert_int_equal(home_resolve("g", why, sizeof(why)), -ENOENT);
}

/* ---- the source dies ---- */

static struct home *leaves(void)
{
	struct vm_config cfg;
	struct home *h;
	uint64_t file;

	make();
	h = runs();
	cfg = fake_vm.cfg;
	assert_int_equal(home_send(&fake_vm, &cfg, &sent, why, sizeof(why)), 0);
	assert_null(strstr(sent.text, "moving"));
	assert_int_equal(home_leaves(&fake_vm, &there, &file, why, sizeof(why)), 0);
	assert_int_equal(file, h->file);
	return h;
}

static void its_source_dies(void **state)
{
	dies(leaves());
	third_host_refuses();
	assert_int_equal(home_unregister("g", why, sizeof(why)), 0); /* which changes nothing */
	third_host_refuses();
	starts_by_word();
}

static void is_free(void)
{
	char name[VM_NAME_MAX];

	assert_int_equal(home_register("/ds/ds/g/g.vm", name, why, sizeof(why)), 0);
	assert_int_equal(home_start("g", why, sizeof(why)), 0);
}

/* It has learnt that the VM is its own; a disk in that place of the record is none of this. */
static void its_source_has_it(void **state)
{
	static const struct home_mark another = { .host = THERE, .id = { 3, 2, 1 } };

	dies(leaves());
	assert_int_equal(home_settled("/ds/ds/g/vmlinuz", &there, HOME_HERE), 0);
	third_host_refuses();
	fake_vm.cfg.name[0] = '\0';
	home_forget(home_find("g"));
	/* of an earlier move to that host, or one of another VM */
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &another, HOME_HERE), 0);
	third_host_refuses();
	fake_vm.cfg.name[0] = '\0';
	home_forget(home_find("g"));
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &there, HOME_HERE), 0);
	is_free();
}

/* A mark that says no id. */
static void its_source_had_a_former_format(void **state)
{
	static const struct home_mark former = { .host = THERE };
	static const struct home_mark elsewhere = { .host = "10.77.0.3", .id = { 3, 2, 1 } };
	uint64_t file;

	(void)leaves();
	assert_int_equal(home_leaves(&fake_vm, &former, &file, why, sizeof(why)), 0);
	dies(home_find("g"));
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &elsewhere, HOME_HERE), 0);
	third_host_refuses();
	fake_vm.cfg.name[0] = '\0';
	home_forget(home_find("g"));
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &there, HOME_HERE), 0);
	is_free();
}

/* As long as it cannot be said the record of the move stays. */
static void it_cannot_be_settled(void **state)
{
	dies(leaves());
	assert_int_equal(home_settled("/ds/none/g/g.vm", &there, HOME_HERE), -ENODEV);
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &there, HOME_NOT_COME), -EBUSY);
	assert_string_equal(logged, "g still says that it moves, see 'migrate resolve': its file "
				    "could not be removed");
	disk.fail_after = 0;
	disk.fail_with = -EIO;
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &there, HOME_HERE), -EIO);
	disk.fail_after = -1;
	third_host_refuses();
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &there, HOME_HERE), 0);
	assert_int_equal(home_settled("/ds/ds/h/h.vm", &there, HOME_HERE), 0); /* there is none */
}

/* The operator has said that it is the other's: what stays here does not start by itself. */
static void it_stays_as_nobodys(void **state)
{
	struct vm_desc d;
	uint64_t file;

	dies(leaves());
	assert_int_equal(home_settled("/ds/ds/g/g.vm", &there, HOME_NOBODYS), 0);
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "ds");
	assert_int_equal(home_load(&d, &file, why, sizeof(why)), 0);
	assert_string_equal(d.host, "");
	is_free();
}

/* One of its name that is not the one which has moved. */
static void another_of_its_name_is_registered(void **state)
{
	struct home *h;

	make();
	h = home_find("g");
	home_gone("g", "/ds/ds/g/g.vm", h->file + 1);
	assert_non_null(vm_find("g"));
	home_gone("g", "/ds/ds/g/g.vm", h->file);
	assert_null(vm_find("g"));
	assert_null(home_find("g"));
}

/* It has learnt that the VM is the other's. Another file of that name is not removed. */
static void its_source_has_lost_it(void **state)
{
	struct ds_file *f;
	uint32_t cursor = 0;
	struct ds_entry e;
	struct ds_lease l;

	dies(leaves());
	assert_int_equal(ds_open(ds, "g/g.vm", DS_OPEN_WRITE, &f), 0);
	ds_file_lease(f, &l);
	assert_false(home_remove_open("/ds/ds/g/g.vm", f, l.file + 1));
	assert_false(home_remove_open("/ds/ds/g/vmlinuz", f, l.file));
	assert_true(home_remove_open("/ds/ds/g/g.vm", f, l.file));
	assert_int_equal(ds_list(ds, &cursor, &e), 0);
	assert_string_equal(e.name, "g/vmlinuz");
	assert_int_equal(ds_list(ds, &cursor, &e), -ENOENT);
	strcpy(fake_vm.cfg.name, "g"); /* for the end */
	assert_non_null(home_add("g"));
}

/* It was taken for dead, and another host has had the VM since: it goes nowhere from here. */
static void another_host_had_it(void **state)
{
	struct home *h;
	struct vm_config cfg;
	uint64_t file;

	make();
	h = runs();
	cfg = fake_vm.cfg;
	assert_int_equal(home_send(&fake_vm, &cfg, &sent, why, sizeof(why)), 0);
	assert_int_equal(home_held(&fake_vm, why, sizeof(why)), 0);
	h->held->given = true; /* as a look at the lease finds it */
	assert_int_equal(home_held(&fake_vm, why, sizeof(why)), -ESTALE);
	assert_non_null(strstr(why, "another host"));
	assert_int_equal(home_leaves(&fake_vm, &there, &file, why, sizeof(why)), -ESTALE);
	home_stay(&fake_vm);
	fake_vm.state = VM_OFF;
	home_let_go(h);
	assert_int_equal(home_start("g", why, sizeof(why)), 0); /* nobody has it any more */
}

static void it_stays(void **state)
{
	struct home *h = leaves();

	home_stays(&fake_vm);
	home_stay(&fake_vm);
	assert_non_null(h->held); /* it runs */
	fake_vm.state = VM_OFF;
	home_let_go(h);
	assert_int_equal(home_start("g", why, sizeof(why)), 0);
}

/* ---- the destination ---- */

static int load(void)
{
	struct vm_desc d;
	uint64_t file;

	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "ds");
	return home_load(&d, &file, why, sizeof(why));
}

/* All of it is there, as when READY is said. */
static void comes(void)
{
	fake_vm = (struct vm){ .state = VM_INCOMING };
	strcpy(fake_vm.cfg.name, "g");
	strcpy(fake_vm.cfg.home, "ds");
	strcpy(fake_vm.cfg.kernel, "/ds/ds/g/vmlinuz");
	fake_vm.cfg.boot = VM_BOOT_LINUX;
	assert_int_equal(home_come(&fake_vm, &sent, &there, why, sizeof(why)), 0);
	assert_int_equal(load(), -ENOENT);
	assert_int_equal(home_come_finish(&fake_vm, why, sizeof(why)), 0);
	assert_int_equal(load(), -EAGAIN);
	assert_non_null(strstr(why, THERE));
}

static void it_has_come(void **state)
{
	static struct home_sent again;
	struct vm_config cfg;

	comes();
	home_here(&fake_vm);
	assert_int_equal(load(), -EAGAIN); /* it is noted, but may not have run */
	fake_vm.state = VM_RUNNING;
	cfg = fake_vm.cfg;
	again = sent;
	strcpy(again.store, "ds3");
	assert_int_equal(home_send(&fake_vm, &cfg, &again, why, sizeof(why)), 0); /* it moves on */
	assert_null(strstr(again.text, "moving"));
	home_stay(&fake_vm);
	home_claim(&fake_vm);
	assert_int_equal(load(), 0);
	fake_vm.state = VM_OFF;
	home_let_go(home_find("g"));
	assert_int_equal(home_start("g", why, sizeof(why)), 0);
}

static void it_does_not_come(void **state)
{
	comes();
	home_not_come(&fake_vm);
	assert_int_equal(load(), -ENOENT);
}

/* What a source says of it is not believed. */
static void it_says_so_itself(void **state)
{
	fake_vm = (struct vm){ .state = VM_INCOMING };
	strcpy(fake_vm.cfg.name, "g");
	strcpy(fake_vm.cfg.kernel, "/ds/ds/g/vmlinuz");
	assert_int_equal(home_sent_check(&fake_vm.cfg, &sent, why, sizeof(why)), 0);
	strcat(sent.text, "moving = x\n");
	assert_int_equal(home_sent_check(&fake_vm.cfg, &sent, why, sizeof(why)), -EINVAL);
}

static int with_kernel(void **state)
{
	const struct ds_source from = { .size = 3000, .read = some_bytes };

	return setup(state) || ds_import(ds, "g/vmlinuz", DS_KIND_PLAIN, &from);
}

#define source(f) cmocka_unit_test_setup_teardown(f, with_kernel, teardown)
#define destination(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		source(its_source_dies),
		source(its_source_has_it),
		source(its_source_has_lost_it),
		source(it_stays),
		source(another_host_had_it),
		source(it_cannot_be_settled),
		source(its_source_had_a_former_format),
		source(it_stays_as_nobodys),
		source(another_of_its_name_is_registered),
		destination(it_has_come),
		destination(it_does_not_come),
		destination(it_says_so_itself),
	};

	return cmocka_run_group_tests_name("home_settle", tests, NULL, NULL);
}
