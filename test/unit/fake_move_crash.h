/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host with two datastores whose moves of a VM crash at every write: what one writes is recorded
 * with what the other host has heard by then, and the host boots with its disks as they were before
 * each write. What recovers takes one job. Homes stand on fake_home.h.
 */
#ifndef TEST_FAKE_MOVE_CRASH_H
#define TEST_FAKE_MOVE_CRASH_H

#include "kernel/store/ds_int.h"
#include "mig/job.h"
#include "mig/journal.h"

/* What the other host has heard. */
struct fake_said {
	bool go;       /* its source has noted GO */
	bool nothing;  /* ... and no more */
	bool released; /* it has answered that the VM runs there */
	bool owns;     /* its destination has noted that it owns */
	bool over;     /* nobody asks any more */
};

extern struct fake_said fake_said;
extern struct mig_job fake_job;
extern bool fake_job_found;	/* by the recovery of a boot */
extern struct datastore *ds[2]; /* "one" and "two" */
extern unsigned crash_writes;	/* of the move that was recorded */

/* Before and after each test: the datastores are empty, and mounted. */
int crash_setup(void **state);
int crash_teardown(void **state);

/* fn, a move, to its end; what is before the move is done by begin. */
void crash_record(void (*begin)(void), void (*fn)(void));
/* The disks and what was said, before write n of it, after n - 1: for each n, in turn. */
void crash_before(unsigned n);
/* The host starts; some of them, by n, crash once more as it recovers. */
void crash_boots(unsigned n);
/* As a host that has just started, or is about to end. */
void crash_forget(void);
/* How many files are on ds[i]. */
unsigned crash_files(unsigned i);

#endif
