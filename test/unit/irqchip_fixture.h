/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the guest's interrupt controllers share: a machine of two vCPUs with LAPICs,
 * IOAPIC, the 8259 pair and the 8254, and a guest's hands on them. What is sent to vCPUs is noted.
 */
#ifndef TEST_IRQCHIP_FIXTURE_H
#define TEST_IRQCHIP_FIXTURE_H

#include "kernel/vdev/irqchip_int.h"
#include "kernel/vdev/pit_count.h"
#include "test/unit/fake_vdev.h"

#define CPUS 2
#define TSC_PER_NS 2 /* the fake guest's TSC */

extern struct vcpu cpus[2 * CPUS];	   /* of two VMs */
extern unsigned kicks, nmis, inits, sipis; /* a bit for each vCPU */
extern unsigned sipi_vector;

/* With all LAPICs on, by these vCPUs, or by the first of cpus; fake_vm_done ends it. */
struct vm *machine_at(struct vcpu *c);
struct vm *machine(void);
void to_x2(struct vm *vm); /* x2APIC mode, on each vCPU */

/* What a vCPU's instructions do. */
int wrmsr_as(struct vm *vm, unsigned cpu, uint32_t index, uint64_t v);
uint64_t rdmsr_as(struct vm *vm, unsigned cpu, uint32_t index);
void mmio(struct vm *vm, unsigned cpu, unsigned reg, uint32_t v); /* of its LAPIC */
uint32_t mmio_get(struct vm *vm, unsigned cpu, unsigned reg);
/* The vector that a vCPU would take, or takes; -1: none. */
int pending(struct vm *vm, unsigned cpu);
int take(struct vm *vm, unsigned cpu);

void message(struct vm *vm, unsigned dest, unsigned vector); /* an MSI, fixed, physical */
void entry(struct vm *vm, unsigned pin, uint64_t e);	     /* of the IOAPIC */
void pic_start(struct vm *vm); /* vectors from 0x30 and 0x38, by LINT0 of the first vCPU */

#endif
