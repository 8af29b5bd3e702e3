/* SPDX-License-Identifier: BSD-2-Clause */
/* A sender, a receiver and late disks (late_disks.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/lib/crc32c.h"
#include "test/unit/fake_pipe.h"
#include "test/unit/late_disks.h"

/* ---- the disks there ---- */

struct late late[DISKS];
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

static void move(void)
{
	struct world_opts o = { .name = "test" };

	moving = true;
	assert_int_equal(world_create(&mover, &o, mover_world, NULL), 0);
}

void late_silent(void)
{
	__atomic_store_n(&moving, false, __ATOMIC_RELEASE);
}

void late_answer(void)
{
	world_join(mover);
	move();
}

/* ---- both sides ---- */

struct late_net net;

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

int late_start_version(uint16_t version)
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
	move();
	assert_int_equal(world_create(&net.reader, &o, reader_world, NULL), 0);
	return 0;
}

int late_start(void **state)
{
	return late_start_version(WIRE_VERSION);
}

int late_start_bare(void **state)
{
	bare = true;
	(void)late_start_version(WIRE_VERSION);
	bare = false;
	for (unsigned i = 0; i < DISKS; i++)
		memset(late[i].bytes, 0xa5, DISK_BYTES);
	return 0;
}

int late_stop(void **state)
{
	blk_sender_free(net.sender);
	stream_abort(net.far);
	world_join(net.reader);
	blk_receiver_free(net.receiver);
	late_silent();
	world_join(mover);
	stream_close(net.near);
	stream_close(net.far);
	for (unsigned i = 0; i < DISKS; i++)
		free(late[i].bytes);
	assert_int_equal(fake_pipe_pages, 0);
	return 0;
}

/* ---- what the guest does ---- */

uint8_t guest_has[DISKS][DISK_BYTES];
uint8_t memory[1u << 20];

int guest_change(unsigned disk, enum blk_op op, uint64_t block, uint64_t blocks)
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

void guest_note(unsigned disk, enum blk_op op, uint64_t block, uint64_t blocks)
{
	uint8_t *at = &guest_has[disk][block * 512];

	if (op == BLK_WRITE)
		memcpy(at, memory, blocks * 512);
	else
		memset(at, op == BLK_DISCARD ? 0xdd : 0, blocks * 512);
}

void guest_changes(unsigned count)
{
	static const enum blk_op ops[] = { BLK_WRITE, BLK_WRITE, BLK_WRITE, BLK_WRITE_ZEROES,
					   BLK_DISCARD };

	for (unsigned i = 0; i < count; i++) {
		unsigned disk = (unsigned)rand() % DISKS;
		enum blk_op op = ops[(unsigned)rand() % 5];
		uint64_t blocks = 1 + (uint64_t)rand() % (rand() % 20 ? 40 : 2048);
		uint64_t block = (uint64_t)rand() % (DISK_BYTES / 512 - blocks + 1);

		assert_int_equal(guest_change(disk, op, block, blocks), 0);
		guest_note(disk, op, block, blocks);
	}
}

uint32_t guest_sum(unsigned disk, uint64_t block, uint64_t blocks)
{
	return crc32c(0, &guest_has[disk][block * 512], blocks * 512);
}

uint8_t frozen[DISKS][DISK_BYTES];

static int freeze(void *user)
{
	unsigned disk = (unsigned)(uintptr_t)user;

	memcpy(frozen[disk], late[disk].bytes, DISK_BYTES);
	return late[disk].fail_with;
}

void late_can_freeze(unsigned disk)
{
	net.disk[disk].snapshot = freeze;
	net.disk[disk].user = (void *)(uintptr_t)disk;
}
