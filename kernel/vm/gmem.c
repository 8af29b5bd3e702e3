/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: life and layout. gmem_back.c backs frames and serves nested page
 * faults, gmem_io.c is the hypervisor's access, gmem_move.c what moving needs.
 *
 * Invariants
 *  - Only this room knows what a frame's state is: absent (reads as zero, costs
 *    nothing) or backed. Everybody else comes through gmem.h.
 *  - The CPU sets D only for guest accesses. Whatever the hypervisor writes into
 *    guest memory marks the page in software, after the store: a mark that a
 *    harvest takes is of a store whose bytes the reader of the page will see.
 *  - A frame's valid bit is set after its contents; who sees it set may read
 *    without a lock between gmem_enter and gmem_leave: backing is taken away
 *    (gmem_give.c) only with nobody in between.
 *  - ROM is backed as RAM is and moves with it, as its contents do with a board; what differs is
 *    that leaves have no right to write, so that its D bits are never set.
 *  - Host memory for all RAM and ROM is promised at create; backing cannot run out
 *    because of another VM, only by the hypervisor's own use. What a balloon
 *    holds is lent: it counts for others until the guest asks for it again.
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/log.h>

#include "gmem_int.h"

#define HIGH_BASE 0x100000000ull

static uint64_t own_promise(const struct gmem *g)
{
	return g->ram_bytes + g->rom_bytes - g->taken_bytes - g->lent_bytes;
}

/* taken + lent + own is all of RAM and ROM, so what own lacks is there to be called back. */
static bool call_back(struct gmem *g, uint64_t bytes)
{
	if (page_promise(bytes))
		return false;
	g->lent_bytes -= bytes;
	return true;
}

bool gmem_may_take(struct gmem *g, uint64_t bytes)
{
	uint64_t own = own_promise(g);

	return own >= bytes || call_back(g, bytes - own);
}

int gmem_call_back(struct gmem *g, uint64_t bytes)
{
	bool ok;

	mutex_lock(&g->lock);
	bytes = MIN(bytes, g->lent_bytes);
	ok = !bytes || call_back(g, bytes);
	mutex_unlock(&g->lock);
	return ok ? 0 : -ENOMEM;
}

void gmem_lend(struct gmem *g, uint64_t total)
{
	uint64_t more;

	mutex_lock(&g->lock);
	more = total > g->lent_bytes ? MIN(total - g->lent_bytes, own_promise(g)) : 0;
	g->lent_bytes += more;
	page_unpromise(more);
	mutex_unlock(&g->lock);
}

void gmem_took(struct gmem *g, uint64_t bytes)
{
	g->taken_bytes += bytes;
	page_unpromise(bytes);
}

/* ---- life ---- */

static int setup(struct gmem *g, const struct slat_format *fmt)
{
	int r = -ENOMEM;

	g->block = calloc(g->nr_blocks, sizeof(*g->block));
	if (!g->block)
		return r;
	r = pageset_init(&g->marks, gmem_max_gfn(g));
	if (r)
		goto free_blocks;
	r = pageset_reserve(&g->marks);
	if (!r)
		r = slat_init(&g->slat, fmt);
	if (!r)
		return 0;
	pageset_fini(&g->marks);
free_blocks:
	free(g->block);
	return r;
}

int gmem_create(uint64_t ram_bytes, uint64_t rom_bytes, const struct slat_format *fmt,
		struct gmem **out)
{
	uint64_t all = ram_bytes + rom_bytes;
	struct gmem *g;
	int r;

	if (!ram_bytes || ((ram_bytes | rom_bytes) & (SIZE_2M - 1)))
		return -EINVAL;
	r = page_promise(all);
	if (r)
		return r;
	g = calloc(1, sizeof(*g));
	if (!g) {
		r = -ENOMEM;
		goto unpromise;
	}
	g->refs = 1;
	g->ram_bytes = ram_bytes;
	g->low_bytes = MIN(ram_bytes, GMEM_LOW_MAX);
	g->rom_bytes = rom_bytes;
	g->nr_blocks = all / SIZE_2M;
	mutex_init(&g->lock, LOCK_GMEM, "gmem");
	r = setup(g, fmt);
	if (!r) {
		*out = g;
		return 0;
	}
	free(g);
unpromise:
	page_unpromise(all);
	return r;
}

void gmem_get(struct gmem *g)
{
	__atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
}

static void free_block(struct gmem_block *b)
{
	uint64_t *frames;

	if (!b->base)
		return;
	if (!(b->base & BLOCK_SMALL)) {
		page_put(HPA(b->base));
		return;
	}
	frames = hpa_ptr(HPA(b->base & ~BLOCK_SMALL));
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		if (frames[i])
			page_put(HPA(frames[i]));
	page_put(ptr_hpa(frames));
}

void gmem_put(struct gmem *g)
{
	if (__atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL))
		return;
	slat_fini(&g->slat);
	for (uint64_t i = 0; i < g->nr_blocks; i++)
		free_block(&g->block[i]);
	page_unpromise(own_promise(g));
	pageset_fini(&g->marks);
	free(g->block);
	free(g);
}

struct slat *gmem_slat(struct gmem *g)
{
	return &g->slat;
}

uint64_t gmem_ram_bytes(const struct gmem *g)
{
	return g->ram_bytes;
}

uint64_t gmem_max_gfn(const struct gmem *g)
{
	if (g->ram_bytes == g->low_bytes)
		return (g->rom_bytes ? GMEM_ROM_END : g->low_bytes) >> PAGE_SHIFT;
	return (HIGH_BASE + g->ram_bytes - g->low_bytes) >> PAGE_SHIFT;
}

/* ---- frames ---- */

struct gmem_block *gmem_block_of(const struct gmem *g, gfn_t n, unsigned *index)
{
	uint64_t a = n << PAGE_SHIFT;

	if (n >= gmem_max_gfn(g))
		return NULL;
	if (gmem_is_rom(g, GPA(a)))
		a = a - (GMEM_ROM_END - g->rom_bytes) + g->ram_bytes;
	else if (a >= HIGH_BASE)
		a = a - HIGH_BASE + g->low_bytes;
	else if (a >= g->low_bytes)
		return NULL;
	*index = (unsigned)(n % BLOCK_PAGES);
	return &g->block[a / SIZE_2M];
}

bool gmem_is_ram(const struct gmem *g, gpa_t a)
{
	unsigned index;

	return gmem_block_of(g, gpa_gfn(a), &index) && !gmem_is_rom(g, a);
}

bool gmem_is_rom(const struct gmem *g, gpa_t a)
{
	return a.v < GMEM_ROM_END && GMEM_ROM_END - a.v <= g->rom_bytes;
}
