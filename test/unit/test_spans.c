/* SPDX-License-Identifier: BSD-2-Clause */
/* Spans of bytes against a map with one bit for each. */
// SOURCES: mig/spans.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mig/spans.h"

#define BYTES 200u

static struct spans spans;
static bool map[BYTES];

static bool map_has(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (!map[i])
			return false;
	return true;
}

static void assert_in_order(void)
{
	for (unsigned i = 0; i < spans.nr; i++) {
		assert_true(spans.at[i].from < spans.at[i].to);
		assert_true(!i || spans.at[i - 1].to < spans.at[i].from);
	}
}

static void as_a_map_says(void **state)
{
	for (unsigned run = 0; run < 200; run++) {
		srand(run);
		spans = (struct spans){ 0 };
		memset(map, 0, sizeof(map));
		for (unsigned i = 0; i < 60; i++) {
			uint64_t from = (uint64_t)rand() % BYTES;
			uint64_t to = from + (uint64_t)rand() % MIN(BYTES - from + 1, 20ul);
			uint64_t a = (uint64_t)rand() % BYTES;
			uint64_t b = a + (uint64_t)rand() % (BYTES - a + 1);

			assert_int_equal(spans_add(&spans, from, to), 0);
			memset(map + from, 1, to - from);
			assert_in_order();
			assert_int_equal(spans_have(&spans, a, b), map_has(a, b));
			assert_int_equal(spans_have(&spans, from, to), true);
		}
	}
}

static void one_too_many(void **state)
{
	struct spans was;

	spans = (struct spans){ 0 };
	for (uint64_t i = 0; i < SPANS_MAX; i++)
		assert_int_equal(spans_add(&spans, 4 * i, 4 * i + 2), 0);
	was = spans;
	assert_int_equal(spans_add(&spans, 4 * SPANS_MAX, 4 * SPANS_MAX + 1), -E2BIG);
	assert_memory_equal(&spans, &was, sizeof(was));
	assert_false(spans_have(&spans, 0, 4));
	assert_int_equal(spans_add(&spans, 2, 4), 0); /* joins two */
	assert_true(spans_have(&spans, 0, 6));
	assert_int_equal(spans_add(&spans, 4 * SPANS_MAX, 4 * SPANS_MAX + 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_a_map_says),
		cmocka_unit_test(one_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
