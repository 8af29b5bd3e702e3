/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks over the network: two threads' worth of Tern, a sender and a receiver with a
 * connection between them, and disks in memory that end requests late, in any order and in
 * small parts. What the sender's side wrote is what the disks hold after a flush; what fails
 * there ends the sender with the reason; a hostile sender harms nothing.
 */
// SOURCES: mig/blk_send.c mig/blk_send_net.c mig/blk_recv.c mig/blk_recv_req.c
// SOURCES: mig/page_ring.c mig/spans.c mig/peer.c mig/wire.c kernel/lib/crc32c.c
// SOURCES: drivers/blkdev.c tools/terndisk/host.c test/unit/fake_pipe.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/timer.h>

#include "kernel/lib/crc32c.h"

#include "mig/blk_recv.h"
#include "mig/blk_send.h"
#include "mig/spans.h"
#include "test/unit/fake_pipe.h"

#define DISKS 2u
#define DISK_BYTES (4u << 20)
#define CREDIT (2u << 20)
#define SOON_NS (60 * NSEC_PER_SEC)

/* ---- the disks there ---- */

struct late {
	struct blkdev dev;
	uint8_t *bytes;
	struct blk_req *pending[64];
	unsigned nr_pending, flushes;
	uint64_t writes_since_flush;
	unsigned unmaps; /* requests */
	int fail_with;
	bool at_once;
};
static struct late late[DISKS];
static struct world *mover; /* ends the requests */
static bool moving;
static struct spinlock late_lock;

static void carry_out(struct late *l, struct blk_req *r)
{
	uint8_t *to = l->bytes + r->block * 512;

	for (uint32_t i = 0; r->op == BLK_WRITE && i < r->nr_segs; i++) {
		memcpy(to, hpa_ptr(r->segs[i].addr), r->segs[i].len);
		to += r->segs[i].len;
	}
	if (r->op == BLK_WRITE_ZEROES)
		memset(to, 0, r->blocks * 512);
	if (r->op == BLK_DISCARD)
		memset(to, 0xdd, r->blocks * 512);
	for (uint32_t i = 0; r->op == BLK_READ && i < r->nr_segs; i++) {
		memcpy(hpa_ptr(r->segs[i].addr), to, r->segs[i].len);
		to += r->segs[i].len;
	}
	l->flushes += r->op == BLK_FLUSH;
	l->unmaps += r->op == BLK_WRITE_ZEROES && r->unmap;
	if (r->op != BLK_READ)
		l->writes_since_flush = r->op == BLK_FLUSH ? 0 : l->writes_since_flush + 1;
}

static void late_submit(struct blkdev *d, struct blk_req *r)
{
	struct late *l = container_of(d, struct late, dev);
	unsigned long f;

	if (l->at_once) {
		carry_out(l, r);
		blk_complete(r, l->fail_with);
		return;
	}
	f = spin_lock(&late_lock);
	assert_true(l->nr_pending < 64);
	l->pending[l->nr_pending++] = r;
	spin_unlock(&late_lock, f);
}

static struct blk_req *any_pending(struct late *l)
{
	unsigned long f = spin_lock(&late_lock);
	unsigned i = l->nr_pending ? (unsigned)rand() % l->nr_pending : 0;
	struct blk_req *r = l->nr_pending ? l->pending[i] : NULL;

	if (r)
		l->pending[i] = l->pending[--l->nr_pending];
	spin_unlock(&late_lock, f);
	return r;
}

static void mover_world(void *arg)
{
	while (__atomic_load_n(&moving, __ATOMIC_ACQUIRE)) {
		struct late *l = &late[rand() % DISKS];
		struct blk_req *r = any_pending(l);

		if (!r) {
			world_sleep_ns(1000);
			continue;
		}
		if (!l->fail_with)
			carry_out(l, r);
		blk_complete(r, l->fail_with);
	}
}

static const struct blk_ops late_ops = { .submit = late_submit };

/* ---- both sides ---- */

static struct {
	struct stream *near, *far;
	struct peer from, to;
	struct blk_sender *sender;
	struct blk_receiver *receiver;
	struct world *reader;
	uint16_t version;
	int ended; /* how the reader ended */
	struct blk_recv_disk disk[DISKS];
} net;

