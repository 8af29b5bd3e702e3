/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that move VMs and follow the jobs: migrate, tasks. How a job looks is in cmd_job.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/mig.h>
#include <tern/timer.h>

#include "cmd_mig.h"
#include "shell_int.h"

#define WHY_MAX 160
#define CODE_MAX 24

bool cmd_number_opt(struct shell *sh, int *argc, char **argv, const char *name, uint32_t *out)
{
	const char *text = shell_opt(argc, argv, name);
	uint64_t n;

	if (!text)
		return true;
	if (parse_u64(text, &n) || n > UINT32_MAX) {
		shell_error(sh, "invalid", "%s %s is not a number up to %u", name, text,
			    UINT32_MAX);
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

bool cmd_holds_at(enum mig_phase p, bool storage)
{
	if (p == MIG_COPY || p == MIG_VERIFY)
		return true;
	return storage ? p > MIG_COPY && p <= MIG_SWITCH : p >= MIG_PREFLIGHT && p <= MIG_GO;
}

bool cmd_hold_opt(struct shell *sh, int *argc, char **argv, enum mig_phase *hold, bool storage)
{
	const char *text = shell_opt(argc, argv, "--hold");

	*hold = MIG_QUEUED;
	if (!text)
		return true;
	for (unsigned p = MIG_PREFLIGHT; p <= MIG_SWITCH; p++) {
		if (cmd_holds_at((enum mig_phase)p, storage) &&
		    !strcmp(text, mig_phase_name((enum mig_phase)p))) {
			*hold = (enum mig_phase)p;
			return true;
		}
	}
	shell_error(
		sh, "invalid", "--hold %s: a phase is one of %s", text,
		storage ? "copy rounds verify switch"
			: "preflight skeleton copy verify precopy stun transfer ready lease go");
	return false;
}

static int migrate_cmd(struct shell *sh, int argc, char **argv)
{
	struct mig_request r = { 0 };
	char code[CODE_MAX] = "failed", why[WHY_MAX] = "";
	bool wait = shell_flag(&argc, argv, "--wait"), known;
	uint32_t id;

	r.dry_run = shell_flag(&argc, argv, "--dry-run");
	r.hipri = shell_flag(&argc, argv, "--hipri");
	if (!cmd_number_opt(sh, &argc, argv, "--budget", &r.budget_ms) ||
	    !cmd_number_opt(sh, &argc, argv, "--bw", &r.bw_mbit) ||
	    !cmd_number_opt(sh, &argc, argv, "--batch", &r.batch_pages) ||
	    !cmd_number_opt(sh, &argc, argv, "--rounds", &r.max_rounds) ||
	    !cmd_hold_opt(sh, &argc, argv, &r.hold, false) ||
	    !cmd_disks_opts(sh, &argc, argv, &r.disks))
		return 1;
	if (argc != 3)
		return shell_error(sh, "usage", "migrate VM HOST: got %d argument(s)", argc - 1);
	if ((r.disks.verify || r.disks.kind != MIG_DISK_KEEP) && !r.disks.all[0] &&
	    !cmd_names_disks(&r.disks))
		return shell_error(sh, "usage",
				   "--verify, --thin and --flat speak of disks that are sent: name "
				   "them by --disks or --disk");
	if (strlen(argv[1]) >= sizeof(r.vm))
		return shell_error(sh, "not-found", "no VM '%s' here", argv[1]);
	strcpy(r.vm, argv[1]);
	known = !cmd_resolve_host(argv[2], &r.to);
	if (cmd_is_own_host(argv[2], known ? &r.to : NULL))
		net_addr_loopback(&r.to);
	else if (!known)
		return shell_error(sh, "invalid",
				   "'%s' is neither an address nor a host.%s of tern.conf", argv[2],
				   argv[2]);
	if (mig_start(&r, &id, code, sizeof(code), why, sizeof(why)))
		return shell_error(sh, code, "%s", why);
	return cmd_job_begun(sh, id, wait || r.dry_run);
}

static bool job_arg(struct shell *sh, int argc, char **argv, uint32_t *id)
{
	uint64_t n;

	if (argc != 2 || parse_u64(argv[1], &n) || n > UINT32_MAX) {
		shell_error(sh, "usage", "expected a job's number ('tasks' lists them)");
		return false;
	}
	*id = (uint32_t)n;
	return true;
}

static int tasks_cmd(struct shell *sh, int argc, char **argv)
{
	struct mig_status s;
	uint32_t cursor = 0;

	(void)argv;
	if (argc > 1)
		return shell_error(sh, "usage", "tasks takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	while (mig_next(&cursor, &s))
		cmd_job_show(sh, &s);
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

static int status_cmd(struct shell *sh, int argc, char **argv)
{
	struct mig_status s;
	uint32_t id;

	if (argc == 1)
		return tasks_cmd(sh, argc, argv);
	if (!job_arg(sh, argc, argv, &id))
		return 1;
	if (!mig_status(id, &s))
		return cmd_no_job(sh, id);
	cmd_job_show(sh, &s);
	return 0;
}

static int steps_cmd(struct shell *sh, int argc, char **argv)
{
	struct mig_step_told step[MIG_STEPS_MAX];
	struct mig_status s;
	uint32_t id;
	unsigned n;

	if (!job_arg(sh, argc, argv, &id))
		return 1;
	if (!mig_status(id, &s))
		return cmd_no_job(sh, id);
	n = mig_steps(id, step);
	if (shell_json(sh))
		json_array(sh, NULL);
	for (unsigned i = 0; i < n; i++) {
		if (shell_json(sh)) {
			json_object(sh, NULL);
			json_u64(sh, "ns", step[i].ns);
			json_str(sh, "step", step[i].words);
			json_end(sh);
		} else {
			shell_printf(sh, "%8u ms  %s\n", (unsigned)(step[i].ns / NSEC_PER_MSEC),
				     step[i].words);
		}
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

static int follow_cmd(struct shell *sh, int argc, char **argv)
{
	uint32_t id;

	return job_arg(sh, argc, argv, &id) ? cmd_job_follow(sh, id) : 1;
}

static void done_json(struct shell *sh, const char *key, const char *value)
{
	if (!shell_json(sh))
		return;
	json_object(sh, NULL);
	json_str(sh, key, value);
	json_end(sh);
}

static int job_act(struct shell *sh, int argc, char **argv, int (*fn)(uint32_t, char *, size_t))
{
	char why[WHY_MAX] = "";
	struct mig_status s;
	uint32_t id;
	int err;

	if (!job_arg(sh, argc, argv, &id))
		return 1;
	err = fn(id, why, sizeof(why));
	if (err)
		return shell_error(sh, err == -ENOENT ? "not-found" : "refused", "%s", why);
	if (mig_status(id, &s))
		done_json(sh, "phase", mig_phase_name(s.phase));
	return 0;
}

int cmd_job_cancel(struct shell *sh, int argc, char **argv)
{
	return job_act(sh, argc, argv, mig_cancel);
}

static int continue_cmd(struct shell *sh, int argc, char **argv)
{
	return job_act(sh, argc, argv, mig_continue);
}

static int resolve_cmd(struct shell *sh, int argc, char **argv)
{
	char why[WHY_MAX] = "";
	bool here = argc == 3 && !strcmp(argv[2], "here");
	int err;

	if (argc != 3 || (!here && strcmp(argv[2], "there")))
		return shell_error(sh, "usage", "migrate resolve VM here|there");
	err = mig_resolve(argv[1], here, why, sizeof(why));
	if (err)
		return shell_error(sh, err == -ENOENT ? "not-found" : "refused", "%s", why);
	done_json(sh, "resolved", argv[2]);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "migrate",
	  "VM HOST [--disks DATASTORE] [--disk N=DATASTORE]... [--verify] [--thin] [--flat] "
	  "[--wait] "
	  "[--dry-run] [--hipri] [--budget MS] [--bw MBIT] [--batch PAGES] [--rounds N] "
	  "[--hold PHASE]",
	  "move a VM to another host, or a running one to this one", migrate_cmd,
	  cmd_offer_migrate },
	{ "migrate status", "[JOB]", "a job's state and figures, or all of them", status_cmd,
	  NULL },
	{ "migrate steps", "JOB", "how a migration decided whose the VM is, on this side",
	  steps_cmd, NULL },
	{ "migrate follow", "JOB", "watch a job until it ends", follow_cmd, NULL },
	{ "migrate cancel", "JOB", "give a migration up; the VM goes on here", cmd_job_cancel,
	  NULL },
	{ "migrate continue", "JOB", "let a job go on that --hold stopped", continue_cmd, NULL },
	{ "migrate resolve", "VM here|there", "say who has a VM whose migration is in doubt",
	  resolve_cmd, cmd_offer_resolve },
	{ "tasks", "", "migrations since start, running and ended", tasks_cmd, NULL },
};

void cmd_mig_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
