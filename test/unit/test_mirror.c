/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk's mirror and copy against a guest that writes, discards, zeroes and flushes at random,
 * requests upon requests, on two disks that end them in any order: whatever happens, the target
 * then is what the source is, but where the guest discarded; and the source is what a guest that
 * asks for one thing after the other expects. What fails, fails on the side where it failed.
 */
// SOURCES: mig/mirror.c mig/mirror_op.c mig/bulk.c mig/pace.c mig/cbt.c mig/digest.c
// SOURCES: kernel/lib/crc32c.c kernel/lib/muldiv.c
// SOURCES: drivers/blkdev.c test/unit/mem_disk.c
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
#include <tern/store.h>

#include "mig/digest.h"
#include "test/unit/mem_disk.h"

#define BLOCK 512u
#define BLOCKS 64u
#define GUESTS 12u /* requests at a time */
#define MOST 6u	   /* blocks in one */

static struct mem_disk source, target;
static struct cbt cbt;
static struct mirror *m;
static struct bulk bulk;

struct guest_req {
	struct blk_req r;
	struct blk_seg seg[2];
	uint8_t buf[MOST * BLOCK];
	bool busy, scribbled;
};

static struct {
	struct guest_req req[GUESTS];
	unsigned left;		/* requests that it still makes */
	unsigned errors;	/* it was told of */
	uint8_t expect[BLOCKS]; /* what each block is full of */
	bool unknown[BLOCKS];	/* discarded, or written from a buffer that changed */
	bool differ[BLOCKS];	/* discarded */
	bool scribbles, discards, quiet;
	uint8_t next;
} guest;

bool ds_all_zero(const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	return !p[0] && !memcmp(p, p + 1, bytes - 1);
}

/* ---- chance ---- */

static uint64_t seed;

