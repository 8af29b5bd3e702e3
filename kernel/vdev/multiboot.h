/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a multiboot 1 payload says of itself, checked: whoever put the file on
 * the volume may have put anything there. Loaded is what the header's address
 * fields say, or the file's ELF segments (either class).
 */
#ifndef KERNEL_VDEV_MULTIBOOT_H
#define KERNEL_VDEV_MULTIBOOT_H

#include <tern/types.h>

#define MULTIBOOT_PARTS_MAX 16u

/* Bytes of the file that go to guest memory; from len to mem_len zeros. */
struct multiboot_part {
	uint64_t from, len;   /* within the file */
	uint64_t to, mem_len; /* below 4 GiB */
};

struct multiboot {
	uint32_t entry; /* physical, in 32-bit protected mode */
	uint64_t end;	/* first address above all parts */
	unsigned parts;
	struct multiboot_part part[MULTIBOOT_PARTS_MAX];
};

/* 0, or -EINVAL with the reason in why (for people). */
MUST_CHECK int multiboot_parse(const uint8_t *file, uint64_t size, struct multiboot *out, char *why,
			       size_t why_len);

#endif
