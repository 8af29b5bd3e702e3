/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues: per CPU, three priorities, first come first served in each;
 * placing of woken worlds, and stealing by idle CPUs.
 *
 * Invariants
 *  - A world is on at most one run queue, and only while it does not sleep.
 *    Whoever takes it off its wait queue, and nobody else, calls sched_ready.
 *  - on_cpu is set while the world's stack is in use. A sleeper can be woken
 *    before it has left its stack; it is then queued on the CPU that it is
 *    still on, and stealing passes it over, so nobody enters a stack in use.
 *  - No lost wake-up: a waker queues the world first and looks at idle flags
 *    after; a CPU sets its idle flag first and looks at the queues after, and
 *    halts with interrupts off until arch_idle opens them.
 *  - The locks of two run queues are never held together.
 *  - A world is entered where its mask of CPUs allows it, but for one whose mask
 *    changed while it was queued: it gives way at its next chance.
 */
#include <tern/percpu.h>

#include "runq.h"

#define RQ_INIT                                                                                    \
	{                                                                                          \
		.lock = SPINLOCK_INIT(LOCK_SCHED, "run queue"), .cur_prio = PRIO_IDLE              \
	}
static struct rq rqs[MAX_CPUS] = { [0 ... MAX_CPUS - 1] = RQ_INIT };

struct rq *runq_of(unsigned cpu)
{
	return &rqs[cpu];
}

uint32_t runq_ahead(const struct rq *rq, unsigned prio)
{
	return __atomic_load_n(&rq->ready, __ATOMIC_RELAXED) >> prio;
}

static void rq_push(struct rq *rq, struct world *w)
{
	w->rq_next = NULL;
	if (rq->first[w->prio])
		rq->last[w->prio]->rq_next = w;
	else
		rq->first[w->prio] = w;
	rq->last[w->prio] = w;
	__atomic_store_n(&w->queue, (int)(rq - rqs), __ATOMIC_RELAXED);
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
	__atomic_store_n(&w->queue, QUEUE_NONE, __ATOMIC_RELAXED);
	if (!rq->first[w->prio])
		__atomic_store_n(&rq->ready, rq->ready & ~(1u << w->prio), __ATOMIC_RELAXED);
}

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

static void claim_any_idle(uint64_t cpus)
{
	for (unsigned i = 0; i < cpu_count(); i++)
		if ((cpus >> i & 1) && claim_idle(i))
			return;
}

/* The waker sleeps next, and nothing else waits for this CPU. */
static bool wakes_here(void)
{
	const struct percpu *c = this_cpu();

	return !c->irq_depth && c->current->wakes_here && !runq_ahead(runq_of(c->index), 0);
}

static unsigned choose_cpu(const struct world *w, bool here)
{
	unsigned self = this_cpu()->index, first = w->cpu;

	if (__atomic_load_n(&w->on_cpu, __ATOMIC_ACQUIRE))
		return w->cpu;
	if ((here || this_cpu()->idle) && may_run_on(w, self)) /* by a handler: no kick needed */
		return self;
	for (unsigned i = 0; i < cpu_count(); i++) {
		unsigned cpu = (w->cpu + i) % cpu_count();

		if (!may_run_on(w, cpu))
			continue;
		if (percpu[cpu].idle)
			return cpu;
		if (!may_run_on(w, first))
			first = cpu;
	}
	return first;
}

/* What a waker saw when it queued a world: the world itself may be gone by now. */
struct queued {
	unsigned cpu;
	int prio, cur_prio;
	bool first_of_prio;
	uint64_t others; /* CPUs that may steal it */
};

