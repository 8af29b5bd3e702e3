/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A home that goes to another datastore: whole afterwards, as it was after a cancel, and after a
 * crash at any write of any of the two disks there is exactly one description that counts, with all
 * that it names; what a boot then finds of the other one goes.
 */
// SOURCES: kernel/home/home.c kernel/home/home_carry.c kernel/home/home_carry_end.c
// SOURCES: kernel/home/home_former.c kernel/home/home_parts.c kernel/home/home_file.c
// SOURCES: kernel/home/home_settle.c kernel/home/home_work.c kernel/home/desc.c
// SOURCES: kernel/home/desc_keys.c kernel/home/desc_devs.c kernel/lib/text.c
// SOURCES: kernel/lib/name.c kernel/vm/trouble.c drivers/blkdev.c kernel/lib/crc32c.c
// SOURCES: kernel/store/ds_*.c test/unit/fake_disk.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tern/page.h>

#include "kernel/home/home_int.h"
#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"

#define DISK_BYTES (12u << 20)
#define KERNEL_BYTES 70000u
#define DISK_FILE_BYTES (1u << 20)

/* ---- what the sources take from elsewhere ---- */

static struct vm vm;

const char *config_get(const char *key)
{
	return NULL;
}

struct vm *vm_find(const char *name)
{
	return strcmp(name, vm.cfg.name) ? NULL : &vm;
}

void vm_put(struct vm *v)
{
}

int vm_delete(struct vm *v, char *text, size_t len)
{
	abort();
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

static int nothing(struct vm *v, char *why, size_t len)
{
	return 0;
}

static void none(struct vm *v)
{
}

/* ---- two datastores, and the VM g at home on the first, with a snapshot of its disk ---- */

static const char *const store[2] = { "old", "new" };
static const struct ds_host host = { .id = { 1 }, .name = "a" };
static struct fake_disk disk[2];
static struct datastore *ds[2];
static uint8_t *bytes[2]; /* shared with those that crash */
static char why[256];

static void idle(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (ds[i])
			ds_grow_run(ds[i]);
}

static void mount(void)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ds_mount(&disk[i].dev, &host, DS_MOUNT_WRITE, &ds[i]), 0);
}

static void unmount(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ds_check c = { .say = NULL };

		assert_int_equal(ds_unmount(ds[i]), 0);
		ds[i] = NULL;
		assert_int_equal(ds_check(&disk[i].dev, &c), 0);
		assert_int_equal(c.found, 0);
	}
}

static bool there(unsigned i, const char *name)
{
	struct ds_entry e;

	return !ds_stat(ds[i], name, &e) && !(e.flags & DS_FILE_UNFINISHED);
}

static unsigned count(unsigned i)
{
	uint32_t cursor = 0;
	unsigned n = 0;
	struct ds_entry e;

	while (!ds_list(ds[i], &cursor, &e))
		n++;
	return n;
}

static int some_bytes(void *user, uint64_t at, size_t n, void *buf)
{
	memset(buf, (int)(uintptr_t)user, n);
	return 0;
}

static void make_file(const char *name, uint64_t size, int what)
{
	const struct ds_source from = { .size = size,
					.read = some_bytes,
					.user = (void *)(uintptr_t)what };

	assert_int_equal(ds_import(ds[0], name, DS_KIND_THIN, &from), 0);
}

static bool is_made_of(unsigned i, const char *name, uint64_t size, int what)
{
	uint8_t *buf = malloc(ALIGN_UP(size, 512));
	struct ds_file *f;
	bool same;

	assert_int_equal(ds_open(ds[i], name, DS_OPEN_READ, &f), 0);
	same = ds_file_size(f) == size;
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, 0, ALIGN_UP(size, 512) / 512, buf),
			 0);
	same = same && buf[0] == what && !memcmp(buf, buf + 1, size - 1);
	ds_close(f);
	free(buf);
	return same;
}

