/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's interrupt controllers when somebody else has them for a while: after a move, and with
 * the LAPIC lent to a CPU that delivers interrupts itself.
 */
// SOURCES: kernel/vdev/irqchip.c kernel/vdev/lapic.c kernel/vdev/lapic_state.c
// SOURCES: kernel/vdev/lapic_regs.c kernel/vdev/lapic_mmio.c kernel/vdev/lapic_msr.c
// SOURCES: kernel/vdev/lapic_lend.c kernel/vdev/lapic_word.c kernel/vdev/lapic_timer.c
// SOURCES: kernel/vdev/ioapic.c
// SOURCES: kernel/vdev/pic.c kernel/vdev/pic_model.c kernel/vdev/pit.c kernel/vdev/pit_state.c
// SOURCES: kernel/vdev/pit_count.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
// SOURCES: test/unit/irqchip_fixture.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "test/unit/irqchip_fixture.h"

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
		cmocka_unit_test(moved),      cmocka_unit_test(older_record),
		cmocka_unit_test(refuses),    cmocka_unit_test(lent),
		cmocka_unit_test(lent_level), cmocka_unit_test(held_by_priority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
