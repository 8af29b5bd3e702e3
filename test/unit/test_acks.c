/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches under way: what is acknowledged counts once, and no number that a hostile
 * peer can say takes the source's count, or its world, with it.
 * // SOURCES: mig/acks.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mig/acks.h"

static void test_bytes_count_once(void **state)
{
	struct acks a = { 0 };

	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(acks_sent(&a, n * 100), n);
	assert_int_equal(acks_out(&a), 3);
	assert_int_equal(acks_out_bytes(&a), 600);
	assert_int_equal(acks_heard(&a, 2), 0);
	assert_int_equal(acks_heard(&a, 2), 0);
	assert_int_equal(acks_heard(&a, 1), 0);
	assert_int_equal(a.acked_bytes, 300);
	assert_int_equal(acks_out(&a), 1);
	assert_int_equal(acks_out_bytes(&a), 300);
}

static void test_the_ring_wraps(void **state)
{
	struct acks a = { 0 };

	for (uint64_t n = 1; n <= 10 * BATCHES_OUT_MAX; n++) {
		(void)acks_sent(&a, n);
		if (n % BATCHES_OUT_MAX)
			continue;
		assert_int_equal(acks_out(&a), BATCHES_OUT_MAX);
		assert_int_equal(acks_heard(&a, n), 0);
		assert_int_equal(a.acked_bytes, n * (n + 1) / 2);
	}
	assert_int_equal(acks_out_bytes(&a), 0);
}

/* Two such numbers in a row once made the source count for ever, its lock held. */
static void test_what_was_never_sent_is_refused(void **state)
{
	static const uint64_t never[] = { 4, 1000, UINT64_MAX - BATCHES_OUT_MAX, UINT64_MAX };
	struct acks a = { 0 };

	for (unsigned n = 0; n < 3; n++)
		(void)acks_sent(&a, 10);
	for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(acks_heard(&a, never[i]), -EBADMSG);
	assert_int_equal(acks_out(&a), 3);
	assert_int_equal(a.acked_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_count_once),
		cmocka_unit_test(test_the_ring_wraps),
		cmocka_unit_test(test_what_was_never_sent_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
