/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Storage vMotion that is about to switch, for smove_switch.c: its job, the VM's two instances,
 * the copies of its disks, with nothing left to copy. Each step gives what the test has put down
 * for it; what becomes of the instances is counted. Not here, because tests differ in them: files,
 * homes, the record, and how the job waits.
 */
#ifndef TEST_FAKE_SMOVE_H
#define TEST_FAKE_SMOVE_H

#include <tern/vdev.h>

#include "mig/smove.h"
#include "mig/stun.h"

struct fake_smove {
	int stun, ends, rest, adopt, config, create, hand_over, prepare; /* what each gives */
	int heirs, parked, runs, heir_runs, inherited; /* how often, or how many */
	uint64_t promised;			       /* bytes */
};

extern struct vm vm, heir;
extern struct mig_job job;
extern struct smove s;
extern struct fake_smove fake;

/* All steps succeed; vm runs, and is the job's. */
void fake_smove_begin(void);

#endif
