/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for testing kernel/base on the build host: each CPU is a thread,
 * each world an ucontext on it. Interrupts (kicks and the one-shot timer) are
 * taken where the code under test opens interrupts, and in arch_idle.
 *
 * It stands in for tern/cpu.h and tern/percpu.h: include it first, then the
 * sources under test, in one program.
 */
#ifndef TEST_FAKE_CPU_H
#define TEST_FAKE_CPU_H

#define _GNU_SOURCE
#define TERN_CPU_H
#define TERN_PERCPU_H

#include <errno.h>
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include <tern/arch.h>
#include <tern/page.h>
#include <tern/timer.h>
#include <tern/types.h>

#define MAX_CPUS 4
#define IF_FLAG 0x200ul

struct world;

struct percpu {
	struct world *current;
	uint32_t index, irq_depth, spin_depth;
	volatile uint32_t idle, resched;
	uint64_t kicks, halts, switches;
	void *sched;
	/* the fake's own */
	bool irqs_on;
	uint64_t deadline_ns;
	pthread_mutex_t lock; /* guards kicked */
	pthread_cond_t wake;
	bool kicked;
};

static struct percpu percpu[MAX_CPUS];
static unsigned fake_cpus;
static __thread struct percpu *fake_self;
static uint64_t fake_interrupts, fake_kicks;

/* Not inlined: a world comes back from a switch on another thread. */
static __attribute__((noinline)) struct percpu *this_cpu(void)
{
	__asm__ volatile("" ::: "memory");
	return fake_self;
}

static inline bool in_interrupt(void)
{
	return this_cpu()->irq_depth != 0;
}

static inline unsigned cpu_self(void)
{
	return this_cpu()->index;
}

static inline unsigned cpu_count(void)
{
	return fake_cpus;
}

static inline void cpu_pause(void)
{
	sched_yield();
}

uint64_t time_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* ---- interrupts ---- */

static bool fake_pending(struct percpu *c)
{
	bool pending;

	pthread_mutex_lock(&c->lock);
	pending = c->kicked;
	c->kicked = false;
	pthread_mutex_unlock(&c->lock);
	return pending;
}

static void fake_deliver(void)
{
	struct percpu *c = this_cpu();

	while (fake_pending(c) || c->deadline_ns <= time_ns()) {
		__atomic_fetch_add(&fake_interrupts, 1, __ATOMIC_RELAXED);
		c->irqs_on = false;
		c->irq_depth++;
		if (c->deadline_ns <= time_ns()) {
			c->deadline_ns = NEVER_NS;
			timer_interrupt();
		}
		c->irq_depth--;
		c->irqs_on = true;
	}
}

static inline unsigned long irq_save(void)
{
	struct percpu *c = this_cpu();
	unsigned long was = c->irqs_on ? IF_FLAG : 0;

	c->irqs_on = false;
	return was;
}

static inline void irq_restore(unsigned long flags)
{
	if (!(flags & IF_FLAG))
		return;
	this_cpu()->irqs_on = true;
	fake_deliver();
}

