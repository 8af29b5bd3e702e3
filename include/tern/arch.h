/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/base and kernel/main.c ask of the architecture beyond cpu.h,
 * irq.h, timer.h and acpi.h; and, at the end, what the architecture calls back.
 *
 * Order at boot, all on the boot CPU, interrupts off:
 *   arch_early_init(bi)  per-CPU data, GDT, IDT, CPU identity; takes the AP start
 *                        page out of bi's memory map. The console may start after it.
 *   page allocator, heap, bootfs and config (base)
 *   arch_init(bi)        final page tables, ACPI, clock, LAPIC, IOAPIC; the 1:1 map
 *                        is gone after it: reach bi by hpa_ptr(). Enables interrupts.
 *   scheduler for this CPU (base)
 *   arch_smp_start()     starts the other CPUs; each calls sched_cpu_start().
 */
#ifndef TERN_ARCH_H
#define TERN_ARCH_H

#include <tern/types.h>

struct bootinfo;
struct ctx; /* a suspended world's registers, on its stack */

void arch_early_init(struct bootinfo *bi);
void arch_init(struct bootinfo *bi);
void arch_smp_start(void);

/* Interrupts off at call and at return; on in between, and halted until one comes. */
void arch_idle(void);

/* Saves callee-saved registers and *from, continues at to. Interrupts off. */
void arch_switch(struct ctx **from, struct ctx *to);
/* First arch_switch to the result calls entry(arg), which never returns, with interrupts off. */
struct ctx *arch_stack_prepare(void *stack_top, void (*entry)(void *), void *arg);
/* Boot CPU's first stack: [bottom, top). */
void arch_boot_stack(uint64_t *bottom, uint64_t *top);

/* One-shot on this CPU: timer_interrupt() at or after the deadline. NEVER_NS disarms. */
void arch_timer_set(uint64_t deadline_ns);

/* Panic: stops the other CPUs by NMI, once; false when another CPU is already at it. */
bool arch_panic_begin(void);
bool arch_in_panic(void); /* console drivers poll and take no locks then */
/* Writes registers of the exception (or of here) by console_write. */
void arch_dump_regs(void);
/* Return addresses by frame pointers, from the exception or from here; how many. */
unsigned arch_backtrace(uint64_t *addrs, unsigned max);
NORETURN void arch_halt(void);

/* Host power. arch_power_off returns -ENODEV where the machine has no way known. */
NORETURN void arch_reset(void);
int arch_power_off(void);

/* ---- called by the architecture, implemented by kernel/base ---- */

/* Timer interrupt on this CPU; interrupt context. */
void timer_interrupt(void);
/* A started CPU's first and last call; on its own 16 KiB stack, interrupts off. */
NORETURN void sched_cpu_start(void);

#endif
