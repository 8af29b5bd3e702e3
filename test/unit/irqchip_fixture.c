/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine of vCPUs with interrupt controllers (irqchip_fixture.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "test/unit/irqchip_fixture.h"

struct vcpu cpus[2 * CPUS]; /* of two VMs */
unsigned kicks, nmis, inits, sipis;
unsigned sipi_vector;

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

int wrmsr_as(struct vm *vm, unsigned cpu, uint32_t index, uint64_t v)
{
	for (struct msr_region *r = vm->msrs; r; r = r->next)
		if (index >= r->first && index <= r->last)
			return r->ops->write(r->arg, vm->vcpu[cpu], index, v);
	return -1;
}

uint64_t rdmsr_as(struct vm *vm, unsigned cpu, uint32_t index)
{
	uint64_t v = 0;

	for (struct msr_region *r = vm->msrs; r; r = r->next)
		if (index >= r->first && index <= r->last)
			assert_int_equal(r->ops->read(r->arg, vm->vcpu[cpu], index, &v), 0);
	return v;
}

void mmio(struct vm *vm, unsigned cpu, unsigned reg, uint32_t v)
{
	lapic_mmio_ops.write(NULL, vm->vcpu[cpu], reg, 4, v);
}

uint32_t mmio_get(struct vm *vm, unsigned cpu, unsigned reg)
{
	uint64_t v = ~0ull;

	lapic_mmio_ops.read(NULL, vm->vcpu[cpu], reg, 4, &v);
	return (uint32_t)v;
}

struct vm *machine_at(struct vcpu *c)
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

struct vm *machine(void)
{
	return machine_at(cpus);
}

void to_x2(struct vm *vm)
{
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(wrmsr_as(vm, i, 0x1b, rdmsr_as(vm, i, 0x1b) | 0xc00), 0);
}

int pending(struct vm *vm, unsigned cpu)
{
	return vm->irqchip->pending(vm->vcpu[cpu]);
}

int take(struct vm *vm, unsigned cpu)
{
	int v = pending(vm, cpu);

	if (v >= 0)
		vm->irqchip->accept(vm->vcpu[cpu], v);
	return v;
}

void message(struct vm *vm, unsigned dest, unsigned vector)
{
	vm->irqchip->msi(vm, LAPIC_BASE | dest << 12, vector);
}

void entry(struct vm *vm, unsigned pin, uint64_t e)
{
	fake_write(vm, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	fake_write(vm, IOAPIC_BASE + 0x10, 4, (uint32_t)e);
	fake_write(vm, IOAPIC_BASE, 4, 0x11 + 2 * pin);
	fake_write(vm, IOAPIC_BASE + 0x10, 4, e >> 32);
}

void pic_start(struct vm *vm)
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
