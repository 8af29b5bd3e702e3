/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What newlib's malloc asks for: memory that only grows upwards (sbrk) and a
 * recursive lock. For set-up paths only; what moves data has its own pools.
 */
#include <malloc.h>
#include <reent.h>

#include <tern/lock.h>
#include <tern/log.h>

#include "base.h"

/* lock guards the rest; malloc's own state is guarded by it through __malloc_lock. */
static struct {
	struct spinlock lock;
	unsigned long flags;
	unsigned depth;
	struct arena arena;
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

void *_sbrk_r(struct _reent *r, ptrdiff_t bytes)
{
	char *p;

	(void)r;
	tern_assert(spin_held(&heap.lock));
	p = bytes < 0 ? NULL : arena_grow(&heap.arena, (size_t)bytes);
	return p ? p : (void *)-1;
}
