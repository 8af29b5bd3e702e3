/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: kernel/vm/gmem.c kernel/vm/gmem_back.c kernel/vm/gmem_io.c kernel/vm/gmem_move.c
// SOURCES: kernel/vm/dirty.c kernel/vm/trace.c
// SOURCES: arch/x86_64/slat.c arch/x86_64/slat_change.c arch/x86_64/slat_dirty.c
// SOURCES: arch/x86_64/slat_merge.c
// SOURCES: kernel/lib/pageset.c kernel/base/promise.c test/unit/fake_pages.c
/*
 * Guest memory and dirty tracking on a fake page allocator (fake_pages.h).
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

static uint64_t backed_by_walk(struct gmem *g)
{
	gfn_t from = 0, first;
	uint64_t count, sum = 0;

	while (gmem_next_backed(g, from, 100, &first, &count)) {
		assert_true(first >= from && count && count <= 100);
		sum += count;
		from = first + count;
	}
	return sum;
}

static void check_memory(struct gmem *g, const uint8_t *model)
{
	static uint8_t page[PAGE_SIZE];

	for (uint64_t a = 0; a < RAM; a += PAGE_SIZE) {
		assert_int_equal(gmem_read(g, GPA(a), page, PAGE_SIZE), 0);
		assert_memory_equal(page, model + a, PAGE_SIZE);
	}
}

static void exercise(bool fragmented)
{
	uint8_t *model = calloc(1, RAM);
	struct gmem *g;

	fake_no_large = fragmented;
	assert_int_equal(gmem_create(RAM, 0, &fake_npt, &g), 0);
	assert_int_equal(gmem_backed_pages(g), 0);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t a = (uint64_t)rand() % (RAM - 16);
		uint8_t v = (uint8_t)rand();
		void *p;

		switch (rand() % 4) {
		case 0:
			fake_guest_store(g, a, v);
			model[a] = v;
			break;
		case 1:
			memset(model + a, v, 16);
			assert_int_equal(gmem_write(g, GPA(a), model + a, 16), 0);
			break;
		case 2:
			assert_int_equal(gmem_pin(g, GPA(a), 1, true, &p), 0);
			*(uint8_t *)p = v;
			model[a] = v;
			gmem_unpin(g, GPA(a), p, true);
			break;
		default:
			fake_no_large = fragmented || (rand() & 1);
		}
		if (i % 500 == 0) {
			check_memory(g, model);
			assert_int_equal(backed_by_walk(g), gmem_backed_pages(g));
		}
	}
	check_memory(g, model);
	gmem_put(g);
	free(model);
	assert_int_equal(fake_pages_out, 0);
	fake_no_large = false;
}

static void test_access(void **state)
{
	exercise(false);
	exercise(true);
	(void)state;
}

static void test_layout(void **state)
{
	struct gmem *g, *h;
	uint8_t b[4] = { 1, 2, 3, 4 };

	assert_int_equal(gmem_create(3ull << 30, 0, &fake_npt, &g), 0);
	assert_int_equal(gmem_max_gfn(g), (0x100000000ull + (3ull << 30) - GMEM_LOW_MAX) >> 12);
	assert_true(gmem_is_ram(g, GPA(GMEM_LOW_MAX - 1)));
	assert_false(gmem_is_ram(g, GPA(GMEM_LOW_MAX)));
	assert_false(gmem_is_ram(g, GPA(0xffffffff)));
	assert_true(gmem_is_ram(g, GPA(0x100000000)));
	assert_false(gmem_is_ram(g, GPA(gmem_max_gfn(g) << 12)));
	assert_int_equal(gmem_write(g, GPA(GMEM_LOW_MAX - 2), b, 4), -EFAULT);
	assert_int_equal(gmem_read(g, GPA(GMEM_LOW_MAX - 2), b, 4), -EFAULT);
	assert_int_equal(gmem_read(g, GPA(UINT64_MAX - 1), b, 4), -EFAULT);
	assert_int_equal(gmem_backed_pages(g), 0);
	assert_int_equal(gmem_write(g, GPA(0x100000000 - 4 + 4), b, 4), 0);
	assert_int_equal(gmem_write(g, GPA(GMEM_LOW_MAX - 4), b, 4), 0);
	assert_int_equal(backed_by_walk(g), 2);
	assert_int_equal(gmem_fault(g, GPA(0xfee00000), true, false), -EFAULT);
	/* A second VM is refused when the host could not hold both. */
	fake_host_free = 4ull << 30;
	assert_int_equal(gmem_create(2ull << 30, 0, &fake_npt, &h), -ENOMEM);
	assert_in_range(page_spare_bytes(), 900ull << 20,
			1ull << 30); /* what the first was promised is taken */
	fake_host_free = 2ull << 30;
	assert_int_equal(page_spare_bytes(), 0);
	fake_host_free = 16ull << 30;
	assert_int_equal(gmem_create(2ull << 30, 0, &fake_npt, &h), 0);
	gmem_put(h);
	gmem_put(g);
	assert_int_equal(fake_pages_out, 0);
	(void)state;
}

