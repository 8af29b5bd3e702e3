/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of an I/O queue. One waits until there is a slot, is in flight, and ends
 * by its completion; after a failure that may pass, or a reset, it waits again at
 * the front. Commands that are put together share a doorbell write, and so do the
 * completions that one interrupt finds. Requests end without the lock.
 */
#include <errno.h>

#include <tern/log.h>

#include "drivers/nvme.h"

/* Requests that end once the lock is released, in order. */
struct ended {
	struct blk_req *first, *last;
};

static void end_later(struct ended *l, struct blk_req *r, int status)
{
	r->status = status;
	disk_append(&l->first, &l->last, r);
}

struct nvme_ns *nvme_ns_of(const struct blk_req *r)
{
	return container_of(r->dev, struct nvme_ns, blk);
}

static void wait_first(struct nvme_queue *q, struct blk_req *r)
{
	r->next = q->first;
	if (!q->first)
		q->last = r;
	q->first = r;
}

/* ---- submission ---- */

/* What waits goes out as far as there are slots. */
static void push_locked(struct nvme_queue *q)
{
	uint64_t now = time_ns();
	struct nvme_sqe e;
	struct blk_req *last = NULL;

	while (!q->frozen && q->first && q->nr_free) {
		struct blk_req *r = q->first;
		uint16_t slot = q->free[q->nr_free - 1];

		if (!nvme_command_build(q, slot, r, &e))
			break;
		q->first = r->next;
		q->nr_free--;
		q->slot[slot].r = r;
		q->slot[slot].issued_ns = now;
		q->slot[slot].serial = q->serial++;
		nvme_ring_put(&q->ring, &e);
		last = r;
	}
	if (!last)
		return;
	nvme_ring_submit(&q->ring);
	disk_count(&last->dev->stats.doorbells);
}

static struct nvme_queue *queue_for(struct nvme *c, const struct blk_req *r)
{
	if ((r->op == BLK_READ || r->op == BLK_WRITE) && !nvme_prp_fits(r->segs, r->nr_segs))
		return &c->queue[0];
	return &c->queue[cpu_self() % c->nr_queues];
}

static void submit(struct blkdev *b, struct blk_req *r)
{
	struct nvme *c = container_of(b, struct nvme_ns, blk)->c;
	struct nvme_queue *q = queue_for(c, r);
	unsigned long flags = spin_lock(&q->lock);
	int dead = q->dead;

	if (!dead) {
		disk_came(r);
		disk_append(&q->first, &q->last, r);
		push_locked(q);
		nvme_tick_on(c);
	}
	spin_unlock(&q->lock, flags);
	if (dead)
		blk_complete(r, dead);
}

const struct blk_ops nvme_blk_ops = { .submit = submit };

/* ---- completion ---- */

/* The slot is free again; its request. */
static struct blk_req *leave_slot(struct nvme_queue *q, uint16_t slot, bool copy)
{
	struct blk_req *r = q->slot[slot].r;

	nvme_command_end(q, slot, copy);
	q->slot[slot].r = NULL;
	q->free[q->nr_free++] = slot;
	return r;
}

static void end_command(struct nvme_queue *q, const struct nvme_cqe *e, struct ended *l)
{
	int err = nvme_status_error(e->status);
	struct blk_req *r;

	if (e->cid >= q->ring.entries || !q->slot[e->cid].r) {
		log_warn("nvme", "%s: an answer to a command that is not in flight", q->c->name);
		return;
	}
	r = leave_slot(q, e->cid, !err);
	if (!err) {
		end_later(l, r, 0);
		return;
	}
	if (!nvme_status_retry(e->status))
		r->tries = DISK_TRIES;
	if (disk_again(r, nvme_status_text(e->status)))
		wait_first(q, r);
	else
		end_later(l, r, err);
}

/* False when nothing new was there. */
static bool take_locked(struct nvme_queue *q, struct ended *l)
{
	struct nvme_cqe e;
	bool any = false;

	while (nvme_ring_take(&q->ring, &e)) {
		end_command(q, &e, l);
		any = true;
	}
	return any;
}

void nvme_queue_poll(struct nvme_queue *q)
{
	struct ended l = { 0 };
	unsigned long flags = spin_lock(&q->lock);

	if (take_locked(q, &l) && !q->frozen) {
		nvme_ring_ack(&q->ring);
		push_locked(q);
	}
	spin_unlock(&q->lock, flags);
	disk_interrupted(l.first);
	disk_complete_all(l.first);
}

