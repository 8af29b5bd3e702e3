/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parking: every vCPU out of the guest, its state in memory, and staying out;
 * and the reset of a VM, for which vCPU 0 keeps all others out.
 *
 * vm_park raises the depth, asks each vCPU and kicks it: a vCPU in the guest
 * leaves by the IPI, one in HLT wakes by its event, one in a handler sees the
 * request at its next turn. Nothing polls. A vCPU decides to leave its park
 * under run->lock, where park_asked is written, so that a park that begins at
 * that moment does not count it as parked.
 *
 * A reset comes before a park when it was asked for before all stood still: what ends
 * with the instance (a migration, a suspend) would else take the request with it. vCPU 0
 * leaves its park for it, and vm_park waits until that is done. Once run->settled, a
 * request waits for the end of the park.
 *
 * A vCPU without a world counts as parked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <tern/log.h>

#include "hyperv.h"
#include "vm_int.h"

/* So long a park is told to the guest: its watchdogs would take it for a hang. */
#define HELD_NS NSEC_PER_SEC

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

void vm_kick_vcpus(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(vm->vcpu[i]);
}

void vm_park_ask_locked(struct vm *vm)
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

bool vm_reset_asked(const struct vm *vm)
{
	return __atomic_load_n(&vm->run->request, __ATOMIC_SEQ_CST) == REQ_RESET;
}

static bool reset_due_locked(const struct vm *vm)
{
	return vm->run->live && !vm->run->settled && vm_reset_asked(vm);
}

bool vm_reset_due(struct vm *vm)
{
	unsigned long flags;
	bool due;

	if (!vm_reset_asked(vm)) /* as at nearly every turn */
		return false;
	flags = spin_lock(&vm->run->lock);
	due = reset_due_locked(vm);
	spin_unlock(&vm->run->lock, flags);
	return due;
}

/* What the caller of park_but waits for; vCPU 0, which parks the others for a reset, waits for
 * none. */
static bool stands_locked(struct vm *vm, const struct vcpu *except)
{
	return all_parked_locked(vm, except) && (except || !reset_due_locked(vm));
}

static int park_but(struct vm *vm, const struct vcpu *except, uint64_t deadline_ns)
{
	struct vm_run *run = vm->run;
	unsigned long flags = spin_lock(&run->lock);
	uint64_t start = time_ns();
	bool were_out = all_parked_locked(vm, except);
	int err = 0;

	run->parks++;
	vm_park_ask_locked(vm);
	spin_unlock(&run->lock, flags);
	vm_kick_vcpus(vm);
	flags = spin_lock(&run->lock);
	while (!stands_locked(vm, except) && err != -ETIMEDOUT)
		err = waitq_sleep(&run->changed, &run->lock, &flags, deadline_ns);
	err = stands_locked(vm, except) ? 0 : -ETIMEDOUT;
	if (!err && !except)
		run->settled = true;
	if (!err && !were_out)
		run->parked_ns[run->parks_done++ % PARKS_KEPT] = time_ns() - start;
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
	if (!--vm->run->parks)
		vm->run->settled = false;
	vm_park_ask_locked(vm);
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

/* False: park again. A stop ends the park for good; a reset is vCPU 0's, before it parks. */
static bool leave_park(struct vcpu *c)
{
	struct vm_run *run = c->vm->run;
	unsigned long flags = spin_lock(&run->lock);
	bool go = !c->park_asked || run->stop || (!c->index && reset_due_locked(c->vm));

	if (go && !run->stop)
		c->parked = 0;
	spin_unlock(&run->lock, flags);
	return go;
}

void vcpu_park_here(struct vcpu *c)
{
	uint64_t since = time_ns();

	vcpu_unboard(c);
	set_parked(c);
	c->times.off_as = VCPU_HELD;
	while (!leave_park(c))
		(void)event_wait(&c->wake, NEVER_NS);
	c->times.off_as = VCPU_READY;
	if (time_ns() - since > HELD_NS)
		c->clock->stopped = true;
	if (__atomic_load_n(&c->vm->run->stop, __ATOMIC_ACQUIRE))
		return; /* the world ends without having been in again */
	vcpu_board(c);
	if (c->clock->stopped)
		pvclock_update(c);
}

void vm_request_reset(struct vm *vm)
{
	uint32_t none = REQ_NONE;

	if (__atomic_compare_exchange_n(&vm->run->request, &none, REQ_RESET, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		vcpu_kick(vm->vcpu[0]);
		event_signal(&vm->vcpu[0]->wake); /* it may be in a park that waits for others */
	}
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
	hyperv_reset(vm);
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
		log_info("vm", "%s: reset", vm->cfg.name);
		if (reset_all(vm, why, sizeof(why)))
			vm_request_off(vm, why, true);
		vcpu_board(c);
	}
	vm_unpark(vm);
}
