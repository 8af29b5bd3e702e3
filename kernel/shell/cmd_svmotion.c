/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Storage vMotion on the console: svmotion, and how its jobs are shown beside the migrations
 * (cmd_job.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/mig.h>

#include "cmd_mig.h"
#include "shell_int.h"

#define WHY_MAX 160
#define CODE_MAX 24

static unsigned mib(uint64_t bytes)
{
	return (unsigned)(bytes >> 20);
}

static unsigned us(uint64_t ns)
{
	return (unsigned)(ns / 1000);
}

/* ---- how a job is shown ---- */

void cmd_storage_json(struct shell *sh, const struct mig_disk_figures *f)
{
	json_object(sh, "disk");
	json_u64(sh, "disks", f->disks);
	json_str(sh, "to", f->to);
	json_str(sh, "waits_for", f->waits_for);
	json_str(sh, "whole", f->whole);
	json_u64(sh, "total_bytes", f->total_bytes);
	json_u64(sh, "copied_bytes", f->copied_bytes);
	json_u64(sh, "skipped_bytes", f->skipped_bytes);
	json_u64(sh, "mirrored_bytes", f->mirrored_bytes);
	json_u64(sh, "held", f->held);
	json_u64(sh, "held_ns", f->held_ns);
	json_u64(sh, "requests", f->requests);
	json_u64(sh, "wakes", f->wakes);
	json_u64(sh, "memory_copied_bytes", f->memory_copied_bytes);
	json_u64(sh, "buffer_bytes", f->buffer_bytes);
	json_u64(sh, "compared_bytes", f->compared_bytes);
	json_u64(sh, "uncompared_bytes", f->uncompared_bytes);
	json_u64(sh, "latency_before_ns", f->before_ns);
	json_u64(sh, "latency_during_ns", f->during_ns);
	json_u64(sh, "latency_after_ns", f->after_ns);
	json_end(sh);
}

void cmd_storage_progress(struct shell *sh, const struct mig_status *s)
{
	const struct mig_disk_figures *f = &s->disk;

	shell_progress(sh, "%u disks %s %3u%%  %s%s%s  %u MiB copied  %u MiB mirrored  %u MB/s",
		       (unsigned)s->id, s->vm, s->percent, mig_phase_name(s->phase),
		       f->waits_for[0] ? ": " : "", f->waits_for, mib(f->copied_bytes),
		       mib(f->mirrored_bytes), (unsigned)(s->rate_bytes_s / 1000000));
}

void cmd_storage_whole(struct shell *sh, const struct mig_status *s)
{
	if (s->phase == MIG_DONE && s->disk.whole[0])
		shell_printf(sh, "  what was on %s stays there", s->disk.whole);
}

void cmd_storage_plain(struct shell *sh, const struct mig_status *s)
{
	const struct mig_disk_figures *f = &s->disk;

	shell_printf(sh,
		     "%u  %s to /ds/%s  %s%s%s%s  %u%%  %u ms  %u MiB copied  %u MiB mirrored  "
		     "%u held  rounds %u  blackout %u ms  latency %u, %u, %u us",
		     (unsigned)s->id, s->vm, f->to, mig_phase_name(s->phase),
		     s->held ? " (held)" : "", f->waits_for[0] ? ": " : "", f->waits_for,
		     s->percent, us(s->total_ns) / 1000, mib(f->copied_bytes),
		     mib(f->mirrored_bytes), (unsigned)f->held, s->rounds,
		     us(s->blackout_ns) / 1000, us(f->before_ns), us(f->during_ns),
		     us(f->after_ns));
	cmd_storage_whole(sh, s);
	if (s->error[0])
		shell_printf(sh, "  %s: %s", s->error_code, s->error);
	shell_printf(sh, "\n");
}

/* ---- svmotion ---- */

static bool set_name(struct shell *sh, char name[32], const char *text)
{
	if (!text[0] || strlen(text) >= 32) {
		shell_error(sh, "not-found", "no datastore has the name '%s': 'datastore list'",
			    text);
		return false;
	}
	strcpy(name, text);
	return true;
}

/* N=DATASTORE */
static bool disk_opt(struct shell *sh, struct mig_disks *d, const char *text)
{
	unsigned n = (unsigned)(text[0] - '0');

	if (n >= VM_DISKS_MAX || text[1] != '=' || !text[2]) {
		shell_error(sh, "invalid", "--disk %s: N=DATASTORE is meant, N from 0 to %u", text,
			    VM_DISKS_MAX - 1);
		return false;
	}
	if (d->to[n][0]) {
		shell_error(sh, "invalid", "--disk %s: disk %u is to go to %s already", text, n,
			    d->to[n]);
		return false;
	}
	return set_name(sh, d->to[n], text + 2);
}

bool cmd_disks_opts(struct shell *sh, int *argc, char **argv, struct mig_disks *d)
{
	bool thin = shell_flag(argc, argv, "--thin"), flat = shell_flag(argc, argv, "--flat");
	const char *text;

	d->verify = shell_flag(argc, argv, "--verify");
	if (thin && flat) {
		shell_error(sh, "usage", "--thin or --flat, not both");
		return false;
	}
	d->kind = thin ? MIG_DISK_THIN : flat ? MIG_DISK_FLAT : MIG_DISK_KEEP;
	while ((text = shell_opt(argc, argv, "--disk")) != NULL)
		if (!disk_opt(sh, d, text))
			return false;
	text = shell_opt(argc, argv, "--disks");
	return !text || set_name(sh, d->all, text);
}

bool cmd_names_disks(const struct mig_disks *d)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++)
		if (d->to[i][0])
			return true;
	return false;
}

