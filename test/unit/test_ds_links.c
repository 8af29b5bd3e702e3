/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains of snapshots of a datastore's file, and files that are made into one: in the making,
 * removed from below, kept, taken of several files at one moment; after any power cut a chain is
 * whole or going.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_chain_in_the_making),
		test(removing_what_it_stands_on),
		test(a_chain_survives_any_cut),
		test(a_chain_that_is_kept),
		test(a_dead_hosts_file_as_a_snapshot),
		test(what_is_no_snapshot_of_it),
		test(several_or_none),
		test(several_at_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
