/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bases of deltas (bases.h). Pages are taken from the host in blocks, because
 * pages that follow each other in memory also go to the network in one piece.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/gmem.h>

#include "bases.h"

#define BLOCK_ORDER 6u
#define BLOCK_PAGES (1u << BLOCK_ORDER)

int bases_init(struct bases *b, uint64_t pages)
{
	memset(b, 0, sizeof(*b));
	b->nr_chunks = pages / BASES_CHUNK_PAGES + 1;
	b->chunk = calloc(b->nr_chunks, sizeof(*b->chunk));
	if (b->chunk && !pageset_init(&b->have, pages) && !pageset_init(&b->useless, pages))
		return 0;
	bases_fini(b);
	return -ENOMEM;
}

static hpa_t *slot(const struct bases *b, gfn_t n)
{
	return &b->chunk[n / BASES_CHUNK_PAGES][n % BASES_CHUNK_PAGES];
}

void bases_fini(struct bases *b)
{
	for (uint64_t c = 0; b->chunk && c < b->nr_chunks; c++) {
		for (unsigned i = 0; b->chunk[c] && i < BASES_CHUNK_PAGES; i++)
			if (b->chunk[c][i].v)
				page_put(b->chunk[c][i]);
		free(b->chunk[c]);
	}
	for (; b->spares; b->spares--, b->spare.v += PAGE_SIZE)
		page_put(b->spare);
	free(b->chunk);
	pageset_fini(&b->have);
	pageset_fini(&b->useless);
	memset(b, 0, sizeof(*b));
}

static bool room_for_block(const struct bases *b, bool written)
{
	return (b->count + BLOCK_PAGES) * PAGE_SIZE * (written ? 1 : 3) <= page_spare_bytes();
}

/* A page from the block in use, or from a new one. */
static bool take(struct bases *b, bool written, hpa_t *out)
{
	if (!b->spares) {
		if (!room_for_block(b, written) || page_alloc(BLOCK_ORDER, 0, FRAME_MIG, &b->spare))
			return false;
		page_split(b->spare, ORDER_4K);
		b->spares = BLOCK_PAGES;
	}
	*out = b->spare;
	b->spare.v += PAGE_SIZE;
	b->spares--;
	return true;
}

static bool prepare(struct bases *b, gfn_t n)
{
	hpa_t **chunk = &b->chunk[n / BASES_CHUNK_PAGES];

	if (n >= b->have.pages || pageset_test(&b->useless, n))
		return false;
	if (!*chunk)
		*chunk = calloc(BASES_CHUNK_PAGES, sizeof(**chunk));
	return *chunk != NULL;
}

static void copy(struct bases *b, hpa_t to, const void *from)
{
	page_copy(hpa_ptr(to), from);
	b->copied_bytes += PAGE_SIZE;
}

bool bases_make(struct bases *b, gfn_t n, const void *live, bool written, hpa_t *out)
{
	bases_drop(b, n);
	if (!prepare(b, n) || !take(b, written, out))
		return false;
	if (pageset_set(&b->have, n)) {
		page_put(*out);
		return false;
	}
	copy(b, *out, live);
	*slot(b, n) = *out;
	b->count++;
	page_get(*out);
	return true;
}

static bool shared(hpa_t page)
{
	return __atomic_load_n(&page_frame(page)->refs, __ATOMIC_ACQUIRE) > 1;
}

void *bases_write(struct bases *b, gfn_t n)
{
	hpa_t *at, own;

	if (!pageset_test(&b->have, n))
		return NULL;
	at = slot(b, n);
	if (!shared(*at))
		return hpa_ptr(*at);
	if (!take(b, true, &own))
		return NULL;
	copy(b, own, hpa_ptr(*at));
	page_put(*at);
	*at = own;
	return hpa_ptr(own);
}

void bases_drop(struct bases *b, gfn_t n)
{
	if (!pageset_test(&b->have, n))
		return;
	pageset_clear(&b->have, n);
	page_put(*slot(b, n));
	*slot(b, n) = HPA(0);
	b->count--;
}

void bases_give_up(struct bases *b, gfn_t n)
{
	bases_drop(b, n);
	if (pageset_set(&b->useless, n))
		return; /* no memory to remember it by: it may be tried again */
}
