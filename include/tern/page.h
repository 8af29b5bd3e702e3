/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical memory: a buddy allocator over 4 KiB, 2 MiB and 1 GiB blocks (and
 * the powers between), and one struct frame for each 4 KiB frame with owner
 * and reference count. All host memory is mapped once, at DIRECT_MAP.
 */
#ifndef TERN_PAGE_H
#define TERN_PAGE_H

#include <tern/types.h>

#ifndef DIRECT_MAP /* tests on the build host map it elsewhere */
#define DIRECT_MAP 0xffff800000000000ull
#endif
#define KERNEL_BASE 0xffffffff80000000ull

#define ORDER_4K 0u
#define ORDER_2M 9u
#define ORDER_1G 18u

enum frame_owner {
	FRAME_FREE,
	FRAME_KERNEL, /* heap, stacks, tables */
	FRAME_NET,    /* packet buffers and rings */
	FRAME_GUEST,  /* guest memory */
	FRAME_SLAT,   /* nested page tables */
	FRAME_VM,     /* VMCBs, bitmaps, save areas */
	FRAME_MIG,    /* migration: pages as last sent */
	FRAME_BOOT,   /* files, kernel image */
	FRAME_OWNERS
};

/* 8 bytes; refs is atomic. A block's head frame carries its order. */
struct frame {
	uint32_t refs;
	uint8_t order;
	uint8_t owner; /* enum frame_owner */
	uint16_t flags;
};

#define PAGE_ZERO 1u  /* contents cleared */
#define PAGE_LOW4G 2u /* below 4 GiB, for old DMA engines */

/* Block of 2^order pages with one reference, or -ENOMEM. Never sleeps; not from interrupt handlers.
 */
MUST_CHECK int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out);
/*
 * The lowest free block at or above `from` that has `order` at least, and of it as much as `most`
 * says: for what may only grow upwards. The block's frame says which order it is. As page_alloc,
 * but that it looks through the lists.
 */
MUST_CHECK int page_alloc_above(unsigned order, unsigned most, hpa_t from, enum frame_owner owner,
				hpa_t *out);
/* One more / one less reference on the block that holds this frame; the last put frees it. */
void page_get(hpa_t block);
void page_put(hpa_t block);
/* Turns a block of one reference into blocks of a smaller order, each with one reference. */
void page_split(hpa_t block, unsigned new_order);
/* Has the block more than one reference? */
bool page_is_shared(hpa_t block);
struct frame *page_frame(hpa_t a);
/* Fast copies of whole pages (chosen at boot by what the CPU is good at). 8-byte aligned. */
void page_copy(void *dst, const void *src);
void page_clear(void *dst);
/* True when all 4096 bytes are zero; stops at the first that is not. */
bool page_is_zero(const void *p);

/*
 * Memory that somebody must be able to get later, a VM's or the switch's, is promised
 * first: -ENOMEM when what is free is promised to others already. Taken or not needed any
 * more: page_unpromise.
 */
MUST_CHECK int page_promise(uint64_t bytes);
void page_unpromise(uint64_t bytes);
void page_repromise(uint64_t bytes); /* what was taken under a promise is free again, and owed */
uint64_t page_spare_bytes(void);     /* free, and promised to nobody */

struct page_stats {
	uint64_t total_bytes, free_bytes;
	uint64_t owner_bytes[FRAME_OWNERS];
};
void page_stats(struct page_stats *out);

static inline void *hpa_ptr(hpa_t a)
{
	return (void *)(a.v + DIRECT_MAP);
}

static inline hpa_t ptr_hpa(const void *p) /* direct map only */
{
	return HPA((uint64_t)p - DIRECT_MAP);
}

#endif
