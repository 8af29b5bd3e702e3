/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bzImage header: what is taken, and that every damaged one is refused
 * without a read past the file (the file is a heap block under ASan).
 */
// SOURCES: kernel/vdev/bzimage.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/bzimage.h"

#define LEN 8192u

static uint8_t *file;
static struct bzimage bz;
static char why[96];

static void put(unsigned off, unsigned size, uint64_t v)
{
	memcpy(file + off, &v, size);
}

static int good(void **state)
{
	file = calloc(1, LEN);
	put(0x1f1, 1, 3);
	put(0x1fe, 2, 0xaa55);
	put(0x200, 2, 0x6aeb);
	memcpy(file + 0x202, "HdrS", 4);
	put(0x206, 2, 0x020f);
	put(0x211, 1, 1);
	put(0x22c, 4, 0x7fffffff);
	put(0x236, 2, 0x3f);
	put(0x238, 4, 2047);
	put(0x258, 8, 0x1000000);
	put(0x260, 4, 0x3000000);
	return 0;
}

static int done(void **state)
{
	free(file);
	return 0;
}

static int parse(uint64_t len)
{
	why[0] = 0;
	return bzimage_parse(file, len, &bz, why, sizeof(why));
}

static void takes_a_good_one(void **state)
{
	assert_int_equal(parse(LEN), 0);
	assert_int_equal(bz.payload, 4 * 512);
	assert_int_equal(bz.payload_len, LEN - 4 * 512);
	assert_int_equal(bz.setup_len, 0x26c - 0x1f1);
	assert_int_equal(bz.load, 0x1000000);
	assert_int_equal(bz.cmdline_max, 2047);
	put(0x1f1, 1, 0); /* means 4 */
	assert_int_equal(parse(LEN), 0);
	assert_int_equal(bz.payload, 5 * 512);
}

/* memtest86+ is not relocatable and wants to lie at 1 MiB. */
static void takes_a_low_one(void **state)
{
	put(0x258, 8, 0x100000);
	assert_int_equal(parse(LEN), 0);
	assert_int_equal(bz.load, 0x100000);
	put(0x258, 8, 0xff000);
	assert_int_equal(parse(LEN), -EINVAL);
}

static void refused(const char *text)
{
	assert_int_equal(parse(LEN), -EINVAL);
	assert_non_null(strstr(why, text));
}

static void refuses(void **state)
{
	put(0x1fe, 2, 0);
	refused("not a Linux bzImage");
	put(0x1fe, 2, 0xaa55);
	put(0x206, 2, 0x0205);
	refused("older");
	put(0x206, 2, 0x020f);
	put(0x211, 1, 0);
	refused("zImage");
	put(0x211, 1, 1);
	put(0x236, 2, 0x3e);
	refused("64-bit");
	put(0x236, 2, 1);
	put(0x201, 1, 0xff);
	refused("length");
	put(0x201, 1, 0);
	refused("length");
	put(0x201, 1, 0x6a);
	put(0x1f1, 1, 200);
	refused("short");
	put(0x1f1, 1, 3);
	put(0x258, 8, 0x1000001);
	refused("address");
	put(0x258, 8, 1ull << 40);
	refused("address");
	put(0x258, 8, 0x1000000);
	put(0x260, 4, 100);
	refused("damaged");
}

static void any_length(void **state)
{
	for (size_t len = 0; len < LEN; len += len < 700 ? 1 : 97) {
		uint8_t *whole = file;

		file = malloc(len + 1);
		memcpy(file, whole, len);
		file = realloc(file, len ? len : 1);
		parse(len);
		free(file);
		file = whole;
	}
}

static void random_damage(void **state)
{
	uint32_t x = 1;

	for (int i = 0; i < 200000; i++) {
		x = x * 1664525 + 1013904223;
		file[0x1f1 + (x >> 8) % 0x80] = (uint8_t)(x >> 24);
		if (parse(LEN) == 0) {
			assert_true(bz.payload + bz.payload_len == LEN);
			assert_true(bz.setup_len <= 0x290 - 0x1f1);
		}
		if (i % 7 == 0) {
			done(state);
			good(state);
		}
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, good, done)

int main(void)
{
	const struct CMUnitTest tests[] = { T(takes_a_good_one), T(takes_a_low_one), T(refuses),
					    T(any_length), T(random_damage) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
