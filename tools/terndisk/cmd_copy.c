/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terndisk import and export. Blocks of zeros stay holes in thin files, and in
 * exported ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/terndisk/terndisk.h"

#define CHUNK (1u << 20)
#define SECTOR_MAX 4096u

/* ---- import ---- */

static int source_read(void *user, uint64_t at, size_t bytes, void *buf)
{
	return raw_read(*(int *)user, at, bytes, buf);
}

int cmd_import(struct options *o, int argc, char **argv)
{
	struct ds_source from = { .read = source_read };
	enum ds_kind kind;
	struct image im;
	int fd, err;

	(void)argc;
	if (ds_kind_of(o->kind ? o->kind : "thin", &kind)) {
		fprintf(stderr, "terndisk: no kind '%s': flat, thin or plain\n", o->kind);
		return 2;
	}
	fd = raw_open(argv[1], &from.size);
	if (fd < 0)
		return 1;
	if (image_mount(&im, argv[0], DS_MOUNT_WRITE)) {
		close(fd);
		return 1;
	}
	from.user = &fd;
	err = ds_import(im.ds, argv[2], kind, &from);
	close(fd);
	if (err == -EEXIST)
		fprintf(stderr, "terndisk: %s is there already: 'terndisk rm' removes it\n",
			argv[2]);
	else if (err)
		complain(argv[2], "import", err);
	return image_close(&im, err ? 1 : 0);
}

/* ---- export ---- */

static int put_out(int fd, const uint8_t *buf, size_t n, bool seek)
{
	if (seek && ds_all_zero(buf, n))
		return lseek(fd, (off_t)n, SEEK_CUR) < 0 ? -errno : 0;
	while (n) {
		ssize_t w = write(fd, buf, n);

		if (w < 0 && errno != EINTR)
			return -errno;
		if (w > 0) {
			buf += w;
			n -= (size_t)w;
		}
	}
	return 0;
}

static int copy_out(struct ds_file *f, int fd, bool seek, uint8_t *buf)
{
	struct blkdev *d = ds_file_blk(f);
	uint64_t size = ds_file_size(f);
	int err = 0;

	for (uint64_t at = 0; at < size && !err; at += CHUNK) {
		size_t n = (size_t)MIN(size - at, (uint64_t)CHUNK);

		err = blk_transfer(d, BLK_READ, at / d->geo.block_bytes,
				   ALIGN_UP(n, d->geo.block_bytes) / d->geo.block_bytes, buf);
		if (!err)
			err = put_out(fd, buf, n, seek);
	}
	if (!err && seek && ftruncate(fd, (off_t)size))
		err = -errno;
	return err;
}

static int export_to(struct ds_file *f, const char *path)
{
	bool to_stdout = !strcmp(path, "-");
	int fd = to_stdout ? STDOUT_FILENO
			   : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	uint8_t *buf;
	int err;

	if (fd < 0)
		return -errno;
	buf = aligned_alloc(SECTOR_MAX, CHUNK + SECTOR_MAX);
	err = buf ? copy_out(f, fd, !to_stdout, buf) : -ENOMEM;
	free(buf);
	if (!to_stdout && close(fd) && !err)
		err = -errno;
	return err;
}

int cmd_export(struct options *o, int argc, char **argv)
{
	struct ds_file *f;
	struct image im;
	int err;

	(void)o;
	(void)argc;
	if (image_mount(&im, argv[0], DS_MOUNT_READ))
		return 1;
	err = ds_open(im.ds, argv[1], DS_OPEN_READ, &f);
	if (!err) {
		err = export_to(f, argv[2]);
		ds_close(f);
	}
	return image_close(&im, err ? complain(argv[1], "export", err) : 0);
}
