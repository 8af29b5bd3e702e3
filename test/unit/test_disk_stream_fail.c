/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks over the network that fail there, or lose what they were given: that ends the sender, with
 * the reason and the disk's number there; whoever waits is told; a hostile sender harms nothing.
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

#include "test/unit/fake_pipe.h"
#include "test/unit/late_disks.h"

/* A disk there that has lost a byte of what it was given. */
static void test_check_differs(void **state)
{
	struct wire_text words;
	int err = 0;

	memset(guest_has, 0, sizeof(guest_has));
	guest_changes(20);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	late[1].bytes[2000 * 512 + 7] ^= 1;
	for (uint64_t block = 0; block < DISK_BYTES / 512 && !err; block += 256)
		err = blk_sender_check(net.sender, 1, block * 512, 256 * 512,
				       guest_sum(1, block, 256));
	assert_true(!err || err == -ECONNABORTED); /* it may be known before the last */
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_int_equal(blk_sender_error(net.sender, &words), -ECONNABORTED);
	assert_string_equal(words.code, "differs");
	assert_string_equal(words.text,
			    "disk 6 there is not what was written to it, near byte 917504");
	assert_false(blk_receiver_close(net.receiver));
}

/* It ends the move, with the reason; what follows reaches no disk. */
static void test_snapshot_fails(void **state)
{
	struct wire_text words;

	memset(guest_has, 0, sizeof(guest_has));
	late_can_freeze(0);
	late[0].fail_with = -EEXIST;
	assert_int_equal(blk_sender_snapshot(net.sender, 0), 0);
	(void)!guest_change(1, BLK_WRITE, 8, 8);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_int_equal(blk_sender_error(net.sender, &words), -ECONNABORTED);
	assert_string_equal(words.code, "exists");
	assert_string_equal(words.text, "disk 5 there: the name of one of its snapshots is taken");
	assert_memory_equal(late[1].bytes, guest_has[1], DISK_BYTES);
	assert_false(blk_receiver_close(net.receiver));
}

static void test_no_reads(void **state)
{
	struct blk_seg seg = { ptr_hpa(memory), 512 };
	struct blk_req r = { .op = BLK_READ, .blocks = 1, .segs = &seg, .nr_segs = 1 };

	assert_int_equal(blk_wait(blk_sender_disk(net.sender, 0), &r), -ENOTSUP);
	assert_int_equal(guest_change(1, BLK_WRITE, DISK_BYTES / 512, 1), -EINVAL);
}

static void wait_for_error(struct wire_text *words, int expected)
{
	uint64_t deadline = time_ns() + SOON_NS;

	while (!blk_sender_error(net.sender, words) && time_ns() < deadline)
		world_sleep_ns(1000000);
	assert_int_equal(blk_sender_error(net.sender, words), expected);
}

/* The write itself succeeds: the guest goes on on its own disk. What comes later fails. */
static void test_target_fails(void **state)
{
	struct wire_text words;

	late[1].fail_with = -ENOSPC;
	assert_int_equal(guest_change(1, BLK_WRITE, 8, 8), 0);
	wait_for_error(&words, -ECONNABORTED);
	assert_string_equal(words.code, "no-space");
	assert_non_null(strstr(words.text, "disk 6")); /* its number there */
	assert_int_equal(guest_change(0, BLK_WRITE, 8, 8), -EIO);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_false(blk_receiver_close(net.receiver));
}

/* A file of the VM's home is no disk of its. */
static void test_target_fails_a_file(void **state)
{
	struct wire_text words;

	net.disk[1].file = "/ds/ds2/g/vmlinuz";
	late[1].fail_with = -EIO;
	assert_int_equal(guest_change(1, BLK_WRITE, 8, 8), 0);
	wait_for_error(&words, -ECONNABORTED);
	assert_string_equal(words.text,
			    "/ds/ds2/g/vmlinuz there: it failed a request, see 'log' there");
}

static void count_done(struct blk_req *r)
{
	__atomic_add_fetch((unsigned *)r->user, 1, __ATOMIC_RELEASE);
}

