/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-CPU data, reached through the GS base, which stays valid in every host
 * context (handlers and NMI included). One array for all CPUs, so that others
 * may look at the fields marked [any].
 *
 * A world may move to another CPU only where it yields or sleeps, so
 * this_cpu() is good until then.
 */
#ifndef TERN_PERCPU_H
#define TERN_PERCPU_H

#include <tern/cpu.h>
#include <tern/types.h>

struct world;
struct trap_frame;
struct arch_cpu;

struct percpu {
	struct percpu *self;	       /* 0x00 [const] */
	struct world *current;	       /* 0x08 [own, base] world that runs here */
	uint32_t index;		       /* 0x10 [const] */
	uint32_t irq_depth;	       /* 0x14 [own, arch] > 0 in interrupt handlers */
	uint32_t apic_id;	       /* 0x18 [const] */
	uint32_t spin_depth;	       /* 0x1c [own, base] spinlocks held */
	volatile uint32_t idle;	       /* 0x20 [any, base] in or about to enter arch_idle */
	volatile uint32_t resched;     /* 0x24 [any, base] look at the queues at the next chance */
	volatile uint32_t in_guest;    /* 0x28 [any, backend] between VM entry and exit */
	volatile uint32_t online;      /* 0x2c [any, arch] */
	void *virt;		       /* 0x30 [own, backend] */
	void *sched;		       /* 0x38 [own, base] scheduler's own data */
	struct arch_cpu *arch;	       /* 0x40 [own, arch] GDT, TSS, stacks, vector table */
	const struct trap_frame *trap; /* 0x48 [own, arch] exception being reported */
	uint64_t irqs;		       /* 0x50 [own, arch] interrupts taken */
	uint64_t nmis;		       /* 0x58 [own, arch] */
	uint64_t kicks;		       /* 0x60 [own, arch] sent to other CPUs */
	uint64_t halts;		       /* 0x68 [own, base] times it had nothing to run */
	uint64_t switches;	       /* 0x70 [own, base] from one world to another */
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct percpu, current) == 0x08, "used by assembly");
_Static_assert(offsetof(struct percpu, irq_depth) == 0x14, "used by assembly");

extern struct percpu percpu[MAX_CPUS];

static inline struct percpu *this_cpu(void)
{
	struct percpu *p;
	__asm__ volatile("movq %%gs:0, %0" : "=r"(p));
	return p;
}

static inline bool in_interrupt(void)
{
	return this_cpu()->irq_depth != 0;
}

#endif