#define ROM SIZE_2M
#define ROM_AT (GMEM_ROM_END - ROM)

/* The guest reads and executes it; nothing but the host's own call writes it. */
static void test_rom(void **state)
{
	uint8_t b[2] = { 0xea, 0x5b }, got[2] = { 0 };
	struct slat_leaf leaf;
	struct gmem *g;
	void *p;

	assert_int_equal(gmem_create(RAM, ROM, &fake_npt, &g), 0);
	assert_true(gmem_is_rom(g, GPA(ROM_AT)) && gmem_is_rom(g, GPA(GMEM_ROM_END - 1)));
	assert_false(gmem_is_rom(g, GPA(ROM_AT - 1)) || gmem_is_rom(g, GPA(GMEM_ROM_END)));
	assert_false(gmem_is_ram(g, GPA(ROM_AT)) || gmem_is_ram(g, GPA(ROM_AT - 1)));
	assert_int_equal(gmem_write_rom(g, GPA(ROM_AT - 1), b, 2), -EFAULT);
	assert_int_equal(gmem_write_rom(g, GPA(0), b, 2), -EFAULT);
	assert_int_equal(gmem_write_rom(g, GPA(GMEM_ROM_END - 2), b, 2), 0);
	assert_int_equal(gmem_read(g, GPA(GMEM_ROM_END - 2), got, 2), 0);
	assert_memory_equal(got, b, 2);
	assert_int_equal(gmem_read(g, GPA(GMEM_ROM_END - 1), got, 2), -EFAULT);

	assert_int_equal(gmem_write(g, GPA(ROM_AT), b, 1), -EFAULT);
	assert_int_equal(gmem_pin(g, GPA(ROM_AT), 1, true, &p), -EFAULT);
	assert_int_equal(gmem_pin(g, GPA(GMEM_ROM_END - 2), 1, false, &p), 0);
	assert_int_equal(*(uint8_t *)p, 0xea);
	gmem_unpin(g, GPA(GMEM_ROM_END - 2), p, false);
	assert_int_equal(gmem_fault(g, GPA(ROM_AT), true, false), -EFAULT);
	assert_int_equal(gmem_fault(g, GPA(ROM_AT), false, true), 0);
	assert_true(slat_lookup(gmem_slat(g), GPA(ROM_AT), &leaf));
	assert_int_equal(leaf.prot, SLAT_R | SLAT_X);
	assert_int_equal(gmem_fault(g, GPA(ROM_AT), true, false), -EFAULT);
	gmem_put(g);
	assert_int_equal(fake_pages_out, 0);
	(void)state;
}

