/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM comes to stand at the source: park -> drain devices -> drain disks -> final harvest.
 * Draining comes before the harvest because completions write guest memory. A VM that is off or
 * suspended stands already.
 */
#include <errno.h>

#include <tern/dirty.h>
#include <tern/vdev.h>

#include "owner.h"
#include "phase.h"
#include "source.h"
#include "source_disks.h"

static int ended(struct mig_job *j)
{
	job_error(j, "not-running", "the VM ended by itself before it could move");
	return -ESRCH;
}

int source_vm_runs(struct mig_job *j)
{
	return job_moves_running(j) && vm_state_is_off(j->vm->state) ? ended(j) : 0;
}

static int park(struct mig_job *j)
{
	int err = vm_park(j->vm, time_ns() + QUIESCE_TIMEOUT_NS);

	if (err == -ESRCH)
		return ended(j);
	if (err)
		job_error(j, "stun-timeout", "the VM's processors did not stop in time");
	return err;
}

static int quiesce(struct source *s)
{
	struct mig_job *j = s->j;
	int err = vdevs_quiesce(j->vm, time_ns() + QUIESCE_TIMEOUT_NS);

	if (err) {
		job_error(j, "device-busy", "a device did not finish its work in time");
		return err;
	}
	s->quiesced = true;
	if (!vm_reset_asked(j->vm))
		return 0;
	/* by its watchdog, behind the processors' stop */
	job_error(j, "not-running", "the VM is being reset just now: try again");
	return -EBUSY;
}

/* Not earlier: a VM in error that does not go keeps the registers of its crash. */
static int forget_run(struct mig_job *j)
{
	int err = vm_state_is_off(j->was) ? vm_forget_run(j->vm) : 0;

	if (err)
		job_error(j, "device-busy", "a device could not be reset");
	return err;
}

/* One that is off or suspended stands still anyway. */
static int stand_still(struct source *s)
{
	struct mig_job *j = s->j;
	int err = job_moves_running(j) ? park(j) : forget_run(j);

	if (err)
		return err;
	s->parked = true;
	vm_set_state(j->vm, VM_STUNNED);
	src_stun(&j->src);
	job_step(j, owner_leased(j) ? (j->journal ? STEP_BY_BOTH : STEP_BY_LEASES)
				    : (j->journal ? STEP_BY_RECORDS : STEP_BY_STREAM));
	job_step(j, STEP_PARKED);
	return job_moves_running(j) ? quiesce(s) : 0;
}

int source_stun(struct source *s)
{
	struct mig_job *j = s->j;
	uint64_t t1;
	int err;

	if (j->req.hold == MIG_STUN)
		source_disks_go_on(s); /* it may be held for long */
	err = source_hold(j, MIG_STUN);
	if (!err)
		err = source_home_leaves(s); /* before what the disks owe may grow */
	if (!err)
		err = source_disks_ready(s);
	if (err)
		return err;
	s->parked_at_ns = time_ns();
	err = stand_still(s);
	if (!err)
		err = source_disks_drain(s);
	if (err)
		return err;
	t1 = time_ns();
	j->st.park_ns = t1 - s->parked_at_ns;
	if (!s->tracking)
		return 0;
	err = order_collect(&s->order, &s->todo);
	if (!err)
		err = dirty_harvest(j->vm, &s->todo);
	j->st.harvest_ns = time_ns() - t1;
	return err;
}
