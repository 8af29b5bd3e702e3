/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between terndisk's files: main.c (the command line), cmd_*.c (a command each or a few),
 * filedisk.c (an image as a device), host.c (the kernel's base on Linux).
 */
#ifndef TERNDISK_TERNDISK_H
#define TERNDISK_TERNDISK_H

#include <tern/store.h>

#include "tools/terndisk/filedisk.h"

/* An image that is open, and mounted unless the command only looks at the device. */
struct image {
	const char *path;
	struct filedisk disk;
	struct datastore *ds;
};

struct options {
	const char *name, *kind;
	uint64_t size;
	uint32_t slots, table_blocks, beat_ms, lease_ms, io_timeout_ms;
	bool force, json, repair, take;
};

/* Exit status: 0, or 1 after a message. */
int cmd_mkfs(struct options *o, int argc, char **argv);
int cmd_ls(struct options *o, int argc, char **argv);
int cmd_df(struct options *o, int argc, char **argv);
int cmd_lease(struct options *o, int argc, char **argv);
int cmd_rm(struct options *o, int argc, char **argv);
int cmd_mv(struct options *o, int argc, char **argv);
int cmd_check(struct options *o, int argc, char **argv);
int cmd_import(struct options *o, int argc, char **argv);
int cmd_export(struct options *o, int argc, char **argv);
int cmd_push(struct options *o, int argc, char **argv);

/* Why filedisk_open failed; 1. */
int cannot_open(const char *path, int err);
/* "terndisk: IMAGE: what: why"; 1. */
int complain(const char *path, const char *what, int err);
enum image_mode {
	IMAGE_READ,  /* whoever else has it */
	IMAGE_WRITE, /* no other terndisk writes it meanwhile */
	IMAGE_ALONE  /* nor has QEMU it open */
};
/* 0, or 1 after a message. */
MUST_CHECK int image_open(struct filedisk *d, const char *path, enum image_mode mode);
MUST_CHECK int image_mount(struct image *im, const char *path, enum ds_mount_mode mode);
int image_close(struct image *im, int status);
/* This machine as a host of the datastore. */
void this_host(struct ds_host *h);
/* A disk to copy from, whatever its format: a descriptor, or -1 after a message. */
int raw_open(const char *path, uint64_t *size);
/* Exactly so many bytes: 0, -EIO when they are not there, -errno. */
MUST_CHECK int raw_read(int fd, uint64_t at, size_t bytes, void *buf);
/* Where data may be from `at` on; size when all the rest is a hole. */
uint64_t raw_next(int fd, uint64_t at, uint64_t size);
/* "512M" and the like; false when it is none. */
bool parse_size(const char *text, uint64_t *out);

#endif
