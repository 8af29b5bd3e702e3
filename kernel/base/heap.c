/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What newlib's malloc asks for: memory that only grows upwards (sbrk) and a
 * recursive lock. For set-up paths only; what moves data has its own pools.
 *
 * The heap is an arena of 4 MiB, the lowest that is free; when it is used up the next one
 * above it is taken (malloc copes with gaps, not with lower addresses). So it
 * begins low, and there is room above as long as there is memory.
 */
#include <errno.h>
#include <malloc.h>
#include <reent.h>
#include <string.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/page.h>

#define ARENA_ORDER 10u

/* lock guards the rest; malloc's own state is guarded by it through __malloc_lock. */
static struct {
	struct spinlock lock;
	unsigned long flags;
	unsigned depth;
	char *next, *end;
} heap = { .lock = SPINLOCK_INIT(LOCK_HEAP, "heap") };

void __malloc_lock(struct _reent *r)
{
	(void)r;
	if (!spin_held(&heap.lock))
		heap.flags = spin_lock(&heap.lock);
	heap.depth++;
}

void __malloc_unlock(struct _reent *r)
{
	(void)r;
	if (!--heap.depth)
		spin_unlock(&heap.lock, heap.flags);
}

static int new_arena(size_t bytes)
{
	unsigned order = ARENA_ORDER;
	hpa_t block;
	int r;

	while (PAGE_SIZE << order < bytes)
		order++;
	r = page_alloc_above(order, heap.end ? ptr_hpa(heap.end) : HPA(0), FRAME_KERNEL, &block);
	if (r)
		return r;
	heap.next = hpa_ptr(block);
	heap.end = heap.next + (PAGE_SIZE << order);
	return 0;
}

void *_sbrk_r(struct _reent *r, ptrdiff_t bytes)
{
	char *p;

	(void)r;
	tern_assert(spin_held(&heap.lock));
	if (bytes < 0)
		return (void *)-1;
	if ((size_t)bytes > (size_t)(heap.end - heap.next) && new_arena((size_t)bytes))
		return (void *)-1;
	p = heap.next;
	heap.next += bytes;
	return p;
}
