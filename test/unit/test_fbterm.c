/* SPDX-License-Identifier: BSD-2-Clause */
/* The text screen: where characters land, scrolling, the sequences of the line editor. */
// SOURCES: drivers/fbterm.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/fbterm.h"

#define COLS 10u
#define ROWS 3u

static struct fbterm t;
static char *text; /* of exactly the size, so that ASan sees what goes beyond */

static int fresh(void **state)
{
	free(text);
	text = malloc(COLS * ROWS);
	fbterm_init(&t, COLS, ROWS, text);
	return 0;
}

static int end(void **state)
{
	free(text);
	text = NULL;
	return 0;
}

static void say(const char *s)
{
	fbterm_write(&t, s, strlen(s));
}

static void expect(unsigned line, const char *want)
{
	char padded[COLS + 1];

	memset(padded, ' ', COLS);
	padded[COLS] = 0;
	memcpy(padded, want, strlen(want));
	assert_memory_equal(fbterm_line(&t, line), padded, COLS);
}

static void lines(void **state)
{
	say("one\r\ntwo\nthree");
	expect(0, "one");
	expect(1, "two");
	expect(2, "three");
}

static void scrolls(void **state)
{
	say("1\n2\n3\n4\n5");
	expect(0, "3");
	expect(1, "4");
	expect(2, "5");
	say("\n");
	expect(1, "5");
	expect(2, "");
}

static void wraps_when_more_comes(void **state)
{
	say("0123456789");
	assert_int_equal(t.y, 0);
	say("\nx");
	expect(1, "x"); /* no empty line between */
	say("\r0123456789ab");
	expect(1, "0123456789");
	expect(2, "ab");
}

static void returns_and_erases(void **state)
{
	say("abcdef\rxy");
	expect(0, "xycdef");
	say("\x1b[K");
	expect(0, "xy");
	say("123\x1b[2D_\x1b[1C!");
	expect(0, "xy1_3!");
	say("\b\b\b?");
	expect(0, "xy1?3!");
	say("\x1b[99D<\x1b[99C>");
	expect(0, "<y1?3!   >");
}

static void what_it_does_not_know_shows_nothing(void **state)
{
	say("a\x1b[31;1mb\x1b(B"
	    "c\x1b[?25h\x1b[2Jd\x01\x7f\x80\xff"
	    "e");
	expect(0, "abcde");
	say("\x1b[99999999999999999999Df");
	expect(0, "fbcde");
}

static void tabs(void **state)
{
	say("a\tb\t");
	expect(0, "a       b ");
	say("c");
	expect(1, "c");
}

static void any_bytes(void **state)
{
	static const char often[] = "\n\r\b\t\x1b[0123456789;KDCa ";

	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		char c = rand() % 4 ? often[(unsigned)rand() % (sizeof(often) - 1)] : (char)rand();

		fbterm_write(&t, &c, 1);
		assert_true(t.x <= COLS && t.y < ROWS && t.top < ROWS);
	}
	for (unsigned i = 0; i < COLS * ROWS; i++)
		assert_true(text[i] >= ' ' && text[i] <= '~');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines, fresh, end),
		cmocka_unit_test_setup_teardown(scrolls, fresh, end),
		cmocka_unit_test_setup_teardown(wraps_when_more_comes, fresh, end),
		cmocka_unit_test_setup_teardown(returns_and_erases, fresh, end),
		cmocka_unit_test_setup_teardown(what_it_does_not_know_shows_nothing, fresh, end),
		cmocka_unit_test_setup_teardown(tabs, fresh, end),
		cmocka_unit_test_setup_teardown(any_bytes, fresh, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
