/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events: a latch on a wait queue. The latch is guarded by the queue's own
 * guard, so that a waiter may own the event on its stack: the signaller's last
 * touch of it is the unlock.
 */
#include <errno.h>

#include "base.h"

void event_init(struct event *e, const char *name)
{
	waitq_init(&e->q, name);
	e->set = 0;
}

void event_signal(struct event *e)
{
	unsigned long flags = spin_lock(&e->q.guard);

	e->set = 1;
	waitq_wake_one_locked(&e->q);
	spin_unlock(&e->q.guard, flags);
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	unsigned long flags = spin_lock(&e->q.guard);
	int r = 0;

	while (!e->set && r != -ETIMEDOUT)
		r = waitq_sleep(&e->q, &e->q.guard, &flags, deadline_ns);
	if (e->set) {
		e->set = 0;
		r = 0;
	}
	spin_unlock(&e->q.guard, flags);
	return r;
}
