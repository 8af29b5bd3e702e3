/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of VMs: what `--disk` names, a file of a datastore or a whole disk of the host,
 * checked, opened and closed. A file that is written is opened with its lease.
 *
 * Interface in order of use: vdisk_check before a VM is made; vdisk_open when it starts, or
 * vdisk_share by a second instance of it; vdisk_blk; vdisk_close (these in tern/vdev.h). All are
 * called in a world.
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
#endif
