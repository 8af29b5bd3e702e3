/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks over the network to where others have left something: a sender that does not write all of a
 * disk gets nothing of that, in no way.
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

#include "kernel/lib/crc32c.h"
#include "mig/spans.h"
#include "test/unit/late_disks.h"

/* As a copy does it: from the beginning, in pieces. */
static void write_all(unsigned disk, uint64_t at, uint64_t to)
{
	for (uint64_t n; at < to; at += n) {
		enum blk_op op = rand() % 2 ? BLK_WRITE : BLK_WRITE_ZEROES;

		n = 1 + (uint64_t)rand() % 256;
		n = MIN(to - at, n);
		assert_int_equal(guest_change(disk, op, at, n), 0);
		guest_note(disk, op, at, n);
	}
}

static void write_all_but(unsigned disk, uint64_t from, uint64_t to)
{
	write_all(disk, 0, from);
	write_all(disk, to, DISK_BYTES / 512);
}

static void test_bare(void **state)
{
	for (unsigned i = 0; i < DISKS; i++)
		write_all(i, 0, DISK_BYTES / 512);
	guest_changes(50);
	assert_int_equal(blk_sender_check(net.sender, 1, 512, 512 * 9, guest_sum(1, 1, 9)), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_true(blk_receiver_close(net.receiver));
	for (unsigned i = 0; i < DISKS; i++)
		assert_memory_equal(late[i].bytes, guest_has[i], DISK_BYTES);
}

/* What it does not write it does not get: not even by a sector, or by what it discards. */
static void test_bare_not_all(void **state)
{
	write_all(0, 0, DISK_BYTES / 512);
	write_all_but(1, 3000, 3001);
	assert_int_equal(guest_change(1, BLK_DISCARD, 3000, 1), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_false(blk_receiver_close(net.receiver));
	assert_int_equal(guest_change(1, BLK_WRITE, 3000, 1), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_true(blk_receiver_close(net.receiver));
}

static void refused(const char *text)
{
	struct wire_text words;

	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_int_equal(blk_sender_error(net.sender, &words), -ECONNABORTED);
	assert_string_equal(words.code, "bad-stream");
	assert_string_equal(words.text, text);
	assert_false(blk_receiver_close(net.receiver));
}

/* Nor does it hear of it by guesses. */
static void test_bare_guess(void **state)
{
	uint8_t is[512];

	memset(is, 0xa5, sizeof(is));
	write_all_but(0, 3000, 3002);
	assert_int_equal(blk_sender_check(net.sender, 0, 3001 * 512, 512, crc32c(0, is, 512)), 0);
	refused("disk 5 there: not all of it was sent, or in no order");
}

static unsigned snapshots;

static int count_snapshot(void *user)
{
	snapshots++;
	return 0;
}

/* Nor under a snapshot, which is complete; what stands on one has all that it shows. */
static void test_bare_snapshot(void **state)
{
	snapshots = 0;
	for (unsigned i = 0; i < DISKS; i++)
		net.disk[i].snapshot = count_snapshot;
	write_all(1, 0, DISK_BYTES / 512);
	assert_int_equal(blk_sender_snapshot(net.sender, 1), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_int_equal(snapshots, 1);
	write_all_but(0, 10, 11);
	assert_int_equal(blk_sender_snapshot(net.sender, 0), 0);
	refused("disk 5 there: not all of it was sent, or in no order");
	assert_int_equal(snapshots, 1);
}

/* Nor by more holes than are remembered. */
static void test_bare_in_no_order(void **state)
{
	for (uint64_t i = 0; i <= SPANS_MAX; i++)
		(void)!guest_change(0, BLK_WRITE_ZEROES, 4 * i, 1);
	refused("disk 5 there: not all of it was sent, or in no order");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bare, late_start_bare, late_stop),
		cmocka_unit_test_setup_teardown(test_bare_not_all, late_start_bare, late_stop),
		cmocka_unit_test_setup_teardown(test_bare_guess, late_start_bare, late_stop),
		cmocka_unit_test_setup_teardown(test_bare_snapshot, late_start_bare, late_stop),
		cmocka_unit_test_setup_teardown(test_bare_in_no_order, late_start_bare, late_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
