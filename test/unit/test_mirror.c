/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's mirror and copy against a guest at random (fake_move.h): whatever happens, the target
 * then is what the source is, but where the guest discarded; and the source is what a guest that
 * asks for one thing after the other expects.
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

#include <tern/page.h>

#include "test/unit/fake_move.h"

static void a_mirror_ends_as_the_source(void **state)
{
	struct mirror_figures f;
	uint64_t mirrored = 0, held = 0;

	for (uint64_t s = 0; s < 1500; s++) {
		move_begin_with(s, MIRROR_BOTH, s & 4, s & 8);
		guest.discards = s & 1;
		guest.scribbles = s & 2;
		assert_int_equal(bulk_linear(&bulk), 0);
		assert_int_equal(bulk.done, BLOCKS);
		assert_int_equal(cbt_marked(&cbt), 0); /* a mirror alone has no second round */
		move_switch();
		assert_same();
		assert_int_equal(guest.errors, 0);
		mirror_figures(m, &f);
		mirrored += f.mirrored_bytes;
		held += f.held;
		move_end();
	}
	assert_true(mirrored && held);
}

static void changed_blocks_end_as_the_source(void **state)
{
	for (uint64_t s = 0; s < 1000; s++) {
		move_begin(s, MIRROR_MARK);
		guest.discards = s & 1;
		guest.scribbles = s & 2;
		assert_int_equal(bulk_linear(&bulk), 0);
		if (s & 4) { /* it does not converge */
			assert_int_equal(bulk_marked(&bulk), 0);
			mirror_both(m);
		}
		move_switch();
		assert_same();
		assert_int_equal(guest.errors, 0);
		move_end();
	}
}

/* In its own time: what a round leaves is what was written during it, less each time. */
static void rounds_converge(void **state)
{
	move_begin(7, MIRROR_MARK);
	guest.left = 1000000;
	assert_int_equal(bulk_linear(&bulk), 0);
	assert_true(cbt_marked(&cbt));
	mirror_both(m);
	for (unsigned i = 0; cbt_marked(&cbt); i++) {
		assert_true(i < 3); /* though the guest goes on writing */
		assert_int_equal(bulk_marked(&bulk), 0);
	}
	move_stun();
	assert_same();
	move_end();
}

/*
 * A write across the cursor goes to the target up to the cursor: what is ahead may be zeroed before
 * the copy is there, which takes the target to be zeros as yet.
 */
static void a_write_across_the_cursor(void **state)
{
	struct mirror_range r = { .from = 0, .to = 4 };
	struct guest_req *g = &guest.req[0];

	move_begin(1, MIRROR_BOTH);
	guest.left = 0;
	bulk.fresh = true;
	memset(source.bytes, 0, BLOCKS * BLOCK);
	memset(target.bytes, 0, BLOCKS * BLOCK);
	memset(guest.expect, 0, sizeof(guest.expect));
	mirror_claim(m, &r);
	mirror_release(m, &r);
	memset(g->buf, 9, sizeof(g->buf));
	g->seg[0] = (struct blk_seg){ ptr_hpa(g->buf), 4 * BLOCK };
	g->r = (struct blk_req){
		.op = BLK_WRITE, .block = 2, .blocks = 4, .segs = g->seg, .nr_segs = 1
	};
	guest_expects(&g->r, 9);
	guest_submit(g);
	move_stun();
	assert_int_equal(target.bytes[3 * BLOCK], 9);
	g->r = (struct blk_req){ .op = BLK_WRITE_ZEROES, .block = 4, .blocks = 4 };
	guest_expects(&g->r, 0);
	guest_submit(g);
	move_stun();
	assert_int_equal(bulk_linear(&bulk), 0);
	assert_same();
	move_end();
}

/* Space that the guest gives back is given back on both sides; what it only zeroes stays its. */
static void zeroes_that_unmap(void **state)
{
	struct guest_req *g = &guest.req[0];

	for (unsigned unmap = 0; unmap < 2; unmap++) {
		move_begin(1, MIRROR_BOTH);
		guest.left = 0;
		assert_int_equal(bulk_linear(&bulk), 0);
		g->r = (struct blk_req){
			.op = BLK_WRITE_ZEROES, .block = 8, .blocks = 8, .unmap = unmap
		};
		guest_expects(&g->r, 0);
		guest_submit(g);
		move_stun();
		assert_same();
		assert_int_equal(source.seen[BLK_WRITE_ZEROES], 1);
		assert_int_equal(target.seen[BLK_WRITE_ZEROES], 1);
		assert_int_equal(source.unmaps, unmap);
		assert_int_equal(target.unmaps, unmap);
		move_end();
	}
}

static void what_does_not_fit(void **state)
{
	struct mirror *none;

	move_begin(1, MIRROR_BOTH);
	target.dev.geo.blocks--;
	assert_int_equal(mirror_new(&source.dev, &target.dev, &cbt, MIRROR_BOTH, &none), -EINVAL);
	target.dev.geo.blocks = BLOCKS;
	target.dev.geo.block_bytes = 4096;
	assert_int_equal(mirror_new(&source.dev, &target.dev, &cbt, MIRROR_BOTH, &none), -EINVAL);
	target.dev.geo.block_bytes = BLOCK;
	move_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mirror_ends_as_the_source),
		cmocka_unit_test(changed_blocks_end_as_the_source),
		cmocka_unit_test(rounds_converge),
		cmocka_unit_test(a_write_across_the_cursor),
		cmocka_unit_test(zeroes_that_unmap),
		cmocka_unit_test(what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
