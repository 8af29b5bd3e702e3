/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that a VM is started from: of /boot/, in memory since the host's start, or of a
 * datastore, read when they are needed. Whoever wrote them may have put anything there.
 *
 * Interface in order of use: bootfile_open; bootfile_load where a parser wants the whole file
 * in memory; bootfile_copy; bootfile_close. In worlds: reading sleeps on the disk.
 */
#ifndef KERNEL_VDEV_BOOTFILE_H
#define KERNEL_VDEV_BOOTFILE_H

#include <tern/store.h>
#include <tern/vm.h>

#define BOOTFILE_LOAD_MAX (256ull << 20)

struct bootfile {
	const char *name;     /* the path, whose text lives as long; NULL: not open */
	uint64_t size;	      /* bytes */
	const uint8_t *whole; /* all of it; NULL: a datastore's that is not loaded */
	struct ds_file *file; /* NULL: of /boot/ */
	void *buf;	      /* what is read of a datastore goes through it */
	void *loaded;	      /* owns whole, when that is a datastore's */
};

/* -ENOENT and the errors of ds_open, with the text in why. */
MUST_CHECK int bootfile_open(struct bootfile *f, const char *path, char *why, size_t why_len);
/* Fills f->whole. -ENOMEM, -EINVAL beyond BOOTFILE_LOAD_MAX, the disk's errors. */
MUST_CHECK int bootfile_load(struct bootfile *f, char *why, size_t why_len);
/* A part of it, which lies within its size, to guest memory. */
MUST_CHECK int bootfile_copy(struct vm *vm, gpa_t to, struct bootfile *f, uint64_t from,
			     uint64_t len, char *why, size_t why_len);
/* Also one that is not open: then it does nothing. */
void bootfile_close(struct bootfile *f);

#endif
