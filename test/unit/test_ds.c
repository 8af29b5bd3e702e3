/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datastore on a disk in memory: files and their contents, what fails, what the
 * check finds and mends.
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

#include "kernel/lib/crc32c.h"
#include "test/unit/ds_fixture.h"

#define MIB (1u << 20)

/* ---- sums ---- */

static void crc_is_the_known_one(void **state)
{
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

/* ---- files ---- */

static void names(void **state)
{
	assert_true(ds_name_ok("vm/root.disk"));
	assert_true(ds_name_ok("a"));
	assert_false(ds_name_ok(""));
	assert_false(ds_name_ok("/a"));
	assert_false(ds_name_ok("a/"));
	assert_false(ds_name_ok("a//b"));
	assert_false(ds_name_ok("a/../b"));
	assert_false(ds_name_ok(".hidden"));
	assert_false(ds_name_ok("a b"));
}

static void flat_file_keeps_its_contents(void **state)
{
	uint64_t before = dsf_free_bytes();

	assert_int_equal(ds_create(ds, "vm/root.disk", DS_KIND_FLAT, 3 << 20, 0), 0);
	assert_int_equal(before - dsf_free_bytes(), 3 << 20);
	assert_true(dsf_has("vm/root.disk", 0, 3 << 20, 0));
	/* across two extents, more than a request takes */
	assert_int_equal(dsf_write("vm/root.disk", (1 << 20) - 4096, 1 << 20, 7), 0);
	dsf_again();
	assert_true(dsf_has("vm/root.disk", (1 << 20) - 4096, 1 << 20, 7));
	assert_true(dsf_has("vm/root.disk", 0, (1 << 20) - 4096, 0));
	assert_int_equal(ds_create(ds, "vm/root.disk", DS_KIND_FLAT, 1, 0), -EEXIST);
	assert_int_equal(ds_remove(ds, "vm/root.disk"), 0);
	assert_int_equal(dsf_free_bytes(), before);
	assert_int_equal(ds_remove(ds, "vm/root.disk"), -ENOENT);
}

static void thin_file_grows_where_it_is_written(void **state)
{
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 100ull << 20, 0), 0);
	assert_true(dsf_has("t", 50 << 20, 1 << 20, 0));
	assert_int_equal(ds_stat(ds, "t", &e), 0);
	assert_int_equal(e.backed_bytes, 0);
	assert_int_equal(dsf_write("t", (50 << 20) + 512, 512, 9), 0);
	assert_int_equal(ds_stat(ds, "t", &e), 0);
	assert_int_equal(e.backed_bytes, 1 << 20);
	dsf_again();
	assert_true(dsf_has("t", (50 << 20) + 512, 512, 9));
	assert_true(dsf_has("t", 50 << 20, 512, 0));
	assert_true(dsf_has("t", (50 << 20) + 1024, (1 << 20) - 1024, 0));
}

/* Zeros but for two pieces, and an end within a block; breaks off before byte `fails`. */
struct import_from {
	uint64_t fails, asked;
};

static int import_read(void *user, uint64_t at, size_t bytes, void *buf)
{
	struct import_from *i = user;

	assert_int_equal(at, i->asked);
	i->asked += bytes;
	if (i->asked > i->fails)
		return -EPIPE;
	memset(buf, 0, bytes);
	if (at == 0 || at == 5 << 20)
		dsf_fill(buf, bytes & ~7ul, 21);
	return 0;
}

static void an_import_is_whole_or_is_not_there(void **state)
{
	struct import_from i = { .fails = UINT64_MAX };
	struct ds_source from = { .size = (8 << 20) + 100, .read = import_read, .user = &i };
	uint64_t before = dsf_free_bytes();
	struct ds_entry e;

	assert_int_equal(ds_import(ds, "in", DS_KIND_THIN, &from), 0);
	assert_int_equal(i.asked, from.size);
	assert_int_equal(ds_stat(ds, "in", &e), 0);
	assert_int_equal(e.size, from.size);
	assert_false(e.flags & DS_FILE_UNFINISHED);
	assert_int_equal(e.backed_bytes, 2 << 20); /* zeros stay holes */
	assert_true(dsf_has("in", 0, 64 << 10, 21));
	assert_true(dsf_has("in", 1 << 20, 4 << 20, 0));
	assert_true(dsf_has("in", 5 << 20, 64 << 10, 21));
	assert_int_equal(ds_import(ds, "in", DS_KIND_THIN, &from), -EEXIST);
	i = (struct import_from){ .fails = 6 << 20 };
	assert_int_equal(ds_import(ds, "half", DS_KIND_THIN, &from), -EPIPE);
	assert_int_equal(ds_stat(ds, "half", &e), -ENOENT);
	assert_int_equal(ds_remove(ds, "in"), 0);
	assert_int_equal(dsf_free_bytes(), before);
}

