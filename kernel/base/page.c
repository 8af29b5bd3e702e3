/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator: binary buddies, orders 0 (4 KiB) to 18 (1 GiB), with the
 * memory below 4 GiB in a zone of its own, which is used last unless asked for.
 *
 * One struct frame per 4 KiB of memory. FRAME_HEAD marks the first frame of
 * every block, free or not, and no other frame, so the block that holds a frame
 * is found by trying the 19 places where its head could be. Free blocks are
 * linked through their own first bytes.
 *
 * The lock guards the lists, the counters and all frames of free blocks. Frames
 * of an allocated block belong to its owner, except that refs is atomic.
 *
 * Under an emulator a page's first allocation clears it. Seen with QEMU's TCG: as
 * long as a page holds translated code that ran there (the firmware's), every store
 * into it, and every device's write, goes a way hundreds of times slower; writing
 * the whole page once ends that. Streams over virtio-net were six times slower without.
 */
#include <errno.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/page.h>

#include "base.h"

#define ORDERS (ORDER_1G + 1)
#define LOW_LIMIT_PFN (1ull << (32 - PAGE_SHIFT))

#define FRAME_HEAD 1u
#define FRAME_IN_LIST 2u

struct free_block {
	struct free_block *next, *prev;
};

static struct {
	struct spinlock lock;
	struct frame *frames;
	uint64_t count;			    /* frames */
	struct free_block *list[2][ORDERS]; /* [1] below 4 GiB */
	uint64_t owner_pages[FRAME_OWNERS];
	uint64_t *fresh; /* bit per frame: never allocated; NULL: does not matter */
} mem = { .lock = SPINLOCK_INIT(LOCK_PAGE, "pages") };

static struct free_block **list_of(uint64_t pfn, unsigned order)
{
	return &mem.list[pfn < LOW_LIMIT_PFN][order];
}

static struct free_block *pfn_block(uint64_t pfn)
{
	return hpa_ptr(HPA(pfn << PAGE_SHIFT));
}

static void list_push(uint64_t pfn, unsigned order)
{
	struct free_block **head = list_of(pfn, order), *b = pfn_block(pfn);

	mem.frames[pfn] = (struct frame){ .order = (uint8_t)order,
					  .owner = FRAME_FREE,
					  .flags = FRAME_HEAD | FRAME_IN_LIST };
	b->prev = NULL;
	b->next = *head;
	if (b->next)
		b->next->prev = b;
	*head = b;
}

static void list_remove(uint64_t pfn, unsigned order)
{
	struct free_block *b = pfn_block(pfn);

	if (b->prev)
		b->prev->next = b->next;
	else
		*list_of(pfn, order) = b->next;
	if (b->next)
		b->next->prev = b->prev;
	mem.frames[pfn].flags = 0;
}

static bool is_free_block(uint64_t pfn, unsigned order)
{
	return pfn < mem.count && mem.frames[pfn].flags == (FRAME_HEAD | FRAME_IN_LIST) &&
	       mem.frames[pfn].order == order;
}

static void free_locked(uint64_t pfn, unsigned order)
{
	mem.owner_pages[FRAME_FREE] += 1ull << order;
	mem.frames[pfn].flags = 0;
	while (order < ORDER_1G && is_free_block(pfn ^ 1ull << order, order)) {
		list_remove(pfn ^ 1ull << order, order);
		pfn &= ~(1ull << order);
		order++;
	}
	list_push(pfn, order);
}

void page_setup(struct frame *frames, uint64_t count)
{
	mem.frames = frames;
	mem.count = count;
}

void page_set_fresh(uint64_t *bitmap)
{
	mem.fresh = bitmap;
}

void page_account(enum frame_owner owner, uint64_t pages)
{
	unsigned long flags = spin_lock(&mem.lock);

	mem.owner_pages[owner] += pages;
	spin_unlock(&mem.lock, flags);
}

void page_add(uint64_t first_pfn, uint64_t count)
{
	unsigned long flags = spin_lock(&mem.lock);

	while (count) {
		unsigned order = ORDER_1G;

		while (first_pfn & ((1ull << order) - 1) || 1ull << order > count)
			order--;
		free_locked(first_pfn, order);
		first_pfn += 1ull << order;
		count -= 1ull << order;
	}
	spin_unlock(&mem.lock, flags);
}

/* Takes the free block of order `have`, and gives back what is beyond order. */
static void cut_locked(uint64_t pfn, unsigned have, unsigned order)
{
	list_remove(pfn, have);
	while (have > order) {
		have--;
		list_push(pfn + (1ull << have), have);
	}
}

/* Smallest sufficient block of the zone, cut down to order; false when there is none. */
static bool take_locked(bool low, unsigned order, uint64_t *pfn)
{
	unsigned o = order;

	while (o < ORDERS && !mem.list[low][o])
		o++;
	if (o == ORDERS)
		return false;
	*pfn = ptr_hpa(mem.list[low][o]).v >> PAGE_SHIFT;
	cut_locked(*pfn, o, order);
	return true;
}

/* The lowest one from a frame on, of *order at least; cut down to `most`. */
static bool take_above_locked(uint64_t from_pfn, unsigned *order, unsigned most, uint64_t *pfn)
{
	unsigned have = ORDERS;

	for (unsigned i = 0; i < 2 * ORDERS; i++) {
		unsigned o = i / 2;

		if (o < *order)
			continue;
		for (struct free_block *b = mem.list[i % 2][o]; b; b = b->next) {
			uint64_t at = ptr_hpa(b).v >> PAGE_SHIFT;

			if (at >= from_pfn && (have == ORDERS || at < *pfn)) {
				*pfn = at;
				have = o;
			}
		}
	}
	if (have == ORDERS)
		return false;
	*order = MIN(have, most);
	cut_locked(*pfn, have, *order);
	return true;
}

static void claim_locked(uint64_t pfn, unsigned order, enum frame_owner owner)
{
	mem.frames[pfn] = (struct frame){
		.refs = 1, .order = (uint8_t)order, .owner = (uint8_t)owner, .flags = FRAME_HEAD
	};
	mem.owner_pages[FRAME_FREE] -= 1ull << order;
	mem.owner_pages[owner] += 1ull << order;
}

/* True when part of the block was never allocated before. Its bits are aligned as it is. */
static bool take_fresh_locked(uint64_t pfn, unsigned order)
{
	uint64_t *word = mem.fresh + pfn / 64, mask = UINT64_MAX, any = 0;

	if (!mem.fresh)
		return false;
	if (order < 6)
		mask = ((1ull << (1u << order)) - 1) << (pfn % 64);
	for (uint64_t n = order < 6 ? 1 : 1ull << (order - 6); n; n--, word++) {
		any |= *word & mask;
		*word &= ~mask;
	}
	return any != 0;
}

static void clear_block(uint64_t pfn, unsigned order)
{
	for (uint64_t i = 0; i < 1ull << order; i++)
		page_clear(hpa_ptr(HPA((pfn + i) << PAGE_SHIFT)));
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	unsigned long irq;
	uint64_t pfn;
	bool ok, clear = flags & PAGE_ZERO;

	if (order > ORDER_1G)
		return -ENOMEM;
	irq = spin_lock(&mem.lock);
	ok = (!(flags & PAGE_LOW4G) && take_locked(false, order, &pfn)) ||
	     take_locked(true, order, &pfn);
	if (ok) {
		claim_locked(pfn, order, owner);
		clear |= take_fresh_locked(pfn, order);
	}
	spin_unlock(&mem.lock, irq);
	if (!ok)
		return -ENOMEM;
	*out = HPA(pfn << PAGE_SHIFT);
	if (clear)
		clear_block(pfn, order);
	return 0;
}

int page_alloc_above(unsigned order, unsigned most, hpa_t from, enum frame_owner owner, hpa_t *out)
{
	unsigned long irq = spin_lock(&mem.lock);
	uint64_t pfn = 0, from_pfn = (from.v + PAGE_MASK) >> PAGE_SHIFT;
	bool ok = take_above_locked(from_pfn, &order, most, &pfn), clear = false;

	if (ok) {
		claim_locked(pfn, order, owner);
		clear = take_fresh_locked(pfn, order);
	}
	spin_unlock(&mem.lock, irq);
	if (!ok)
		return -ENOMEM;
	*out = HPA(pfn << PAGE_SHIFT);
	if (clear)
		clear_block(pfn, order);
	return 0;
}

/* First frame of the allocated block that holds this address. */
static uint64_t block_head(hpa_t a)
{
	uint64_t pfn = a.v >> PAGE_SHIFT;

	for (unsigned order = 0; order < ORDERS && pfn < mem.count; order++) {
		uint64_t head = pfn & ~((1ull << order) - 1);
		const struct frame *f = &mem.frames[head];

		if (!(f->flags & FRAME_HEAD))
			continue;
		if (f->flags & FRAME_IN_LIST || (pfn - head) >> f->order)
			break;
		return head;
	}
	panic("page %#llx is not allocated", (unsigned long long)a.v);
}

void page_get(hpa_t block)
{
	__atomic_fetch_add(&mem.frames[block_head(block)].refs, 1, __ATOMIC_RELAXED);
}

void page_put(hpa_t block)
{
	uint64_t pfn = block_head(block);
	struct frame *f = &mem.frames[pfn];
	unsigned long flags;

	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	flags = spin_lock(&mem.lock);
	mem.owner_pages[f->owner] -= 1ull << f->order;
	free_locked(pfn, f->order);
	spin_unlock(&mem.lock, flags);
}

void page_split(hpa_t block, unsigned new_order)
{
	uint64_t pfn = block_head(block), end;
	struct frame f = mem.frames[pfn];
	unsigned long flags;

	tern_assert(f.refs == 1 && new_order <= f.order);
	end = pfn + (1ull << f.order);
	f.order = (uint8_t)new_order;
	flags = spin_lock(&mem.lock);
	for (; pfn < end; pfn += 1ull << new_order)
		mem.frames[pfn] = f;
	spin_unlock(&mem.lock, flags);
}

bool page_is_shared(hpa_t block)
{
	return __atomic_load_n(&mem.frames[block_head(block)].refs, __ATOMIC_ACQUIRE) > 1;
}

struct frame *page_frame(hpa_t a)
{
	tern_assert(a.v >> PAGE_SHIFT < mem.count);
	return &mem.frames[a.v >> PAGE_SHIFT];
}

void page_stats(struct page_stats *out)
{
	unsigned long flags = spin_lock(&mem.lock);

	out->total_bytes = 0;
	for (unsigned i = 0; i < FRAME_OWNERS; i++) {
		out->owner_bytes[i] = mem.owner_pages[i] << PAGE_SHIFT;
		out->total_bytes += out->owner_bytes[i];
	}
	out->free_bytes = out->owner_bytes[FRAME_FREE];
	spin_unlock(&mem.lock, flags);
}
