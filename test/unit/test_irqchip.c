/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's interrupt controllers as software sees them: priorities and EOI,
 * routing, IPIs, the timer in its three modes, IOAPIC pins, the 8259 pair, the
 * 8254; and all of them after a move.
 */
// SOURCES: kernel/vdev/irqchip.c kernel/vdev/lapic.c kernel/vdev/lapic_state.c
// SOURCES: kernel/vdev/lapic_regs.c kernel/vdev/lapic_mmio.c kernel/vdev/lapic_msr.c
// SOURCES: kernel/vdev/lapic_lend.c kernel/vdev/lapic_word.c kernel/vdev/lapic_timer.c
// SOURCES: kernel/vdev/ioapic.c
// SOURCES: kernel/vdev/pic.c kernel/vdev/pic_model.c kernel/vdev/pit.c kernel/vdev/pit_state.c
// SOURCES: kernel/vdev/pit_count.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/vdev/irqchip_int.h"
#include "kernel/vdev/pit_count.h"
#include "test/unit/fake_vdev.h"

#define CPUS 2
#define TSC_PER_NS 2 /* the fake guest's TSC */

static struct vcpu cpus[2 * CPUS]; /* of two VMs */
static unsigned kicks, nmis, inits, sipis, sipi_vector;

void vcpu_kick(struct vcpu *c)
{
	kicks |= 1u << c->index;
}

void vcpu_send_nmi(struct vcpu *c)
{
	nmis |= 1u << c->index;
}

void vcpu_send_init(struct vcpu *c)
{
	inits |= 1u << c->index;
}

void vcpu_send_sipi(struct vcpu *c, uint8_t vector)
{
	sipis |= 1u << c->index;
	sipi_vector = vector;
}

uint64_t vcpu_tsc_deadline_ns(struct vcpu *c, uint64_t tsc)
{
	uint64_t now = vm_guest_ns(c->vm) * TSC_PER_NS;

	return tsc <= now ? 0 : fake_now_ns + (tsc - now + TSC_PER_NS - 1) / TSC_PER_NS;
}

void vm_msr_add(struct vm *vm, struct msr_region *r)
{
	r->next = vm->msrs;
	vm->msrs = r;
}

static int wrmsr_as(struct vm *vm, unsigned cpu, uint32_t index, uint64_t v)
{
	for (struct msr_region *r = vm->msrs; r; r = r->next)
		if (index >= r->first && index <= r->last)
			return r->ops->write(r->arg, vm->vcpu[cpu], index, v);
	return -1;
}

static uint64_t rdmsr_as(struct vm *vm, unsigned cpu, uint32_t index)
{
	uint64_t v = 0;

	for (struct msr_region *r = vm->msrs; r; r = r->next)
		if (index >= r->first && index <= r->last)
			assert_int_equal(r->ops->read(r->arg, vm->vcpu[cpu], index, &v), 0);
	return v;
}

static void mmio(struct vm *vm, unsigned cpu, unsigned reg, uint32_t v)
{
	lapic_mmio_ops.write(NULL, vm->vcpu[cpu], reg, 4, v);
}

static uint32_t mmio_get(struct vm *vm, unsigned cpu, unsigned reg)
{
	uint64_t v = ~0ull;

	lapic_mmio_ops.read(NULL, vm->vcpu[cpu], reg, 4, &v);
	return (uint32_t)v;
}

static struct vm *machine_at(struct vcpu *c)
{
	struct vm *vm = fake_vm();

	vm->nr_vcpus = CPUS;
	memset(c, 0, CPUS * sizeof(*c));
	for (unsigned i = 0; i < CPUS; i++) {
		c[i].vm = vm;
		c[i].index = i;
		vm->vcpu[i] = &c[i];
	}
	assert_int_equal(irqchip_create(vm), 0);
	assert_int_equal(pit_create(vm), 0);
	vdevs_reset(vm);
	kicks = nmis = inits = sipis = 0;
	for (unsigned i = 0; i < CPUS; i++)
		mmio(vm, i, 0xf0, 0x1ff);
	return vm;
}

static struct vm *machine(void)
{
	return machine_at(cpus);
}

static void to_x2(struct vm *vm)
{
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(wrmsr_as(vm, i, 0x1b, rdmsr_as(vm, i, 0x1b) | 0xc00), 0);
}

static int pending(struct vm *vm, unsigned cpu)
{
	return vm->irqchip->pending(vm->vcpu[cpu]);
}

static int take(struct vm *vm, unsigned cpu)
{
	int v = pending(vm, cpu);

	if (v >= 0)
		vm->irqchip->accept(vm->vcpu[cpu], v);
	return v;
}

static void message(struct vm *vm, unsigned dest, unsigned vector)
{
	vm->irqchip->msi(vm, LAPIC_BASE | dest << 12, vector);
}

