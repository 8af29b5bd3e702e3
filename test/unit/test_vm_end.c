/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a VM's run has ended, and where: the registers of a crash are shown where it happened, as
 * long as they are there. What only looks, as the preflight of a move does, leaves them.
 */
// SOURCES: kernel/vm/vm.c kernel/vm/worlds.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/hyperv.h"
#include "kernel/vm/registry.h"
#include "kernel/vm/vm_int.h"

#define RIP_OF_CRASH 0xbadull

static struct vm vm;
static struct vcpu vcpu;
static struct vm_run run;
static struct {
	int acquire, reset, boot; /* what each gives */
	unsigned held, resets;
} fake;
static char why[96];
const struct virt_ops *virt;

/* ---- what the sources take from elsewhere ---- */

uint64_t time_ns(void)
{
	return 1;
}

void vcpu_reset(struct vcpu *c)
{
	c->v.rip = 0xfff0;
}

int vm_renew_memory(struct vm *v)
{
	return 0;
}

void vm_time_start(struct vm *v)
{
}

void hyperv_reset(struct vm *v)
{
}

void hyperv_refresh(struct vm *v)
{
}

bool registry_remove(struct vm *v)
{
	abort();
}

void vm_put(struct vm *v)
{
	abort();
}

int vm_park(struct vm *v, uint64_t deadline_ns)
{
	abort();
}

void vm_unpark(struct vm *v)
{
	abort();
}

void vm_request_reset(struct vm *v)
{
	abort();
}

void vm_park_ask_locked(struct vm *v)
{
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	fail_msg("a world did not end");
	return 0;
}

void waitq_wake_all(struct waitq *q)
{
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	*out = (struct world *)&vcpu;
	return 0;
}

void world_join(struct world *w)
{
}

void vcpu_world(void *arg)
{
}

void vcpu_on_cpu(struct vcpu *c)
{
}

void vcpu_off_cpu(struct vcpu *c)
{
}

void vcpu_unboard(struct vcpu *c)
{
}

/* Asked to end: it does so. */
void vcpu_kick(struct vcpu *c)
{
	if (run.stop && run.live)
		vcpu_leave(c);
}

/* ---- the platform ---- */

static int acquire(struct vm *v, char *text, size_t len)
{
	fake.held += !fake.acquire;
	return fake.acquire;
}

static void release(struct vm *v)
{
	fake.held = 0;
}

static int reset(struct vm *v)
{
	fake.resets++;
	return fake.reset;
}

static int boot(struct vm *v, char *text, size_t len)
{
	return fake.boot;
}

static const struct vm_platform platform = {
	.acquire = acquire,
	.release = release,
	.reset = reset,
	.boot = boot,
};

/* ---- a VM that has crashed here ---- */

static int crash(void **state)
{
	memset(&vm, 0, sizeof(vm));
	memset(&run, 0, sizeof(run));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&fake, 0, sizeof(fake));
	vm.run = &run;
	vm.nr_vcpus = 1;
	vm.vcpu[0] = &vcpu;
	vcpu.vm = &vm;
	vm_set_platform(&platform);
	assert_int_equal(vm_start(&vm, why, sizeof(why)), 0);
	vcpu.v.rip = RIP_OF_CRASH;
	vm_request_off(&vm, "triple fault", true);
	assert_int_equal(vm.state, VM_STOPPED_ERROR);
	fake.resets = 0;
	return 0;
}

static void it_shows_its_registers(void **state)
{
	assert_true(vm_shows_error(&vm));
	assert_int_equal(vcpu.v.rip, RIP_OF_CRASH);
}

static void a_preflight_leaves_them(void **state)
{
	assert_int_equal(vm_wake(&vm, why, sizeof(why)), 0);
	assert_int_equal(fake.held, 1);
	vm_lay_down(&vm);
	assert_int_equal(fake.held, 0);
	assert_int_equal(fake.resets, 0);
	assert_int_equal(vcpu.v.rip, RIP_OF_CRASH);
	assert_true(vm_shows_error(&vm));
}

static void a_move_that_fails_late_does_not_show_others(void **state)
{
	assert_int_equal(vm_wake(&vm, why, sizeof(why)), 0);
	assert_int_equal(vm_forget_run(&vm), 0);
	assert_int_equal(fake.resets, 1);
	assert_int_equal(vcpu.v.rip, 0xfff0);
	vm_lay_down(&vm);
	assert_int_equal(vm.state, VM_STOPPED_ERROR);
	assert_string_equal(vm.stop_reason, "triple fault");
	assert_false(vm_shows_error(&vm));
}

static void devices_that_are_not_reset_leave_them(void **state)
{
	fake.reset = -EIO;
	assert_int_equal(vm_forget_run(&vm), -EIO);
	assert_int_equal(vcpu.v.rip, RIP_OF_CRASH);
	assert_true(vm_shows_error(&vm));
}

static void a_start_that_fails_does_not_show_others(void **state)
{
	fake.boot = -ENOENT;
	assert_int_equal(vm_start(&vm, why, sizeof(why)), -ENOENT);
	assert_int_equal(vm.state, VM_STOPPED_ERROR);
	assert_false(vm_shows_error(&vm));
}

/* As where one arrives, its devices and vCPUs as when its power comes. */
static void one_that_came_shows_none(void **state)
{
	struct vm_end end;

	vm_ended(&vm, &end);
	vcpu_reset(&vcpu);
	vm.state = VM_STUNNED;
	vm.mig = &vm;
	assert_int_equal(vm_stop(&vm, why, sizeof(why)), -EBUSY); /* else its end would be lost */
	assert_int_equal(vm_stop_as(&vm, &end, why, sizeof(why)), 0);
	assert_null(vm.mig);
	assert_int_equal(vm.state, VM_STOPPED_ERROR);
	assert_string_equal(vm.stop_reason, "triple fault");
	assert_false(vm_shows_error(&vm));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_shows_its_registers, crash),
		cmocka_unit_test_setup(a_preflight_leaves_them, crash),
		cmocka_unit_test_setup(a_move_that_fails_late_does_not_show_others, crash),
		cmocka_unit_test_setup(devices_that_are_not_reset_leave_them, crash),
		cmocka_unit_test_setup(a_start_that_fails_does_not_show_others, crash),
		cmocka_unit_test_setup(one_that_came_shows_none, crash),
	};

	return cmocka_run_group_tests_name("vm_end", tests, NULL, NULL);
}
