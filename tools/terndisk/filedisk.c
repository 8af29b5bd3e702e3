/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tern/page.h>

#include "tools/terndisk/filedisk.h"

#define MAX_SEGS 256u
#define MAX_BYTES (1u << 20)
#define QEMU_LOCKS 100
#define QEMU_LOCKS_END 264
#define ZERO_BYTES (64u << 10)

static int move(struct filedisk *d, const struct blk_req *r)
{
	off_t at = (off_t)(r->block * d->dev.geo.block_bytes);

	for (uint32_t i = 0; i < r->nr_segs; i++) {
		char *mem = hpa_ptr(r->segs[i].addr);
		size_t left = r->segs[i].len;

		while (left) {
			ssize_t n = r->op == BLK_READ ? pread(d->fd, mem, left, at)
						      : pwrite(d->fd, mem, left, at);

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				return n ? -errno : -EIO;
			mem += n;
			at += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

static int write_zeroes(struct filedisk *d, off_t at, off_t bytes)
{
	static const char zeros[ZERO_BYTES];
	int how = FALLOC_FL_KEEP_SIZE |
		  (d->is_block_device ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE);

	if (!fallocate(d->fd, how, at, bytes))
		return 0;
	while (bytes > 0) {
		ssize_t n = pwrite(d->fd, zeros, (size_t)MIN(bytes, (off_t)sizeof(zeros)), at);

		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
		bytes -= n;
	}
	return 0;
}

static int do_request(struct filedisk *d, const struct blk_req *r)
{
	off_t at = (off_t)(r->block * d->dev.geo.block_bytes);
	off_t bytes = (off_t)(r->blocks * d->dev.geo.block_bytes);

	switch (r->op) {
	case BLK_READ:
	case BLK_WRITE:
		return move(d, r);
	case BLK_FLUSH:
		return fdatasync(d->fd) ? -errno : 0;
	case BLK_WRITE_ZEROES:
		return write_zeroes(d, at, bytes);
	default:
		/* A hint: where it cannot be given, nothing is lost. */
		(void)!fallocate(d->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, at, bytes);
		return 0;
	}
}

static void submit(struct blkdev *dev, struct blk_req *r)
{
	blk_complete(r, do_request(container_of(dev, struct filedisk, dev), r));
}

static const struct blk_ops ops = { .submit = submit };

static int measure(struct filedisk *d, uint64_t *bytes, uint32_t *sector)
{
	struct stat st;
	int size = 512;

	if (fstat(d->fd, &st))
		return -errno;
	d->is_block_device = S_ISBLK(st.st_mode);
	*bytes = (uint64_t)st.st_size;
	if (d->is_block_device &&
	    (ioctl(d->fd, BLKGETSIZE64, bytes) || ioctl(d->fd, BLKSSZGET, &size)))
		return -errno;
	*sector = (uint32_t)size;
	return size >= 512 && size <= 4096 && *bytes >= (uint64_t)size ? 0 : -EINVAL;
}

/*
 * QEMU locks bytes from 100 on for what it does, and from 200 on for what others may not do
 * [QEMU docs/system/qemu-block-drivers.rst.inc "Disk image file locking"]. Not with
 * locking=off, as an image is given that several hosts share.
 */
static bool qemu_has(int fd)
{
	struct flock l = { .l_type = F_WRLCK,
			   .l_whence = SEEK_SET,
			   .l_start = QEMU_LOCKS,
			   .l_len = QEMU_LOCKS_END - QEMU_LOCKS };

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

int filedisk_lock(int fd, bool alone)
{
	if (flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	return alone && qemu_has(fd) ? -ETXTBSY : 0;
}

int filedisk_open(struct filedisk *d, const char *path, bool write)
{
	uint64_t bytes = 0;
	uint32_t sector = 0;
	int err;

	memset(d, 0, sizeof(*d));
	d->fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	err = measure(d, &bytes, &sector);
	if (err) {
		close(d->fd);
		return err;
	}
	d->dev.ops = &ops;
	d->dev.driver = "file";
	d->dev.geo = (struct blk_geometry){ .blocks = bytes / sector,
					    .block_bytes = sector,
					    .physical_bytes = 4096,
					    .max_segs = MAX_SEGS,
					    .max_bytes = MAX_BYTES,
					    .max_discard_blocks = (1u << 30) / sector,
					    .max_zeroes_blocks = (1u << 30) / sector,
					    .queue_depth = 1,
					    .dma_align = 1,
					    .dma_limit = UINT64_MAX,
					    .volatile_cache = true,
					    .read_only = !write };
	blk_setup(&d->dev);
	return 0;
}

void filedisk_close(struct filedisk *d)
{
	close(d->fd);
}