static void priorities(void **state)
{
	struct vm *vm = machine();

	message(vm, 0, 0x41);
	message(vm, 0, 0x53);
	message(vm, 0, 0x45);
	assert_int_equal(kicks, 1);
	assert_int_equal(pending(vm, 1), -1);
	assert_int_equal(take(vm, 0), 0x53);
	assert_int_equal(pending(vm, 0), -1); /* 0x4x is below what is in service */
	message(vm, 0, 0x61);
	assert_int_equal(take(vm, 0), 0x61); /* nests */
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(pending(vm, 0), -1);
	mmio(vm, 0, 0xb0, 0);
	vm->irqchip->set_cr8(vm->vcpu[0], 4);
	assert_int_equal(mmio_get(vm, 0, 0x80), 0x40);
	assert_int_equal(pending(vm, 0), -1); /* held by the task priority */
	mmio(vm, 0, 0x80, 0x3f);
	assert_int_equal(vm->irqchip->get_cr8(vm->vcpu[0]), 3);
	assert_int_equal(take(vm, 0), 0x45);
	assert_int_equal(mmio_get(vm, 0, 0xa0), 0x40);
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(take(vm, 0), 0x41);
	mmio(vm, 0, 0xb0, 0);
	message(vm, 0, 0x0f); /* illegal: not taken, told */
	assert_int_equal(pending(vm, 0), -1);
	mmio(vm, 0, 0x280, 0);
	assert_int_equal(mmio_get(vm, 0, 0x280), 0x40);
	mmio(vm, 0, 0xf0, 0xff); /* software disable */
	message(vm, 0, 0x41);
	assert_int_equal(pending(vm, 0), -1);
	fake_vm_done(vm);
}

static void ipis(void **state)
{
	struct vm *vm = machine();

	mmio(vm, 0, 0x310, 1u << 24);
	mmio(vm, 0, 0x300, 0x40d1);
	assert_int_equal(take(vm, 1), 0xd1);
	mmio(vm, 0, 0x300, 0xc40d2); /* all but self */
	assert_int_equal(pending(vm, 0), -1);
	mmio(vm, 1, 0xb0, 0);
	assert_int_equal(take(vm, 1), 0xd2);
	mmio(vm, 0, 0x300, 0x440d3); /* self */
	assert_int_equal(take(vm, 0), 0xd3);
	mmio(vm, 0, 0x300, 0xc4500); /* INIT, SIPI as firmware sends them */
	assert_int_equal(inits, 2);
	mmio(vm, 0, 0x300, 0xc469f);
	assert_int_equal(sipis, 2);
	assert_int_equal(sipi_vector, 0x9f);
	inits = 0;
	mmio(vm, 0, 0x300, 0x8500); /* INIT level de-assert */
	assert_int_equal(inits, 0);
	mmio(vm, 0, 0x310, 1u << 24);
	mmio(vm, 0, 0x300, 0x4400);
	assert_int_equal(nmis, 2);
	mmio(vm, 0, 0xd0, 1u << 24); /* logical, flat */
	mmio(vm, 1, 0xd0, 2u << 24);
	mmio(vm, 1, 0xb0, 0);
	mmio(vm, 0, 0x310, 2u << 24);
	mmio(vm, 0, 0x300, 0x48e1);
	assert_int_equal(take(vm, 1), 0xe1);
	fake_vm_done(vm);
}

static void x2apic(void **state)
{
	struct vm *vm = machine();

	assert_true(wrmsr_as(vm, 0, 0x80b, 0) != 0); /* not on yet */
	to_x2(vm);
	assert_int_equal(mmio_get(vm, 0, 0x30), ~0u); /* no window now */
	assert_int_equal(rdmsr_as(vm, 1, 0x802), 1);
	assert_int_equal(rdmsr_as(vm, 1, 0x80d), 2);
	assert_int_equal(wrmsr_as(vm, 0, 0x830, 1ull << 32 | 0x40b0), 0);
	assert_int_equal(rdmsr_as(vm, 0, 0x830), 1ull << 32 | 0x40b0);
	assert_int_equal(take(vm, 1), 0xb0);
	assert_int_equal(wrmsr_as(vm, 1, 0x80b, 0), 0);
	assert_true(wrmsr_as(vm, 1, 0x80b, 1) != 0);
	assert_true(wrmsr_as(vm, 1, 0x802, 1) != 0);
	assert_true(wrmsr_as(vm, 1, 0x831, 1) != 0);
	assert_true(wrmsr_as(vm, 1, 0x8ff, 1) != 0);
	assert_int_equal(wrmsr_as(vm, 1, 0x83f, 0x77), 0);
	assert_int_equal(take(vm, 1), 0x77);
	/* Transitions: back to xAPIC only through off; the base does not move. */
	assert_true(wrmsr_as(vm, 0, 0x1b, LAPIC_BASE | 0x900) != 0);
	assert_true(wrmsr_as(vm, 0, 0x1b, 0xfed00d00) != 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x1b, LAPIC_BASE | 0x100), 0);
	assert_true(wrmsr_as(vm, 0, 0x1b, LAPIC_BASE | 0xd00) != 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x1b, LAPIC_BASE | 0x900), 0);
	mmio(vm, 0, 0x80, 0x50);
	assert_int_equal(vm->vcpu[0]->v.cr8, 5);
	assert_int_equal(wrmsr_as(vm, 0, 0x1b, rdmsr_as(vm, 0, 0x1b) & ~0xc00ull), 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x1b, rdmsr_as(vm, 0, 0x1b) | 0x800), 0);
	assert_int_equal(mmio_get(vm, 0, 0x80), 0); /* off and on: the priority is as after reset */
	fake_vm_done(vm);
}

