/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks. Two kinds: a spinlock (interrupts off while held, usable in interrupt
 * handlers, held for microseconds) and a mutex (the world sleeps; never in
 * handlers, never across VM entry or a device or stream wait).
 *
 * Every lock has a level; a CPU (spinlocks) or world (mutexes) may take only
 * locks of a higher level than those it holds. Debug builds, which are the
 * default, check it and panic. A lock's definition lists what it guards.
 */
#ifndef TERN_LOCK_H
#define TERN_LOCK_H

#include <tern/types.h>

/* Spinlock levels, outermost first. Leave gaps. */
enum lock_level {
	LOCK_MIG = 10,
	LOCK_MIG_DISKS = 12, /* contents of disks that come */
	LOCK_HOME_EDIT = 15, /* a description is read, changed, written */
	LOCK_VM = 20,
	LOCK_HOME = 25, /* a description's file */
	LOCK_VDEV = 30,
	LOCK_GMEM = 40,
	LOCK_SLAT = 50,
	LOCK_NET = 60,
	LOCK_STORE = 65, /* a turn, a datastore, then an open file */
	LOCK_STORE_FILE = 66,
	LOCK_DRIVER = 70,
	LOCK_VTIMER = 75,  /* guest timers that raise interrupts */
	LOCK_IRQCHIP = 80, /* guest interrupt controllers */
	LOCK_WAITQ = 90,
	LOCK_TIMER = 95,
	LOCK_SCHED = 100,
	LOCK_HEAP = 105,   /* takes pages */
	LOCK_HOSTPT = 105, /* mmio_map */
	LOCK_PAGE = 110,
	LOCK_LOG = 130,
	LOCK_CONSOLE = 140, /* whole lines to all sinks */
	LOCK_SINK = 150,    /* a console sink's own lock */
};

struct spinlock {
	uint32_t word; /* [atom] 0 free, 1 + cpu held */
	uint16_t level;
	uint16_t pad;
	const char *name;
};

#define SPINLOCK_INIT(lvl, nm)                                                                     \
	{                                                                                          \
		.level = (lvl), .name = (nm)                                                       \
	}

void spin_init(struct spinlock *l, enum lock_level level, const char *name);
/* Takes the lock, interrupts off; the result goes to the matching spin_unlock. */
MUST_CHECK unsigned long spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l, unsigned long flags);
/* True when this CPU holds it: for assertions in _locked() functions. */
bool spin_held(const struct spinlock *l);

struct world;
struct mutex {
	struct spinlock guard; /* guards owner and waiters */
	struct world *owner;
	struct world *first, *last; /* waiters, FIFO */
	uint16_t level;
};

void mutex_init(struct mutex *m, enum lock_level level, const char *name);
void mutex_lock(struct mutex *m);
MUST_CHECK bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m);

#endif
