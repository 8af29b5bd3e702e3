/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: kernel/vm/gmem.c kernel/vm/gmem_back.c kernel/vm/gmem_io.c kernel/vm/gmem_move.c
// SOURCES: kernel/vm/gmem_give.c kernel/vm/dirty.c kernel/vm/trace.c
// SOURCES: arch/x86_64/slat.c arch/x86_64/slat_change.c arch/x86_64/slat_dirty.c
// SOURCES: arch/x86_64/slat_merge.c
// SOURCES: kernel/lib/pageset.c kernel/base/promise.c test/unit/fake_pages.c
/*
 * Memory that a guest gives back: it reads as zero and costs nothing, a harvest
 * tells of it, what others refer to stays, and what is lent counts for others.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/dirty.h>

#include "fake_pages.h"

#define RAM (8 * SIZE_2M)
#define BLOCK 512u

static struct vm vm;
static struct pageset set;

static void begin(void)
{
	memset(&vm, 0, sizeof(vm));
	fake_flushed = 0;
	assert_int_equal(gmem_create(RAM, 0, &fake_npt, &vm.mem), 0);
	assert_int_equal(pageset_init(&set, gmem_max_gfn(vm.mem)), 0);
}

static void end(void)
{
	pageset_fini(&set);
	gmem_put(vm.mem);
	assert_int_equal(fake_pages_out, 0);
}

static int64_t give(gfn_t first, uint64_t count)
{
	pageset_clear_all(&set);
	assert_int_equal(pageset_set_range(&set, first, count), 0);
	return gmem_give_back(&vm, &set);
}

static uint8_t byte_at(gfn_t n)
{
	uint8_t b = 0xff;

	assert_int_equal(gmem_read(vm.mem, gfn_gpa(n), &b, 1), 0);
	return b;
}

static void fill(gfn_t first, uint64_t count)
{
	for (gfn_t n = first; n < first + count; n++)
		fake_guest_store(vm.mem, n << PAGE_SHIFT, (uint8_t)(1 + n % 200));
}

/* A whole block goes at once, a part by cutting; both cost nothing afterwards. */
static void reads_as_zero(void **state)
{
	uint64_t before, tables;

	begin();
	fill(0, 2 * BLOCK);
	before = fake_pages_out;
	assert_int_equal(give(0, BLOCK), BLOCK);
	assert_int_equal(fake_pages_out, before - BLOCK);
	assert_true(fake_flushed && fake_flushed == gmem_slat(vm.mem)->gen);
	tables = gmem_slat(vm.mem)->table_pages;
	assert_int_equal(give(BLOCK + 10, 20), 20);
	tables = gmem_slat(vm.mem)->table_pages - tables;
	assert_int_equal(fake_pages_out, before - BLOCK - 20 + 1 + tables);
	assert_int_equal(gmem_backed_pages(vm.mem), BLOCK - 20);
	assert_int_equal(gmem_given_pages(vm.mem), BLOCK + 20);
	for (gfn_t n = 0; n < 2 * BLOCK; n++) {
		bool gone = n < BLOCK || (n >= BLOCK + 10 && n < BLOCK + 30);

		assert_int_equal(byte_at(n), gone ? 0 : 1 + n % 200);
	}
	assert_int_equal(give(0, BLOCK), 0); /* already */
	/* Used again: backed again, from zero. */
	fake_guest_store(vm.mem, (BLOCK + 12) * PAGE_SIZE + 5, 7);
	fake_guest_store(vm.mem, 3 * PAGE_SIZE + 5, 7);
	assert_int_equal(byte_at(BLOCK + 12), 0);
	assert_int_equal(byte_at(BLOCK + 13), 0);
	assert_int_equal(byte_at(3), 0);
	/* The rest of the cut block: its list goes too. */
	assert_int_equal(give(BLOCK, BLOCK), BLOCK - 19);
	assert_int_equal(give(0, BLOCK), BLOCK);
	assert_int_equal(gmem_backed_pages(vm.mem), 0);
	assert_int_equal(fake_pages_out, gmem_slat(vm.mem)->table_pages);
	end();
	(void)state;
}

/* Against a plain model, with blocks and without, through all kinds of access. */
static void exercise(void)
{
	uint8_t *model = calloc(1, RAM / PAGE_SIZE);

	begin();
	for (unsigned i = 0; i < 4000; i++) {
		gfn_t n = (gfn_t)rand() % (RAM / PAGE_SIZE);
		uint64_t count = 1 + (uint64_t)rand() % (rand() % 8 ? 20 : 1500);
		uint8_t v = (uint8_t)rand();

		fake_no_large = rand() % 3 == 0;
		switch (rand() % 3) {
		case 0:
			fake_guest_store(vm.mem, n << PAGE_SHIFT, v);
			model[n] = v;
			break;
		case 1:
			assert_int_equal(gmem_write(vm.mem, gfn_gpa(n), &v, 1), 0);
			model[n] = v;
			break;
		default:
			count = MIN(count, RAM / PAGE_SIZE - n);
			assert_true(give(n, count) >= 0);
			memset(model + n, 0, count);
		}
		if (i % 200 == 0)
			for (n = 0; n < RAM / PAGE_SIZE; n++)
				assert_int_equal(byte_at(n), model[n]);
	}
	fake_no_large = false;
	end();
	free(model);
}

static void any_order(void **state)
{
	srand(11);
	exercise();
	exercise();
	(void)state;
}

