/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a stream of disks, on either side: it is cut while requests are at the disks, in the
 * middle of one, while the next waits for room, in a flush, in a check. Whoever waits is told,
 * nothing is freed that a disk still has, and no page is lost: the sanitizer watches.
 */
// SOURCES: mig/blk_send.c mig/blk_send_net.c mig/blk_send_wait.c mig/blk_recv.c
// SOURCES: mig/blk_recv_req.c
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

#include "mig/blk_recv.h"
#include "mig/blk_send.h"
#include "mig/phase.h"
#include "test/unit/fake_pipe.h"

#define DISK_BYTES (4u << 20)
#define CREDIT (1u << 20)
#define SOON_NS (60 * NSEC_PER_SEC)

/* ---- a disk that keeps its requests until it is let go ---- */

static struct {
	struct blkdev dev;
	struct spinlock lock;
	struct blk_req *req[64];
	unsigned nr;
	bool through;
} disk;

static void disk_submit(struct blkdev *d, struct blk_req *r)
{
	unsigned long f = spin_lock(&disk.lock);
	bool through = disk.through;

	if (!through)
		disk.req[disk.nr++] = r;
	spin_unlock(&disk.lock, f);
	if (through)
		blk_complete(r, 0);
}

static const struct blk_ops disk_ops = { .submit = disk_submit };

static unsigned disk_has(void)
{
	unsigned long f = spin_lock(&disk.lock);
	unsigned nr = disk.nr;

	spin_unlock(&disk.lock, f);
	return nr;
}

static void disk_let_go(void)
{
	unsigned long f = spin_lock(&disk.lock);
	unsigned nr = disk.nr;

	disk.through = true;
	disk.nr = 0;
	spin_unlock(&disk.lock, f);
	while (nr)
		blk_complete(disk.req[--nr], 0);
}

static void wait_for(bool (*what)(void))
{
	uint64_t deadline = time_ns() + SOON_NS;

	while (!what()) {
		assert_true(time_ns() < deadline);
		world_sleep_ns(NSEC_PER_MSEC);
	}
}

/* ---- the rig: a side of ours, and the bare stream's other end ---- */

static struct {
	struct stream *near, *far;
	struct peer from, to;
	struct blk_receiver *receiver;
	struct blk_sender *sender;
	struct world *reader, *helper;
	int ended, got; /* [atom] how the reader, the helper ended; 1: not yet */
} net;

static void start_world(struct world **w, void (*fn)(void *))
{
	struct world_opts o = { .name = "test" };

	assert_int_equal(world_create(w, &o, fn, NULL), 0);
}

static void begin(void)
{
	memset(&disk, 0, sizeof(disk));
	memset(&net, 0, sizeof(net));
	spin_init(&disk.lock, LOCK_DRIVER, "disk");
	disk.dev.ops = &disk_ops;
	disk.dev.geo = (struct blk_geometry){ .blocks = DISK_BYTES / 512,
					      .block_bytes = 512,
					      .max_segs = 256,
					      .max_bytes = 1u << 20,
					      .volatile_cache = true };
	blk_setup(&disk.dev);
	fake_pipe(&net.near, &net.far);
	peer_init(&net.from, net.near, false);
	peer_init(&net.to, net.far, true);
	net.ended = net.got = 1;
}

static void end(void)
{
	stream_close(net.near);
	stream_close(net.far);
	assert_int_equal(fake_pipe_pages, 0);
}

/* ---- the receiver ---- */

static void reader_world(void *arg)
{
	struct wire_blocks b;
	struct wire_head h;
	void *body;
	int err;

	do {
		err = peer_recv(&net.to, &h, &b, sizeof(b), &body, time_ns() + SOON_NS);
		if (!err)
			err = blk_receiver_take(net.receiver, &b);
	} while (!err);
	__atomic_store_n(&net.ended, err, __ATOMIC_RELEASE);
}

static void begin_receiver_of(unsigned disks)
{
	static struct blk_recv_disk all[] = { { .dev = &disk.dev },
					      { .dev = &disk.dev },
					      { .dev = &disk.dev } };

	begin();
	assert_int_equal(blk_receiver_new(&net.to, all, disks, CREDIT, &net.receiver), 0);
	start_world(&net.reader, reader_world);
}

static void begin_receiver(void)
{
	begin_receiver_of(1);
}

