/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source's parts: the nine steps (source.c), what it hears (source_hear.c), pre-copy
 * (precopy.c), the stun (source_stun.c), leases and GO (source_commit.c), the end (source_end.c).
 */
#ifndef MIG_SOURCE_H
#define MIG_SOURCE_H

#include <tern/home.h>
#include <tern/vdev.h>

#include "job.h"
#include "order.h"
#include "ram_send.h"

struct source {
	struct mig_job *j;
	struct world *ears; /* reads what the destination says */
	struct ram_sender *ram;
	struct order order;  /* pre-copy: pages owed, in the order of sending */
	struct pageset todo; /* stun: all pages still owed */
	struct vdisk_id disk[VM_DISKS_MAX];
	struct home_id home;
	struct source_disks *disks; /* those that are copied; NULL: none */
	struct source_home *going;  /* its home, when that is sent; NULL: it is not */
	bool tracking, parked, quiesced;
	char lost[WIRE_TEXT];  /* why, when what was to be given is a third host's */
	uint64_t rate_bytes_s; /* smoothed, by acknowledgements */
	uint64_t rate_mark_ns, rate_mark_bytes;
	uint64_t precopy_at_ns; /* when the first page was sent */
	uint64_t parked_at_ns;
};

/* source_stun.c */
MUST_CHECK int source_stun(struct source *s);
/* -ESRCH, and the job says why, when the VM ran and has ended by itself. */
MUST_CHECK int source_vm_runs(struct mig_job *j);

/* source_hear.c */
void source_ears(void *arg); /* world; arg is the job */
/*
 * Waits until the destination has sent this type. Says ALIVE meanwhile. 0,
 * -ECANCELED by the user, -ETIMEDOUT, the stream's error, -ECONNABORTED when the
 * destination refused or gave up (its words are in the job then).
 */
MUST_CHECK int source_wait(struct mig_job *j, enum wire_type type, uint64_t deadline_ns);
/* Lets time pass, saying ALIVE. 0, -ECANCELED by the user, the stream's error. */
MUST_CHECK int source_pause(struct mig_job *j, uint64_t until_ns);
/* Until it is so: who makes it so says job_changed_locked. Says ALIVE; as source_wait. */
MUST_CHECK int source_until(struct mig_job *j, bool (*so)(const void *arg), const void *arg,
			    uint64_t deadline_ns);
/* Stops here when --hold says so, until continue or cancel. As source_wait. */
MUST_CHECK int source_hold(struct mig_job *j, enum mig_phase p);
/* Sends a clock probe, unless one is out. Its answer is taken in when it comes. */
MUST_CHECK int source_probe(struct mig_job *j);
/* Some probes, and waits for each: from then on gap and rtt_ns are known. */
MUST_CHECK int source_clock(struct mig_job *j);
/* The destination's clock minus ours, by what is known now. */
int64_t source_gap_ns(struct mig_job *j);

/* source_commit.c: the last steps before GO, as those of source.c; GO; the end without it. */
MUST_CHECK int source_lease(struct source *s);
MUST_CHECK int source_go(struct source *s);
void source_commit(struct source *s);
/* True: the VM goes on here. Else the job has ended, or is in doubt. */
bool source_give_up(struct source *s, int err);

/* precopy.c: sends and harvests until the rest fits the stun budget. */
MUST_CHECK int source_precopy(struct source *s);

#endif