static void extents_are_zeroed_before_others_see_them(void **state)
{
	assert_int_equal(ds_create(ds, "old", DS_KIND_FLAT, 15 << 20, 0), 0);
	assert_int_equal(dsf_write("old", 0, 15 << 20, 5), 0);
	assert_int_equal(ds_remove(ds, "old"), 0);
	assert_int_equal(ds_create(ds, "new", DS_KIND_THIN, 30 << 20, 0), 0);
	for (uint64_t i = 0; i < 15; i++) {
		assert_int_equal(dsf_write("new", i * 2 << 20, 512, 3), 0);
		assert_true(dsf_has("new", (i * 2 << 20) + 512, (1 << 20) - 512, 0));
	}
}

static uint32_t writes_for(struct ds_file *f, uint64_t promise)
{
	static uint8_t buf[MIB];

	dsf_fill(buf, sizeof(buf), 7);
	ds_file_promise(f, 0, promise);
	fake_disk_record(&disk);
	for (uint64_t at = 0; at < 16; at++)
		assert_int_equal(
			blk_transfer(ds_file_blk(f), BLK_WRITE, at * MIB / 512, MIB / 512, buf), 0);
	return disk.nr_log;
}

/*
 * Who writes all of an unfinished file gets many extents at a time, not zeroed before; but not
 * where it has discarded some, nor when the promise is over.
 */
static void what_is_written_whole_is_not_zeroed(void **state)
{
	struct blk_req gone = { .op = BLK_DISCARD, .block = 0, .blocks = MIB / 512 };
	uint32_t zeroed = 0, promised = 0;
	uint8_t buf[512];
	struct ds_file *f;

	dsf_fill(buf, sizeof(buf), 1);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ds_create(ds, "new", DS_KIND_THIN, 20 * MIB, DS_FILE_UNFINISHED),
				 0);
		assert_int_equal(ds_open(ds, "new", DS_OPEN_WRITE, &f), 0);
		*(i ? &promised : &zeroed) = writes_for(f, i ? 20 * MIB : 0);
		if (!i) {
			ds_close(f);
			assert_int_equal(ds_remove(ds, "new"), 0);
		}
	}
	assert_true(promised * 3 < zeroed * 2);
	assert_int_equal(blk_wait(ds_file_blk(f), &gone), 0);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, 0, 1, buf), 0);
	ds_close(f);
	assert_int_equal(ds_finish(ds, "new"), 0);
	assert_true(dsf_has("new", 0, 512, 1));
	assert_true(dsf_has("new", 512, MIB - 512, 0));
	assert_true(dsf_has("new", MIB, MIB, 7));
}

static void ended(struct blk_req *r)
{
	++*(unsigned *)r->user;
}

/* Writes of the disk for so many of the file's, all in one hole and all under way at once. */
static uint32_t writes_in_a_hole(unsigned n)
{
	static uint8_t buf[4096];
	struct blk_seg seg = { .addr = ptr_hpa(buf), .len = sizeof(buf) };
	struct blk_req r[8];
	struct ds_file *f;
	unsigned done = 0;

	assert_int_equal(ds_create(ds, "new", DS_KIND_THIN, 4 * MIB, 0), 0);
	assert_int_equal(ds_open(ds, "new", DS_OPEN_WRITE, &f), 0);
	fake_disk_record(&disk);
	for (unsigned i = 0; i < n; i++) {
		r[i] = (struct blk_req){ .op = BLK_WRITE,
					 .block = 8ull * i,
					 .blocks = 8,
					 .segs = &seg,
					 .nr_segs = 1,
					 .done = ended,
					 .user = &done };
		blk_submit(ds_file_blk(f), &r[i]);
	}
	ds_grow_run(ds);
	assert_int_equal(done, n);
	disk.recording = false;
	ds_close(f);
	assert_int_equal(ds_remove(ds, "new"), 0);
	return disk.nr_log;
}

/* One transaction for all of them. */
static void a_hole_is_filled_once(void **state)
{
	assert_int_equal(writes_in_a_hole(8), writes_in_a_hole(1) + 7);
}

