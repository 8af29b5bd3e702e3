/* SPDX-License-Identifier: BSD-2-Clause */
/* mul_div64 and the clock's conversions. */
// SOURCES: kernel/lib/muldiv.c arch/x86_64/clock.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tern/timer.h>

#include "arch/x86_64/arch.h"

static void exact(void **state)
{
	assert_int_equal(mul_div64(0, 5, 7), 0);
	assert_int_equal(mul_div64(10, 10, 3), 33);
	assert_int_equal(mul_div64(1ull << 40, 1ull << 40, 1ull << 50), 1ull << 30);
	assert_int_equal(mul_div64(UINT64_MAX, 7, 7), UINT64_MAX);
	assert_int_equal(mul_div64(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
	assert_int_equal(
		mul_div64(123456789012345ull, 987654321ull, 1000000007ull),
		(uint64_t)((unsigned __int128)123456789012345ull * 987654321ull / 1000000007ull));
}

static void saturates(void **state)
{
	assert_int_equal(mul_div64(UINT64_MAX, 2, 1), UINT64_MAX);
	assert_int_equal(mul_div64(1, 1, 0), UINT64_MAX);
	assert_int_equal(mul_div64(1ull << 32, 1ull << 32, 1), UINT64_MAX);
}

/* Over ten years and at odd frequencies the clock follows the calibrated one, forwards. */
static void conversions(void **state)
{
	static const uint32_t khz[] = { 1000, 999999, 2100003, 5000000 };
	static const uint64_t ns[] = {
		0, 1, 999, 1000000, 86400ull * NSEC_PER_SEC, 3650ull * 86400 * NSEC_PER_SEC
	};

	for (unsigned k = 0; k < ARRAY_SIZE(khz); k++) {
		clock_init(1000);
		clock_set_khz(khz[k]);
		assert_int_equal(tsc_khz(), khz[k]);
		assert_int_equal(tsc_to_ns(0), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(ns); i++) {
			uint64_t tsc = ns_to_tsc(ns[i]);
			uint64_t back = tsc_to_ns(tsc);
			uint64_t tick_ns = 1000000 / khz[k] + 1;

			assert_true(back + ns[i] / 1000000000 + 1 >= ns[i]);
			assert_true(back <= ns[i] + 2 * tick_ns + ns[i] / 1000000000);
			assert_true(tsc_to_ns(tsc + 1) >= back);
		}
	}
	assert_int_equal(ns_to_tsc(NEVER_NS), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact),
		cmocka_unit_test(saturates),
		cmocka_unit_test(conversions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
