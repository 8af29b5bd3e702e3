/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of arch/x86_64 only: per-CPU hardware state and set-up calls in boot order.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <tern/irq.h>
#include <tern/percpu.h>
#include <tern/types.h>

struct bootinfo;

/* As traps.S pushes it. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "as traps.S lays it out");

struct tss {
	uint32_t reserved0;
	uint32_t rsp[6]; /* 0x04: rsp0-2 */
	uint32_t reserved1[2];
	uint32_t ist[14]; /* 0x24: ist1-7, low half first */
	uint32_t reserved2[2];
	uint16_t reserved3;
	uint16_t io_map; /* 0x66 */
};
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");
_Static_assert(offsetof(struct tss, ist) == 0x24, "64-bit TSS");

struct irq_slot {
	irq_handler *fn;
	void *arg;
	const char *name;
};

struct ipi_call;

/* One CPU's private part; the AP's lie in allocated pages with its stacks. */
struct arch_cpu {
	uint64_t gdt[5]; /* null, code, data, TSS (two) */
	struct tss tss;
	uint64_t timer_deadline_ns; /* [own] */
	struct ipi_call *calls;	    /* [atom] cross calls to run */
	void *fpu_area;		    /* [own] fpu_begin's */
	bool fpu_busy;		    /* [own] */
	struct irq_slot irqs[256];  /* [irq_lock]; fn read by the own CPU without it */
};

extern char boot_stack[];
extern char trap_stubs[];

/* desc.c: descriptor tables and control registers of this CPU. */
struct cpu_stacks {
	void *nmi_top, *double_fault_top, *machine_check_top;
};
void desc_load(struct percpu *c, struct arch_cpu *a, const struct cpu_stacks *s);
void desc_build_idt(void);
void cpu_control_setup(void);

/* ident.c */
void ident_init(void);

/* hostpt.c, mmio.c */
void hostpt_init(const struct bootinfo *bi);
uint64_t hostpt_cr3(void);
/* Pointer to physical memory of firmware's: direct map where it reaches, else mapped for good. */
const void *hostpt_firmware(uint64_t phys, uint64_t size);
/* CR3 below 4 GiB with page 1:1 executable beside the kernel's map. 0 when out of memory. */
uint64_t hostpt_tramp_open(hpa_t page);
void hostpt_tramp_close(uint64_t cr3);

/* irq.c */
void irq_init(void);
void irq_dispatch(const struct trap_frame *f);

/* ipi.c: cross calls waiting for this CPU. */
void ipi_run_calls(void);

/* fpu.c */
void fpu_cpu_init(void);

/* clock.c */
void clock_init(uint64_t boot_tsc);
void clock_set_khz(uint32_t khz);
void clock_read_rtc(void);
/* calibrate.c: TSC and, where there is no TSC-deadline timer, the LAPIC timer. */
void calibrate(uint32_t *tsc_khz_out, uint32_t *lapic_khz_out);
/* The LAPIC timer's frequency, 0 in TSC-deadline mode. */
uint32_t clock_lapic_khz(void);

/* smp.c: takes the start page out of the memory map. */
void smp_reserve_page(struct bootinfo *bi);

/* dump.c */
NORETURN void trap_panic(const struct trap_frame *f);

#endif
