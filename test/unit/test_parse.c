/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words, sizes and options of a command line.
 * // SOURCES: kernel/shell/parse.c kernel/lib/text.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/shell/shell_int.h"

static void words(void **state)
{
	char line[] = "vm  create a --cmdline \"console=ttyS0 quiet\" b\\ c 'd e'";
	char *argv[16];
	int argc;

	assert_int_equal(shell_tokenize(line, &argc, argv, 16), 0);
	assert_int_equal(argc, 7);
	assert_string_equal(argv[4], "console=ttyS0 quiet");
	assert_string_equal(argv[5], "b c");
	assert_string_equal(argv[6], "d e");
	assert_null(argv[7]);
}

static void bad_lines(void **state)
{
	char open[] = "vm log \"x", many[] = "a b c d", empty[] = "   ";
	char *argv[4];
	int argc;

	assert_int_equal(shell_tokenize(open, &argc, argv, 4), -EINVAL);
	assert_int_equal(shell_tokenize(many, &argc, argv, 4), -E2BIG);
	assert_int_equal(shell_tokenize(empty, &argc, argv, 4), 0);
	assert_int_equal(argc, 0);
}

static void sizes(void **state)
{
	uint64_t v;

	assert_int_equal(parse_size("256M", &v), 0);
	assert_int_equal(v, 256ull << 20);
	assert_int_equal(parse_size("1g", &v), 0);
	assert_int_equal(v, 1ull << 30);
	assert_int_equal(parse_size("4096", &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(parse_size("", &v), -EINVAL);
	assert_int_equal(parse_size("M", &v), -EINVAL);
	assert_int_equal(parse_size("12X", &v), -EINVAL);
	assert_int_equal(parse_size("-1", &v), -EINVAL);
	assert_int_equal(parse_size("99999999999999999999G", &v), -EINVAL);
	assert_int_equal(parse_size("18446744073709551615K", &v), -EINVAL);
	assert_int_equal(parse_u64("18446744073709551615", &v), 0);
	assert_int_equal(parse_u64("18446744073709551616", &v), -EINVAL);
}

static void options(void **state)
{
	char *argv[] = { "create", "--mem", "1G", "name", "--cmdline=a=b", "--wait", NULL };
	int argc = 6;

	assert_string_equal(shell_opt(&argc, argv, "--mem"), "1G");
	assert_string_equal(shell_opt(&argc, argv, "--cmdline"), "a=b");
	assert_null(shell_opt(&argc, argv, "--kernel"));
	assert_true(shell_flag(&argc, argv, "--wait"));
	assert_false(shell_flag(&argc, argv, "--wait"));
	assert_int_equal(argc, 2);
	assert_string_equal(argv[1], "name");
}

static int end_of(const char *line)
{
	char copy[64], *argv[16];
	int argc;

	strcpy(copy, line);
	assert_int_equal(shell_tokenize(copy, &argc, argv, 16), 0);
	return shell_options_end("[--port N] [--all] [--from N|--to N] NAME TEXT...", argc, argv);
}

/* Where a command's text begins, which is not looked into. */
static void options_before_text(void **state)
{
	assert_int_equal(end_of("type"), 1);
	assert_int_equal(end_of("type g ls --port 1"), 1);
	assert_int_equal(end_of("type --port 1 g ls --json"), 3);
	assert_int_equal(end_of("type --port=1 g"), 2);
	assert_int_equal(end_of("type --all g"), 2);
	assert_int_equal(end_of("type --json --from 3 g"), 4);
	assert_int_equal(end_of("type -- --port 1"), 2);
	assert_int_equal(end_of("type --port"), 2);
	assert_int_equal(end_of("type -x g"), 1);
}

static enum shell_option_fault check(const char *line, const char **which)
{
	static char copy[96];
	static char *argv[16];
	int argc;

	strcpy(copy, line);
	assert_int_equal(shell_tokenize(copy, &argc, argv, 16), 0);
	return shell_options_check("NAME [--mem SIZE] [--net NET[,MAC]]... [--tail N | --since N] "
				   "[--memory-of N] --wait",
				   argc, argv, which);
}

/* The error can name the option that is wrong, and how. */
static void wrong_options(void **state)
{
	const char *which = NULL;

	assert_int_equal(check("create g --mem 1G --wait --since=3", &which), OPTION_FINE);
	assert_int_equal(check("create g --net a --net b", &which), OPTION_FINE);
	assert_int_equal(check("create --mem --wait g --wait", &which), OPTION_FINE);
	assert_int_equal(check("create -x - --", &which), OPTION_FINE);
	assert_int_equal(check("create g --mem 1G --tial 3", &which), OPTION_UNKNOWN);
	assert_string_equal(which, "--tial");
	assert_int_equal(check("create g --me 3", &which), OPTION_UNKNOWN);
	assert_int_equal(check("create g --memory-o 3", &which), OPTION_UNKNOWN);
	assert_int_equal(check("create g --mem", &which), OPTION_NO_VALUE);
	assert_int_equal(check("create --wait=1 g", &which), OPTION_UNWANTED_VALUE);
	assert_int_equal(check("create --mem 1G --mem=2G", &which), OPTION_TWICE);
	assert_string_equal(which, "--mem=2G");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(sizes),
		cmocka_unit_test(options),
		cmocka_unit_test(options_before_text),
		cmocka_unit_test(wrong_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
