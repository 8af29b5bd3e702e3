/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flush of disks over the network whose end nobody knows: it lasts as long as it takes, unless
 * who asked for it does not want it any more; then the stream goes on without him.
 */
// SOURCES: mig/blk_send.c mig/blk_send_net.c mig/blk_send_wait.c mig/blk_recv.c
// SOURCES: mig/blk_recv_req.c
// SOURCES: mig/page_ring.c mig/spans.c mig/peer.c mig/wire.c kernel/lib/crc32c.c
// SOURCES: drivers/blkdev.c tools/terndisk/host.c test/unit/fake_pipe.c
// SOURCES: test/unit/late_disks.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "test/unit/late_disks.h"

#define WRITES 10u

static unsigned asked;	/* so often */
static unsigned let_go; /* the disks there go on when it was asked so often; 0: never */

static int patient(void *user)
{
	assert_ptr_equal(user, &net);
	if (++asked == let_go)
		late_answer();
	return 0;
}

static int impatient(void *user)
{
	return patient(user) || asked == 3 ? -ECANCELED : 0;
}

static void silent(unsigned until)
{
	late_silent();
	asked = 0;
	let_go = until;
	memset(guest_has, 0, sizeof(guest_has));
	for (unsigned i = 0; i < WRITES; i++)
		assert_int_equal(guest_change(0, BLK_WRITE, i * 8, 8), 0);
}

/* Disks that take their time: it is waited for. */
static void takes_long(void **state)
{
	silent(5);
	assert_int_equal(blk_sender_flush_asked(net.sender, patient, &net), 0);
	assert_true(asked >= let_go);
	assert_int_equal(late[0].writes_since_flush, 0);
}

/* Disks that do not move. What was begun goes on all the same. */
static void is_given_up(void **state)
{
	struct blk_sender_stats st;

	silent(0);
	assert_int_equal(blk_sender_flush_asked(net.sender, impatient, &net), -ECANCELED);
	assert_int_equal(asked, 3);
	assert_int_equal(late[0].flushes, 0);
	late_answer();
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	blk_sender_stats(net.sender, &st);
	assert_int_equal(st.acked, WRITES + 2);
}

/* All slots are taken: there is none for the flush. */
static void has_no_slot(void **state)
{
	uint64_t begun = 0, seq;

	silent(0);
	while ((seq = blk_sender_flush_begin(net.sender)))
		begun = seq;
	assert_in_range(begun, 100, 1000);
	assert_int_equal(blk_sender_flush_asked(net.sender, impatient, &net), -ECANCELED);
	assert_int_equal(asked, 3);
	late_answer();
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_int_equal(blk_sender_flush_begin(net.sender), begun + 2);
}

/* A disk that has not changed since is not asked to flush again. */
static void nothing_has_changed(void **state)
{
	assert_int_equal(guest_change(0, BLK_WRITE, 0, 8), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_true(late[0].flushes == 1 && late[1].flushes == 1);
	assert_int_equal(guest_change(1, BLK_DISCARD, 8, 8), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_true(late[0].flushes == 1 && late[1].flushes == 2);
	assert_int_equal(guest_change(0, BLK_WRITE_ZEROES, 8, 8), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_true(late[0].flushes == 2 && late[1].flushes == 2);
	assert_true(blk_receiver_close(net.receiver));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_long, late_start, late_stop),
		cmocka_unit_test_setup_teardown(is_given_up, late_start, late_stop),
		cmocka_unit_test_setup_teardown(has_no_slot, late_start, late_stop),
		cmocka_unit_test_setup_teardown(nothing_has_changed, late_start, late_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