static void a_full_datastore_fails_the_write_alone(void **state)
{
	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 100ull << 20, 0), 0);
	for (uint64_t i = 0; dsf_free_bytes(); i += 2)
		assert_int_equal(dsf_write("t", i << 20, 512, 1), 0);
	assert_int_equal(dsf_write("t", 99 << 20, 512, 1), -ENOSPC);
	assert_true(dsf_has("t", 0, 512, 1));
	assert_int_equal(ds_create(ds, "f", DS_KIND_FLAT, 1 << 20, 0), -ENOSPC);
	assert_int_equal(ds_create(ds, "p", DS_KIND_PLAIN, 1 << 20, 0), 0);
}

/* Every other extent: more runs than the file's own block has. */
static void many_runs(void **state)
{
	struct ds_runs r = { .run = NULL };
	const struct ds_inode *n;
	uint32_t index, physical, count;
	int err;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 4000ull << 20, 0), 0);
	assert_int_equal(ds_begin(ds), 0);
	n = ds_lookup(ds, "t", &index, &err);
	assert_non_null(n);
	for (uint32_t i = 0; i < 700;
	     i++) /* not taken from the map: this looks at the chain alone */
		assert_int_equal(ds_runs_add(&r, 2 * i, ds->super.first_extent + i % 8, 1), 0);
	assert_int_equal(ds_runs_store(ds, index, &r), 0);
	ds_runs_fini(&r);
	n = ds_lookup(ds, "t", &index, &err);
	assert_int_equal(ds_runs_load(ds, n, &r), 0);
	assert_int_equal(r.nr, 700);
	assert_true(ds_runs_find(&r, 1398, &physical, &count));
	assert_int_equal(physical, ds->super.first_extent + 699 % 8);
	assert_false(ds_runs_find(&r, 1397, &physical, &count));
	assert_int_equal(count, 1);
	r.nr = 3;
	assert_int_equal(ds_runs_store(ds, index, &r), 0);
	ds_runs_fini(&r);
	n = ds_lookup(ds, "t", &index, &err);
	assert_int_equal(n->next, DS_NONE);
	ds_abort(ds);
}

static void resize(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 4 << 20, 0), 0);
	assert_int_equal(dsf_write("t", 0, 4 << 20, 4), 0);
	assert_int_equal(ds_open(ds, "t", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_resize(f, (1 << 20) + 4096), 0);
	assert_int_equal(ds_file_blk(f)->geo.blocks, ((1 << 20) + 4096) / 512);
	assert_int_equal(ds_resize(f, 4 << 20), 0);
	ds_close(f);
	assert_true(dsf_has("t", 0, (1 << 20) + 4096, 4));
	assert_true(dsf_has("t", (1 << 20) + 4096, (3 << 20) - 4096, 0));
}

