/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages for data on its way (page_ring.h). Invariant: given <= taken <= given + nr. */
#include <errno.h>
#include <stdlib.h>

#include <tern/log.h>

#include "page_ring.h"

#define BLOCK_ORDER 4u /* of 64 KiB: fewer segments, fewer reads */
#define BLOCK_PAGES (1u << BLOCK_ORDER)

int page_ring_init(struct page_ring *r, unsigned pages)
{
	hpa_t block;

	*r = (struct page_ring){ 0 };
	pages = (pages + BLOCK_PAGES - 1) & ~(BLOCK_PAGES - 1);
	r->page = calloc(2 * (size_t)pages, sizeof(*r->page));
	if (!r->page)
		return -ENOMEM;
	for (; r->nr < pages; r->nr += BLOCK_PAGES) {
		if (page_alloc(BLOCK_ORDER, 0, FRAME_MIG, &block)) {
			page_ring_fini(r);
			return -ENOMEM;
		}
		for (unsigned i = 0; i < BLOCK_PAGES; i++) {
			hpa_t p = HPA(block.v + i * PAGE_SIZE);

			r->page[r->nr + i] = r->page[pages + r->nr + i] = p;
		}
	}
	return 0;
}

void page_ring_fini(struct page_ring *r)
{
	for (unsigned i = 0; i < r->nr; i += BLOCK_PAGES)
		page_put(r->page[i]);
	free(r->page);
	*r = (struct page_ring){ 0 };
}

hpa_t *page_ring_take(struct page_ring *r, unsigned pages)
{
	hpa_t *first = &r->page[r->taken % r->nr];

	if (pages > r->nr - (r->taken - r->given))
		return NULL;
	r->taken += pages;
	return first;
}

void page_ring_give(struct page_ring *r, unsigned pages)
{
	r->given += pages;
	tern_assert(r->given <= r->taken);
}
