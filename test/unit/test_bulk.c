/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy of a disk beside a guest at random (fake_move.h): holes stay holes, what fails fails on
 * the side where it failed, and whatever ends the copy leaves nothing under way.
 */
// SOURCES: mig/mirror.c mig/mirror_op.c mig/bulk.c mig/bulk_piece.c mig/pace.c mig/cbt.c
// SOURCES: kernel/lib/muldiv.c
// SOURCES: drivers/blkdev.c test/unit/mem_disk.c test/unit/fake_move.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/bulk_int.h"
#include "test/unit/fake_move.h"

/* ---- holes ---- */

static bool hole[BLOCKS]; /* of the source */

/* What was never written on the source is a hole, in stretches of eight blocks. */
static enum bulk_need need_of(void *user, uint64_t block, uint64_t *blocks)
{
	uint64_t first = block / 8 * 8, i;
	bool is = true;

	for (i = 0; i < 8; i++)
		is &= hole[first + i];
	for (*blocks = 8 - block % 8; is && block + *blocks < BLOCKS; *blocks += 8)
		for (i = 0; i < 8; i++)
			if (!hole[block + *blocks + i])
				return BULK_SKIP;
	return is ? BULK_SKIP : BULK_COPY;
}

static int fills_holes(struct mem_disk *d, const struct blk_req *r)
{
	if (r->op == BLK_WRITE)
		memset(hole + r->block, 0, r->blocks);
	return 0;
}

/* The target may have anything there from now on. */
static void promised(void *user, uint64_t from, uint64_t to)
{
	memset(target.bytes + from * BLOCK, 0x77, (to - from) * BLOCK);
}

/* Two thirds of what comes behind the first blocks, zeros in what is expected too. */
static void make_holes(void)
{
	memset(hole, 0, sizeof(hole));
	for (unsigned i = 8; i < BLOCKS; i++) {
		hole[i] = i % 24 >= 8;
		if (hole[i])
			memset(source.bytes + i * BLOCK, guest.expect[i] = 0, BLOCK);
	}
}

static void holes_stay_holes(void **state)
{
	uint64_t skipped = 0;

	for (uint64_t s = 0; s < 1000; s++) {
		move_begin(s, s & 4 ? MIRROR_MARK : MIRROR_BOTH);
		guest.left = 40;
		source.verdict = fills_holes;
		bulk.need = need_of;
		bulk.fresh = true;
		bulk.promise = s & 8 ? promised : NULL;
		memset(target.bytes, 0, BLOCKS * BLOCK);
		make_holes();
		assert_int_equal(bulk_linear(&bulk), 0);
		move_switch();
		assert_same();
		skipped += bulk.skipped_bytes;
		move_end();
	}
	assert_true(skipped > 1000 * 8 * BLOCK);
	move_begin(0, MIRROR_BOTH);
	guest.left = 0;
	bulk.fresh = true;
	memset(source.bytes, 0, BLOCKS * BLOCK);
	memset(target.bytes, 0, BLOCKS * BLOCK);
	assert_int_equal(bulk_linear(&bulk), 0); /* zeros that are no holes become some */
	assert_int_equal(target.seen[BLK_WRITE], 0);
	move_end();
}

/* A target with anything in it: where the source has holes zeros are written, and not read. */
static void holes_of_a_bare_target_are_zeroed(void **state)
{
	uint64_t skipped = 0;

	for (uint64_t s = 0; s < 1000; s++) {
		move_begin_with(s, s & 4 ? MIRROR_MARK : MIRROR_BOTH, false, s & 8);
		guest.left = 40;
		guest.discards = s & 1;
		source.verdict = fills_holes;
		bulk.need = need_of;
		bulk.bare = true;
		make_holes();
		assert_int_equal(bulk_linear(&bulk), 0);
		move_switch();
		assert_same();
		skipped += bulk.skipped_bytes;
		move_end();
	}
	assert_true(skipped > 1000 * 8 * BLOCK);
}

static enum bulk_need holes_by_eight(void *user, uint64_t block, uint64_t *blocks)
{
	*blocks = 8 - block % 8;
	return BULK_SKIP;
}

/* They are written, so the user's limit counts them. */
static void zeros_of_a_bare_target_keep_the_limit(void **state)
{
	const uint64_t all_ns = BLOCKS * BLOCK * 8000ull; /* at 1 Mbit/s */
	uint64_t from_ns;

	move_begin(5, MIRROR_BOTH);
	guest.left = 0;
	pace_init(&bulk.pace, &(struct pace_guest){ .ns = 0 }, 1);
	bulk.pace.window = 1;
	bulk.need = holes_by_eight;
	bulk.bare = true;
	from_ns = mem_now_ns;
	assert_int_equal(bulk_linear(&bulk), 0);
	assert_int_equal(bulk.skipped_bytes, BLOCKS * BLOCK);
	assert_true(mem_now_ns - from_ns >= all_ns * 7 / 8); /* none follows the last one */
	move_end();
}

