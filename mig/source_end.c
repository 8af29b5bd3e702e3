/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two ends of a migration at the source, as the commit's actions ask for
 * them: the VM goes on here, or this host's copy is freed.
 */
#include <tern/dirty.h>
#include <tern/home.h>
#include <tern/log.h>
#include <tern/vdev.h>

#include "job.h"

void source_resume(struct mig_job *j)
{
	vdisks_settle(j->vm, true);
	vm_set_state(j->vm, j->was);
	if (job_moves_running(j))
		vm_unpark(j->vm);
}

void source_resume_all(struct mig_job *j)
{
	if (!j->vm) {
		recover_end(j, false);
		return;
	}
	if (job_moves_running(j))
		vdevs_resume(j->vm);
	source_resume(j);
	home_stays(j->vm);
	if (!vm_state_is_off(j->was))
		dirty_stop(j->vm);
	job_drop_vm(j);
}

/* The VM is elsewhere; on this host itself its name and its home are the other instance's. */
static void leave(struct mig_job *j, struct vm *vm)
{
	char why[96] = "";

	if (!j->self)
		home_leave(vm);
	if (vm_stop(vm, why, sizeof(why)) || (!j->self && vm_delete(vm, why, sizeof(why))))
		log_error("mig", "job %u: %s has moved but its copy here stays: %s",
			  (unsigned)j->st.id, j->st.vm, why);
	if (!j->self)
		home_left(vm);
}

void source_release(struct mig_job *j)
{
	struct vm *vm = j->vm;

	if (!vm) {
		recover_end(j, true);
		return;
	}
	mutex_lock(&vm->lock);
	vm->mig = NULL;
	mutex_unlock(&vm->lock);
	vdisks_settle(vm, false);
	vm_set_state(vm, VM_STUNNED); /* parked, and now to be taken apart */
	leave(j, vm);
	j->vm = NULL;
	vm_put(vm);
}
