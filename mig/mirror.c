/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mirror (mirror.h): which request may go when, and where to. What becomes of
 * one that may is in mirror_op.c.
 *
 * Requests are started by one at a time (m->starting), so one that ends at once, inside
 * of its submission, does not go deeper into the stack.
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/page.h>
#include <tern/timer.h>

#include "mirror.h"

static bool overlap(uint64_t a_from, uint64_t a_to, uint64_t b_from, uint64_t b_to)
{
	return a_from < b_to && b_from < a_to;
}

/* ---- what waits for what; m->lock is held ---- */

/* For a copy, or for an earlier request, which goes first. */
static bool blocked(const struct mirror *m, const struct mirror_op *op)
{
	if (m->mode == MIRROR_BOTH)
		for (const struct mirror_range *r = m->ranges; r; r = r->next)
			if (overlap(op->from, op->to, r->from, r->to))
				return true;
	for (const struct mirror_op *o = m->first; o != op; o = o->next)
		if (overlap(op->from, op->to, o->from, o->to))
			return true;
	return false;
}

static bool is_clear(const struct mirror *m, const struct mirror_range *r)
{
	for (const struct mirror_op *o = m->first; o; o = o->next)
		if (o->active && overlap(o->from, o->to, r->from, r->to))
			return false;
	return true;
}

static void activate(struct mirror *m, struct mirror_op *op)
{
	bool both = m->mode == MIRROR_BOTH && !m->error;

	op->active = true;
	if (op->waited)
		m->fig.held_ns += time_ns() - op->guest->start_ns;
	m->held--;
	op->mark = m->mode == MIRROR_MARK;
	op->flush_target = both && op->guest->op == BLK_FLUSH && m->cursor;
	op->target_to = both ? MAX(op->from, MIN(op->to, m->cursor)) : op->from;
	op->sides = (uint8_t)(1 + (op->target_to > op->from || op->flush_target));
	if (op->target_to > op->from)
		m->fig.mirrored_bytes += (op->target_to - op->from) * m->front.geo.block_bytes;
	if (op->target_to > op->from && op->guest->op == BLK_WRITE)
		m->fig.copied_bytes += (op->to - op->from) * m->front.geo.block_bytes;
}

/* Gives the oldest that waits for an op one. */
static void admit(struct mirror *m)
{
	struct mirror_op *op = m->free;
	struct blk_req *r = m->waiting;
	bool changes = r->op != BLK_READ && r->op != BLK_FLUSH;

	m->waiting = r->next;
	if (!m->waiting)
		m->waiting_last = &m->waiting;
	m->free = op->next;
	op->guest = r;
	op->from = changes ? r->block : 0;
	op->to = changes ? r->block + r->blocks : 0;
	op->active = false;
	op->next = NULL;
	*m->last = op;
	m->last = &op->next;
	m->held++;
	op->waited = blocked(m, op);
	m->fig.held += op->waited;
}

/* One that may go, now active; NULL: none may. */
static struct mirror_op *take(struct mirror *m)
{
	while (m->waiting && m->free)
		admit(m);
	for (struct mirror_op *op = m->held ? m->first : NULL; op; op = op->next)
		if (!op->active && !blocked(m, op)) {
			activate(m, op);
			return op;
		}
	return NULL;
}

/* ---- starting and ending ---- */

static void go(struct mirror *m)
{
	unsigned long flags = spin_lock(&m->lock);
	struct mirror_op *op;

	if (m->starting) {
		spin_unlock(&m->lock, flags);
		return; /* whoever does it looks once more */
	}
	m->starting = true;
	while ((op = take(m))) {
		spin_unlock(&m->lock, flags);
		mirror_start(op);
		flags = spin_lock(&m->lock);
	}
	m->starting = false;
	spin_unlock(&m->lock, flags);
}

static void submit(struct blkdev *d, struct blk_req *r)
{
	struct mirror *m = container_of(d, struct mirror, front);
	unsigned long flags = spin_lock(&m->lock);

	r->next = NULL;
	*m->waiting_last = r;
	m->waiting_last = &r->next;
	spin_unlock(&m->lock, flags);
	go(m);
}

static void unlink_op(struct mirror *m, struct mirror_op *op)
{
	struct mirror_op **at = &m->first;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	if (m->last == &op->next)
		m->last = at;
	op->next = m->free;
	m->free = op;
}

static bool clear_ranges(struct mirror *m)
{
	bool any = false;

	for (struct mirror_range *r = m->ranges; r; r = r->next)
		if (!r->clear && is_clear(m, r))
			any = r->clear = true;
	return any;
}

