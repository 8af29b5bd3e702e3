/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of VMs: what `--disk` names, a file of a datastore or a whole disk of the host,
 * checked, opened and closed. A file that is written is opened with its lease.
 *
 * Interface in order of use: vdisk_check before a VM is made; vdisk_open when it starts, or
 * vdisk_share by a second instance of it; vdisk_blk; vdisk_close (these in tern/vdev.h). All are
 * called in a world. How one moves to another host (vdisk_move.c): vdisk_identify and
 * vdisk_give there, here vdisk_await and vdisk_accept.
 */
#ifndef KERNEL_VDEV_VDISK_H
#define KERNEL_VDEV_VDISK_H

#include <tern/blkdev.h>
#include <tern/vdev.h>

/* Is there such a disk here? The reason in why. */
MUST_CHECK int vdisk_check(const struct vm_disk *d, char *why, size_t why_len);
/* Of this VM its disk number index. -EBUSY when somebody else has it: why says who. */
MUST_CHECK int vdisk_open(const char *vm, unsigned index, const struct vm_disk *d,
			  struct vdisk **out, char *why, size_t why_len);

/* ---- on its way to another host (docs/ownership.md) ---- */

/* -ENOTSUP a disk that cannot move; errors of the datastore. */
MUST_CHECK int vdisk_identify(struct vdisk *d, struct vdisk_id *out, char *why, size_t why_len);
/* Has it a lease, which goes with it? */
bool vdisk_leased(const struct vdisk *d);
/* ds_lease_give, if the disk is still what was identified; ds_lease_take_back. */
MUST_CHECK int vdisk_give(struct vdisk *d, const uint8_t host[16]);
MUST_CHECK int vdisk_take_back(struct vdisk *d);
/* Is the same disk here, and can it be used? */
MUST_CHECK int vdisk_id_check(const struct vm_disk *d, const struct vdisk_id *id, char *why,
			      size_t why_len);
/* Open, but one that will have a lease only for reading, until vdisk_accept has taken it. */
MUST_CHECK int vdisk_await(const char *vm, unsigned index, const struct vm_disk *d,
			   const struct vdisk_id *id, struct vdisk **out, char *why,
			   size_t why_len);
/* As ds_lease_accept; 0 changes what vdisk_blk gives. */
MUST_CHECK int vdisk_accept(struct vdisk *d);
/* vdisk_copy.c: the same of one whose contents come; vdisk_await makes its file. */
MUST_CHECK int vdisk_copy_identify(struct vdisk *d, struct vdisk_id *id, char *why, size_t why_len);
/* What it takes, added. */
void vdisk_copy_room(const struct vm_disk *d, const struct vdisk_id *id, struct ds_room *room);
MUST_CHECK int vdisk_copy_check(const struct vm_disk *d, const struct vdisk_id *id, char *why,
				size_t why_len);
MUST_CHECK int vdisk_copy_await(const char *vm, unsigned index, const struct vm_disk *d,
				const struct vdisk_id *id, struct vdisk **out, char *why,
				size_t why_len);
MUST_CHECK int vdisk_copy_finish(struct vdisk *d);
void vdisk_copy_set(struct vdisk *d, bool copied, bool drop);

#endif
