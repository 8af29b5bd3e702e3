/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terndisk import and export. Formats other than raw are converted by qemu-img,
 * beside the source, before they are read. Blocks of zeros stay holes in thin files,
 * and in exported ones.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/terndisk/terndisk.h"

#define CHUNK (1u << 20)
#define SECTOR_MAX 4096u

/* ---- other formats ---- */

/* A word for the format that is there, NULL for raw. */
static const char *format_of(int fd)
{
	static const struct {
		const char *magic, *format;
	} known[] = { { "QFI\xfb", "qcow2" }, { "KDMV", "vmdk" }, { "vhdxfile", "vhdx" } };
	char head[8] = "";

	if (pread(fd, head, sizeof(head), 0) < 4)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!memcmp(head, known[i].magic, strlen(known[i].magic)))
			return known[i].format;
	return NULL;
}

static int run_qemu_img(const char *format, const char *from, const char *to)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("qemu-img", "qemu-img", "convert", "-f", format, "-O", "raw", from, to,
		       (char *)NULL);
		fprintf(stderr, "terndisk: qemu-img: %s (package qemu-utils)\n", strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/* Opens path, or what it becomes as raw; the converted file has no name any more. */
static int open_raw(const char *path)
{
	char temporary[4096];
	const char *format;
	int fd = open(path, O_RDONLY | O_CLOEXEC), raw;

	format = fd < 0 ? NULL : format_of(fd);
	if (!format)
		return fd;
	close(fd);
	if (snprintf(temporary, sizeof(temporary), "%s.raw.XXXXXX", path) >= (int)sizeof(temporary))
		return -1;
	raw = mkostemp(temporary, O_CLOEXEC);
	if (raw < 0)
		return -1;
	if (run_qemu_img(format, path, temporary)) {
		close(raw);
		raw = -1;
		errno = EIO;
	}
	unlink(temporary);
	return raw;
}

/* ---- import ---- */

static ssize_t read_full(int fd, uint8_t *buf, size_t n, off_t at)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, buf + got, n - got, at + (off_t)got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static int source_read(void *user, uint64_t at, size_t bytes, void *buf)
{
	ssize_t got = read_full(*(int *)user, buf, bytes, (off_t)at);

	if (got < 0)
		return (int)got;
	return (size_t)got == bytes ? 0 : -EIO; /* it has become shorter */
}

int cmd_import(struct options *o, int argc, char **argv)
{
	struct ds_source from = { .read = source_read };
	enum ds_kind kind;
	struct image im;
	struct stat st;
	int fd, err;

	(void)argc;
	if (ds_kind_of(o->kind ? o->kind : "thin", &kind)) {
		fprintf(stderr, "terndisk: no kind '%s': flat, thin or plain\n", o->kind);
		return 2;
	}
	fd = open_raw(argv[1]);
	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "terndisk: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (image_mount(&im, argv[0], DS_MOUNT_WRITE)) {
		close(fd);
		return 1;
	}
	from.size = (uint64_t)st.st_size;
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
