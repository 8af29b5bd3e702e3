/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's interrupt controllers as software sees them: priorities and EOI, routing, IPIs,
 * IOAPIC pins, the 8259 pair. Timers are in test_irqchip_time.c, moves in test_irqchip_move.c.
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

static uint32_t entry_low(struct vm *vm, unsigned pin)
{
	fake_write(vm, IOAPIC_BASE, 4, 0x10 + 2 * pin);
	return (uint32_t)fake_read(vm, IOAPIC_BASE + 0x10, 4);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priorities),
		cmocka_unit_test(ipis),
		cmocka_unit_test(x2apic),
		cmocka_unit_test(ioapic_pins),
		cmocka_unit_test(pic_pair),
		cmocka_unit_test(eoi_by_word),
		cmocka_unit_test(ioapic_not_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
