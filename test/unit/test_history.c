/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a destination remembers of ended migrations: a VM that is here keeps its id
 * whatever else ends, the others are forgotten oldest first.
 * // SOURCES: mig/history.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mig/history.h"

static struct vm here[2];

void vm_for_each(void (*fn)(void *arg, struct vm *vm), void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(here); i++)
		fn(arg, &here[i]);
}

static struct wire_verdict outcome(uint32_t n, uint32_t verdict)
{
	struct wire_verdict v = { .verdict = verdict, .started_ns = n };

	memcpy(v.id, &n, sizeof(n));
	return v;
}

static void add(uint32_t n, uint32_t verdict)
{
	struct wire_verdict v = outcome(n, verdict);

	history_add(&v);
}

static uint32_t asked(uint32_t n)
{
	struct wire_verdict v = outcome(n, VERDICT_UNKNOWN);

	v.started_ns = 0;
	if (!history_find(&v))
		return VERDICT_UNKNOWN;
	assert_int_equal(v.started_ns, n);
	return v.verdict;
}

static int fresh(void **state)
{
	memset(here, 0, sizeof(here));
	history_init();
	return 0;
}

static void tells_how_it_ended(void **state)
{
	add(1, VERDICT_RUNNING);
	add(2, VERDICT_DISCARDED);
	assert_int_equal(asked(1), VERDICT_RUNNING);
	assert_int_equal(asked(2), VERDICT_DISCARDED);
	assert_int_equal(asked(3), VERDICT_UNKNOWN);
}

static void a_hundred_later_ones_do_not_matter(void **state)
{
	for (uint32_t n = 1; n <= 101; n++)
		add(n, VERDICT_RUNNING);
	assert_int_equal(asked(1), VERDICT_RUNNING);
}

static void the_oldest_is_forgotten(void **state)
{
	for (uint32_t n = 1; n <= HISTORY_MAX + 1; n++)
		add(n, VERDICT_RUNNING);
	assert_int_equal(asked(1), VERDICT_UNKNOWN);
	assert_int_equal(asked(2), VERDICT_RUNNING);
	assert_int_equal(asked(HISTORY_MAX + 1), VERDICT_RUNNING);
}

/* Thrice the table's size of others come and go. */
static void a_vm_that_is_here_keeps_its_id(void **state)
{
	here[0].came_by[0] = 1;
	here[1].came_by[0] = 7;
	for (uint32_t n = 1; n <= 3 * HISTORY_MAX; n++)
		add(n, VERDICT_RUNNING);
	assert_int_equal(asked(1), VERDICT_RUNNING);
	assert_int_equal(asked(7), VERDICT_RUNNING);
	assert_int_equal(asked(2), VERDICT_UNKNOWN);
	assert_int_equal(asked(2 * HISTORY_MAX + 3), VERDICT_RUNNING);
	memset(here, 0, sizeof(here)); /* it has gone: as the others from here on */
	add(3 * HISTORY_MAX + 1, VERDICT_RUNNING);
	assert_int_equal(asked(1), VERDICT_UNKNOWN);
}

static void the_same_id_has_one_place(void **state)
{
	for (unsigned i = 0; i < 2 * HISTORY_MAX; i++)
		add(2, VERDICT_DISCARDED);
	add(1, VERDICT_RUNNING);
	add(2, VERDICT_RUNNING);
	assert_int_equal(asked(1), VERDICT_RUNNING);
	assert_int_equal(asked(2), VERDICT_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tells_how_it_ended, fresh),
		cmocka_unit_test_setup(a_hundred_later_ones_do_not_matter, fresh),
		cmocka_unit_test_setup(the_oldest_is_forgotten, fresh),
		cmocka_unit_test_setup(a_vm_that_is_here_keeps_its_id, fresh),
		cmocka_unit_test_setup(the_same_id_has_one_place, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