static unsigned chance(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

/* ---- the guest ---- */

static void guest_done(struct blk_req *r)
{
	struct guest_req *g = r->user;

	g->busy = false;
	if (r->status) {
		guest.errors++;
		for (uint64_t i = 0; r->op != BLK_FLUSH && i < r->blocks; i++)
			guest.unknown[r->block + i] = true;
	}
	for (uint64_t i = 0; g->scribbled && i < r->blocks; i++)
		guest.unknown[r->block + i] = true;
}

static void expect(const struct blk_req *r, uint8_t fill)
{
	for (uint64_t i = r->block; i < r->block + r->blocks; i++) {
		guest.expect[i] = fill;
		guest.differ[i] = guest.unknown[i] = r->op == BLK_DISCARD;
	}
}

static void guest_asks(struct guest_req *g)
{
	static const enum blk_op ops[] = { BLK_READ,  BLK_WRITE,	BLK_WRITE,  BLK_WRITE,
					   BLK_FLUSH, BLK_WRITE_ZEROES, BLK_DISCARD };
	enum blk_op op = ops[chance(guest.discards ? 7 : 6)];
	unsigned blocks = 1 + chance(MIN(MOST, (unsigned)m->front.geo.max_bytes / BLOCK));
	unsigned cut = chance(blocks + 1) * BLOCK;

	g->r = (struct blk_req){ .op = op,
				 .block = chance(BLOCKS - blocks + 1),
				 .blocks = op == BLK_FLUSH ? 0 : blocks,
				 .segs = g->seg,
				 .done = guest_done,
				 .user = g };
	if (op == BLK_READ || op == BLK_WRITE) {
		if (cut)
			g->seg[g->r.nr_segs++] = (struct blk_seg){ ptr_hpa(g->buf), cut };
		if (cut < blocks * BLOCK)
			g->seg[g->r.nr_segs++] =
				(struct blk_seg){ ptr_hpa(g->buf + cut), blocks * BLOCK - cut };
	}
	memset(g->buf, ++guest.next, sizeof(g->buf));
	if (op == BLK_WRITE)
		expect(&g->r, guest.next);
	else if (op == BLK_WRITE_ZEROES || op == BLK_DISCARD)
		expect(&g->r, 0);
	g->busy = true;
	g->scribbled = false;
	guest.left--;
	blk_submit(&m->front, &g->r);
}

static void guest_does(void)
{
	struct guest_req *g = &guest.req[chance(GUESTS)];

	if (!g->busy && guest.left) {
		guest_asks(g);
	} else if (g->busy && g->r.op == BLK_WRITE && guest.scribbles) {
		g->buf[chance(sizeof(g->buf))]++;
		g->scribbled = true;
	}
}

static bool guest_busy(void)
{
	for (unsigned i = 0; i < GUESTS; i++)
		if (guest.req[i].busy)
			return true;
	return false;
}

/* Something happens. */
static void idle(void)
{
	unsigned n = source.nr + target.nr, which;

	mem_now_ns += 10000;
	if (!guest.quiet && chance(4))
		guest_does();
	else if (n) {
		which = chance(n);
		if (which < source.nr)
			mem_disk_end(&source, which);
		else
			mem_disk_end(&target, which - source.nr);
	}
}

/* It asks for nothing more; what it asked for ends. */
static void stun(void)
{
	guest.quiet = true;
	while (guest_busy())
		idle();
}

/* ---- the move ---- */

static bool hole[BLOCKS];

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

static void begin_with(uint64_t from_seed, enum mirror_mode mode, bool plain, bool small)
{
	seed = from_seed * 2 + 1;
	mem_idle = idle;
	mem_disk_init(&source, BLOCKS, BLOCK, 4 * BLOCK);
	mem_disk_init(&target, BLOCKS, BLOCK, small ? 2 * BLOCK : 4 * BLOCK);
	if (plain)
		target.dev.geo.max_zeroes_blocks = target.dev.geo.max_discard_blocks = 0;
	source.junk = 0xd1;
	target.junk = 0xd2;
	memset(&guest, 0, sizeof(guest));
	guest.left = 300;
	memset(hole, 0, sizeof(hole));
	for (unsigned i = 0; i < BLOCKS; i++) {
		guest.expect[i] = (uint8_t)(i + 100);
		memset(source.bytes + i * BLOCK, guest.expect[i], BLOCK);
		memset(target.bytes + i * BLOCK, 0xee, BLOCK);
	}
	assert_int_equal(cbt_init(&cbt, BLOCKS, BLOCK, 2 * BLOCK), 0);
	assert_int_equal(mirror_new(&source.dev, &target.dev, &cbt, mode, &m), 0);
	assert_int_equal(bulk_init(&bulk, m), 0);
	pace_init(&bulk.pace, &(struct pace_guest){ .ns = 0 }, 0);
	bulk.pace.window = 1 + chance(PACE_WINDOW_MAX);
}

static void begin(uint64_t from_seed, enum mirror_mode mode)
{
	begin_with(from_seed, mode, false, false);
}

static void end(void)
{
	assert_int_equal(source.nr + target.nr, 0);
	assert_null(m->first);
	bulk_fini(&bulk);
	mirror_free(m);
	cbt_fini(&cbt);
	mem_disk_fini(&source);
	mem_disk_fini(&target);
	assert_int_equal(mem_pages, 0);
}

static void assert_same(void)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		const uint8_t *s = source.bytes + i * BLOCK, *t = target.bytes + i * BLOCK;

		if (!guest.differ[i] && memcmp(s, t, BLOCK))
			fail_msg("block %u: source %02x, target %02x", i, s[0], t[0]);
		for (unsigned k = 0; !guest.unknown[i] && k < BLOCK; k++)
			if (s[k] != guest.expect[i])
				fail_msg("block %u is %02x, not %02x", i, s[k], guest.expect[i]);
	}
}

/* Rounds, and a last one while the guest stands still. */
static void switch_over(void)
{
	for (unsigned round = 0; cbt_marked(&cbt) && round < 5; round++)
		assert_int_equal(bulk_marked(&bulk), 0);
	stun();
	assert_int_equal(bulk_marked(&bulk), 0);
	assert_int_equal(cbt_marked(&cbt), 0);
	assert_int_equal(bulk_flush(&bulk), 0);
	assert_int_equal(mirror_error(m), 0);
}

/* ---- tests ---- */

static void a_mirror_ends_as_the_source(void **state)
{
	struct mirror_figures f;
	uint64_t mirrored = 0, held = 0;

	for (uint64_t s = 0; s < 1500; s++) {
		begin_with(s, MIRROR_BOTH, s & 4, s & 8);
		guest.discards = s & 1;
		guest.scribbles = s & 2;
		assert_int_equal(bulk_linear(&bulk), 0);
		assert_int_equal(bulk.done, BLOCKS);
		assert_int_equal(cbt_marked(&cbt), 0); /* a mirror alone has no second round */
		switch_over();
		assert_same();
		assert_int_equal(guest.errors, 0);
		mirror_figures(m, &f);
		mirrored += f.mirrored_bytes;
		held += f.held;
		end();
	}
	assert_true(mirrored && held);
}

