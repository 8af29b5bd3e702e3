/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each side of a migration did to decide whose the VM is, step by step: for `migrate steps`,
 * and for the log, whose lines outlive the host. test/model/trace.h has the same words: the
 * lab's tests ask the models of the commit whether a run that has told these steps may be.
 *
 * A step is told after it is done, and after what it makes durable is.
 */
#ifndef MIG_STEPS_H
#define MIG_STEPS_H

#include <tern/mig.h>

#include "wire.h"

enum mig_step {
	/* Source: what decides, once it is parked. */
	STEP_BY_STREAM,
	STEP_BY_LEASES,
	STEP_BY_RECORDS, /* disks are copied */
	STEP_BY_BOTH,
	STEP_PARKED,
	STEP_NOTED_GO,
	STEP_NOTED_NOTHING, /* again: GO was not said */
	STEP_GIVES,	    /* the leases, from now on */
	STEP_GIVEN,
	STEP_GO,
	STEP_IN_DOUBT,
	STEP_TAKEN_BACK, /* the leases: it goes on */
	STEP_MOVED_ON,	 /* they are another's: its copy is freed */
	STEP_STOPPED,	 /* they are a dead copy's: it runs nowhere */
	STEP_GOES_ON,
	STEP_RELEASED, /* it runs there: its copy is freed */
	STEP_FORGOT,   /* the record of a VM that has moved */
	/* Destination. */
	STEP_HELD,  /* complete, READY is said */
	STEP_WAITS, /* without its stream */
	STEP_ACCEPTED,
	STEP_NOTED_OWNS,
	STEP_RUNS,
	STEP_GIVEN_UP,
	STEP_CLOSED, /* the source has forgotten */
	/* Either. */
	STEP_SAID_HERE, /* by the operator */
	STEP_SAID_THERE,
	STEP_FOUND_NOTHING, /* a record, after a boot */
	STEP_FOUND_GO,
	STEP_FOUND_OWNS,
	STEP_CUT, /* what follows is not told */
	STEPS
};

struct mig_job;

void steps_init(void);
/* Any context that may take a job's lock; it is in the log a little later. */
void job_step(struct mig_job *j, enum mig_step step);
void job_step_locked(struct mig_job *j, enum mig_step step);
/* The same of a migration without a job here, to the log only. */
void step_say(const uint8_t id[WIRE_ID_BYTES], bool incoming, enum mig_step step);

#endif
