/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a bzImage says of itself, checked: whoever put the file on the volume
 * may have put anything there.
 */
#ifndef KERNEL_VDEV_BZIMAGE_H
#define KERNEL_VDEV_BZIMAGE_H

#include <tern/types.h>

#define BZ_SETUP_START 0x1f1u /* of the setup header, in the file and in the zero page */

struct bzimage {
	uint32_t setup_len; /* header bytes from BZ_SETUP_START */
	uint64_t payload;   /* file offset of the 64-bit kernel */
	uint64_t payload_len;
	uint64_t load;	      /* guest-physical address it prefers */
	uint64_t init_size;   /* memory it needs from there */
	uint64_t initrd_max;  /* highest address an initrd may use */
	uint32_t cmdline_max; /* bytes without the NUL */
	uint16_t version;     /* of the boot protocol */
};

/* 0, or -EINVAL with the reason in why (for people). */
MUST_CHECK int bzimage_parse(const uint8_t *file, uint64_t size, struct bzimage *out, char *why,
			     size_t why_len);

#endif