static bool options(struct shell *sh, int *argc, char **argv, struct mig_request *r)
{
	r->disks.cbt = shell_flag(argc, argv, "--cbt");
	return cmd_disks_opts(sh, argc, argv, &r->disks) &&
	       cmd_number_opt(sh, argc, argv, "--bw", &r->bw_mbit) &&
	       cmd_number_opt(sh, argc, argv, "--budget", &r->budget_ms) &&
	       cmd_hold_opt(sh, argc, argv, &r->hold, true);
}

static int svmotion_cmd(struct shell *sh, int argc, char **argv)
{
	char code[CODE_MAX] = "failed", why[WHY_MAX] = "";
	bool wait = shell_flag(&argc, argv, "--wait");
	struct mig_request r = { .storage = true };
	uint32_t id;

	if (!options(sh, &argc, argv, &r))
		return 1;
	if (argc != 3 && (argc != 2 || !cmd_names_disks(&r.disks)))
		return shell_error(sh, "usage",
				   "svmotion VM DATASTORE, or VM --disk N=DATASTORE...");
	if (strlen(argv[1]) >= sizeof(r.vm))
		return shell_error(sh, "not-found", "no VM '%s' here", argv[1]);
	strcpy(r.vm, argv[1]);
	if (argc == 3 && !set_name(sh, r.disks.all, argv[2]))
		return 1;
	if (mig_storage_start(&r, &id, code, sizeof(code), why, sizeof(why)))
		return shell_error(sh, code, "%s", why);
	return cmd_job_begun(sh, id, wait);
}

static const struct shell_cmd cmds[] = {
	{ "svmotion",
	  "VM [DATASTORE] [--disk N=DATASTORE]... [--cbt] [--verify] [--thin] [--flat] [--bw MBIT] "
	  "[--budget MS] [--hold PHASE] [--wait]",
	  "move a VM's disks to another datastore of this host", svmotion_cmd, cmd_offer_svmotion },
	{ "svmotion cancel", "JOB", "give it up; the VM stays on its disks", cmd_job_cancel, NULL },
};

void cmd_svmotion_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
