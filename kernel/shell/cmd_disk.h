/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the disk commands share. */
#ifndef KERNEL_SHELL_CMD_DISK_H
#define KERNEL_SHELL_CMD_DISK_H

#include <tern/blkdev.h>

struct ds_file;
struct shell;

/* NULL with the error said. */
struct blkdev *cmd_find_disk(struct shell *sh, const char *name);
/*
 * What commands read or write: a disk, or a file of a datastore by its path. For writing, a
 * file's lease is taken, and a disk is claimed, which a datastore's or a guest's cannot be. writer
 * is the command that writes, NULL when none does. 0, or 1 with the error said.
 */
struct cmd_target {
	struct blkdev *dev;
	struct ds_file *file;
	bool claimed;
};
MUST_CHECK int cmd_target_open(struct shell *sh, const char *name, const char *writer,
			       struct cmd_target *t);
void cmd_target_close(struct cmd_target *t);
/* Claims a whole disk for a command that overwrites it: blk_disclaim. 0, or 1 with the error said.
 */
MUST_CHECK int cmd_claim_disk(struct shell *sh, struct blkdev *d, const char *command);
/* Says what a request's status means; returns 1. */
int cmd_disk_error(struct shell *sh, const struct blkdev *d, int err);

/* Nothing but zeros where partition tables, file systems and datastores begin. */
bool cmd_disk_is_empty(struct blkdev *d);
void cmd_offer_disks(struct shell *sh, int argc, char **argv);

int cmd_disk_sum(struct shell *sh, int argc, char **argv);
int cmd_disk_test(struct shell *sh, int argc, char **argv);
int cmd_disk_bench(struct shell *sh, int argc, char **argv);

#endif