static void timer_counts(void **state)
{
	struct vm *vm = machine();

	mmio(vm, 0, 0x3e0, 3); /* divide by 16 */
	mmio(vm, 0, 0x320, 0x30);
	mmio(vm, 0, 0x380, 1000);
	assert_int_equal(mmio_get(vm, 0, 0x390), 1000);
	fake_now_ns += 8000;
	assert_int_equal(mmio_get(vm, 0, 0x390), 500);
	assert_false(fake_timer_run());
	fake_now_ns += 7999;
	assert_int_equal(mmio_get(vm, 0, 0x390), 1);
	assert_false(fake_timer_run()); /* not early */
	fake_now_ns += 1;
	assert_true(fake_timer_run());
	assert_int_equal(take(vm, 0), 0x30);
	assert_int_equal(mmio_get(vm, 0, 0x390), 0);
	assert_false(fake_timer_run());
	mmio(vm, 0, 0xb0, 0);
	mmio(vm, 0, 0x320, 0x20030); /* periodic */
	mmio(vm, 0, 0x380, 10000);
	for (unsigned i = 0; i < 3; i++) {
		fake_now_ns += 160000;
		assert_true(fake_timer_run());
		assert_int_equal(take(vm, 0), 0x30);
		mmio(vm, 0, 0xb0, 0);
	}
	fake_now_ns += 160000 * 5 + 100; /* late: one interrupt, and the grid is kept */
	assert_true(fake_timer_run());
	assert_int_equal(take(vm, 0), 0x30);
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(mmio_get(vm, 0, 0x390), (160000 - 100 + 15) / 16);
	mmio(vm, 0, 0x320, 0x10030); /* masked: counts, no interrupt */
	mmio(vm, 0, 0x380, 0);
	fake_now_ns += 10000;
	(void)fake_timer_run();
	assert_int_equal(pending(vm, 0), -1);
	fake_vm_done(vm);
}

/* Periods that are shorter than their own interrupt: the host's CPU gets away each time. */
static void timers_leave_the_host_time(void **state)
{
	struct vm *vm = machine();

	mmio(vm, 0, 0x3e0, 0xb); /* divide by 1 */
	mmio(vm, 0, 0x320, 0x20030);
	mmio(vm, 0, 0x380, 1);
	fake_now_ns += 1;
	assert_true(fake_timer_run());
	fake_now_ns += 50 * NSEC_PER_USEC;
	assert_false(fake_timer_run());
	fake_now_ns += 50 * NSEC_PER_USEC;
	assert_true(fake_timer_run());
	mmio(vm, 0, 0x320, 0x30);
	mmio(vm, 0, 0x380, 100);
	vm->clock_offset_ns -= 1000; /* guest time was set back: due later, and not at once again */
	fake_now_ns += 100;
	assert_true(fake_timer_run());
	assert_false(fake_timer_run());
	fake_now_ns += 50 * NSEC_PER_USEC;
	assert_false(fake_timer_run());
	mmio(vm, 0, 0x380, 0);
	fake_now_ns += NSEC_PER_MSEC;
	(void)fake_timer_run();
	fake_out(vm, 0x43, 1, 0x14); /* channel 0, mode 2, each tick */
	fake_out(vm, 0x40, 1, 1);
	fake_now_ns += 1000;
	assert_true(fake_timer_run());
	fake_now_ns += 50 * NSEC_PER_USEC;
	assert_false(fake_timer_run());
	fake_now_ns += 50 * NSEC_PER_USEC;
	assert_true(fake_timer_run());
	fake_vm_done(vm);
}

static void pic_start(struct vm *vm);

/* A rise that falls into a move waits for its end. */
static void quiet_pit(void **state)
{
	struct vm *vm = machine();

	pic_start(vm);
	fake_out(vm, 0x43, 1, 0x30); /* channel 0, mode 0: once */
	fake_out(vm, 0x40, 1, 0xff);
	fake_out(vm, 0x40, 1, 0x00);
	assert_int_equal(vdevs_quiesce(vm, NEVER_NS), 0);
	fake_now_ns += NSEC_PER_MSEC;
	assert_false(fake_timer_run());
	assert_int_equal(pending(vm, 0), -1);
	vdevs_resume(vm);
	assert_true(fake_timer_run());
	assert_int_equal(take(vm, 0), 0x30);
	fake_vm_done(vm);
}

