/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parking: every vCPU out of the guest, its state in memory, and staying out.
 * And the other ends of a vCPU world's life: launch, stop, last one out.
 *
 * vm_park raises the depth, asks each vCPU and kicks it: a vCPU in the guest
 * leaves by the IPI, one in HLT wakes by its event, one in a handler sees the
 * request at its next turn. Nothing polls. A vCPU decides to leave its park
 * under run->lock, where park_asked is written, so that a park that begins at
 * that moment does not count it as parked.
 *
 * A vCPU without a world counts as parked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <tern/log.h>

#include "vm_int.h"

#define VCPU_STACK (32u << 10)

int vm_run_init(struct vm *vm)
{
	struct vm_run *run = calloc(1, sizeof(*run));

	if (!run)
		return -ENOMEM;
	spin_init(&run->lock, LOCK_VM, "vm run");
	waitq_init(&run->changed, "vm park");
	vm->run = run;
	return io_init(vm);
}

void vm_run_fini(struct vm *vm)
{
	if (!vm->run)
		return;
	io_fini(vm);
	for (unsigned i = 0; i < VM_VCPUS_MAX; i++)
		free(vm->run->incoming[i]);
	free(vm->run);
	vm->run = NULL;
}

static void kick_all(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(vm->vcpu[i]);
}

static void ask_locked(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		__atomic_store_n(&vm->vcpu[i]->park_asked, vm->run->parks != 0, __ATOMIC_SEQ_CST);
}

static bool all_parked_locked(struct vm *vm, const struct vcpu *except)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpu[i] != except && !vm->vcpu[i]->parked)
			return false;
	return true;
}

static int park_but(struct vm *vm, const struct vcpu *except, uint64_t deadline_ns)
{
	struct vm_run *run = vm->run;
	unsigned long flags = spin_lock(&run->lock);
	int err = 0;

	run->parks++;
	ask_locked(vm);
	spin_unlock(&run->lock, flags);
	kick_all(vm);
	flags = spin_lock(&run->lock);
	while (!all_parked_locked(vm, except) && err != -ETIMEDOUT)
		err = waitq_sleep(&run->changed, &run->lock, &flags, deadline_ns);
	err = all_parked_locked(vm, except) ? 0 : -ETIMEDOUT;
	spin_unlock(&run->lock, flags);
	return err;
}

int vm_park(struct vm *vm, uint64_t deadline_ns)
{
	int err = park_but(vm, NULL, deadline_ns);

	if (!err && __atomic_load_n(&vm->run->stop, __ATOMIC_ACQUIRE))
		err = -ESRCH; /* it did not park, it ended */
	if (err)
		vm_unpark(vm);
	return err;
}

void vm_unpark(struct vm *vm)
{
	unsigned long flags = spin_lock(&vm->run->lock);

	tern_assert(vm->run->parks);
	vm->run->parks--;
	ask_locked(vm);
	spin_unlock(&vm->run->lock, flags);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		event_signal(&vm->vcpu[i]->wake);
}

/* ---- by the vCPU's world ---- */

void vcpu_board(struct vcpu *c)
{
	unsigned long flags = irq_save();

	c->loaded = true;
	virt->vcpu_load(&c->v);
	irq_restore(flags);
}

void vcpu_unboard(struct vcpu *c)
{
	unsigned long flags = irq_save();

	virt->vcpu_put(&c->v);
	c->loaded = false;
	irq_restore(flags);
}

static void set_parked(struct vcpu *c)
{
	struct vm_run *run = c->vm->run;
	unsigned long flags = spin_lock(&run->lock);

	c->parked = 1;
	waitq_wake_all(&run->changed);
	spin_unlock(&run->lock, flags);
}

/* False: park again. A stop ends the park for good. */
static bool leave_park(struct vcpu *c)
{
	struct vm_run *run = c->vm->run;
	unsigned long flags = spin_lock(&run->lock);
	bool go = !c->park_asked || run->stop;

	if (go && !run->stop)
		c->parked = 0;
	spin_unlock(&run->lock, flags);
	return go;
}

void vcpu_park_here(struct vcpu *c)
{
	vcpu_unboard(c);
	set_parked(c);
	while (!leave_park(c))
		(void)event_wait(&c->wake, NEVER_NS);
	if (__atomic_load_n(&c->vm->run->stop, __ATOMIC_ACQUIRE))
		return; /* the world ends without having been in again */
	vcpu_board(c);
	if (c->clock->stopped)
		pvclock_update(c);
}

static void end_locked(struct vm *vm)
{
	struct vm_run *run = vm->run;

	if (vm->state == VM_PAUSED)
		run->parks--; /* the pause ends with the run */
	vm->state = run->request == REQ_ERROR ? VM_STOPPED_ERROR : VM_OFF;
	run->request = REQ_NONE;
}

void vcpu_leave(struct vcpu *c)
{
	struct vm_run *run = c->vm->run;
	unsigned long flags;

	if (c->loaded)
		vcpu_unboard(c);
	flags = spin_lock(&run->lock);
	c->parked = 1;
	if (!--run->live)
		end_locked(c->vm);
	waitq_wake_all(&run->changed);
	spin_unlock(&run->lock, flags);
}

static int reset_all(struct vm *vm, char *why, size_t why_len)
{
	int err = vm_platform()->reset(vm);

	if (err) {
		snprintf(why, why_len, "the devices could not be reset");
		return err;
	}
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_reset(vm->vcpu[i]);
	err = vm_platform()->boot(vm, why, why_len);
	if (!err)
		vm_time_start(vm);
	return err;
}

void vm_reset_by(struct vcpu *c)
{
	struct vm *vm = c->vm;
	char why[96] = "";

	if (!park_but(vm, c, NEVER_NS) && !vm->run->stop) {
		vcpu_unboard(c);
		__atomic_store_n(&vm->run->request, REQ_NONE, __ATOMIC_SEQ_CST);
		log_info("vm", "%s: reset by the guest", vm->cfg.name);
		if (reset_all(vm, why, sizeof(why)))
			vm_request_off(vm, why, true);
		vcpu_board(c);
	}
	vm_unpark(vm);
}

/* ---- launch and stop ---- */

static void vcpu_out(void *arg)
{
	struct vcpu *c = arg;

	if (c->loaded)
		virt->vcpu_put(&c->v);
}

static void vcpu_in(void *arg)
{
	struct vcpu *c = arg;

	if (c->loaded)
		virt->vcpu_load(&c->v);
}

static int launch_one(struct vcpu *c)
{
	struct world_opts o = { .prio = WORLD_NORMAL,
				.cpu = -1,
				.stack_size = VCPU_STACK,
				.switch_out = vcpu_out,
				.switch_in = vcpu_in };
	char name[32];

	snprintf(name, sizeof(name), "%.20s/%u", c->vm->cfg.name, c->index);
	o.name = name;
	return world_create(&c->world, &o, vcpu_world, c);
}

int vm_launch_worlds(struct vm *vm)
{
	struct vm_run *run = vm->run;
	unsigned long flags;
	unsigned n;
	int err = 0;

	vm_join_worlds(vm);
	flags = spin_lock(&run->lock);
	run->stop = 0;
	run->request = REQ_NONE;
	run->live = vm->nr_vcpus;
	vm->state = VM_RUNNING;
	vm->stop_reason[0] = '\0';
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->parked = 0;
	ask_locked(vm);
	spin_unlock(&run->lock, flags);
	for (n = 0; n < vm->nr_vcpus; n++) {
		err = launch_one(vm->vcpu[n]);
		if (err)
			break;
	}
	if (!err)
		return 0;
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
