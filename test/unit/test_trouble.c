/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices by which a guest in trouble is noticed: the watchdog fires once, not
 * when it is fed, not for time in which the VM moves; pvpanic; the power button.
 */
// SOURCES: kernel/vdev/wdt.c kernel/vdev/pvpanic.c kernel/vdev/pm.c kernel/vdev/vdev.c
// SOURCES: kernel/lib/rec.c test/unit/fake_vdev.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_vdev.h"
#include "kernel/vdev/pm.h"
#include "kernel/vdev/pvpanic.h"
#include "kernel/vdev/q35.h"
#include "kernel/vdev/wdt.h"

#define PM 0x600u
#define PERIOD_NS (WDT_PERIOD_MS * NSEC_PER_MSEC)

static unsigned seen[VM_TROUBLES];

bool vm_trouble(struct vm *vm, enum vm_trouble what)
{
	seen[what]++;
	return false;
}

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct q35 *q = calloc(1, sizeof(*q));

	vm->platform = q;
	vm->state = VM_RUNNING;
	memset(seen, 0, sizeof(seen));
	assert_int_equal(pm_create(vm, &q->pm), 0);
	pm_move(q->pm, PM, true);
	assert_int_equal(pvpanic_create(vm), 0);
	assert_int_equal(wdt_create(vm), 0);
	vdevs_reset(vm);
	return vm;
}

static void start(struct vm *vm, uint32_t periods)
{
	fake_out(vm, WDT_PORT + WDT_COUNT, 4, periods);
	fake_out(vm, WDT_PORT + WDT_CONTROL, 4, 1);
}

static bool passes(uint64_t periods)
{
	fake_now_ns += periods * PERIOD_NS;
	return fake_timer_run();
}

static void fires_once(void **state)
{
	struct vm *vm = machine();

	start(vm, 10);
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_FEED, 4), 10);
	assert_false(passes(9));
	fake_out(vm, WDT_PORT + WDT_FEED, 4, 1);
	assert_false(passes(9));
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_FEED, 4), 1);
	assert_true(passes(1));
	assert_int_equal(seen[VM_WATCHDOG], 1);
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_CONTROL, 4), 0);
	assert_false(passes(100));
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_STATUS, 4), 1);
	vdevs_reset(vm); /* the guest sees why */
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_STATUS, 4), 1);
	fake_out(vm, WDT_PORT + WDT_STATUS, 4, 1);
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_STATUS, 4), 0);
	start(vm, 3);
	fake_out(vm, WDT_PORT + WDT_CONTROL, 4, 0);
	assert_false(passes(10));
	start(vm, 3);
	vm->state = VM_PAUSED; /* begins anew when it goes on */
	assert_true(passes(3));
	vm->state = VM_RUNNING;
	assert_false(passes(2));
	assert_true(passes(1));
	assert_int_equal(seen[VM_WATCHDOG], 2);
	fake_out(vm, WDT_PORT + WDT_COUNT, 4, 0);
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_COUNT, 4), WDT_COUNT_MIN);
	fake_out(vm, WDT_PORT + WDT_COUNT, 4, UINT32_MAX);
	assert_int_equal(fake_in(vm, WDT_PORT + WDT_COUNT, 4), WDT_COUNT_MAX);
	fake_vm_done(vm);
}

/* Four of ten periods are left when it moves, however long that takes. */
static void moves(void **state)
{
	struct vm *a = machine(), *b;
	uint64_t then;

	start(a, 10);
	assert_false(passes(6));
	assert_int_equal(vdevs_quiesce(a, NEVER_NS), 0);
	assert_false(passes(50));
	then = fake_now_ns;
	b = machine();
	fake_now_ns = then;
	assert_int_equal(fake_move(a, b), 0);
	vdevs_resume(b);
	assert_false(passes(3));
	assert_int_equal(fake_in(b, WDT_PORT + WDT_CONTROL, 4), 1);
	assert_true(passes(1));
	assert_int_equal(seen[VM_WATCHDOG], 1);
	fake_vm_done(a);
	fake_vm_done(b);
}

static void panics(void **state)
{
	struct vm *vm = machine();

	assert_int_equal(fake_in(vm, PVPANIC_PORT, 1), 3);
	fake_out(vm, PVPANIC_PORT, 1, PVPANIC_CRASH_LOADED);
	assert_int_equal(seen[VM_PANIC], 0);
	fake_out(vm, PVPANIC_PORT, 1, PVPANIC_PANICKED);
	assert_int_equal(seen[VM_PANIC], 1);
	fake_vm_done(vm);
}

static void button(void **state)
{
	struct vm *vm = machine();

	assert_false(power_button(vm)); /* nobody listens, but it is remembered */
	assert_false(fake_level[GSI_SCI]);
	assert_int_equal(fake_in(vm, PM + PM1_STS, 2), 0x100);
	fake_out(vm, PM + PM1_EN, 2, 0x100);
	assert_true(fake_level[GSI_SCI]);
	fake_out(vm, PM + PM1_STS, 2, 0x100);
	assert_false(fake_level[GSI_SCI]);
	assert_true(power_button(vm));
	assert_true(fake_level[GSI_SCI]);
	fake_vm_done(vm);
}

static void refuses_nonsense(void **state)
{
	struct vm *vm = machine();
	uint32_t body[6] = { 1, 10, 0, 0, 1000, 0 };

	assert_int_equal(fake_check(vm, REC_WDT, 0, 1, body, sizeof(body)), 0);
	assert_int_equal(fake_check(vm, REC_WDT, 0, 2, body, sizeof(body)), -EBADMSG);
	assert_int_equal(fake_check(vm, REC_WDT, 0, 1, body, 16), -EBADMSG);
	body[1] = 0;
	assert_int_equal(fake_check(vm, REC_WDT, 0, 1, body, sizeof(body)), -EBADMSG);
	body[1] = 10;
	body[5] = 1u << 31; /* centuries */
	assert_int_equal(fake_check(vm, REC_WDT, 0, 1, body, sizeof(body)), -EBADMSG);
	fake_vm_done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_once),	    cmocka_unit_test(moves),
		cmocka_unit_test(panics),	    cmocka_unit_test(button),
		cmocka_unit_test(refuses_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
