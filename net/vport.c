/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's queues (vswitch.h). The guest's side, one world, puts into tx and takes from
 * rx; the owner world does the reverse. tx is one queue, whose frames say from which
 * of the guest's they are; rx has one for each of the guest's. All are bounded, in
 * frames and in pages: a full tx holds the guest's side back, a full rx drops. One rx
 * queue of several may take half of what they have together.
 *
 * Whoever puts into an empty queue wakes the other side, which takes until it
 * finds none; so none is left lying.
 */
#include <tern/lock.h>

#include "net/vswitch_int.h"

static void add(uint32_t *to, uint32_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_SEQ_CST);
}

static void sub(uint32_t *from, uint32_t n)
{
	__atomic_fetch_sub(from, n, __ATOMIC_SEQ_CST);
}

static uint32_t count(const uint32_t *n)
{
	return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

bool vqueue_put(struct vqueue *q, struct vframe *f)
{
	unsigned long flags = spin_lock(&q->lock);
	bool was_empty = !q->first;

	f->next = NULL;
	if (was_empty)
		q->first = f;
	else
		q->last->next = f;
	q->last = f;
	add(&q->n, 1);
	add(&q->pages, f->pages);
	spin_unlock(&q->lock, flags);
	return was_empty;
}

struct vframe *vqueue_take(struct vqueue *q)
{
	unsigned long flags = spin_lock(&q->lock);
	struct vframe *f = q->first;

	if (f) {
		q->first = f->next;
		sub(&q->n, 1);
		sub(&q->pages, f->pages);
	}
	spin_unlock(&q->lock, flags);
	return f;
}

/* ---- the guest's side ---- */

void vport_accepts(struct vport *p, unsigned flags)
{
	__atomic_store_n(&p->accepts, flags, __ATOMIC_RELEASE);
}

void vport_count(struct vport *p, enum vport_counter c, uint64_t n)
{
	__atomic_fetch_add(&p->count[c], n, __ATOMIC_RELAXED);
	if (c == VPORT_COPIED_BYTES)
		NET_COUNT(switch_copied_bytes, n);
	else if (c == VPORT_TX_BYTES || c == VPORT_RX_BYTES)
		NET_COUNT(switch_moved_bytes, n);
}

static bool tx_has_room(const struct vport *p)
{
	return count(&p->tx.n) < VPORT_TX_QUEUE && count(&p->tx.pages) < VPORT_TX_PAGES;
}

bool vport_room(struct vport *p)
{
	if (tx_has_room(p))
		return true;
	__atomic_store_n(&p->starved, 1, __ATOMIC_SEQ_CST);
	return tx_has_room(p);
}

void vport_send(struct vport *p, unsigned queue, struct vframe *f)
{
	f->queue = (uint8_t)queue;
	if (vqueue_put(&p->tx, f))
		net_wake();
}

bool vport_sent_all(const struct vport *p)
{
	return count(&p->tx.n) == 0;
}

static struct vframe *take_rx(struct vport *p, unsigned queue)
{
	struct vframe *f = vqueue_take(&p->rx[queue]);

	if (f) {
		sub(&p->rx_n, 1);
		sub(&p->rx_pages, f->pages);
	}
	return f;
}

struct vframe *vport_recv(struct vport *p, unsigned queue)
{
	return take_rx(p, queue);
}

/* ---- the owner's side ---- */

struct vframe *vport_take_tx(struct vport *p)
{
	struct vframe *f = vqueue_take(&p->tx);

	if (count(&p->tx.n) <= VPORT_TX_QUEUE / 2 && count(&p->tx.pages) <= VPORT_TX_PAGES / 2 &&
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
	add(&q->n, 1);
	add(&q->pages, f->pages);
	spin_unlock(&q->lock, flags);
}

void vport_note_flow(struct vport *p, const struct vframe *f)
{
	if (count(&p->queues) > 1)
		flow_sent(&p->flows, flow_hash(vframe_head(f), f->tx.seg[0].len), f->queue);
}

static unsigned queue_for(const struct vport *p, const struct vframe *f)
{
	unsigned queues = count(&p->queues);

	if (queues == 1)
		return 0;
	return flow_queue(&p->flows, flow_hash(vframe_head(f), f->tx.seg[0].len), queues);
}

static bool rx_has_room(const struct vport *p, const struct vqueue *q)
{
	uint32_t part = count(&p->queues) > 1 ? 2 : 1;

	return count(&p->rx_n) < VPORT_RX_QUEUE && count(&p->rx_pages) < VPORT_RX_PAGES &&
	       count(&q->n) < VPORT_RX_QUEUE / part && count(&q->pages) < VPORT_RX_PAGES / part;
}

void vport_drop_rx(struct vport *p, enum vport_counter why, struct vframe *f)
{
	vport_count(p, why, 1);
	vframe_free(f);
}

void vport_give(struct vport *p, struct vframe *f)
{
	struct vqueue *q = &p->rx[queue_for(p, f)];

	if (vport_muted(p)) {
		vport_drop_rx(p, VPORT_RX_MUTED, f);
		return;
	}
	if (!rx_has_room(p, q)) {
		vport_drop_rx(p, VPORT_RX_FULL, f);
		return;
	}
	vport_count(p, VPORT_RX_FRAMES, 1);
	vport_count(p, VPORT_RX_BYTES, f->len);
	q->passed++;
	add(&p->rx_n, 1);
	add(&p->rx_pages, f->pages);
	if (vqueue_put(q, f))
		p->wake(p->arg);
}

/* ---- life ---- */

void vport_init_queues(struct vport *p)
{
	p->queues = 1;
	spin_init(&p->tx.lock, LOCK_NET, "vport tx");
	spin_init(&p->late.lock, LOCK_NET, "vport late");
	for (unsigned i = 0; i < VPORT_QUEUES_MAX; i++)
		spin_init(&p->rx[i].lock, LOCK_NET, "vport rx");
}

static void drop_rx_from(struct vport *p, unsigned queue)
{
	struct vframe *f;

	for (unsigned i = queue; i < VPORT_QUEUES_MAX; i++)
		while ((f = take_rx(p, i)))
			vframe_free(f);
}

static void drop_all(struct vqueue *q)
{
	struct vframe *f;

	while ((f = vqueue_take(q)))
		vframe_free(f);
}

void vport_set_queues(struct vport *p, unsigned queues)
{
	__atomic_store_n(&p->queues, queues, __ATOMIC_SEQ_CST);
	drop_rx_from(p, queues);
}

void vport_drop_all(struct vport *p)
{
	drop_all(&p->tx);
	drop_all(&p->late);
	drop_rx_from(p, 0);
}