/* It is walked, sent and received as RAM is, and tracking takes no leaf's right to be read. */
static void rom_moves(uint64_t ram)
{
	struct vm to = { 0 };
	struct pageset set;
	uint8_t b = 0x5a;
	gfn_t first;
	uint64_t count;
	hpa_t a;

	assert_int_equal(gmem_create(ram, ROM, &fake_npt, &to.mem), 0);
	assert_int_equal(gmem_max_gfn(to.mem),
			 (ram > GMEM_LOW_MAX ? ram + GMEM_ROM_END - GMEM_LOW_MAX : GMEM_ROM_END) >>
				 PAGE_SHIFT);
	assert_int_equal(gmem_write_rom(to.mem, GPA(ROM_AT + PAGE_SIZE), &b, 1), 0);
	assert_true(gmem_next_backed(to.mem, 0, 100, &first, &count));
	assert_int_equal(first, (ROM_AT >> PAGE_SHIFT) + 1);
	assert_int_equal(count, 1);
	assert_false(gmem_next_backed(to.mem, first + 1, 100, &first, &count));
	assert_int_equal(gmem_receive(to.mem, ROM_AT >> PAGE_SHIFT, &a), 0);
	memset(hpa_ptr(a), 7, PAGE_SIZE);
	assert_true(gmem_next_backed(to.mem, 0, 100, &first, &count));
	assert_int_equal(count, 2);
	assert_int_equal(gmem_receive(to.mem, (ROM_AT >> PAGE_SHIFT) - 1, &a), -EFAULT);

	assert_int_equal(gmem_fault(to.mem, GPA(ROM_AT), false, false), 0);
	assert_int_equal(pageset_init(&set, gmem_max_gfn(to.mem)), 0);
	assert_int_equal(dirty_start(&to), 0);
	assert_int_equal(gmem_fault(to.mem, GPA(ROM_AT), true, false), -EFAULT);
	assert_int_equal(dirty_harvest(&to, &set), 0);
	assert_int_equal(pageset_count(&set), 0);
	dirty_stop(&to);
	assert_int_equal(gmem_read(to.mem, GPA(ROM_AT), &b, 1), 0);
	assert_int_equal(b, 7);
	pageset_fini(&set);
	gmem_put(to.mem);
	assert_int_equal(fake_pages_out, 0);
}

static void test_rom_moves(void **state)
{
	rom_moves(RAM);
	rom_moves(GMEM_LOW_MAX + 2 * SIZE_2M);
	(void)state;
}

/* The destination: frames come in any order, named zero or with contents. */
static void test_receive(void **state)
{
	struct gmem *g;
	uint8_t b[2] = { 9, 9 };
	hpa_t a;

	assert_int_equal(gmem_create(RAM, 0, &fake_npt, &g), 0);
	assert_int_equal(gmem_receive_zero(g, 5), 0);
	assert_int_equal(fake_pages_out, 1); /* nothing but the tables' root */
	assert_int_equal(gmem_receive(g, 5, &a), 0);
	memset(hpa_ptr(a), 0x11, PAGE_SIZE);
	assert_int_equal(gmem_receive(g, 7, &a), 0);
	memset(hpa_ptr(a), 0x22, PAGE_SIZE);
	assert_int_equal(gmem_receive(g, RAM >> 12, &a), -EFAULT);
	assert_int_equal(gmem_backed_pages(g), 2);
	assert_int_equal(gmem_receive_zero(g, 7), 0); /* it became zero in a later round */
	assert_int_equal(gmem_backed_pages(g), 1);
	fake_guest_store(g, 0x6000, 1); /* runs: the whole block is mapped */
	assert_int_equal(gmem_read(g, GPA(0x5fff), b, 2), 0);
	assert_int_equal(b[0], 0x11);
	assert_int_equal(b[1], 1);
	assert_int_equal(gmem_read(g, GPA(0x7000), b, 1), 0);
	assert_int_equal(b[0], 0);
	assert_true(gmem_frame(g, 5, &a));
	assert_false(gmem_frame(g, 4096, &a));
	gmem_put(g);
	assert_int_equal(fake_pages_out, 512); /* the borrowed frame holds its block */
	page_put(a);
	assert_int_equal(fake_pages_out, 0);
	(void)state;
}

