/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of VMs' disks: vdisk.c opens and closes them, vdisk_move.c takes them to another
 * host.
 */
#ifndef KERNEL_VDEV_VDISK_INT_H
#define KERNEL_VDEV_VDISK_INT_H

#include <tern/store.h>

#include "vdisk.h"

struct vdisk {
	char vm[VM_NAME_MAX];	   /* [const] whose; with index its key */
	unsigned index;		   /* [const] */
	struct vm_disk what;	   /* [const] */
	struct ds_file *file;	   /* [own] NULL: a whole disk */
	char *run;		   /* [const] a nonpersistent one's delta, by path; else NULL */
	struct blkdev *blk;	   /* [own] once it is open */
	struct ds_lease told;	   /* [own] of a move: the lease as its source had it */
	bool awaits;		   /* [own] file is open for reading until its lease is accepted */
	struct vdisk_chain *chain; /* [own] of one that arrives, what is to be made; NULL: none */
	unsigned links;		   /* [own] that are made of it */
	uint64_t size;		   /* [own] what it has at last, behind them */
	bool bare;		   /* [const] of one that arrives: made by ds_create_bare */
	bool copied;		   /* [own] of a move: not the file goes, but its contents */
	bool drop;		   /* [own] the file is removed when it is closed */
	unsigned refs;		   /* [list_lock] */
	struct vdisk *next;	   /* [list_lock] */
};

#endif
