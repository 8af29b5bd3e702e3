/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: what moving a VM needs. The source walks what was ever backed
 * and borrows frames; the destination fills frames that no vCPU can see yet.
 * Invariants at the head of gmem.c.
 */
#include <errno.h>

#include <tern/log.h>

#include "gmem_int.h"

/* First frame at or after n whose valid bit is as wanted, within its block; block end when none. */
static unsigned seek(const struct gmem_block *b, unsigned from, bool valid)
{
	for (unsigned i = from; i < BLOCK_PAGES; i = (i | 63) + 1) {
		uint64_t word = __atomic_load_n(&b->valid[i / 64], __ATOMIC_ACQUIRE);

		word = (valid ? word : ~word) >> (i % 64);
		if (word)
			return i + (unsigned)__builtin_ctzll(word);
	}
	return BLOCK_PAGES;
}

/* Skips the hole between low RAM and ROM, or high RAM. */
static gfn_t next_there(const struct gmem *g, gfn_t n)
{
	gfn_t rom = (GMEM_ROM_END - g->rom_bytes) >> PAGE_SHIFT;

	return n >= g->low_bytes >> PAGE_SHIFT && n < rom ? rom : n;
}

static bool find_valid(const struct gmem *g, gfn_t n, gfn_t *out)
{
	for (n = next_there(g, n); n < gmem_max_gfn(g); n = next_there(g, n)) {
		unsigned index, at = BLOCK_PAGES;
		const struct gmem_block *b = gmem_block_of(g, n, &index);

		if (__atomic_load_n(&b->base, __ATOMIC_RELAXED))
			at = seek(b, index, true);
		n += at - index;
		if (at < BLOCK_PAGES) {
			*out = n;
			return true;
		}
	}
	return false;
}

bool gmem_next_backed(struct gmem *g, gfn_t from, uint64_t max, gfn_t *first, uint64_t *count)
{
	gfn_t n;

	if (!max || !find_valid(g, from, first))
		return false;
	for (n = *first; n - *first < max;) {
		unsigned index, at;
		const struct gmem_block *b = gmem_block_of(g, n, &index);

		if (!b)
			break;
		at = seek(b, index, false);
		n += at - index;
		if (at < BLOCK_PAGES)
			break;
	}
	*count = MIN(n - *first, max);
	return true;
}

uint64_t gmem_backed_pages(const struct gmem *g)
{
	return __atomic_load_n(&g->backed, __ATOMIC_RELAXED);
}

bool gmem_frame(struct gmem *g, gfn_t n, hpa_t *out)
{
	unsigned index;
	const struct gmem_block *b = gmem_block_of(g, n, &index);
	bool found;

	if (!b)
		return false;
	gmem_enter(g);
	found = gmem_valid(b, index) && gmem_host(b, index, out);
	if (found)
		page_get(*out);
	gmem_leave(g);
	return found;
}

int gmem_receive(struct gmem *g, gfn_t n, hpa_t *out)
{
	unsigned index;
	struct gmem_block *b = gmem_block_of(g, n, &index);
	int r;

	if (!b)
		return -EFAULT;
	if (gmem_valid(b, index) && gmem_host(b, index, out))
		return 0;
	mutex_lock(&g->lock);
	r = gmem_take_locked(g, b, index, out);
	if (!r)
		gmem_set_valid(g, b, index); /* nobody reads it before the stream has filled it */
	mutex_unlock(&g->lock);
	return r;
}

int gmem_receive_zero(struct gmem *g, gfn_t n)
{
	unsigned index;
	struct gmem_block *b = gmem_block_of(g, n, &index);
	uint64_t bit;
	hpa_t host;

	if (!b)
		return -EFAULT;
	if (!gmem_valid(b, index))
		return 0;
	mutex_lock(&g->lock);
	bit = BIT(index % 64);
	if (b->mapped && gmem_host(b, index, &host))
		page_clear(hpa_ptr(host));
	else if (__atomic_fetch_and(&b->valid[index / 64], ~bit, __ATOMIC_SEQ_CST) & bit)
		__atomic_fetch_sub(&g->backed, 1, __ATOMIC_RELAXED);
	mutex_unlock(&g->lock);
	return 0;
}
