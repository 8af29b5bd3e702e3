/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots of files of a datastore: taken, gone back to, deleted, also under an open file
 * and across power cuts; and files that take another's place. Chains are in test_ds_links.c.
 */
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
// SOURCES: test/unit/fake_disk.c test/unit/ds_fixture.c
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

#include "test/unit/ds_fixture.h"

static void a_snapshot_stays_as_it_was(void **state)
{
	struct ds_file *f;
	uint64_t before;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 8 << 20, 0), 0);
	assert_int_equal(dsf_write("d", 0, 2 << 20, 1), 0);
	before = dsf_free_bytes();
	assert_int_equal(ds_snapshot(ds, "d", "d.one"), 0);
	assert_int_equal(dsf_free_bytes(), before);
	assert_true(dsf_has("d", 0, 2 << 20, 1));
	assert_int_equal(dsf_write("d", 4096, 4096, 2), 0);
	assert_int_equal(dsf_backed("d"), 1);
	assert_true(dsf_has("d", 4096, 4096, 2));
	assert_true(dsf_has("d", 0, 4096, 1)); /* of the same extent, copied */
	assert_true(dsf_has("d.one", 0, 2 << 20, 1));
	dsf_again();
	assert_true(dsf_has("d", 4096, 4096, 2));
	assert_true(dsf_has("d", 8192, 1024, 1 + 8192)); /* dsf_fill() goes on in its seed */
	assert_int_equal(ds_open(ds, "d.one", DS_OPEN_WRITE, &f), -EBUSY);
	assert_int_equal(ds_remove(ds, "d.one"), -EBUSY);
	assert_int_equal(ds_snapshot(ds, "d", "d.one"), -EEXIST);
	assert_int_equal(ds_snapshot(ds, "nothing", "x"), -ENOENT);
	assert_int_equal(ds_snapshot(ds, "d", "../x"), -EINVAL);
}

/* A thin file promises its holes; a snapshot promises none, a delta what it does not have yet. */
static void what_is_promised(void **state)
{
	uint64_t total, extents = 1 << 20;
	struct ds_usage u;

	assert_int_equal(ds_usage(ds, &u), 0);
	total = u.free_bytes;
	assert_true(u.free_bytes == dsf_free_bytes() && !u.files && !u.promised_bytes);
	assert_int_equal(ds_create(ds, "thin", DS_KIND_THIN, 8 * extents, 0), 0);
	assert_int_equal(ds_create(ds, "flat", DS_KIND_FLAT, 2 * extents - 4096, 0), 0);
	assert_int_equal(dsf_write("thin", 0, extents, 1), 0);
	assert_int_equal(ds_usage(ds, &u), 0);
	assert_true(u.files == 2 && u.size_bytes == 10 * extents - 4096);
	assert_true(u.promised_bytes == 7 * extents && u.over_bytes == 0);
	assert_true(u.free_bytes == total - 3 * extents);
	assert_int_equal(ds_snapshot(ds, "thin", "snap"), 0);
	assert_int_equal(ds_usage(ds, &u), 0);
	assert_true(u.files == 3 && u.promised_bytes == 8 * extents);
	assert_int_equal(ds_create(ds, "huge", DS_KIND_THIN, total, 0), 0);
	assert_int_equal(ds_usage(ds, &u), 0);
	assert_true(u.promised_bytes == 8 * extents + total);
	assert_true(u.over_bytes == u.promised_bytes - u.free_bytes);
}

static void reverting_brings_it_back(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(dsf_write("d", 0, 1 << 20, 1), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s"), 0);
	assert_int_equal(dsf_write("d", 0, 2 << 20, 2), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "s"), -EBUSY);
	ds_close(f);
	assert_int_equal(ds_snapshot_revert(ds, "d", "s"), 0);
	assert_true(dsf_has("d", 0, 1 << 20, 1));
	assert_true(dsf_has("d", 1 << 20, 1 << 20, 0));
	assert_int_equal(dsf_backed("d"), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "d"), -EBUSY);
}