static enum bulk_need answer;

static enum bulk_need answers(void *user, uint64_t block, uint64_t *blocks)
{
	return answer;
}

/* What the guest writes to them waits meanwhile: holes and runs of zeros are zeroed in parts. */
static void zeros_of_a_bare_target_come_in_parts(void **state)
{
	static const enum bulk_need needs[] = { BULK_SKIP, BULK_ZEROES };

	move_begin(5, MIRROR_BOTH);
	bulk.need = answers;
	bulk.linear = bulk.bare = true;
	for (unsigned i = 0; i < ARRAY_SIZE(needs); i++) {
		uint64_t n = 1u << 20;

		answer = needs[i];
		assert_int_equal(bulk_need(&bulk, 0, &n), BULK_ZEROES);
		assert_int_equal(n * BLOCK, 4 << 20);
	}
	guest.left = 0;
	move_end();
}

/* ---- what it costs ---- */

static void small_blocks_of_memory_do(void **state)
{
	move_begin(5, MIRROR_BOTH);
	guest.left = 0;
	source.dev.geo.max_bytes = target.dev.geo.max_bytes = PACE_PIECE_MAX;
	for (unsigned order = MIRROR_ORDER; order <= BULK_ORDER + 1; order++) {
		unsigned most = MIN(order, BULK_ORDER);

		bulk_fini(&bulk);
		mem_most_order = order;
		assert_int_equal(bulk_init(&bulk, m), 0);
		assert_int_equal(bulk.most_blocks * BLOCK, 4096u << most);
		assert_int_equal(bulk.buffer_bytes, BULK_PIECES * (4096u << most));
	}
	mem_most_order = MIRROR_ORDER - 1;
	bulk_fini(&bulk);
	assert_int_equal(bulk_init(&bulk, m), -ENOMEM);
	mem_most_order = MIRROR_ORDER;
	assert_int_equal(bulk_init(&bulk, m), 0);
	mem_most_order = ~0u;
	pace_init(&bulk.pace, &(struct pace_guest){ .ns = 0 }, 0);
	assert_int_equal(bulk_linear(&bulk), 0);
	move_switch();
	assert_same();
	move_end();
}

static unsigned locks;

unsigned long spin_lock(struct spinlock *l)
{
	assert_int_equal(l->word, 0);
	l->word = 1;
	locks++;
	return 0;
}

void spin_unlock(struct spinlock *l, unsigned long flags)
{
	assert_int_equal(l->word, 1);
	l->word = 0;
}

/* Each part is read and written once, from one buffer, which is there from the beginning. */
static void what_a_copy_costs(void **state)
{
	unsigned parts = BLOCKS / 4, pages;
	struct mirror_figures f;

	move_begin(5, MIRROR_BOTH);
	guest.left = 0;
	pace_hurry(&bulk.pace);
	pages = (unsigned)mem_pages;
	locks = 0;
	assert_int_equal(bulk_linear(&bulk), 0);
	assert_int_equal(bulk.requests, 2 * parts);
	assert_int_equal(source.seen[BLK_READ], parts);
	assert_int_equal(target.seen[BLK_WRITE], parts);
	assert_true(bulk.wakes <= bulk.requests);
	assert_true(locks <= 20 * parts);
	assert_int_equal(mem_pages, pages);
	mirror_figures(m, &f);
	assert_int_equal(f.copied_bytes, 0);
	move_end();
}

/* ---- what fails ---- */

static int some_writes_fail(struct mem_disk *d, const struct blk_req *r)
{
	return r->op == BLK_WRITE && r->segs[0].len && !chance(6) ? -ENOSPC : 0;
}

/* The guest hears of it; what the block is then, it is on both sides. */
static void a_write_that_the_source_fails(void **state)
{
	unsigned errors = 0;

	for (uint64_t s = 0; s < 1000; s++) {
		move_begin(s, s & 1 ? MIRROR_MARK : MIRROR_BOTH);
		source.verdict = some_writes_fail;
		assert_int_equal(bulk_linear(&bulk), 0);
		move_switch();
		assert_same();
		errors += guest.errors;
		move_end();
	}
	assert_true(errors > 1000);
}