static void timer_deadline(void **state)
{
	struct vm *vm = machine();
	uint64_t now = vm_guest_ns(vm) * TSC_PER_NS;

	assert_int_equal(wrmsr_as(vm, 0, 0x6e0, now + 100), 0);
	assert_int_equal(rdmsr_as(vm, 0, 0x6e0), 0); /* not in that mode: no effect */
	mmio(vm, 0, 0x320, 0x400ef);
	assert_int_equal(wrmsr_as(vm, 0, 0x6e0, now + 1001), 0);
	assert_int_equal(rdmsr_as(vm, 0, 0x6e0), now + 1001);
	fake_now_ns += 500;
	assert_false(fake_timer_run()); /* half a tick early would be early */
	fake_now_ns += 1;
	assert_true(fake_timer_run());
	assert_int_equal(take(vm, 0), 0xef);
	assert_int_equal(rdmsr_as(vm, 0, 0x6e0), 0);
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x6e0, 1), 0); /* past: at once */
	assert_int_equal(take(vm, 0), 0xef);
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x6e0, now + 10000), 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x6e0, 0), 0); /* disarmed */
	fake_now_ns += 100000;
	(void)fake_timer_run();
	assert_int_equal(pending(vm, 0), -1);
	fake_vm_done(vm);
}

