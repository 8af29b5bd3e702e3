/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues, between runq.c (which queue, which world, who must know) and
 * sched.c (entering and leaving worlds).
 */
#ifndef KERNEL_BASE_RUNQ_H
#define KERNEL_BASE_RUNQ_H

#include "base.h"

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

struct rq *runq_of(unsigned cpu);
/* Queues w on that CPU and tells whoever must know. w may be gone at return. */
void runq_add(unsigned cpu, struct world *w);
/* Has an idle CPU look at the queues. */
void runq_share(void);
/* Bits of the priorities at or above prio that have worlds waiting here; bit 0 is prio itself. */
uint32_t runq_ahead(const struct rq *rq, unsigned prio);
/*
 * Next world for this CPU, off its queue: from here, else stolen from another
 * CPU; NULL when there is none. *busy: one only had to leave its stack.
 */
struct world *runq_next(struct rq *mine, bool *busy);

#endif
