/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that moves: the mirror under the guest, the marks and the bulk copy, as Storage vMotion
 * and X-vMotion both have them, whatever the target is.
 *
 * disk_copy_init, fill in what is [in] of bulk, then bulk.h; disk_copy_fini, also of one that was
 * not made.
 */
#ifndef MIG_DISK_COPY_H
#define MIG_DISK_COPY_H

#include "digest.h"
#include "job.h"

struct disk_copy {
	struct ds_file *file;	/* [const] the source's; NULL: a whole disk */
	struct ds_file *target; /* [const] NULL: none, or another host's */
	struct cbt cbt;
	struct mirror *m;
	struct bulk bulk;
	bool bare;	      /* [const] disk_copy_bare */
	struct digest digest; /* after disk_copy_digest */
	uint64_t watched_ns;  /* when disk_copy_watch was last called */
	struct mirror_figures watched;
	struct pace_guest guest; /* its requests between the last two calls */
};

/* file and source until the end. As mirror_new; holes of file are skipped. bulk's user is c. */
MUST_CHECK int disk_copy_init(struct disk_copy *c, struct ds_file *file, struct blkdev *source,
			      struct blkdev *target, enum mirror_mode mode);
/*
 * The target is this unfinished file of a datastore here, and what the source's map says tells
 * where contents are, as that of a thin file does: all of it will be written.
 */
void disk_copy_into(struct disk_copy *c, struct ds_file *target);
/* The target, or the lowest file of its chain, is a new file of ds_create_bare. */
void disk_copy_bare(struct disk_copy *c);
/* Before the mirror is in use: its copy's and its writes' digests are kept. -ENOMEM. */
MUST_CHECK int disk_copy_digest(struct disk_copy *c);
/* Is more of it not compared than so many bytes? Then that much is added to *uncompared. */
bool disk_copy_left(const struct disk_copy *c, uint64_t most, uint64_t *uncompared);
void disk_copy_fini(struct disk_copy *c);
/* Two calls, some time apart, see what the guest asks for meanwhile: c->guest, for pace_init. */
void disk_copy_watch(struct disk_copy *c);
/*
 * For how long: in steps of DISK_COPY_WATCH_NS, until the guest has had enough requests since the
 * first call for a rate that says something, or none.
 */
#define DISK_COPY_WATCH_NS (200 * NSEC_PER_MSEC)
uint64_t disk_copy_seen(const struct disk_copy *c);
bool disk_copy_watched(const struct disk_copy *c, uint64_t requests);

/* What a job shows of its copies: each is added, then they are shown. */
struct disk_copy_sum {
	struct mig_disk_figures f; /* copied, skipped, mirrored, held, and what that took */
	uint64_t done_bytes;
};
void disk_copy_add(struct disk_copy *c, struct disk_copy_sum *sum);
/* One of the job's disks: if it is a whole disk of the host, the job says so. */
void disk_copy_note(struct mig_job *j, const char *path);
/* percent: of the job, when all is copied. */
void disk_copy_show(struct mig_job *j, const struct disk_copy_sum *sum, uint64_t started_ns,
		    unsigned percent);

/* disk_copies.c: all of a VM's. cold copies what is under one, as its snapshots, if anything is. */
struct disk_copies {
	unsigned nr;
	struct disk_copy *copy[VM_DISKS_MAX];
	int (*cold)(struct disk_copy *c);
	int (*failed)(struct disk_copy *c, int err); /* says so to the job, and gives the error */
};
void disk_copies_add(struct disk_copies *all, struct disk_copy *c);
/* Before the copy: what the guest asks for while nothing slows it down. */
void disk_copies_watch(struct disk_copies *all);
/* All cold parts, then all of what the disks themselves have; runs: a guest is to be spared. */
MUST_CHECK int disk_copies_run(struct disk_copies *all, uint32_t bw_mbit, bool runs);
void disk_copies_show(struct disk_copies *all, struct mig_job *j, uint64_t started_ns,
		      unsigned percent);

#endif