static void deleting_copies_nothing(void **state)
{
	uint64_t before;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 8 << 20, 0), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(dsf_write("d", i << 20, 1 << 20, 1 + i), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s1"), 0);
	assert_int_equal(dsf_write("d", 1 << 20, 1 << 20, 7), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s2"), 0);
	assert_int_equal(dsf_write("d", 2 << 20, 1 << 20, 9), 0);
	before = dsf_free_bytes();
	fake_disk_record(&disk);
	assert_int_equal(ds_snapshot_delete(ds, "s1"), 0);
	disk.recording = false;
	for (uint32_t i = 0; i < disk.nr_log; i++)
		assert_true(disk.log[i].block / 2048 < ds->super.first_extent); /* metadata alone */
	assert_int_equal(dsf_free_bytes(), before + (1 << 20)); /* what s2 had written anew */
	assert_true(dsf_has("s2", 0, 1 << 20, 1));
	assert_true(dsf_has("s2", 1 << 20, 1 << 20, 7));
	assert_true(dsf_has("s2", 2 << 20, 1 << 20, 3));
	assert_int_equal(ds_snapshot_delete(ds, "s2"), 0);
	assert_true(dsf_has("d", 0, 1 << 20, 1));
	assert_true(dsf_has("d", 1 << 20, 1 << 20, 7));
	assert_true(dsf_has("d", 2 << 20, 1 << 20, 9));
	assert_int_equal(ds_snapshot_delete(ds, "d"), -ENOTSUP);
	assert_int_equal(dsf_backed("d"), 5); /* 3, and what writing in a row had taken */
}

/* While it is written here: the open file goes on, over all three. */
static void snapshots_of_an_open_file(void **state)
{
	uint8_t *buf = malloc(1 << 20), *back = malloc(1 << 20);
	struct ds_file *f;
	struct blkdev *d;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	d = ds_file_blk(f);
	dsf_fill(buf, 1 << 20, 5);
	assert_int_equal(blk_transfer(d, BLK_WRITE, 0, 2048, buf), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s1"), 0);
	dsf_fill(buf, 512, 6);
	assert_int_equal(blk_transfer(d, BLK_WRITE, 0, 1, buf), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s2"), 0);
	assert_int_equal(blk_transfer(d, BLK_READ, 0, 2048, back), 0);
	assert_memory_equal(buf, back, 1 << 20);
	assert_true(dsf_has("s1", 0, 1 << 20, 5));
	assert_int_equal(ds_snapshot_delete(ds, "s1"), -EBUSY); /* f reads s2 over it */
	assert_int_equal(ds_snapshot_delete(ds, "s2"), 0);
	assert_int_equal(ds_snapshot_delete(ds, "s1"), 0);
	assert_int_equal(blk_transfer(d, BLK_READ, 0, 2048, back), 0);
	assert_memory_equal(buf, back, 1 << 20);
	dsf_fill(buf, 512, 8);
	assert_int_equal(blk_transfer(d, BLK_WRITE, 2048, 1, buf), 0);
	ds_close(f);
	dsf_again();
	assert_true(dsf_has("d", 1 << 20, 512, 8));
	assert_int_equal(dsf_backed("d"), 2);
	free(buf);
	free(back);
}

static void expect_own(struct ds_file *f, uint64_t at, enum ds_own what, uint64_t bytes)
{
	uint64_t n;

	assert_int_equal(ds_file_own(f, at, &n), what);
	assert_int_equal(n, bytes);
}

static void zero(struct ds_file *f, uint64_t at, uint64_t bytes)
{
	struct blk_req r = {
		.op = BLK_WRITE_ZEROES, .block = at / 512, .blocks = bytes / 512, .unmap = true
	};

	assert_int_equal(blk_wait(ds_file_blk(f), &r), 0);
}

/* Which parts of a file have contents of their own, which show what is below or hide it. */
static void what_a_file_has_itself(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, (5 << 20) + 4096, 0), 0);
	assert_int_equal(dsf_write("d", 1 << 20, 512, 1), 0);
	assert_int_equal(dsf_write("d", 3 << 20, 512, 2), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s"), 0);
	assert_int_equal(dsf_write("d", 2 << 20, 512, 3), 0);
	assert_int_equal(dsf_write("d", 3 << 20, 512, 4), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	zero(f, 1 << 20, 1 << 20);
	expect_own(f, 0, DS_OWN_NOTHING, 1 << 20);
	expect_own(f, 512, DS_OWN_NOTHING, (1 << 20) - 512);
	expect_own(f, (1 << 20) + 512, DS_OWN_ZEROS, (1 << 20) - 512);
	expect_own(f, 2 << 20, DS_OWN_EXTENTS, 2 << 20);
	expect_own(f, 4 << 20, DS_OWN_NOTHING, (1 << 20) + 4096);
	expect_own(f, (5 << 20) + 4096, DS_OWN_NOTHING, 0);
	ds_close(f);
	assert_int_equal(ds_open(ds, "s", DS_OPEN_READ, &f), 0);
	expect_own(f, 1 << 20, DS_OWN_EXTENTS, 1 << 20);
	ds_close(f);
}

/* What a run writes to it is gone, the file under it is as it was, and nobody else's meanwhile. */
static void a_delta_for_a_while(void **state)
{
	struct datastore *b = dsf_other();
	struct ds_file *f, *base;
	struct blk_seg seg;
	uint8_t buf[512] = { 9 };
	struct blk_req r = { .op = BLK_WRITE, .blocks = 1, .segs = &seg, .nr_segs = 1 };
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(dsf_write("d", 0, 1 << 20, 1), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &base), 0);
	assert_int_equal(ds_delta(ds, "d.run", "d"), -EBUSY);
	assert_int_equal(ds_delta(b, "d.run", "d"), -EBUSY);
	ds_close(base);
	assert_int_equal(ds_delta(ds, "d.run", "d"), 0);
	assert_int_equal(ds_delta(b, "d.run", "d"), -EEXIST);
	assert_int_equal(ds_open(ds, "d.run", DS_OPEN_WRITE, &f), 0);
	seg = (struct blk_seg){ .addr = ptr_hpa(buf), .len = 512 };
	assert_int_equal(blk_wait(ds_file_blk(f), &r), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &base), -EBUSY);
	assert_int_equal(ds_open(b, "d", DS_OPEN_WRITE, &base), -EBUSY);
	assert_int_equal(ds_remove(b, "d.run"), -EBUSY);
	ds_close(f);
	assert_int_equal(ds_remove(ds, "d.run"), 0);
	assert_true(dsf_has("d", 0, 1 << 20, 1));
	assert_int_equal(ds_delta(ds, "d.run", "d"), 0);
	dsf_again(); /* as a host that was gone: its debris is swept */
	assert_int_equal(ds_stat(ds, "d.run", &e), -ENOENT);
	assert_true(dsf_has("d", 0, 1 << 20, 1));
	ds_detach(b);
}

static void one_in_anothers_place(void **state)
{
	struct ds_file *was, *f;
	struct ds_entry e;
	uint64_t id;

	assert_int_equal(ds_create(ds, "d", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(dsf_write("d", 0, 4096, 1), 0);
	assert_int_equal(ds_create(ds, "new", DS_KIND_PLAIN, 4096, DS_FILE_UNFINISHED), 0);
	assert_int_equal(dsf_write("new", 0, 4096, 2), 0);
	assert_int_equal(ds_stat(ds, "new", &e), 0);
	id = e.id;
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &was), 0); /* as a lock */
	assert_int_equal(ds_open(ds, "new", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_replace(ds, "new", "d", NULL), 0);
	assert_int_equal(ds_stat(ds, "d", &e), 0);
	assert_int_equal(e.id, id);
	assert_int_equal(e.flags, 0);
	assert_int_equal(e.lease, DS_LEASE_MINE);
	ds_close(was);
	assert_int_equal(ds_remove(ds, "new"), 0);
	ds_close(f);
	assert_true(dsf_has("d", 0, 4096, 2));
	assert_int_equal(ds_create(ds, "new", DS_KIND_PLAIN, 0, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_replace(ds, "new", "other", NULL), 0);
	assert_int_equal(ds_stat(ds, "other", &e), 0);
	assert_int_equal(e.lease, DS_LEASE_NONE);
	assert_int_equal(ds_replace(ds, "nothing", "d", NULL), -ENOENT);
	assert_int_equal(ds_replace(ds, "other", "../x", NULL), -EINVAL);
}

/* What is not needed with it any more goes in the same moment, or neither. */
static void one_for_another(void **state)
{
	const char *const name[] = { "g/new", "g/again" };
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "g/old", DS_KIND_PLAIN, 4096, 0), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ds_create(ds, name[i], DS_KIND_PLAIN, 4096, DS_FILE_UNFINISHED),
				 0);
	assert_int_equal(ds_finish_all(ds, name, 1, NULL, "g/none"), -ENOENT);
	assert_int_equal(ds_replace(ds, name[0], "g/d", "g/none"), -ENOENT);
	assert_int_equal(ds_stat(ds, name[0], &e), 0);
	assert_int_equal(e.flags, DS_FILE_UNFINISHED);
	assert_int_equal(ds_finish_all(ds, name, 1, NULL, "g/old"), 0);
	assert_int_equal(ds_stat(ds, "g/old", &e), 0);
	assert_int_equal(e.flags, DS_FILE_UNFINISHED);
	assert_int_equal(ds_replace(ds, name[1], "g/d", name[0]), 0);
	assert_int_equal(ds_stat(ds, name[0], &e), 0);
	assert_int_equal(e.flags, DS_FILE_UNFINISHED);
	assert_int_equal(ds_remove(ds, name[0]), 0);
	assert_int_equal(ds_remove(ds, "g/old"), 0);
	assert_int_equal(ds_stat(ds, "g/d", &e), 0);
	assert_int_equal(e.flags, 0);
}

static bool has_one_of_two(void)
{
	return dsf_has("d", 0, 4096, 1) || dsf_has("d", 0, 4096, 2);
}

static void its_place_is_never_empty(void **state)
{
	uint8_t *start;

	assert_int_equal(ds_create(ds, "d", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(dsf_write("d", 0, 4096, 1), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_create(ds, "new", DS_KIND_PLAIN, 4096, DS_FILE_UNFINISHED), 0);
	assert_int_equal(dsf_write("new", 0, 4096, 2), 0);
	assert_int_equal(ds_replace(ds, "new", "d", NULL), 0);
	assert_int_equal(ds_remove(ds, "new"), 0);
	disk.recording = false;
	dsf_check_reordered(start, has_one_of_two, 200);
	free(start);
}

/* What was there before is there in each state, also around what was written to a delta. */
static bool snapshots_agree(void)
{
	struct ds_entry e;

	if (ds_stat(ds, "d", &e) || !dsf_has("d", 4096, 4096, 1 + 4096) ||
	    !dsf_has("d", 512 << 10, 4096, 1 + (512 << 10)))
		return false;
	return ds_stat(ds, "s", &e) || (e.flags & DS_FILE_MERGING) || dsf_has("s", 0, 1 << 20, 1);
}

static void snapshots_survive_any_cut(void **state)
{
	uint8_t *start;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 4 << 20, 0), 0);
	assert_int_equal(dsf_write("d", 0, 1 << 20, 1), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_snapshot(ds, "d", "s"), 0);
	assert_int_equal(dsf_write("d", 0, 512, 4), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "s"), 0);
	assert_int_equal(dsf_write("d", 0, 512, 4), 0);
	assert_int_equal(ds_snapshot_delete(ds, "s"), 0);
	disk.recording = false;
	dsf_check_reordered(start, snapshots_agree, 200);
	free(start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_snapshot_stays_as_it_was), test(what_is_promised),
		test(reverting_brings_it_back),	  test(deleting_copies_nothing),
		test(snapshots_of_an_open_file),  test(what_a_file_has_itself),
		test(snapshots_survive_any_cut),  test(a_delta_for_a_while),
		test(one_in_anothers_place),	  test(one_for_another),
		test(its_place_is_never_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
