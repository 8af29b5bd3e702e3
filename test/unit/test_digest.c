/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The digests of a disk that moves under a guest at random (fake_move.h): no alarm where the sides
 * agree or the guest discarded, and one where a bit is another. And the marks beneath them.
 */
// SOURCES: mig/mirror.c mig/mirror_op.c mig/bulk.c mig/bulk_piece.c mig/pace.c mig/cbt.c
// SOURCES: mig/digest.c kernel/lib/crc32c.c kernel/lib/muldiv.c
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

#include "mig/digest.h"
#include "test/unit/fake_move.h"

static struct digest digest;

static void copied(void *user, uint64_t block, const void *buf, uint64_t bytes)
{
	digest_copied(&digest, block, buf, bytes);
}

static void touched(struct mirror *of, enum blk_op op, uint64_t from, uint64_t to)
{
	digest_touched(&digest, op, from, to);
}

/* Under a writing guest: no alarm where the sides agree, or the guest discarded; one where a block
 * is another. */
static void digests_tell(void **state)
{
	uint64_t at;

	for (uint64_t s = 0; s < 400; s++) {
		move_begin(s, s & 1 ? MIRROR_MARK : MIRROR_BOTH);
		assert_int_equal(digest_init(&digest, &bulk), 0);
		bulk.copied = copied;
		m->touched = touched;
		guest.scribbles = s & 2;
		guest.discards = s & 4;
		assert_int_equal(bulk_linear(&bulk), 0);
		mirror_both(m);
		while (cbt_marked(&cbt))
			assert_int_equal(bulk_marked(&bulk), 0);
		assert_int_equal(digest_verify(&digest, &at), 0);
		assert_true(guest.discards || digest.compared_bytes >= BLOCKS * BLOCK);
		move_switch();
		assert_int_equal(digest_verify(&digest, &at), 0);
		assert_int_equal(digest_left(&digest), 0);
		digest_touched(&digest, BLK_WRITE, 16, 24);
		target.bytes[17 * BLOCK + chance(BLOCK)] ^= 1;
		assert_int_equal(digest_verify(&digest, &at), -EILSEQ);
		assert_int_equal(at, 16);
		digest_fini(&digest);
		move_end();
	}
}

/* What the target did not keep of the copy itself, without reading the source again. */
static void a_target_that_lies(void **state)
{
	uint64_t at;

	move_begin(2, MIRROR_BOTH);
	guest.left = 0;
	assert_int_equal(digest_init(&digest, &bulk), 0);
	bulk.copied = copied;
	assert_int_equal(bulk_linear(&bulk), 0);
	target.bytes[40 * BLOCK + 5]++;
	source.seen[BLK_READ] = 0;
	assert_int_equal(digest_verify(&digest, &at), -EILSEQ);
	assert_int_equal(at, 40);
	assert_int_equal(source.seen[BLK_READ], 0);
	digest_fini(&digest);
	move_end();
}

/* A disk of 16 Mi pieces and more: none of them stands for another. */
static void many_pieces(void **state)
{
	struct mirror large = { 0 };
	struct blkdev disk = { .geo = { .blocks = 1ull << 25, .block_bytes = BLOCK } };
	struct bulk b = { .m = &large, .piece_blocks = 1 };
	struct digest d;

	large.source = large.target = &disk;
	large.front.geo = disk.geo;
	assert_int_equal(digest_init(&d, &b), 0);
	digest_touched(&d, BLK_WRITE, 6, 7);
	assert_int_equal(digest_left(&d), 1);
	assert_true(cbt_marks(&d.unknown, 6) && !cbt_marks(&d.unknown, 7));
	digest_fini(&d);
}

static void marks(void **state)
{
	uint64_t at = 0, from, to;
	struct cbt c;

	assert_int_equal(cbt_init(&c, 1001, 512, 4096), 0); /* eight blocks a granule */
	assert_false(cbt_take(&c, &at, 64, &from, &to));
	cbt_mark(&c, 7, 9);
	cbt_mark(&c, 8, 9);
	cbt_mark(&c, 1000, 1001);
	assert_int_equal(cbt_marked(&c), 24);
	assert_true(cbt_take(&c, &at, 8, &from, &to));
	assert_int_equal(from, 0);
	assert_int_equal(to, 8);
	cbt_mark(&c, 0, 1); /* behind *at: the next pass */
	assert_true(cbt_take(&c, &at, 64, &from, &to));
	assert_int_equal(from, 8);
	assert_int_equal(to, 16);
	assert_true(cbt_take(&c, &at, 1, &from, &to));
	assert_int_equal(from, 1000);
	assert_int_equal(to, 1001);
	cbt_mark(&c, 1000, 1001); /* so is this one, of which the disk has a part */
	assert_false(cbt_take(&c, &at, 64, &from, &to));
	at = 0;
	assert_true(cbt_take(&c, &at, 64, &from, &to));
	assert_true(cbt_take(&c, &at, 64, &from, &to));
	assert_int_equal(cbt_marked(&c), 0);
	cbt_mark(&c, 0, 1001);
	cbt_unmark(&c, 1, 23); /* one granule is whole in it */
	assert_true(cbt_marks(&c, 7) && !cbt_marks(&c, 8) && cbt_marks(&c, 16));
	cbt_unmark(&c, 999, 1001);
	assert_true(cbt_marks(&c, 999) && !cbt_marks(&c, 1000));
	cbt_fini(&c);
	assert_int_equal(cbt_init(&c, 1ull << 40, 512, CBT_GRANULE), 0); /* 512 TiB */
	assert_true(c.words * 8 <= (2 << 20) + 8);
	cbt_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_tell),
		cmocka_unit_test(many_pieces),
		cmocka_unit_test(a_target_that_lies),
		cmocka_unit_test(marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
