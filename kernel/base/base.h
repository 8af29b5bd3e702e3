/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of kernel/base share with each other and with main.c: set-up
 * calls in boot order, and the world structure.
 *
 * Letters of struct world: [const] after create, [own] by the world itself or,
 * while it does not run, by whoever took it off its queue; [q] under the guard
 * of the wait queue it is on; [rq] under the lock of the run queue it is on;
 * [all] under the list's lock; [atom] atomic.
 */
#ifndef KERNEL_BASE_BASE_H
#define KERNEL_BASE_BASE_H

#include <tern/page.h>
#include <tern/timer.h>
#include <tern/world.h>

struct bootinfo;
struct ctx;

/* page_init.c: frames and the allocator, from the loader's memory map. */
void page_init(const struct bootinfo *bi);
/* Gives the loader's own memory back; bi is gone after this. */
void page_reclaim_loader(void);
/* page.c: adds free memory; for page_init.c and tests. */
void page_setup(struct frame *frames, uint64_t count);
void page_add(uint64_t first_pfn, uint64_t count);
/* A bit per frame, all set: pages are cleared at their first allocation (see page.c). */
void page_set_fresh(uint64_t *bitmap);
void page_account(enum frame_owner owner, uint64_t pages);

/* arena.c: memory that only grows upwards. */
struct arena {
	char *next, *end;
};
/* So many bytes more, behind all that were given before; NULL. Who calls has a lock of his own. */
void *arena_grow(struct arena *a, size_t bytes);

/* bootfs.c: keeps files and tern.conf. */
void bootfs_init(const struct bootinfo *bi);

void sched_init(void);		/* this CPU only; its caller becomes the idle world */
NORETURN void sched_idle(void); /* never returns: the caller's context idles */

#define IRQS_ON 0x200ul /* irq_restore's argument that opens interrupts */
#define WORLD_NAME_MAX 32
#define MUTEX_DEPTH 8
#define QUEUE_NONE (-1)

enum world_state { WORLD_READY, WORLD_RUNNING, WORLD_SLEEPING, WORLD_DEAD };

struct world {
	struct ctx *ctx;		 /* [own] registers while it does not run */
	uint32_t on_cpu;		 /* [atom] its stack is in use */
	uint8_t prio;			 /* [const] */
	uint8_t state;			 /* [own] enum world_state */
	bool detached;			 /* [const] */
	bool wakes_here;		 /* [own] see world_wakes_here */
	bool timed_out;			 /* [q] the timer took it off its queue */
	uint64_t cpus;			 /* [atom] CPUs that it may run on, a bit each */
	uint32_t shares;		 /* [atom] its part of a CPU that others want too */
	uint32_t cpu;			 /* [own] CPU it runs or last ran on */
	int queue;			 /* [rq] CPU on whose queue it is, or QUEUE_NONE */
	struct world *rq_next;		 /* [rq] */
	struct waitq *wq;		 /* [q] queue it sleeps on; NULL once woken */
	struct world *wq_next, *wq_prev; /* [q] */
	struct timer timeout;		 /* [own] */
	uint64_t slice_start_ns;	 /* [own] up to here, run_ns has it */
	int64_t left_ns;		 /* [own] of its turn (turn.c) */
	uint64_t moved_ns;		 /* [own] when it came to this CPU */
	uint64_t ready_since_ns;	 /* [rq] when it was queued last */
	uint64_t run_ns, ready_ns;	 /* [own] on a CPU; waiting for one */
	uint64_t switches;		 /* [own] */
	void (*switch_out)(void *);	 /* [const] */
	void (*switch_in)(void *);	 /* [const] */
	void (*fn)(void *);		 /* [const] */
	void *arg;			 /* [const] */
	uint64_t *stack;      /* [const] bottom, where the canary is; NULL for idle worlds */
	uint32_t stack_order; /* [const] */
	uint32_t mutexes;     /* [own] held */
	uint16_t mutex_level[MUTEX_DEPTH]; /* [own] */
	struct waitq done;		   /* joiners; done.guard guards gone */
	bool gone;			   /* [done] off its stack for ever */
	struct world *all_next, *all_prev; /* [all] */
	char name[WORLD_NAME_MAX];	   /* [const] */
};

/* Makes a world that is on no queue runnable. Any context. */
void sched_ready(struct world *w);
/* Leaves the CPU for good or until sched_ready; interrupts off, no locks held. */
void sched_block(void);
/* A new world's first call, for arch_stack_prepare; arg is the world. */
NORETURN void sched_enter(void *arg);
void turn_first(struct world *w); /* turn.c: a new world's */
/* world.c, called by sched.c off the dead world's stack. */
void world_bury(struct world *w);
void world_check_stack(const struct world *w);

/* waitq.c: readies a new world to sleep. */
void waitq_setup_world(struct world *w);
/* waitq.c: for owners of a queue who hold its guard. */
void waitq_wake_one_locked(struct waitq *q);
void waitq_wake_all_locked(struct waitq *q);

#endif
