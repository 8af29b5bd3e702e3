/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Space that comes back: what is discarded, or zeroed with leave to unmap, in whole extents; what
 * stays as it was; deltas, which must not show their parent where their own contents went.
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

#define MIB (1u << 20)

static int ask(const char *name, enum blk_op op, bool unmap, uint64_t at, uint64_t bytes)
{
	struct blk_req r = { .op = op, .block = at / 512, .blocks = bytes / 512, .unmap = unmap };
	struct ds_file *f;
	int err;

	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	err = blk_wait(ds_file_blk(f), &r);
	ds_close(f);
	return err;
}

static int discard(const char *name, uint64_t at, uint64_t bytes)
{
	return ask(name, BLK_DISCARD, false, at, bytes);
}

static int zero(const char *name, bool unmap, uint64_t at, uint64_t bytes)
{
	return ask(name, BLK_WRITE_ZEROES, unmap, at, bytes);
}

static void thin(const char *name, uint64_t bytes, uint64_t seed)
{
	assert_int_equal(ds_create(ds, name, DS_KIND_THIN, bytes, 0), 0);
	assert_int_equal(dsf_write(name, 0, bytes, seed), 0);
}

/* Contents with seed, as written from byte 0 on, in [at, at + bytes). */
static bool kept(const char *name, uint64_t at, size_t bytes, uint64_t seed)
{
	return dsf_has(name, at, bytes, seed + at);
}

static void discarded_extents_come_back(void **state)
{
	uint64_t before = dsf_free_bytes();

	disk.dev.geo.max_discard_blocks = 1000;
	dsf_again();
	thin("t", 8 * MIB, 3);
	/* From the middle of an extent to the middle of another: the five between. */
	assert_int_equal(discard("t", MIB + 512, 6 * MIB), 0);
	assert_int_equal(dsf_backed("t"), 3);
	assert_int_equal(before - dsf_free_bytes(), 3 * MIB);
	dsf_again();
	assert_int_equal(dsf_backed("t"), 3);
	assert_true(kept("t", 0, MIB + 512, 3));
	assert_true(dsf_has("t", 2 * MIB, 5 * MIB, 0));
	assert_true(kept("t", 7 * MIB + 512, MIB - 512, 3));
	/* Once more, over what is there no more; then what is left. */
	assert_int_equal(discard("t", 0, 8 * MIB), 0);
	assert_int_equal(dsf_free_bytes(), before);
	assert_true(dsf_has("t", 0, 8 * MIB, 0));
	/* Others may have the extents; this one gets zeroed ones again. */
	thin("u", 4 * MIB, 9);
	assert_int_equal(dsf_write("t", 3 * MIB, 512, 5), 0);
	assert_true(dsf_has("t", 3 * MIB + 512, MIB - 512, 0));
	assert_true(kept("u", 0, 4 * MIB, 9));
}

/* A last extent that the file has a part of. */
static void discarded_end(void **state)
{
	uint64_t before = dsf_free_bytes();

	thin("t", 2 * MIB + 4096, 3);
	assert_int_equal(discard("t", 2 * MIB, 2048), 0);
	assert_int_equal(dsf_backed("t"), 3);
	assert_int_equal(discard("t", 2 * MIB, 4096), 0);
	assert_int_equal(dsf_backed("t"), 2);
	assert_int_equal(discard("t", 0, 2 * MIB + 4096), 0);
	assert_int_equal(dsf_free_bytes(), before);
}

static void flat_files_keep_their_extents(void **state)
{
	assert_int_equal(ds_create(ds, "f", DS_KIND_FLAT, 4 * MIB, 0), 0);
	assert_int_equal(dsf_write("f", 0, 4 * MIB, 3), 0);
	assert_int_equal(discard("f", 0, 2 * MIB), 0);
	assert_int_equal(zero("f", true, 2 * MIB, 2 * MIB), 0);
	assert_int_equal(dsf_backed("f"), 4);
	assert_true(dsf_has("f", 2 * MIB, 2 * MIB, 0));
}

static void zeroes(void)
{
	thin("t", 4 * MIB, 3);
	assert_int_equal(zero("t", false, 512, 2 * MIB), 0);
	assert_int_equal(dsf_backed("t"), 4);
	assert_true(kept("t", 0, 512, 3));
	assert_true(dsf_has("t", 512, 2 * MIB, 0));
	assert_true(kept("t", 2 * MIB + 512, MIB, 3));
	assert_int_equal(zero("t", true, 2 * MIB - 512, 2 * MIB), 0);
	assert_int_equal(dsf_backed("t"), 3);
	assert_true(dsf_has("t", 512, 4 * MIB - 1024, 0));
	assert_true(kept("t", 4 * MIB - 512, 512, 3));
	/* Zeros in a hole need no space. */
	assert_int_equal(ds_create(ds, "h", DS_KIND_THIN, 64 * MIB, 0), 0);
	assert_int_equal(zero("h", false, 512, 60 * MIB), 0);
	assert_int_equal(dsf_backed("h"), 0);
}

