/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libc's memory functions, against byte-wise models: every small length, every
 * alignment of both sides, overlaps in both directions.
 *
 * SOURCES: test/unit/mem_renamed.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LEN_MAX 100
#define ROOM (LEN_MAX + 32)

void *tern_memcpy(void *dst, const void *src, size_t n);
void *tern_memmove(void *dst, const void *src, size_t n);
void *tern_memset(void *dst, int value, size_t n);

static void fill(uint8_t *p, unsigned seed)
{
	for (unsigned i = 0; i < ROOM; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static void same(const uint8_t *a, const uint8_t *b)
{
	for (unsigned i = 0; i < ROOM; i++)
		assert_int_equal(a[i], b[i]);
}

static void check_copy(unsigned to, unsigned from, unsigned n)
{
	uint8_t src[ROOM], got[ROOM], want[ROOM];

	fill(src, 1);
	fill(got, 99);
	fill(want, 99);
	for (unsigned i = 0; i < n; i++)
		want[to + i] = src[from + i];
	assert_ptr_equal(tern_memcpy(got + to, src + from, n), got + to);
	same(got, want);
}

static void check_move(unsigned to, unsigned from, unsigned n)
{
	uint8_t got[ROOM], src[ROOM], want[ROOM];

	fill(got, 5);
	fill(src, 5);
	fill(want, 5);
	for (unsigned i = 0; i < n; i++)
		want[to + i] = src[from + i];
	assert_ptr_equal(tern_memmove(got + to, got + from, n), got + to);
	same(got, want);
}

static void check_set(unsigned to, int value, unsigned n)
{
	uint8_t got[ROOM], want[ROOM];

	fill(got, 3);
	fill(want, 3);
	for (unsigned i = 0; i < n; i++)
		want[to + i] = (uint8_t)value;
	assert_ptr_equal(tern_memset(got + to, value, n), got + to);
	same(got, want);
}

static void test_memcpy(void **state)
{
	(void)state;
	for (unsigned n = 0; n < LEN_MAX; n++)
		for (unsigned at = 0; at < 64; at++)
			check_copy(at & 7, at >> 3, n);
}

static void test_memmove(void **state)
{
	(void)state;
	for (unsigned n = 0; n < LEN_MAX; n++)
		for (unsigned to = 0; to < 32; to++)
			for (unsigned from = 0; from < 32; from++)
				check_move(to, from, n);
}

static void test_memset(void **state)
{
	(void)state;
	for (unsigned n = 0; n < LEN_MAX; n++)
		for (unsigned at = 0; at < 8; at++)
			check_set(at, at & 1 ? 0x1a5 : 0, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memcpy),
		cmocka_unit_test(test_memmove),
		cmocka_unit_test(test_memset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