static void rename_keeps_names_apart(void **state)
{
	assert_int_equal(ds_create(ds, "x", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(ds_create(ds, "y", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(ds_rename(ds, "x", "y"), -EEXIST);
	assert_int_equal(ds_rename(ds, "z", "w"), -ENOENT);
	assert_int_equal(ds_rename(ds, "x", "vm/x"), 0);
	dsf_again();
	assert_int_equal(ds_rename(ds, "vm/x", "x"), 0);
}

/* Who has it open finds it by its name: a VM that runs, and what moves its disks. */
static void rename_leaves_open_files(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "x", DS_KIND_THIN, 4096, 0), 0);
	assert_int_equal(ds_open(ds, "x", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_rename(ds, "x", "y"), -EBUSY);
	assert_int_equal(ds_rename_held(f, "x", "y"), 0);
	ds_close(f);
	assert_int_equal(ds_open(ds, "y", DS_OPEN_READ, &f), 0);
	assert_int_equal(ds_rename(ds, "y", "x"), -EBUSY);
	ds_close(f);
	assert_int_equal(ds_rename(ds, "y", "x"), 0);
}

/* ---- errors and damage ---- */

static void a_failing_disk_leaves_old_or_new(void **state)
{
	struct ds_entry e;

	for (int n = 0; n < 40; n++) {
		int err;

		disk.fail_after = n;
		err = ds_create(ds, "x", DS_KIND_PLAIN, 4096, 0);
		disk.fail_after = -1;
		ds_beat(ds);
		if (ds_stat(ds, "x", &e) == 0)
			assert_int_equal(ds_remove(ds, "x"), 0);
		else
			assert_int_not_equal(err, 0);
	}
}

static void repair_mends_what_it_finds(void **state)
{
	struct ds_check c = { .repair = true };
	uint64_t root, map, log;

	assert_int_equal(ds_create(ds, "f", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(dsf_write("f", 0, 2 << 20, 6), 0);
	root = ds->super.root_block * DS_BLOCK;
	map = ds->super.map_block * DS_BLOCK;
	log = ds->super.log_block * DS_BLOCK;
	dsf_unmount();
	/* the log would put them back */
	memset(disk.bytes + log, 0, 2 * DS_MAX_LOG_BLOCKS * DS_BLOCK);
	disk.bytes[root + 100] ^= 1;
	disk.bytes[map + 200] ^= 1;
	disk.bytes[DS_SUPER_BLOCK * DS_BLOCK + 60] ^= 1;
	assert_true(dsf_findings() >= 3);
	assert_int_equal(ds_check(&disk.dev, &c), 0);
	assert_true(c.mended >= 3);
	assert_int_equal(dsf_findings(), 0);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	assert_true(dsf_has("f", 0, 2 << 20, 6));
}

/* The log holds the root as it was before: nobody may take it from there again. */
static void what_is_mended_stays_so(void **state)
{
	struct ds_check c = { .repair = true };
	uint64_t at = ds->super.table_block;
	struct ds_inode *n = (struct ds_inode *)(disk.bytes + at * DS_BLOCK);
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_create(ds, "g", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_create(ds, "h", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_string_equal(n->name, "f");
	n->id = 1000;
	ds_seal(ds, n, DS_MAGIC_FILE, at, n->head.sequence, DS_BLOCK);
	dsf_unmount();
	assert_int_equal(dsf_findings(), 1);
	assert_int_equal(ds_check(&disk.dev, &c), 0);
	assert_int_equal(c.mended, 1);
	assert_int_equal(dsf_findings(), 0);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	assert_int_equal(ds_create(ds, "i", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(ds_stat(ds, "i", &e), 0);
	assert_int_equal(e.id, 1001);
}

static void debris_goes_at_the_next_mount(void **state)
{
	struct ds_entry e;
	uint64_t before = dsf_free_bytes();

	assert_int_equal(ds_create(ds, "half", DS_KIND_FLAT, 2 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_stat(ds, "half", &e), 0);
	dsf_again();
	assert_int_equal(ds_stat(ds, "half", &e), -ENOENT);
	assert_int_equal(dsf_free_bytes(), before);
	assert_int_equal(ds_create(ds, "whole", DS_KIND_FLAT, 2 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_finish(ds, "whole"), 0);
	dsf_again();
	assert_int_equal(ds_stat(ds, "whole", &e), 0);
}

static void what_is_no_datastore(void **state)
{
	const uint64_t blocks = disk.dev.geo.blocks;
	struct datastore *x;
	char name[32];

	dsf_unmount();
	assert_int_equal(ds_probe(&disk.dev, name), 0);
	assert_string_equal(name, "ds1");
	disk.bytes[DS_SUPER_BLOCK * DS_BLOCK + 42] = 9; /* a later version, badly summed */
	assert_int_equal(ds_probe(&disk.dev, name), 0); /* by its copy */
	memset(disk.bytes + DS_SUPER_BLOCK * DS_BLOCK, 0, DS_BLOCK);
	assert_int_equal(ds_probe(&disk.dev, name), -ENOENT);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &x), -ENOENT);
	disk.dev.geo.blocks = (2 << 20) / disk.dev.geo.block_bytes;
	assert_int_equal(ds_format(&disk.dev, &options), -ERANGE); /* not as one that is full */
	assert_non_null(strstr(ds_error_text(-ERANGE), "too small"));
	disk.dev.geo.blocks = blocks;
	assert_int_equal(ds_format(&disk.dev, &options), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_the_known_one),
		cmocka_unit_test(names),
		test(flat_file_keeps_its_contents),
		test(thin_file_grows_where_it_is_written),
		test(an_import_is_whole_or_is_not_there),
		test(extents_are_zeroed_before_others_see_them),
		test(what_is_written_whole_is_not_zeroed),
		test(a_hole_is_filled_once),
		test(a_full_datastore_fails_the_write_alone),
		test(many_runs),
		test(resize),
		test(rename_keeps_names_apart),
		test(rename_leaves_open_files),
		test(a_failing_disk_leaves_old_or_new),
		test(repair_mends_what_it_finds),
		test(what_is_mended_stays_so),
		test(debris_goes_at_the_next_mount),
		test(what_is_no_datastore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
