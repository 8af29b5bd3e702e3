/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's two queues (vswitch.h). The guest's side, one world, puts into tx and
 * takes from rx; the owner world does the reverse. Each queue is bounded: a full
 * tx holds the guest's side back, a full rx drops.
 *
 * Whoever puts into an empty queue wakes the other side, which takes until it
 * finds none; so none is left lying.
 */
#include <tern/lock.h>

#include "net/vswitch_int.h"

/* True when the queue was empty: whoever takes from it may be asleep. */
static bool put(struct vqueue *q, struct vframe *f)
{
	unsigned long flags = spin_lock(&q->lock);
	bool was_empty = !q->first;

	f->next = NULL;
	if (was_empty)
		q->first = f;
	else
		q->last->next = f;
	q->last = f;
	__atomic_store_n(&q->n, q->n + 1, __ATOMIC_SEQ_CST);
	spin_unlock(&q->lock, flags);
	return was_empty;
}

static struct vframe *take(struct vqueue *q)
{
	unsigned long flags = spin_lock(&q->lock);
	struct vframe *f = q->first;

	if (f) {
		q->first = f->next;
		__atomic_store_n(&q->n, q->n - 1, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&q->lock, flags);
	return f;
}

static uint32_t count(const struct vqueue *q)
{
	return __atomic_load_n(&q->n, __ATOMIC_SEQ_CST);
}

void vport_accepts(struct vport *p, unsigned flags)
{
	__atomic_store_n(&p->accepts, flags, __ATOMIC_RELEASE);
}

bool vport_room(struct vport *p)
{
	if (count(&p->tx) < VPORT_QUEUE)
		return true;
	__atomic_store_n(&p->starved, 1, __ATOMIC_SEQ_CST);
	return count(&p->tx) < VPORT_QUEUE;
}

void vport_send(struct vport *p, struct vframe *f)
{
	if (put(&p->tx, f))
		net_wake();
}

bool vport_sent_all(const struct vport *p)
{
	return count(&p->tx) == 0;
}

struct vframe *vport_recv(struct vport *p)
{
	return take(&p->rx);
}

struct vframe *vport_take_tx(struct vport *p)
{
	struct vframe *f = take(&p->tx);

	if (count(&p->tx) <= VPORT_QUEUE / 2 &&
	    __atomic_exchange_n(&p->starved, 0, __ATOMIC_SEQ_CST))
		p->wake(p->arg);
	return f;
}

void vport_untake_tx(struct vport *p, struct vframe *f)
{
	struct vqueue *q = &p->tx;
	unsigned long flags = spin_lock(&q->lock);

	f->next = q->first;
	if (!q->first)
		q->last = f;
	q->first = f;
	__atomic_store_n(&q->n, q->n + 1, __ATOMIC_SEQ_CST);
	spin_unlock(&q->lock, flags);
}

void vport_give(struct vport *p, struct vframe *f)
{
	if (vport_muted(p) || count(&p->rx) >= VPORT_QUEUE) {
		p->st.rx_dropped++;
		vframe_free(f);
		return;
	}
	p->st.rx_frames++;
	p->st.rx_bytes += f->len;
	if (put(&p->rx, f))
		p->wake(p->arg);
}

static void drop_all(struct vqueue *q)
{
	struct vframe *f;

	while ((f = take(q)))
		vframe_free(f);
}

void vport_drop_all(struct vport *p)
{
	drop_all(&p->tx);
	drop_all(&p->rx);
}
