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

static unsigned refusals;	 /* that come next */
static void (*in_between)(void); /* at the next one, once */

static void *scarce(void *old, size_t bytes)
{
	void (*happens)(void) = in_between;

	if (!refusals)
		return realloc(old, bytes);
	refusals--;
	in_between = NULL;
	if (happens)
		happens();
	return NULL;
}

/* The source under test, with that memory. */
#define realloc scarce
#include "kernel/store/ds_inode.c"
#undef realloc

#include <tern/log.h>
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

/* ---- several ---- */

static unsigned warnings; /* of memory */

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	warnings += level == LOG_WARN && strstr(fmt, "memory");
}

/* A write of a block, and when it ended: refusals that were left then. */
struct write {
	struct blk_req r;
	struct blk_seg seg;
	unsigned ended, left;
};

static void write_ended(struct blk_req *r)
{
	struct write *w = container_of(r, struct write, r);

	w->ended++;
	w->left = refusals;
}

static void begin_write(struct write *w, struct ds_file *f, uint64_t at)
{
	static uint8_t buf[512] = { 1 };

	*w = (struct write){ .seg = { .addr = ptr_hpa(buf), .len = sizeof(buf) } };
	w->r = (struct blk_req){ .op = BLK_WRITE,
				 .block = at / 512,
				 .blocks = 1,
				 .segs = &w->seg,
				 .nr_segs = 1,
				 .done = write_ended };
	blk_submit(ds_file_blk(f), &w->r);
}

/* Both in a row to holes; how many tries the first had, and the second. */
static void write_two(struct ds_file *f, uint64_t at, unsigned *first, unsigned *second)
{
	struct write w[2];

	refusals = FOR_EVER;
	begin_write(&w[0], f, at);
	begin_write(&w[1], f, at + MIB);
	ds_grow_run(ds);
	assert_true(w[0].ended == 1 && w[1].ended == 1);
	assert_int_equal(w[0].r.status, -ENOMEM);
	assert_int_equal(w[1].r.status, -ENOMEM);
	*first = FOR_EVER - w[0].left;
	*second = w[0].left - w[1].left;
	refusals = 0;
}

static void all_wait_at_once(void **state)
{
	unsigned first, second, again;
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 8 * MIB, 0), 0);
	f = opened("f");
	warnings = 0;
	write_two(f, 2 * MIB, &first, &second);
	assert_true(first > 10);
	assert_int_equal(second, 1);
	write_two(f, 4 * MIB, &again, &second); /* it goes on */
	assert_int_equal(again, 1);
	assert_int_equal(warnings, 1);
	assert_int_equal(write_first(f), 0); /* and is over */
	write_two(f, 6 * MIB, &again, &second);
	assert_true(again > first / 2);
	assert_int_equal(warnings, 2);
	ds_close(f);
}

static void time_passes(uint64_t seconds)
{
	fake_now_ns += seconds * 1000000000;
	ds_beat(ds);
	ds_grow_run(ds);
}

/* It is over too with one that finds memory and fails for another reason. */
static void what_fails_otherwise_had_memory(void **state)
{
	char name[] = "full-a";
	unsigned first, second;
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 8 * MIB, 0), 0);
	assert_int_equal(dsf_write("f", 4 * MIB, MIB, 7), 0);
	f = opened("f");
	while (!ds_create(ds, name, DS_KIND_FLAT, MIB, 0))
		name[5]++;
	warnings = 0;
	refusals = 1;
	assert_int_equal(write_first(f), -ENOSPC);
	assert_int_equal(refusals, 0);
	assert_int_equal(warnings, 1);
	time_passes(11);
	write_two(f, 2 * MIB, &first, &second);
	assert_true(first > 10);
	assert_int_equal(second, 1);
	assert_int_equal(warnings, 2);
	ds_close(f);
}

/* And when nobody has asked for long. */
static void a_spell_of_long_ago_is_over(void **state)
{
	unsigned first, second;
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 8 * MIB, 0), 0);
	f = opened("f");
	warnings = 0;
	write_two(f, 2 * MIB, &first, &second);
	assert_int_equal(warnings, 1);
	time_passes(3600);
	refusals = 1;
	assert_int_equal(write_first(f), 0);
	assert_int_equal(refusals, 0);
	assert_int_equal(warnings, 2);
	ds_close(f);
}

static struct ds_file *there;
static struct write meanwhile;

/* The fence shuts, a write finds it shut, and it opens. */
static void shut_and_open(void)
{
	fake_now_ns += 1000 * 1000000;
	begin_write(&meanwhile, there, 0);
	assert_int_equal(meanwhile.ended, 0);
	ds_beat(ds);
}

/* One that was held for the fence, and needs none, goes on while another waits. */
static void who_needs_none_does_not_wait(void **state)
{
	struct write w;
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "f", DS_KIND_THIN, 4 * MIB, 0), 0);
	assert_int_equal(ds_create(ds, "there", DS_KIND_FLAT, MIB, 0), 0);
	f = opened("f");
	there = opened("there");
	refusals = 100;
	in_between = shut_and_open;
	begin_write(&w, f, 0);
	ds_grow_run(ds);
	assert_int_equal(meanwhile.ended, 1);
	assert_int_equal(meanwhile.r.status, 0);
	assert_true(meanwhile.left > 90);
	assert_int_equal(w.ended, 1);
	assert_int_equal(w.r.status, 0);
	assert_int_equal(refusals, 0);
	ds_close(there);
	ds_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_write_waits_for_memory),
		test(so_does_what_is_given_back),
		test(not_for_ever),
		test(all_wait_at_once),
		test(what_fails_otherwise_had_memory),
		test(a_spell_of_long_ago_is_over),
		test(who_needs_none_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
