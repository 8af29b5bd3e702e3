/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commit's two state machines, driven through every order of events: never
 * both running, and every step that must be refused is.
 * // SOURCES: mig/commit.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mig/commit.h"

static void good_way(void **state)
{
	enum source_state s = SRC_RUNS;
	enum dest_state d = DST_EMPTY;

	assert_int_equal(src_stun(&s), COMMIT_NOTHING);
	assert_int_equal(dst_loaded(&d), COMMIT_NOTHING);
	assert_int_equal(src_ready(&s), COMMIT_SEND_GO);
	assert_int_equal(dst_go(&d), COMMIT_RUN);
	assert_int_equal(dst_go(&d), COMMIT_NOTHING); /* repeated by settling: harmless */
	assert_int_equal(src_running(&s), COMMIT_FREE);
}

static void no_way_back_after_go(void **state)
{
	enum source_state s = SRC_GO_SENT;

	assert_int_equal(src_abort(&s), COMMIT_REFUSE);
	assert_int_equal(src_lost(&s), COMMIT_ASK);
	assert_int_equal(src_unknown(&s), COMMIT_ASK);
	assert_int_equal(s, SRC_GO_SENT);
	assert_int_equal(src_discarded(&s), COMMIT_RUN);
	s = SRC_RELEASED;
	assert_int_equal(src_abort(&s), COMMIT_REFUSE);
	assert_int_equal(src_resolve(&s, true), COMMIT_REFUSE);
}

/* With leases: what was given is asked for, before GO as after it. */
static void the_lease_decides(void **state)
{
	enum source_state s = SRC_RUNS;

	assert_int_equal(src_give(&s), COMMIT_REFUSE);
	assert_int_equal(src_taken_back(&s), COMMIT_REFUSE);
	src_stun(&s);
	assert_int_equal(src_taken_back(&s), COMMIT_REFUSE); /* nothing was given */
	assert_int_equal(src_give(&s), COMMIT_NOTHING);
	assert_int_equal(src_abort(&s), COMMIT_REFUSE);
	assert_int_equal(src_taken_back(&s), COMMIT_RUN);
	assert_int_equal(src_taken_back(&s), COMMIT_REFUSE);

	s = SRC_GIVEN;
	assert_int_equal(src_lost(&s), COMMIT_ASK); /* the datastore does not say: as after GO */
	assert_int_equal(s, SRC_GO_SENT);
	assert_int_equal(src_moved_on(&s), COMMIT_FREE);
	assert_int_equal(src_taken_back(&s), COMMIT_REFUSE);

	s = SRC_GIVEN;
	assert_int_equal(src_ready(&s), COMMIT_SEND_GO);
	assert_int_equal(src_taken_back(&s), COMMIT_RUN);
	s = SRC_GIVEN;
	assert_int_equal(src_moved_on(&s), COMMIT_FREE);
	assert_int_equal(src_resolve(&s, true), COMMIT_REFUSE);
}

static void nothing_runs_without_go(void **state)
{
	enum dest_state d = DST_EMPTY;

	assert_int_equal(dst_go(&d), COMMIT_REFUSE); /* not loaded */
	assert_int_equal(dst_lost(&d), COMMIT_FREE);
	assert_int_equal(dst_loaded(&d), COMMIT_REFUSE); /* given up for good */
	d = DST_HELD;
	assert_int_equal(dst_lost(&d), COMMIT_ASK); /* held, not run */
	assert_int_equal(d, DST_HELD);
	assert_int_equal(dst_aborted(&d), COMMIT_FREE);
	assert_int_equal(dst_go(&d), COMMIT_REFUSE); /* a late GO finds nothing */
	d = DST_OWNS;
	assert_int_equal(dst_aborted(&d), COMMIT_REFUSE);
	assert_int_equal(dst_resolve(&d, false), COMMIT_REFUSE);
}

/* The source settles while its stream's last records are still being loaded. */
static void settled_while_loading(void **state)
{
	enum dest_state d = DST_EMPTY;

	assert_int_equal(dst_aborted(&d), COMMIT_FREE);
	assert_int_equal(dst_loaded(&d), COMMIT_REFUSE);
	assert_int_equal(dst_go(&d), COMMIT_REFUSE);
	assert_int_equal(dst_lost(&d), COMMIT_FREE);
	assert_int_equal(dst_resolve(&d, true), COMMIT_REFUSE);
}

static void operator_decides_once(void **state)
{
	enum source_state s = SRC_GO_SENT;
	enum dest_state d = DST_HELD;

	assert_int_equal(src_resolve(&s, true), COMMIT_RUN);
	assert_int_equal(src_resolve(&s, true), COMMIT_REFUSE);
	assert_int_equal(dst_resolve(&d, true), COMMIT_RUN);
	assert_int_equal(dst_resolve(&d, true), COMMIT_REFUSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_way),
		cmocka_unit_test(no_way_back_after_go),
		cmocka_unit_test(the_lease_decides),
		cmocka_unit_test(nothing_runs_without_go),
		cmocka_unit_test(settled_while_loading),
		cmocka_unit_test(operator_decides_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
