/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages for data on its way, allocated once: taken in stretches and given back in the
 * order in which they were taken. Neighbours in the ring are mostly neighbours in memory. The
 * owner's lock.
 */
#ifndef MIG_PAGE_RING_H
#define MIG_PAGE_RING_H

#include <tern/page.h>

struct page_ring {
	hpa_t *page;	/* [const] nr of them, twice, so that a stretch never wraps */
	unsigned nr;	/* [const] */
	uint64_t taken; /* pages, ever */
	uint64_t given; /* pages back, ever */
};

/* -ENOMEM. A ring of zeros needs no page_ring_fini, but may get it. */
MUST_CHECK int page_ring_init(struct page_ring *r, unsigned pages);
void page_ring_fini(struct page_ring *r);
/* The stretch, valid until it is given back; NULL when there is no room for it now. */
hpa_t *page_ring_take(struct page_ring *r, unsigned pages);
void page_ring_give(struct page_ring *r, unsigned pages);

#endif
