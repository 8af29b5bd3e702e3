/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/slat.c arch/x86_64/slat_change.c arch/x86_64/slat_dirty.c
// SOURCES: arch/x86_64/slat_merge.c
// SOURCES: kernel/lib/pageset.c
/*
 * Nested page tables against a model: one word for each guest page, on a fake
 * page allocator that counts. The test plays the CPU: it walks the tables by
 * itself and sets A and D.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/slat.h>

#define P 1ull
#define A 0x20ull
#define D 0x40ull
#define PS 0x80ull
#define ADDR 0x000ffffffffff000ull

static const struct slat_format npt = {
	.name = "npt",
	.table_bits = 0x27,
	.present = P,
	.read = 5,
	.write = 2,
	.no_exec = 1ull << 63,
	.large = PS,
	.accessed = A,
	.dirty = D,
	.has_1g = true,
};

static uint64_t pages_out;  /* allocated and not given back */
static unsigned fail_after; /* allocations until -ENOMEM, 0 = never */

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p;

	if (fail_after && !--fail_after) {
		fail_after = 1;
		return -ENOMEM;
	}
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(p, 0, PAGE_SIZE);
	pages_out++;
	*out = ptr_hpa(p);
	return 0;
}

void page_put(hpa_t a)
{
	free(hpa_ptr(a));
	pages_out--;
}

/* The CPU: NULL when nothing is mapped. */
static uint64_t *leaf_slot(struct slat *s, uint64_t gpa)
{
	uint64_t *t = hpa_ptr(s->root);

	for (int level = 3;; level--) {
		uint64_t *slot = &t[gpa >> (12 + 9 * level) & 511];

		if (!(*slot & P))
			return NULL;
		if (!level || (*slot & PS))
			return slot;
		t = hpa_ptr(HPA(*slot & ADDR));
	}
}

static void touch(struct slat *s, uint64_t gpa, bool write)
{
	uint64_t *slot = leaf_slot(s, gpa);

	assert_non_null(slot);
	*slot |= A | (write ? D : 0);
}

static void test_map(void **state)
{
	struct slat s;
	struct slat_leaf l;
	struct slat_flush owed = { 0 };

	assert_int_equal(slat_init(&s, &npt), 0);
	assert_int_equal(slat_map(&s, GPA(0x1000), HPA(0x7000), PAGE_SIZE, SLAT_R), 0);
	assert_int_equal(slat_map(&s, GPA(0x1000), HPA(0x7000), PAGE_SIZE, SLAT_R), -EEXIST);
	assert_int_equal(slat_map(&s, GPA(0), HPA(0x200000), SIZE_2M, SLAT_R), -EEXIST);
	assert_int_equal(
		slat_map(&s, GPA(SIZE_2M), HPA(0x600000), SIZE_2M, SLAT_R | SLAT_W | SLAT_X), 0);
	assert_int_equal(slat_map(&s, GPA(SIZE_2M + 0x5000), HPA(0), PAGE_SIZE, SLAT_R), -EEXIST);
	assert_int_equal(slat_map(&s, GPA(SIZE_1G), HPA(SIZE_1G), SIZE_1G, SLAT_R | SLAT_W), 0);
	assert_int_equal(slat_map(&s, GPA(0x3000), HPA(0x7100), PAGE_SIZE, SLAT_R), -EINVAL);
	assert_int_equal(slat_map(&s, GPA(1ull << 48), HPA(0), PAGE_SIZE, SLAT_R), -EINVAL);
	assert_int_equal(slat_map(&s, GPA(0), HPA(0), 8192, SLAT_R), -EINVAL);
	assert_true(slat_lookup(&s, GPA(0x1fff), &l));
	assert_int_equal(l.hpa.v, 0x7000);
	assert_int_equal(l.prot, SLAT_R);
	assert_true(slat_lookup(&s, GPA(SIZE_2M + 0x12345), &l));
	assert_int_equal(l.size, SIZE_2M);
	assert_int_equal(l.prot, SLAT_R | SLAT_W | SLAT_X);
	assert_false(l.accessed || l.dirty);
	assert_false(slat_lookup(&s, GPA(0x2000), &l));
	assert_int_equal(slat_unmap(&s, GPA(SIZE_2M + 0x3000), 0x2000, &owed), 0);
	assert_int_equal(owed.gen, 1);
	assert_false(slat_lookup(&s, GPA(SIZE_2M + 0x4000), &l));
	assert_true(slat_lookup(&s, GPA(SIZE_2M + 0x5000), &l));
	assert_int_equal(l.hpa.v, 0x605000);
	assert_int_equal(l.prot, SLAT_R | SLAT_W | SLAT_X);
	assert_int_equal(slat_protect(&s, GPA(SIZE_1G + SIZE_2M), SIZE_2M, SLAT_R, &owed), 0);
	assert_int_equal(owed.gen, 2);
	assert_true(slat_lookup(&s, GPA(SIZE_1G + SIZE_2M), &l));
	assert_int_equal(l.prot, SLAT_R);
	assert_int_equal(l.size, SIZE_2M);
	assert_true(slat_lookup(&s, GPA(SIZE_1G), &l));
	assert_int_equal(l.prot, SLAT_R | SLAT_W);
	slat_fini(&s);
	assert_int_equal(pages_out, 0);
	(void)state;
}

