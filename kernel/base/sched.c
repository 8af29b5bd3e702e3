/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: per-CPU run queues of three priorities, cooperative, with
 * stealing by idle CPUs.
 *
 * Life of a world here: sched_ready puts it on a CPU's queue and wakes that
 * CPU; pick takes it off; arch_switch enters it; it leaves by world_yield,
 * which queues it again, or by sched_block, which does not.
 *
 * Invariants
 *  - A world is on at most one run queue, and only while it does not sleep.
 *    Whoever takes it off its wait queue, and nobody else, calls sched_ready.
 *  - on_cpu is set while the world's stack is in use. A sleeper can be woken
 *    before it has left its stack; it is then queued on the CPU that it is
 *    still on, and stealing passes it over, so nobody enters a stack in use.
 *  - No lost wake-up: a waker queues the world first and looks at the CPU's
 *    idle flag after; a CPU sets its idle flag first and looks at the queues
 *    after, and halts with interrupts off until arch_idle opens them.
 *  - The locks of two run queues are never held together.
 *
 * Every CPU's first context becomes its idle world, which runs when nothing
 * else can.
 */
#include <tern/arch.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "base.h"

#define SLICE_NS (5 * NSEC_PER_MSEC)
#define PRIO_IDLE (-1)

struct rq {
	struct spinlock lock; /* guards first, last, ready, cur_prio */
	struct world *first[WORLD_PRIOS], *last[WORLD_PRIOS];
	uint32_t ready;	    /* bit per priority that has worlds; read without the lock as a hint */
	int cur_prio;	    /* of the world that runs */
	struct world *prev; /* [own] world just left, until finish_switch */
	struct world idle;  /* [own] */
	struct timer slice; /* [own] interrupts the guest at the end of a slice */
} __attribute__((aligned(64)));

#define RQ_INIT                                                                                    \
	{                                                                                          \
		.lock = SPINLOCK_INIT(LOCK_SCHED, "run queue"), .cur_prio = PRIO_IDLE              \
	}
static struct rq rqs[MAX_CPUS] = { [0 ... MAX_CPUS - 1] = RQ_INIT };

static struct rq *rq_of(unsigned cpu)
{
	return &rqs[cpu];
}

static void rq_push(struct rq *rq, struct world *w)
{
	w->rq_next = NULL;
	if (rq->first[w->prio])
		rq->last[w->prio]->rq_next = w;
	else
		rq->first[w->prio] = w;
	rq->last[w->prio] = w;
	__atomic_store_n(&rq->ready, rq->ready | 1u << w->prio, __ATOMIC_RELAXED);
}

static void rq_remove(struct rq *rq, struct world *w, struct world *before)
{
	if (before)
		before->rq_next = w->rq_next;
	else
		rq->first[w->prio] = w->rq_next;
	if (rq->last[w->prio] == w)
		rq->last[w->prio] = before;
	if (!rq->first[w->prio])
		__atomic_store_n(&rq->ready, rq->ready & ~(1u << w->prio), __ATOMIC_RELAXED);
}

/* ---- waking CPUs ---- */

/* Makes an idle CPU look at the queues; true when this caller is the one who did. */
static bool claim_idle(unsigned cpu)
{
	if (!percpu[cpu].idle)
		return false;
	if (!__atomic_exchange_n(&percpu[cpu].idle, 0, __ATOMIC_SEQ_CST))
		return false;
	if (cpu != this_cpu()->index)
		cpu_kick(cpu);
	return true;
}

static bool claim_any_idle(void)
{
	for (unsigned i = 0; i < cpu_count(); i++)
		if (claim_idle(i))
			return true;
	return false;
}

static unsigned choose_cpu(const struct world *w)
{
	if (w->pinned >= 0)
		return (unsigned)w->pinned;
	if (__atomic_load_n(&w->on_cpu, __ATOMIC_ACQUIRE) || percpu[w->cpu].idle)
		return w->cpu;
	if (this_cpu()->idle) /* a handler on an idle CPU: no kick needed */
		return this_cpu()->index;
	for (unsigned i = 0; i < cpu_count(); i++)
		if (percpu[i].idle)
			return i;
	return w->cpu;
}