static void notify(const struct queued *e)
{
	bool preempts = e->prio > e->cur_prio;
	bool waits_first = e->prio == e->cur_prio && e->first_of_prio; /* begins a slice */

	/* Queued first, idle flags after: pairs with sched_idle. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (preempts || waits_first)
		percpu[e->cpu].resched = 1;
	if (claim_idle(e->cpu))
		return;
	if ((preempts || waits_first) && e->cpu != this_cpu()->index)
		cpu_kick(e->cpu);
	claim_any_idle(e->others);
}

static void add(unsigned cpu, struct world *w, bool here)
{
	struct rq *rq = runq_of(cpu);
	unsigned long flags = spin_lock(&rq->lock);
	struct queued e = { .cpu = cpu,
			    .prio = w->prio,
			    .cur_prio = rq->cur_prio,
			    .first_of_prio = !rq->first[w->prio] };

	if (!here || cpu != this_cpu()->index)
		e.others = __atomic_load_n(&w->cpus, __ATOMIC_RELAXED) & ~(1ull << cpu);
	w->state = WORLD_READY;
	w->ready_since_ns = time_ns();
	if (e.first_of_prio && e.prio == e.cur_prio)
		rq->wanted_since_ns = w->ready_since_ns;
	rq_push(rq, w);
	spin_unlock(&rq->lock, 0);
	notify(&e);
	irq_restore(flags);
}

void runq_add(unsigned cpu, struct world *w)
{
	add(cpu, w, false);
}

void runq_share(void)
{
	claim_any_idle(~0ull);
}

void sched_ready(struct world *w)
{
	unsigned long flags = irq_save();
	bool here = wakes_here();

	add(choose_cpu(w, here), w, here);
	irq_restore(flags);
}

/* Where others wait, the guest is not entered before its turn's end has been seen to (turn.c). */
static void set_current_locked(struct rq *rq, const struct world *w)
{
	this_cpu()->resched = w && rq->ready >> w->prio;
	rq->cur_prio = w ? w->prio : PRIO_IDLE;
	rq->cur_shares = w ? __atomic_load_n(&w->shares, __ATOMIC_RELAXED) : 0;
}

static struct world *pick_local(struct rq *rq)
{
	unsigned long flags = spin_lock(&rq->lock);
	struct world *w = NULL;

	for (int p = WORLD_PRIOS - 1; p >= 0 && !w; p--)
		w = rq->first[p];
	if (w)
		rq_remove(rq, w, NULL);
	set_current_locked(rq, w);
	spin_unlock(&rq->lock, flags);
	return w;
}

/* *busy is set when there was a world that only has to leave its stack. */
static struct world *steal_from(struct rq *rq, unsigned self, bool *busy)
{
	unsigned long flags = spin_lock(&rq->lock);
	struct world *found = NULL;

	for (int p = WORLD_PRIOS - 1; p >= 0 && !found; p--) {
		struct world *before = NULL;

		for (struct world *w = rq->first[p]; w; before = w, w = w->rq_next) {
			if (!may_run_on(w, self))
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
		struct rq *rq = runq_of((self + i) % cpu_count());
		struct world *w;

		if (!__atomic_load_n(&rq->ready, __ATOMIC_RELAXED))
			continue;
		w = steal_from(rq, self, busy);
		if (w) {
			unsigned long flags = spin_lock(&mine->lock);

			set_current_locked(mine, w);
			spin_unlock(&mine->lock, flags);
			return w;
		}
	}
	return NULL;
}

static bool remove_found(struct rq *rq, struct world *w)
{
	struct world *before = NULL;

	for (struct world *i = rq->first[w->prio]; i; before = i, i = i->rq_next)
		if (i == w) {
			rq_remove(rq, w, before);
			return true;
		}
	return false;
}

bool runq_take(struct rq *mine, struct world *w)
{
	int from = __atomic_load_n(&w->queue, __ATOMIC_RELAXED);
	unsigned long flags;
	bool got;

	if (from < 0 || !may_run_on(w, this_cpu()->index))
		return false;
	flags = spin_lock(&runq_of((unsigned)from)->lock);
	got = !__atomic_load_n(&w->on_cpu, __ATOMIC_ACQUIRE) &&
	      remove_found(runq_of((unsigned)from), w);
	spin_unlock(&runq_of((unsigned)from)->lock, flags);
	if (!got)
		return false;
	flags = spin_lock(&mine->lock);
	set_current_locked(mine, w);
	spin_unlock(&mine->lock, flags);
	return true;
}

uint64_t runq_load(unsigned cpu, unsigned prio)
{
	struct rq *rq = runq_of(cpu);
	unsigned long flags = spin_lock(&rq->lock);
	uint64_t load = rq->cur_prio == (int)prio ? rq->cur_shares : 0;

	for (const struct world *w = rq->first[prio]; w; w = w->rq_next)
		load += __atomic_load_n(&w->shares, __ATOMIC_RELAXED);
	spin_unlock(&rq->lock, flags);
	return load;
}

struct world *runq_next(struct rq *mine, bool *busy)
{
	struct world *w = pick_local(mine);

	return w ? w : steal(mine, this_cpu()->index, busy);
}
