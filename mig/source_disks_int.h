/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of source_disks.h: source_disks_plan.c says which disks go where, source_disks.c opens,
 * copies and drains them, source_chain.c has their snapshots, source_backlog.c keeps short what
 * waits, source_verify.c has all compared.
 */
#ifndef MIG_SOURCE_DISKS_INT_H
#define MIG_SOURCE_DISKS_INT_H

#include "blk_send.h"
#include "chain.h"
#include "disk_copy.h"
#include "source_disks.h"

struct source_disk {
	struct source *s;
	unsigned index; /* of the VM's disks */
	struct vdisk *share;
	struct chain *chain; /* the snapshots under it; NULL: none */
	struct disk_copy copy;
	bool filtered; /* the guest's requests go through the mirror */
};

struct source_verify {
	struct world *world; /* NULL: it does not run */
	struct event wake;
	bool stop;		    /* [atom] */
	bool once;		    /* [job] all that was copied is compared, or could not be */
	int error;		    /* [job] the world's end */
	struct source_disk *failed; /* before error; NULL: none by itself */
};

/* What the other host takes, smoothed; 0: not known yet. */
struct source_rate {
	uint64_t bytes_s, mark_ns, mark_bytes;
};

/* The last one that was begun beside pre-copy. */
struct source_flush {
	uint64_t seq, at_ns, acked_bytes;
};

struct source_disks {
	unsigned nr;
	struct source_disk disk[VM_DISKS_MAX];
	struct disk_copies copies; /* theirs */
	struct peer peer;
	struct blk_sender *sender;
	struct source_verify verify;
	struct source_rate rate;
	struct source_flush flush;
	uint64_t drained; /* number of the flush behind all; 0: there was no slot for it */
	bool paused;	  /* the guest's requests stay in its rings */
	uint64_t started_ns, shown_ns, alive_ns;
};

/* source_disks.c. Between two pieces, and while the other host is waited for: signs of life for the
 * other stream, progress, and is all well? -ECANCELED, the stream's error. */
int source_disks_well(struct source *s);
/* The same as bulk's hook; user is a disk's copy. */
int source_disks_asked(void *user);
/* An error of the disk's copy, said to the job. */
int source_disk_failed(struct source_disk *d, int err);
/* What ended the stream, else err. */
int source_disks_sender(struct source *s, int err);

/* source_backlog.c: the copy is over when so little waits that the stun may come, and what does not
 * is durable there. */
MUST_CHECK int source_backlog_wait(struct source *s);
/* Until all is there, and durable, as long as that gets on. */
MUST_CHECK int source_backlog_flush(struct source *s);

/* source_chain.c. From open to close its snapshots stay as they are; what fails is said to the job.
 */
MUST_CHECK int source_chain_open(struct source_disk *d);
/* As bulk_linear. */
MUST_CHECK int source_chain_copy(struct source_disk *d);
void source_chain_close(struct source_disk *d);

/* source_verify.c, in order of use; each says to the job what fails. The mirror is not in use yet.
 */
MUST_CHECK int source_verify_init(struct source_disk *d);
/* Compares all that was copied, and goes on beside what follows. */
MUST_CHECK int source_verify_copied(struct source *s);
/* Ends that: what it has found; the rest is found in the stun. Without it: nothing. */
MUST_CHECK int source_verify_stop(struct source *s);
/* In the stun: what fits into it; a flush then waits for the verdict. */
MUST_CHECK int source_verify_rest(struct source *s);
/* At any time; the sender has been told to stop. */
void source_verify_end(struct source_disks *d);

#endif
