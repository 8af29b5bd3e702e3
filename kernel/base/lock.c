/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks with levels.
 *
 * A spinlock keeps interrupts off while it is held, so that a handler can take
 * it as well. Each CPU remembers the levels it holds, innermost last; taking a
 * lock whose level is not above the innermost is a broken invariant (it could
 * deadlock with a CPU that takes the two the other way round) and panics. The
 * memory of levels is only touched by its own CPU with interrupts off.
 */
#include <tern/arch.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/percpu.h>

void spin_init(struct spinlock *l, enum lock_level level, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint16_t)level, name);
}

#if TERN_DEBUG
#define HELD_MAX 16

struct held {
	uint16_t level[HELD_MAX]; /* percpu.spin_depth of them */
} __attribute__((aligned(64)));

static struct held held[MAX_CPUS]; /* [own] of each CPU */

static void held_push(struct percpu *c, const struct spinlock *l)
{
	uint16_t *level = held[c->index].level;

	if (c->spin_depth && level[c->spin_depth - 1] >= l->level && !arch_in_panic())
		panic("lock order: %s (level %u) taken under level %u", l->name, l->level,
		      level[c->spin_depth - 1]);
	if (c->spin_depth >= HELD_MAX)
		panic("lock order: %s is one lock too many", l->name);
	level[c->spin_depth++] = l->level;
}

/* Locks are mostly, but not always, released in reverse order. */
static void held_pop(struct percpu *c, const struct spinlock *l)
{
	uint16_t *level = held[c->index].level;
	uint32_t i = c->spin_depth;

	while (i && level[i - 1] != l->level)
		i--;
	if (!i)
		panic("lock order: %s released but not held", l->name);
	for (; i < c->spin_depth; i++)
		level[i - 1] = level[i];
	c->spin_depth--;
}
#else
static void held_push(struct percpu *c, const struct spinlock *l)
{
	(void)l;
	c->spin_depth++;
}

static void held_pop(struct percpu *c, const struct spinlock *l)
{
	(void)l;
	c->spin_depth--;
}
#endif

unsigned long spin_lock(struct spinlock *l)
{
	unsigned long flags = irq_save();
	struct percpu *c = this_cpu();
	uint32_t mine = 1 + c->index;

	if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == mine)
		panic("lock %s taken twice by CPU %u", l->name, c->index);
	held_push(c, l);
	for (;;) {
		uint32_t free = 0;

		if (__atomic_compare_exchange_n(&l->word, &free, mine, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return flags;
		while (__atomic_load_n(&l->word, __ATOMIC_RELAXED))
			cpu_pause();
	}
}

void spin_unlock(struct spinlock *l, unsigned long flags)
{
	struct percpu *c = this_cpu();

	if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) != 1 + c->index)
		panic("lock %s released by CPU %u which does not hold it", l->name, c->index);
	held_pop(c, l);
	__atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

bool spin_held(const struct spinlock *l)
{
	return __atomic_load_n(&l->word, __ATOMIC_RELAXED) == 1 + this_cpu()->index;
}
