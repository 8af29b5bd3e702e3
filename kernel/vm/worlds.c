/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vCPU worlds of a VM: launch, the end of each, stop. The last world out
 * gives the VM its state, by the request that ended the run. Worlds are joined
 * before the next launch or with the VM, never by one of them.
 */
#include <stdio.h>

#include "vm_int.h"

#define VCPU_STACK (32u << 10)

static void end_locked(struct vm *vm)
{
	struct vm_run *run = vm->run;

	if (vm->state == VM_PAUSED && !--run->parks) /* the pause ends with the run */
		run->settled = false;
	vm->state = run->request == REQ_ERROR ? VM_STOPPED_ERROR : VM_OFF;
	vm->ended_here = true;
	run->request = REQ_NONE;
}

/* The last one gives up what the run had from outside, before the VM is seen to be off; but not
 * when they did not all come to be: then it is whose it was. */
void vcpu_leave(struct vcpu *c)
{
	struct vm_run *run = c->vm->run;
	unsigned long flags;
	bool last;

	if (c->loaded)
		vcpu_unboard(c);
	c->times.off_as = VCPU_HELD;
	flags = spin_lock(&run->lock);
	last = --run->leaving == 0 && !run->unlaunched;
	spin_unlock(&run->lock, flags);
	if (last && vm_platform()->release)
		vm_platform()->release(c->vm);
	flags = spin_lock(&run->lock);
	c->parked = 1;
	if (!--run->live)
		end_locked(c->vm);
	waitq_wake_all(&run->changed);
	spin_unlock(&run->lock, flags);
}

static void vcpu_out(void *arg)
{
	struct vcpu *c = arg;

	if (c->loaded)
		virt->vcpu_put(&c->v);
	vcpu_off_cpu(c);
}

static void vcpu_in(void *arg)
{
	struct vcpu *c = arg;

	vcpu_on_cpu(c);
	if (c->loaded)
		virt->vcpu_load(&c->v);
}

static int launch_one(struct vcpu *c)
{
	struct world_opts o = { .prio = WORLD_NORMAL,
				.cpu = -1,
				.cpus = c->vm->cfg.sched.cpus[c->index],
				.shares = c->vm->cfg.sched.shares,
				.stack_size = VCPU_STACK,
				.switch_out = vcpu_out,
				.switch_in = vcpu_in };
	char name[32];

	snprintf(name, sizeof(name), "%.20s/%u", c->vm->cfg.name, c->index);
	o.name = name;
	return world_create(&c->world, &o, vcpu_world, c);
}

int vm_launch_worlds(struct vm *vm, enum vm_state state)
{
	struct vm_run *run = vm->run;
	unsigned long flags;
	unsigned n;
	int err = 0;

	vm_join_worlds(vm);
	flags = spin_lock(&run->lock);
	run->stop = 0;
	run->unlaunched = false;
	run->request = REQ_NONE;
	run->live = run->leaving = vm->nr_vcpus;
	vm->state = state;
	vm->stop_reason[0] = '\0';
	vm->exited = false;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->parked = 0;
	vm_park_ask_locked(vm);
	spin_unlock(&run->lock, flags);
	for (n = 0; n < vm->nr_vcpus; n++) {
		err = launch_one(vm->vcpu[n]);
		if (err)
			break;
	}
	if (!err)
		return 0;
	flags = spin_lock(&run->lock);
	run->unlaunched = true;
	spin_unlock(&run->lock, flags);
	vm_stop_worlds(vm, REQ_OFF, "no memory for its worlds");
	for (; n < vm->nr_vcpus; n++)
		vcpu_leave(vm->vcpu[n]);
	vm_wait_worlds(vm);
	return err;
}

void vm_join_worlds(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		struct world *w = vm->vcpu[i] ? vm->vcpu[i]->world : NULL;

		if (w) {
			vm->vcpu[i]->world = NULL;
			world_join(w);
		}
	}
}

void vm_stop_worlds(struct vm *vm, enum vm_request why, const char *reason)
{
	struct vm_run *run = vm->run;
	unsigned long flags = spin_lock(&run->lock);

	if (!run->stop) {
		run->stop = 1;
		run->request = why;
		snprintf(vm->stop_reason, sizeof(vm->stop_reason), "%s", reason);
	}
	if (!run->live)
		end_locked(vm);
	waitq_wake_all(&run->changed);
	spin_unlock(&run->lock, flags);
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		vcpu_kick(vm->vcpu[i]);
		event_signal(&vm->vcpu[i]->wake);
	}
}

void vm_wait_worlds(struct vm *vm)
{
	struct vm_run *run = vm->run;
	unsigned long flags = spin_lock(&run->lock);

	while (run->live)
		(void)waitq_sleep(&run->changed, &run->lock, &flags, NEVER_NS);
	spin_unlock(&run->lock, flags);
}