/* ---- for recovery ---- */

void nvme_queue_freeze(struct nvme_queue *q)
{
	unsigned long flags = spin_lock(&q->lock);

	q->frozen = true;
	spin_unlock(&q->lock, flags);
}

/* The command in flight that was submitted last; -1 when there is none. */
static int latest_locked(const struct nvme_queue *q)
{
	int latest = -1;

	for (int i = 0; i < q->ring.entries; i++)
		if (q->slot[i].r && (latest < 0 || q->slot[i].serial > q->slot[latest].serial))
			latest = i;
	return latest;
}

void nvme_queue_take_back(struct nvme_queue *q)
{
	struct ended l = { 0 };
	unsigned long flags = spin_lock(&q->lock);
	uint64_t now = time_ns();
	int slot;

	(void)take_locked(q, &l);
	while ((slot = latest_locked(q)) >= 0) {
		struct blk_req *r = leave_slot(q, (uint16_t)slot, false);

		if (disk_again_after(r, now))
			wait_first(q, r);
		else
			end_later(&l, r, -ETIMEDOUT);
	}
	nvme_ring_clear(&q->ring);
	spin_unlock(&q->lock, flags);
	disk_complete_all(l.first);
}

void nvme_queue_thaw(struct nvme_queue *q, int dead)
{
	struct ended l = { 0 };
	unsigned long flags = spin_lock(&q->lock);

	q->frozen = dead != 0;
	q->dead = dead;
	for (struct blk_req *r = q->first, *next; r && dead; r = next) {
		next = r->next;
		q->first = next;
		end_later(&l, r, dead);
	}
	push_locked(q);
	spin_unlock(&q->lock, flags);
	disk_complete_all(l.first);
}

void nvme_queue_expire(struct nvme_queue *q)
{
	struct ended l = { 0 };
	unsigned long flags = spin_lock(&q->lock);

	(void)disk_expire(&q->first, &q->last, time_ns(), &l.first, &l.last);
	spin_unlock(&q->lock, flags);
	disk_complete_all(l.first);
}

static bool late(const struct nvme_slot *s, uint64_t now)
{
	return s->r && now >= disk_deadline(s->r, s->issued_ns);
}

enum nvme_age nvme_queue_age(struct nvme_queue *q)
{
	unsigned long flags = spin_lock(&q->lock);
	enum nvme_age age = q->first || q->nr_free < q->ring.entries - 1 ? NVME_YOUNG : NVME_IDLE;
	uint64_t now = time_ns();

	for (const struct blk_req *r = q->first; r; r = r->next)
		if (disk_is_over(r, now))
			age = NVME_LATE;
	for (unsigned i = 0; i < q->ring.entries; i++)
		if (late(&q->slot[i], now))
			age = NVME_LATE;
	spin_unlock(&q->lock, flags);
	return age;
}

bool nvme_queue_late(struct nvme_queue *q, unsigned n, uint16_t *cid, struct blkdev **dev)
{
	unsigned long flags = spin_lock(&q->lock);
	uint64_t now = time_ns();
	bool found = false;

	for (uint16_t i = 0; i < q->ring.entries && !found; i++) {
		if (!late(&q->slot[i], now) || n--)
			continue;
		*cid = i;
		*dev = q->slot[i].r->dev;
		found = true;
	}
	spin_unlock(&q->lock, flags);
	return found;
}

/* ---- set-up ---- */

int nvme_queue_init(struct nvme_queue *q, struct nvme *c, uint16_t id)
{
	hpa_t lists;
	int err = nvme_ring_alloc(&q->ring, id, c->entries);

	if (err)
		return err;
	err = page_alloc(NVME_PRP_ORDER, 0, FRAME_KERNEL, &lists);
	if (err) {
		nvme_ring_free(&q->ring);
		return err;
	}
	spin_init(&q->lock, LOCK_DRIVER, "nvme");
	q->c = c;
	q->prps = hpa_ptr(lists);
	for (uint16_t slot = (uint16_t)(c->entries - 1); slot-- > 0;)
		q->free[q->nr_free++] = slot;
	return 0;
}
