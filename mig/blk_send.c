/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to another host's disks (blk_send.h): the block devices, the buffer, life and end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "blk_send_int.h"

#define BUFFER_SHARE 2u /* of what may be under way: so many times that is buffered here */

/* ---- taking requests ---- */

static uint64_t buffered_locked(const struct blk_sender *s)
{
	return (s->ring.taken - s->ring.given) * PAGE_SIZE;
}

struct send_slot *blk_send_take_locked(struct blk_sender *s, uint64_t bytes)
{
	unsigned pages = (unsigned)((bytes + PAGE_MASK) / PAGE_SIZE);
	struct send_slot *slot = send_slot_at(s, s->taken + 1);
	hpa_t *page = NULL;

	if (s->taken - s->acked == SEND_SLOTS)
		return NULL;
	if (pages && buffered_locked(s) && buffered_locked(s) + pages * PAGE_SIZE > s->hold)
		return NULL;
	if (pages)
		page = page_ring_take(&s->ring, pages);
	if (pages && !page)
		return NULL;
	*slot = (struct send_slot){ .b.seq = ++s->taken, .page = page, .pages = pages };
	s->stats.buffered_most = MAX(s->stats.buffered_most, buffered_locked(s));
	return slot;
}

static uint64_t contents_of(const struct blk_req *r)
{
	return r->op == BLK_WRITE ? r->blocks * r->dev->geo.block_bytes : 0;
}

/* The guest's memory is read here, once. */
static void copy_in(struct send_slot *slot, const struct blk_req *r)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < r->nr_segs; i++) {
		const char *from = hpa_ptr(r->segs[i].addr);
		uint32_t left = r->segs[i].len, n;

		for (; left; left -= n, from += n, at += n) {
			n = MIN(left, (uint32_t)(PAGE_SIZE - (at & PAGE_MASK)));
			memcpy((char *)hpa_ptr(slot->page[at / PAGE_SIZE]) + (at & PAGE_MASK), from,
			       n);
		}
	}
	if (at & PAGE_MASK)
		memset((char *)hpa_ptr(slot->page[at / PAGE_SIZE]) + (at & PAGE_MASK), 0,
		       PAGE_SIZE - (at & PAGE_MASK));
}

static uint32_t op_of(const struct blk_req *r)
{
	return r->op == BLK_WRITE	   ? BLOCKS_WRITE
	       : r->op == BLK_WRITE_ZEROES ? BLOCKS_ZEROES
					   : BLOCKS_DISCARD;
}

static void ready(struct blk_sender *s, struct send_slot *slot)
{
	unsigned long f = spin_lock(&s->lock);

	slot->ready = true;
	spin_unlock(&s->lock, f);
	waitq_wake_all(&s->changed);
}

static void count_locked(struct blk_sender *s, const struct blk_req *r)
{
	s->stats.writes += r->op == BLK_WRITE;
	s->stats.zeroes += r->op == BLK_WRITE_ZEROES;
	s->stats.discards += r->op == BLK_DISCARD;
	s->stats.bytes += contents_of(r);
}

/* The slot is its: no lock is needed until it is ready. */
static void fill(struct blk_sender *s, struct send_slot *slot, struct blk_req *r)
{
	struct remote_disk *d = container_of(r->dev, struct remote_disk, dev);

	slot->b.disk = d->index;
	slot->b.op = op_of(r);
	slot->b.offset = r->block * d->dev.geo.block_bytes;
	slot->b.bytes = r->blocks * d->dev.geo.block_bytes;
	if (r->op == BLK_WRITE_ZEROES && r->unmap && s->version >= WIRE_VERSION_CHECKS)
		slot->b.flags = BLOCKS_UNMAP;
	if (slot->pages)
		copy_in(slot, r);
	ready(s, slot);
	blk_complete(r, 0);
}

static void wait_locked(struct blk_sender *s, struct blk_req *r)
{
	r->next = NULL;
	if (s->waiting)
		s->last->next = r;
	else
		s->waiting = r;
	s->last = r;
	s->stats.waits++;
}

static void remote_submit(struct blkdev *dev, struct blk_req *r)
{
	struct blk_sender *s = container_of(dev, struct remote_disk, dev)->sender;
	struct send_slot *slot = NULL;
	unsigned long f;
	int err;

	if (r->op == BLK_READ) {
		blk_complete(r, -ENOTSUP);
		return;
	}
	f = spin_lock(&s->lock);
	err = s->error;
	if (!err)
		count_locked(s, r);
	if (!err && !s->waiting)
		slot = blk_send_take_locked(s, contents_of(r));
	if (!err && !slot)
		wait_locked(s, r);
	spin_unlock(&s->lock, f);
	if (err)
		blk_complete(r, -EIO);
	else if (slot)
		fill(s, slot, r);
}

static const struct blk_ops remote_ops = { .submit = remote_submit };

