/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the datastore commands share.
 */
#ifndef SHELL_CMD_DS_H
#define SHELL_CMD_DS_H

#include <tern/shell.h>
#include <tern/store.h>

/* "error: CODE WHAT: in words"; 1. */
int cmd_ds_error(struct shell *sh, const char *what, int err);
/* NULL with the error said. */
struct datastore *cmd_find_ds(struct shell *sh, const char *name);
void cmd_offer_ds(struct shell *sh, int argc, char **argv);
/* A path "/ds/NAME/FILE"; 0, or 1 with the error said. */
MUST_CHECK int cmd_ds_path(struct shell *sh, const char *path, struct datastore **ds,
			   const char **file);
void cmd_ds_offer_paths(struct shell *sh, int argc, char **argv);
/* What --kind says, NULL where it is not given; 0, or 1 with the error said. */
MUST_CHECK int cmd_ds_kind(struct shell *sh, const char *word, enum ds_kind *kind);

/* cmd_ds_busy.c: 1, with the error said: who has files of it open. */
int cmd_ds_busy(struct shell *sh, const char *ds);

#endif
