/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promises of memory that two CPUs ask for at a time: page_stats, in whose middle the other one
 * comes, is the test's.
 */
// SOURCES: kernel/base/promise.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tern/page.h>

#define FREE (256ull << 20)
#define SMALL (16ull << 20)

static uint64_t other_asks; /* once, as soon as somebody looks what is free */
static int other_got;

void page_stats(struct page_stats *out)
{
	uint64_t bytes = other_asks;

	memset(out, 0, sizeof(*out));
	out->free_bytes = FREE;
	other_asks = 0;
	if (bytes)
		other_got = page_promise(bytes);
}

/* Who asks for too much gets nothing, and takes nothing from who comes in that moment. */
static void test_a_refusal_is_nobody_elses(void **state)
{
	other_asks = SMALL;
	assert_int_equal(page_promise(2 * FREE), -ENOMEM);
	assert_int_equal(other_got, 0);
	page_unpromise(SMALL);
}

static void test_both_do_not_get_the_same(void **state)
{
	other_asks = FREE / 2;
	assert_int_equal(page_promise(FREE * 3 / 4), -ENOMEM);
	assert_int_equal(other_got, 0);
	assert_int_equal(page_promise(UINT64_MAX - SMALL), -ENOMEM);
	assert_true(page_spare_bytes() < FREE / 2);
	page_unpromise(FREE / 2);
	assert_true(page_spare_bytes() > FREE / 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refusal_is_nobody_elses),
		cmocka_unit_test(test_both_do_not_get_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
