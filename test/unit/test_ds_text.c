/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datastores in words: each error has one cause, that of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The source under test, for its table. */
#include "kernel/store/ds_text.c"

struct datastore *ds_find(const char *name)
{
	return NULL;
}

static void each_error_has_its_cause(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		assert_string_equal(ds_error_code(words[i].err), words[i].code);
		assert_string_equal(ds_error_text(words[i].err), words[i].text);
		assert_string_not_equal(words[i].text, ds_error_text(-EIO));
		for (unsigned k = 0; k < i; k++) {
			assert_int_not_equal(words[i].err, words[k].err); /* the second is dead */
			assert_string_not_equal(words[i].text, words[k].text);
		}
	}
	assert_string_equal(ds_error_code(-EIO), "io");
}

/* A commit that is too large for the log, whatever it is of. */
static void a_full_record_is_no_number_of_files(void **state)
{
	assert_string_equal(ds_error_code(-ENOBUFS), "no-space");
	assert_non_null(strstr(ds_error_text(-ENOBUFS), "log"));
	assert_null(strstr(ds_error_text(-ENOBUFS), "files"));
}

static void kinds_are_read_as_they_are_said(void **state)
{
	enum ds_kind k;

	for (enum ds_kind kind = DS_KIND_PLAIN; kind <= DS_KIND_THIN; kind++) {
		assert_int_equal(ds_kind_of(ds_kind_text(kind), &k), 0);
		assert_int_equal(k, kind);
	}
	assert_int_equal(ds_kind_of("delta", &k), -EINVAL); /* is made by a snapshot */
	assert_string_equal(ds_kind_text((enum ds_kind)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_error_has_its_cause),
		cmocka_unit_test(a_full_record_is_no_number_of_files),
		cmocka_unit_test(kinds_are_read_as_they_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
