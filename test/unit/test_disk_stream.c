/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks over the network: what the sender's side wrote is what the disks hold after a flush, in
 * whatever order and parts they end their requests, at a snapshot too, and with an older host.
 * Disks with something on them are in test_disk_stream_bare.c, what fails in
 * test_disk_stream_fail.c, the stream's end in test_disk_stream_end.c.
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

/* Hosts of which one is older. */
static int start_3(void **state)
{
	return late_start_version(3);
}

static int start_4(void **state)
{
	return late_start_version(4);
}

static void test_same_after_flush(void **state)
{
	struct blk_sender_stats st;

	memset(guest_has, 0, sizeof(guest_has));
	for (unsigned round = 0; round < 4; round++) {
		guest_changes(150);
		assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
		for (unsigned i = 0; i < DISKS; i++) {
			assert_memory_equal(late[i].bytes, guest_has[i], DISK_BYTES);
			assert_int_equal(late[i].writes_since_flush, 0);
			assert_int_equal(late[i].flushes, round + 1);
		}
	}
	assert_true(blk_receiver_close(net.receiver));
	blk_sender_stats(net.sender, &st);
	assert_int_equal(st.acked, st.writes + st.zeroes + st.discards + 4);
	assert_int_equal(st.writes + st.zeroes + st.discards, 600);
	assert_true(st.buffered_most <= 2 * CREDIT);
	assert_true(blk_receiver_bytes(net.receiver) == st.bytes);
	/* The VM has been said to be complete: what still comes is nobody's. */
	assert_int_equal(guest_change(0, BLK_WRITE, 0, 8), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + NSEC_PER_SEC / 10), -ETIMEDOUT);
	assert_memory_equal(late[0].bytes, guest_has[0], DISK_BYTES);
	assert_int_equal(net.ended, -EBADMSG);
}

/* What waits is held short: the changes wait, and all of them arrive. */
static void test_hold(void **state)
{
	struct blk_sender_stats st;

	blk_sender_hold(net.sender, CREDIT / 16);
	memset(guest_has, 0, sizeof(guest_has));
	guest_changes(150);
	blk_sender_stats(net.sender, &st);
	assert_true(st.waits && st.buffered <= MAX(CREDIT / 16, sizeof(memory)));
	assert_true(st.buffered_most <= sizeof(memory));
	blk_sender_hold(net.sender, UINT64_MAX);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	blk_sender_stats(net.sender, &st);
	assert_true(st.acked_bytes >= st.bytes && !st.buffered);
	for (unsigned i = 0; i < DISKS; i++)
		assert_memory_equal(late[i].bytes, guest_has[i], DISK_BYTES);
}

/* Disks that end each request within the submission: nothing goes deeper with each part. */
static void test_at_once(void **state)
{
	for (unsigned i = 0; i < DISKS; i++)
		late[i].at_once = true;
	late[0].dev.geo.max_zeroes_blocks = 1;
	memset(guest_has, 0, sizeof(guest_has));
	guest_changes(50);
	assert_int_equal(guest_change(0, BLK_WRITE_ZEROES, 0, DISK_BYTES / 512), 0);
	guest_note(0, BLK_WRITE_ZEROES, 0, DISK_BYTES / 512);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	for (unsigned i = 0; i < DISKS; i++)
		assert_memory_equal(late[i].bytes, guest_has[i], DISK_BYTES);
}

/* A file that ends within the last block that is sent: what fills that up goes nowhere. */
static void test_filled(void **state)
{
	static const uint8_t zeros[5 * 512];

	late[0].dev.geo.blocks -= 5;
	net.disk[0].file = "/ds/ds2/g/vmlinuz";
	memset(guest_has, 0, sizeof(guest_has));
	assert_int_equal(guest_change(0, BLK_WRITE, DISK_BYTES / 512 - 16, 16), 0);
	guest_note(0, BLK_WRITE, DISK_BYTES / 512 - 16, 11);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_memory_equal(late[0].bytes, guest_has[0], DISK_BYTES - sizeof(zeros));
	assert_memory_equal(late[0].bytes + DISK_BYTES - sizeof(zeros), zeros, sizeof(zeros));
	assert_int_equal(guest_change(0, BLK_WRITE, DISK_BYTES / 512 - 5, 5),
			 0); /* all of it behind */
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + NSEC_PER_SEC / 10), -ETIMEDOUT);
	assert_int_equal(net.ended, -EBADMSG);
}

