/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the disk commands share. */
#ifndef KERNEL_SHELL_CMD_DISK_H
#define KERNEL_SHELL_CMD_DISK_H

#include <tern/blkdev.h>

struct shell;

/* NULL with the error said. */
struct blkdev *cmd_find_disk(struct shell *sh, const char *name);
/* Says what a request's status means; returns 1. */
int cmd_disk_error(struct shell *sh, const struct blkdev *d, int err);

/* Nothing but zeros where partition tables, file systems and datastores begin. */
bool cmd_disk_is_empty(struct blkdev *d);
void cmd_offer_disks(struct shell *sh, int argc, char **argv);

int cmd_disk_sum(struct shell *sh, int argc, char **argv);
int cmd_disk_test(struct shell *sh, int argc, char **argv);
int cmd_disk_bench(struct shell *sh, int argc, char **argv);

#endif