/* After w was queued on that CPU: who has to know? */
static void notify(unsigned cpu, const struct world *w, int cur_prio, bool first_of_prio)
{
	bool preempts = w->prio > cur_prio;

	/* Queued first, idle flags after: pairs with sched_idle. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (preempts)
		percpu[cpu].resched = 1;
	if (claim_idle(cpu))
		return;
	if ((preempts || (w->prio == cur_prio && first_of_prio)) && cpu != this_cpu()->index)
		cpu_kick(cpu);
	if (w->pinned < 0)
		claim_any_idle(); /* it may steal w */
}

static void enqueue(unsigned cpu, struct world *w)
{
	struct rq *rq = rq_of(cpu);
	unsigned long flags = spin_lock(&rq->lock);
	bool first_of_prio = !rq->first[w->prio];
	int cur_prio = rq->cur_prio;

	w->state = WORLD_READY;
	rq_push(rq, w);
	spin_unlock(&rq->lock, 0);
	notify(cpu, w, cur_prio, first_of_prio);
	irq_restore(flags);
}

void sched_ready(struct world *w)
{
	unsigned long flags = irq_save();

	enqueue(choose_cpu(w), w);
	irq_restore(flags);
}

/* ---- choosing the next world ---- */

static struct world *pick_local(struct rq *rq)
{
	unsigned long flags = spin_lock(&rq->lock);
	struct world *w = NULL;

	this_cpu()->resched = 0;
	for (int p = WORLD_PRIOS - 1; p >= 0 && !w; p--)
		w = rq->first[p];
	if (w)
		rq_remove(rq, w, NULL);
	rq->cur_prio = w ? w->prio : PRIO_IDLE;
	spin_unlock(&rq->lock, flags);
	return w;
}

/* *busy is set when there was a world that only has to leave its stack. */
static struct world *steal_from(struct rq *rq, bool *busy)
{
	unsigned long flags = spin_lock(&rq->lock);
	struct world *found = NULL;

	for (int p = WORLD_PRIOS - 1; p >= 0 && !found; p--) {
		struct world *before = NULL;

		for (struct world *w = rq->first[p]; w; before = w, w = w->rq_next) {
			if (w->pinned >= 0)
				continue;
			if (__atomic_load_n(&w->on_cpu, __ATOMIC_ACQUIRE)) {
				*busy = true;
				continue;
			}
			rq_remove(rq, w, before);
			found = w;
			break;
		}
	}
	spin_unlock(&rq->lock, flags);
	return found;
}

static struct world *steal(struct rq *mine, unsigned self, bool *busy)
{
	for (unsigned i = 1; i < cpu_count(); i++) {
		struct rq *rq = rq_of((self + i) % cpu_count());
		struct world *w;

		if (!__atomic_load_n(&rq->ready, __ATOMIC_RELAXED))
			continue;
		w = steal_from(rq, busy);
		if (w) {
			unsigned long flags = spin_lock(&mine->lock);

			mine->cur_prio = w->prio;
			spin_unlock(&mine->lock, flags);
			return w;
		}
	}
	return NULL;
}

/* ---- switching ---- */

/* First thing on the new stack: the old one is free to be entered elsewhere. */
static void finish_switch(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = c->sched;
	struct world *prev = rq->prev, *self = c->current;
	bool dead = prev->state == WORLD_DEAD;

	__atomic_store_n(&prev->on_cpu, 0, __ATOMIC_RELEASE);
	if (dead)
		world_bury(prev);
	if (self->switch_in)
		self->switch_in(self->arg);
}