/* A guest can name whatever it likes as free. */
static void rom_stays(void **state)
{
	uint8_t b = 0x5a;

	memset(&vm, 0, sizeof(vm));
	assert_int_equal(gmem_create(RAM, SIZE_2M, &fake_npt, &vm.mem), 0);
	assert_int_equal(pageset_init(&set, gmem_max_gfn(vm.mem)), 0);
	assert_int_equal(gmem_write_rom(vm.mem, GPA(GMEM_ROM_END - 1), &b, 1), 0);
	assert_int_equal(gmem_fault(vm.mem, GPA(GMEM_ROM_END - 1), false, true), 0);
	assert_int_equal(give((GMEM_ROM_END - SIZE_2M) >> PAGE_SHIFT, BLOCK), 0);
	assert_int_equal(byte_at((GMEM_ROM_END >> PAGE_SHIFT) - 1), 0);
	b = 0;
	assert_int_equal(gmem_read(vm.mem, GPA(GMEM_ROM_END - 1), &b, 1), 0);
	assert_int_equal(b, 0x5a);
	end();
	(void)state;
}

/* A peer that has the old contents must learn that they are gone. */
static void harvested(void **state)
{
	struct pageset found;

	begin();
	fill(0, BLOCK);
	assert_int_equal(pageset_init(&found, gmem_max_gfn(vm.mem)), 0);
	assert_int_equal(dirty_start(&vm), 0);
	assert_int_equal(give(5, 3), 3);
	assert_int_equal(dirty_harvest(&vm, &found), 0);
	assert_true(pageset_test(&found, 5) && pageset_test(&found, 7));
	pageset_clear_all(&found);
	assert_int_equal(dirty_harvest(&vm, &found), 0);
	assert_true(pageset_empty(&found));
	fake_guest_store(vm.mem, 6 * PAGE_SIZE, 9); /* and that it is used again */
	assert_int_equal(dirty_harvest(&vm, &found), 0);
	assert_true(pageset_test(&found, 6));
	dirty_stop(&vm);
	pageset_fini(&found);
	end();
	(void)state;
}

/* What a stream or a device refers to keeps its contents; the frame may go when its block can. */
static void references(void **state)
{
	hpa_t sent;
	void *pin;

	begin();
	fill(0, 2 * BLOCK);
	assert_true(gmem_frame(vm.mem, 3, &sent));
	assert_int_equal(give(3, 1), 0); /* the block cannot be cut now */
	assert_int_equal(byte_at(3), 4);
	assert_int_equal(give(0, BLOCK), BLOCK); /* but go as a whole */
	assert_int_equal(byte_at(3), 0);
	assert_int_equal(*(uint8_t *)hpa_ptr(sent), 4);
	page_put(sent);
	assert_int_equal(gmem_pin(vm.mem, gfn_gpa(BLOCK), 1, true, &pin), 0);
	assert_int_equal(give(BLOCK, BLOCK), BLOCK);
	*(uint8_t *)pin = 1; /* into memory that is nobody's any more */
	gmem_unpin(vm.mem, gfn_gpa(BLOCK), pin, true);
	assert_int_equal(byte_at(BLOCK), 0);
	end();
	(void)state;
}

/* A balloon's memory can be another VM's; when the guest wants it back it may be gone. */
static void lent(void **state)
{
	struct gmem *other;

	begin();
	fake_host_free = RAM + (64ull << 20);
	fill(0, 4 * BLOCK);
	assert_int_equal(give(0, 4 * BLOCK), 4 * BLOCK);
	assert_int_equal(gmem_create(RAM / 2 + (54ull << 20), 0, &fake_npt, &other), -ENOMEM);
	fill(0, 4 * BLOCK);
	assert_int_equal(give(0, 4 * BLOCK), 4 * BLOCK);
	gmem_lend(vm.mem, 4 * SIZE_2M);
	assert_int_equal(gmem_lent_bytes(vm.mem), 4 * SIZE_2M);
	fake_host_free = RAM;
	assert_int_equal(page_spare_bytes(), 0);
	fake_host_free = RAM + (64ull << 20);
	assert_int_equal(gmem_create(RAM / 2 + (54ull << 20), 0, &fake_npt, &other), 0);
	assert_int_equal(gmem_call_back(vm.mem, SIZE_2M), -ENOMEM);
	fill(4 * BLOCK, 4 * BLOCK); /* what it was promised it has */
	fake_host_free -= RAM / 2 + 2 * SIZE_2M;
	assert_int_equal(gmem_fault(vm.mem, GPA(0), true, false), -ENOMEM);
	gmem_put(other);
	fake_host_free = RAM + (64ull << 20);
	assert_int_equal(gmem_call_back(vm.mem, SIZE_2M), 0);
	assert_int_equal(gmem_lent_bytes(vm.mem), 3 * SIZE_2M);
	fill(0, 2 * BLOCK); /* more than was called back: that is promised again by itself */
	assert_int_equal(gmem_lent_bytes(vm.mem), 2 * SIZE_2M);
	fake_no_large = true; /* a block's worth is called back at a time */
	fill(2 * BLOCK, 1);
	fake_no_large = false;
	assert_int_equal(gmem_lent_bytes(vm.mem), SIZE_2M);
	fake_host_free = 16ull << 30;
	end();
	begin();
	fill(0, BLOCK);
	gmem_lend(vm.mem, SIZE_2M);
	gmem_lend(vm.mem, SIZE_2M); /* in all */
	assert_int_equal(gmem_lent_bytes(vm.mem), SIZE_2M);
	gmem_lend(vm.mem, UINT64_MAX); /* no more than there is */
	assert_int_equal(gmem_lent_bytes(vm.mem), RAM - SIZE_2M);
	end();
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_as_zero), cmocka_unit_test(any_order),
		cmocka_unit_test(rom_stays),	 cmocka_unit_test(harvested),
		cmocka_unit_test(references),	 cmocka_unit_test(lent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