/* Rounds of copying what is reported, with stores before, between and after: the copy is the
 * memory. */
static void rounds(void)
{
	uint8_t *copy = calloc(1, RAM), *model = calloc(1, RAM);
	struct vm vm = { .nr_vcpus = 0 };
	struct dirty_stats st;
	struct pageset set;
	uint64_t reported = 0, carried = 0;

	fake_cpu_log = &vm.virt.log;
	fake_flushed = 0;
	assert_int_equal(gmem_create(RAM, 0, &fake_npt, &vm.mem), 0);
	assert_int_equal(pageset_init(&set, gmem_max_gfn(vm.mem)), 0);
	for (unsigned i = 0; i < 500; i++)
		fake_guest_store(vm.mem, (uint64_t)rand() % RAM, 1);
	assert_int_equal(dirty_start(&vm), 0);
	assert_true(fake_flushed == gmem_slat(vm.mem)->gen);
	assert_int_equal(gmem_read(vm.mem, GPA(0), copy, RAM), 0);
	memcpy(model, copy, RAM);
	for (unsigned round = 0; round < 199; round++) {
		unsigned stores = (unsigned)rand() % 30;
		gfn_t from = 0, first;
		uint64_t count;

		for (unsigned i = 0; i < stores; i++) {
			uint64_t a = (uint64_t)rand() % RAM;
			uint8_t v = (uint8_t)rand();

			if (rand() & 1)
				fake_guest_store(vm.mem, a, v);
			else
				assert_int_equal(gmem_write(vm.mem, GPA(a), &v, 1), 0);
			model[a] = v;
		}
		pageset_clear_all(&set);
		assert_int_equal(dirty_harvest(&vm, &set), 0);
		assert_true(fake_flushed == gmem_slat(vm.mem)->gen);
		if (round)
			assert_true(pageset_count(&set) <= stores + carried);
		carried = 0;
		if (round % 7 == 3) { /* not sent: given back */
			carried = pageset_count(&set);
			assert_int_equal(dirty_restore(&vm, &set), 0);
			continue;
		}
		for (; pageset_next_run(&set, from, 9, &first, &count); from = first + count)
			assert_int_equal(gmem_read(vm.mem, gfn_gpa(first), copy + (first << 12),
						   count << 12),
					 0);
		reported += pageset_count(&set);
	}
	pageset_clear_all(&set);
	assert_int_equal(dirty_harvest(&vm, &set), 0);
	assert_true(pageset_empty(&set));
	assert_memory_equal(copy, model, RAM);
	check_memory(vm.mem, model);
	dirty_stats(&vm, &st);
	assert_int_equal(st.harvests, 200);
	assert_true(reported && st.pages >= reported);
	dirty_stop(&vm);
	assert_int_equal(gmem_slat(vm.mem)->merges, gmem_slat(vm.mem)->splits);
	pageset_fini(&set);
	gmem_put(vm.mem);
	free(copy);
	free(model);
	assert_int_equal(fake_pages_out, 0);
	fake_cpu_log = NULL;
}

static void test_rounds_scan(void **state)
{
	virt_caps.pml = false;
	rounds();
	(void)state;
}

static void test_rounds_log(void **state)
{
	virt_caps.pml = true;
	rounds();
	virt_caps.pml = false;
	(void)state;
}

static void test_rounds_protect(void **state)
{
	fake_dirty_setting = "protect";
	rounds();
	fake_dirty_setting = NULL;
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),	   cmocka_unit_test(test_layout),
		cmocka_unit_test(test_rom),	   cmocka_unit_test(test_rom_moves),
		cmocka_unit_test(test_receive),	   cmocka_unit_test(test_rounds_scan),
		cmocka_unit_test(test_rounds_log), cmocka_unit_test(test_rounds_protect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
