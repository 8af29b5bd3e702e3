/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The snapshots under a disk that moves go along: the chain is made anew at its new place, from the
 * oldest on. Nobody writes snapshots, so these cold parts are copied first: what the oldest has
 * becomes the new file's contents; then, there, a snapshot of that is taken, which makes the new
 * file a delta, and what the next one has itself is copied; and so on. At last comes what the disk
 * itself has, beside its mirror. So each extent is copied once, and the new chain is as the old
 * one, in shape and in space.
 *
 * chain_read, once ds_file_keep_chain holds it as it is; chain_copy; free.
 */
#ifndef MIG_CHAIN_H
#define MIG_CHAIN_H

#include <tern/store.h>
#include <tern/vdev.h>

#include "disk_copy.h"

struct chain {
	struct datastore *ds;  /* where it is */
	enum ds_kind kind;     /* of the lowest file */
	uint64_t lowest_bytes; /* on the disk: of that, of those between, of the disk itself */
	uint64_t between_bytes, own_bytes;
	uint64_t bytes;				      /* sizes of the snapshots, together */
	uint64_t most_bytes;			      /* the largest size, the disk's too */
	struct vdisk_chain as;			      /* as they will be */
	char name[VDISK_LINKS_MAX][VM_DISK_PATH_MAX]; /* as they are */
};

/*
 * What the file `name` stands on; to is its new name, and along: on the same datastore. A snapshot
 * FILE.NAME is called after the new file, another one keeps its name. NULL without snapshots.
 * -EBUSY one is half deleted; -EMLINK, -ENAMETOOLONG and the store's errors.
 */
MUST_CHECK int chain_read(struct datastore *ds, const char *name, const char *to, bool same,
			  struct chain **out);
/* Of the disk that has this path, to the job. */
/*
 * What a disk takes where it goes, with the snapshots under it (NULL: none). size: its bytes;
 * backed: those that it has, of a thin file.
 */
uint64_t chain_space(const struct chain *c, bool flat, uint64_t size, uint64_t backed);
void chain_say_error(struct mig_job *j, const char *path, int err);
/*
 * Link after link to the copy's target, which has c->as.link[0]'s size; next makes the snapshot
 * there, and the size that what follows has. As bulk_linear.
 */
MUST_CHECK int chain_copy(struct chain *c, struct disk_copy *copy,
			  int (*next)(void *user, unsigned link), void *user);

#endif
