/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images to copy from, as raw disks. Other formats are converted by qemu-img, into
 * a file beside the source that has no name any more when it is read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/terndisk/terndisk.h"

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
static int open_image(const char *path)
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

int raw_open(const char *path, uint64_t *size)
{
	int fd = open_image(path);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END); /* of a block device too */

	if (end < 0) {
		fprintf(stderr, "terndisk: %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*size = (uint64_t)end;
	return fd;
}

int raw_read(int fd, uint64_t at, size_t bytes, void *buf)
{
	for (size_t got = 0; got < bytes;) {
		ssize_t n = pread(fd, (char *)buf + got, bytes - got, (off_t)(at + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO; /* it has become shorter */
		got += (size_t)n;
	}
	return 0;
}

uint64_t raw_next(int fd, uint64_t at, uint64_t size)
{
	off_t next = lseek(fd, (off_t)at, SEEK_DATA);

	if (next >= 0)
		return (uint64_t)next;
	return errno == ENXIO ? size : at; /* or the file system knows of no holes */
}
