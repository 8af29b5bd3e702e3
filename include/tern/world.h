/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Worlds: Tern's kernel threads. Every vCPU is one, so are the network owner,
 * migration workers, the shell. Scheduling is cooperative, by priority, with
 * per-CPU queues and stealing by idle CPUs; equal priorities take turns at
 * world_yield, as long as their shares say. Only interrupt handlers interrupt a
 * world.
 *
 * Interface in order of use: world_create; in the world: world_yield (or
 * world_should_yield at natural batches), waitq_sleep / event_wait; from
 * anywhere, handlers too: waitq_wake, event_signal; at the end: world_exit or
 * return, and world_join by whoever made it.
 */
#ifndef TERN_WORLD_H
#define TERN_WORLD_H

#include <tern/lock.h>
#include <tern/types.h>

enum world_prio {
	WORLD_BACKGROUND,
	WORLD_NORMAL, /* vCPUs, shell, migration */
	WORLD_HIGH,   /* network owner, migration with -hipri */
	WORLD_PRIOS
};

/* Of a CPU that several worlds of one priority want, each gets its shares' part. */
#define WORLD_SHARES 1000u
#define WORLD_SHARES_MIN 100u
#define WORLD_SHARES_MAX 10000u

struct world;

struct world_opts {
	const char *name; /* copied, at most 31 characters */
	enum world_prio prio;
	int cpu;	     /* pinned there, or -1 */
	uint64_t cpus;	     /* with cpu -1: a bit for each that it may run on, 0 = all */
	uint32_t shares;     /* 0 = WORLD_SHARES */
	uint32_t stack_size; /* bytes, 0 = 16 KiB */
	/* Called with interrupts off when the world leaves / takes a CPU; may be NULL (vCPU state).
	 */
	void (*switch_out)(void *arg);
	void (*switch_in)(void *arg);
};

/* Runs fn(arg) in a new world. -ENOMEM. *out may be joined once; pass NULL to detach. */
MUST_CHECK int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *),
			    void *arg);
void world_join(struct world *w);
NORETURN void world_exit(void);
struct world *world_self(void); /* never NULL once scheduling runs */
const char *world_name(const struct world *w);
void world_yield(void);
/* Cheap: something of equal or higher priority has waited its turn (slice over) or a higher one is
 * ready. */
bool world_should_yield(void);
void world_sleep_ns(uint64_t ns);
/*
 * Gives the rest of this turn to w, which waits for a CPU: w runs here next, and
 * the caller takes w's place as one that waits. False, and nothing done: w does
 * not wait, may not run here, or the turn is over anyway.
 */
bool world_yield_to(struct world *w);
bool world_waits(const struct world *w); /* for a CPU; a hint */
bool world_wanted(void);		 /* another one waits for this CPU; a hint */
/* Both of a world that may run at the time. Where it may no longer be, world_should_yield says. */
void world_set_cpus(struct world *w, uint64_t cpus);
void world_set_shares(struct world *w, uint32_t shares);
/* When the caller was queued for the CPU that it has now. */
uint64_t world_ready_since_ns(void);
/*
 * For a world that is about to sleep: while on, worlds that it wakes run here after
 * it, when nothing else waits here, instead of waking an idle CPU. If it does not
 * sleep after all, world_share() lets idle CPUs take what waits.
 */
void world_wakes_here(bool on);
void world_share(void);

/* Wait queue: sleepers under a spinlock of their owner's. */
struct waitq {
	struct spinlock guard;
	struct world *first, *last;
};

void waitq_init(struct waitq *q, const char *name);
/*
 * Atomically releases l and sleeps until a wake or deadline_ns (time_ns()
 * scale, NEVER_NS for none), then takes l again. flags is what spin_lock(l)
 * returned, and stays valid for the final spin_unlock. 0 or -ETIMEDOUT.
 * Wake-ups may be spurious: re-check the condition in a loop.
 */
int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns);
void waitq_wake_one(struct waitq *q); /* any context */
void waitq_wake_all(struct waitq *q); /* any context */

/* Event: a latch that one or more worlds wait for; event_wait consumes it. */
struct event {
	struct waitq q;
	uint32_t set; /* [q.guard] */
};

void event_init(struct event *e, const char *name);
void event_signal(struct event *e);		       /* any context */
int event_wait(struct event *e, uint64_t deadline_ns); /* 0 or -ETIMEDOUT */

struct world_info {
	char name[32];
	int cpu;	   /* last CPU */
	uint64_t run_ns;   /* time on a CPU since creation */
	uint64_t ready_ns; /* time it waited for one */
	uint64_t switches;
	const char *state; /* "running", "ready", "sleeping" */
};
/* Of all CPUs since the host's start: what a wake-up costs, in counts. */
struct sched_stats {
	uint64_t switches; /* from one world to another */
	uint64_t halts;	   /* a CPU had nothing to run */
	uint64_t kicks;	   /* interrupts from one CPU to another */
};
void sched_stats(struct sched_stats *out);

/* Copies up to max entries; returns how many worlds exist. */
unsigned world_list(struct world_info *out, unsigned max);

#endif
