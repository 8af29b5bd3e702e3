/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mutexes: the world sleeps until it owns. Ownership is handed to the first
 * waiter at unlock, so that waiters are served in order and none starves.
 *
 * Levels are checked per world as those of spinlocks are per CPU. No spinlock
 * may be held when a mutex is taken.
 */
#include <tern/log.h>
#include <tern/percpu.h>

#include "base.h"

void mutex_init(struct mutex *m, enum lock_level level, const char *name)
{
	spin_init(&m->guard, LOCK_WAITQ, name);
	m->owner = NULL;
	m->first = m->last = NULL;
	m->level = (uint16_t)level;
}

static void check_order(const struct mutex *m, const struct world *self)
{
	if (this_cpu()->spin_depth || in_interrupt())
		panic("mutex %s taken under a spinlock or in a handler", m->guard.name);
	for (uint32_t i = 0; i < self->mutexes; i++)
		if (self->mutex_level[i] >= m->level)
			panic("lock order: mutex %s (level %u) taken under level %u", m->guard.name,
			      m->level, self->mutex_level[i]);
}

static void remember(const struct mutex *m, struct world *self)
{
	if (self->mutexes >= MUTEX_DEPTH)
		panic("lock order: mutex %s is one too many", m->guard.name);
	self->mutex_level[self->mutexes++] = m->level;
}

static void forget(const struct mutex *m, struct world *self)
{
	uint32_t i = 0;

	while (i < self->mutexes && self->mutex_level[i] != m->level)
		i++;
	tern_assert(i < self->mutexes);
	self->mutex_level[i] = self->mutex_level[--self->mutexes];
}

/* Guard held, interrupts off; comes back owning the mutex. */
static void wait_for_turn(struct mutex *m, struct world *self)
{
	self->wq_next = NULL;
	if (m->first)
		m->last->wq_next = self;
	else
		m->first = self;
	m->last = self;
	self->state = WORLD_SLEEPING;
	spin_unlock(&m->guard, 0);
	sched_block(); /* readied once only, by the unlock that made it owner */
	tern_assert(m->owner == self);
}

void mutex_lock(struct mutex *m)
{
	struct world *self = world_self();
	unsigned long flags;

	check_order(m, self);
	flags = spin_lock(&m->guard);
	if (m->owner == self)
		panic("mutex %s taken twice by %s", m->guard.name, self->name);
	if (m->owner) {
		wait_for_turn(m, self);
		irq_restore(flags);
	} else {
		m->owner = self;
		spin_unlock(&m->guard, flags);
	}
	remember(m, self);
}

bool mutex_trylock(struct mutex *m)
{
	struct world *self = world_self();
	unsigned long flags = spin_lock(&m->guard);
	bool got = !m->owner;

	if (got)
		m->owner = self;
	spin_unlock(&m->guard, flags);
	if (got)
		remember(m, self);
	return got;
}

void mutex_unlock(struct mutex *m)
{
	struct world *self = world_self();
	unsigned long flags = spin_lock(&m->guard);
	struct world *next = m->first;

	if (m->owner != self)
		panic("mutex %s released by %s which does not own it", m->guard.name, self->name);
	forget(m, self);
	m->owner = next;
	if (next) {
		m->first = next->wq_next;
		sched_ready(next);
	}
	spin_unlock(&m->guard, flags);
}

bool mutex_held(const struct mutex *m)
{
	return m->owner == world_self();
}