static int setup(void **state)
{
	static const struct vm_platform base = { .acquire = nothing,
						 .release = none,
						 .destroy = none };
	struct vm_desc d;
	struct home *h;

	fake_idle = idle;
	ds_host_set(&host);
	for (unsigned i = 0; i < 2; i++) {
		struct ds_format_options o = { .table_blocks = 32,
					       .nr_slots = 4,
					       .beat_ms = 100,
					       .lease_ms = 400,
					       .io_timeout_ms = 200,
					       .host = host };

		fake_disk_init(&disk[i], DISK_BYTES, 512);
		free(disk[i].bytes);
		bytes[i] = mmap(NULL, DISK_BYTES, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		disk[i].bytes = bytes[i];
		strcpy(o.name, store[i]);
		assert_int_equal(ds_format(&disk[i].dev, &o), 0);
	}
	mount();
	make_file("g/vmlinuz", KERNEL_BYTES, 'k');
	make_file("g/root.disk", DISK_FILE_BYTES, 'r');
	assert_int_equal(ds_snapshot(ds[0], "g/root.disk", "g/root.disk.s"), 0);
	make_file("g/notes", 3, 'n');

	vm = (struct vm){ .state = VM_OFF };
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "old");
	strcpy(d.host, "a");
	d.autostart = 3;
	assert_int_equal(vm_desc_set(&d, "kernel", "./vmlinuz", why, sizeof(why)), 0);
	assert_int_equal(vm_desc_set(&d, "disk", "./root.disk", why, sizeof(why)), 0);
	vm.cfg = d.cfg;
	(void)home_platform(&base);
	h = home_add("g");
	home_note(h, &d, 0);
	assert_int_equal(home_save(h, &d, why, sizeof(why)), 0);
	return 0;
}

static int teardown(void **state)
{
	if (ds[0])
		unmount();
	home_forget(home_find("g"));
	for (unsigned i = 0; i < 2; i++) {
		munmap(disk[i].bytes, DISK_BYTES);
		disk[i].bytes = NULL;
		fake_disk_fini(&disk[i]);
	}
	return 0;
}

/* ---- the move, as Storage vMotion does it ---- */

static int asked(void *user)
{
	return *(int *)user;
}

static int copy_disk(void)
{
	const struct ds_source from = { .size = DISK_FILE_BYTES,
					.read = some_bytes,
					.user = (void *)(uintptr_t)'r' };

	return ds_import_unfinished(ds[1], "g/root.disk", DS_KIND_THIN, &from);
}

/* Also after an error the caller ends it. */
static int prepare(struct home_carry **c)
{
	struct vm_disk to[VM_DISKS_MAX];
	int go_on = 0, err = home_carry_begin(&vm, "new", c, why, sizeof(why));

	if (!err)
		err = home_carry_files(*c, asked, &go_on, why, sizeof(why));
	if (!err)
		err = copy_disk();
	memcpy(to, vm.cfg.disk, sizeof(to));
	strcpy(to[0].path, "/ds/new/g/root.disk");
	return err ? err : home_carry_prepare(*c, &vm, to, why, sizeof(why));
}

static struct home_carry *prepared(void)
{
	struct home_carry *c;

	assert_int_equal(prepare(&c), 0);
	return c;
}

/* So nobody else starts the VM. */
static bool holds_what_counts(void)
{
	struct ds_lease l;
	struct ds_entry e;

	ds_file_lease(home_find("g")->held, &l);
	return !ds_stat(ds[0], "g/g.vm", &e) && e.id == l.file;
}

/* An old description goes after the disks that it names, a new one before. */
static int move(void)
{
	const char *also[] = { "g/root.disk" };
	struct home_carry *c;
	struct ds_entry e;
	int err = prepare(&c);

	if (!err)
		err = home_carry_switch(c, also, 1, NULL, why, sizeof(why));
	if (err) {
		assert_true(!c || holds_what_counts());
		home_carry_end(c, false);
		(void)!ds_remove(ds[1], "g/root.disk");
		return err;
	}
	if (!ds_stat(ds[0], "g/root.disk", &e))
		(void)!ds_remove_file("/ds/old/g/root.disk", e.id);
	home_carry_end(c, true);
	return 0;
}

static void moved(void)
{
	assert_int_equal(move(), 0);
}

/* ---- what is there then ---- */

static int load(unsigned i, struct vm_desc *d)
{
	uint64_t file;

	vm_desc_init(d);
	strcpy(d->cfg.name, "g");
	strcpy(d->cfg.home, store[i]);
	return home_load(d, &file, why, sizeof(why));
}