static void test_split_merge(void **state)
{
	struct slat s;
	struct slat_leaf l;
	struct slat_flush owed = { 0 }, done;
	uint64_t before;

	assert_int_equal(slat_init(&s, &npt), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(
			slat_map(&s, GPA(i * SIZE_2M), HPA(SIZE_1G + i * SIZE_2M), SIZE_2M, 7), 0);
	touch(&s, 0x1000, true);
	before = pages_out;
	assert_int_equal(slat_split(&s, GPA(0), 4 * SIZE_2M, &owed), 0);
	assert_int_equal(pages_out, before + 4);
	assert_int_equal(s.splits, 4);
	for (uint64_t a = 0; a < 4 * SIZE_2M; a += PAGE_SIZE) {
		assert_true(slat_lookup(&s, GPA(a), &l));
		assert_int_equal(l.size, PAGE_SIZE);
		assert_int_equal(l.hpa.v, SIZE_1G + a);
		assert_int_equal(l.dirty, a < SIZE_2M);
		assert_int_equal(l.accessed, a < SIZE_2M);
	}
	/* One of the four is in pieces: it stays. */
	assert_int_equal(slat_unmap(&s, GPA(SIZE_2M), PAGE_SIZE, &owed), 0);
	touch(&s, 2 * SIZE_2M + 0x7000, true);
	done = owed;
	slat_merge(&s, GPA(0), 4 * SIZE_2M, &owed);
	assert_int_equal(s.merges, 3);
	assert_true(owed.gen > done.gen);
	slat_reap(&s, done);
	assert_int_equal(pages_out, before + 5); /* nothing may go yet; and the list's page */
	slat_reap(&s, owed);
	assert_int_equal(pages_out, before + 1);
	assert_true(slat_lookup(&s, GPA(2 * SIZE_2M), &l));
	assert_int_equal(l.size, SIZE_2M);
	assert_true(l.dirty && l.accessed);
	assert_true(slat_lookup(&s, GPA(3 * SIZE_2M), &l));
	assert_false(l.dirty || l.accessed);
	slat_fini(&s);
	assert_int_equal(pages_out, 0);
	(void)state;
}

static void test_harvest_large(void **state)
{
	struct slat s;
	struct pageset set;
	struct slat_flush owed = { 0 };

	assert_int_equal(pageset_init(&set, 2 * SIZE_1G / PAGE_SIZE), 0);
	assert_int_equal(slat_init(&s, &npt), 0);
	assert_int_equal(slat_map(&s, GPA(0), HPA(0), SIZE_1G, 7), 0);
	assert_int_equal(slat_map(&s, GPA(SIZE_1G), HPA(SIZE_1G), SIZE_2M, 7), 0);
	touch(&s, SIZE_1G, false);
	assert_int_equal(slat_harvest_dirty(&s, GPA(0), 2 * SIZE_1G, true, &set, &owed), 0);
	assert_true(pageset_empty(&set));
	assert_int_equal(owed.gen, 0);
	touch(&s, SIZE_1G, true);
	assert_int_equal(slat_harvest_dirty(&s, GPA(0), 2 * SIZE_1G, false, &set, &owed), 0);
	assert_int_equal(pageset_count(&set), 512);
	assert_true(owed.gen > 0);
	assert_int_equal(s.splits, 0);
	pageset_clear_all(&set);
	touch(&s, 0x123000, true);
	touch(&s, SIZE_1G, true);
	assert_int_equal(slat_harvest_dirty(&s, GPA(0), 2 * SIZE_1G, true, &set, &owed), 0);
	assert_int_equal(pageset_count(&set), 262144 + 512);
	assert_int_equal(s.splits, 514);
	pageset_clear_all(&set);
	touch(&s, 0x123000, true);
	touch(&s, SIZE_1G + 0x1ff000, true);
	assert_int_equal(slat_harvest_dirty(&s, GPA(0), 2 * SIZE_1G, true, &set, &owed), 0);
	assert_int_equal(pageset_count(&set), 2);
	assert_true(pageset_test(&set, 0x123));
	assert_true(pageset_test(&set, 0x401ff));
	slat_fini(&s);
	pageset_fini(&set);
	assert_int_equal(pages_out, 0);
	(void)state;
}

#define PAGES 4096u

/* Random writes, harvests of random ranges, memory that runs out: no write is ever lost. */
static void test_random(void **state)
{
	static bool wrote[PAGES];
	struct slat s;
	struct pageset set;
	struct slat_flush owed = { 0 };

	assert_int_equal(pageset_init(&set, PAGES), 0);
	assert_int_equal(slat_init(&s, &npt), 0);
	for (uint64_t a = 0; a < PAGES * PAGE_SIZE; a += SIZE_2M)
		assert_int_equal(slat_map(&s, GPA(a), HPA(a), SIZE_2M, 7), 0);
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t from = (uint64_t)(rand() % PAGES),
			 len = 1 + (uint64_t)rand() % (PAGES - from);
		int r;

		for (int i = rand() % 20; i > 0; i--) {
			uint64_t n = (uint64_t)(rand() % PAGES);

			touch(&s, n << PAGE_SHIFT, true);
			wrote[n] = true;
		}
		if (round % 3 == 0)
			fail_after = 1 + (unsigned)rand() % 3;
		r = slat_harvest_dirty(&s, GPA(from * PAGE_SIZE), len * PAGE_SIZE, rand() & 1, &set,
				       &owed);
		fail_after = 0;
		assert_true(!r || r == -ENOMEM);
		for (unsigned n = 0; n < PAGES; n++) {
			bool dirty = (*leaf_slot(&s, (uint64_t)n << PAGE_SHIFT) & D) != 0;

			if (wrote[n])
				assert_true(dirty || pageset_test(&set, n));
			if (!r && n >= from && n < from + len)
				assert_false(dirty);
		}
		if (!r && !from && len == PAGES)
			memset(wrote, 0, sizeof(wrote));
		if (round % 50 == 49) {
			pageset_clear_all(&set); /* "sent": only what is still marked counts */
			for (unsigned n = 0; n < PAGES; n++)
				wrote[n] = (*leaf_slot(&s, (uint64_t)n << PAGE_SHIFT) & D) != 0;
		}
		if (round % 500 == 499) {
			slat_merge(&s, GPA(0), PAGES * PAGE_SIZE, &owed);
			slat_reap(&s, owed);
		}
	}
	slat_fini(&s);
	pageset_fini(&set);
	assert_int_equal(pages_out, 0);
	(void)state;
}

