/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request of the guest's (vblk.h): out of the ring, checked, to the disk, and back.
 *
 * A chain without header or status is a malformed ring: the device stops. Everything else that is
 * wrong ends the one request with an error. What the guest wrote is read once.
 */
#include <errno.h>
#include <string.h>

#include <tern/timer.h>

#include "vblk.h"

/* ---- the pool ---- */

static struct vblk_req *req_new(struct vblk *b)
{
	struct vblk_req *q = b->free;
	unsigned long flags;

	b->free = q->next;
	flags = spin_lock(&b->lock);
	b->busy++;
	spin_unlock(&b->lock, flags);
	q->nr_pins = 0;
	q->at = q->bytes = q->from = q->all_bytes = 0;
	q->nr_ranges = q->next_range = 0;
	q->flush = false;
	return q;
}

static void req_free(struct vblk_req *q)
{
	struct vblk *b = q->dev;
	unsigned long flags;

	q->next = b->free;
	b->free = q;
	flags = spin_lock(&b->lock);
	if (--b->busy == 0)
		waitq_wake_all(&b->idle);
	spin_unlock(&b->lock, flags);
}

/* ---- the end ---- */

static unsigned step_of(uint64_t ns)
{
	unsigned i = 0;

	while (i < VDISK_STEPS - 1 && ns >= VDISK_STEP_NS << i)
		i++;
	return i;
}

static void count_latency(struct vdisk_latency *l, uint64_t ns)
{
	l->count++;
	l->total_ns += ns;
	l->max_ns = MAX(l->max_ns, ns);
	l->step[step_of(ns)]++;
}

static void count(struct vblk_req *q, uint8_t status)
{
	struct vdisk_stats *s = &q->dev->stats;
	uint64_t ns = time_ns() - q->start_ns;

	if (q->op == BLK_OPS)
		return; /* the disk has not heard of it */
	s->requests[q->op]++;
	s->busy_ns += ns;
	if (q->op < ARRAY_SIZE(s->of))
		count_latency(&s->of[q->op], ns);
	if (status != VBLK_S_OK)
		s->errors++;
	else
		s->bytes[q->op] += q->all_bytes;
}

/* Its status byte is the last of what the device may write. */
static int answer(struct vblk_req *q, uint8_t status)
{
	struct virtio *v = &q->dev->v;
	struct gmem *g = v->d.vm->mem;
	uint64_t in = q->chain.in_len;
	int rc = virtq_put(&q->chain, g, in - 1, &status, sizeof(status));

	if (rc)
		return rc;
	return virtq_push(&v->q[q->queue], g, &q->chain, (uint32_t)MIN(in, UINT32_MAX));
}

static int finish(struct vblk_req *q, int err)
{
	uint8_t status = !err ? VBLK_S_OK : err == -ENOTSUP ? VBLK_S_UNSUPP : VBLK_S_IOERR;
	struct vblk *b = q->dev;
	int rc = 0;

	if (q->epoch != b->epoch) {
		b->stale--;
	} else {
		count(q, status);
		if (virtio_running(&b->v, q->queue))
			rc = answer(q, status);
	}
	req_free(q);
	return rc;
}

/* The next range is what the request works on; those of no length are passed by. */
static bool next_range(struct vblk_req *q)
{
	while (q->next_range < q->nr_ranges) {
		const struct vblk_range *r = &q->range[q->next_range++];

		q->from = r->sector * VBLK_SECTOR;
		q->bytes = (uint64_t)r->sectors * VBLK_SECTOR;
		q->at = 0;
		if (q->bytes)
			return true;
	}
	return false;
}

int vblk_go_on(struct vblk_req *q)
{
	int err = q->r.status;

	vblk_unpin(q);
	if (!err && q->epoch == q->dev->epoch) {
		if (q->at < q->bytes || next_range(q)) {
			err = vblk_part(q);
			if (!err)
				return 0;
		} else if (q->flush) {
			q->flush = false;
			vblk_flush(q);
			return 0;
		}
	}
	return finish(q, err);
}

/* ---- the begin ---- */

/* The part of the disk; whole blocks, inside. */
static int set_range(struct vblk_req *q, uint64_t sector, uint64_t bytes)
{
	const struct vblk *b = q->dev;
	uint64_t sectors = bytes / VBLK_SECTOR;

	if (bytes % VBLK_SECTOR || sector > b->config.capacity ||
	    sectors > b->config.capacity - sector)
		return -EINVAL;
	q->from = sector * VBLK_SECTOR;
	q->bytes = bytes;
	return (q->from | bytes) % b->config.blk_size ? -EINVAL : 0;
}

static int may_write(const struct vblk *b)
{
	return b->v.d.vm->cfg.disk[b->index].read_only ? -EROFS : 0;
}

/* A driver that cannot flush takes every completed write as durable [5.2.6.2]. */
static bool writes_through(const struct vblk_req *q)
{
	return !(q->dev->v.features & VBLK_F_FLUSH);
}

static int begin_read(struct vblk_req *q, uint64_t sector, uint64_t bytes)
{
	q->all_bytes = bytes;
	return set_range(q, sector, bytes);
}