void mirror_end(struct mirror_op *op)
{
	struct mirror *m = op->m;
	struct blk_req *guest = op->guest;
	uint64_t from = op->from, to = op->to;
	int status = op->status;
	unsigned long flags;
	bool wake;

	if (to > from && (op->mark || status))
		cbt_mark(m->cbt, from, to);
	if (to > from && m->touched)
		m->touched(m, guest->op, from, to);
	flags = spin_lock(&m->lock);
	if (guest->op == BLK_READ || guest->op == BLK_WRITE) {
		m->fig.requests++;
		m->fig.busy_ns += time_ns() - guest->start_ns;
	}
	unlink_op(m, op);
	wake = clear_ranges(m);
	spin_unlock(&m->lock, flags);
	if (wake)
		event_signal(&m->changed);
	go(m); /* the guest's request ends last: who saw all of them end may free the mirror */
	blk_complete(guest, status);
}

void mirror_fail(struct mirror *m, int err)
{
	unsigned long flags = spin_lock(&m->lock);

	if (!m->error)
		m->error = err;
	spin_unlock(&m->lock, flags);
	event_signal(&m->changed);
}

/* ---- the copy ---- */

void mirror_claim(struct mirror *m, struct mirror_range *r)
{
	unsigned long flags = spin_lock(&m->lock);

	r->next = m->ranges;
	m->ranges = r;
	if (m->mode == MIRROR_BOTH)
		m->cursor = MAX(m->cursor, r->to);
	r->clear = m->mode == MIRROR_MARK || is_clear(m, r);
	spin_unlock(&m->lock, flags);
}

bool mirror_clear(struct mirror *m, const struct mirror_range *r)
{
	unsigned long flags = spin_lock(&m->lock);
	bool clear = r->clear;

	spin_unlock(&m->lock, flags);
	return clear;
}

void mirror_release(struct mirror *m, struct mirror_range *r)
{
	unsigned long flags = spin_lock(&m->lock);
	struct mirror_range **at = &m->ranges;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	spin_unlock(&m->lock, flags);
	go(m);
}

void mirror_both(struct mirror *m)
{
	unsigned long flags = spin_lock(&m->lock);

	m->mode = MIRROR_BOTH; /* what is under way is marked when it ends, as it began */
	m->cursor = m->front.geo.blocks;
	spin_unlock(&m->lock, flags);
}

int mirror_error(struct mirror *m)
{
	unsigned long flags = spin_lock(&m->lock);
	int err = m->error;

	spin_unlock(&m->lock, flags);
	return err;
}

void mirror_figures(struct mirror *m, struct mirror_figures *out)
{
	unsigned long flags = spin_lock(&m->lock);

	*out = m->fig;
	spin_unlock(&m->lock, flags);
}

/* ---- life ---- */

static const struct blk_ops ops = { .submit = submit };

/* As the source is, in requests of which a copy fits. */
static void set_geometry(struct mirror *m)
{
	m->front.ops = &ops;
	m->front.driver = "mirror";
	m->front.geo = m->source->geo;
	m->front.geo.max_bytes = MIN(m->front.geo.max_bytes, MIRROR_BYTES);
	m->front.geo.queue_depth = MIRROR_OPS;
	m->front.geo.volatile_cache |= m->target->geo.volatile_cache;
	blk_setup(&m->front);
}

static bool fits(const struct blk_geometry *source, const struct blk_geometry *target)
{
	return target->block_bytes <= source->block_bytes &&
	       target->blocks * target->block_bytes >= source->blocks * source->block_bytes;
}

static int make_ops(struct mirror *m)
{
	for (unsigned i = 0; i < MIRROR_OPS; i++) {
		struct mirror_op *op = &m->op[i];
		hpa_t buf;
		int err = page_alloc(MIRROR_ORDER, 0, FRAME_MIG, &buf);

		if (err)
			return err;
		op->m = m;
		op->buf = hpa_ptr(buf);
		op->next = m->free;
		m->free = op;
	}
	return 0;
}

int mirror_new(struct blkdev *source, struct blkdev *target, struct cbt *cbt, enum mirror_mode mode,
	       struct mirror **out)
{
	struct mirror *m;
	int err;

	if (!fits(&source->geo, &target->geo))
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->source = source;
	m->target = target;
	m->cbt = cbt;
	m->mode = mode;
	m->last = &m->first;
	m->waiting_last = &m->waiting;
	spin_init(&m->lock, LOCK_STORE, "mirror");
	event_init(&m->changed, "mirror");
	set_geometry(m);
	err = make_ops(m);
	if (err)
		mirror_free(m);
	else
		*out = m;
	return err;
}

void mirror_free(struct mirror *m)
{
	blk_quiesce(&m->front); /* whoever ends a request has left */
	for (unsigned i = 0; i < MIRROR_OPS; i++)
		if (m->op[i].buf)
			page_put(ptr_hpa(m->op[i].buf));
	free(m);
}