static void count_leaf(void *arg, const struct slat_leaf *l)
{
	uint64_t *sum = arg;

	sum[0]++;
	sum[1] += l->accessed;
	sum[2] += l->size;
}

static void test_scan(void **state)
{
	struct slat s;
	struct slat_flush owed = { 0 };
	uint64_t sum[3] = { 0 };

	assert_int_equal(slat_init(&s, &npt), 0);
	assert_int_equal(slat_map(&s, GPA(0), HPA(0), SIZE_2M, 7), 0);
	assert_int_equal(slat_map(&s, GPA(4 * SIZE_1G), HPA(SIZE_2M), PAGE_SIZE, 7), 0);
	touch(&s, 0, false);
	slat_scan(&s, GPA(0), 8 * SIZE_1G, true, count_leaf, sum, &owed);
	assert_int_equal(sum[0], 2);
	assert_int_equal(sum[1], 1);
	assert_int_equal(sum[2], SIZE_2M + PAGE_SIZE);
	assert_true(owed.gen > 0);
	memset(sum, 0, sizeof(sum));
	owed.gen = 0;
	slat_scan(&s, GPA(0), 8 * SIZE_1G, true, count_leaf, sum, &owed);
	assert_int_equal(sum[1], 0);
	assert_int_equal(owed.gen, 0);
	slat_fini(&s);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),	      cmocka_unit_test(test_split_merge),
		cmocka_unit_test(test_harvest_large), cmocka_unit_test(test_random),
		cmocka_unit_test(test_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