static int begin_write(struct vblk_req *q, uint64_t sector, uint64_t bytes)
{
	int rc = may_write(q->dev);

	q->flush = writes_through(q);
	return rc ? rc : begin_read(q, sector, bytes);
}

static int check_range(struct vblk_req *q, const struct vblk_range *r)
{
	uint32_t known = q->op == BLK_WRITE_ZEROES ? VBLK_RANGE_UNMAP : 0;

	if (r->flags & ~known)
		return -ENOTSUP;
	if (r->sectors > q->dev->config.max_discard_sectors)
		return -EINVAL;
	q->all_bytes += (uint64_t)r->sectors * VBLK_SECTOR;
	return set_range(q, r->sector, (uint64_t)r->sectors * VBLK_SECTOR);
}

/* All ranges are checked before the first is begun. */
static int take_ranges(struct vblk_req *q)
{
	uint64_t len = q->chain.out_len - sizeof(struct vblk_header);
	unsigned n = (unsigned)(len / sizeof(q->range[0]));
	int rc = 0;

	if (!len || len % sizeof(q->range[0]) || len > sizeof(q->range))
		return -EINVAL;
	rc = virtq_get(&q->chain, q->dev->v.d.vm->mem, sizeof(struct vblk_header), q->range,
		       (size_t)len);
	for (unsigned i = 0; i < n && !rc; i++)
		rc = check_range(q, &q->range[i]);
	if (!rc)
		q->nr_ranges = n;
	q->bytes = 0;
	return rc;
}

static int begin_discard(struct vblk_req *q)
{
	const struct blkdev *blk = q->dev->blk;
	int rc = may_write(q->dev);

	if (!rc)
		rc = take_ranges(q);
	if (rc)
		return rc;
	q->flush = writes_through(q);
	if (q->op == BLK_DISCARD && !blk->geo.max_discard_blocks)
		q->next_range = q->nr_ranges; /* a hint that the disk has no use for */
	else
		(void)next_range(q);
	return 0;
}

static int give_id(struct vblk_req *q)
{
	struct vblk *b = q->dev;
	char id[VBLK_ID_BYTES] = "";

	memcpy(id, b->v.d.vm->cfg.disk[b->index].serial, sizeof(id));
	return virtq_put(&q->chain, b->v.d.vm->mem, 0, id,
			 (size_t)MIN(q->chain.in_len - 1, sizeof(id)));
}

static int begin(struct vblk_req *q, const struct vblk_header *h)
{
	q->op = BLK_OPS;
	switch (h->type) {
	case VBLK_T_IN:
		q->op = BLK_READ;
		return begin_read(q, h->sector, q->chain.in_len - 1);
	case VBLK_T_OUT:
		q->op = BLK_WRITE;
		return begin_write(q, h->sector, q->chain.out_len - sizeof(*h));
	case VBLK_T_FLUSH:
		q->op = BLK_FLUSH;
		q->flush = true;
		return 0;
	case VBLK_T_GET_ID:
		return give_id(q);
	case VBLK_T_DISCARD:
	case VBLK_T_WRITE_ZEROES:
		q->op = h->type == VBLK_T_DISCARD ? BLK_DISCARD : BLK_WRITE_ZEROES;
		return begin_discard(q);
	default:
		return -ENOTSUP;
	}
}

/* By the host, since the disk has no command for it. */
static bool zeroes_are_written(const struct vblk_req *q)
{
	return q->op == BLK_WRITE_ZEROES && !q->dev->blk->geo.max_zeroes_blocks;
}

static int start(struct vblk *b, struct vblk_req *q, unsigned queue)
{
	const struct virtq_chain *c = &q->chain;
	struct vblk_header h;
	int rc = c->in_len ? virtq_get(c, b->v.d.vm->mem, 0, &h, sizeof(h)) : -EPROTO;

	q->queue = queue;
	q->epoch = b->epoch;
	q->start_ns = time_ns();
	if (rc) {
		req_free(q);
		return rc;
	}
	rc = begin(q, &h);
	if (rc)
		return finish(q, rc);
	if (q->op == BLK_READ || q->op == BLK_WRITE || zeroes_are_written(q))
		vblk_limit_moves(b, q->all_bytes);
	q->r.status = 0;
	return vblk_go_on(q);
}

int vblk_take(struct vblk *b, unsigned queue)
{
	struct gmem *g = b->v.d.vm->mem;
	struct virtq *vq = &b->v.q[queue];
	int rc = b->free && !b->paused ? vblk_limit_ready(b, queue) : 0;

	if (!rc) {
		b->starved |=
			(uint32_t)BIT(queue); /* a request that ends, or the timer, wakes us */
		return -EAGAIN;
	}
	if (rc < 0)
		return rc;
	rc = virtq_pop(vq, g, &b->free->chain);
	if (!rc)
		return virtq_arm(vq, g);
	if (rc < 0)
		return rc;
	vblk_limit_took(b, queue);
	rc = start(b, req_new(b), queue);
	return rc ? rc : 1;
}
