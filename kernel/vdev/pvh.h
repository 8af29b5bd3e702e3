/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH: a kernel that is an ELF file with a note of its 32-bit entry, checked: whoever
 * put the file on the volume may have put anything there. pvh.c takes it apart,
 * pvh_boot.c starts a VM from it.
 * [Xen docs/misc/pvh.pandoc "PVH Specification"]
 */
#ifndef KERNEL_VDEV_PVH_H
#define KERNEL_VDEV_PVH_H

#include <tern/types.h>

#define PVH_PARTS_MAX 16u

struct pvh_part {
	uint64_t from, len;   /* in the file */
	uint64_t to, mem_len; /* guest-physical, below 4 GiB; mem_len >= len */
};

struct pvh {
	uint32_t entry; /* guest-physical, inside a part */
	uint64_t start, end;
	unsigned parts;
	struct pvh_part part[PVH_PARTS_MAX];
};

/* 0, or -EINVAL with the reason in why (for people). */
MUST_CHECK int pvh_parse(const uint8_t *file, uint64_t size, struct pvh *out, char *why,
			 size_t why_len);

struct vm;
struct bootfile;
/* As linux_boot (direct.h), for such a kernel. */
MUST_CHECK int pvh_boot(struct vm *vm, struct bootfile *kernel, struct bootfile *initrd, char *why,
			size_t why_len);

#endif
