/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots of files of a datastore: taken, gone back to, deleted, also under an open file
 * and across power cuts.
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

/* ---- chains ---- */

static int part(const char *as)
{
	struct ds_snap s = { .ds = ds, .name = "new", .as = as, .part = true };
	unsigned failed;

	return ds_snapshot_all(&s, 1, &failed);
}

/* "new" over "new.1" over "new.0", unfinished, each with an extent; it is open. */
static struct ds_file *make_chain(void)
{
	uint8_t *buf = malloc(512);
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "new", DS_KIND_THIN, 3 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_open(ds, "new", DS_OPEN_WRITE, &f), 0);
	for (unsigned i = 0; i < 3; i++) {
		dsf_fill(buf, 512, 7 + i);
		assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, i * 2048, 1, buf), 0);
		if (i < 2)
			assert_int_equal(part(i ? "new.1" : "new.0"), 0);
	}
	free(buf);
	return f;
}

static bool is_there(const char *name, uint32_t flags)
{
	struct ds_entry e;

	return !ds_stat(ds, name, &e) && e.flags == flags;
}

/* A chain that is being made is debris until it is finished, whole or not at all. */
static void a_chain_in_the_making(void **state)
{
	struct ds_file *f = make_chain();
	struct ds_entry e;

	assert_int_equal(ds_snapshot(ds, "new", "x"), -EINVAL);
	assert_true(is_there("new.0", DS_FILE_UNFINISHED) && is_there("new", DS_FILE_UNFINISHED));
	ds_close(f);
	dsf_again(); /* as a host that was gone */
	for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);)
		fail_msg("%s is left", e.name);
	f = make_chain();
	assert_int_equal(ds_finish(ds, "new"), 0);
	assert_true(is_there("new.0", 0) && is_there("new.1", 0) && is_there("new", 0));
	assert_true(!ds_stat(ds, "new.1", &e) && e.lease == DS_LEASE_NONE);
	ds_close(f);
	dsf_again();
	for (uint64_t i = 0; i < 3; i++)
		assert_true(dsf_has("new", i << 20, 512, 7 + i));
	assert_true(dsf_has("new.1", 2 << 20, 512, 0) && dsf_has("new.0", 1 << 20, 512, 0));
	assert_int_equal(ds_snapshot_revert(ds, "new", "new.0"), 0);
	assert_true(dsf_has("new", 0, 512, 7) && dsf_has("new", 1 << 20, 512, 0));
}

static void removing_what_it_stands_on(void **state)
{
	uint64_t before = dsf_free_bytes();
	struct ds_file *f = make_chain();
	struct ds_entry e;

	assert_int_equal(ds_finish(ds, "new"), 0);
	assert_int_equal(ds_stat(ds, "new", &e), 0);
	assert_int_equal(ds_remove_file("/ds/ds1/new", e.id), -EBUSY);
	ds_close(f);
	assert_int_equal(ds_remove_file("/ds/ds1/new", e.id + 1), -ENOENT);
	assert_int_equal(ds_remove_file("/ds/ds1/new", e.id), 0);
	assert_true(!is_there("new.0", 0) && !is_there("new.1", 0));
	assert_int_equal(dsf_free_bytes(), before);
	/* Another stands on one of them: that stays, with what is below. */
	f = make_chain();
	assert_int_equal(ds_finish(ds, "new"), 0);
	ds_close(f);
	assert_int_equal(ds_snapshot_revert(ds, "new", "new.0"), 0);
	assert_int_equal(ds_stat(ds, "new.1", &e), 0);
	assert_int_equal(ds_remove_file("/ds/ds1/new.1", e.id), 0);
	assert_true(is_there("new.0", 0) && is_there("new", 0) && !is_there("new.1", 0));
}

static bool chain_is_whole_or_going(void)
{
	struct ds_entry top, e;
	bool whole = !ds_stat(ds, "new", &top) && !top.flags;

	for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);)
		if (strncmp(e.name, "new", 3) || (!whole && e.flags != DS_FILE_UNFINISHED))
			return false;
	return !whole || (dsf_has("new", 0, 512, 7) && dsf_has("new", 1 << 20, 512, 8) &&
			  dsf_has("new", 2 << 20, 512, 9));
}

/* Finished at once, and gone at once: never is a snapshot left alone. */
static void a_chain_survives_any_cut(void **state)
{
	struct ds_file *f = make_chain();
	struct ds_entry e;
	uint8_t *start;

	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_finish(ds, "new"), 0);
	assert_int_equal(ds_stat(ds, "new", &e), 0);
	ds_close(f);
	assert_int_equal(ds_remove_file("/ds/ds1/new", e.id), 0);
	disk.recording = false;
	dsf_check_reordered(start, chain_is_whole_or_going, 200);
	free(start);
}

