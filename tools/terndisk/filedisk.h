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

/* Negative errno as open(2) and ioctl(2) give it; -EINVAL smaller than a sector. */
MUST_CHECK int filedisk_open(struct filedisk *d, const char *path, bool write);
/*
 * Until the descriptor is closed no other terndisk writes: -EWOULDBLOCK one does. With alone nor
 * has QEMU it open, as far as its locks say: -ETXTBSY.
 */
MUST_CHECK int filedisk_lock(int fd, bool alone);
void filedisk_close(struct filedisk *d);

#endif