static void zeroes_by_the_device(void **state)
{
	zeroes();
}

static void zeroes_by_writes(void **state)
{
	disk.dev.geo.max_zeroes_blocks = 0;
	dsf_again();
	zeroes();
}

/* ---- deltas ---- */

static void a_delta_does_not_show_its_parent(void **state)
{
	thin("t", 6 * MIB, 3);
	assert_int_equal(ds_snapshot(ds, "t", "snap"), 0);
	assert_int_equal(dsf_write("t", 0, 3 * MIB, 5), 0);
	assert_int_equal(discard("t", MIB, MIB), 0);
	assert_int_equal(zero("t", true, 3 * MIB, 2 * MIB), 0); /* holes, until now */
	assert_int_equal(dsf_backed("t"), 2);
	dsf_again();
	assert_true(kept("t", 0, MIB, 5));
	assert_true(dsf_has("t", MIB, MIB, 0));
	assert_true(kept("t", 2 * MIB, MIB, 5));
	assert_true(dsf_has("t", 3 * MIB, 2 * MIB, 0));
	assert_true(kept("t", 5 * MIB, MIB, 3));
	/* What is written there has zeros around it, nothing of the parent's. */
	assert_int_equal(dsf_write("t", MIB + 4096, 512, 7), 0);
	assert_true(dsf_has("t", MIB, 4096, 0));
	assert_true(dsf_has("t", MIB + 4608, MIB - 4608, 0));
	/* Discarded in the delta, a hole of it shows what is below as before. */
	assert_int_equal(discard("t", 5 * MIB, MIB), 0);
	assert_true(kept("t", 5 * MIB, MIB, 3));
	assert_true(kept("snap", 0, 6 * MIB, 3));
}

static void merging_frees_what_zeros_hide(void **state)
{
	uint64_t before = dsf_free_bytes();

	assert_int_equal(ds_create(ds, "t", DS_KIND_FLAT, 4 * MIB, 0), 0);
	assert_int_equal(dsf_write("t", 0, 4 * MIB, 3), 0);
	assert_int_equal(ds_snapshot(ds, "t", "one"), 0);
	assert_int_equal(zero("t", true, 0, 2 * MIB), 0);
	assert_int_equal(ds_snapshot(ds, "t", "two"), 0);
	assert_int_equal(dsf_write("t", MIB, MIB, 5), 0);
	assert_int_equal(ds_snapshot_delete(ds, "two"), 0); /* its zeros move up */
	assert_true(dsf_has("t", 0, MIB, 0));
	assert_int_equal(ds_snapshot_delete(ds, "one"), 0);
	assert_true(dsf_has("t", 0, MIB, 0));
	assert_true(dsf_has("t", MIB, MIB, 5));
	assert_true(kept("t", 2 * MIB, 2 * MIB, 3));
	assert_int_equal(before - dsf_free_bytes(), 3 * MIB);
	assert_int_equal(dsf_findings(), 0);
	assert_int_equal(dsf_write("t", 0, 512, 8), 0);
	assert_true(dsf_has("t", 512, MIB - 512, 0));
}

static int resize(const char *name, uint64_t bytes)
{
	struct ds_file *f;
	int err;

	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	err = ds_resize(f, bytes);
	ds_close(f);
	return err;
}

static void a_delta_that_shrank_and_grew(void **state)
{
	thin("t", 5 * MIB, 3);
	assert_int_equal(ds_snapshot(ds, "t", "snap"), 0);
	assert_int_equal(dsf_write("t", 3 * MIB, MIB, 5), 0);
	assert_int_equal(resize("t", MIB + 8192), 0);
	assert_int_equal(resize("t", 7 * MIB), 0);
	assert_true(kept("t", 0, MIB + 8192, 3));
	assert_true(dsf_has("t", MIB + 8192, 6 * MIB - 8192, 0));
	dsf_again();
	assert_true(kept("t", 0, MIB + 8192, 3));
	assert_true(dsf_has("t", MIB + 8192, 6 * MIB - 8192, 0));
	assert_int_equal(ds_snapshot_delete(ds, "snap"), 0);
	assert_true(kept("t", 0, MIB + 8192, 3));
	assert_true(dsf_has("t", MIB + 8192, 6 * MIB - 8192, 0));
}

