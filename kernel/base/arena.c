/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the heap's memory comes from (heap.c): blocks of pages, each above all before it, because
 * malloc copes with gaps but not with lower addresses. So the heap begins low, and there is room
 * above as long as there is memory.
 *
 * A block is 4 MiB, the lowest that is free. A host whose memory is in pieces has none of that
 * size, though hundreds of MiB may be free: then it is half as large, and so on, down to what is
 * asked for. One that joins the last is used with what was left of that.
 */
#include <tern/page.h>

#include "base.h"

#define ARENA_ORDER 10u

static unsigned order_for(size_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

static int take_block(const struct arena *a, unsigned least, unsigned *order, hpa_t *out)
{
	hpa_t from = a->end ? ptr_hpa(a->end) : HPA(0);
	int err;

	*order = MAX(least, ARENA_ORDER);
	while ((err = page_alloc_above(*order, from, FRAME_KERNEL, out)) && *order > least)
		--*order;
	return err;
}

void *arena_grow(struct arena *a, size_t bytes)
{
	char *p;

	if (bytes > (size_t)(a->end - a->next)) {
		unsigned order;
		hpa_t block;

		if (take_block(a, order_for(bytes), &order, &block))
			return NULL;
		if (hpa_ptr(block) != a->end)
			a->next = hpa_ptr(block);
		a->end = (char *)hpa_ptr(block) + (PAGE_SIZE << order);
	}
	p = a->next;
	a->next += bytes;
	return p;
}
