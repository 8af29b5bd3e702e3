/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: kernel/lib/pagemove.c
/*
 * The page allocator on a piece of the test's own memory that plays physical
 * memory from 0 on (the direct map is that piece), and from 4 GiB - 32 MiB on.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static uint64_t map_base;
#define DIRECT_MAP map_base

/* The sources under test, built for that map. */
#include <tern/bootinfo.h>

#include "kernel/base/page.c"

#include "kernel/base/arena.c"
#include "kernel/base/page_init.c"
#include "kernel/lib/pagemove.h"

static struct cpu_id identity;

const struct cpu_id *cpu_identity(void)
{
	return &identity;
}

#define FOUR_GIB (1ull << 32)
#define RAM (64ull << 20)

static uint64_t free_bytes(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.free_bytes;
}

/* Fresh allocator over [start, start + size) of the map. */
static void boot(uint64_t start, uint64_t size)
{
	static struct bootinfo bi;
	static void *mapped;
	static uint64_t mapped_size;

	if (mapped)
		munmap(mapped, mapped_size);
	mapped_size = size;
	mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	map_base = (uint64_t)mapped - start;
	memset(mem.list, 0, sizeof(mem.list));
	memset(mem.owner_pages, 0, sizeof(mem.owner_pages));
	loader_count = 0;
	memset(&bi, 0, sizeof(bi));
	bi.mem_count = 4;
	bi.mem[0] = (struct boot_mem){ start, size / 2, BOOT_MEM_FREE, 0 };
	bi.mem[1] = (struct boot_mem){ start + size / 2, 16 * PAGE_SIZE, BOOT_MEM_LOADER, 0 };
	bi.mem[2] =
		(struct boot_mem){ start + size / 2 + 16 * PAGE_SIZE, PAGE_SIZE, BOOT_MEM_FILE, 0 };
	bi.mem[3] = (struct boot_mem){ start + size / 2 + 17 * PAGE_SIZE, size / 2 - 17 * PAGE_SIZE,
				       BOOT_MEM_FREE, 0 };
	page_init(&bi);
}

static void test_boot(void **state)
{
	struct page_stats s;
	uint64_t before;

	(void)state;
	boot(0, RAM);
	page_stats(&s);
	assert_int_equal(s.owner_bytes[FRAME_KERNEL], RAM / PAGE_SIZE * sizeof(struct frame));
	assert_int_equal(s.owner_bytes[FRAME_BOOT], 17 * PAGE_SIZE);
	assert_int_equal(s.free_bytes,
			 RAM - (1 << 20) - s.owner_bytes[FRAME_KERNEL] - 17 * PAGE_SIZE);
	before = s.total_bytes;
	page_reclaim_loader();
	page_stats(&s);
	assert_int_equal(s.owner_bytes[FRAME_BOOT], PAGE_SIZE);
	assert_int_equal(s.total_bytes, before);
}

static void test_blocks(void **state)
{
	hpa_t a, b;
	uint64_t before;

	(void)state;
	boot(0, RAM);
	before = free_bytes();
	assert_int_equal(page_alloc(ORDER_1G, 0, FRAME_KERNEL, &a), -ENOMEM);
	assert_int_equal(page_alloc(ORDER_2M, PAGE_ZERO, FRAME_GUEST, &a), 0);
	assert_int_equal(a.v % SIZE_2M, 0);
	assert_true(page_is_zero(hpa_ptr(HPA(a.v + SIZE_2M - PAGE_SIZE))));
	assert_int_equal(page_frame(a)->owner, FRAME_GUEST);
	assert_int_equal(before - free_bytes(), SIZE_2M);
	page_get(HPA(a.v + 5 * PAGE_SIZE)); /* any frame of the block */
	page_put(a);
	assert_int_equal(before - free_bytes(), SIZE_2M);
	page_put(HPA(a.v + 511 * PAGE_SIZE));
	assert_int_equal(before, free_bytes());
	assert_int_equal(page_alloc(ORDER_2M, 0, FRAME_GUEST, &a), 0);
	page_split(a, ORDER_4K);
	page_get(HPA(a.v + PAGE_SIZE));
	for (uint64_t i = 0; i < 512; i++)
		page_put(HPA(a.v + i * PAGE_SIZE));
	assert_int_equal(before - free_bytes(), PAGE_SIZE); /* one is still referred to */
	page_put(HPA(a.v + PAGE_SIZE));
	assert_int_equal(before, free_bytes());
	assert_int_equal(page_alloc(ORDER_2M, 0, FRAME_GUEST, &b),
			 0); /* and all grew together again */
	page_put(b);
}

