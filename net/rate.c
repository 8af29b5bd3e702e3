/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's rate (vswitch_int.h): a token bucket for each direction. What the guest sends
 * waits in its queue, and at last in its ring. What comes for it waits in `late`, so that
 * a window's worth of TCP is slowed down rather than lost; what does not fit is dropped.
 * A timer gives the owner a turn when the next frame is due.
 */
#include "net/vswitch_int.h"

#define BYTE_NS 8000ull /* of a byte, at 1 Mbit/s */

static void on_due(struct timer *t)
{
	(void)t;
	net_wake();
}

void rate_init(struct vport *p)
{
	timer_setup(&p->due, on_due);
}

void rate_stop(struct vport *p)
{
	(void)timer_cancel(&p->due);
}

static bool ready(const struct vport *p, const struct bucket *b)
{
	return !p->rules.rate_mbit || bucket_ready(b, RATE_DEPTH_NS, time_ns());
}

static void take(const struct vport *p, struct bucket *b, uint32_t bytes)
{
	if (p->rules.rate_mbit)
		bucket_take(b, p->rules.rate_mbit, time_ns(), bytes * BYTE_NS);
}

bool rate_may_send(struct vport *p)
{
	return __atomic_load_n(&p->hurried, __ATOMIC_ACQUIRE) || ready(p, &p->tx_bucket);
}

void rate_sent(struct vport *p, uint32_t bytes)
{
	take(p, &p->tx_bucket, bytes);
}

static void arm(struct vport *p)
{
	uint64_t when = UINT64_MAX;

	if (p->late.n)
		when = bucket_when(&p->rx_bucket, RATE_DEPTH_NS);
	if (!vport_sent_all(p) && !rate_may_send(p))
		when = MIN(when, bucket_when(&p->tx_bucket, RATE_DEPTH_NS));
	if (when != UINT64_MAX)
		timer_arm(&p->due, when);
}

static void hold(struct vport *p, struct vframe *f)
{
	if (vqueue_put(&p->late, f))
		arm(p);
}

static void give_now(struct vport *p, struct vframe *f)
{
	take(p, &p->rx_bucket, f->len);
	vport_give(p, f);
}

void rate_give(struct vport *p, struct vframe *f)
{
	if (!p->late.n && ready(p, &p->rx_bucket))
		give_now(p, f);
	else if (p->late.n < VPORT_LATE_QUEUE && p->late.pages < VPORT_LATE_PAGES)
		hold(p, f);
	else
		vport_drop_rx(p, VPORT_RX_OVER_RATE, f);
}

unsigned rate_run(struct vport *p)
{
	struct vframe *f;
	unsigned done = 0;

	while (p->late.n && ready(p, &p->rx_bucket) && (f = vqueue_take(&p->late))) {
		give_now(p, f);
		done++;
	}
	if (p->rules.rate_mbit)
		arm(p);
	return done;
}