/* It counts there, and all that it names is there and right. */
static bool whole(unsigned i)
{
	char path[64];
	struct vm_desc d;

	if (load(i, &d) || d.autostart != 3 || strcmp(d.host, "a"))
		return false;
	snprintf(path, sizeof(path), "/ds/%s/g/vmlinuz", store[i]);
	assert_string_equal(d.cfg.kernel, path);
	snprintf(path, sizeof(path), "/ds/%s/g/root.disk", store[i]);
	assert_string_equal(d.cfg.disk[0].path, path);
	assert_true(there(i, "g/vmlinuz") && there(i, "g/root.disk"));
	assert_true(is_made_of(i, "g/vmlinuz", KERNEL_BYTES, 'k'));
	assert_true(is_made_of(i, "g/root.disk", DISK_FILE_BYTES, 'r'));
	return true;
}

static void it_goes(void **state)
{
	struct vm_desc d;

	moved();
	assert_true(whole(1));
	assert_int_equal(load(0, &d), -ENOENT);
	assert_int_equal(count(1), 3);
	assert_int_equal(count(0), 1); /* which is not the VM's */
	assert_true(there(0, "g/notes"));
	assert_int_equal(load(1, &d), 0);
	assert_string_equal(d.moved_from, "");
	assert_string_equal(home_find("g")->store, "new");
	unmount(); /* nothing is held of a VM that is off */
}

static void it_is_canceled(void **state)
{
	struct home_carry *c;
	struct vm_desc d;
	int give_up = -ECANCELED;

	assert_int_equal(home_carry_begin(&vm, "new", &c, why, sizeof(why)), 0);
	assert_int_equal(home_carry_files(c, asked, &give_up, why, sizeof(why)), -ECANCELED);
	home_carry_end(c, false);
	assert_int_equal(count(1), 0);
	c = prepared();
	assert_true(whole(0)); /* until the switch */
	home_carry_end(c, false);
	assert_int_equal(ds_remove(ds[1], "g/root.disk"), 0);
	assert_int_equal(count(1), 0);
	assert_true(whole(0));
	assert_int_equal(load(0, &d), 0);
	assert_int_equal(count(0), 5);
	moved();
	assert_true(whole(1));
}

static void its_place_is_taken(void **state)
{
	const struct ds_source from = { .size = 3, .read = some_bytes };
	struct home_carry *c;

	assert_int_equal(ds_import(ds[1], "g/vmlinuz", DS_KIND_PLAIN, &from), 0);
	assert_int_equal(home_carry_begin(&vm, "new", &c, why, sizeof(why)), -EEXIST);
	home_carry_end(c, false);
	assert_true(there(1, "g/vmlinuz"));
	assert_int_equal(home_carry_begin(&vm, "none", &c, why, sizeof(why)), -ENOENT);
	home_carry_end(c, false);
	assert_true(whole(0));
}

/* Its disk alone: the description stays, and names it. */
static void its_home_stays(void **state)
{
	struct vm_disk to[VM_DISKS_MAX];
	struct home_carry *c;
	struct vm_desc d;

	assert_int_equal(home_carry_begin(&vm, "", &c, why, sizeof(why)), 0);
	assert_int_equal(copy_disk(), 0);
	memcpy(to, vm.cfg.disk, sizeof(to));
	strcpy(to[0].path, "/ds/new/g/root.disk");
	assert_int_equal(home_carry_prepare(c, &vm, to, why, sizeof(why)), 0);
	assert_int_equal(ds_finish(ds[1], "g/root.disk"), 0);
	assert_int_equal(home_carry_switch(c, NULL, 0, NULL, why, sizeof(why)), 0);
	home_carry_end(c, true);
	assert_int_equal(load(0, &d), 0);
	assert_string_equal(d.cfg.disk[0].path, "/ds/new/g/root.disk");
	assert_string_equal(d.cfg.kernel, "/ds/old/g/vmlinuz");
	assert_int_equal(count(0), 5);
	assert_int_equal(count(1), 1);
}

/* Where it went is not mounted: nobody can say that the old one still counts, so it does not. */
static void its_place_cannot_be_seen(void **state)
{
	struct home_carry *c = prepared();
	struct vm_desc d;

	assert_int_equal(load(0, &d), 0);
	home_carry_end(c, false);
	assert_int_equal(load(0, &d), 0);
	strcpy(d.moves_to, "none");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	assert_int_equal(load(0, &d), -EAGAIN);
	strcpy(d.moves_to, "new");
	d.moves_to_id[0] = 9; /* another of that name */
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	assert_int_equal(load(0, &d), -EAGAIN);
	assert_non_null(strstr(why, "mount"));
	assert_int_equal(ds_remove(ds[1], "g/root.disk"), 0);
}

