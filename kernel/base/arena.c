/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the heap's memory comes from (heap.c): blocks of pages, each above all before it, because
 * malloc copes with gaps but not with lower addresses. So the heap begins low, and there is room
 * above as long as there is memory.
 *
 * A block is the lowest that is free above the last and large enough for what is asked, and of it
 * 4 MiB at most. What is passed over is given up for good, so a small block comes before a large
 * one that is higher: where memory is in pieces hundreds of MiB may lie below the one of 4 MiB.
 * Below 64 KiB there may be very many, and little in them: these only when there is nothing else.
 * One that joins the last is used with what was left of that.
 */
#include <tern/page.h>

#include "base.h"

#define ARENA_ORDER 10u
#define SMALL_ORDER 4u

static unsigned order_for(size_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

static int take_block(const struct arena *a, unsigned least, hpa_t *out)
{
	hpa_t from = a->end ? ptr_hpa(a->end) : HPA(0);

	int err = page_alloc_above(MAX(least, SMALL_ORDER), MAX(least, ARENA_ORDER), from,
				   FRAME_KERNEL, out);

	return err && least < SMALL_ORDER
		       ? page_alloc_above(least, ARENA_ORDER, from, FRAME_KERNEL, out)
		       : err;
}

void *arena_grow(struct arena *a, size_t bytes)
{
	char *p;

	if (bytes > (size_t)(a->end - a->next)) {
		hpa_t block;

		if (take_block(a, order_for(bytes), &block))
			return NULL;
		if (hpa_ptr(block) != a->end)
			a->next = hpa_ptr(block);
		a->end = (char *)hpa_ptr(block) + (PAGE_SIZE << page_frame(block)->order);
	}
	p = a->next;
	a->next += bytes;
	return p;
}