static void reader_world(void *arg)
{
	struct wire_blocks body, blocks;
	struct wire_head h;
	void *b;
	int err;

	do {
		err = peer_recv(&net.to, &h, &body, sizeof(body), &b, time_ns() + SOON_NS);
		if (!err && h.type == WIRE_ALIVE) {
			blk_receiver_alive(net.receiver);
			continue;
		}
		if (!err)
			err = wire_blocks_read(b, h.length, net.version, &blocks);
		if (!err)
			err = blk_receiver_take(net.receiver, &blocks);
	} while (!err);
	net.ended = err;
}

static bool bare;

static int start_version(uint16_t version)
{
	struct blk_send_geometry g[DISKS];
	struct world_opts o = { .name = "test" };

	srand(1);
	net.version = version;
	spin_init(&late_lock, LOCK_DRIVER, "late");
	memset(late, 0, sizeof(late));
	for (unsigned i = 0; i < DISKS; i++) {
		late[i].bytes = calloc(1, DISK_BYTES);
		late[i].dev.ops = &late_ops;
		late[i].dev.geo = (struct blk_geometry){ .blocks = DISK_BYTES / 512,
							 .block_bytes = 512,
							 .max_segs = 3 + i,
							 .max_bytes = 64u << 10,
							 .max_discard_blocks = 100,
							 .max_zeroes_blocks = 77,
							 .volatile_cache = true };
		blk_setup(&late[i].dev);
		net.disk[i] = (struct blk_recv_disk){ .dev = &late[i].dev,
						      .number = i + 5,
						      .bare = bare };
		g[i] = (struct blk_send_geometry){ DISK_BYTES, 512 };
	}
	fake_pipe(&net.near, &net.far);
	peer_init(&net.from, net.near, false);
	peer_init(&net.to, net.far, true);
	assert_int_equal(blk_receiver_new(&net.to, net.disk, DISKS, CREDIT, &net.receiver), 0);
	assert_int_equal(blk_sender_new(&net.from, version, g, DISKS, CREDIT, &net.sender), 0);
	moving = true;
	assert_int_equal(world_create(&mover, &o, mover_world, NULL), 0);
	assert_int_equal(world_create(&net.reader, &o, reader_world, NULL), 0);
	return 0;
}

static int start(void **state)
{
	return start_version(WIRE_VERSION);
}

/* The disks have there what others have left. */
static int start_bare(void **state)
{
	bare = true;
	(void)start_version(WIRE_VERSION);
	bare = false;
	for (unsigned i = 0; i < DISKS; i++)
		memset(late[i].bytes, 0xa5, DISK_BYTES);
	return 0;
}

/* Hosts of which one is older. */
static int start_3(void **state)
{
	return start_version(3);
}

static int start_4(void **state)
{
	return start_version(4);
}

static int stop(void **state)
{
	blk_sender_free(net.sender);
	stream_abort(net.far);
	world_join(net.reader);
	blk_receiver_free(net.receiver);
	__atomic_store_n(&moving, false, __ATOMIC_RELEASE);
	world_join(mover);
	stream_close(net.near);
	stream_close(net.far);
	for (unsigned i = 0; i < DISKS; i++)
		free(late[i].bytes);
	assert_int_equal(fake_pipe_pages, 0);
	return 0;
}

/* ---- what the guest does ---- */

static uint8_t model[DISKS][DISK_BYTES];
static uint8_t memory[1u << 20];

static int change(unsigned disk, enum blk_op op, uint64_t block, uint64_t blocks)
{
	/* An odd cut, so that pages are filled in pieces. */
	struct blk_seg seg[2] = { { ptr_hpa(memory), (uint32_t)blocks * 512 - 100 },
				  { HPA(ptr_hpa(memory).v + blocks * 512 - 100), 100 } };
	struct blk_req r = { .op = op, .block = block, .blocks = blocks };

	if (op == BLK_WRITE) {
		for (size_t i = 0; i < blocks * 512; i++)
			memory[i] = (uint8_t)rand();
		r.segs = seg;
		r.nr_segs = 2;
	}
	return blk_wait(blk_sender_disk(net.sender, disk), &r);
}