static void changed_blocks_end_as_the_source(void **state)
{
	for (uint64_t s = 0; s < 1000; s++) {
		begin(s, MIRROR_MARK);
		guest.discards = s & 1;
		guest.scribbles = s & 2;
		assert_int_equal(bulk_linear(&bulk), 0);
		if (s & 4) { /* it does not converge */
			assert_int_equal(bulk_marked(&bulk), 0);
			mirror_both(m);
		}
		switch_over();
		assert_same();
		assert_int_equal(guest.errors, 0);
		end();
	}
}

/* In its own time: what a round leaves is what was written during it, less each time. */
static void rounds_converge(void **state)
{
	begin(7, MIRROR_MARK);
	guest.left = 1000000;
	assert_int_equal(bulk_linear(&bulk), 0);
	assert_true(cbt_marked(&cbt));
	mirror_both(m);
	for (unsigned i = 0; cbt_marked(&cbt); i++) {
		assert_true(i < 3); /* though the guest goes on writing */
		assert_int_equal(bulk_marked(&bulk), 0);
	}
	stun();
	assert_same();
	end();
}

/* The target may have anything there from now on. */
static void promised(void *user, uint64_t from, uint64_t to)
{
	memset(target.bytes + from * BLOCK, 0x77, (to - from) * BLOCK);
}

static void holes_stay_holes(void **state)
{
	uint64_t skipped = 0;

	for (uint64_t s = 0; s < 1000; s++) {
		begin(s, s & 4 ? MIRROR_MARK : MIRROR_BOTH);
		guest.left = 40;
		source.verdict = fills_holes;
		bulk.need = need_of;
		bulk.fresh = true;
		bulk.promise = s & 8 ? promised : NULL;
		memset(target.bytes, 0, BLOCKS * BLOCK);
		for (unsigned i = 8; i < BLOCKS; i++) {
			hole[i] = i % 24 >= 8;
			if (hole[i])
				memset(source.bytes + i * BLOCK, guest.expect[i] = 0, BLOCK);
		}
		assert_int_equal(bulk_linear(&bulk), 0);
		switch_over();
		assert_same();
		skipped += bulk.skipped_bytes;
		end();
	}
	assert_true(skipped > 1000 * 8 * BLOCK);
	begin(0, MIRROR_BOTH);
	guest.left = 0;
	bulk.fresh = true;
	memset(source.bytes, 0, BLOCKS * BLOCK);
	memset(target.bytes, 0, BLOCKS * BLOCK);
	assert_int_equal(bulk_linear(&bulk), 0); /* zeros that are no holes become some */
	assert_int_equal(target.seen[BLK_WRITE], 0);
	end();
}

/*
 * A write across the cursor goes to the target up to the cursor: what is ahead may be zeroed before
 * the copy is there, which takes the target to be zeros as yet.
 */
static void a_write_across_the_cursor(void **state)
{
	struct mirror_range r = { .from = 0, .to = 4 };
	struct guest_req *g = &guest.req[0];

	begin(1, MIRROR_BOTH);
	guest.left = 0;
	bulk.fresh = true;
	memset(source.bytes, 0, BLOCKS * BLOCK);
	memset(target.bytes, 0, BLOCKS * BLOCK);
	memset(guest.expect, 0, sizeof(guest.expect));
	mirror_claim(m, &r);
	mirror_release(m, &r);
	memset(g->buf, 9, sizeof(g->buf));
	g->seg[0] = (struct blk_seg){ ptr_hpa(g->buf), 4 * BLOCK };
	g->r = (struct blk_req){ .op = BLK_WRITE,
				 .block = 2,
				 .blocks = 4,
				 .segs = g->seg,
				 .nr_segs = 1,
				 .done = guest_done,
				 .user = g };
	g->busy = true;
	expect(&g->r, 9);
	blk_submit(&m->front, &g->r);
	stun();
	assert_int_equal(target.bytes[3 * BLOCK], 9);
	g->r = (struct blk_req){
		.op = BLK_WRITE_ZEROES, .block = 4, .blocks = 4, .done = guest_done, .user = g
	};
	g->busy = true;
	expect(&g->r, 0);
	blk_submit(&m->front, &g->r);
	stun();
	assert_int_equal(bulk_linear(&bulk), 0);
	assert_same();
	end();
}

/* Space that the guest gives back is given back on both sides; what it only zeroes stays its. */
static void zeroes_that_unmap(void **state)
{
	struct guest_req *g = &guest.req[0];

	for (unsigned unmap = 0; unmap < 2; unmap++) {
		begin(1, MIRROR_BOTH);
		guest.left = 0;
		assert_int_equal(bulk_linear(&bulk), 0);
		g->r = (struct blk_req){ .op = BLK_WRITE_ZEROES,
					 .block = 8,
					 .blocks = 8,
					 .unmap = unmap,
					 .done = guest_done,
					 .user = g };
		g->busy = true;
		expect(&g->r, 0);
		blk_submit(&m->front, &g->r);
		stun();
		assert_same();
		assert_int_equal(source.seen[BLK_WRITE_ZEROES], 1);
		assert_int_equal(target.seen[BLK_WRITE_ZEROES], 1);
		assert_int_equal(source.unmaps, unmap);
		assert_int_equal(target.unmaps, unmap);
		end();
	}
}

