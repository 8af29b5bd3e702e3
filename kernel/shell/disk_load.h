/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load on a block device: requests of one size, so many in flight, one after the
 * other or at random places, for some seconds. One that is larger than the device
 * takes goes as several. What is written is a pattern, the same each time.
 */
#ifndef KERNEL_SHELL_DISK_LOAD_H
#define KERNEL_SHELL_DISK_LOAD_H

#include <tern/blkdev.h>

struct shell;

struct disk_load {
	struct blkdev *d;
	uint64_t seconds, depth;
	uint64_t bytes; /* of a request: a multiple of the block, no more than the device has */
	bool random, write;
};

struct disk_load_result {
	uint64_t requests, ns; /* those that went well, in how long */
	uint64_t sum_ns, max_ns;
	int err; /* of the last that failed, which ends the load */
};

/* In a world; ends early when the shell is interrupted. -ENOMEM. */
MUST_CHECK int disk_load_run(struct shell *sh, const struct disk_load *l,
			     struct disk_load_result *out);

#endif
