/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Turns: how long a world may have a CPU that others of its priority want too,
 * and on which CPU it goes on afterwards.
 *
 * The queues are first come, first served. A turn lasts as long as the world's
 * shares say, 5 ms for the usual 1000; what a world leaves unused when it gives
 * way early it has the next time, and what it overran it lacks, a quarter of a
 * turn left at least. So of one CPU each gets its shares' part. [M. Shreedhar,
 * G. Varghese, "Efficient Fair Queuing using Deficit Round Robin", 1995]
 * Time in which nobody waited counts for nothing; but who was alone for a whole
 * turn gives way at once to who comes.
 *
 * Between CPUs, a world that gives way goes on where the shares that run and wait
 * are fewest, if there are no more with it than here. Three equal ones on two
 * CPUs are so in turns alone and two together. It stays some turns, for the
 * caches' sake.
 */
#include <tern/percpu.h>

#include "runq.h"

#define TURN_NS_PER_SHARE (5 * NSEC_PER_USEC)
#define STAY_NS (20 * NSEC_PER_MSEC)
#define DEBT_TURNS 4

static int64_t quantum_ns(const struct world *w)
{
	return (int64_t)(TURN_NS_PER_SHARE * __atomic_load_n(&w->shares, __ATOMIC_RELAXED));
}

void turn_first(struct world *w)
{
	w->left_ns = quantum_ns(w);
}

bool turn_charge(struct rq *rq, struct world *w, uint64_t now_ns)
{
	uint64_t since_ns = MAX(w->slice_start_ns, rq->wanted_since_ns);

	w->run_ns += now_ns - w->slice_start_ns;
	w->slice_start_ns = now_ns;
	if (runq_ahead(rq, w->prio) && now_ns > since_ns)
		w->left_ns -= (int64_t)(now_ns - since_ns);
	if (w->left_ns > 0)
		return false;
	w->left_ns = MAX(w->left_ns, -DEBT_TURNS * quantum_ns(w)) + quantum_ns(w);
	return true;
}

/* True once the turn is over, and until then the timer sees to it. */
static bool turn_over(struct rq *rq, const struct world *self)
{
	uint64_t end = self->slice_start_ns + (uint64_t)MAX(self->left_ns, quantum_ns(self) / 4);

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

	if (!may_run_on(c->current, c->index))
		return true;
	return ahead && (ahead > 1 || turn_over(rq, c->current));
}

/*
 * The guest is interrupted, and the vCPU's loop asks world_should_yield. When it has
 * just asked and is about to enter the guest, resched turns it back (struct virt_ops, run).
 */
static void turn_end(struct timer *t)
{
	(void)t;
	this_cpu()->resched = 1;
}

void turn_init(struct rq *rq)
{
	timer_setup(&rq->slice, turn_end);
}

unsigned turn_place(const struct world *w, unsigned here)
{
	bool may_stay = may_run_on(w, here);
	uint64_t load, least = may_stay ? runq_load(here, w->prio) : ~0ull;
	unsigned best = here;

	if (may_stay && time_ns() - w->moved_ns < STAY_NS)
		return here;
	for (unsigned i = 1; i < cpu_count(); i++) {
		unsigned cpu = (here + i) % cpu_count();

		if (!may_run_on(w, cpu))
			continue;
		load = runq_load(cpu, w->prio) + w->shares;
		if (load < least || (load == least && best == here)) {
			least = load;
			best = cpu;
		}
	}
	return best;
}

void world_set_cpus(struct world *w, uint64_t cpus)
{
	__atomic_store_n(&w->cpus, cpus, __ATOMIC_RELAXED);
}

void world_set_shares(struct world *w, uint32_t shares)
{
	__atomic_store_n(&w->shares, shares, __ATOMIC_RELAXED);
}

bool world_waits(const struct world *w)
{
	return __atomic_load_n(&w->queue, __ATOMIC_RELAXED) != QUEUE_NONE;
}

bool world_wanted(void)
{
	const struct percpu *c = this_cpu();

	return runq_ahead(c->sched, c->current->prio) != 0;
}

uint64_t world_ready_since_ns(void)
{
	return this_cpu()->current->ready_since_ns;
}
