/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timers of the guest's interrupt controllers: the LAPIC's in its three modes, the 8254, what
 * they cost the host, and the ticks of a blackout.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_counts),
		cmocka_unit_test(timer_deadline),
		cmocka_unit_test(timers_in_a_blackout),
		cmocka_unit_test(pit_arithmetic),
		cmocka_unit_test(pit_ports),
		cmocka_unit_test(timers_leave_the_host_time),
		cmocka_unit_test(quiet_pit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
