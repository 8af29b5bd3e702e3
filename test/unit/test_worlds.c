/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last of a VM's worlds gives up what the run had from outside; worlds that did not all
 * come to be give up nothing, so that a restore without memory can be repeated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/worlds.c"

#define VCPUS 3u

static struct vm vm;
static struct vcpu vcpu[VCPUS];
static struct vm_run run;
static unsigned fails_at; /* the world that there is no memory for */
static unsigned made, released;
const struct virt_ops *virt;

static void release(struct vm *v)
{
	released++;
}

const struct vm_platform *vm_platform(void)
{
	static const struct vm_platform p = { .release = release };

	return &p;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	if (made == fails_at)
		return -ENOMEM;
	made++;
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

void vm_park_ask_locked(struct vm *v)
{
}

void waitq_wake_all(struct waitq *q)
{
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	fail_msg("a world did not end");
	return 0;
}

void event_signal(struct event *e)
{
}

/* Asked to end: a world that was made does so. */
void vcpu_kick(struct vcpu *c)
{
	if (c < vcpu + made)
		vcpu_leave(c);
}

static int begin(void **state)
{
	memset(&vm, 0, sizeof(vm));
	memset(&run, 0, sizeof(run));
	memset(vcpu, 0, sizeof(vcpu));
	vm.run = &run;
	vm.nr_vcpus = VCPUS;
	for (unsigned i = 0; i < VCPUS; i++) {
		vcpu[i].vm = &vm;
		vm.vcpu[i] = &vcpu[i];
	}
	made = released = 0;
	fails_at = VCPUS;
	return 0;
}

static void the_last_one_releases(void **state)
{
	assert_int_equal(vm_launch_worlds(&vm, VM_RUNNING), 0);
	vcpu_leave(&vcpu[1]);
	vcpu_leave(&vcpu[0]);
	assert_int_equal(released, 0);
	vcpu_leave(&vcpu[2]);
	assert_int_equal(released, 1);
	assert_int_equal(vm.state, VM_OFF);
}

static void a_launch_that_fails_releases_nothing(void **state)
{
	for (fails_at = 0; fails_at < VCPUS; fails_at++) {
		made = 0;
		assert_int_equal(vm_launch_worlds(&vm, VM_INCOMING), -ENOMEM);
		assert_int_equal(run.live, 0);
		assert_int_equal(released, 0);
	}
	made = 0; /* and the next one succeeds */
	assert_int_equal(vm_launch_worlds(&vm, VM_INCOMING), 0);
	for (unsigned i = 0; i < VCPUS; i++)
		vcpu_leave(&vcpu[i]);
	assert_int_equal(released, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_last_one_releases, begin),
		cmocka_unit_test_setup(a_launch_that_fails_releases_nothing, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
