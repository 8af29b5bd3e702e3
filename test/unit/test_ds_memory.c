/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a guest that meet a host without memory: they wait for it. The runs of files are what
 * gets none here.
 */
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_[a-hj-z]*.c kernel/store/ds_io.c
// SOURCES: test/unit/fake_disk.c test/unit/ds_fixture.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned refusals; /* that come next */

static void *scarce(void *old, size_t bytes)
{
	if (!refusals)
		return realloc(old, bytes);
	refusals--;
	return NULL;
}

/* The source under test, with that memory. */
#define realloc scarce
#include "kernel/store/ds_inode.c"
#undef realloc

#include <tern/page.h>

#include "test/unit/ds_fixture.h"

#define MIB (1u << 20)
#define FOR_EVER 100000u

static struct ds_file *opened(const char *name)
{
	struct ds_file *f = NULL;

	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	return f;
}

static int write_first(struct ds_file *f)
{
	static uint8_t buf[MIB] __attribute__((aligned(4096)));

	dsf_fill(buf, MIB, 7);
	return blk_transfer(ds_file_blk(f), BLK_WRITE, 0, MIB / 512, buf);
}

static void a_write_waits_for_memory(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 4 * MIB, 0), 0);
	f = opened("f");
	refusals = 5;
	assert_int_equal(write_first(f), 0);
	assert_int_equal(refusals, 0);
	ds_close(f);
	assert_true(dsf_has("f", 0, MIB, 7));
}

static void so_does_what_is_given_back(void **state)
{
	struct blk_req r = { .op = BLK_DISCARD, .blocks = 2 * MIB / 512 };
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 4 * MIB, 0), 0);
	assert_int_equal(dsf_write("f", 0, 4 * MIB, 7), 0);
	f = opened("f");
	refusals = 5;
	assert_int_equal(blk_wait(ds_file_blk(f), &r), 0);
	assert_int_equal(refusals, 0);
	ds_close(f);
	assert_int_equal(dsf_backed("f"), 2);
}

static void not_for_ever(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 4 * MIB, 0), 0);
	f = opened("f");
	refusals = FOR_EVER;
	assert_int_equal(write_first(f), -ENOMEM);
	assert_true(refusals && refusals < FOR_EVER);
	refusals = 0;
	assert_int_equal(write_first(f), 0);
	ds_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_write_waits_for_memory),
		test(so_does_what_is_given_back),
		test(not_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