static unsigned good;

static int fails_after(struct mem_disk *d, const struct blk_req *r)
{
	return good && good-- ? 0 : -EIO;
}

/* At each point: the move ends, the guest does not notice. */
static void a_target_that_fails(void **state)
{
	for (unsigned n = 0; n < 200; n++) {
		move_begin(n, n & 1 ? MIRROR_MARK : MIRROR_BOTH);
		target.verdict = fails_after;
		good = n / 2;
		if (!bulk_linear(&bulk)) { /* it fails later, or there is not so much to do */
			move_stun();
			good = 0;
			if (!(n & 1))
				assert_int_equal(mirror_error(m) || !bulk_flush(&bulk),
						 !!mirror_error(m));
		} else {
			assert_int_equal(bulk.fault, BULK_TARGET);
		}
		move_stun();
		assert_int_equal(guest.errors, 0);
		memcpy(target.bytes, source.bytes, BLOCKS * BLOCK);
		assert_same(); /* the source is whole */
		move_end();
	}
}

static int reads_fail(struct mem_disk *d, const struct blk_req *r)
{
	return r->op == BLK_READ && r->block >= 32 && r->segs[0].addr.v != 0 ? -EIO : 0;
}

static void a_source_that_cannot_be_read(void **state)
{
	move_begin(3, MIRROR_BOTH);
	guest.left = 0;
	source.verdict = reads_fail;
	assert_int_equal(bulk_linear(&bulk), -EIO);
	assert_int_equal(bulk.fault, BULK_SOURCE);
	assert_true(bulk.done <= 32);
	move_end();
}

static int canceled(void *user)
{
	return bulk.done > 20 ? -ECANCELED : 0;
}

static void a_canceled_copy_leaves_nothing_under_way(void **state)
{
	move_begin(5, MIRROR_BOTH);
	bulk.asked = canceled;
	assert_int_equal(bulk_linear(&bulk), -ECANCELED);
	assert_int_equal(bulk.fault, BULK_ASKED);
	move_stun();
	assert_null(m->ranges);
	move_end();
}

static enum bulk_need zeroes_alone(void *user, uint64_t block, uint64_t *blocks)
{
	return BULK_ZEROES;
}

static int canceled_after_three(void *user)
{
	return target.seen[BLK_WRITE_ZEROES] >= 3 ? -ECANCELED : 0;
}

/* However large the stretch is that is under way: a cancel is seen at the end of a request. */
static void a_cancel_ends_what_is_under_way(void **state)
{
	move_begin(5, MIRROR_BOTH);
	guest.left = 0;
	target.dev.geo.max_zeroes_blocks = 1;
	bulk.need = zeroes_alone;
	bulk.asked = canceled_after_three;
	bulk.pace.window = 1;
	assert_int_equal(bulk_linear(&bulk), -ECANCELED);
	assert_int_equal(bulk.fault, BULK_ASKED);
	assert_in_range(target.seen[BLK_WRITE_ZEROES], 3, 4);
	assert_null(m->ranges);
	move_end();
}

static bool told;

static int canceled_is_told(void *user)
{
	int err = canceled(user);

	told = err;
	return err;
}

static int fails_once_told(struct mem_disk *d, const struct blk_req *r)
{
	return told ? -EIO : 0;
}

/* What was under way then may fail: that is not what ended the copy. */
static void the_first_error_counts(void **state)
{
	unsigned ended = 0;

	for (uint64_t s = 0; s < 200; s++) {
		move_begin(s, MIRROR_BOTH);
		guest.left = 0;
		told = false;
		bulk.asked = canceled_is_told;
		target.verdict = source.verdict = fails_once_told;
		if (bulk_linear(&bulk)) { /* else it was quicker */
			assert_int_equal(bulk.fault, BULK_ASKED);
			ended++;
		}
		move_end();
	}
	assert_true(ended > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(holes_of_a_bare_target_are_zeroed),
		cmocka_unit_test(zeros_of_a_bare_target_keep_the_limit),
		cmocka_unit_test(zeros_of_a_bare_target_come_in_parts),
		cmocka_unit_test(small_blocks_of_memory_do),
		cmocka_unit_test(what_a_copy_costs),
		cmocka_unit_test(a_write_that_the_source_fails),
		cmocka_unit_test(a_target_that_fails),
		cmocka_unit_test(a_source_that_cannot_be_read),
		cmocka_unit_test(a_canceled_copy_leaves_nothing_under_way),
		cmocka_unit_test(a_cancel_ends_what_is_under_way),
		cmocka_unit_test(the_first_error_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
