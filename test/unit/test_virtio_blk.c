/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk against a device of the test's own: what it is handed for each kind of
 * request, its limits, errors, and what follows when it does not answer: a reset,
 * and the rest handed over again in order, or given up.
 */
// SOURCES: test/unit/fake_drive.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_drive.h"

#include "drivers/disk.c"
#include "drivers/virtio_blk_config.c"
#include "drivers/virtio_blk_recover.c"
#include "drivers/virtio_blk_request.c"
#include "drivers/virtio_ring.c"

/* ---- what the driver calls ---- */

static unsigned resets, begun;
static bool reset_fails;
static uint8_t config[60];
static uint16_t doorbell;
static struct vblk disk;
static struct vblk_slot slots[VBLK_RING];

int virtio_pci_reset(struct virtio_pci *v)
{
	(void)v;
	resets++;
	return reset_fails ? -EIO : 0;
}

int virtio_pci_features(struct virtio_pci *v, uint64_t wanted)
{
	v->features = wanted;
	return 0;
}

int virtio_pci_queue(struct virtio_pci *v, uint16_t index, struct vring *r, uint16_t vector)
{
	(void)v;
	(void)vector;
	r->index = index;
	r->doorbell = (volatile uint8_t *)&doorbell;
	return 0;
}

void virtio_pci_ready(struct virtio_pci *v)
{
	(void)v;
	begun++;
}

void pci_disable_master(struct pci_dev *d)
{
	(void)d;
}

uint16_t virtio_pci_read16(const struct virtio_pci *v, unsigned off)
{
	uint16_t x;

	(void)v;
	memcpy(&x, config + off, sizeof(x));
	return x;
}

uint32_t virtio_pci_read32(const struct virtio_pci *v, unsigned off)
{
	return (uint32_t)(virtio_pci_read16(v, off) | virtio_pci_read16(v, off + 2) << 16);
}

/* ---- the device ---- */

struct taken {
	uint16_t head;
	unsigned nr; /* segments of data */
	struct vring_desc seg[VRING_MAX_SEGS];
	struct vblk_header *header;
	uint8_t *status;
};
static uint16_t seen, used;

/* The next request in the ring; false when there is none. */
static bool take(struct taken *t)
{
	struct vring *r = &disk.queue[0].ring;
	const struct vring_desc *d;
	unsigned n;

	if (r->avail[AVAIL_IDX] == seen)
		return false;
	t->head = r->avail[AVAIL_RING + (seen++ & (r->size - 1))];
	d = &r->desc[t->head];
	assert_int_equal(d->flags, DESC_INDIRECT);
	n = d->len / (unsigned)sizeof(*d);
	d = (const struct vring_desc *)(uintptr_t)d->addr;
	assert_true(n >= 2);
	t->header = (void *)(uintptr_t)d[0].addr;
	t->status = (void *)(uintptr_t)d[n - 1].addr;
	assert_int_equal(d[0].len, 16);
	assert_int_equal(d[n - 1].len, 1);
	assert_true(d[n - 1].flags & DESC_WRITE);
	t->nr = n - 2;
	memcpy(t->seg, d + 1, t->nr * sizeof(*d));
	return true;
}

static void put(const struct taken *t, uint8_t status)
{
	struct vring *r = &disk.queue[0].ring;
	volatile uint16_t *e = r->used + USED_RING + 4 * (used++ & (r->size - 1));

	*t->status = status;
	e[0] = t->head;
	r->used[USED_IDX] = used;
}

static void answer(uint8_t status)
{
	struct taken t;

	assert_true(take(&t));
	put(&t, status);
	vblk_interrupt(&disk.queue[0]);
}

static void recover(void *arg)
{
	seen = used = 0;
	vblk_recover(arg);
}

static void let_time_pass(uint64_t ns)
{
	fake_drive_pass(ns, recover, &disk);
}

/* ---- requests ---- */

static struct blk_seg seg[VBLK_MAX_SEGS];
static struct blk_req req[VBLK_RING + 8];

static struct blk_req *submitted(unsigned i, enum blk_op op, uint64_t block, uint64_t blocks)
{
	req[i] = (struct blk_req){ .op = op,
				   .block = block,
				   .blocks = blocks,
				   .segs = seg,
				   .nr_segs = 1,
				   .dev = &disk.blk };
	seg[0] = (struct blk_seg){ HPA(0x10001), (uint32_t)blocks * disk.blk.geo.block_bytes };
	disk.blk.ops->submit(&disk.blk, &req[i]);
	return &req[i];
}

