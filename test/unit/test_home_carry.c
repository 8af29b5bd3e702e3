/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A home that goes to another datastore: whole afterwards, as it was after a cancel; what was on
 * either datastore and is not the VM's stays, and a description whose successor cannot be seen does
 * not count. What happens when hosts and disks fail is in test_home_carry_fail.c.
 */
// SOURCES: kernel/home/home.c kernel/home/home_carry.c kernel/home/home_carry_end.c
// SOURCES: kernel/home/home_former.c kernel/home/home_parts.c kernel/home/home_file.c
// SOURCES: kernel/home/home_settle.c kernel/home/home_work.c kernel/home/desc*.c
// SOURCES: kernel/lib/text.c
// SOURCES: kernel/lib/name.c kernel/vm/trouble.c drivers/blkdev.c kernel/lib/crc32c.c
// SOURCES: kernel/store/ds_*.c test/unit/fake_disk.c test/unit/fake_home.c
// SOURCES: test/unit/two_stores.c test/unit/carry_fixture.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "test/unit/carry_fixture.h"

static void it_goes(void **state)
{
	struct vm_desc d;

	assert_int_equal(carry_move(), 0);
	assert_true(carry_whole(1));
	assert_int_equal(carry_load(0, &d), -ENOENT);
	assert_int_equal(store_count(1), 3);
	assert_int_equal(store_count(0), 1); /* which is not the VM's */
	assert_true(store_has(0, "g/notes"));
	assert_int_equal(carry_load(1, &d), 0);
	assert_string_equal(d.moved_from, "");
	assert_string_equal(home_find("g")->store, "new");
	stores_unmount(); /* nothing is held of a VM that is off */
}

static void it_is_canceled(void **state)
{
	struct home_carry *c;
	struct vm_desc d;
	int give_up = -ECANCELED;

	assert_int_equal(home_carry_begin(&fake_vm, "new", &c, why, sizeof(why)), 0);
	assert_int_equal(home_carry_files(c, carry_asked, &give_up, why, sizeof(why)), -ECANCELED);
	home_carry_end(c, false);
	assert_int_equal(store_count(1), 0);
	c = carry_prepared();
	assert_true(carry_whole(0)); /* until the switch */
	home_carry_end(c, false);
	assert_int_equal(ds_remove(ds[1], "g/root.disk"), 0);
	assert_int_equal(store_count(1), 0);
	assert_true(carry_whole(0));
	assert_int_equal(carry_load(0, &d), 0);
	assert_int_equal(store_count(0), 5);
	assert_int_equal(carry_move(), 0);
	assert_true(carry_whole(1));
}

static void its_place_is_taken(void **state)
{
	struct home_carry *c;

	store_make(1, "g/vmlinuz", DS_KIND_PLAIN, 3, 0);
	assert_int_equal(home_carry_begin(&fake_vm, "new", &c, why, sizeof(why)), -EEXIST);
	home_carry_end(c, false);
	assert_true(store_has(1, "g/vmlinuz"));
	assert_int_equal(home_carry_begin(&fake_vm, "none", &c, why, sizeof(why)), -ENOENT);
	home_carry_end(c, false);
	assert_true(carry_whole(0));
}

#define SNAPSHOTS 8u

/* An unfinished disk, upon so many snapshots. */
static void make_chain(const char *disk_name)
{
	char as[64];
	struct ds_snap snap = { .ds = ds[1], .name = disk_name, .as = as, .part = true };
	unsigned failed;

	assert_int_equal(ds_create(ds[1], disk_name, DS_KIND_THIN, 1 << 20, DS_FILE_UNFINISHED), 0);
	for (unsigned i = 0; i < SNAPSHOTS; i++) {
		snprintf(as, sizeof(as), "%s.%u", disk_name, i);
		assert_int_equal(ds_snapshot_all(&snap, 1, &failed), 0);
	}
}

static bool is_debris(const char *name)
{
	struct ds_entry e;

	return !ds_stat(ds[1], name, &e) && e.flags & DS_FILE_UNFINISHED;
}

/* More files than one transaction has room for: not without a record that names them. */
static void in_several_moments(void **state)
{
	static const char *const also[] = { "g/0", "g/1", "g/2", "g/3",
					    "g/4", "g/5", "g/6", "g/root.disk" };
	struct home_carry *c = carry_prepared();

	for (unsigned i = 0; i < 7; i++)
		make_chain(also[i]);
	store_make(1, "record", DS_KIND_PLAIN, 4096, 0);
	assert_int_equal(home_carry_switch(c, also, 8, NULL, why, sizeof(why)), -ENOBUFS);
	assert_non_null(strstr(why, "too many for one moment"));
	assert_true(carry_whole(0) && is_debris("g/0") && is_debris("g/root.disk"));
	assert_int_equal(home_carry_switch(c, also, 8, "record", why, sizeof(why)), 0);
	home_carry_end(c, true);
	assert_true(carry_whole(1) && store_has(1, "g/0") && store_has(1, "g/6.7"));
	assert_true(is_debris("record"));
}

