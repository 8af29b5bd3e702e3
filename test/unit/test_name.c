/* SPDX-License-Identifier: BSD-2-Clause */
/* One rule for names, from the console, tern.conf and the stream. */
// SOURCES: kernel/lib/name.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/name.h"

static void what_is_a_name(void **state)
{
	static const char *const good[] = { "a", "0", "web-1_b.c", "A.B" };
	static const char *const bad[] = { "",	  "-a",	 ".a",	"_a",	    "a b",
					   "a/b", "a\n", "a\"", "\xc3\xa4", "a\x1b[2J" };

	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(name_is_ok(good[i], 16));
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(name_is_ok(bad[i], 16));
}

static void it_fits(void **state)
{
	char whole[8] = { 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a' }; /* no NUL */

	assert_false(name_is_ok(whole, sizeof(whole)));
	whole[7] = '\0';
	assert_true(name_is_ok(whole, sizeof(whole)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_name),
		cmocka_unit_test(it_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