/* A crash before the switch: the mark goes when the VM is somebody's again. */
static void its_mark_goes(void **state)
{
	struct vm_desc d;
	uint64_t file;

	assert_int_equal(load(0, &d), 0);
	strcpy(d.moves_to, "new");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	home_claim_host(home_find("g"), &d, "a");
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "old");
	assert_int_equal(home_load_text(&d, &file, why, sizeof(why)), 0);
	assert_string_equal(d.moves_to, "");
	assert_true(whole(0));
}

/* The new one has been changed before the old one is removed: a base that stayed is others' too. */
static void a_base_stays(void **state)
{
	struct vm_desc d;

	make_file("g/base.disk", DISK_FILE_BYTES, 'b');
	assert_int_equal(load(0, &d), 0);
	assert_int_equal(
		vm_desc_set(&d, "disk", "./base.disk,mode=nonpersistent", why, sizeof(why)), 0);
	strcpy(d.moves_to, "new");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	d.cfg.disks = 0;
	strcpy(d.moves_to, "");
	strcpy(d.moved_from, "old");
	strcpy(d.cfg.home, "new");
	assert_int_equal(home_write_new(&d, why, sizeof(why)), 0);
	assert_int_equal(ds_replace(ds[1], "g/g.vm.new", "g/g.vm", NULL), 0);
	assert_int_equal(load(0, &d), -ESTALE);
	home_clear_former(&d);
	assert_int_equal(load(0, &d), -ENOENT);
	assert_true(there(0, "g/base.disk") && !there(0, "g/root.disk"));
}

/* A disk that was on the new datastore before is the VM's only copy, whoever names it by now. */
static void a_disk_that_was_there_stays(void **state)
{
	const struct ds_source from = { .size = DISK_FILE_BYTES, .read = some_bytes };
	struct vm_desc d;

	assert_int_equal(ds_import(ds[1], "g/data.disk", DS_KIND_THIN, &from), 0);
	assert_int_equal(load(0, &d), 0);
	assert_int_equal(vm_desc_set(&d, "disk", "/ds/new/g/data.disk", why, sizeof(why)), 0);
	strcpy(d.moves_to, "new");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	d.cfg.disks = 0; /* it is detached, before the old description is removed */
	strcpy(d.moves_to, "");
	strcpy(d.moved_from, "old");
	strcpy(d.cfg.home, "new");
	assert_int_equal(home_write_new(&d, why, sizeof(why)), 0);
	assert_int_equal(ds_replace(ds[1], "g/g.vm.new", "g/g.vm", NULL), 0);
	assert_int_equal(load(0, &d), -ESTALE);
	home_clear_former(&d);
	assert_int_equal(load(0, &d), -ENOENT);
	assert_true(there(1, "g/data.disk") && !there(0, "g/root.disk"));
}

/* ---- crashes ---- */

static unsigned writes_left;
static const struct blk_ops *real;

static void crashing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (r->op != BLK_READ && r->op != BLK_FLUSH && !writes_left--)
		_exit(1);
	real->submit(dev, r);
}

static const struct blk_ops crashing = { .submit = crashing_submit };

static bool crashes_at(unsigned write)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		mount();
		real = disk[0].dev.ops;
		writes_left = write;
		disk[0].dev.ops = disk[1].dev.ops = &crashing;
		moved();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 1;
}

/* What home_boot does with what it finds. */
static void boot(void)
{
	struct ds_entry e;
	struct vm_desc d;

	for (unsigned i = 0; i < 2; i++) {
		int err = load(i, &d);

		if (err == -ESTALE)
			home_clear_former(&d);
		else
			assert_true(!err || err == -ENOENT);
		for (uint32_t cursor = 0; !ds_list(ds[i], &cursor, &e);)
			home_remove_left(ds[i], &e);
	}
}

