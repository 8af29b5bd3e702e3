/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Suspend and restore: a migration whose destination is this host and whose memory does
 * not move. The VM's state goes through the same records, saved from the instance that
 * ran, checked and loaded into a fresh one (kernel/vm/heir.c), which then waits without
 * worlds until it is restored. All that can fail fails in the suspend, while the old
 * instance can still go on; a restore needs memory for the vCPUs' worlds, nothing else.
 *
 * Absent pages stay absent, so a suspended VM costs what it has written and its devices.
 *
 * Clocks: the time away counts, as a blackout does and as a pause does. TSC and kvmclock
 * go on with the host's clock, so the guest's wall clock is right without an agent in
 * it; the kvmclock page tells that the guest was stopped, so its watchdogs look away.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>
#include <tern/mig.h>
#include <tern/vdev.h>

#include "stun.h"

/* Stands in vm->mig for the job that there is not. */
static char suspender;

static int claim(struct vm *vm, enum vm_state needed, const char *doing, char *why, size_t len)
{
	int err = vm_claim(vm, &suspender, doing, why, len);

	if (err || vm->state == needed)
		return err;
	snprintf(why, len, "VM %s is %s: this needs a %s one", vm->cfg.name,
		 vm_state_name(vm->state), vm_state_name(needed));
	vm_disown(vm);
	return -EBUSY;
}

static int bequeath(struct vm *vm, char *why, size_t len)
{
	struct vm *heir;
	int err = vm_create_heir(vm, &vm->cfg, &heir, why, len);

	if (err)
		return err;
	snprintf(why, len, "its state could not be saved");
	err = stun_hand_over(vm, heir, why, len);
	if (!err)
		err = vm_inherit(vm, heir);
	vm_put(heir);
	return err;
}

int mig_suspend(struct vm *vm, char *why, size_t len)
{
	int err = claim(vm, VM_RUNNING, "being suspended", why, len);

	if (err)
		return err;
	err = stun(vm, why, len);
	if (!err) {
		err = bequeath(vm, why, len);
		if (err)
			stun_end(vm);
	}
	vm_disown(vm);
	if (err)
		return err;
	log_info("mig", "%s is suspended", vm->cfg.name);
	err = vm_stop(vm, why, len); /* what is left of the first instance: parked, unnamed */
	if (err)
		log_error("mig", "%s: its former instance does not end: %s", vm->cfg.name, why);
	return 0;
}

int mig_restore(struct vm *vm, char *why, size_t len)
{
	int err = claim(vm, VM_SUSPENDED, "being restored", why, len);

	if (err)
		return err;
	err = vm_prepare_incoming(vm);
	if (err) {
		vm_hold_suspended(vm);
		snprintf(why, len, "no memory for the VM's processors");
	} else {
		vdevs_resume(vm);
		vm_run_incoming(vm);
		log_info("mig", "%s is restored", vm->cfg.name);
	}
	vm_disown(vm);
	return err;
}