void blk_send_serve(struct blk_sender *s)
{
	struct send_slot *slot;
	struct blk_req *r;
	unsigned long f;

	do {
		f = spin_lock(&s->lock);
		r = s->waiting;
		slot = r ? blk_send_take_locked(s, contents_of(r)) : NULL;
		if (slot)
			s->waiting = r->next;
		spin_unlock(&s->lock, f);
		if (slot)
			fill(s, slot, r);
	} while (slot);
}

/* ---- the end ---- */

void blk_send_fail(struct blk_sender *s, int err, const struct wire_text *words)
{
	struct blk_req *r, *next;
	unsigned long f = spin_lock(&s->lock);

	if (!s->error) {
		s->error = err;
		if (words)
			s->words = *words;
	}
	r = s->waiting;
	s->waiting = NULL;
	spin_unlock(&s->lock, f);
	waitq_wake_all(&s->changed);
	for (; r; r = next) {
		next = r->next;
		blk_complete(r, -EIO);
	}
}

int blk_sender_error(struct blk_sender *s, struct wire_text *words)
{
	unsigned long f = spin_lock(&s->lock);
	int err = s->error;

	*words = s->words;
	spin_unlock(&s->lock, f);
	return err;
}

void blk_sender_stats(struct blk_sender *s, struct blk_sender_stats *out)
{
	unsigned long f = spin_lock(&s->lock);

	*out = s->stats;
	out->acked = s->acked;
	out->full = s->waiting;
	out->buffered = buffered_locked(s);
	spin_unlock(&s->lock, f);
}

/* ---- life ---- */

static void make_disk(struct blk_sender *s, uint32_t i, const struct blk_send_geometry *g)
{
	struct remote_disk *d = &s->disk[i];
	uint64_t blocks = g->bytes / g->block_bytes;

	d->sender = s;
	d->index = i;
	d->dev.ops = &remote_ops;
	d->dev.driver = "remote";
	d->dev.geo = (struct blk_geometry){
		.blocks = blocks,
		.block_bytes = g->block_bytes,
		.physical_bytes = g->block_bytes,
		.max_segs = WIRE_BLOCKS_MAX / WIRE_SECTOR,
		.max_bytes = WIRE_BLOCKS_MAX,
		.max_discard_blocks = blocks,
		.max_zeroes_blocks = blocks,
		.queue_depth = SEND_SLOTS,
		.dma_align = 1,
		.dma_limit = UINT64_MAX,
	};
	blk_setup(&d->dev);
}

static int start_worlds(struct blk_sender *s)
{
	struct world_opts o = { .name = "disks-out", .prio = WORLD_NORMAL, .cpu = -1 };
	int err = world_create(&s->sender, &o, blk_send_world, s);

	if (err) {
		s->sender = NULL;
		return err;
	}
	o.name = "disks-ears";
	err = world_create(&s->ears, &o, blk_send_ears, s);
	if (err)
		s->ears = NULL;
	return err;
}

int blk_sender_new(struct peer *p, uint16_t version, const struct blk_send_geometry *disks,
		   unsigned nr, uint64_t credit, struct blk_sender **out)
{
	struct blk_sender *s = calloc(1, sizeof(*s) + nr * sizeof(s->disk[0]));
	int err;

	if (!s)
		return -ENOMEM;
	s->peer = p;
	s->version = version;
	s->credit = credit;
	s->hold = UINT64_MAX;
	s->nr_disks = nr;
	spin_init(&s->lock, LOCK_MIG, "disks out");
	waitq_init(&s->changed, "disks out");
	for (uint32_t i = 0; i < nr; i++)
		make_disk(s, i, &disks[i]);
	err = page_ring_init(&s->ring, (unsigned)(BUFFER_SHARE * credit / PAGE_SIZE));
	if (!err)
		err = start_worlds(s);
	if (err) {
		blk_sender_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void blk_sender_hold(struct blk_sender *s, uint64_t bytes)
{
	unsigned long f = spin_lock(&s->lock);

	s->hold = bytes;
	spin_unlock(&s->lock, f);
	blk_send_serve(s);
}

void blk_sender_stop(struct blk_sender *s, int err)
{
	blk_send_fail(s, err, NULL);
}

void blk_sender_free(struct blk_sender *s)
{
	blk_sender_stop(s, -ECANCELED);
	stream_abort(s->peer->s);
	if (s->sender)
		world_join(s->sender);
	if (s->ears)
		world_join(s->ears);
	for (unsigned i = 0; i < s->nr_disks; i++)
		blk_quiesce(&s->disk[i].dev); /* whoever ends a request has left */
	page_ring_fini(&s->ring);
	free(s);
}

struct blkdev *blk_sender_disk(struct blk_sender *s, unsigned disk)
{
	tern_assert(disk < s->nr_disks);
	return &s->disk[disk].dev;
}