static void a_crash_at_any_write(void **state)
{
	uint8_t *was[2];
	unsigned n = 0, counts[2] = { 0 }, at;

	unmount();
	for (unsigned i = 0; i < 2; i++) {
		was[i] = malloc(DISK_BYTES);
		memcpy(was[i], bytes[i], DISK_BYTES);
	}
	while (crashes_at(n)) {
		mount();
		at = whole(1);
		assert_int_equal(whole(0) + at, 1);
		counts[at]++;
		boot();
		assert_true(whole(at));
		assert_int_equal(count(1 - at), at ? 1 : 0); /* the notes, which are not the VM's */
		unmount();
		for (unsigned i = 0; i < 2; i++)
			memcpy(bytes[i], was[i], DISK_BYTES);
		n++;
	}
	assert_true(counts[0] > 20 && counts[1] > 5);
	for (unsigned i = 0; i < 2; i++)
		free(was[i]);
	mount();
}

/* ---- a write that fails ---- */

static void failing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (r->op != BLK_READ && r->op != BLK_FLUSH && !writes_left--)
		blk_complete(r, -EIO);
	else
		real->submit(dev, r);
}

static const struct blk_ops failing = { .submit = failing_submit };

/* From the beginning, on disks as they were then. False: it does not write so often. */
static bool fails_at(unsigned write, bool *gone)
{
	struct vm_desc d;
	uint64_t file;

	mount();
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "old");
	assert_int_equal(home_load(&d, &file, why, sizeof(why)), 0);
	home_note(home_find("g"), &d, file);
	real = disk[0].dev.ops;
	writes_left = write;
	disk[0].dev.ops = disk[1].dev.ops = &failing;
	*gone = !move();
	disk[0].dev.ops = disk[1].dev.ops = real;
	return writes_left > write;
}

/* A transaction whose last writes fail is done all the same: what is said of it must be so. */
static void any_write_fails(void **state)
{
	unsigned n = 0, counts[2] = { 0 };
	uint8_t *was[2];
	bool gone;

	unmount();
	for (unsigned i = 0; i < 2; i++) {
		was[i] = malloc(DISK_BYTES);
		memcpy(was[i], bytes[i], DISK_BYTES);
	}
	while (fails_at(n++, &gone)) {
		assert_true(whole(gone) && !whole(!gone));
		boot();
		assert_true(whole(gone));
		counts[gone]++;
		unmount();
		for (unsigned i = 0; i < 2; i++)
			memcpy(bytes[i], was[i], DISK_BYTES);
	}
	assert_true(counts[0] > 20 && counts[1] > 5);
	for (unsigned i = 0; i < 2; i++)
		free(was[i]);
}

/* ---- a datastore that is not there any more ---- */

static bool gone;

static void vanishing_submit(struct blkdev *dev, struct blk_req *r)
{
	gone = gone || (r->op != BLK_READ && r->op != BLK_FLUSH && !writes_left--);
	if (gone)
		blk_complete(r, -EIO);
	else
		real->submit(dev, r);
}

static const struct blk_ops vanishing = { .submit = vanishing_submit };

/* The new one, at a write of the switch. */
static int switch_vanishing(struct home_carry *c, unsigned write)
{
	const char *also[] = { "g/root.disk" };
	int err;

	real = disk[1].dev.ops;
	writes_left = write;
	gone = false;
	disk[1].dev.ops = &vanishing;
	err = home_carry_switch(c, also, 1, NULL, why, sizeof(why));
	assert_true(!err || err == -EINPROGRESS); /* else the VM would go on */
	return err;
}

static void come_back(void)
{
	disk[1].dev.ops = real;
}

/* Does it count there, once the datastore says so? */
static bool found_out(struct home_carry *c, int err)
{
	if (!err) {
		come_back();
		return true;
	}
	assert_int_equal(home_carry_look(c, why, sizeof(why)), -EINPROGRESS);
	assert_non_null(strstr(why, "datastore new"));
	come_back();
	err = home_carry_look(c, why, sizeof(why));
	assert_true(err != -EINPROGRESS);
	assert_int_equal(!err, there(1, "g/g.vm"));
	return !err;
}

static void come_back_here(void)
{
	disk[0].dev.ops = real;
}