static void note(unsigned disk, enum blk_op op, uint64_t block, uint64_t blocks)
{
	uint8_t *at = &model[disk][block * 512];

	if (op == BLK_WRITE)
		memcpy(at, memory, blocks * 512);
	else
		memset(at, op == BLK_DISCARD ? 0xdd : 0, blocks * 512);
}

static void random_changes(unsigned count)
{
	static const enum blk_op ops[] = { BLK_WRITE, BLK_WRITE, BLK_WRITE, BLK_WRITE_ZEROES,
					   BLK_DISCARD };

	for (unsigned i = 0; i < count; i++) {
		unsigned disk = (unsigned)rand() % DISKS;
		enum blk_op op = ops[(unsigned)rand() % 5];
		uint64_t blocks = 1 + (uint64_t)rand() % (rand() % 20 ? 40 : 2048);
		uint64_t block = (uint64_t)rand() % (DISK_BYTES / 512 - blocks + 1);

		assert_int_equal(change(disk, op, block, blocks), 0);
		note(disk, op, block, blocks);
	}
}

static void test_same_after_flush(void **state)
{
	struct blk_sender_stats st;

	memset(model, 0, sizeof(model));
	for (unsigned round = 0; round < 4; round++) {
		random_changes(150);
		assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
		for (unsigned i = 0; i < DISKS; i++) {
			assert_memory_equal(late[i].bytes, model[i], DISK_BYTES);
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
	assert_int_equal(change(0, BLK_WRITE, 0, 8), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + NSEC_PER_SEC / 10), -ETIMEDOUT);
	assert_memory_equal(late[0].bytes, model[0], DISK_BYTES);
	assert_int_equal(net.ended, -EBADMSG);
}

/* What waits is held short: the changes wait, and all of them arrive. */
static void test_hold(void **state)
{
	struct blk_sender_stats st;

	blk_sender_hold(net.sender, CREDIT / 16);
	memset(model, 0, sizeof(model));
	random_changes(150);
	blk_sender_stats(net.sender, &st);
	assert_true(st.waits && st.buffered <= MAX(CREDIT / 16, sizeof(memory)));
	assert_true(st.buffered_most <= sizeof(memory));
	blk_sender_hold(net.sender, UINT64_MAX);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	blk_sender_stats(net.sender, &st);
	assert_true(st.acked_bytes >= st.bytes && !st.buffered);
	for (unsigned i = 0; i < DISKS; i++)
		assert_memory_equal(late[i].bytes, model[i], DISK_BYTES);
}

/* Disks that end each request within the submission: nothing goes deeper with each part. */
static void test_at_once(void **state)
{
	for (unsigned i = 0; i < DISKS; i++)
		late[i].at_once = true;
	late[0].dev.geo.max_zeroes_blocks = 1;
	memset(model, 0, sizeof(model));
	random_changes(50);
	assert_int_equal(change(0, BLK_WRITE_ZEROES, 0, DISK_BYTES / 512), 0);
	note(0, BLK_WRITE_ZEROES, 0, DISK_BYTES / 512);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	for (unsigned i = 0; i < DISKS; i++)
		assert_memory_equal(late[i].bytes, model[i], DISK_BYTES);
}

/* A file that ends within the last block that is sent: what fills that up goes nowhere. */
static void test_filled(void **state)
{
	static const uint8_t zeros[5 * 512];

	late[0].dev.geo.blocks -= 5;
	net.disk[0].file = "/ds/ds2/g/vmlinuz";
	memset(model, 0, sizeof(model));
	assert_int_equal(change(0, BLK_WRITE, DISK_BYTES / 512 - 16, 16), 0);
	note(0, BLK_WRITE, DISK_BYTES / 512 - 16, 11);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_memory_equal(late[0].bytes, model[0], DISK_BYTES - sizeof(zeros));
	assert_memory_equal(late[0].bytes + DISK_BYTES - sizeof(zeros), zeros, sizeof(zeros));
	assert_int_equal(change(0, BLK_WRITE, DISK_BYTES / 512 - 5, 5), 0); /* all of it behind */
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + NSEC_PER_SEC / 10), -ETIMEDOUT);
	assert_int_equal(net.ended, -EBADMSG);
}

static uint32_t sum_of(unsigned disk, uint64_t block, uint64_t blocks)
{
	return crc32c(0, &model[disk][block * 512], blocks * 512);
}