static inline void cpu_kick(unsigned cpu)
{
	struct percpu *c = &percpu[cpu];

	__atomic_fetch_add(&fake_kicks, 1, __ATOMIC_RELAXED);
	this_cpu()->kicks++;
	pthread_mutex_lock(&c->lock);
	c->kicked = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void arch_timer_set(uint64_t deadline_ns)
{
	this_cpu()->deadline_ns = deadline_ns;
}

void arch_idle(void)
{
	struct percpu *c = this_cpu();
	struct timespec until = { .tv_sec = 1ll << 40 };

	if (c->deadline_ns != NEVER_NS)
		until = (struct timespec){ .tv_sec = (time_t)(c->deadline_ns / NSEC_PER_SEC),
					   .tv_nsec = (long)(c->deadline_ns % NSEC_PER_SEC) };
	pthread_mutex_lock(&c->lock);
	while (!c->kicked && c->deadline_ns > time_ns())
		(void)pthread_cond_timedwait(&c->wake, &c->lock, &until);
	pthread_mutex_unlock(&c->lock);
	c->irqs_on = true;
	fake_deliver();
	c->irqs_on = false;
}

bool arch_in_panic(void)
{
	return false;
}

/* ---- contexts ---- */

struct ctx {
	ucontext_t uc;
	void *shadow; /* AddressSanitizer's */
	const void *bottom;
	size_t size;
	void (*entry)(void *);
	void *arg;
};

static __thread const void *came_bottom;
static __thread size_t came_size;

static __attribute__((noinline)) void fake_arrived(void *shadow)
{
	__sanitizer_finish_switch_fiber(shadow, &came_bottom, &came_size);
}

static void fake_entry(unsigned high, unsigned low)
{
	struct ctx *c = (struct ctx *)((uint64_t)high << 32 | low);

	fake_arrived(NULL);
	c->entry(c->arg);
	abort();
}

/* The context lies below the top of the stack, as a real one does. */
struct ctx *arch_stack_prepare(void *stack_top, void (*entry)(void *), void *arg)
{
	struct ctx *c = (struct ctx *)((char *)stack_top - ALIGN_UP(sizeof(struct ctx), 64));
	char *bottom = (char *)ALIGN_DOWN((uint64_t)stack_top - 1, 64 << 10);

	memset(c, 0, sizeof(*c));
	c->bottom = bottom;
	c->size = (size_t)((char *)c - bottom);
	c->entry = entry;
	c->arg = arg;
	getcontext(&c->uc);
	c->uc.uc_stack.ss_sp = bottom;
	c->uc.uc_stack.ss_size = c->size;
	makecontext(&c->uc, (void (*)(void))fake_entry, 2, (unsigned)((uint64_t)c >> 32),
		    (unsigned)(uint64_t)c);
	return c;
}

static void fake_bounds(struct ctx *c)
{
	char *here = __builtin_frame_address(0);
	pthread_attr_t a;
	void *bottom;

	pthread_getattr_np(pthread_self(), &a);
	pthread_attr_getstack(&a, &bottom, &c->size);
	pthread_attr_destroy(&a);
	c->bottom = bottom;
	if (here >= (char *)bottom && here < (char *)bottom + c->size)
		return;						  /* a CPU's own stack */
	c->bottom = (void *)ALIGN_DOWN((uint64_t)here, 64 << 10); /* a world's, 64 KiB aligned */
	c->size = 64 << 10;
}

__attribute__((noinline)) void arch_switch(struct ctx **from, struct ctx *to)
{
	struct ctx self;

	fake_bounds(&self);
	*from = &self;
	__sanitizer_start_switch_fiber(&self.shadow, to->bottom, to->size);
	swapcontext(&self.uc, &to->uc);
	fake_arrived(self.shadow);
}

/* ---- memory: 64 KiB aligned, whatever is asked for ---- */

static uint64_t fake_blocks;

void page_clear(void *p)
{
	memset(p, 0, PAGE_SIZE);
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p = aligned_alloc(64 << 10, 64 << 10);

	(void)order;
	(void)owner;
	(void)flags;
	if (!p)
		return -ENOMEM;
	memset(p, 0, 64 << 10);
	__atomic_fetch_add(&fake_blocks, 1, __ATOMIC_RELAXED);
	*out = ptr_hpa(p);
	return 0;
}

void page_put(hpa_t block)
{
	__atomic_fetch_sub(&fake_blocks, 1, __ATOMIC_RELAXED);
	free(hpa_ptr(block));
}

static void fake_cpu_init(unsigned index)
{
	struct percpu *c = &percpu[index];
	pthread_condattr_t a;

	memset(c, 0, sizeof(*c));
	c->index = index;
	c->deadline_ns = NEVER_NS;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &a);
}

#endif
