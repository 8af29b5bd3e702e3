/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file or a block device of Linux as a struct blkdev. Requests are done in the
 * caller's thread, before blk_submit returns.
 */
#ifndef TERNDISK_FILEDISK_H
#define TERNDISK_FILEDISK_H

#include <tern/blkdev.h>

struct filedisk {
	struct blkdev dev;
	int fd;
	bool is_block_device;
};

enum filedisk_mode {
	FILEDISK_READ,	/* whoever else has it */
	FILEDISK_WRITE, /* no other terndisk writes it meanwhile */
	FILEDISK_ALONE	/* nor has QEMU it open, as far as its locks say */
};
/*
 * Negative errno as open(2) and ioctl(2) give it; -EINVAL smaller than a sector, -EWOULDBLOCK
 * another terndisk writes it, -ETXTBSY QEMU has it open.
 */
MUST_CHECK int filedisk_open(struct filedisk *d, const char *path, enum filedisk_mode mode);
/* The same of a descriptor, until it is closed. */
MUST_CHECK int filedisk_lock(int fd, enum filedisk_mode mode);
void filedisk_close(struct filedisk *d);

#endif