/* ---- who is under way ---- */

static struct blk_req *under_way;
static uint64_t free_before;

static void write_ends(struct blk_req *r)
{
	r->user = NULL;
}

/* The grower sleeps: for the write, and the extent is still the file's. */
static void let_it_end(void)
{
	assert_non_null(under_way);
	assert_ptr_equal(under_way->user, &under_way);
	fake_disk_release(&disk);
}

/* Extents are another's only when nobody writes to them any more. */
static void requests_of_before_end_first(void **state)
{
	struct blk_req d = { .op = BLK_DISCARD, .blocks = MIB / 512 }, w;
	uint8_t *buf = calloc(1, 4096);
	struct blk_seg seg = { .addr = ptr_hpa(buf), .len = 4096 };
	void (*idle)(void) = fake_idle;
	struct ds_file *f;

	thin("t", 2 * MIB, 3);
	assert_int_equal(ds_open(ds, "t", DS_OPEN_WRITE, &f), 0);
	w = (struct blk_req){ .op = BLK_WRITE,
			      .blocks = 8,
			      .segs = &seg,
			      .nr_segs = 1,
			      .done = write_ends,
			      .user = &under_way };
	fake_disk_hold(&disk);
	blk_submit(ds_file_blk(f), &w);
	assert_ptr_equal(w.user, &under_way);
	under_way = &w;
	free_before = dsf_backed("t");
	d.done = write_ends;
	d.user = &d;
	blk_submit(ds_file_blk(f), &d);
	fake_idle = let_it_end;
	ds_grow_run(ds);
	fake_idle = idle;
	assert_null(w.user);
	assert_null(d.user);
	assert_int_equal(dsf_backed("t"), free_before - 1);
	ds_close(f);
	free(buf);
}

/* Somebody reads it by itself and has its runs: nothing is given away below him. */
static void not_while_it_is_read(void **state)
{
	struct ds_file *reader;

	thin("t", 2 * MIB, 3);
	assert_int_equal(ds_open(ds, "t", DS_OPEN_READ, &reader), 0);
	assert_int_equal(zero("t", true, 0, 2 * MIB), 0);
	assert_int_equal(dsf_backed("t"), 2);
	assert_true(dsf_has("t", 0, 2 * MIB, 0));
	ds_close(reader);
	assert_int_equal(zero("t", true, 0, 2 * MIB), 0);
	assert_int_equal(dsf_backed("t"), 0);
}

/* More runs than one transaction takes; a run is cut in the middle each time. */
static void many_pieces(void **state)
{
	uint64_t before = dsf_free_bytes();

	thin("t", 20 * MIB, 3);
	for (uint64_t i = 0; i < 20; i += 2)
		assert_int_equal(discard("t", i * MIB, MIB), 0);
	assert_int_equal(dsf_backed("t"), 10);
	for (uint64_t i = 0; i < 20; i++)
		assert_true(i % 2 ? kept("t", i * MIB, MIB, 3) : dsf_has("t", i * MIB, MIB, 0));
	assert_int_equal(discard("t", 0, 20 * MIB), 0);
	assert_int_equal(dsf_free_bytes(), before);
}

/* What is said to be zero is so on the disk too, whichever request of a try before failed. */
static void zeroes_after_a_failure(void **state)
{
	struct blk_req z = { .op = BLK_WRITE_ZEROES, .blocks = 2 * MIB / 512, .unmap = true };
	unsigned failures = 0;
	struct ds_file *f;
	int err = -EIO;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 2 * MIB, 0), 0);
	for (int n = 0; err; n++) {
		assert_int_equal(dsf_write("t", 0, 2 * MIB, 3), 0);
		assert_int_equal(ds_open(ds, "t", DS_OPEN_WRITE, &f), 0);
		disk.fail_after = n;
		disk.fail_with = -EIO;
		err = blk_wait(ds_file_blk(f), &z);
		disk.fail_after = -1;
		failures += err != 0;
		assert_int_equal(blk_wait(ds_file_blk(f), &z), 0);
		ds_close(f);
		assert_true(dsf_has("t", 0, 2 * MIB, 0));
	}
	assert_true(failures > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(discarded_extents_come_back),
		test(discarded_end),
		test(flat_files_keep_their_extents),
		test(zeroes_by_the_device),
		test(zeroes_by_writes),
		test(a_delta_does_not_show_its_parent),
		test(merging_frees_what_zeros_hide),
		test(a_delta_that_shrank_and_grew),
		test(requests_of_before_end_first),
		test(not_while_it_is_read),
		test(many_pieces),
		test(zeroes_after_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