/* Whoever waits for room is told when the link is gone, and so is who flushes. */
static void test_cut(void **state)
{
	struct blk_seg seg = { ptr_hpa(memory), 1u << 20 };
	static struct blk_req r[16];
	struct blk_sender_stats st;
	struct wire_text words;
	unsigned done = 0;

	late_silent();
	for (unsigned i = 0; i < 16; i++) {
		r[i] = (struct blk_req){ .op = BLK_WRITE,
					 .blocks = 2048,
					 .segs = &seg,
					 .nr_segs = 1,
					 .done = count_done,
					 .user = &done };
		blk_submit(blk_sender_disk(net.sender, 0), &r[i]);
	}
	assert_int_equal(__atomic_load_n(&done, __ATOMIC_RELAXED), 2 * CREDIT >> 20);
	do {
		assert_int_equal(blk_sender_flush(net.sender, time_ns() + 20 * NSEC_PER_MSEC),
				 -ETIMEDOUT);
		blk_sender_stats(net.sender, &st);
	} while (st.under_way_most < CREDIT);
	assert_true(st.under_way_most == CREDIT && st.waits == 16 - (2 * CREDIT >> 20));
	fake_pipe_cut(net.near);
	wait_for_error(&words, -ECONNRESET);
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < 16)
		world_sleep_ns(1000000);
	assert_int_equal(r[15].status, -EIO);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNRESET);
	late_answer();
}

/* What no honest sender says: the receiver refuses it before a disk hears of it. */
static void test_hostile(void **state)
{
	static const struct wire_blocks bad[] = {
		{ .seq = 2, .op = BLOCKS_ZEROES, .bytes = 512 },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = 512, .disk = DISKS },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = 512, .offset = DISK_BYTES },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = DISK_BYTES + 512 },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = 512, .offset = UINT64_MAX - 511 },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = 100 },
		{ .seq = 1, .op = BLOCKS_ZEROES },
		{ .seq = 1, .op = BLOCKS_WRITE, .bytes = 512 },
		{ .seq = 1, .op = BLOCKS_FLUSH, .bytes = 512 },
		{ .seq = 1, .op = BLOCKS_CHECK, .bytes = WIRE_BLOCKS_MAX + 512 },
		{ .seq = 1, .op = BLOCKS_CHECK, .bytes = 512, .flags = BLOCKS_UNMAP },
		{ .seq = 1, .op = BLOCKS_CHECK },
		{ .seq = 1, .op = BLOCKS_CHECK, .bytes = 512, .offset = DISK_BYTES },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = 512, .sum = 1 },
		{ .seq = 1, .op = BLOCKS_ZEROES, .bytes = 512, .flags = 2 },
		{ .seq = 1, .op = BLOCKS_DISCARD, .bytes = 512, .flags = BLOCKS_UNMAP },
		{ .seq = 1, .op = BLOCKS_FLUSH, .sum = 1 },
		{ .seq = 1, .op = BLOCKS_SNAPSHOT }, /* of a disk that has none */
		{ .seq = 1, .op = BLOCKS_SNAPSHOT, .disk = DISKS },
		{ .seq = 1, .op = BLOCKS_SNAPSHOT, .bytes = 512 },
		{ .seq = 1, .op = BLOCKS_SNAPSHOT, .offset = 512 },
		{ .seq = 1, .op = 7, .bytes = 512 },
		{ .seq = 1, .op = 0, .bytes = 512 },
	};
	struct blk_receiver *r;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(blk_receiver_new(&net.to, net.disk, DISKS, CREDIT, &r), 0);
		assert_int_equal(blk_receiver_take(r, &bad[i]), -EBADMSG);
		blk_receiver_free(r);
	}
	assert_int_equal(late[0].nr_pending, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check_differs, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_snapshot_fails, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_no_reads, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_target_fails, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_target_fails_a_file, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_cut, late_start, late_stop),
		cmocka_unit_test_setup_teardown(test_hostile, late_start, late_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
