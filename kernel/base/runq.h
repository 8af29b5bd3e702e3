/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues, between runq.c (which queue, which world, who must know), turn.c
 * (how long, and where next) and sched.c (entering and leaving worlds).
 */
#ifndef KERNEL_BASE_RUNQ_H
#define KERNEL_BASE_RUNQ_H

#include "base.h"

#define PRIO_IDLE (-1)

struct rq {
	struct spinlock lock; /* guards first, last, ready, cur_*, wanted_since_ns */
	struct world *first[WORLD_PRIOS], *last[WORLD_PRIOS];
	uint32_t ready; /* bit per priority that has worlds; read without the lock as a hint */
	int cur_prio;	/* of the world that runs */
	uint32_t cur_shares;
	uint64_t wanted_since_ns; /* others of its priority wait since then, if they do */
	struct world *prev;	  /* [own] world just left, until finish_switch */
	int prev_to;		  /* [own] CPU on whose queue prev goes then, or QUEUE_NONE */
	struct world idle;	  /* [own] */
	struct timer slice;	  /* [own] interrupts the guest at the end of a slice */
} __attribute__((aligned(64)));

struct rq *runq_of(unsigned cpu);
/* Queues w on that CPU and tells whoever must know. w may be gone at return. */
void runq_add(unsigned cpu, struct world *w);
/* Takes w off the queue that it is on, to run on this CPU; false: not on any, or not to be had. */
bool runq_take(struct rq *mine, struct world *w);
/* Shares of the worlds of that priority that run and wait there. */
uint64_t runq_load(unsigned cpu, unsigned prio);
/* Has an idle CPU look at the queues. */
void runq_share(void);
/* Bits of the priorities at or above prio that have worlds waiting here; bit 0 is prio itself. */
uint32_t runq_ahead(const struct rq *rq, unsigned prio);
/*
 * Next world for this CPU, off its queue: from here, else stolen from another
 * CPU; NULL when there is none. *busy: one only had to leave its stack.
 */
struct world *runq_next(struct rq *mine, bool *busy);

static inline bool may_run_on(const struct world *w, unsigned cpu)
{
	return __atomic_load_n(&w->cpus, __ATOMIC_RELAXED) >> cpu & 1;
}

/* turn.c */
/* Counts what w, which leaves rq's CPU or yields there, has used; true: its turn is used up. */
bool turn_charge(struct rq *rq, struct world *w, uint64_t now_ns);
/* CPU on which a world goes on that gives way here at the end of a turn. */
unsigned turn_place(const struct world *w, unsigned here);
void turn_init(struct rq *rq); /* this CPU's */

#endif
