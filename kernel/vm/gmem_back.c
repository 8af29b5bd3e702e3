/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: backing and nested page faults. Host memory is taken by 2 MiB,
 * or by frames when it is in pieces; the guest's first touch defines a whole
 * block and maps it by one leaf, the hypervisor's defines single frames.
 * Invariants at the head of gmem.c.
 */
#include <errno.h>

#include "gmem_int.h"

bool gmem_host(const struct gmem_block *b, unsigned index, hpa_t *out)
{
	uint64_t base = __atomic_load_n(&b->base, __ATOMIC_ACQUIRE);
	const uint64_t *frames;

	if (!base)
		return false;
	if (!(base & BLOCK_SMALL)) {
		*out = HPA(base + index * PAGE_SIZE);
		return true;
	}
	frames = hpa_ptr(HPA(base & ~BLOCK_SMALL));
	*out = HPA(__atomic_load_n(&frames[index], __ATOMIC_ACQUIRE));
	return out->v != 0;
}

bool gmem_valid(const struct gmem_block *b, unsigned index)
{
	return __atomic_load_n(&b->valid[index / 64], __ATOMIC_ACQUIRE) >> (index % 64) & 1;
}

void gmem_set_valid(struct gmem *g, struct gmem_block *b, unsigned index)
{
	uint64_t bit = BIT(index % 64);

	if (!(__atomic_fetch_or(&b->valid[index / 64], bit, __ATOMIC_RELEASE) & bit))
		__atomic_fetch_add(&g->backed, 1, __ATOMIC_RELAXED);
}

/* 2 MiB at once, or a page to list single frames in. */
static int take_block(struct gmem *g, struct gmem_block *b)
{
	hpa_t a;
	int r;

	if (gmem_may_take(g, SIZE_2M) && !page_alloc(ORDER_2M, 0, FRAME_GUEST, &a)) {
		gmem_took(g, SIZE_2M);
		__atomic_store_n(&b->base, a.v, __ATOMIC_RELEASE);
		return 0;
	}
	r = page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &a);
	if (!r)
		__atomic_store_n(&b->base, a.v | BLOCK_SMALL, __ATOMIC_RELEASE);
	return r;
}

int gmem_take_locked(struct gmem *g, struct gmem_block *b, unsigned index, hpa_t *out)
{
	uint64_t *frames;
	int r = b->base ? 0 : take_block(g, b);

	if (r || gmem_host(b, index, out))
		return r;
	frames = hpa_ptr(HPA(b->base & ~BLOCK_SMALL));
	r = gmem_may_take(g, PAGE_SIZE) ? page_alloc(ORDER_4K, 0, FRAME_GUEST, out) : -ENOMEM;
	if (r)
		return r;
	gmem_took(g, PAGE_SIZE);
	__atomic_store_n(&frames[index], out->v, __ATOMIC_RELEASE);
	return 0;
}

static int back_locked(struct gmem *g, struct gmem_block *b, unsigned index, hpa_t *out)
{
	int r = gmem_take_locked(g, b, index, out);

	if (r || gmem_valid(b, index))
		return r;
	page_clear(hpa_ptr(*out));
	gmem_set_valid(g, b, index);
	return 0;
}

int gmem_back(struct gmem *g, gfn_t n, hpa_t *out)
{
	unsigned index;
	struct gmem_block *b = gmem_block_of(g, n, &index);
	int r;

	if (!b)
		return -EFAULT;
	for (;;) {
		gmem_enter(g);
		if (gmem_valid(b, index) && gmem_host(b, index, out))
			return 0;
		gmem_leave(g);
		mutex_lock(&g->lock);
		r = back_locked(g, b, index, out);
		mutex_unlock(&g->lock);
		if (r)
			return r;
	}
}

/* ---- faults ---- */

static unsigned rights(const struct gmem *g, gfn_t n)
{
	return gmem_is_rom(g, gfn_gpa(n)) ? SLAT_R | SLAT_X : trace_rights(g);
}

static int map_large(struct gmem *g, struct gmem_block *b, gfn_t first)
{
	hpa_t a;

	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		int r = gmem_valid(b, i) ? 0 : back_locked(g, b, i, &a);

		if (r)
			return r;
	}
	return slat_map(&g->slat, gfn_gpa(first), HPA(b->base), SIZE_2M, rights(g, first));
}

static int map_small(struct gmem *g, struct gmem_block *b, gfn_t n, unsigned index)
{
	hpa_t a;
	int r = back_locked(g, b, index, &a);

	if (!r)
		r = slat_map(&g->slat, gfn_gpa(n), a, PAGE_SIZE, rights(g, n));
	return r == -EEXIST ? 0 : r; /* another vCPU was here first */
}

static int fault_locked(struct gmem *g, struct gmem_block *b, gfn_t n, unsigned index)
{
	struct slat_leaf leaf;
	int r = b->base ? 0 : take_block(g, b);

	if (r)
		return r;
	b->mapped = true;
	if (b->base & BLOCK_SMALL)
		return map_small(g, b, n, index);
	r = map_large(g, b, n - index);
	if (r != -EEXIST || slat_lookup(&g->slat, gfn_gpa(n), &leaf))
		return r == -EEXIST ? 0 : r;
	return map_small(g, b, n, index); /* there is a table already */
}

int gmem_fault(struct gmem *g, gpa_t a, bool write, bool fetch)
{
	unsigned index;
	struct gmem_block *b = gmem_block_of(g, gpa_gfn(a), &index);
	int r;

	(void)fetch; /* RAM and ROM may be executed */
	if (!b || (write && gmem_is_rom(g, a)))
		return -EFAULT;
	mutex_lock(&g->lock);
	r = fault_locked(g, b, gpa_gfn(a), index);
	if (!r && write)
		r = trace_write_locked(g, gpa_gfn(a));
	mutex_unlock(&g->lock);
	return r;
}
