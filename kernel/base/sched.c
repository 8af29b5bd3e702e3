/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: cooperative, by priority, on per-CPU run queues (runq.c).
 *
 * Life of a world here: sched_ready puts it on a CPU's queue and wakes that
 * CPU; runq_next takes it off; arch_switch enters it; it leaves by world_yield,
 * which queues it again, or by sched_block, which does not. A world that was
 * woken before it left may be the next one itself. How long it may stay, and on
 * which CPU it goes on, is turn.c's.
 *
 * The old world's on_cpu is cleared, a dead one buried, and one that moves queued
 * on its other CPU, on the new world's stack (finish_switch). Every CPU's first
 * context becomes its idle world, which runs when nothing else can.
 */
#include <tern/arch.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "runq.h"

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
	if (rq->prev_to != QUEUE_NONE)
		runq_add((unsigned)rq->prev_to, prev);
	rq->prev_to = QUEUE_NONE;
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
	rq->prev = prev;
	if (next->cpu != c->index)
		next->moved_ns = now;
	next->cpu = c->index;
	next->state = WORLD_RUNNING;
	next->slice_start_ns = now;
	next->ready_ns += now - next->ready_since_ns;
	next->switches++;
	c->switches++;
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
	(void)turn_charge(rq, self, time_ns());
	next = runq_next(rq, &busy);
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

	if (runq_ahead(rq, self->prio) || !may_run_on(self, c->index)) {
		unsigned to = turn_place(self, c->index);

		if (to == c->index)
			runq_add(to, self);
		else
			rq->prev_to = (int)to; /* nobody may take it while its stack is in use */
		sched_block();
	} else {
		c->resched = 0;
		(void)turn_charge(rq, self, time_ns());
	}
	irq_restore(flags);
}

/* The two change places, turns included: nobody else waits longer or shorter for it. */
static void trade_places(struct world *self, struct world *w)
{
	int64_t left = self->left_ns;

	self->left_ns = w->left_ns;
	w->left_ns = left;
	runq_add(self->cpu, self);
	switch_to(w);
}

bool world_yield_to(struct world *w)
{
	unsigned long flags = irq_save();
	struct rq *rq = this_cpu()->sched;
	struct world *self = this_cpu()->current;
	bool given = false;

	if (!world_should_yield() && !turn_charge(rq, self, time_ns()) && runq_take(rq, w)) {
		trade_places(self, w);
		given = true;
	}
	irq_restore(flags);
	return given;
}

void world_wakes_here(bool on)
{
	world_self()->wakes_here = on;
}

void world_share(void)
{
	unsigned long flags = irq_save();

	if (runq_ahead(this_cpu()->sched, 0))
		runq_share();
	irq_restore(flags);
}

void sched_stats(struct sched_stats *out)
{
	*out = (struct sched_stats){ 0 };
	for (unsigned i = 0; i < cpu_count(); i++) {
		out->switches += __atomic_load_n(&percpu[i].switches, __ATOMIC_RELAXED);
		out->halts += __atomic_load_n(&percpu[i].halts, __ATOMIC_RELAXED);
		out->kicks += __atomic_load_n(&percpu[i].kicks, __ATOMIC_RELAXED);
	}
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
		w = runq_next(rq, &busy);
		if (w) {
			__atomic_store_n(&c->idle, 0, __ATOMIC_SEQ_CST);
			switch_to(w);
		} else if (busy) {
			cpu_pause();
		} else {
			c->halts++;
			arch_idle();
		}
	}
}

void sched_init(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = runq_of(c->index);

	turn_init(rq);
	rq->prev_to = QUEUE_NONE;
	rq->idle.prio = WORLD_BACKGROUND;
	rq->idle.state = WORLD_RUNNING;
	rq->idle.on_cpu = 1;
	rq->idle.cpus = 1ull << c->index;
	rq->idle.queue = QUEUE_NONE;
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
