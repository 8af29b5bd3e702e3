/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That a VM does not run, in its offer: golden bytes, and what is refused.
 */
// SOURCES: mig/offer_state.c kernel/lib/rec.c
#include "rec_fixture.h"

static enum vm_state read_state;

static void save(enum vm_state state)
{
	struct rec_writer w;

	rec_writer_init(&w);
	offer_state_save(state, &w);
	record_take(&w);
}

static int check(void)
{
	struct rec_reader r;

	record_open(&r, REC_AT_REST);
	return offer_state_check(&r, &read_state);
}

/* The layout of docs/wire.md. */
static void golden(void **state)
{
	static const uint8_t suspended[] = { 1, 0, 0, 0, 0, 0, 0, 0 };

	save(VM_SUSPENDED);
	assert_memory_equal(record + RECORD_HEAD, suspended, sizeof(suspended));
	assert_int_equal(record[4], 0); /* whoever does not know it refuses */
	assert_int_equal(check(), 0);
	assert_int_equal(read_state, VM_SUSPENDED);
	save(VM_STOPPED_ERROR); /* how its last run ended stays behind */
	assert_int_equal(check(), 0);
	assert_int_equal(read_state, VM_OFF);
}

static void a_vm_that_runs_says_nothing(void **state)
{
	save(VM_RUNNING);
	assert_int_equal(record_len, RECORD_HEAD); /* the end of the records */
}

static void refused(void **state)
{
	save(VM_OFF);
	refused_with(2, 2);		  /* version */
	refused_with(RECORD_HEAD, 2);	  /* another state */
	refused_with(RECORD_HEAD + 4, 1); /* kept for later */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(a_vm_that_runs_says_nothing),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