/* Either description may count then, so nobody says that one does; and both are held. */
static void it_vanishes_in_the_switch(void **state)
{
	unsigned counts[2] = { 0 };
	struct home_carry *c;
	struct ds_entry e;
	uint8_t *was[2];
	bool moved;

	unmount();
	for (unsigned i = 0; i < 2; i++) {
		was[i] = malloc(DISK_BYTES);
		memcpy(was[i], bytes[i], DISK_BYTES);
	}
	for (unsigned n = 0; !n || gone; n++) {
		mount();
		strcpy(home_find("g")->store, "old");
		assert_int_equal(ds_stat(ds[0], "g/g.vm", &e), 0);
		home_find("g")->file = e.id;
		c = prepared();
		moved = found_out(c, switch_vanishing(c, n));
		counts[moved]++;
		if (!moved)
			assert_int_equal(ds_remove(ds[1], "g/root.disk"), 0);
		assert_int_equal(ds_stat(ds[0], "g/root.disk", &e), 0);
		if (moved)
			assert_int_equal(ds_remove_file("/ds/old/g/root.disk", e.id), 0);
		home_carry_end(c, moved);
		assert_true(whole(moved) && !whole(!moved));
		unmount();
		for (unsigned i = 0; i < 2; i++)
			memcpy(bytes[i], was[i], DISK_BYTES);
	}
	assert_true(counts[0] > 2 && counts[1] > 2);
	for (unsigned i = 0; i < 2; i++)
		free(was[i]);
	mount();
}

/* For so many requests. */
static unsigned gone_for;

static void away_submit(struct blkdev *dev, struct blk_req *r)
{
	bool fails = !writes_left && gone_for;

	if (fails)
		gone_for--;
	else if (writes_left && r->op != BLK_READ && r->op != BLK_FLUSH)
		writes_left--;
	if (fails)
		blk_complete(r, -EIO);
	else
		real->submit(dev, r);
}

static const struct blk_ops away = { .submit = away_submit };

/* A change of a VM that is on: whichever description has the name then is leased by this host. */
static void it_is_away_in_a_change(void **state)
{
	struct home *h = home_find("g");
	struct vm_desc d;
	struct ds_entry e;

	mutex_lock(&h->lock);
	assert_int_equal(home_hold_locked(h, why, sizeof(why)), 0);
	mutex_unlock(&h->lock);
	real = disk[0].dev.ops;
	for (unsigned n = 0; n < 60; n++)
		for (unsigned m = 1; m < 9; m++) {
			assert_int_equal(load(0, &d), 0);
			d.autostart = 1 + m;
			writes_left = n;
			gone_for = m;
			disk[0].dev.ops = &away;
			(void)!home_save(h, &d, why, sizeof(why));
			come_back_here();
			assert_int_equal(ds_stat(ds[0], "g/g.vm", &e), 0);
			assert_int_equal(e.lease, DS_LEASE_MINE);
		}
	assert_int_equal(load(0, &d), 0);
	d.autostart = 3;
	assert_int_equal(home_save(h, &d, why, sizeof(why)), 0);
	home_let_go(h);
	assert_true(whole(0));
	assert_int_equal(count(0), 5);
}

#define RECORD_WRITES 4u /* of the switch: then it is done, though nobody hears so */

/* The operator says that it is lost, and it was not: no host takes both of them as right. */
static void it_stays_by_word(void **state)
{
	struct home_carry *c = prepared();
	struct vm_desc d;

	assert_int_equal(switch_vanishing(c, RECORD_WRITES), -EINPROGRESS);
	assert_int_equal(home_carry_stay(c, why, sizeof(why)), 0);
	assert_true(holds_what_counts());
	come_back();
	assert_true(whole(0)); /* what the VM writes from now on is not lost in a crash */
	assert_true(there(1, "g/g.vm"));
	assert_int_equal(load(1, &d), -EAGAIN);
	assert_non_null(strstr(why, "/ds/old/g/g.vm"));
	home_carry_end(c, false);
	assert_int_equal(load(1, &d), -ENOENT);
	assert_true(whole(0));
	(void)!ds_remove(ds[1], "g/root.disk");
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(it_goes),
		test(it_is_canceled),
		test(its_place_is_taken),
		test(its_home_stays),
		test(its_place_cannot_be_seen),
		test(a_crash_at_any_write),
		test(its_mark_goes),
		test(a_base_stays),
		test(a_disk_that_was_there_stays),
		test(any_write_fails),
		test(it_vanishes_in_the_switch),
		test(it_stays_by_word),
		test(it_is_away_in_a_change),
	};

	return cmocka_run_group_tests_name("home_carry", tests, NULL, NULL);
}
