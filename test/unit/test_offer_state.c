/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * That a VM does not run, and how its last run ended, in its offer: golden bytes, and what is
 * refused.
 */
// SOURCES: mig/offer_state.c kernel/lib/rec.c kernel/lib/text.c
#include "rec_fixture.h"

static enum vm_state read_state;
static struct vm_end read_end;
static uint16_t type; /* of the record */

static void save(enum vm_state state)
{
	struct rec_writer w;

	type = REC_AT_REST;
	rec_writer_init(&w);
	offer_state_save(state, &w);
	record_take(&w);
}

static void save_end(enum vm_state state, const struct vm_end *end)
{
	struct rec_writer w;

	type = REC_ENDED;
	rec_writer_init(&w);
	offer_ended_save(state, end, &w);
	record_take(&w);
}

static int check(void)
{
	struct rec_reader r;

	record_open(&r, type);
	return type == REC_ENDED ? offer_ended_check(&r, &read_end)
				 : offer_state_check(&r, &read_state);
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
	save(VM_STOPPED_ERROR); /* the other record has it */
	assert_int_equal(check(), 0);
	assert_int_equal(read_state, VM_OFF);
}

static void how_it_ended(void **state)
{
	static const uint8_t code[] = { 2, 0, 0, 0, 7, 0, 0, 0, 4, 0, 'd', 'o', 'n', 'e' };
	static const uint8_t error[] = { 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 'b', 'a', 'd' };
	struct vm_end end = { .exited = true, .exit_code = 7, .reason = "done" };

	save_end(VM_OFF, &end);
	assert_memory_equal(record + RECORD_HEAD, code, sizeof(code));
	assert_int_equal(record[4], REC_OPTIONAL); /* whoever does not know it takes the VM */
	assert_int_equal(check(), 0);
	assert_memory_equal(&read_end, &end, sizeof(end));
	end = (struct vm_end){ .error = true, .reason = "bad" };
	save_end(VM_STOPPED_ERROR, &end);
	assert_memory_equal(record + RECORD_HEAD, error, sizeof(error));
	assert_int_equal(check(), 0);
	assert_memory_equal(&read_end, &end, sizeof(end));
}

static void nothing_has_ended(void **state)
{
	struct vm_end end = { .reason = "" };

	save_end(VM_OFF, &end); /* it has never run */
	assert_int_equal(record_len, RECORD_HEAD);
	strcpy(end.reason, "stopped by the user");
	save_end(VM_SUSPENDED, &end);
	assert_int_equal(record_len, RECORD_HEAD);
}

static void an_end_is_refused(void **state)
{
	struct vm_end end = { .exited = true, .exit_code = 7, .reason = "done" };

	save_end(VM_OFF, &end);
	refused_with(2, 2);			/* version */
	refused_with(RECORD_HEAD, 6);		/* kept for later */
	refused_with(RECORD_HEAD, 1);		/* a code, and the guest gave none */
	refused_with(RECORD_HEAD + 8, 5);	/* longer than the record */
	refused_with(RECORD_HEAD + 10, '\x1b'); /* no text */
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
		cmocka_unit_test(how_it_ended),
		cmocka_unit_test(nothing_has_ended),
		cmocka_unit_test(an_end_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