/*
 * Checks between changes: each is of the contents at its place in the order, for it comes out right
 * though what follows changes the same blocks.
 */
static void test_checks(void **state)
{
	struct blk_sender_stats st;

	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < 300; i++) {
		unsigned disk = (unsigned)rand() % DISKS;
		uint64_t blocks = 1 + (uint64_t)rand() % (rand() % 20 ? 256 : 2048);
		uint64_t block = (uint64_t)rand() % (DISK_BYTES / 512 - blocks + 1);

		random_changes(1);
		assert_int_equal(blk_sender_check(net.sender, disk, block * 512, blocks * 512,
						  sum_of(disk, block, blocks)),
				 0);
	}
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	blk_sender_stats(net.sender, &st);
	assert_int_equal(st.checks, 300);
	assert_true(blk_receiver_close(net.receiver));
}

/* A disk there that has lost a byte of what it was given. */
static void test_check_differs(void **state)
{
	struct wire_text words;
	int err = 0;

	memset(model, 0, sizeof(model));
	random_changes(20);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	late[1].bytes[2000 * 512 + 7] ^= 1;
	for (uint64_t block = 0; block < DISK_BYTES / 512 && !err; block += 256)
		err = blk_sender_check(net.sender, 1, block * 512, 256 * 512,
				       sum_of(1, block, 256));
	assert_true(!err || err == -ECONNABORTED); /* it may be known before the last */
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_int_equal(blk_sender_error(net.sender, &words), -ECONNABORTED);
	assert_string_equal(words.code, "differs");
	assert_string_equal(words.text,
			    "disk 6 there is not what was written to it, near byte 917504");
	assert_false(blk_receiver_close(net.receiver));
}

static uint8_t frozen[DISKS][DISK_BYTES];

static int freeze(void *user)
{
	unsigned disk = (unsigned)(uintptr_t)user;

	memcpy(frozen[disk], late[disk].bytes, DISK_BYTES);
	return late[disk].fail_with;
}

static void can_freeze(unsigned disk)
{
	net.disk[disk].snapshot = freeze;
	net.disk[disk].user = (void *)(uintptr_t)disk;
}

/* A snapshot has all that came before, and nothing of what came after. */
static void test_snapshots(void **state)
{
	static uint8_t then[DISK_BYTES];

	memset(model, 0, sizeof(model));
	can_freeze(1);
	for (unsigned i = 0; i < 20; i++) {
		random_changes(20);
		memcpy(then, model[1], DISK_BYTES);
		assert_int_equal(blk_sender_snapshot(net.sender, 1), 0);
		random_changes(20);
		assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
		assert_memory_equal(frozen[1], then, DISK_BYTES);
	}
	assert_true(blk_receiver_close(net.receiver));
}

/* As a copy does it: from the beginning, in pieces. */
static void write_all(unsigned disk, uint64_t at, uint64_t to)
{
	for (uint64_t n; at < to; at += n) {
		enum blk_op op = rand() % 2 ? BLK_WRITE : BLK_WRITE_ZEROES;

		n = 1 + (uint64_t)rand() % 256;
		n = MIN(to - at, n);
		assert_int_equal(change(disk, op, at, n), 0);
		note(disk, op, at, n);
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
	random_changes(50);
	assert_int_equal(blk_sender_check(net.sender, 1, 512, 512 * 9, sum_of(1, 1, 9)), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_true(blk_receiver_close(net.receiver));
	for (unsigned i = 0; i < DISKS; i++)
		assert_memory_equal(late[i].bytes, model[i], DISK_BYTES);
}

/* What it does not write it does not get: not even by a sector, or by what it discards. */
static void test_bare_not_all(void **state)
{
	write_all(0, 0, DISK_BYTES / 512);
	write_all_but(1, 3000, 3001);
	assert_int_equal(change(1, BLK_DISCARD, 3000, 1), 0);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), 0);
	assert_false(blk_receiver_close(net.receiver));
	assert_int_equal(change(1, BLK_WRITE, 3000, 1), 0);
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
		(void)!change(0, BLK_WRITE_ZEROES, 4 * i, 1);
	refused("disk 5 there: not all of it was sent, or in no order");
}

