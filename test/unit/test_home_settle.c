/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM that moves with its home to another host, seen by a third one that has either datastore:
 * from before GO until the move is settled it registers the VM and does not start it, whichever
 * host dies; and the operator can say that it runs nowhere.
 */
// SOURCES: kernel/home/home.c kernel/home/home_former.c kernel/home/home_parts.c
// SOURCES: kernel/home/home_file.c kernel/home/home_work.c kernel/home/home_life.c
// SOURCES: kernel/home/home_edit.c kernel/home/home_sent.c kernel/home/home_come.c
// SOURCES: kernel/home/home_move.c kernel/home/home_settle.c kernel/home/desc.c
// SOURCES: kernel/home/desc_keys.c kernel/home/desc_devs.c kernel/lib/text.c kernel/lib/name.c
// SOURCES: kernel/vm/trouble.c drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
// SOURCES: test/unit/fake_disk.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>

#include "kernel/home/home_int.h"
#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"

#define DISK_BYTES (12u << 20)
#define THERE "10.77.0.2"

/* ---- what the sources take from elsewhere: one VM ---- */

static struct vm vm;
static unsigned starts;

const char *config_get(const char *key)
{
	return NULL;
}

struct vm *vm_find(const char *name)
{
	return vm.cfg.name[0] && !strcmp(name, vm.cfg.name) ? &vm : NULL;
}

void vm_get(struct vm *v)
{
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
	if (vm.cfg.name[0])
		return -EEXIST;
	vm = (struct vm){ .cfg = *cfg, .state = VM_OFF };
	*out = &vm;
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

/* ---- a datastore, with the VM g at home on it ---- */

static const struct ds_host host = { .id = { 1 }, .name = "a" };
static struct fake_disk disk;
static struct datastore *ds;
static char why[256];
static struct home_sent sent;

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
	static const struct vm_platform base = { .acquire = nothing,
						 .release = none,
						 .destroy = none };
	struct ds_format_options o = { .name = "ds",
				       .table_blocks = 32,
				       .nr_slots = 4,
				       .beat_ms = 100,
				       .lease_ms = 400,
				       .io_timeout_ms = 200,
				       .host = host };

	fake_idle = idle;
	ds_host_set(&host);
	starts = 0;
	vm = (struct vm){ .state = VM_OFF };
	fake_disk_init(&disk, DISK_BYTES, 512);
	assert_int_equal(ds_format(&disk.dev, &o), 0);
	assert_int_equal(ds_mount(&disk.dev, &host, DS_MOUNT_WRITE, &ds), 0);
	(void)home_platform(&base);
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
	vm.state = VM_RUNNING;
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
	vm.cfg.name[0] = '\0';
}

static void third_host_refuses(void)
{
	char name[VM_NAME_MAX];

	assert_int_equal(home_register("/ds/ds/g/g.vm", name, why, sizeof(why)), 0);
	assert_int_equal(home_start("g", why, sizeof(why)), -EAGAIN);
	assert_non_null(strstr(why, THERE));
	assert_non_null(strstr(why, "'migrate resolve g here'"));
	assert_true(strlen(why) < 160); /* what the console has room for */
	assert_int_equal(home_check_settled(&vm, why, sizeof(why)), -EAGAIN); /* nor moves it */
	assert_int_equal(starts, 0);
}

static void starts_by_word(void)
{
	assert_int_equal(home_resolve("g", why, sizeof(why)), 0);
	assert_int_equal(home_start("g", why, sizeof(why)), 0);
	assert_int_equal(starts, 1);
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
	cfg = vm.cfg;
	assert_int_equal(home_send(&vm, &cfg, &sent, why, sizeof(why)), 0);
	assert_null(strstr(sent.text, "moving"));
	assert_int_equal(home_leaves(&vm, THERE, &file, why, sizeof(why)), 0);
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
	struct home *h = leaves();
	uint64_t file = h->file;

	dies(h);
	home_settled("/ds/ds/g/vmlinuz", file, THERE);
	third_host_refuses();
	vm.cfg.name[0] = '\0';
	home_forget(home_find("g"));
	home_settled("/ds/ds/g/g.vm", file + 1, "another"); /* of an earlier move */
	third_host_refuses();
	vm.cfg.name[0] = '\0';
	home_forget(home_find("g"));
	home_settled("/ds/ds/g/g.vm", file, "another");
	is_free();
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
	strcpy(vm.cfg.name, "g"); /* for the end */
	assert_non_null(home_add("g"));
}

static void it_stays(void **state)
{
	struct home *h = leaves();

	home_stays(&vm);
	home_stay(&vm);
	assert_non_null(h->held); /* it runs */
	vm.state = VM_OFF;
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
	vm = (struct vm){ .state = VM_INCOMING };
	strcpy(vm.cfg.name, "g");
	strcpy(vm.cfg.home, "ds");
	strcpy(vm.cfg.kernel, "/ds/ds/g/vmlinuz");
	vm.cfg.boot = VM_BOOT_LINUX;
	assert_int_equal(home_come(&vm, &sent, THERE, why, sizeof(why)), 0);
	assert_int_equal(load(), -ENOENT);
	assert_int_equal(home_come_finish(&vm, why, sizeof(why)), 0);
	assert_int_equal(load(), -EAGAIN);
	assert_non_null(strstr(why, THERE));
}

static void it_has_come(void **state)
{
	static struct home_sent again;
	struct vm_config cfg;

	comes();
	home_here(&vm);
	assert_int_equal(load(), -EAGAIN); /* it is noted, but may not have run */
	vm.state = VM_RUNNING;
	cfg = vm.cfg;
	again = sent;
	strcpy(again.store, "ds3");
	assert_int_equal(home_send(&vm, &cfg, &again, why, sizeof(why)), 0); /* it moves on */
	assert_null(strstr(again.text, "moving"));
	home_stay(&vm);
	home_claim(&vm);
	assert_int_equal(load(), 0);
	vm.state = VM_OFF;
	home_let_go(home_find("g"));
	assert_int_equal(home_start("g", why, sizeof(why)), 0);
}

static void it_does_not_come(void **state)
{
	comes();
	home_not_come(&vm);
	assert_int_equal(load(), -ENOENT);
}

/* What a source says of it is not believed. */
static void it_says_so_itself(void **state)
{
	vm = (struct vm){ .state = VM_INCOMING };
	strcpy(vm.cfg.name, "g");
	strcpy(vm.cfg.kernel, "/ds/ds/g/vmlinuz");
	assert_int_equal(home_sent_check(&vm.cfg, &sent, why, sizeof(why)), 0);
	strcat(sent.text, "moving = x\n");
	assert_int_equal(home_sent_check(&vm.cfg, &sent, why, sizeof(why)), -EINVAL);
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
		source(its_source_dies),	source(its_source_has_it),
		source(its_source_has_lost_it), source(it_stays),
		destination(it_has_come),	destination(it_does_not_come),
		destination(it_says_so_itself),
	};

	return cmocka_run_group_tests_name("home_settle", tests, NULL, NULL);
}