/*
 * Checks between changes: each is of the contents at its place in the order, for it comes out right
 * though what follows changes the same blocks.
 */
static void test_checks(void **state)
{
	struct blk_sender_stats st;

	memset(guest_has, 0, sizeof(guest_has));
	for (unsigned i = 0; i < 300; i++) {
		unsigned disk = (unsigned)rand() % DISKS;
		uint64_t blocks = 1 + (uint64_t)rand() % (rand() % 20 ? 256 : 2048);
		uint64_t block = (uint64_t)rand() % (DISK_BYTES / 512 - blocks + 1);

		guest_changes(1);
		assert_int_equal(blk_sender_check(net.sender, disk, block * 512, blocks * 512,
						  guest_sum(disk, block, blocks)),
				 0);
	}
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	blk_sender_stats(net.sender, &st);
	assert_int_equal(st.checks, 300);
	assert_true(blk_receiver_close(net.receiver));
}

/* A snapshot has all that came before, and nothing of what came after. */
static void test_snapshots(void **state)
{
	static uint8_t then[DISK_BYTES];

	memset(guest_has, 0, sizeof(guest_has));
	late_can_freeze(1);
	for (unsigned i = 0; i < 20; i++) {
		guest_changes(20);
		memcpy(then, guest_has[1], DISK_BYTES);
		assert_int_equal(blk_sender_snapshot(net.sender, 1), 0);
		guest_changes(20);
		assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
		assert_memory_equal(frozen[1], then, DISK_BYTES);
	}
	assert_true(blk_receiver_close(net.receiver));
}

/* Space may be given back there too; an older host is not told, and the zeroes are the same. */
static void zeroes_that_unmap(unsigned unmaps)
{
	struct blk_req r = { .op = BLK_WRITE_ZEROES, .block = 8, .blocks = 8, .unmap = true };

	assert_int_equal(blk_wait(blk_sender_disk(net.sender, 0), &r), 0);
	r.unmap = false;
	assert_int_equal(blk_wait(blk_sender_disk(net.sender, 0), &r), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_int_equal(late[0].unmaps, unmaps);
}

static void test_unmap(void **state)
{
	zeroes_that_unmap(1);
}

static void test_older_peer(void **state)
{
	struct wire_blocks none = { .op = BLOCKS_CHECK, .bytes = 512, .seq = 1 }, out;

	memset(guest_has, 0, sizeof(guest_has));
	guest_changes(50);
	zeroes_that_unmap(0);
	assert_int_equal(blk_sender_check(net.sender, 0, 0, 512, 0), -ENOTSUP);
	assert_int_equal(wire_blocks_read(&none, sizeof(none), 3, &out), -EBADMSG);
	assert_int_equal(wire_blocks_read(&none, wire_blocks_bytes(3), 3, &out), -EBADMSG);
	assert_int_equal(wire_blocks_read(&none, wire_blocks_bytes(3), WIRE_VERSION, &out),
			 -EBADMSG);
}

/* One that compares disks, and knows no snapshots. */
static void test_peer_without_snapshots(void **state)
{
	struct wire_blocks b = { .op = BLOCKS_SNAPSHOT, .seq = 1 }, out;

	assert_int_equal(blk_sender_snapshot(net.sender, 0), -ENOTSUP);
	assert_int_equal(wire_blocks_read(&b, sizeof(b), 4, &out), -EBADMSG);
	assert_int_equal(wire_blocks_read(&b, sizeof(b), WIRE_VERSION, &out), 0);
	b.op = BLOCKS_CHECK;
	assert_int_equal(wire_blocks_read(&b, sizeof(b), 4, &out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_after_flush, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_hold, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_at_once, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_filled, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_checks, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_unmap, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_older_peer, start_3, late_stop),
		cmocka_unit_test_setup_teardown(test_snapshots, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_peer_without_snapshots, start_4, late_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