static void test_zones(void **state)
{
	hpa_t a;
	unsigned n = 0;

	(void)state;
	boot(FOUR_GIB - RAM / 2, RAM);
	assert_int_equal(page_alloc(ORDER_2M, PAGE_LOW4G, FRAME_KERNEL, &a), 0);
	assert_true(a.v < FOUR_GIB);
	while (!page_alloc(ORDER_2M, 0, FRAME_KERNEL, &a) && a.v >= FOUR_GIB)
		n++;
	assert_in_range(n, 9, 11); /* all of the high memory first, but for the frame array */
	while (!page_alloc(0, PAGE_LOW4G, FRAME_KERNEL, &a))
		assert_true(a.v < FOUR_GIB);
}

#define SLOTS 600u

/* Random traffic: blocks never overlap (each is filled with its mark) and nothing leaks. */
static void test_random(void **state)
{
	static struct {
		hpa_t at;
		uint64_t pages, mark;
	} slot[SLOTS];
	uint64_t before;

	(void)state;
	boot(0, RAM);
	before = free_bytes();
	srand(7);
	for (unsigned turn = 0; turn < 40000; turn++) {
		unsigned i = (unsigned)rand() % SLOTS, order = (unsigned)rand() % 6;

		if (slot[i].pages) {
			for (uint64_t p = 0; p < slot[i].pages; p++)
				assert_int_equal(
					*(uint64_t *)hpa_ptr(HPA(slot[i].at.v + p * PAGE_SIZE)),
					slot[i].mark);
			page_put(slot[i].at);
			slot[i].pages = 0;
		} else if (!page_alloc(order, 0, FRAME_NET, &slot[i].at)) {
			slot[i].pages = 1ull << order;
			slot[i].mark = turn;
			assert_int_equal(slot[i].at.v % (PAGE_SIZE << order), 0);
			for (uint64_t p = 0; p < slot[i].pages; p++)
				*(uint64_t *)hpa_ptr(HPA(slot[i].at.v + p * PAGE_SIZE)) = turn;
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (slot[i].pages)
			page_put(slot[i].at);
	assert_int_equal(free_bytes(), before);
}

static uint64_t ticks;

static uint64_t tick(void)
{
	return ticks++;
}

static void test_moves(void **state)
{
	static _Alignas(64) unsigned char page[3 * PAGE_SIZE];

	(void)state;
	pagemove_calibrate(page, tick);
	memset(page, 0xa5, sizeof(page));
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		page[PAGE_SIZE + i] = (unsigned char)(i * 7);
	page_copy(page + 2 * PAGE_SIZE, page + PAGE_SIZE);
	assert_memory_equal(page + 2 * PAGE_SIZE, page + PAGE_SIZE, PAGE_SIZE);
	page_clear(page + PAGE_SIZE);
	assert_true(page_is_zero(page + PAGE_SIZE));
	assert_int_equal(page[PAGE_SIZE - 1], 0xa5);
	assert_int_equal(page[2 * PAGE_SIZE + 1], 7);
	for (unsigned i = 0; i < PAGE_SIZE; i += 513) {
		page[PAGE_SIZE + i] = 1;
		assert_false(page_is_zero(page + PAGE_SIZE));
		page[PAGE_SIZE + i] = 0;
	}
	page[2 * PAGE_SIZE - 1] = 1;
	assert_false(page_is_zero(page + PAGE_SIZE));
}

/* Growing upwards is possible as long as there is memory, wherever the allocator takes others'. */
static void test_above(void **state)
{
	hpa_t at = HPA(0), block, other;
	unsigned got = 0, others = 0;

	boot(0, RAM);
	while (!page_alloc_above(8, 8, at, FRAME_KERNEL, &block)) {
		assert_true(block.v >= at.v);
		if (got)
			assert_true(block.v - at.v <= SIZE_2M); /* the next one that is free */
		at = HPA(block.v + (PAGE_SIZE << 8));
		got++;
		if (got % 8 == 0 && !page_alloc(8, 0, FRAME_GUEST, &other))
			others++;
	}
	assert_true(got + others >= RAM / (PAGE_SIZE << 8) - 8);
}

/*
 * Takes all that is left, and gives each second piece of 2 MiB back; and one more high up, so that
 * the one block of 4 MiB is above them all.
 */
static void fragment(void)
{
	static hpa_t piece[RAM / SIZE_2M];
	unsigned n = 0;
	uint64_t top = 0;
	hpa_t rest;

	while (!page_alloc(ORDER_2M, 0, FRAME_GUEST, &piece[n]))
		n++;
	while (!page_alloc(0, 0, FRAME_GUEST, &rest))
		;
	for (unsigned i = 0; i < n; i++)
		if (piece[i].v & SIZE_2M)
			top = MAX(top, piece[i].v - SIZE_2M);
	for (unsigned i = 0; i < n; i++)
		if (piece[i].v & SIZE_2M || piece[i].v == top)
			page_put(piece[i]);
	assert_true(free_bytes() >= RAM / 4);
	assert_int_equal(page_alloc(ORDER_2M + 1, 0, FRAME_GUEST, &rest), 0);
	assert_int_equal(rest.v, top);
	page_put(rest);
}

/* As much as there is in parts of that size, each above those before. */
static uint64_t grow_to_the_end(struct arena *a, size_t part)
{
	char *p, *end = a->next;
	uint64_t got = 0;

	while ((p = arena_grow(a, part))) {
		assert_true(p >= end);
		memset(p, 0x5a, part);
		end = p + part;
		got += part;
	}
	return got;
}

/* The heap has what it asks for as long as a block of that size is free above it. */
static void test_arena(void **state)
{
	struct arena a = { .next = NULL };
	uint64_t was_free;

	boot(0, RAM);
	assert_non_null(arena_grow(&a, 5 * PAGE_SIZE));
	assert_true((uint64_t)(a.end - a.next) > SIZE_2M / 4); /* for what comes next */
	fragment();
	assert_null(arena_grow(&a, 5 << 20)); /* and nothing is lost by that */
	was_free = free_bytes();
	assert_true(grow_to_the_end(&a, 32 * PAGE_SIZE) >= was_free - 2 * SIZE_2M);
	assert_true(free_bytes() <= 2 * SIZE_2M);
}

/* Single pages that are free between others' are used too, but only when there is nothing else. */
static void test_arena_of_single_pages(void **state)
{
	struct arena a = { .next = NULL };
	static hpa_t page[RAM / PAGE_SIZE];
	unsigned n = 0;

	boot(0, RAM);
	while (!page_alloc(0, 0, FRAME_GUEST, &page[n]))
		n++;
	for (unsigned i = 0; i < n; i++)
		if ((page[i].v >> PAGE_SHIFT) % 2 || page[i].v >= RAM / 2)
			page_put(page[i]);
	assert_true(grow_to_the_end(&a, PAGE_SIZE) >= RAM / 2 - SIZE_2M);
	assert_true(free_bytes() >= RAM / 8);
	a = (struct arena){ .next = NULL };
	assert_true(grow_to_the_end(&a, PAGE_SIZE) >= RAM / 8);
	assert_int_equal(free_bytes(), 0);
}

/* Under an emulator: cleared at the first allocation, and only then. */
static void test_fresh(void **state)
{
	hpa_t a, b;

	(void)state;
	identity.has_hypervisor = true;
	boot(0, RAM);
	for (uint64_t at = 1 << 20; at < RAM / 4; at += PAGE_SIZE)
		((uint8_t *)hpa_ptr(HPA(at)))[PAGE_SIZE / 2] = 0xa5;
	for (unsigned order = 0; order <= ORDER_2M; order += 3) {
		assert_int_equal(page_alloc(order, 0, FRAME_NET, &a), 0);
		for (uint64_t i = 0; i < 1ull << order; i++)
			assert_true(page_is_zero(hpa_ptr(HPA(a.v + i * PAGE_SIZE))));
		((uint8_t *)hpa_ptr(a))[PAGE_SIZE / 2] = 0x5a;
		page_put(a);
		assert_int_equal(page_alloc(order, 0, FRAME_NET, &b), 0);
		assert_int_equal(a.v, b.v);
		assert_int_equal(((uint8_t *)hpa_ptr(a))[PAGE_SIZE / 2], 0x5a);
	}
	assert_int_equal(page_alloc_above(0, 0, HPA(RAM / 8), FRAME_KERNEL, &a), 0);
	assert_true(a.v < RAM / 4);
	assert_true(page_is_zero(hpa_ptr(a)));
	identity.has_hypervisor = false;
	mem.fresh = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_above),
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_arena_of_single_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
