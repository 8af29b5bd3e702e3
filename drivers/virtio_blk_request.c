/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a virtio-blk queue: each takes a slot, goes to the ring, and comes
 * back with a status. What finds no slot or no room in the ring waits, in order.
 * [virtio 1.2 5.2.6 "Device Operation"]
 */
#include <errno.h>

#include <tern/cpu.h>
#include <tern/page.h>

#include "drivers/virtio_blk.h"

static uint64_t sectors(const struct blk_req *r, uint64_t blocks)
{
	return blocks * (r->dev->geo.block_bytes / VBLK_SECTOR);
}

static void fill_head(struct vblk_slot *s)
{
	static const uint32_t type[BLK_OPS] = {
		[BLK_READ] = VBLK_T_IN,
		[BLK_WRITE] = VBLK_T_OUT,
		[BLK_FLUSH] = VBLK_T_FLUSH,
		[BLK_DISCARD] = VBLK_T_DISCARD,
		[BLK_WRITE_ZEROES] = VBLK_T_WRITE_ZEROES,
	};
	const struct blk_req *r = s->r;
	bool data = r->op == BLK_READ || r->op == BLK_WRITE;

	s->header = (struct vblk_header){ .type = type[r->op] };
	if (data)
		s->header.sector = sectors(r, r->block);
	else if (r->op != BLK_FLUSH)
		s->range = (struct vblk_range){ .sector = sectors(r, r->block),
						.sectors = (uint32_t)sectors(r, r->blocks) };
	s->status = VBLK_S_NONE;
}

/* The data's segments, cut where the device asks for it; how many. */
static unsigned cut(const struct blk_req *r, uint32_t size_max, struct vring_seg *seg)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < r->nr_segs; i++)
		for (uint32_t at = 0, len; at < r->segs[i].len; at += len) {
			len = MIN(r->segs[i].len - at, size_max);
			seg[n++] = (struct vring_seg){ HPA(r->segs[i].addr.v + at), len };
		}
	return n;
}

bool vblk_add_locked(struct vblk_queue *q, struct vblk_slot *s)
{
	struct vring_seg seg[VRING_MAX_SEGS];
	const struct blk_req *r = s->r;
	unsigned n = 1;

	fill_head(s);
	seg[0] = (struct vring_seg){ ptr_hpa(&s->header), sizeof(s->header) };
	if (r->op == BLK_READ || r->op == BLK_WRITE)
		n += cut(r, q->dev->size_max, seg + 1);
	else if (r->op != BLK_FLUSH)
		seg[n++] = (struct vring_seg){ ptr_hpa(&s->range), sizeof(s->range) };
	seg[n] = (struct vring_seg){ ptr_hpa((const void *)(uintptr_t)&s->status), 1 };
	if (vring_add(&q->ring, seg, r->op == BLK_READ ? 1 : n, r->op == BLK_READ ? n : 1, s))
		return false;
	s->deadline_ns = disk_deadline(r, time_ns());
	vblk_arm_timeout_locked(q, s->deadline_ns);
	return true;
}

static void take_slot(struct vblk_queue *q, struct vblk_slot *s, struct blk_req *r)
{
	q->free = s->next;
	s->r = r;
	s->next = NULL;
	s->prev = q->tail;
	if (q->tail)
		q->tail->next = s;
	else
		q->head = s;
	q->tail = s;
}

struct blk_req *vblk_release_locked(struct vblk_queue *q, struct vblk_slot *s)
{
	struct blk_req *r = s->r;

	if (s->prev)
		s->prev->next = s->next;
	else
		q->head = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		q->tail = s->prev;
	s->r = NULL;
	s->next = q->free;
	q->free = s;
	return r;
}

void vblk_pump_locked(struct vblk_queue *q)
{
	struct vblk_slot *s;

	while (q->first && (s = q->free) != NULL) {
		struct blk_req *next = q->first->next;

		take_slot(q, s, q->first);
		if (!vblk_add_locked(q, s)) {
			(void)vblk_release_locked(q, s);
			break; /* a completion makes room */
		}
		q->first->next = NULL;
		q->first = next;
	}
	if (vring_kick(&q->ring))
		disk_count(&q->dev->blk.stats.doorbells);
}

/* True when the request is done, with its status in r->status; else it is with the device again. */
static bool outcome_locked(struct vblk_queue *q, struct vblk_slot *s)
{
	switch (s->status) {
	case VBLK_S_OK:
		s->r->status = 0;
		return true;
	case VBLK_S_UNSUPP:
		s->r->status = -ENOTSUP;
		return true;
	default:
		s->r->status = -EIO;
		return !disk_again(s->r, "the device reports an error") || !vblk_add_locked(q, s);
	}
}

struct blk_req *vblk_collect_locked(struct vblk_queue *q)
{
	struct blk_req *first = NULL, *last = NULL;
	struct vblk_slot *s;
	uint32_t len;

	do {
		while ((s = vring_get(&q->ring, &len)) != NULL)
			if (outcome_locked(q, s))
				disk_append(&first, &last, vblk_release_locked(q, s));
	} while (vring_arm(&q->ring, 1));
	return first;
}

void vblk_interrupt(void *queue)
{
	struct vblk_queue *q = queue;
	unsigned long flags = spin_lock(&q->lock);
	struct blk_req *done = NULL;

	if (!q->stopped) {
		done = vblk_collect_locked(q);
		vblk_pump_locked(q);
	}
	spin_unlock(&q->lock, flags);
	disk_interrupted(done);
	disk_complete_all(done);
}

static void submit(struct blkdev *b, struct blk_req *r)
{
	struct vblk *d = container_of(b, struct vblk, blk);
	struct vblk_queue *q = &d->queue[cpu_self() % d->nr_queues];
	unsigned long flags = spin_lock(&q->lock);
	bool gone = q->gone;

	if (!gone) {
		disk_came(r);
		disk_append(&q->first, &q->last, r);
	}
	if (!gone && !q->stopped)
		vblk_pump_locked(q);
	spin_unlock(&q->lock, flags);
	if (gone)
		blk_complete(r, -ENODEV);
}

const struct blk_ops vblk_blk_ops = { .submit = submit };
