/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: per-CPU queues, sorted by deadline, on the CPU's one-shot timer.
 *
 * timer.cpu names the queue that the timer is on. It is claimed (-1 -> this
 * CPU) under that CPU's queue lock before the timer is linked, so that of two
 * CPUs arming the same timer at once one takes it off the other's queue again.
 * While a callback runs, the queue's `running` names its timer and no lock is
 * held; timer_cancel waits for it. A callback may arm its timer again or free it.
 */
#include <tern/arch.h>
#include <tern/lock.h>
#include <tern/percpu.h>
#include <tern/timer.h>

struct timer_queue {
	struct spinlock lock; /* guards first and the links */
	struct timer *first;
	struct timer *running; /* [atom] */
} __attribute__((aligned(64)));

#define QUEUE_INIT                                                                                 \
	{                                                                                          \
		.lock = SPINLOCK_INIT(LOCK_TIMER, "timers")                                        \
	}
static struct timer_queue queues[MAX_CPUS] = { [0 ... MAX_CPUS - 1] = QUEUE_INIT };

void timer_setup(struct timer *t, void (*fn)(struct timer *))
{
	t->deadline_ns = NEVER_NS;
	t->fn = fn;
	t->next = t->prev = NULL;
	t->cpu = -1;
}

static void program(const struct timer_queue *q)
{
	arch_timer_set(q->first ? q->first->deadline_ns : NEVER_NS);
}

static void queue_insert(struct timer_queue *q, struct timer *t)
{
	struct timer *before = NULL, *after = q->first;

	while (after && after->deadline_ns <= t->deadline_ns) {
		before = after;
		after = after->next;
	}
	t->prev = before;
	t->next = after;
	if (before)
		before->next = t;
	else
		q->first = t;
	if (after)
		after->prev = t;
}

static void queue_remove(struct timer_queue *q, struct timer *t)
{
	if (t->prev)
		t->prev->next = t->next;
	else
		q->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	__atomic_store_n(&t->cpu, -1, __ATOMIC_RELEASE);
}

/* Takes the timer off whatever queue it is on; true when it was on one. */
static bool dequeue(struct timer *t)
{
	for (;;) {
		int cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
		struct timer_queue *q;
		unsigned long flags;
		bool found;

		if (cpu < 0)
			return false;
		q = &queues[cpu];
		flags = spin_lock(&q->lock);
		found = t->cpu == cpu;
		if (found)
			queue_remove(q, t);
		spin_unlock(&q->lock, flags); /* a remote CPU's timer fires once for nothing */
		if (found)
			return true;
	}
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	unsigned long flags = irq_save(), inner;
	int self = (int)cpu_self(), none = -1;
	struct timer_queue *q = &queues[self];

	for (;;) {
		(void)dequeue(t);
		inner = spin_lock(&q->lock);
		none = -1;
		if (__atomic_compare_exchange_n(&t->cpu, &none, self, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			break;
		spin_unlock(&q->lock, inner);
	}
	t->deadline_ns = deadline_ns;
	queue_insert(q, t);
	if (q->first == t)
		program(q);
	spin_unlock(&q->lock, inner);
	irq_restore(flags);
}

bool timer_cancel(struct timer *t)
{
	bool armed = dequeue(t);

	for (unsigned i = 0; i < cpu_count(); i++)
		while (__atomic_load_n(&queues[i].running, __ATOMIC_SEQ_CST) == t)
			cpu_pause();
	return armed;
}

/* Next timer that is due, off the queue and marked running; none: programs the hardware. */
static struct timer *next_due(struct timer_queue *q)
{
	unsigned long flags = spin_lock(&q->lock);
	struct timer *t = q->first;

	if (t && t->deadline_ns <= time_ns()) {
		__atomic_store_n(&q->running, t, __ATOMIC_SEQ_CST);
		queue_remove(q, t);
	} else {
		t = NULL;
		program(q);
	}
	spin_unlock(&q->lock, flags);
	return t;
}

void timer_interrupt(void)
{
	struct timer_queue *q = &queues[cpu_self()];
	struct timer *t;

	while ((t = next_due(q)) != NULL) {
		t->fn(t);
		__atomic_store_n(&q->running, NULL, __ATOMIC_SEQ_CST);
	}
}