/* A message, or of its payload the first part. */
static int say(const struct wire_blocks *b, uint32_t payload, uint32_t sent)
{
	static const uint8_t zeros[CREDIT];
	struct wire_head h = {
		.magic = WIRE_MAGIC, .type = WIRE_BLOCKS, .length = sizeof(*b), .payload = payload
	};
	uint64_t deadline = time_ns() + SOON_NS;
	int err = stream_write(net.near, &h, sizeof(h), deadline);

	if (!err)
		err = stream_write(net.near, b, sizeof(*b), deadline);
	return err ? err : stream_write(net.near, zeros, sent, deadline);
}

static int say_write(uint64_t seq, uint32_t bytes, uint32_t sent)
{
	struct wire_blocks b = {
		.seq = seq, .op = BLOCKS_WRITE, .offset = (seq - 1) * CREDIT, .bytes = bytes
	};

	return say(&b, bytes, sent);
}

static void freer_world(void *arg)
{
	blk_receiver_free(net.receiver);
	__atomic_store_n(&net.got, 0, __ATOMIC_RELEASE);
}

static bool has_ended(void)
{
	return __atomic_load_n(&net.ended, __ATOMIC_ACQUIRE) != 1;
}

static bool has_one(void)
{
	return disk_has() >= 1;
}

/* The stream is gone; what the disk has is waited for. */
static void cut_and_free(void)
{
	bool busy = disk_has();

	fake_pipe_cut(net.near);
	wait_for(has_ended);
	world_join(net.reader);
	assert_int_equal(net.ended, -ECONNRESET);
	start_world(&net.helper, freer_world);
	assert_true(!busy || __atomic_load_n(&net.got, __ATOMIC_ACQUIRE) == 1);
	disk_let_go();
	world_join(net.helper);
	end();
}

static bool has_three(void)
{
	return disk_has() == 3;
}

static void writes_at_the_disk(void **state)
{
	begin_receiver();
	for (uint64_t seq = 1; seq <= 3; seq++)
		assert_int_equal(say_write(seq, PAGE_SIZE, PAGE_SIZE), 0);
	wait_for(has_three);
	cut_and_free();
}

static void half_of_a_write(void **state)
{
	begin_receiver();
	assert_int_equal(say_write(1, 8 * PAGE_SIZE, 3 * PAGE_SIZE), 0);
	fake_pipe_cut(net.near);
	wait_for(has_ended);
	assert_int_equal(disk_has(), 0); /* no disk hears of it */
	assert_false(blk_receiver_close(net.receiver));
	cut_and_free();
}

static void hears_done(uint64_t seq)
{
	struct wire_blocks_done done;
	struct wire_head h;
	void *body;
	int err =
		peer_recv(&net.from, &h, &done, sizeof(done), &body, time_ns() + 5 * NSEC_PER_SEC);

	assert_int_equal(err, 0);
	assert_int_equal(h.type, WIRE_BLOCKS_DONE);
	assert_int_equal(done.seq, seq);
}

/* A write whose payload stays out for a while: the sender hears that it gets on, by the number that
 * it knows, and not only that somebody is here. */
static void a_slow_write(void **state)
{
	static const uint8_t rest[16 * PAGE_SIZE];

	begin_receiver();
	assert_int_equal(say_write(1, 2 * sizeof(rest), sizeof(rest)), 0);
	world_sleep_ns(ALIVE_EVERY_NS);
	assert_int_equal(stream_write(net.near, rest, sizeof(rest), time_ns() + SOON_NS), 0);
	hears_done(0);
	wait_for(has_one);
	cut_and_free();
}

static void feeder_world(void *arg)
{
	int err = say_write(2, CREDIT, CREDIT);

	__atomic_store_n(&net.got, err, __ATOMIC_RELEASE);
}

/* More than it has room for, as no honest source sends it: the reader waits for the disk. */
static void a_write_without_room(void **state)
{
	begin_receiver();
	assert_int_equal(say_write(1, CREDIT, CREDIT), 0);
	wait_for(has_one);
	start_world(&net.helper, feeder_world);
	fake_pipe_cut(net.near);
	world_join(net.helper);
	assert_int_equal(net.got, -ECONNRESET);
	net.got = 1;
	disk_let_go();
	cut_and_free();
}

static void a_flush_at_the_disk(void **state)
{
	struct wire_blocks b = { .seq = 1, .op = BLOCKS_FLUSH };

	begin_receiver();
	assert_int_equal(say(&b, 0, 0), 0);
	wait_for(has_one);
	cut_and_free();
}