static void switch_to(struct world *next)
{
	struct percpu *c = this_cpu();
	struct rq *rq = c->sched;
	struct world *prev = c->current;
	uint64_t now = time_ns();

	world_check_stack(prev);
	if (prev->switch_out)
		prev->switch_out(prev->arg);
	prev->run_ns += now - prev->slice_start_ns;
	rq->prev = prev;
	next->cpu = c->index;
	next->state = WORLD_RUNNING;
	next->slice_start_ns = now;
	next->switches++;
	__atomic_store_n(&next->on_cpu, 1, __ATOMIC_RELAXED);
	c->current = next;
	arch_switch(&prev->ctx, next->ctx);
	finish_switch();
}

void sched_enter(void *arg)
{
	struct world *w = arg;

	finish_switch();
	irq_restore(IRQS_ON);
	w->fn(w->arg);
	world_exit();
}

void sched_block(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = c->sched;
	struct world *self = c->current, *next;
	bool busy = false;

	tern_assert(self != &rq->idle && !c->spin_depth && !c->irq_depth);
	next = pick_local(rq);
	if (!next)
		next = steal(rq, c->index, &busy);
	if (!next)
		next = &rq->idle;
	if (next == self)
		self->state = WORLD_RUNNING; /* woken before it left */
	else
		switch_to(next);
}

void world_yield(void)
{
	unsigned long flags = irq_save();
	struct percpu *c = this_cpu();
	struct rq *rq = c->sched;
	struct world *self = c->current;

	if (__atomic_load_n(&rq->ready, __ATOMIC_RELAXED) >> self->prio) {
		enqueue(c->index, self);
		sched_block();
	} else {
		uint64_t now = time_ns();

		c->resched = 0;
		self->run_ns += now - self->slice_start_ns;
		self->slice_start_ns = now;
	}
	irq_restore(flags);
}

/* One of equal priority waits: true once the slice is over, and until then the timer sees to it. */
static bool slice_over(struct rq *rq, const struct world *self)
{
	uint64_t end = self->slice_start_ns + SLICE_NS;

	if (time_ns() >= end)
		return true;
	if (__atomic_load_n(&rq->slice.cpu, __ATOMIC_RELAXED) < 0 || rq->slice.deadline_ns != end)
		timer_arm(&rq->slice, end);
	return false;
}

bool world_should_yield(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = c->sched;
	uint32_t ahead = __atomic_load_n(&rq->ready, __ATOMIC_RELAXED) >> c->current->prio;

	if (!ahead) {
		if (c->resched)
			c->resched = 0; /* what set it was stolen; a newer one kicks as well */
		return false;
	}
	return ahead > 1 || slice_over(rq, c->current);
}

/* ---- idle ---- */

void sched_idle(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = c->sched;

	(void)irq_save();
	for (;;) {
		bool busy = false;
		struct world *w;

		__atomic_store_n(&c->idle, 1, __ATOMIC_SEQ_CST);
		w = pick_local(rq);
		if (!w)
			w = steal(rq, c->index, &busy);
		if (w) {
			__atomic_store_n(&c->idle, 0, __ATOMIC_SEQ_CST);
			switch_to(w);
		} else if (busy) {
			cpu_pause();
		} else {
			arch_idle();
		}
	}
}

/* Being interrupted is all the effect wanted: the vCPU's loop asks world_should_yield. */
static void slice_end(struct timer *t)
{
	(void)t;
	this_cpu()->resched = 1;
}

void sched_init(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = rq_of(c->index);

	timer_setup(&rq->slice, slice_end);
	rq->idle.prio = WORLD_BACKGROUND;
	rq->idle.state = WORLD_RUNNING;
	rq->idle.on_cpu = 1;
	rq->idle.pinned = (int)c->index;
	rq->idle.cpu = c->index;
	__builtin_memcpy(rq->idle.name, "idle", sizeof("idle"));
	c->current = &rq->idle;
	c->sched = rq;
}

void sched_cpu_start(void)
{
	sched_init();
	sched_idle();
}
