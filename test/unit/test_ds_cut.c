/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datastore after a power cut at any moment: the metadata agree, and what was there
 * before is untouched.
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

static bool workload_agrees(void)
{
	struct ds_entry e;
	int kept = ds_stat(ds, "kept", &e);

	/* what was there before is untouched, what is there now is whole */
	if (kept || !dsf_has("kept", 0, 1 << 20, 11))
		return false;
	if (!ds_stat(ds, "thin", &e) && !dsf_has("thin", 0, 512, 3) && !dsf_has("thin", 0, 512, 0))
		return false;
	if (!ds_stat(ds, "flat", &e) && e.backed_bytes != 2 << 20)
		return false;
	return true;
}

static void nothing_is_lost_at_any_cut(void **state)
{
	uint8_t *start;

	assert_int_equal(ds_create(ds, "kept", DS_KIND_FLAT, 1 << 20, 0), 0);
	assert_int_equal(dsf_write("kept", 0, 1 << 20, 11), 0);
	assert_int_equal(ds_create(ds, "gone", DS_KIND_FLAT, 2 << 20, 0), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_create(ds, "thin", DS_KIND_THIN, 64 << 20, 0), 0);
	assert_int_equal(dsf_write("thin", 0, 512, 3), 0);
	assert_int_equal(ds_create(ds, "flat", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(ds_rename(ds, "thin", "thin2"), 0);
	assert_int_equal(ds_rename(ds, "thin2", "thin"), 0);
	assert_int_equal(ds_remove(ds, "gone"), 0);
	disk.recording = false;
	assert_true(disk.nr_log > 40);
	dsf_check_prefixes(start, workload_agrees);
	dsf_check_reordered(start, workload_agrees, 150);
	free(start);
}

/* ---- space that goes from file to file ---- */

#define MIB (1u << 20)
#define OLD 11u	  /* seeds of contents: a discarded file's, */
#define BELOW 21u /* a parent's, */
#define ABOVE 31u /* its delta's, */
#define NEW 41u	  /* and what is written to whoever got the space. */

/* Each sector of an extent is of one of these, or zeros. */
static bool is_of(const char *name, uint64_t extent, uint64_t seed, uint64_t other)
{
	static uint8_t buf[MIB], want[2][MIB], zeros[512];
	struct ds_file *f;
	bool ok = true;

	dsf_fill(want[0], MIB, seed + extent * MIB);
	dsf_fill(want[1], MIB, (other ? other : seed) + extent * MIB);
	assert_int_equal(ds_open(ds, name, DS_OPEN_READ, &f), 0);
	assert_int_equal(
		blk_transfer(ds_file_blk(f), BLK_READ, extent * (MIB / 512), MIB / 512, buf), 0);
	ds_close(f);
	for (unsigned at = 0; at < MIB && ok; at += 512)
		ok = !memcmp(buf + at, zeros, 512) || !memcmp(buf + at, want[0] + at, 512) ||
		     !memcmp(buf + at, want[1] + at, 512);
	return ok;
}

/* Never what was another file's, nor what a parent has where the delta's own is gone. */
static bool space_agrees(void)
{
	struct ds_entry e;

	for (unsigned i = 0; i < 3; i++)
		if (!is_of("old", i, OLD, 0))
			return false;
	if (!dsf_has("old", 3 * MIB, MIB, OLD + 3 * MIB))
		return false;
	if (!is_of("delta", 0, ABOVE, 0) || !is_of("delta", 1, BELOW, 0))
		return false;
	for (unsigned i = 0; i < 4; i++)
		if (!ds_stat(ds, "new", &e) && !is_of("new", i, NEW, 0))
			return false;
	return true;
}

static int give_back(const char *name, enum blk_op op, uint64_t bytes)
{
	struct blk_req r = { .op = op, .blocks = bytes / 512, .unmap = true };
	struct ds_file *f;
	int err;

	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	err = blk_wait(ds_file_blk(f), &r);
	ds_close(f);
	return err;
}

/* Files whose extents hold something, and none that is free holds zeros. */
static void make_files(void)
{
	assert_int_equal(ds_create(ds, "dirt", DS_KIND_THIN, 64ull << 20, 0), 0);
	for (uint64_t i = 0; !dsf_write("dirt", i * MIB, MIB, 77); i++)
		;
	assert_int_equal(ds_remove(ds, "dirt"), 0);
	assert_int_equal(ds_create(ds, "old", DS_KIND_THIN, 4 * MIB, 0), 0);
	assert_int_equal(dsf_write("old", 0, 4 * MIB, OLD), 0);
	assert_int_equal(ds_create(ds, "delta", DS_KIND_THIN, 2 * MIB, 0), 0);
	assert_int_equal(dsf_write("delta", 0, 2 * MIB, BELOW), 0);
	assert_int_equal(ds_snapshot(ds, "delta", "below"), 0);
	assert_int_equal(dsf_write("delta", 0, MIB, ABOVE), 0);
}

/* By what is missing too: a flush between an extent's zeros and the record that shows them. */
static void space_shows_nothing_of_others_at_any_cut(void **state)
{
	uint8_t *start;

	make_files();
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(give_back("old", BLK_DISCARD, 2 * MIB), 0);
	assert_int_equal(give_back("delta", BLK_WRITE_ZEROES, MIB), 0);
	assert_int_equal(ds_create(ds, "new", DS_KIND_THIN, 4 * MIB, 0), 0);
	ds->rotor = 0; /* the extents that have just become free */
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(dsf_write("new", i * MIB + 4096, 4096, NEW + i * MIB + 4096), 0);
	assert_int_equal(dsf_write("old", MIB, 512, OLD + MIB), 0);
	disk.recording = false;
	dsf_check_directed(start, space_agrees);
	dsf_check_reordered(start, space_agrees, 40);
	free(start);
}

/* ---- a flat file that is not zeroed before it is written ---- */

static bool bare_agrees(void)
{
	struct ds_entry e;
	int err = ds_stat(ds, "bare", &e);

	if (err)
		return err == -ENOENT;
	return !(e.flags & DS_FILE_UNFINISHED) && dsf_has("bare", 0, 2 * MIB, NEW) &&
	       dsf_has("bare", 2 * MIB, MIB, 0);
}

static void write_bare(void)
{
	struct blk_req zeros = {
		.op = BLK_WRITE_ZEROES, .block = 2 * MIB / 512, .blocks = MIB / 512, .unmap = true
	};
	struct ds_file *f;

	assert_int_equal(dsf_write("bare", 0, 2 * MIB, NEW), 0);
	assert_int_equal(ds_open(ds, "bare", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(blk_wait(ds_file_blk(f), &zeros), 0);
	ds_close(f);
	assert_int_equal(ds_finish(ds, "bare"), 0);
}

/* As its maker sees it; nobody reads it. */
static bool is_old_to_its_maker(uint64_t at)
{
	static uint8_t buf[MIB], want[MIB];
	struct ds_file *f;

	dsf_fill(want, MIB, OLD);
	assert_int_equal(ds_open(ds, "bare", DS_OPEN_READ, &f), -EBUSY);
	assert_int_equal(ds_open(ds, "bare", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, at / 512, MIB / 512, buf), 0);
	ds_close(f);
	return !memcmp(buf, want, MIB);
}

/* What its extents had before is to be read in no file that counts. */
static void a_bare_file_is_written_or_is_not_there(void **state)
{
	uint64_t all = dsf_free_bytes();
	uint8_t *start;

	assert_int_equal(ds_create(ds, "dirt", DS_KIND_FLAT, all, 0), 0);
	for (uint64_t at = 0; at < all; at += MIB)
		assert_int_equal(dsf_write("dirt", at, MIB, OLD), 0);
	assert_int_equal(ds_remove(ds, "dirt"), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_create_bare(ds, "bare", 3 * MIB), 0);
	for (unsigned at = 0; at < 3 * MIB; at += MIB)
		assert_true(is_old_to_its_maker(at)); /* nothing was spent on it */
	write_bare();
	assert_true(bare_agrees());
	disk.recording = false;
	dsf_check_directed(start, bare_agrees);
	dsf_check_reordered(start, bare_agrees, 60);
	free(start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(nothing_is_lost_at_any_cut),
		test(space_shows_nothing_of_others_at_any_cut),
		test(a_bare_file_is_written_or_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