static void set32(unsigned at, uint32_t v)
{
	memcpy(config + at, &v, sizeof(v));
}

#define FEATURES                                                                                   \
	(VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VBLK_F_FLUSH | VBLK_F_DISCARD |             \
	 VBLK_F_WRITE_ZEROES)

static int start(void **state)
{
	struct vblk_queue *q = &disk.queue[0];
	const char *why;

	(void)state;
	memset(&disk, 0, sizeof(disk));
	memset(config, 0, sizeof(config));
	fake_drive_reset(&disk.queue[0].lock);
	resets = begun = seen = used = 0;
	reset_fails = false;
	set32(CONFIG(capacity), 1u << 20);
	set32(CONFIG(max_discard_sectors), 4096);
	set32(CONFIG(max_zeroes_sectors), 2048);
	disk.blk.ops = &vblk_blk_ops;
	disk.blk.driver = "virtio-blk";
	disk.v.features = FEATURES;
	disk.nr_queues = 1;
	assert_int_equal(vblk_read_config(&disk, VBLK_RING, &why), 0);
	q->dev = &disk;
	spin_init(&q->lock, LOCK_DRIVER, "test");
	assert_int_equal(vring_init(&q->ring, VBLK_RING, true, true), 0);
	for (unsigned i = 0; i < VBLK_RING; i++) {
		slots[i] = (struct vblk_slot){ .next = q->free };
		q->free = &slots[i];
	}
	assert_int_equal(vblk_recover_start(&disk), 0);
	assert_int_equal(vblk_begin(&disk), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	page_put(ptr_hpa(disk.queue[0].ring.desc));
	page_put(ptr_hpa(disk.queue[0].ring.indirect));
	return 0;
}

static void test_what_the_device_is_told(void **state)
{
	struct vblk_range *range;
	struct taken t;

	(void)state;
	submitted(0, BLK_READ, 7, 2);
	assert_true(take(&t));
	assert_int_equal(t.header->type, 0);
	assert_int_equal(t.header->sector, 7);
	assert_int_equal(t.nr, 1);
	assert_int_equal(t.seg[0].addr, 0x10001);
	assert_int_equal(t.seg[0].len, 1024);
	assert_true(t.seg[0].flags & DESC_WRITE);
	submitted(1, BLK_WRITE, 9, 1);
	assert_true(take(&t));
	assert_int_equal(t.header->type, 1);
	assert_false(t.seg[0].flags & DESC_WRITE);
	submitted(2, BLK_FLUSH, 0, 0);
	assert_true(take(&t));
	assert_int_equal(t.header->type, 4);
	assert_int_equal(t.header->sector, 0);
	assert_int_equal(t.nr, 0);
	submitted(3, BLK_DISCARD, 100, 50);
	assert_true(take(&t));
	assert_int_equal(t.header->type, 11);
	range = (void *)(uintptr_t)t.seg[0].addr;
	assert_int_equal(t.seg[0].len, 16);
	assert_int_equal(range->sector, 100);
	assert_int_equal(range->sectors, 50);
	submitted(4, BLK_WRITE_ZEROES, 1, 2);
	assert_true(take(&t));
	assert_int_equal(t.header->type, 13);
	assert_int_equal(range[0].flags, 0);
}

static void test_statuses(void **state)
{
	(void)state;
	submitted(0, BLK_READ, 0, 1);
	answer(VBLK_S_OK);
	submitted(1, BLK_DISCARD, 0, 1);
	answer(VBLK_S_UNSUPP);
	assert_int_equal(fake_nr_done, 2);
	assert_int_equal(fake_done[0]->status, 0);
	assert_int_equal(fake_done[1]->status, -ENOTSUP);
	submitted(2, BLK_READ, 0, 1);
	answer(VBLK_S_IOERR);
	answer(VBLK_S_IOERR);
	assert_int_equal(fake_nr_done, 2);
	answer(VBLK_S_IOERR);
	assert_int_equal(fake_nr_done, 3);
	assert_int_equal(fake_done[2]->status, -EIO);
	assert_int_equal(disk.blk.stats.retries, 2);
}

/* More than the ring holds: the rest waits, in order, and goes when there is room. */
static void test_more_than_slots(void **state)
{
	struct taken t;

	(void)state;
	for (unsigned i = 0; i < VBLK_RING + 3; i++)
		submitted(i, BLK_READ, i, 1);
	for (unsigned i = 0; i < VBLK_RING; i++) {
		assert_true(take(&t));
		assert_int_equal(t.header->sector, i);
	}
	assert_false(take(&t));
	put(&t, VBLK_S_OK);
	vblk_interrupt(&disk.queue[0]);
	assert_true(take(&t));
	assert_int_equal(t.header->sector, VBLK_RING);
	assert_false(take(&t));
}

/* A device that has not looked yet is told once, and one interrupt ends all that it has done. */
static void test_doorbells_and_interrupts(void **state)
{
	struct taken t;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		submitted(i, BLK_READ, i, 1);
	assert_int_equal(disk.blk.stats.doorbells, 1);
	while (take(&t))
		put(&t, VBLK_S_OK);
	vblk_interrupt(&disk.queue[0]);
	vblk_interrupt(&disk.queue[0]);
	assert_int_equal(fake_nr_done, 8);
	assert_int_equal(disk.blk.stats.interrupts, 1);
	assert_int_equal(disk.blk.stats.copied_bytes, 0);
}

static void test_replayed_in_order(void **state)
{
	struct taken t, second;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		submitted(i, BLK_WRITE, 10 + i, 1);
	assert_true(take(&t) && take(&second));
	put(&second, VBLK_S_OK); /* done, but its interrupt is lost */
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(resets, 1);
	assert_int_equal(begun, 2);
	assert_int_equal(fake_nr_done, 1);
	assert_ptr_equal(fake_done[0], &req[1]);
	for (unsigned i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		assert_true(take(&t));
		assert_int_equal(t.header->sector, 10 + i);
		put(&t, VBLK_S_OK);
	}
	vblk_interrupt(&disk.queue[0]);
	assert_int_equal(fake_nr_done, 4);
	assert_int_equal(fake_done[3]->status, 0);
	assert_int_equal(disk.blk.stats.timeouts, 3);
}

/* One that is never answered ends in time; one that came late has its own time. */
static void test_given_up(void **state)
{
	struct taken t;

	(void)state;
	submitted(0, BLK_READ, 1, 1);
	let_time_pass(DISK_TRY_NS);
	let_time_pass(DISK_TRY_NS);
	submitted(1, BLK_READ, 2, 1);
	assert_int_equal(fake_nr_done, 0);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(resets, 3);
	assert_int_equal(fake_nr_done, 1);
	assert_int_equal(req[0].status, -ETIMEDOUT);
	assert_true(take(&t));
	assert_int_equal(t.header->sector, 2);
	put(&t, VBLK_S_OK);
	vblk_interrupt(&disk.queue[0]);
	assert_int_equal(req[1].status, 0);
	assert_int_equal(fake_nr_done, 2);
}

/* One that has ended without its interrupt is found, and not taken for a silent device. */
static void test_lost_interrupt(void **state)
{
	struct taken t;

	(void)state;
	submitted(0, BLK_READ, 1, 1);
	submitted(1, BLK_READ, 2, 1);
	assert_true(take(&t));
	put(&t, VBLK_S_OK);
	assert_true(take(&t));
	put(&t, VBLK_S_OK);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(fake_nr_done, 2);
	assert_int_equal(disk.blk.stats.lost, 2);
	assert_int_equal(disk.blk.stats.timeouts + resets, 0);
}

/* One that waits for a slot has no more time than those that have one. */
static void test_waits_in_time(void **state)
{
	struct taken t;

	(void)state;
	for (unsigned i = 0; i < VBLK_RING + 1; i++)
		submitted(i, BLK_WRITE, i, 1);
	for (unsigned i = 0; i < 3; i++)
		let_time_pass(DISK_TRY_NS);
	assert_int_equal(fake_nr_done, VBLK_RING + 1);
	assert_int_equal(req[VBLK_RING].status, -ETIMEDOUT);
	assert_int_equal(resets, 3);
	assert_false(take(&t));
}

/* A device that is busy, not silent: what could only be handed over at the last moment is not. */
static void test_not_at_the_last_moment(void **state)
{
	struct taken t;

	(void)state;
	for (unsigned i = 0; i < VBLK_RING + 1; i++)
		submitted(i, BLK_FLUSH, 0, 0);
	let_time_pass(DISK_GIVE_UP_NS - DISK_LEAST_NS);
	assert_int_equal(fake_nr_done, 1);
	assert_int_equal(req[VBLK_RING].status, -ETIMEDOUT);
	for (unsigned i = 0; i < VBLK_RING; i++)
		answer(VBLK_S_OK);
	assert_int_equal(fake_nr_done, VBLK_RING + 1);
	assert_false(take(&t));
	assert_int_equal(resets, 0);
}

/* A flush may take its time, but does not keep a read from being noticed. */
static void test_flush_is_patient(void **state)
{
	(void)state;
	submitted(0, BLK_FLUSH, 0, 0);
	let_time_pass(2 * DISK_TRY_NS);
	assert_int_equal(resets, 0);
	submitted(1, BLK_READ, 0, 1);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(resets, 1);
	assert_int_equal(fake_nr_done, 1);
	assert_int_equal(req[0].status, -ETIMEDOUT);
}

/* What was in flight and what waited ends; so does what comes later. */
static void test_stays_in_reset(void **state)
{
	(void)state;
	reset_fails = true;
	for (unsigned i = 0; i < VBLK_RING + 1; i++)
		submitted(i, BLK_READ, i, 1);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(fake_nr_done, VBLK_RING + 1);
	assert_int_equal(req[0].status, -ETIMEDOUT);
	assert_int_equal(req[VBLK_RING].status, -ENODEV);
	submitted(0, BLK_READ, 0, 1);
	assert_int_equal(fake_nr_done, VBLK_RING + 2);
	assert_int_equal(req[0].status, -ENODEV);
}

static void test_limits(void **state)
{
	struct blk_geometry *g = &disk.blk.geo;
	const char *why;
	struct taken t;

	(void)state;
	disk.v.features |= VBLK_F_SIZE_MAX | VBLK_F_SEG_MAX | VBLK_F_BLK_SIZE | VBLK_F_RO;
	set32(CONFIG(size_max), 4096);
	set32(CONFIG(seg_max), 10);
	set32(CONFIG(blk_size), 2048);
	assert_int_equal(vblk_read_config(&disk, VBLK_RING, &why), 0);
	assert_int_equal(g->max_segs, 5);
	assert_int_equal(g->max_bytes, 5 * 4096);
	assert_int_equal(g->blocks, 1u << 18);
	assert_int_equal(g->max_discard_blocks, 1024);
	assert_int_equal(g->max_zeroes_blocks, 512);
	assert_true(g->read_only);
	submitted(0, BLK_READ, 3, 5); /* 10 KiB */
	assert_true(take(&t));
	assert_int_equal(t.header->sector, 12);
	assert_int_equal(t.nr, 3);
	assert_int_equal(t.seg[2].addr, 0x10001 + 8192);
	assert_int_equal(t.seg[2].len, 2048);
	set32(CONFIG(size_max), 100);
	assert_int_equal(vblk_read_config(&disk, VBLK_RING, &why), -EINVAL);
	assert_string_equal(why, "it takes too little in a request");
	set32(CONFIG(size_max), 4096);
	set32(CONFIG(capacity), 0);
	assert_int_equal(vblk_read_config(&disk, VBLK_RING, &why), -EINVAL);
	assert_string_equal(why, "no sensible size");
	set32(CONFIG(capacity), 8);
	set32(CONFIG(blk_size), 513); /* only a hint */
	assert_int_equal(vblk_read_config(&disk, VBLK_RING, &why), 0);
	assert_int_equal(g->block_bytes, 512);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_the_device_is_told), TEST(test_statuses),
		TEST(test_more_than_slots),	    TEST(test_doorbells_and_interrupts),
		TEST(test_replayed_in_order),	    TEST(test_given_up),
		TEST(test_lost_interrupt),	    TEST(test_waits_in_time),
		TEST(test_not_at_the_last_moment),  TEST(test_flush_is_patient),
		TEST(test_stays_in_reset),	    TEST(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
