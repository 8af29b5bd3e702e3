/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The token bucket: what goes through it in a second is the rate, for every rate and
 * size; debts are paid, credit does not grow, and no extreme value wraps.
 */
// SOURCES: kernel/lib/bucket.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kernel/lib/bucket.h"

#define SECOND 1000000000ull
/* As the network has them: bytes at so many Mbit/s. */
#define DEPTH_NS (4ull * 1000 * 1000)
#define RATE_MAX 100000u
#define BYTE_NS 8000ull
#define DEPTH_BYTES(mbit) (DEPTH_NS * (mbit) / BYTE_NS)

static bool ready(const struct bucket *b, uint64_t now_ns)
{
	return bucket_ready(b, DEPTH_NS, now_ns);
}

static void take(struct bucket *b, uint32_t mbit, uint64_t now_ns, uint32_t bytes)
{
	bucket_take(b, mbit, now_ns, bytes * BYTE_NS);
}

/* Bytes that get through when there is always something to send. */
static uint64_t through(struct bucket *b, uint32_t mbit, uint64_t from, uint64_t ns, uint32_t size)
{
	uint64_t bytes = 0, now = from;

	while (now < from + ns) {
		if (!ready(b, now)) {
			now = bucket_when(b, DEPTH_NS);
			continue;
		}
		take(b, mbit, now, size);
		bytes += size;
	}
	return bytes;
}

static void the_rate_is_kept(void **state)
{
	static const uint32_t rates[] = { 1, 3, 7, 100, 999, 10000, RATE_MAX };
	static const uint32_t sizes[] = { 14, 60, 61, 1514, 65549 };

	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(sizes); j++) {
			struct bucket b = { 0 };
			uint64_t ns = rates[i] > 1000 ? SECOND / 100 : 2 * SECOND;
			uint64_t want = ns * rates[i] / 8000 + DEPTH_BYTES(rates[i]);
			uint64_t got = through(&b, rates[i], SECOND, ns, sizes[j]);

			assert_in_range(got, want - want / 1000, want + 2 * sizes[j]);
		}
}

static void idle_time_gives_no_more_than_the_depth(void **state)
{
	struct bucket b = { 0 };
	uint64_t first = through(&b, 100, 0, 1, 1000);

	assert_in_range(first, DEPTH_BYTES(100), DEPTH_BYTES(100) + 1000);
	assert_false(ready(&b, 0));
	assert_int_equal(through(&b, 100, 3600 * SECOND, 1, 1000), first);
}

static void a_large_frame_goes_into_debt(void **state)
{
	struct bucket b = { 0 };

	take(&b, 1, SECOND, 65549);
	assert_int_equal(b.full_ns, SECOND + 65549ull * 8000);
	assert_false(ready(&b, SECOND + SECOND / 2));
	assert_true(ready(&b, SECOND + 65549ull * 8000 - DEPTH_NS));
}

static void a_new_rate_counts_at_once(void **state)
{
	struct bucket b = { 0 };

	take(&b, RATE_MAX, 0, 14);
	for (uint32_t mbit = RATE_MAX; mbit; mbit /= 3) {
		uint64_t before = b.full_ns;

		take(&b, mbit, 0, 0);
		assert_in_range(b.full_ns, before, before + RATE_MAX);
		assert_true(b.rest < mbit);
	}
}

static void no_extreme_wraps(void **state)
{
	struct bucket b = { .full_ns = UINT64_MAX - 5 };

	take(&b, 1, 0, UINT32_MAX);
	assert_int_equal(b.full_ns, UINT64_MAX);
	assert_false(ready(&b, UINT64_MAX - DEPTH_NS - 1));
	assert_true(ready(&b, UINT64_MAX));
	b = (struct bucket){ 0 };
	assert_true(ready(&b, 0));
	take(&b, 1, UINT64_MAX, UINT32_MAX);
	assert_int_equal(b.full_ns, UINT64_MAX);
	b = (struct bucket){ .full_ns = DEPTH_NS };
	assert_int_equal(bucket_when(&b, DEPTH_NS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_kept),
		cmocka_unit_test(idle_time_gives_no_more_than_the_depth),
		cmocka_unit_test(a_large_frame_goes_into_debt),
		cmocka_unit_test(a_new_rate_counts_at_once),
		cmocka_unit_test(no_extreme_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