/* Disk after disk takes its time: the sender hears after each that the flush gets on. */
static void a_flush_of_three_disks(void **state)
{
	struct wire_blocks b = { .seq = 1, .op = BLOCKS_FLUSH };

	begin_receiver_of(3);
	assert_int_equal(say(&b, 0, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		wait_for(has_one);
		disk.nr = 0; /* nobody else has anything for it now */
		blk_complete(disk.req[0], 0);
		hears_done(i / 2);
	}
	cut_and_free();
}

static void a_check_at_the_disk(void **state)
{
	struct wire_blocks b = { .seq = 1, .op = BLOCKS_CHECK, .bytes = CREDIT };

	begin_receiver();
	assert_int_equal(say(&b, 0, 0), 0);
	wait_for(has_one);
	cut_and_free();
}

/* ---- the sender; nobody answers it ---- */

static unsigned completed, failed; /* [atom] */

static void write_done(struct blk_req *r)
{
	__atomic_add_fetch(r->status ? &failed : &completed, 1, __ATOMIC_RELEASE);
}

#define WRITES 8u
#define BUFFERED (2 * CREDIT >> 20) /* of a MiB each */

static void begin_sender(void)
{
	struct blk_send_geometry g = { 4 * DISK_BYTES, 512 };
	static uint8_t memory[1u << 20];
	static struct blk_seg seg;
	static struct blk_req r[WRITES];

	begin();
	completed = failed = 0;
	seg = (struct blk_seg){ ptr_hpa(memory), sizeof(memory) };
	assert_int_equal(blk_sender_new(&net.from, WIRE_VERSION, &g, 1, CREDIT, &net.sender), 0);
	for (unsigned i = 0; i < WRITES; i++) {
		r[i] = (struct blk_req){ .op = BLK_WRITE,
					 .block = i * 2048,
					 .blocks = 2048,
					 .segs = &seg,
					 .nr_segs = 1,
					 .done = write_done };
		blk_submit(blk_sender_disk(net.sender, 0), &r[i]);
	}
	assert_int_equal(completed, BUFFERED);
}

static bool rest_failed(void)
{
	return __atomic_load_n(&failed, __ATOMIC_ACQUIRE) == WRITES - BUFFERED;
}

static void end_sender(void)
{
	blk_sender_free(net.sender);
	assert_true(rest_failed());
	end();
}

static void writes_that_wait(void **state)
{
	begin_sender();
	fake_pipe_cut(net.near);
	wait_for(rest_failed);
	end_sender();
}

/* The end that the user asked for: the stream is whole. */
static void freed_with_writes_that_wait(void **state)
{
	begin_sender();
	end_sender();
}

static void flusher_world(void *arg)
{
	int err = blk_sender_flush(net.sender, NEVER_NS);

	__atomic_store_n(&net.got, err, __ATOMIC_RELEASE);
}

static void checker_world(void *arg)
{
	int err = 0;

	while (!err) /* until there is no slot, and then the end */
		err = blk_sender_check(net.sender, 0, 0, 512, 0);
	__atomic_store_n(&net.got, err, __ATOMIC_RELEASE);
}

static void ends_with(void (*world)(void *), bool cut, int err)
{
	begin_sender();
	start_world(&net.helper, world);
	if (cut)
		fake_pipe_cut(net.near);
	else
		blk_sender_stop(net.sender, err);
	world_join(net.helper);
	assert_int_equal(net.got, err);
	wait_for(rest_failed);
	end_sender();
}

static void in_a_flush(void **state)
{
	ends_with(flusher_world, true, -ECONNRESET);
	ends_with(flusher_world, false, -ECANCELED);
}

static void in_a_check(void **state)
{
	ends_with(checker_world, true, -ECONNRESET);
	ends_with(checker_world, false, -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_at_the_disk),
		cmocka_unit_test(half_of_a_write),
		cmocka_unit_test(a_slow_write),
		cmocka_unit_test(a_write_without_room),
		cmocka_unit_test(a_flush_at_the_disk),
		cmocka_unit_test(a_flush_of_three_disks),
		cmocka_unit_test(a_check_at_the_disk),
		cmocka_unit_test(writes_that_wait),
		cmocka_unit_test(freed_with_writes_that_wait),
		cmocka_unit_test(in_a_flush),
		cmocka_unit_test(in_a_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
