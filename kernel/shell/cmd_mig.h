/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands that move VMs have in common: options, and how jobs are shown. */
#ifndef KERNEL_SHELL_CMD_MIG_H
#define KERNEL_SHELL_CMD_MIG_H

#include <tern/mig.h>
#include <tern/shell.h>

/* cmd_mig.c. False, or 1, with the error said. */
bool cmd_number_opt(struct shell *sh, int *argc, char **argv, const char *name, uint32_t *out);
bool cmd_hold_opt(struct shell *sh, int *argc, char **argv, enum mig_phase *hold, bool storage);
/* Does --hold know this phase, of a Storage vMotion or of a migration? */
bool cmd_holds_at(enum mig_phase p, bool storage);
int cmd_job_cancel(struct shell *sh, int argc, char **argv);

/* cmd_job.c */
void cmd_job_show(struct shell *sh, const struct mig_status *s);
bool cmd_job_ended(const struct mig_status *s); /* or is in doubt */
int cmd_no_job(struct shell *sh, uint32_t id);
/* To its end; Ctrl-C stops following, not the job. */
int cmd_job_follow(struct shell *sh, uint32_t id);
/* Its number, or with wait all of it. */
int cmd_job_begun(struct shell *sh, uint32_t id, bool wait);

/* cmd_move_offer.c: for Tab. */
void cmd_offer_svmotion(struct shell *sh, int argc, char **argv);
void cmd_offer_migrate(struct shell *sh, int argc, char **argv);
void cmd_offer_resolve(struct shell *sh, int argc, char **argv);

/* cmd_svmotion.c: --disk, --disks, --thin, --flat; and of a Storage vMotion how it is shown. */
bool cmd_disks_opts(struct shell *sh, int *argc, char **argv, struct mig_disks *d);
bool cmd_names_disks(const struct mig_disks *d); /* any by its number */
void cmd_storage_json(struct shell *sh, const struct mig_disk_figures *f);
void cmd_storage_progress(struct shell *sh, const struct mig_status *s);
void cmd_storage_plain(struct shell *sh, const struct mig_status *s);
/* Whole disks of the host, at the end of a job: nobody removes what they held. */
void cmd_storage_whole(struct shell *sh, const struct mig_status *s);

#endif