static void entry(struct vm *vm, unsigned pin, uint64_t e)
{
	fake_write(vm, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	fake_write(vm, IOAPIC_BASE + 0x10, 4, (uint32_t)e);
	fake_write(vm, IOAPIC_BASE, 4, 0x11 + 2 * pin);
	fake_write(vm, IOAPIC_BASE + 0x10, 4, e >> 32);
}

static uint32_t entry_low(struct vm *vm, unsigned pin)
{
	fake_write(vm, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	return (uint32_t)fake_read(vm, IOAPIC_BASE + 0x10, 4);
}

/* The CPU's side of a lent LAPIC: a vector from IRR to ISR, and its end. */
static void cpu_delivers(struct virt_apic *a, unsigned vector)
{
	assert_true(a->irr[vector / 32] >> vector % 32 & 1);
	a->irr[vector / 32] &= ~(1u << vector % 32);
	a->isr[vector / 32] |= 1u << vector % 32;
}

/* Registers go to the CPU for a run and come back; what arrives meanwhile is kept. */
static void lent(void **state)
{
	struct vm *vm = machine();
	struct vcpu *c = vm->vcpu[0];
	struct virt_apic *a = &c->v.apic;

	a->usable = true;
	assert_false(vm->irqchip->by_cpu(c)); /* not in xAPIC mode */
	vm->irqchip->enter(c);
	assert_false(a->on);
	to_x2(vm);
	assert_int_equal(wrmsr_as(vm, 0, 0x83f, 0x41), 0);
	assert_int_equal(pending(vm, 0), 0x41);
	assert_true(vm->irqchip->by_cpu(c));
	vm->irqchip->enter(c);
	assert_true(a->on);
	cpu_delivers(a, 0x41);
	kicks = 0;
	assert_int_equal(wrmsr_as(vm, 1, 0x830, 0x55), 0); /* from the other CPU */
	assert_int_equal(kicks, 1);
	a->tpr = 0x23;
	c->v.cr8 = 2;
	vm->irqchip->leave(c);
	assert_int_equal(rdmsr_as(vm, 0, 0x812), 1u << 1);
	assert_int_equal(rdmsr_as(vm, 0, 0x822), 1u << 0x15);
	assert_int_equal(rdmsr_as(vm, 0, 0x808), 0x23);
	assert_int_equal(pending(vm, 0), 0x55);
	fake_vm_done(vm);
}

/* A level-triggered vector that the CPU has ended comes again while its line is high. */
static void lent_level(void **state)
{
	struct vm *vm = machine();
	struct vcpu *c = vm->vcpu[0];
	struct virt_apic *a = &c->v.apic;

	a->usable = true;
	to_x2(vm);
	entry(vm, 9, 0x8061);
	vm_set_gsi(vm, 9, true);
	vm->irqchip->enter(c);
	assert_int_equal(a->level[3], 1u << 1);
	cpu_delivers(a, 0x61);
	a->isr[3] = 0;
	vm->irqchip->leave(c);
	assert_int_equal(pending(vm, 0), -1);
	vm->irqchip->eoi(c, 0x61);
	assert_int_equal(pending(vm, 0), 0x61);
	fake_vm_done(vm);
}

/* Only what the task priority alone holds back is waited for. */
static void held_by_priority(void **state)
{
	struct vm *vm = machine();
	struct vcpu *c = vm->vcpu[0];

	to_x2(vm);
	assert_int_equal(wrmsr_as(vm, 0, 0x808, 0x60), 0);
	assert_int_equal(wrmsr_as(vm, 0, 0x83f, 0x52), 0);
	assert_int_equal(pending(vm, 0), -1);
	assert_int_equal(c->v.tpr_wait, 5);
	assert_int_equal(wrmsr_as(vm, 0, 0x808, 0x40), 0);
	assert_int_equal(take(vm, 0), 0x52);
	assert_int_equal(wrmsr_as(vm, 0, 0x83f, 0x51), 0);
	assert_int_equal(pending(vm, 0), -1); /* behind one in service: its EOI tells */
	assert_int_equal(c->v.tpr_wait, 0);
	fake_vm_done(vm);
}

static void ioapic_pins(void **state)
{
	struct vm *vm = machine();

	fake_write(vm, IOAPIC_BASE, 4, 1);
	assert_int_equal(fake_read(vm, IOAPIC_BASE + 0x10, 4), 0x170020);
	vm_set_gsi(vm, 4, true); /* masked: an edge is lost */
	entry(vm, 4, 0x34);
	assert_int_equal(pending(vm, 0), -1);
	vm_set_gsi(vm, 4, false);
	vm_set_gsi(vm, 4, true);
	assert_int_equal(take(vm, 0), 0x34);
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(pending(vm, 0), -1);
	entry(vm, 9, 1ull << 56 | 0x8039); /* level, to the other CPU */
	vm_set_gsi(vm, 9, true);
	assert_int_equal(take(vm, 1), 0x39);
	assert_true(entry_low(vm, 9) & 0x4000);
	mmio(vm, 1, 0xb0, 0); /* still high: again */
	assert_int_equal(take(vm, 1), 0x39);
	vm_set_gsi(vm, 9, false);
	mmio(vm, 1, 0xb0, 0);
	assert_false(entry_low(vm, 9) & 0x4000);
	assert_int_equal(pending(vm, 1), -1);
	entry(vm, 9, 1ull << 56 | 0x18039);
	vm_set_gsi(vm, 9, true);
	assert_int_equal(pending(vm, 1), -1);
	entry(vm, 9, 1ull << 56 | 0x8039); /* unmasked while high */
	assert_int_equal(take(vm, 1), 0x39);
	vm_set_gsi(vm, 1000, true); /* no such pin: no effect */
	fake_vm_done(vm);
}

/* Remote IRR says that a LAPIC has the interrupt; one that nobody took is not lost. */
static void ioapic_not_accepted(void **state)
{
	struct vm *vm = machine();

	mmio(vm, 1, 0xf0, 0x0ff); /* CPU 1's LAPIC is off */
	entry(vm, 9, 1ull << 56 | 0x8039);
	vm_set_gsi(vm, 9, true);
	assert_false(entry_low(vm, 9) & 0x4000);
	mmio(vm, 1, 0xf0, 0x1ff);
	assert_true(entry_low(vm, 9) & 0x4000);
	assert_int_equal(take(vm, 1), 0x39);
	vm_set_gsi(vm, 9, false);
	mmio(vm, 1, 0xb0, 0);
	assert_false(entry_low(vm, 9) & 0x4000);
	entry(vm, 9, 7ull << 56 | 0x8039); /* to a CPU that is not there */
	vm_set_gsi(vm, 9, true);
	assert_false(entry_low(vm, 9) & 0x4000);
	entry(vm, 9, 1ull << 56 | 0x8039); /* corrected */
	assert_int_equal(take(vm, 1), 0x39);
	vm_set_gsi(vm, 9, false);
	mmio(vm, 1, 0xb0, 0);
	entry(vm, 9, 1ull << 56 | 0x8439); /* an NMI is an edge, whatever the trigger mode says */
	vm_set_gsi(vm, 9, true);
	assert_false(entry_low(vm, 9) & 0x4000);
	fake_vm_done(vm);
}

static void pic_start(struct vm *vm)
{
	static const uint8_t icw[2][4] = { { 0x11, 0x30, 4, 1 }, { 0x11, 0x38, 2, 1 } };

	for (unsigned h = 0; h < 2; h++) {
		uint16_t port = h ? 0xa0 : 0x20;

		fake_out(vm, port, 1, icw[h][0]);
		for (unsigned i = 1; i < 4; i++)
			fake_out(vm, port + 1, 1, icw[h][i]);
		fake_out(vm, port + 1, 1, 0);
	}
	mmio(vm, 0, 0x350, 0x700); /* LINT0: ExtINT */
}

static void pic_pair(void **state)
{
	struct vm *vm = machine();

	vm_set_gsi(vm, 4, true);
	assert_int_equal(pending(vm, 0), -1); /* masked since reset */
	vm_set_gsi(vm, 4, false);
	pic_start(vm);
	vm_set_gsi(vm, 4, true);
	vm_set_gsi(vm, 2, true); /* the timer's line is input 0 */
	assert_int_equal(pending(vm, 1), -1);
	assert_int_equal(take(vm, 0), 0x30);
	vm_set_gsi(vm, 2, false);
	assert_int_equal(pending(vm, 0), -1); /* nothing nests below it */
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(take(vm, 0), 0x34);
	fake_out(vm, 0x20, 1, 0x64); /* specific */
	vm_set_gsi(vm, 12, true);
	vm_set_gsi(vm, 8, true);
	assert_int_equal(take(vm, 0), 0x38);
	fake_out(vm, 0x20, 1, 0x0b); /* in service: the cascade */
	assert_int_equal(fake_in(vm, 0x20, 1), 4);
	fake_out(vm, 0xa0, 1, 0x20);
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(take(vm, 0), 0x3c);
	fake_out(vm, 0xa0, 1, 0x20);
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(pending(vm, 0), -1);
	fake_out(vm, 0x4d1, 1, 0x08); /* input 11 by level */
	vm_set_gsi(vm, 11, true);
	assert_int_equal(take(vm, 0), 0x3b);
	fake_out(vm, 0xa0, 1, 0x20);
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(pending(vm, 0), 0x3b);
	vm_set_gsi(vm, 11, false);
	assert_int_equal(pending(vm, 0), -1);
	fake_vm_done(vm);
}

static void pit_arithmetic(void **state)
{
	struct pit_channel c = {
		.start_ns = 1000, .reload = 1000, .mode = 2, .access = 3, .gate = true
	};

	assert_int_equal(pit_ticks(NSEC_PER_SEC), PIT_HZ);
	for (uint64_t t = 1; t < 100000000000ull; t = t * 7 + 1)
		assert_in_range(pit_ticks(pit_ns(t)), t, t);
	assert_int_equal(pit_count(&c, 1000), 1000);
	assert_int_equal(pit_count(&c, 1000 + pit_ns(1)), 999);
	assert_int_equal(pit_count(&c, 1000 + pit_ns(1000)), 1000);
	assert_false(pit_out(&c, 1000 + pit_ns(999)));
	assert_true(pit_out(&c, 1000 + pit_ns(1000)));
	assert_int_equal(pit_next_rise(&c, 1000), 1000 + pit_ns(1000));
	assert_int_equal(pit_next_rise(&c, 1000 + pit_ns(1000)), 1000 + pit_ns(2000));
	c.mode = 3;
	c.reload = 1001;
	assert_true(pit_out(&c, 1000 + pit_ns(500)));
	assert_false(pit_out(&c, 1000 + pit_ns(501)));
	c.mode = 0;
	c.reload = 100;
	assert_false(pit_out(&c, 1000 + pit_ns(99)));
	assert_true(pit_out(&c, 1000 + pit_ns(100)));
	assert_int_equal(pit_count(&c, 1000 + pit_ns(101)), 0xffff); /* counts on */
	assert_int_equal(pit_next_rise(&c, 1000 + pit_ns(100)), NEVER_NS);
	c.gate = false;
	assert_int_equal(pit_next_rise(&c, 1000), NEVER_NS);
}

static void pit_ports(void **state)
{
	struct vm *vm = machine();
	unsigned count;

	pic_start(vm);
	fake_out(vm, 0x43, 1, 0x34); /* channel 0, mode 2, 1000 Hz */
	fake_out(vm, 0x40, 1, 1193 & 0xff);
	fake_out(vm, 0x40, 1, 1193 >> 8);
	for (unsigned i = 0; i < 3; i++) {
		assert_false(fake_timer_run());
		fake_now_ns += NSEC_PER_MSEC;
		assert_true(fake_timer_run());
		assert_int_equal(take(vm, 0), 0x30);
		fake_out(vm, 0x20, 1, 0x20);
	}
	fake_out(vm, 0x43, 1, 0x00); /* latch */
	count = (unsigned)fake_in(vm, 0x40, 1);
	count |= (unsigned)fake_in(vm, 0x40, 1) << 8;
	assert_in_range(count, 1, 1193);
	fake_out(vm, 0x43, 1, 0xb0); /* channel 2, mode 0, gated by port 0x61 */
	fake_out(vm, 0x42, 1, 0xff);
	fake_out(vm, 0x42, 1, 0x00);
	fake_now_ns += NSEC_PER_MSEC;
	fake_out(vm, 0x61, 1, 1);
	assert_false(fake_in(vm, 0x61, 1) & 0x20);
	fake_now_ns += pit_ns(255);
	assert_true(fake_in(vm, 0x61, 1) & 0x20);
	fake_out(vm, 0x43, 1, 0xe8); /* read-back of channel 2's status */
	assert_int_equal(fake_in(vm, 0x42, 1) & 0xbf, 0xb0);
	fake_vm_done(vm);
}

/* Everything under way goes on at the destination, timers by what is left of them. */
static void moved(void **state)
{
	struct vm *a = machine_at(cpus), *b;
	struct vm *keep = a;
	uint64_t left;

	to_x2(a);
	entry(a, 9, 1ull << 56 | 0x8039);
	vm_set_gsi(a, 9, true);
	assert_int_equal(take(a, 1), 0x39);
	message(a, 0, 0x41);
	assert_int_equal(wrmsr_as(a, 0, 0x832, 0x400ef), 0);
	assert_int_equal(wrmsr_as(a, 0, 0x6e0, (vm_guest_ns(a) + 5000) * TSC_PER_NS), 0);
	assert_int_equal(wrmsr_as(a, 1, 0x83e, 0xb), 0);
	assert_int_equal(wrmsr_as(a, 1, 0x832, 0x200ee), 0);
	assert_int_equal(wrmsr_as(a, 1, 0x838, 8000), 0);
	fake_now_ns += 3000;
	left = rdmsr_as(a, 1, 0x839);
	assert_int_equal(left, 5000);

	{ /* another host, whose clock reads otherwise */
		uint64_t guest = vm_guest_ns(a);

		b = machine_at(cpus + CPUS);
		assert_int_equal(fake_move(keep, b), 0);
		b->clock_offset_ns =
			(int64_t)(guest - fake_now_ns) + 1000; /* 1000 ns of blackout */
	}
	vdevs_resume(b);
	assert_int_equal(take(b, 0), 0x41);
	assert_int_equal(wrmsr_as(b, 0, 0x80b, 0), 0);
	assert_int_equal(wrmsr_as(b, 1, 0x80b, 0), 0); /* the EOI finds the line still high */
	assert_int_equal(take(b, 1), 0x39);
	assert_int_equal(rdmsr_as(b, 1, 0x839), 4000);
	assert_int_equal(rdmsr_as(b, 0, 0x6e0), rdmsr_as(a, 0, 0x6e0));
	fake_now_ns += 1000;
	vdevs_resume(b); /* at 5000 - 3000 - 1000 - 1000: due */
	assert_int_equal(take(b, 0), 0xef);
	fake_now_ns += 3000;
	assert_int_equal(wrmsr_as(b, 1, 0x80b, 0), 0);
	assert_true(fake_timer_run());
	assert_int_equal(take(b, 1), 0xee);
	assert_int_equal(rdmsr_as(b, 1, 0x839), 8000);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void start_periodic(struct vm *vm)
{
	mmio(vm, 0, 0x3e0, 0xb);
	mmio(vm, 0, 0x320, 0x200ee);
	mmio(vm, 0, 0x380, 1000000);
}

static void start_one_shot(struct vm *vm)
{
	mmio(vm, 0, 0x3e0, 0xb);
	mmio(vm, 0, 0x320, 0xee);
	mmio(vm, 0, 0x380, 5000000);
}

static void start_deadline(struct vm *vm)
{
	uint64_t when = (vm_guest_ns(vm) + 7000000) * TSC_PER_NS;

	mmio(vm, 0, 0x320, 0x400ee);
	assert_int_equal(wrmsr_as(vm, 0, 0x6e0, when), 0);
}

static void start_pit(struct vm *vm)
{
	pic_start(vm);
	fake_out(vm, 0x43, 1, 0x34);
	fake_out(vm, 0x40, 1, 0xa9);
	fake_out(vm, 0x40, 1, 0x04); /* 1193: a millisecond and a little less */
}

/* How many interrupts vCPU 0 can take one after the other. */
static unsigned take_all(struct vm *vm, int vector)
{
	unsigned n = 0;

	(void)fake_timer_run();
	while (n < 1000 && pending(vm, 0) == vector) {
		(void)take(vm, 0);
		mmio(vm, 0, 0xb0, 0);
		fake_out(vm, 0x20, 1, 0x20);
		(void)fake_timer_run();
		n++;
	}
	return n;
}

/*
 * A quarter of a millisecond after its start a timer's VM is away for a second. What expired
 * meanwhile comes once, at once; what is periodic goes on in step with its beginning.
 */
static void away(void (*start)(struct vm *vm), int vector, bool periodic)
{
	struct vm *a = machine_at(cpus), *b;
	uint64_t guest;

	start(a);
	fake_now_ns += 250000;
	assert_int_equal(take_all(a, vector), 0);
	assert_int_equal(vdevs_quiesce(a, NEVER_NS), 0);
	guest = vm_guest_ns(a);
	b = machine_at(cpus + CPUS);
	assert_int_equal(fake_move(a, b), 0);
	b->clock_offset_ns = (int64_t)(guest + NSEC_PER_SEC - fake_now_ns);
	vdevs_resume(b);
	assert_int_equal(take_all(b, vector), 1);
	fake_now_ns += 500000;
	assert_int_equal(take_all(b, vector), 0);
	fake_now_ns += 400000;
	assert_int_equal(take_all(b, vector), periodic);
	fake_now_ns += 10 * NSEC_PER_SEC;
	assert_int_equal(take_all(b, vector), periodic);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void timers_in_a_blackout(void **state)
{
	away(start_periodic, 0xee, true);
	away(start_one_shot, 0xee, false);
	away(start_deadline, 0xee, false);
	away(start_pit, 0x30, true);
}

/* One stay in the guest, which ends the vector in service by its word if it is told that it may. */
static bool ended_by_word(struct vm *vm, uint32_t at, bool ends)
{
	uint32_t word, none = 0;
	bool may;

	vm->irqchip->enter(vm->vcpu[0]);
	memcpy(&word, fake_ram + at, sizeof(word));
	may = word == 1;
	if (may && ends)
		memcpy(fake_ram + at, &none, sizeof(none));
	vm->irqchip->leave(vm->vcpu[0]);
	memcpy(&word, fake_ram + at, sizeof(word));
	assert_int_equal(word, 0);
	return may;
}

static void eoi_by_word(void **state)
{
	const uint32_t msr = 0x4b564d04, at = 0x40;
	struct vm *vm = machine(), *to;

	message(vm, 0, 0x41);
	assert_int_equal(take(vm, 0), 0x41);
	assert_false(ended_by_word(vm, at, true)); /* not before it is asked for */
	assert_int_not_equal(wrmsr_as(vm, 0, msr, at | 3), 0);
	assert_int_equal(wrmsr_as(vm, 0, msr, at | 1), 0);
	assert_true(ended_by_word(vm, at, false));
	assert_int_equal(mmio_get(vm, 0, 0x120), 2); /* word 2 of ISR: 0x41 is still in service */
	assert_true(ended_by_word(vm, at, true));
	assert_int_equal(mmio_get(vm, 0, 0x120), 0);
	assert_false(ended_by_word(vm, at, true)); /* nothing in service */

	message(vm, 0, 0x41);
	assert_int_equal(take(vm, 0), 0x41);
	message(vm, 0, 0x42); /* waits for the end of 0x41, which must be seen */
	assert_false(ended_by_word(vm, at, true));
	mmio(vm, 0, 0xb0, 0);
	assert_int_equal(take(vm, 0), 0x42);
	mmio(vm, 0, 0xb0, 0);

	entry(vm, 9, 0x8039); /* level: its line is looked at at the end */
	vm_set_gsi(vm, 9, true);
	assert_int_equal(take(vm, 0), 0x39);
	assert_false(ended_by_word(vm, at, true));

	to = machine_at(cpus + CPUS);
	assert_int_equal(fake_move(vm, to), 0);
	assert_int_equal(rdmsr_as(to, 0, msr), at | 1);
	vdevs_reset(to);
	assert_int_equal(rdmsr_as(to, 0, msr), 0);
	vm->irqchip->init(vm->vcpu[0]);
	assert_int_equal(rdmsr_as(vm, 0, msr), 0);
	fake_vm_done(vm);
	fake_vm_done(to);
}

/* A LAPIC's record of before the word. */
static void older_record(void **state)
{
	enum { OLD_BYTES = 184, BYTES = OLD_BYTES + 8 };
	uint64_t body[BYTES / 8] = { LAPIC_BASE | APIC_BASE_ON };
	struct vm *vm = machine();

	assert_int_equal(fake_check(vm, REC_LAPIC, 0, 1, (uint8_t *)body, OLD_BYTES), 0);
	assert_int_not_equal(fake_check(vm, REC_LAPIC, 0, 2, (uint8_t *)body, OLD_BYTES), 0);
	assert_int_equal(fake_check(vm, REC_LAPIC, 0, 2, (uint8_t *)body, BYTES), 0);
	body[OLD_BYTES / 8] = 2;
	assert_int_not_equal(fake_check(vm, REC_LAPIC, 0, 2, (uint8_t *)body, BYTES), 0);
	fake_vm_done(vm);
}

static void refuses(void **state)
{
	struct vm *vm = machine();
	uint8_t zero[512] = { 0 }, ones[512];

	memset(ones, 0xff, sizeof(ones));
	for (uint16_t type = REC_LAPIC; type <= REC_PIT; type++) {
		assert_true(fake_check(vm, type, 0, 1, ones, 300) != 0);
		assert_true(fake_check(vm, type, 0, 1, zero, 3) != 0);
		assert_true(fake_check(vm, type, 0, 9, zero, 300) != 0);
	}
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priorities),
		cmocka_unit_test(ipis),
		cmocka_unit_test(x2apic),
		cmocka_unit_test(timer_counts),
		cmocka_unit_test(timer_deadline),
		cmocka_unit_test(timers_in_a_blackout),
		cmocka_unit_test(ioapic_pins),
		cmocka_unit_test(pic_pair),
		cmocka_unit_test(pit_arithmetic),
		cmocka_unit_test(pit_ports),
		cmocka_unit_test(moved),
		cmocka_unit_test(eoi_by_word),
		cmocka_unit_test(older_record),
		cmocka_unit_test(refuses),
		cmocka_unit_test(timers_leave_the_host_time),
		cmocka_unit_test(quiet_pit),
		cmocka_unit_test(ioapic_not_accepted),
		cmocka_unit_test(lent),
		cmocka_unit_test(lent_level),
		cmocka_unit_test(held_by_priority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
