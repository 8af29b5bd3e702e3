/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk that moves (fake_move.h). */
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

#include "test/unit/fake_move.h"

struct mem_disk source, target;
struct cbt cbt;
struct mirror *m;
struct bulk bulk;
struct fake_guest guest;

bool ds_all_zero(const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	return !p[0] && !memcmp(p, p + 1, bytes - 1);
}

/* ---- chance ---- */

static uint64_t seed;

unsigned chance(unsigned n)
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

void guest_expects(const struct blk_req *r, uint8_t fill)
{
	for (uint64_t i = r->block; i < r->block + r->blocks; i++) {
		guest.expect[i] = fill;
		guest.differ[i] = guest.unknown[i] = r->op == BLK_DISCARD;
	}
}

void guest_submit(struct guest_req *g)
{
	g->r.done = guest_done;
	g->r.user = g;
	g->busy = true;
	g->scribbled = false;
	blk_submit(&m->front, &g->r);
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
				 .segs = g->seg };
	if (op == BLK_READ || op == BLK_WRITE) {
		if (cut)
			g->seg[g->r.nr_segs++] = (struct blk_seg){ ptr_hpa(g->buf), cut };
		if (cut < blocks * BLOCK)
			g->seg[g->r.nr_segs++] =
				(struct blk_seg){ ptr_hpa(g->buf + cut), blocks * BLOCK - cut };
	}
	memset(g->buf, ++guest.next, sizeof(g->buf));
	if (op == BLK_WRITE)
		guest_expects(&g->r, guest.next);
	else if (op == BLK_WRITE_ZEROES || op == BLK_DISCARD)
		guest_expects(&g->r, 0);
	guest.left--;
	guest_submit(g);
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

void move_stun(void)
{
	guest.quiet = true;
	while (guest_busy())
		idle();
}

/* ---- the move ---- */

void move_begin_with(uint64_t from_seed, enum mirror_mode mode, bool plain, bool small)
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

void move_begin(uint64_t from_seed, enum mirror_mode mode)
{
	move_begin_with(from_seed, mode, false, false);
}

void move_end(void)
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

void assert_same(void)
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

void move_switch(void)
{
	for (unsigned round = 0; cbt_marked(&cbt) && round < 5; round++)
		assert_int_equal(bulk_marked(&bulk), 0);
	move_stun();
	assert_int_equal(bulk_marked(&bulk), 0);
	assert_int_equal(cbt_marked(&cbt), 0);
	assert_int_equal(bulk_flush(&bulk), 0);
	assert_int_equal(mirror_error(m), 0);
}
