/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operator's word on the source of a move in doubt (docs/ownership.md). That the VM is here is
 * in the record before it goes on, so that a crash does not find GO, and the other host take its
 * old copy over; and that it is there, where the record may say otherwise, before it is let go.
 * settle.c leaves the job alone meanwhile: its record is in use here.
 */
#include <errno.h>

#include <tern/home.h>
#include <tern/vdev.h>

#include "job.h"
#include "owner.h"

/* An operator may be wrong: what was copied stays here as well. */
static void keep_disks(struct mig_job *j)
{
	if (!j->vm) {
		recover_keep(j);
		return;
	}
	vdisks_settle(j->vm, true);
	home_keep(j->vm);
}

static int begin(struct mig_job *j, bool here)
{
	unsigned long f = spin_lock(&j->lock);
	int err = 0;

	while (j->asking || j->resolving) /* a GO that settle.c repeats may be on its way */
		(void)job_wait_locked(j, &f, NEVER_NS);
	if (j->src != SRC_GO_SENT)
		err = -EPERM;
	else if (here && j->vm && owner_leased(j))
		err = -EBUSY;
	j->resolving = !err;
	spin_unlock(&j->lock, f);
	return err;
}

static void end(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);

	j->resolving = false;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
}

static void decide(struct mig_job *j, bool here)
{
	unsigned long f = spin_lock(&j->lock);

	(void)src_resolve(&j->src, here); /* nobody else has decided since begin */
	spin_unlock(&j->lock, f);
	job_step(j, here ? STEP_SAID_HERE : STEP_SAID_THERE);
	if (here) {
		job_error(j, "resolved", "the operator said that the VM is here");
		source_resume_all(
			j); /* and settle.c goes on to tell the other side that it is not wanted */
		job_over(j, MIG_FAILED);
		return;
	}
	job_set_settling(j, false);
	keep_disks(j);
	source_release(j);
	job_over(j, MIG_DONE);
}

int source_resolve(struct mig_job *j, bool here)
{
	int err = begin(j, here);

	if (err)
		return err;
	if (here)
		err = source_note_nothing(j);
	else if (!source_go_is_noted(j))
		err = -EIO;
	if (!err)
		decide(j, here);
	else
		j->unsure = true; /* it may say so: GO is not repeated before it says GO again */
	end(j);
	job_journal_end(j);
	return err;
}
