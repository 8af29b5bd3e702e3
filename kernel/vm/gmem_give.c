/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory that its guest gives back: by a balloon, or as free pages that it
 * reports. Such a frame is absent again: reads as zero, costs nothing.
 *
 * In this order, under g->lock: its leaves go, every CPU that runs the VM has
 * flushed, so no store of the guest can be under way; then, with the gate
 * closed and nobody inside (gmem_enter), its valid bit and its memory; then it is
 * marked dirty, for a peer that has the old contents must learn of the zeros.
 * The D bit that went with the leaf says no more than that mark. References that
 * others hold on the memory (the stream of a migration, a pin) stay good: they
 * keep the memory, not the frame.
 *
 * 2 MiB in one block are cut into frames when the first part of them goes. A
 * block that others refer to cannot be cut: its frames are kept this time.
 */
#include <errno.h>

#include "gmem_int.h"

#define WORDS (BLOCK_PAGES / 64)

/* The frames of one block that are to go: named, and valid. */
static unsigned named_in(const struct gmem *g, const struct pageset *set, gfn_t first,
			 uint64_t mask[WORDS])
{
	unsigned index, count = 0;
	const struct gmem_block *b = gmem_block_of(g, first, &index);

	for (unsigned w = 0; w < WORDS; w++) {
		uint64_t valid = __atomic_load_n(&b->valid[w], __ATOMIC_RELAXED);

		mask[w] = 0;
		for (; valid; valid &= valid - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(valid);

			if (pageset_test(set, first + w * 64 + bit))
				mask[w] |= BIT(bit);
		}
		count += (unsigned)__builtin_popcountll(mask[w]);
	}
	return count;
}

/* The first block from *at on that has members of the set; *at is its first frame. */
static bool next_block(const struct gmem *g, const struct pageset *set, gfn_t *at)
{
	unsigned index;
	uint64_t count;

	while (pageset_next_run(set, *at, 1, at, &count)) {
		if (gmem_block_of(g, *at, &index) && !gmem_is_rom(g, gfn_gpa(*at))) {
			*at -= index;
			return true;
		}
		++*at;
	}
	return false;
}

static int unmap(struct gmem *g, gfn_t first, const uint64_t mask[WORDS], struct slat_flush *owed)
{
	int r = 0;

	for (unsigned i = 0, n; !r && i < BLOCK_PAGES; i += n) {
		for (n = 0; i + n < BLOCK_PAGES && mask[(i + n) / 64] >> ((i + n) % 64) & 1; n++)
			;
		if (n)
			r = slat_unmap(&g->slat, gfn_gpa(first + i), n * PAGE_SIZE, owed);
		else
			n = 1;
	}
	return r;
}

static void invalidate(struct gmem *g, struct gmem_block *b, const uint64_t mask[WORDS],
		       unsigned count)
{
	for (unsigned w = 0; w < WORDS; w++)
		__atomic_fetch_and(&b->valid[w], ~mask[w], __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&g->backed, count, __ATOMIC_RELAXED);
}

static bool any_valid(const struct gmem_block *b)
{
	uint64_t any = 0;

	for (unsigned w = 0; w < WORDS; w++)
		any |= b->valid[w];
	return any != 0;
}

/* The block as single frames, listed in the page that table is. */
static void cut(struct gmem_block *b, hpa_t table)
{
	uint64_t *frames = hpa_ptr(table);

	page_split(HPA(b->base), ORDER_4K);
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		frames[i] = b->base + i * PAGE_SIZE;
	__atomic_store_n(&b->base, table.v | BLOCK_SMALL, __ATOMIC_RELEASE);
}

/* Frees what is behind invalid frames; bytes. */
static uint64_t free_frames(struct gmem_block *b)
{
	uint64_t *frames = hpa_ptr(HPA(b->base & ~BLOCK_SMALL)), bytes = 0;
	bool left = false;

	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		left |= gmem_valid(b, i);
		if (gmem_valid(b, i) || !frames[i])
			continue;
		page_put(HPA(frames[i]));
		frames[i] = 0;
		bytes += PAGE_SIZE;
	}
	if (!left) {
		b->base = 0;
		page_put(ptr_hpa(frames));
	}
	return bytes;
}

static void close_gate(struct gmem *g)
{
	__atomic_store_n(&g->gate, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&g->readers, __ATOMIC_SEQ_CST))
		cpu_pause();
}

static void open_gate(struct gmem *g)
{
	__atomic_store_n(&g->gate, 0, __ATOMIC_RELEASE);
}

/* With the gate closed. table is a page for cut(), 0 when there is none. Bytes freed. */
static uint64_t take_away(struct gmem *g, struct gmem_block *b, const uint64_t mask[WORDS],
			  unsigned count, hpa_t *table)
{
	bool large = !(b->base & BLOCK_SMALL), part = false;
	uint64_t base = b->base;

	for (unsigned w = 0; w < WORDS; w++)
		part |= (b->valid[w] & ~mask[w]) != 0;
	if (large && part && (!table->v || page_is_shared(HPA(base))))
		return 0;
	invalidate(g, b, mask, count);
	if (large && !any_valid(b)) {
		b->base = 0;
		page_put(HPA(base));
		return SIZE_2M;
	}
	if (large) {
		cut(b, *table);
		*table = HPA(0);
	}
	return free_frames(b);
}

/* One block's part of it: how many frames went. */
static unsigned give_block(struct gmem *g, const struct pageset *set, gfn_t first)
{
	unsigned index, count;
	struct gmem_block *b = gmem_block_of(g, first, &index);
	uint64_t mask[WORDS], bytes;
	hpa_t table = HPA(0);

	count = named_in(g, set, first, mask);
	if (!count)
		return 0;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &table))
		table = HPA(0);
	page_repromise(SIZE_2M); /* before it is free, or others would be promised it */
	close_gate(g);
	bytes = take_away(g, b, mask, count, &table);
	open_gate(g);
	page_unpromise(SIZE_2M - bytes);
	g->taken_bytes -= bytes;
	if (table.v)
		page_put(table);
	for (unsigned i = 0; bytes && i < BLOCK_PAGES; i++)
		if (mask[i / 64] >> (i % 64) & 1)
			gmem_mark(g, first + i);
	return bytes ? count : 0;
}

static int unmap_all(struct gmem *g, const struct pageset *set, struct slat_flush *owed)
{
	uint64_t mask[WORDS];
	int r = 0;

	for (gfn_t at = 0; !r && next_block(g, set, &at); at += BLOCK_PAGES)
		if (named_in(g, set, at, mask))
			r = unmap(g, at, mask, owed);
	return r;
}

int64_t gmem_give_back(struct vm *vm, const struct pageset *set)
{
	struct gmem *g = vm->mem;
	struct slat_flush owed = { 0 };
	int64_t given = 0;
	int r;

	mutex_lock(&g->lock);
	r = unmap_all(g, set, &owed);
	vm_flush(vm, owed);
	for (gfn_t at = 0; !r && next_block(g, set, &at); at += BLOCK_PAGES)
		given += give_block(g, set, at);
	g->given_pages += (uint64_t)given;
	mutex_unlock(&g->lock);
	return r ? r : given;
}

uint64_t gmem_given_pages(const struct gmem *g)
{
	return __atomic_load_n(&g->given_pages, __ATOMIC_RELAXED);
}

uint64_t gmem_lent_bytes(const struct gmem *g)
{
	return __atomic_load_n(&g->lent_bytes, __ATOMIC_RELAXED);
}
