/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk's limits (vblk.h): two token buckets, of requests and of bytes. What they hold
 * stays in the guest's rings, so there is nothing to carry when it moves. The first request that
 * has to wait arms a timer for the moment when it need not; then the device's world serves
 * all queues in turn, one request each, until the buckets are empty again. Meanwhile no queue
 * passes by those that wait.
 *
 * Every request counts as one, whatever becomes of it. Bytes are those that are read or written,
 * known once the request has been taken: a large one goes into debt, which the next ones pay.
 */
#include <errno.h>
#include <string.h>

#include "vblk.h"

#define DEPTH_NS (100ull * 1000 * 1000) /* of what an idle disk has saved up */
#define REQUEST_NS 1000000000ull	/* of a request, at 1 a second */
#define BYTE_NS 1000ull			/* of a byte, at 1 MB a second */

static const struct vm_disk_limit *limit_of(const struct vblk *b)
{
	return &b->v.d.vm->cfg.disk[b->index].limit;
}

static void on_due(struct timer *t)
{
	event_signal(&container_of(t, struct vblk, limit.due)->ev);
}

void vblk_limit_init(struct vblk *b)
{
	timer_setup(&b->limit.due, on_due);
}

void vblk_limit_fini(struct vblk *b)
{
	(void)timer_cancel(&b->limit.due);
}

/* When the next request may be taken, 0: at any time. */
static uint64_t when(const struct vblk *b)
{
	const struct vm_disk_limit *l = limit_of(b);
	uint64_t ns = l->iops ? bucket_when(&b->limit.requests, DEPTH_NS) : 0;

	return l->mbps ? MAX(ns, bucket_when(&b->limit.bytes, DEPTH_NS)) : ns;
}

int vblk_limit_ready(struct vblk *b, unsigned queue)
{
	uint64_t at = when(b), now;
	int n;

	if (!at)
		return 1;
	now = time_ns();
	if (at <= now)
		return 1;
	n = virtq_waiting(&b->v.q[queue], b->v.d.vm->mem);
	if (n <= 0)
		return n ? n : 1; /* an empty ring waits for its driver */
	b->limit.waiting[queue] = (uint16_t)n;
	if (!b->limit.since_ns)
		b->limit.since_ns = now;
	timer_arm(&b->limit.due, at);
	return 0;
}

bool vblk_limit_holds(const struct vblk *b)
{
	return b->limit.since_ns;
}

void vblk_limit_took(struct vblk *b, unsigned queue)
{
	const struct vm_disk_limit *l = limit_of(b);

	if (l->iops)
		bucket_take(&b->limit.requests, l->iops, time_ns(), REQUEST_NS);
	if (b->limit.waiting[queue]) {
		b->limit.waiting[queue]--;
		b->stats.held++;
	}
}

void vblk_limit_moves(struct vblk *b, uint64_t bytes)
{
	const struct vm_disk_limit *l = limit_of(b);

	if (l->mbps)
		bucket_take(&b->limit.bytes, l->mbps, time_ns(), bytes * BYTE_NS);
}

uint64_t vblk_limit_held_ns(const struct vblk *b)
{
	uint64_t since = b->limit.since_ns;

	return b->stats.held_ns + (since ? time_ns() - since : 0);
}

void vblk_limit_turn(struct vblk *b)
{
	b->stats.held_ns = vblk_limit_held_ns(b);
	b->limit.since_ns = 0;
}

void vblk_limit_forget(struct vblk *b)
{
	vblk_limit_turn(b);
	memset(b->limit.waiting, 0, sizeof(b->limit.waiting));
}

int vblk_limit(struct vblk *b, const struct vm_disk_limit *limit)
{
	if (limit->iops > VM_DISK_IOPS_MAX || limit->mbps > VM_DISK_MBPS_MAX)
		return -EINVAL;
	mutex_lock(&b->v.d.lock);
	b->v.d.vm->cfg.disk[b->index].limit = *limit;
	b->limit.requests = b->limit.bytes = (struct bucket){ 0 }; /* debts were of the old one */
	vblk_serve_all(b);
	mutex_unlock(&b->v.d.lock);
	return 0;
}