/* Who copies it wants it to stay as it is. */
static void a_chain_that_is_kept(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_snapshot(ds, "d", "d.1"), 0);
	assert_int_equal(ds_snapshot(ds, "d", "d.2"), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	ds_file_keep_chain(f, true);
	assert_int_equal(ds_snapshot(ds, "d", "d.3"), -EALREADY);
	assert_int_equal(ds_snapshot_delete(ds, "d.2"), -EALREADY);
	assert_int_equal(ds_snapshot_delete(ds, "d.1"), -EBUSY);
	assert_int_equal(ds_snapshot_revert(ds, "d", "d.1"), -EBUSY);
	assert_string_equal(ds_error_code(-EALREADY), "busy");
	ds_file_keep_chain(f, false);
	assert_int_equal(ds_snapshot(ds, "d", "d.3"), 0);
	assert_int_equal(ds_snapshot_delete(ds, "d.3"), 0);
	ds_close(f);
}

/* A dead host's file is kept as a snapshot; it comes back, and must not write what others read. */
static void a_dead_hosts_file_as_a_snapshot(void **state)
{
	struct datastore *b = dsf_other();
	struct ds_file *f;
	struct blk_seg seg;
	uint8_t buf[512] = { 9 };
	struct blk_req r = { .op = BLK_WRITE, .blocks = 1, .segs = &seg, .nr_segs = 1 };

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 1 << 20, 0), 0);
	ds_beat(ds);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	for (unsigned i = 0; i < 50; i++) {
		fake_now_ns += 20 * 1000000;
		ds_beat(b);
	}
	assert_int_equal(ds_snapshot(b, "d", "s"), 0);
	ds_beat(ds);
	ds_grow_run(ds);
	seg = (struct blk_seg){ .addr = ptr_hpa(buf), .len = 512 };
	assert_int_equal(blk_wait(ds_file_blk(f), &r), -ESTALE);
	ds_close(f);
	ds_detach(b);
}

static void what_is_no_snapshot_of_it(void **state)
{
	struct ds_file *f;
	char name[16];
	int err = 0;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_create(ds, "other", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "other"), -EINVAL);
	/* a chain is not made longer than it can be opened */
	for (unsigned i = 0; i < 40 && !err; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		err = ds_snapshot(ds, "d", name);
	}
	assert_true(err == -EMLINK || err == -ENFILE);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	ds_close(f);
}

/* Several files at one moment: all, or none. */
static void several_or_none(void **state)
{
	struct ds_snap s[3] = { { .ds = ds, .name = "a", .as = "a.s" },
				{ .ds = ds, .name = "b", .as = "b.s" },
				{ .ds = ds, .name = "c", .as = "c.s" } };
	unsigned failed = 9;
	struct ds_file *f;
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "a", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_create(ds, "b", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_open(ds, "a", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_snapshot_all(s, 3, &failed), -ENOENT);
	assert_int_equal(failed, 2);
	assert_int_equal(ds_stat(ds, "a.s", &e), -ENOENT);
	assert_int_equal(ds_create(ds, "b.s", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_snapshot_all(s, 2, &failed), -EEXIST);
	assert_int_equal(failed, 1);
	assert_int_equal(ds_stat(ds, "a.s", &e), -ENOENT);
	assert_int_equal(ds_stat(ds, "a", &e), 0);
	assert_int_equal(e.parent, 0);
	assert_int_equal(ds_remove(ds, "b.s"), 0);
	assert_int_equal(ds_snapshot_all(s, 2, &failed), 0);
	assert_int_equal(ds_stat(ds, "b.s", &e), 0);
	s[1] = s[0];
	assert_int_equal(ds_snapshot_all(s, 2, &failed), -EINVAL); /* twice the same */
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

/* Unfinished ones become whole together, or not at all. */
static void several_at_one_moment(void **state)
{
	const char *const all[] = { "g/a", "g/b", "g/new" }, *const some[] = { "g/b", "g/x" };
	struct ds_entry e;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ds_create(ds, all[i], DS_KIND_PLAIN, 4096, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_finish_all(ds, some, 2, NULL, NULL), -ENOENT);
	assert_int_equal(ds_stat(ds, "g/b", &e), 0);
	assert_int_equal(e.flags, DS_FILE_UNFINISHED);
	assert_int_equal(ds_finish_all(ds, all, 3, "g/a", NULL), -EEXIST);
	assert_int_equal(ds_finish_all(ds, all, 3, "../g", NULL), -EINVAL);
	assert_int_equal(ds_finish_all(ds, all, 3, "g/g.vm", NULL), 0);
	assert_int_equal(ds_stat(ds, "g/new", &e), -ENOENT);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ds_stat(ds, i < 2 ? all[i] : "g/g.vm", &e), 0);
		assert_int_equal(e.flags, 0);
		assert_int_equal(e.lease, DS_LEASE_NONE);
	}
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
		test(a_snapshot_stays_as_it_was),
		test(what_is_promised),
		test(reverting_brings_it_back),
		test(deleting_copies_nothing),
		test(snapshots_of_an_open_file),
		test(what_a_file_has_itself),
		test(a_chain_in_the_making),
		test(removing_what_it_stands_on),
		test(a_chain_survives_any_cut),
		test(a_chain_that_is_kept),
		test(a_dead_hosts_file_as_a_snapshot),
		test(what_is_no_snapshot_of_it),
		test(snapshots_survive_any_cut),
		test(several_or_none),
		test(a_delta_for_a_while),
		test(one_in_anothers_place),
		test(several_at_one_moment),
		test(one_for_another),
		test(its_place_is_never_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