/* It ends the move, with the reason; what follows reaches no disk. */
static void test_snapshot_fails(void **state)
{
	struct wire_text words;

	memset(model, 0, sizeof(model));
	can_freeze(0);
	late[0].fail_with = -EEXIST;
	assert_int_equal(blk_sender_snapshot(net.sender, 0), 0);
	(void)!change(1, BLK_WRITE, 8, 8);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_int_equal(blk_sender_error(net.sender, &words), -ECONNABORTED);
	assert_string_equal(words.code, "exists");
	assert_string_equal(words.text, "disk 5 there: the name of one of its snapshots is taken");
	assert_memory_equal(late[1].bytes, model[1], DISK_BYTES);
	assert_false(blk_receiver_close(net.receiver));
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

	memset(model, 0, sizeof(model));
	random_changes(50);
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

static void test_no_reads(void **state)
{
	struct blk_seg seg = { ptr_hpa(memory), 512 };
	struct blk_req r = { .op = BLK_READ, .blocks = 1, .segs = &seg, .nr_segs = 1 };

	assert_int_equal(blk_wait(blk_sender_disk(net.sender, 0), &r), -ENOTSUP);
	assert_int_equal(change(1, BLK_WRITE, DISK_BYTES / 512, 1), -EINVAL);
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
	assert_int_equal(change(1, BLK_WRITE, 8, 8), 0);
	wait_for_error(&words, -ECONNABORTED);
	assert_string_equal(words.code, "no-space");
	assert_non_null(strstr(words.text, "disk 6")); /* its number there */
	assert_int_equal(change(0, BLK_WRITE, 8, 8), -EIO);
	assert_int_equal(blk_sender_flush(net.sender, time_ns() + SOON_NS), -ECONNABORTED);
	assert_false(blk_receiver_close(net.receiver));
}

/* A file of the VM's home is no disk of its. */
static void test_target_fails_a_file(void **state)
{
	struct wire_text words;

	net.disk[1].file = "/ds/ds2/g/vmlinuz";
	late[1].fail_with = -EIO;
	assert_int_equal(change(1, BLK_WRITE, 8, 8), 0);
	wait_for_error(&words, -ECONNABORTED);
	assert_string_equal(words.text, "/ds/ds2/g/vmlinuz there: it failed a request");
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

	__atomic_store_n(&moving, false, __ATOMIC_RELEASE); /* the disks there do not answer */
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
	world_join(mover);
	moving = true;
	assert_int_equal(
		world_create(&mover, &(struct world_opts){ .name = "test" }, mover_world, NULL), 0);
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
		cmocka_unit_test_setup_teardown(test_same_after_flush, start, stop),
		cmocka_unit_test_setup_teardown(test_hold, start, stop),
		cmocka_unit_test_setup_teardown(test_at_once, start, stop),
		cmocka_unit_test_setup_teardown(test_filled, start, stop),
		cmocka_unit_test_setup_teardown(test_checks, start, stop),
		cmocka_unit_test_setup_teardown(test_check_differs, start, stop),
		cmocka_unit_test_setup_teardown(test_unmap, start, stop),
		cmocka_unit_test_setup_teardown(test_older_peer, start_3, stop),
		cmocka_unit_test_setup_teardown(test_snapshots, start, stop),
		cmocka_unit_test_setup_teardown(test_bare, start_bare, stop),
		cmocka_unit_test_setup_teardown(test_bare_not_all, start_bare, stop),
		cmocka_unit_test_setup_teardown(test_bare_guess, start_bare, stop),
		cmocka_unit_test_setup_teardown(test_bare_snapshot, start_bare, stop),
		cmocka_unit_test_setup_teardown(test_bare_in_no_order, start_bare, stop),
		cmocka_unit_test_setup_teardown(test_snapshot_fails, start, stop),
		cmocka_unit_test_setup_teardown(test_peer_without_snapshots, start_4, stop),
		cmocka_unit_test_setup_teardown(test_no_reads, start, stop),
		cmocka_unit_test_setup_teardown(test_target_fails, start, stop),
		cmocka_unit_test_setup_teardown(test_target_fails_a_file, start, stop),
		cmocka_unit_test_setup_teardown(test_cut, start, stop),
		cmocka_unit_test_setup_teardown(test_hostile, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
