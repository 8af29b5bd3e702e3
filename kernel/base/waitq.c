/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait queues and sleeping.
 *
 * The hand-over that loses no wake-up: a sleeper puts itself on the queue while
 * it still holds the lock that guards its condition, so a waker that changes
 * the condition under that lock finds it there. It is then readied by exactly
 * one of a waker and its time-out: whoever takes it off the queue under the
 * queue's guard. That it may be readied before it has left its stack is the
 * scheduler's business (sched.c).
 */
#include <errno.h>

#include <tern/arch.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "base.h"

void waitq_init(struct waitq *q, const char *name)
{
	spin_init(&q->guard, LOCK_WAITQ, name);
	q->first = q->last = NULL;
}

static void waitq_add(struct waitq *q, struct world *w)
{
	w->wq_next = NULL;
	w->wq_prev = q->last;
	if (q->last)
		q->last->wq_next = w;
	else
		q->first = w;
	q->last = w;
	w->wq = q;
}

static void waitq_remove(struct waitq *q, struct world *w)
{
	if (w->wq_prev)
		w->wq_prev->wq_next = w->wq_next;
	else
		q->first = w->wq_next;
	if (w->wq_next)
		w->wq_next->wq_prev = w->wq_prev;
	else
		q->last = w->wq_prev;
	__atomic_store_n(&w->wq, NULL, __ATOMIC_RELEASE);
}

/* The sleeper cannot return, and so its queue cannot go, before this callback has. */
static void sleep_timeout(struct timer *t)
{
	struct world *w = container_of(t, struct world, timeout);
	struct waitq *q = __atomic_load_n(&w->wq, __ATOMIC_ACQUIRE);
	unsigned long flags;

	if (!q)
		return;
	flags = spin_lock(&q->guard);
	if (w->wq == q) {
		waitq_remove(q, w);
		w->timed_out = true;
		sched_ready(w);
	}
	spin_unlock(&q->guard, flags);
}

void waitq_setup_world(struct world *w)
{
	timer_setup(&w->timeout, sleep_timeout);
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	struct world *self = world_self();
	bool own_lock = l == &q->guard;
	unsigned long inner = 0;

	if (!own_lock)
		inner = spin_lock(&q->guard);
	self->timed_out = false;
	self->state = WORLD_SLEEPING;
	waitq_add(q, self);
	if (!own_lock)
		spin_unlock(&q->guard, inner);
	spin_unlock(l, 0); /* interrupts stay off until the switch */
	if (deadline_ns != NEVER_NS)
		timer_arm(&self->timeout, deadline_ns);
	sched_block();
	irq_restore(IRQS_ON);
	if (deadline_ns != NEVER_NS)
		(void)timer_cancel(&self->timeout);
	if (!own_lock) { /* the waker has let go of the queue, which may be on our stack */
		inner = spin_lock(&q->guard);
		spin_unlock(&q->guard, inner);
	}
	*flags = spin_lock(l);
	return self->timed_out ? -ETIMEDOUT : 0;
}

void waitq_wake_one_locked(struct waitq *q)
{
	struct world *w = q->first;

	if (!w)
		return;
	waitq_remove(q, w);
	sched_ready(w);
}

void waitq_wake_all_locked(struct waitq *q)
{
	while (q->first)
		waitq_wake_one_locked(q);
}

void waitq_wake_one(struct waitq *q)
{
	unsigned long flags = spin_lock(&q->guard);

	waitq_wake_one_locked(q);
	spin_unlock(&q->guard, flags);
}

void waitq_wake_all(struct waitq *q)
{
	unsigned long flags = spin_lock(&q->guard);

	waitq_wake_all_locked(q);
	spin_unlock(&q->guard, flags);
}

void world_sleep_ns(uint64_t ns)
{
	struct waitq q;
	uint64_t deadline = time_ns() + ns;
	unsigned long flags;

	waitq_init(&q, "sleep");
	flags = spin_lock(&q.guard);
	while (waitq_sleep(&q, &q.guard, &flags, deadline) != -ETIMEDOUT)
		;
	spin_unlock(&q.guard, flags);
}
