/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for whom: two moves a datastore, in the order in which they came, one that waits for
 * two datastores, a cancel while queued. One that waits calls `meanwhile`, in which the others go
 * on, as their worlds would.
 */
// SOURCES: mig/smove_queue.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/smove.h"

#define MOVES 6u
#define WAITS_MAX 20u /* more than any case here takes */

static struct smove move[MOVES];
static struct mig_job job[MOVES];
static unsigned order[MOVES], ended; /* who was let in, in turn */
static unsigned waits;
static void (*meanwhile)(void);
static char waited_for[sizeof(job->st.disk.waits_for)];

uint64_t time_ns(void)
{
	return 0;
}

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	assert_true(spin_held(&j->lock));
	assert_true(++waits < WAITS_MAX);
	snprintf(waited_for, sizeof(waited_for), "%s", j->st.disk.waits_for);
	spin_unlock(&j->lock, *flags);
	if (meanwhile)
		meanwhile();
	*flags = spin_lock(&j->lock);
	return -ETIMEDOUT;
}

static int enter(unsigned i)
{
	int err = smove_queue_enter(&move[i]);

	assert_string_equal(job[i].st.disk.waits_for, "");
	if (!err)
		order[ended++] = i;
	return err;
}

static void leave(unsigned i)
{
	smove_queue_leave(&move[i]);
	move[i].seat.seated = false;
}

static void between(unsigned i, const char *from, const char *to)
{
	move[i].j = &job[i];
	spin_init(&job[i].lock, LOCK_MIG + 1, "job");
	move[i].seat = (struct smove_seat){ .nr = 0 };
	for (unsigned k = 0; k < 2; k++)
		snprintf(move[i].seat.ds[move[i].seat.nr++], sizeof(move[i].seat.ds[0]), "%s",
			 k ? to : from);
}

static int begin(void **state)
{
	smove_queue_init();
	memset(move, 0, sizeof(move));
	memset(job, 0, sizeof(job));
	memset(order, 0, sizeof(order));
	waits = ended = 0;
	meanwhile = NULL;
	waited_for[0] = '\0';
	return 0;
}

static void leave_all(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		leave(i);
}

static void test_two_at_a_time(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		between(i, i < 2 ? "a" : "c", i < 2 ? "b" : "d");
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(enter(i), 0);
	assert_int_equal(waits, 0);
	leave_all(4);
}

static void first_leaves(void)
{
	if (move[0].seat.seated)
		leave(0);
}

static void test_the_third_waits(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		between(i, "a", i == 2 ? "c" : "b");
	assert_int_equal(enter(0) | enter(1), 0);
	meanwhile = first_leaves;
	assert_int_equal(enter(2), 0);
	assert_int_equal(waits, 1);
	assert_string_equal(waited_for, "datastore a has 2 moves");
	leave(1);
	leave(2);
}

/* 3 comes while 2 waits; each time that it looks, one more has left. */
static void later_one_tries(void)
{
	static unsigned gone;

	if (waits == 1) {
		gone = 0;
		assert_int_equal(enter(3), 0);
		assert_int_equal(gone, 2); /* one place was the other's */
	} else {
		leave(gone++);
	}
}

static void test_who_came_first_goes_first(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		between(i, "a", "b");
	assert_int_equal(enter(0) | enter(1), 0);
	meanwhile = later_one_tries;
	assert_int_equal(enter(2), 0);
	leave(2);
	leave(3);
}

/* 2 waits for a, 3 for 2's place at b; 4 has neither and is not held up. */
static void others_come(void)
{
	if (waits == 1) {
		assert_int_equal(enter(4), 0);
		assert_int_equal(waits, 1);
		leave(0);
	}
}

static void test_only_its_own_datastores_matter(void **state)
{
	between(0, "a", "x");
	between(1, "a", "y");
	between(2, "a", "b");
	between(4, "b", "c");
	assert_int_equal(enter(0) | enter(1), 0);
	meanwhile = others_come;
	assert_int_equal(enter(2), 0);
	assert_int_equal(order[2], 4);
	leave(1);
	leave(2);
	leave(4);
}

/* First a place at a comes free, then one at b: it needs both. */
static void one_after_the_other(void)
{
	leave(waits == 1 ? 0 : 2);
}

static void test_waits_for_two(void **state)
{
	between(0, "a", "w");
	between(1, "a", "x");
	between(2, "b", "y");
	between(3, "b", "z");
	between(4, "a", "b");
	assert_int_equal(enter(0) | enter(1) | enter(2) | enter(3), 0);
	meanwhile = one_after_the_other;
	assert_int_equal(enter(4), 0);
	assert_int_equal(waits, 2);
	assert_string_equal(waited_for, "datastore b has 2 moves");
	leave(1);
	leave(3);
	leave(4);
}

static void cancel_third(void)
{
	job[2].cancel = true;
}

/* It had no place, and keeps none: the next one needs but one to leave. */
static void test_canceled_while_queued(void **state)
{
	for (unsigned i = 0; i < 4; i++)
		between(i, "a", "b");
	assert_int_equal(enter(0) | enter(1), 0);
	meanwhile = cancel_third;
	assert_int_equal(enter(2), -ECANCELED);
	leave(2);
	meanwhile = first_leaves;
	waits = 0;
	assert_int_equal(enter(3), 0);
	assert_int_equal(waits, 1);
	leave(1);
	leave(3);
}

static void test_canceled_before(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		between(i, "a", "b");
	assert_int_equal(enter(0) | enter(1), 0);
	job[2].cancel = true;
	assert_int_equal(enter(2), -ECANCELED);
	assert_int_equal(waits, 0);
	leave_all(3);
}

/* On its own datastore, as where a disk changes its kind, a move takes one place. */
static void test_twice_the_same_is_one_place(void **state)
{
	for (unsigned i = 0; i < 2; i++)
		between(i, "a", "a");
	assert_int_equal(enter(0) | enter(1), 0);
	assert_int_equal(waits, 0);
	leave_all(2);
}

static void test_one_that_never_entered_leaves(void **state)
{
	between(0, "a", "b");
	smove_queue_leave(&move[0]);
	assert_int_equal(enter(0), 0);
	leave(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_two_at_a_time, begin),
		cmocka_unit_test_setup(test_the_third_waits, begin),
		cmocka_unit_test_setup(test_who_came_first_goes_first, begin),
		cmocka_unit_test_setup(test_only_its_own_datastores_matter, begin),
		cmocka_unit_test_setup(test_waits_for_two, begin),
		cmocka_unit_test_setup(test_canceled_while_queued, begin),
		cmocka_unit_test_setup(test_canceled_before, begin),
		cmocka_unit_test_setup(test_twice_the_same_is_one_place, begin),
		cmocka_unit_test_setup(test_one_that_never_entered_leaves, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
