/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: cooperative, by priority, on per-CPU run queues (runq.c).
 *
 * Life of a world here: sched_ready puts it on a CPU's queue and wakes that
 * CPU; runq_next takes it off; arch_switch enters it; it leaves by world_yield,
 * which queues it again, or by sched_block, which does not. A world that was
 * woken before it left may be the next one itself.
 *
 * The old world's on_cpu is cleared, and a dead one buried, on the new world's
 * stack (finish_switch). Every CPU's first context becomes its idle world,
 * which runs when nothing else can.
 */
#include <tern/arch.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "runq.h"

#define SLICE_NS (5 * NSEC_PER_MSEC)

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

	if (runq_ahead(rq, self->prio)) {
		runq_add(c->index, self);
		sched_block();
	} else {
		uint64_t now = time_ns();

		c->resched = 0;
		self->run_ns += now - self->slice_start_ns;
		self->slice_start_ns = now;
	}
	irq_restore(flags);
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
	uint32_t ahead = runq_ahead(rq, c->current->prio);

	return ahead && (ahead > 1 || slice_over(rq, c->current));
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
			arch_idle();
		}
	}
}

/*
 * The guest is interrupted, and the vCPU's loop asks world_should_yield. When it has
 * just asked and is about to enter the guest, resched turns it back (struct virt_ops, run).
 */
static void slice_end(struct timer *t)
{
	(void)t;
	this_cpu()->resched = 1;
}

void sched_init(void)
{
	struct percpu *c = this_cpu();
	struct rq *rq = runq_of(c->index);

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
