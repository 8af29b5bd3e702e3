/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VM is at home, in its offer: golden bytes, and what is refused.
 */
// SOURCES: mig/offer_home.c kernel/lib/rec.c kernel/lib/name.c kernel/lib/text.c
#include "rec_fixture.h"

#define NAME (RECORD_HEAD + 32u) /* its length, then its characters */

static struct vm_config read_cfg;
static struct home_id home, read_home;

static void save(void)
{
	struct rec_writer w;

	rec_writer_init(&w);
	offer_home_save(&home, &w);
	record_take(&w);
}

static int check(void)
{
	struct rec_reader r;

	memset(&read_home, 0, sizeof(read_home));
	record_open(&r, REC_HOME);
	return offer_home_check(&r, &read_cfg, &read_home);
}

static int begin(void **state)
{
	home = (struct home_id){ .store = "ds1",
				 .ds = { 1, 2, 3 },
				 .lease = { .file = 7, .generation = 5 } };
	save();
	return 0;
}

/* The layout of docs/wire.md. */
static void golden(void **state)
{
	static const uint8_t body[] = {
		1, 2, 3,   0,	0,   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* datastore */
		7, 0, 0,   0,	0,   0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, /* file, generation */
		3, 0, 'd', 's', '1',
	};

	assert_memory_equal(record + RECORD_HEAD, body, sizeof(body));
	assert_int_equal(check(), 0);
	assert_memory_equal(&read_home, &home, sizeof(home));
	assert_string_equal(read_cfg.home, "ds1");
}

static void a_vm_without_a_home_says_nothing(void **state)
{
	home.store[0] = '\0';
	save();
	assert_int_equal(record_len, RECORD_HEAD); /* the end of the records */
}

static void refused(void **state)
{
	refused_with(2, 2);		   /* version */
	refused_with(RECORD_HEAD + 16, 0); /* no file */
	refused_with(NAME, 0);		   /* no name */
	refused_with(NAME, 2);		   /* shorter than the record */
	refused_with(NAME + 2, '/');
	refused_with(NAME + 3, '\x1b');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(golden, begin),
		cmocka_unit_test_setup(a_vm_without_a_home_says_nothing, begin),
		cmocka_unit_test_setup(refused, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
