/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of the console: which are a person's keys, which a program's lines, when both come.
 */
// SOURCES: kernel/shell/shell_sort.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/shell/shell_int.h"

#define RS "\x1e"

static struct shell_sort s;
static char keys[128], lines[2048];

/* What these bytes are, in keys and lines; a line that was cut ends in '!'. */
static void type(const char *bytes, bool raw)
{
	for (; *bytes; bytes++) {
		switch (shell_sort(&s, *bytes, raw)) {
		case SHELL_BYTE_KEY_BEFORE:
			strcat(keys, RS);
			strncat(keys, bytes, 1);
			break;
		case SHELL_BYTE_KEY:
			strncat(keys, bytes, 1);
			break;
		case SHELL_BYTE_LINE:
			strcat(strcat(lines, s.line), s.cut ? "!" : "|");
			break;
		case SHELL_BYTE_TAKEN:
			break;
		}
	}
}

static void are(const char *expect_keys, const char *expect_lines)
{
	assert_string_equal(keys, expect_keys);
	assert_string_equal(lines, expect_lines);
}

static int begin(void **state)
{
	s = (struct shell_sort){ .line_start = true };
	keys[0] = lines[0] = '\0';
	return 0;
}

static void at_the_begin_of_a_line(void **state)
{
	type("@1 vm list\nhelp\r@2 tasks\r", false);
	are("help\r", "@1 vm list|@2 tasks|");
	type("vm \x03@3 log\n", false); /* Ctrl-C ends a line, but not a guest's */
	are("help\rvm \x03", "@1 vm list|@2 tasks|@3 log|");
}

/* It is of the program's text, not another line's. */
static void in_a_programs_line(void **state)
{
	type("@1 vm type g a@b\n" RS "@2 vm type g @\n", false);
	are("", "@1 vm type g a@b|@2 vm type g @|");
}

/* Without RS it would be his, and the program waited for ever. */
static void in_the_middle_of_a_line(void **state)
{
	type("vm li" RS "@1 tasks\nst\n", false);
	are("vm list\n", "@1 tasks|");
	type("a@b " RS "@2 log\n" RS "@3 log\n", false);
	are("vm list\na@b ", "@1 tasks|@2 log|@3 log|");
	type("@host now\n" RS "@4 log\n@5 log\n", false); /* his line goes on, and ends */
	are("vm list\na@b @host now\n", "@1 tasks|@2 log|@3 log|@4 log|@5 log|");
}

static void in_a_guest(void **state)
{
	type("x\x03@y" RS "@1 tasks\n\x03@z", true);
	are("x\x03@y\x03@z", "@1 tasks|");
}

/* A key that a guest's editor may want. */
static void alone(void **state)
{
	type("a" RS "b", true);
	are("a" RS "b", "");
	type(RS RS "c" RS "@1 log\n", true);
	are("a" RS "b" RS RS "c", "@1 log|");
}

/* He waits for what it does; the program's RS does nothing. */
static void alone_and_then_nothing(void **state)
{
	type("a" RS, true);
	assert_true(shell_sort_quiet(&s));
	assert_false(shell_sort_quiet(&s)); /* once */
	type("b", true);
	are("ab", "");
	type("c" RS "@1 lo" RS, true);
	assert_false(shell_sort_quiet(&s));
	type("g\n", true);
	are("abc", "@1 log|");
}

/* A program that died in its line, and the next one. */
static void half_a_line(void **state)
{
	type("@1 vm li" RS "@2 tasks\n", false);
	are("", "@2 tasks|");
}

static void too_long(void **state)
{
	char line[SHELL_LINE_MAX + 64];

	memset(line, 'x', sizeof(line));
	line[0] = '@';
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	type(line, false);
	assert_int_equal(strlen(lines), SHELL_LINE_MAX);
	assert_int_equal(lines[SHELL_LINE_MAX - 1], '!');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(at_the_begin_of_a_line, begin),
		cmocka_unit_test_setup(in_a_programs_line, begin),
		cmocka_unit_test_setup(in_the_middle_of_a_line, begin),
		cmocka_unit_test_setup(in_a_guest, begin),
		cmocka_unit_test_setup(alone, begin),
		cmocka_unit_test_setup(alone_and_then_nothing, begin),
		cmocka_unit_test_setup(half_a_line, begin),
		cmocka_unit_test_setup(too_long, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
