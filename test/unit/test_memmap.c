/* SPDX-License-Identifier: BSD-2-Clause */
/* The loader's memory map: painted ranges against a byte-per-page model. */
// SOURCES: boot/common/memmap.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/common/memmap.h"

#define PAGES 400u
#define PG(n) ((uint64_t)(n) << PAGE_SHIFT)

static struct bootinfo bi;
static uint8_t model[PAGES];

static int fresh(void **state)
{
	memset(&bi, 0, sizeof(bi));
	memset(model, 0, sizeof(model));
	return 0;
}

static void check_sorted(void)
{
	for (uint32_t i = 0; i < bi.mem_count; i++) {
		const struct boot_mem *m = &bi.mem[i];

		assert_true(m->size > 0);
		assert_int_equal((m->start | m->size) & PAGE_MASK, 0);
		if (i == 0)
			continue;
		assert_true(m[-1].start + m[-1].size <= m->start);
		/* touching neighbours of one type are one */
		assert_false(m[-1].type == m->type && m[-1].start + m[-1].size == m->start);
	}
}

static void check_model(void)
{
	uint8_t seen[PAGES] = { 0 };

	check_sorted();
	for (uint32_t i = 0; i < bi.mem_count; i++)
		for (uint64_t p = bi.mem[i].start; p < bi.mem[i].start + bi.mem[i].size;
		     p += PAGE_SIZE)
			seen[p >> PAGE_SHIFT] = (uint8_t)bi.mem[i].type;
	assert_memory_equal(seen, model, PAGES);
}

static void paint(unsigned first, unsigned count, enum boot_mem_type type)
{
	memset(model + first, (int)type, count);
	memmap_set(&bi, PG(first), PG(count), type);
}

static void merges(void **state)
{
	paint(10, 10, BOOT_MEM_FREE);
	paint(30, 10, BOOT_MEM_FREE);
	assert_int_equal(bi.mem_count, 2);
	paint(20, 10, BOOT_MEM_FREE);
	assert_int_equal(bi.mem_count, 1);
	check_model();
}

static void splits(void **state)
{
	paint(0, 100, BOOT_MEM_FREE);
	paint(40, 10, BOOT_MEM_KERNEL);
	assert_int_equal(bi.mem_count, 3);
	check_model();
	paint(35, 20, BOOT_MEM_FREE);
	assert_int_equal(bi.mem_count, 1);
	check_model();
}

static void rounding(void **state)
{
	memmap_set(&bi, PG(1) + 1, PG(2), BOOT_MEM_FREE); /* shrinks to page 2 */
	assert_int_equal(bi.mem_count, 1);
	assert_int_equal(bi.mem[0].start, PG(2));
	assert_int_equal(bi.mem[0].size, PAGE_SIZE);
	memmap_set(&bi, PG(2) + 5, 1, BOOT_MEM_RESERVED); /* grows to it */
	assert_int_equal(bi.mem_count, 1);
	assert_int_equal(bi.mem[0].type, BOOT_MEM_RESERVED);
	memmap_set(&bi, PG(9), 0, BOOT_MEM_RESERVED);
	memmap_set(&bi, PG(9) + 1, 5, BOOT_MEM_FREE);
	assert_int_equal(bi.mem_count, 1);
}

static void end_of_space(void **state)
{
	memmap_set(&bi, UINT64_MAX - PAGE_MASK - PAGE_SIZE, UINT64_MAX, BOOT_MEM_RESERVED);
	assert_int_equal(bi.mem_count, 1);
	check_sorted();
}

static void random_paints(void **state)
{
	srand(1);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned first = (unsigned)rand() % PAGES;
		unsigned count = (unsigned)rand() % (PAGES - first) / (1 + (unsigned)rand() % 20);

		if (count)
			paint(first, count, (enum boot_mem_type)(1 + rand() % 6));
		check_model();
	}
}

/* A full table loses memory but stays sorted and never claims a page twice. */
static void full_table(void **state)
{
	for (unsigned i = 0; i < BOOT_MAX_MEM + 50; i++)
		memmap_set(&bi, PG(2 * i), PAGE_SIZE, BOOT_MEM_FREE);
	assert_int_equal(bi.mem_count, BOOT_MAX_MEM);
	memmap_set(&bi, PG(4), PG(1), BOOT_MEM_RESERVED);
	memmap_set(&bi, PG(5), PG(1), BOOT_MEM_RESERVED);
	check_sorted();
	memmap_set(&bi, 0, PG(10000), BOOT_MEM_RESERVED);
	assert_int_equal(bi.mem_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(merges, fresh),
		cmocka_unit_test_setup(splits, fresh),
		cmocka_unit_test_setup(rounding, fresh),
		cmocka_unit_test_setup(end_of_space, fresh),
		cmocka_unit_test_setup(random_paints, fresh),
		cmocka_unit_test_setup(full_table, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
