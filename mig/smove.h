/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Storage vMotion: a VM's disks go to other datastores of the same host while it runs.
 *
 *   smove.c         the job's world, step by step
 *   smove_figures.c what it shows meanwhile
 *   smove_plan.c    which disks go where
 *   smove_disk.c    one disk: its old and new file, the mirror between
 *   smove_chain.c   its snapshots, which go along
 *   smove_switch.c  the VM goes on with the new disks
 *   smove_queue.c   who waits for whom
 *
 *   phase      what is done
 *   QUEUED     until both datastores have a seat
 *   PREFLIGHT  the new files, unfinished ones; the guest's requests go through mirrors
 *   COPY       what else is in a home that goes along, snapshots, then disk after disk; once
 *   ROUNDS     what is marked as changed, until the rest fits the stun budget
 *   SWITCH     the new description of a VM at home is written; VM parked, the rest copied, the new
 *              files finished, that description counts (kernel/home/home_carry.c), a new instance
 *              takes over the memory: fast suspend and resume
 *   CLEANUP    the old instance ends, the old files are removed
 *
 * Until the new files are finished everything that goes wrong leaves the VM as it was: a host that
 * dies finds the old files whole, and the new ones are debris for the next mount.
 */
#ifndef MIG_SMOVE_H
#define MIG_SMOVE_H

#include <tern/home.h>
#include <tern/store.h>

#include "chain.h"
#include "disk_copy.h"

#define SMOVE_PATH VM_DISK_PATH_MAX
/* Moves that a datastore takes part in at a time, as source or target. */
#define SMOVE_SEATS 2u

struct smove;

struct smove_disk {
	struct smove *s;
	unsigned index; /* of the VM's disks */
	struct vm_disk to;
	/* The old one: the VM's, held open, or a file or a device of a VM that is off. */
	struct vdisk *share;
	struct ds_file *old, *kept; /* kept: either's, whose chain stays as it is */
	struct blkdev *claimed, *source;
	struct datastore *old_ds; /* NULL: a whole disk, which is not removed */
	char old_path[SMOVE_PATH];
	const char *old_name; /* in it */
	uint64_t old_id;
	bool old_thin; /* it has a map of where its contents are */
	/* The new one. */
	char ds_name[32];
	struct datastore *ds;
	char name[SMOVE_PATH];
	enum ds_kind kind;
	uint64_t space; /* bytes that it takes there, with its snapshots */
	uint64_t made;	/* its identity; 0: it is not made */
	bool bare;	/* ds_create_bare */
	struct ds_file *file;
	struct vdisk *adopted;
	struct chain *chain; /* the snapshots under it; NULL: none */
	struct disk_copy copy;
	bool filtered; /* the guest's requests go through the mirror */
};

/* smove_plan.c: "/ds/NAME/FILE" in two. False: the path is no file's. */
bool smove_split(const char *path, char ds[32], const char **file);

struct smove_seat {
	struct smove_seat *next;
	char ds[2 * VM_DISKS_MAX + 2][32]; /* names: one that waits keeps nothing mounted */
	unsigned nr;
	bool seated;
};

struct smove {
	struct mig_job *j;
	unsigned nr;
	struct smove_disk disk[VM_DISKS_MAX];
	struct disk_copies copies; /* theirs */
	struct home_carry *home;   /* NULL: it has none */
	struct journal *record;	   /* of the new files, until all of them are the VM's; or NULL */
	bool home_goes;		   /* its home, to req.disks.all */
	struct smove_seat seat;
	uint64_t started_ns; /* the copy */
	uint64_t shown_ns;   /* its progress was, last */
	uint64_t promised;   /* bytes for the second instance, until it is made */
	struct vm *old;	     /* the former instance, parked, to be ended; or NULL */
};

/* smove.c */
void smove_world(void *arg);
/* Bytes that may be left for the switch: a quarter of its budget is the disks'. */
uint64_t smove_little(const struct smove *s);

/* smove_figures.c. Progress is shown; -ECANCELED when that was asked for. user: a disk's copy. */
int smove_asked(void *user);
int smove_asked_all(void *user); /* a struct smove */
void smove_show(struct smove *s);
uint64_t smove_bytes(const struct smove_disk *d, uint64_t blocks);
/* The guest's requests so far. */
void smove_guest_requests(struct smove *s, uint64_t *requests, uint64_t *busy_ns);
/* What they take, over a moment; 0: there were none. After: of the new disks, which nothing is
 * between any more. */
uint64_t smove_mean_now(struct smove *s);
uint64_t smove_mean_after(struct smove *s);

/* smove_disk.c. Errors are said to the job. The old one, and what is to be made of it. */
MUST_CHECK int smove_disk_open(struct smove_disk *d);
/* There is room for all of them. */
MUST_CHECK int smove_disk_make(struct smove_disk *d);
MUST_CHECK int smove_disk_filter(struct smove_disk *d);
/* The new one is whole, and the VM's next instance finds it open. */
MUST_CHECK int smove_disk_adopt(struct smove_disk *d);
/* Closes both; the old one, or else the new one, is removed. */
void smove_disk_close(struct smove_disk *d, bool moved);
/* --verify: once over what is not compared. */
MUST_CHECK int smove_disk_verify(struct smove_disk *d);
/* That are to be copied, or looked at. */
uint64_t smove_disk_bytes(const struct smove_disk *d);
/* An error of the disk's copy, for people. */
void smove_disk_failed(struct smove_disk *d, int err);

/* smove_chain.c. Errors are said to the job, but those of the copy, as bulk_linear's. */
MUST_CHECK int smove_chain_read(struct smove_disk *d);
MUST_CHECK int smove_chain_check(struct smove_disk *d);
MUST_CHECK int smove_chain_copy(struct smove_disk *d);

/*
 * smove_record.c: new files that do not become whole in one moment, on several datastores, with
 * the VM's description or by their number, have a record. As long as that is whole, a crash leaves
 * none of them.
 */
MUST_CHECK int smove_record(struct smove *s);	    /* when they are made */
MUST_CHECK int smove_record_files(struct smove *s); /* when all of their contents are there */
/* They are the VM's: a VM without a home. Of one at home they are when its description is. */
MUST_CHECK int smove_record_done(struct smove *s);
void smove_record_end(struct smove *s);

/*
 * smove_switch.c. Before anything is written of the new files: are they this host's still, with all
 * that the guest wrote to them?
 */
MUST_CHECK int smove_ready(struct smove *s);
/* -EAGAIN: not just now. */
MUST_CHECK int smove_switch(struct smove *s);
/* Before that: host memory for the second instance of a VM that has contents. -ENOMEM. */
MUST_CHECK int smove_promise(struct smove *s);
void smove_unpromise(struct smove *s);

/* smove_plan.c: the VM's disks, and its configuration, as they will be. */
void smove_new_disks(const struct smove *s, struct vm_disk disk[VM_DISKS_MAX]);
MUST_CHECK int smove_new_config(const struct smove *s, struct vm_config *cfg);
/* What moves, and where to; -EINVAL and others with code and text, nothing begun. */
MUST_CHECK int smove_plan(struct smove *s, const struct vm_config *cfg, char *code, size_t code_len,
			  char *why, size_t why_len);

/* smove_queue.c. The seat's datastores are known. -ECANCELED. */
void smove_queue_init(void);
MUST_CHECK int smove_queue_enter(struct smove *s);
void smove_queue_leave(struct smove *s);

#endif
