/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Worlds' life: creation, exit, join, the list of all worlds.
 *
 * A world's structure and its stack are blocks of pages; the stack's lowest
 * word is a canary that is checked whenever the world leaves a CPU. A dead
 * world is buried by the next one on that CPU, off its stack: a detached one is
 * freed there, another one is marked gone for world_join to free.
 */
#include <errno.h>
#include <string.h>

#include <tern/arch.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "base.h"

#define STACK_DEFAULT (16u << 10)
#define STACK_CANARY 0x6b6361747320646eull

static struct {
	struct spinlock lock; /* guards the list and count */
	struct world *first;
	unsigned count;
} all = { .lock = SPINLOCK_INIT(LOCK_SCHED - 1, "worlds") };

struct world *world_self(void)
{
	return this_cpu()->current;
}

const char *world_name(const struct world *w)
{
	return w ? w->name : "boot";
}

static void list_add(struct world *w)
{
	unsigned long flags = spin_lock(&all.lock);

	w->all_prev = NULL;
	w->all_next = all.first;
	if (all.first)
		all.first->all_prev = w;
	all.first = w;
	all.count++;
	spin_unlock(&all.lock, flags);
}

static void list_remove(struct world *w)
{
	unsigned long flags = spin_lock(&all.lock);

	if (w->all_prev)
		w->all_prev->all_next = w->all_next;
	else
		all.first = w->all_next;
	if (w->all_next)
		w->all_next->all_prev = w->all_prev;
	all.count--;
	spin_unlock(&all.lock, flags);
}

static void world_free(struct world *w)
{
	list_remove(w);
	page_put(ptr_hpa(w->stack));
	page_put(ptr_hpa(w));
}

static unsigned order_for(uint64_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

static int world_alloc(struct world **out, uint32_t stack_size)
{
	unsigned order = order_for(stack_size ? stack_size : STACK_DEFAULT);
	struct world *w;
	hpa_t self, stack;
	int r;

	r = page_alloc(order_for(sizeof(struct world)), PAGE_ZERO, FRAME_KERNEL, &self);
	if (r)
		return r;
	r = page_alloc(order, 0, FRAME_KERNEL, &stack);
	if (r) {
		page_put(self);
		return r;
	}
	w = hpa_ptr(self);
	w->stack = hpa_ptr(stack);
	w->stack_order = order;
	*w->stack = STACK_CANARY;
	*out = w;
	return 0;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	struct world *w;
	int r = world_alloc(&w, o->stack_size);

	if (r)
		return r;
	tern_assert(o->prio < WORLD_PRIOS && o->cpu < (int)cpu_count());
	(void)strncpy(w->name, o->name, WORLD_NAME_MAX - 1);
	w->prio = (uint8_t)o->prio;
	w->cpus = o->cpu >= 0 ? 1ull << o->cpu : o->cpus ? o->cpus : ~0ull;
	w->shares = o->shares ? o->shares : WORLD_SHARES;
	w->queue = QUEUE_NONE;
	turn_first(w);
	w->cpu = o->cpu >= 0 ? (uint32_t)o->cpu : cpu_self();
	w->switch_out = o->switch_out;
	w->switch_in = o->switch_in;
	w->fn = fn;
	w->arg = arg;
	w->detached = !out;
	waitq_init(&w->done, "join");
	waitq_setup_world(w);
	w->ctx = arch_stack_prepare((char *)w->stack + (PAGE_SIZE << w->stack_order), sched_enter,
				    w);
	list_add(w);
	if (out)
		*out = w;
	sched_ready(w);
	return 0;
}

void world_exit(void)
{
	struct world *self = world_self();

	tern_assert(!self->mutexes);
	(void)irq_save();
	self->state = WORLD_DEAD;
	sched_block();
	panic("world %s came back from the dead", self->name);
}

void world_bury(struct world *w)
{
	unsigned long flags;

	if (w->detached) {
		world_free(w);
		return;
	}
	flags = spin_lock(&w->done.guard);
	w->gone = true;
	waitq_wake_all_locked(&w->done);
	spin_unlock(&w->done.guard, flags); /* the last touch: the joiner frees it */
}

void world_join(struct world *w)
{
	unsigned long flags = spin_lock(&w->done.guard);

	while (!w->gone)
		(void)waitq_sleep(&w->done, &w->done.guard, &flags, NEVER_NS);
	spin_unlock(&w->done.guard, flags);
	world_free(w);
}

void world_check_stack(const struct world *w)
{
	if (w->stack && *w->stack != STACK_CANARY)
		panic("world %s overran its stack of %llu KiB", w->name,
		      (unsigned long long)(PAGE_SIZE >> 10) << w->stack_order);
}

static const char *state_name(const struct world *w)
{
	switch (w->state) {
	case WORLD_READY:
		return "ready";
	case WORLD_RUNNING:
		return "running";
	case WORLD_SLEEPING:
		return "sleeping";
	default:
		return "dead";
	}
}

static void world_describe(const struct world *w, struct world_info *info)
{
	uint64_t since = w->slice_start_ns, now = time_ns();

	memcpy(info->name, w->name, sizeof(info->name));
	info->cpu = (int)w->cpu;
	info->run_ns = w->run_ns;
	if (w->state == WORLD_RUNNING && now > since)
		info->run_ns += now - since;
	info->ready_ns = w->ready_ns;
	info->switches = w->switches;
	info->state = state_name(w);
}

unsigned world_list(struct world_info *out, unsigned max)
{
	unsigned long flags = spin_lock(&all.lock);
	unsigned n = 0, count = all.count;

	for (const struct world *w = all.first; w && n < max; w = w->all_next)
		world_describe(w, &out[n++]);
	spin_unlock(&all.lock, flags);
	return count;
}
