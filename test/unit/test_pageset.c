/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: kernel/lib/pageset.c
/* Page sets against a plain array of flags, and marks from several threads against drain. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/pageset.h>

#define PAGES 20000u /* not a multiple of a chunk or a word */

static bool model[PAGES];

static void same(const struct pageset *s)
{
	gfn_t first = 0, from = 0;
	uint64_t count, members = 0;
	bool seen[PAGES] = { false };

	while (pageset_next_run(s, from, 700, &first, &count)) {
		assert_in_range(count, 1, 700);
		assert_true(first >= from && first + count <= PAGES);
		for (uint64_t i = 0; i < count; i++)
			seen[first + i] = true;
		from = first + count;
	}
	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(seen[i], model[i]);
		assert_int_equal(pageset_test(s, i), model[i]);
		members += model[i];
	}
	assert_int_equal(pageset_count(s), members);
	assert_int_equal(pageset_empty(s), !members);
}

static void test_single(void **state)
{
	struct pageset s;
	gfn_t first;
	uint64_t count;

	(void)state;
	assert_int_equal(pageset_init(&s, PAGES), 0);
	memset(model, 0, sizeof(model));
	same(&s);
	assert_int_equal(pageset_set(&s, PAGES), -ERANGE);
	assert_int_equal(pageset_set(&s, PAGES - 1), 0);
	assert_int_equal(pageset_set(&s, 4095), 0);
	assert_int_equal(pageset_set(&s, 4096), 0);
	model[PAGES - 1] = model[4095] = model[4096] = true;
	same(&s);
	assert_true(pageset_next_run(&s, 0, 100, &first, &count));
	assert_int_equal(first, 4095);
	assert_int_equal(count, 2); /* a run crosses chunks */
	assert_null(s.chunk[2]);    /* and absent parts stay absent */
	pageset_clear(&s, 4095);
	pageset_clear(&s, PAGES + 5);
	model[4095] = false;
	same(&s);
	pageset_clear_all(&s);
	memset(model, 0, sizeof(model));
	same(&s);
	pageset_fini(&s);
	assert_int_equal(pageset_init(&s, 0), 0);
	assert_true(pageset_empty(&s));
	assert_int_equal(pageset_set(&s, 0), -ERANGE);
	pageset_fini(&s);
}

static void test_ranges(void **state)
{
	struct pageset s;

	(void)state;
	srand(1);
	assert_int_equal(pageset_init(&s, PAGES), 0);
	memset(model, 0, sizeof(model));
	assert_int_equal(pageset_set_range(&s, PAGES - 1, 2), -ERANGE);
	assert_int_equal(pageset_set_range(&s, UINT64_MAX, 2), -ERANGE);
	assert_int_equal(pageset_set_range(&s, PAGES, 0), 0);
	for (unsigned round = 0; round < 40; round++) {
		unsigned at = (unsigned)rand() % PAGES, n = (unsigned)rand() % 900;

		n = MIN(n, PAGES - at);
		assert_int_equal(pageset_set_range(&s, at, n), 0);
		memset(model + at, 1, n);
		at = (unsigned)rand() % PAGES;
		pageset_clear(&s, at);
		model[at] = false;
		same(&s);
	}
	pageset_fini(&s);
}

static void fill(struct pageset *s, unsigned step)
{
	assert_int_equal(pageset_init(s, PAGES), 0);
	for (unsigned i = 0; i < PAGES; i += step)
		assert_int_equal(pageset_set(s, i), 0);
}

static void test_algebra(void **state)
{
	struct pageset a, b;

	(void)state;
	fill(&a, 3);
	fill(&b, 5);
	assert_int_equal(pageset_count_both(&a, &b), (PAGES + 14) / 15);
	assert_int_equal(pageset_count_both(&a, &a), pageset_count(&a));
	assert_int_equal(pageset_merge(&a, &b), 0);
	for (unsigned i = 0; i < PAGES; i++)
		model[i] = i % 3 == 0 || i % 5 == 0;
	same(&a);
	pageset_subtract(&a, &b);
	assert_int_equal(pageset_count_both(&b, &a), 0);
	for (unsigned i = 0; i < PAGES; i++)
		model[i] = i % 3 == 0 && i % 5 != 0;
	same(&a);
	assert_int_equal(pageset_reserve(&b), 0);
	assert_int_equal(pageset_drain(&a, &b), 0);
	for (unsigned i = 0; i < PAGES; i++)
		model[i] = i % 3 == 0 || i % 5 == 0;
	same(&a);
	assert_true(pageset_empty(&b));
	pageset_fini(&a);
	pageset_fini(&b);
}

#define THREADS 3

static struct pageset shared;
static uint32_t fresh; /* marks that were told "was not in before" */

static void *marker(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg, mine = 0;

	for (unsigned i = 0; i < 100000; i++)
		mine += pageset_mark(&shared, (gfn_t)rand_r(&seed) % PAGES);
	__atomic_fetch_add(&fresh, mine, __ATOMIC_RELAXED);
	return NULL;
}

/* Every mark that was new must come out of exactly one drain. */
static void test_marks(void **state)
{
	struct pageset round;
	pthread_t t[THREADS];
	uint64_t drained = 0;

	(void)state;
	assert_int_equal(pageset_init(&shared, PAGES), 0);
	assert_int_equal(pageset_reserve(&shared), 0);
	assert_int_equal(pageset_init(&round, PAGES), 0);
	assert_false(pageset_mark(&shared, PAGES));
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, marker, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(pageset_drain(&round, &shared), 0);
		drained += pageset_count(&round);
		pageset_clear_all(&round);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(pageset_drain(&round, &shared), 0);
	drained += pageset_count(&round);
	assert_int_equal(drained, fresh);
	pageset_fini(&round);
	pageset_fini(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_algebra),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
