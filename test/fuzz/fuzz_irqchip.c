/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt controllers and the interval timer against a hostile checkpoint
 * and a hostile guest. The input is steps of u8 kind, u8 parameter, u16 length or
 * register, then a body or u64 value. What check takes, load must take.
 */
// SOURCES: kernel/vdev/irqchip.c kernel/vdev/lapic.c kernel/vdev/lapic_state.c
// SOURCES: kernel/vdev/lapic_regs.c kernel/vdev/lapic_mmio.c kernel/vdev/lapic_msr.c
// SOURCES: kernel/vdev/lapic_lend.c kernel/vdev/lapic_word.c kernel/vdev/lapic_timer.c
// SOURCES: kernel/vdev/ioapic.c
// SOURCES: kernel/vdev/pic.c kernel/vdev/pic_model.c kernel/vdev/pit.c kernel/vdev/pit_state.c
// SOURCES: kernel/vdev/pit_count.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/irqchip_int.h"
#include "test/unit/fake_vdev.h"

#define CPUS 2

static struct vcpu cpus[CPUS];

void vcpu_kick(struct vcpu *c)
{
}

void vcpu_send_nmi(struct vcpu *c)
{
}

void vcpu_send_init(struct vcpu *c)
{
}

void vcpu_send_sipi(struct vcpu *c, uint8_t vector)
{
}

uint64_t vcpu_tsc_deadline_ns(struct vcpu *c, uint64_t tsc)
{
	return tsc <= fake_now_ns ? 0 : tsc;
}

void vm_msr_add(struct vm *vm, struct msr_region *r)
{
	r->next = vm->msrs;
	vm->msrs = r;
}

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();

	vm->nr_vcpus = CPUS;
	memset(cpus, 0, sizeof(cpus));
	for (unsigned i = 0; i < CPUS; i++) {
		cpus[i].vm = vm;
		cpus[i].index = i;
		vm->vcpu[i] = &cpus[i];
	}
	if (irqchip_create(vm) || pit_create(vm))
		abort();
	vdevs_reset(vm);
	return vm;
}

static void msr(struct vm *vm, struct vcpu *c, uint32_t index, uint64_t value)
{
	for (struct msr_region *r = vm->msrs; r; r = r->next)
		if (index >= r->first && index <= r->last) {
			(void)r->ops->write(r->arg, c, index, value);
			(void)r->ops->read(r->arg, c, index, &value);
		}
}

/* The run loop's part: everything that can be taken is, and now and then ended. */
static void drain(struct vm *vm)
{
	for (unsigned i = 0; i < CPUS; i++)
		for (unsigned n = 0; n < 4; n++) {
			int v = vm->irqchip->pending(&cpus[i]);

			if (v > 255)
				abort();
			if (v >= 0)
				vm->irqchip->accept(&cpus[i], v);
		}
}

static void step(struct vm *vm, uint8_t kind, uint8_t p, uint16_t reg, uint64_t value)
{
	static const uint32_t msrs[] = { 0x1b, 0x6e0 };
	struct vcpu *c = &cpus[p & 1];
	uint64_t v;

	switch (kind & 7) {
	case 0:
		lapic_mmio_ops.write(NULL, c, reg & 0xfff, 4, value);
		lapic_mmio_ops.read(NULL, c, reg & 0xfff, 1u << (p >> 6), &v);
		break;
	case 1:
		msr(vm, c, p & 2 ? msrs[p >> 2 & 1] : 0x800u + (reg & 0xff), value);
		break;
	case 2:
		fake_write(vm, IOAPIC_BASE, 4, reg);
		fake_write(vm, IOAPIC_BASE + 0x10, 4, value);
		fake_read(vm, IOAPIC_BASE + 0x10, 4);
		break;
	case 3:
		vm_set_gsi(vm, reg & 31, p & 1);
		break;
	case 4:
		vm->irqchip->msi(vm, value, reg);
		break;
	case 5:
		fake_out(vm, (uint16_t)((reg & 1 ? 0x20 : 0xa0) + (p & 1)), 1, value);
		fake_in(vm, (uint16_t)((reg & 1 ? 0x20 : 0xa0) + (p & 1)), 1);
		break;
	case 6:
		fake_out(vm, p & 1 ? 0x61 : (uint16_t)(0x40 + (reg & 3)), 1, value);
		fake_in(vm, p & 2 ? 0x61 : (uint16_t)(0x40 + (reg & 3)), 1);
		break;
	default:
		fake_now_ns += value >> 16;
		fake_timer_run();
		break;
	}
	drain(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = machine();

	while (size >= 12) {
		uint16_t n;
		uint64_t value;

		memcpy(&n, data + 2, 2);
		memcpy(&value, data + 4, 8);
		if (data[0] & 0x80) {
			n = (uint16_t)MIN(n, size - 4);
			fake_record(vm, REC_LAPIC + (data[0] & 3), data[1] & 3, data + 4, n);
			data += 4 + n;
			size -= 4 + (size_t)n;
			drain(vm);
			continue;
		}
		step(vm, data[0], data[1], n, value);
		data += 12;
		size -= 12;
	}
	fake_vm_done(vm);
	return 0;
}
