/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What newlib's malloc asks for: memory that only grows upwards (sbrk) and a
 * recursive lock. For set-up paths only; what moves data has its own pools.
 *
 * The heap is an arena of 4 MiB taken below 4 GiB; when it is used up another
 * block above it is taken (malloc copes with gaps, not with lower addresses).
 */
#include <errno.h>
#include <malloc.h>
#include <reent.h>
#include <string.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/page.h>

#define ARENA_ORDER 10u
#define TRIES 16

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

/* A block above the present arena. Blocks that lie below are given back at the end. */
static int take_above(unsigned order, hpa_t *out)
{
	hpa_t rejected[TRIES];
	unsigned n = 0;
	int r;

	for (;;) {
		r = page_alloc(order, heap.end ? 0 : PAGE_LOW4G, FRAME_KERNEL, out);
		if (r || (char *)hpa_ptr(*out) >= heap.end)
			break;
		rejected[n++] = *out;
		if (n == TRIES) {
			r = -ENOMEM;
			break;
		}
	}
	while (n)
		page_put(rejected[--n]);
	return r;
}

static int new_arena(size_t bytes)
{
	unsigned order = ARENA_ORDER;
	hpa_t block;
	int r;

	while (PAGE_SIZE << order < bytes)
		order++;
	r = take_above(order, &block);
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
