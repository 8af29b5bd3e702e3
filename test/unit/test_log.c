/* SPDX-License-Identifier: BSD-2-Clause */
/* The log ring and the console's output side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/base/log.c"

static uint64_t clock_ns;
static char echoed[4096];

uint64_t time_ns(void)
{
	return clock_ns;
}

void console_write(const char *text, size_t len)
{
	strncat(echoed, text, len);
}

static void test_form(void **state)
{
	uint64_t seq = 0;
	char line[256], small[8];

	(void)state;
	clock_ns = 12345678901ull;
	log_info("net", "link %s, %d", "up", 7);
	log_debug("net", "kept, not echoed");
	assert_string_equal(echoed, "[   12.345678] info  net: link up, 7\n");
	assert_true(log_read(&seq, line, sizeof(line)));
	assert_string_equal(line, "[   12.345678] info  net: link up, 7");
	assert_true(log_read(&seq, small, sizeof(small)));
	assert_string_equal(small, "[   12.");
	assert_false(log_read(&seq, line, sizeof(line)));
	assert_int_equal(seq, 2);
	log_set_console_level(LOG_ERROR);
	echoed[0] = 0;
	log_warn("net", "quiet");
	log_error("net", "loud");
	assert_string_equal(echoed, "[   12.345678] error net: loud\n");
}

static void test_ring(void **state)
{
	uint64_t seq = 0;
	char line[512], longer[400], *at;
	unsigned n = 0;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	log_debug("long", "%s", longer);
	for (unsigned i = 0; i < LINES + 10; i++)
		log_debug("ring", "%u", i);
	while (log_read(&seq, line, sizeof(line))) {
		at = strstr(line, "ring: ");
		assert_non_null(at); /* the older ones are gone */
		if (!n)
			assert_string_equal(at, "ring: 10");
		n++;
	}
	assert_int_equal(n, LINES);
	log_set_console_level(LOG_INFO);
	echoed[0] = 0;
	log_info("long", "%s", longer);
	assert_int_equal(strlen(echoed), LINE_MAX_LEN); /* cut, with its newline */
	assert_int_equal(echoed[LINE_MAX_LEN - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