/* ---- digests ---- */

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
		begin(s, s & 1 ? MIRROR_MARK : MIRROR_BOTH);
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
		switch_over();
		assert_int_equal(digest_verify(&digest, &at), 0);
		assert_int_equal(digest_left(&digest), 0);
		digest_touched(&digest, BLK_WRITE, 16, 24);
		target.bytes[17 * BLOCK + chance(BLOCK)] ^= 1;
		assert_int_equal(digest_verify(&digest, &at), -EILSEQ);
		assert_int_equal(at, 16);
		digest_fini(&digest);
		end();
	}
}

/* What the target did not keep of the copy itself, without reading the source again. */
static void a_target_that_lies(void **state)
{
	uint64_t at;

	begin(2, MIRROR_BOTH);
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
	end();
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
		begin(s, s & 1 ? MIRROR_MARK : MIRROR_BOTH);
		source.verdict = some_writes_fail;
		assert_int_equal(bulk_linear(&bulk), 0);
		switch_over();
		assert_same();
		errors += guest.errors;
		end();
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
		begin(n, n & 1 ? MIRROR_MARK : MIRROR_BOTH);
		target.verdict = fails_after;
		good = n / 2;
		if (!bulk_linear(&bulk)) { /* it fails later, or there is not so much to do */
			stun();
			good = 0;
			if (!(n & 1))
				assert_int_equal(mirror_error(m) || !bulk_flush(&bulk),
						 !!mirror_error(m));
		} else {
			assert_int_equal(bulk.fault, BULK_TARGET);
		}
		stun();
		assert_int_equal(guest.errors, 0);
		memcpy(target.bytes, source.bytes, BLOCKS * BLOCK);
		assert_same(); /* the source is whole */
		end();
	}
}

static int reads_fail(struct mem_disk *d, const struct blk_req *r)
{
	return r->op == BLK_READ && r->block >= 32 && r->segs[0].addr.v != 0 ? -EIO : 0;
}

static void a_source_that_cannot_be_read(void **state)
{
	begin(3, MIRROR_BOTH);
	guest.left = 0;
	source.verdict = reads_fail;
	assert_int_equal(bulk_linear(&bulk), -EIO);
	assert_int_equal(bulk.fault, BULK_SOURCE);
	assert_true(bulk.done <= 32);
	end();
}

static int canceled(void *user)
{
	return bulk.done > 20 ? -ECANCELED : 0;
}

static void a_canceled_copy_leaves_nothing_under_way(void **state)
{
	begin(5, MIRROR_BOTH);
	bulk.asked = canceled;
	assert_int_equal(bulk_linear(&bulk), -ECANCELED);
	assert_int_equal(bulk.fault, BULK_ASKED);
	stun();
	assert_null(m->ranges);
	end();
}

static void what_does_not_fit(void **state)
{
	struct mirror *none;

	begin(1, MIRROR_BOTH);
	target.dev.geo.blocks--;
	assert_int_equal(mirror_new(&source.dev, &target.dev, &cbt, MIRROR_BOTH, &none), -EINVAL);
	target.dev.geo.blocks = BLOCKS;
	target.dev.geo.block_bytes = 4096;
	assert_int_equal(mirror_new(&source.dev, &target.dev, &cbt, MIRROR_BOTH, &none), -EINVAL);
	target.dev.geo.block_bytes = BLOCK;
	end();
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

/* ---- the bitmap ---- */

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
		cmocka_unit_test(a_mirror_ends_as_the_source),
		cmocka_unit_test(changed_blocks_end_as_the_source),
		cmocka_unit_test(rounds_converge),
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(a_write_across_the_cursor),
		cmocka_unit_test(zeroes_that_unmap),
		cmocka_unit_test(digests_tell),
		cmocka_unit_test(many_pieces),
		cmocka_unit_test(a_target_that_lies),
		cmocka_unit_test(a_write_that_the_source_fails),
		cmocka_unit_test(a_target_that_fails),
		cmocka_unit_test(a_source_that_cannot_be_read),
		cmocka_unit_test(a_canceled_copy_leaves_nothing_under_way),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