/* Its disk alone: the description stays, and names it. */
static void its_home_stays(void **state)
{
	struct vm_disk to[VM_DISKS_MAX];
	struct home_carry *c;
	struct vm_desc d;

	assert_int_equal(home_carry_begin(&fake_vm, "", &c, why, sizeof(why)), 0);
	assert_int_equal(carry_copy_disk(), 0);
	memcpy(to, fake_vm.cfg.disk, sizeof(to));
	strcpy(to[0].path, "/ds/new/g/root.disk");
	assert_int_equal(home_carry_prepare(c, &fake_vm, to, why, sizeof(why)), 0);
	assert_int_equal(ds_finish(ds[1], "g/root.disk"), 0);
	assert_int_equal(home_carry_switch(c, NULL, 0, NULL, why, sizeof(why)), 0);
	home_carry_end(c, true);
	assert_int_equal(carry_load(0, &d), 0);
	assert_string_equal(d.cfg.disk[0].path, "/ds/new/g/root.disk");
	assert_string_equal(d.cfg.kernel, "/ds/old/g/vmlinuz");
	assert_int_equal(store_count(0), 5);
	assert_int_equal(store_count(1), 1);
}

/* Where it went is not mounted: nobody can say that the old one still counts, so it does not. */
static void its_place_cannot_be_seen(void **state)
{
	struct home_carry *c = carry_prepared();
	struct vm_desc d;

	assert_int_equal(carry_load(0, &d), 0);
	home_carry_end(c, false);
	assert_int_equal(carry_load(0, &d), 0);
	strcpy(d.moves_to, "none");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	assert_int_equal(carry_load(0, &d), -EAGAIN);
	strcpy(d.moves_to, "new");
	d.moves_to_id[0] = 9; /* another of that name */
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	assert_int_equal(carry_load(0, &d), -EAGAIN);
	assert_non_null(strstr(why, "mount"));
	assert_int_equal(ds_remove(ds[1], "g/root.disk"), 0);
}

/* A crash before the switch: the mark goes when the VM is somebody's again. */
static void its_mark_goes(void **state)
{
	struct vm_desc d;
	uint64_t file;

	assert_int_equal(carry_load(0, &d), 0);
	strcpy(d.moves_to, "new");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	home_claim_host(home_find("g"), &d, "a");
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "old");
	assert_int_equal(home_load_text(&d, &file, why, sizeof(why)), 0);
	assert_string_equal(d.moves_to, "");
	assert_true(carry_whole(0));
}

/* The old description names this disk too; the new one has lost its disks before that is removed.
 */
static void the_old_one_goes(const char *disk)
{
	struct vm_desc d;

	assert_int_equal(carry_load(0, &d), 0);
	assert_int_equal(vm_desc_set(&d, "disk", disk, why, sizeof(why)), 0);
	strcpy(d.moves_to, "new");
	assert_int_equal(home_save(home_find("g"), &d, why, sizeof(why)), 0);
	d.cfg.disks = 0;
	strcpy(d.moves_to, "");
	strcpy(d.moved_from, "old");
	strcpy(d.cfg.home, "new");
	assert_int_equal(home_write_new(&d, why, sizeof(why)), 0);
	assert_int_equal(ds_replace(ds[1], "g/g.vm.new", "g/g.vm", NULL), 0);
	assert_int_equal(carry_load(0, &d), -ESTALE);
	home_clear_former(&d);
	assert_int_equal(carry_load(0, &d), -ENOENT);
}

/* A base that stayed is others' too. */
static void a_base_stays(void **state)
{
	store_make(0, "g/base.disk", DS_KIND_THIN, CARRY_DISK_BYTES, 'b');
	the_old_one_goes("./base.disk,mode=nonpersistent");
	assert_true(store_has(0, "g/base.disk") && !store_has(0, "g/root.disk"));
}

/* A disk that was on the new datastore before is the VM's only copy, whoever names it by now. */
static void a_disk_that_was_there_stays(void **state)
{
	store_make(1, "g/data.disk", DS_KIND_THIN, CARRY_DISK_BYTES, 0);
	the_old_one_goes("/ds/new/g/data.disk");
	assert_true(store_has(1, "g/data.disk") && !store_has(0, "g/root.disk"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, carry_begin, carry_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(it_goes),
		test(it_is_canceled),
		test(its_place_is_taken),
		test(in_several_moments),
		test(its_home_stays),
		test(its_place_cannot_be_seen),
		test(its_mark_goes),
		test(a_base_stays),
		test(a_disk_that_was_there_stays),
	};

	return cmocka_run_group_tests_name("home_carry", tests, NULL, NULL);
}
