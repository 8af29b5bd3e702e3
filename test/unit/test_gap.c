/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gap between two hosts' clocks, from probes.
 * // SOURCES: mig/gap.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mig/gap.h"

#define MS 1000000ull
#define SEC (1000 * MS)

/* A probe at our time `at` of a clock that is `ahead`, each way taking so long. */
static void probe(struct gap *g, uint64_t at, int64_t ahead, uint64_t there, uint64_t back)
{
	gap_probe(g, at, at + there + (uint64_t)ahead, at + there + back);
}

static void a_probe_is_halved(void **state)
{
	struct gap g = { 0 };

	probe(&g, 5 * SEC, -3 * (int64_t)SEC, MS, MS);
	assert_int_equal(gap_ns(&g), -3 * (int64_t)SEC);
}

static void the_best_probe_counts(void **state)
{
	struct gap g = { 0 };

	probe(&g, SEC, 7 * (int64_t)MS, 100 * MS, MS);
	probe(&g, 2 * SEC, 7 * (int64_t)MS, MS / 10, MS / 10);
	assert_true(llabs(gap_ns(&g) - 7 * (int64_t)MS) < 100000);
	/* Then the link is busy in one direction: nothing is lost. */
	for (uint64_t t = 3; t < 100; t++)
		probe(&g, t * SEC, 7 * (int64_t)MS, 300 * MS, MS / 10);
	assert_true(llabs(gap_ns(&g) - 7 * (int64_t)MS) < 6 * (int64_t)MS);
}

static void slow_drift_is_followed(void **state)
{
	struct gap g = { 0 };
	int64_t ahead = 0;

	for (uint64_t t = 1; t < 36000; t++, ahead += 50000) /* 50 ppm for ten hours */
		probe(&g, t * SEC, ahead, MS, 3 * MS);
	assert_true(llabs(gap_ns(&g) - ahead) < 3 * (int64_t)MS);
}

/* A host that runs at half the other's speed, over a link that is full. */
static void clocks_that_run_apart(void **state)
{
	struct gap g = { 0 };
	int64_t ahead = 0;

	probe(&g, SEC, 0, MS, MS);
	for (uint64_t t = 2; t < 60; t++) {
		ahead += 500 * (int64_t)MS;
		probe(&g, t * SEC, ahead, 900 * MS, 10 * MS);
	}
	assert_true(llabs(gap_ns(&g) - ahead) < (int64_t)SEC);
}

/* What a hostile peer may say: no overflow, and what was known stays. */
static void absurd_clocks_are_ignored(void **state)
{
	static const uint64_t there[] = { 0, 1ull << 62, 1ull << 63, UINT64_MAX, 3ull << 62 };
	struct gap g = { 0 };

	probe(&g, SEC, 5 * (int64_t)MS, MS, MS);
	for (unsigned i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		gap_probe(&g, 2 * SEC, there[i] + 4 * SEC, 2 * SEC + MS);
	probe(&g, 3 * SEC, 5 * (int64_t)MS, MS, MS);
	assert_true(llabs(gap_ns(&g) - 5 * (int64_t)MS) < 3 * (int64_t)MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_is_halved),
		cmocka_unit_test(the_best_probe_counts),
		cmocka_unit_test(slow_drift_is_followed),
		cmocka_unit_test(clocks_that_run_apart),
		cmocka_unit_test(absurd_clocks_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
