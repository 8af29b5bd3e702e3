/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How jobs that move VMs or their disks are shown: one line, JSON with all figures, or its
 * progress until it ends.
 */
#include <stdio.h>
#include <string.h>

#include <tern/timer.h>

#include "cmd_mig.h"
#include "shell_int.h"

#define PROGRESS_NS (500 * NSEC_PER_MSEC)

static unsigned ms(uint64_t ns)
{
	return (unsigned)(ns / NSEC_PER_MSEC);
}

bool cmd_job_ended(const struct mig_status *s)
{
	return s->phase == MIG_DONE || s->phase == MIG_FAILED || s->phase == MIG_CANCELED ||
	       s->phase == MIG_IN_DOUBT;
}

static void rounds_json(struct shell *sh, const struct mig_status *s)
{
	json_array(sh, "round");
	for (unsigned i = 0; i < s->rounds && i < MIG_MAX_ROUNDS; i++) {
		json_object(sh, NULL);
		json_u64(sh, "pages", s->round[i].pages);
		json_u64(sh, "zero_pages", s->round[i].zero_pages);
		json_u64(sh, "delta_pages", s->round[i].delta_pages);
		json_u64(sh, "bytes", s->round[i].bytes);
		json_u64(sh, "ns", s->round[i].ns);
		json_u64(sh, "dirtied", s->round[i].dirtied);
		json_end(sh);
	}
	json_end(sh);
}

static void blackout_json(struct shell *sh, const struct mig_status *s)
{
	json_object(sh, "blackout");
	json_u64(sh, "total_ns", s->blackout_ns);
	json_u64(sh, "predicted_ns", s->predicted_blackout_ns);
	json_u64(sh, "park_ns", s->park_ns);
	json_u64(sh, "harvest_ns", s->harvest_ns);
	json_u64(sh, "pages_ns", s->pages_ns);
	json_u64(sh, "state_ns", s->state_ns);
	json_u64(sh, "ready_ns", s->ready_ns);
	json_u64(sh, "lease_ns", s->lease_ns);
	json_u64(sh, "go_ns", s->go_ns);
	json_u64(sh, "first_run_ns", s->first_run_ns);
	json_end(sh);
}

void json_resolve(struct shell *sh, const char *vm)
{
	char text[sizeof(CMD_RESOLVE) + VM_NAME_MAX];

	snprintf(text, sizeof(text), CMD_RESOLVE, vm);
	json_str(sh, "resolve", text);
}

static void status_json(struct shell *sh, const struct mig_status *s)
{
	char peer[48];

	net_addr_format(&s->peer, peer, sizeof(peer));
	json_object(sh, NULL);
	json_u64(sh, "id", s->id);
	json_str(sh, "vm", s->vm);
	json_str(sh, "direction", s->storage ? "disks" : s->incoming ? "in" : "out");
	json_str(sh, "peer", s->storage ? "" : peer);
	json_str(sh, "phase", mig_phase_name(s->phase));
	json_bool(sh, "held", s->held);
	json_bool(sh, "dry_run", s->dry_run);
	json_u64(sh, "percent", s->percent);
	json_u64(sh, "total_ns", s->total_ns);
	json_u64(sh, "bytes_sent", s->bytes_sent);
	json_u64(sh, "copied_bytes", s->copied_bytes);
	json_u64(sh, "pages_sent", s->pages_sent);
	json_u64(sh, "zero_sent", s->zero_sent);
	json_u64(sh, "pages_hinted", s->pages_hinted);
	json_u64(sh, "resent", s->resent);
	json_u64(sh, "delta_pages", s->delta_pages);
	json_u64(sh, "delta_bytes", s->delta_bytes);
	json_u64(sh, "saved_bytes", s->delta_pages * PAGE_SIZE - s->delta_bytes);
	json_u64(sh, "base_pages", s->base_pages);
	json_u64(sh, "rate_bytes_s", s->rate_bytes_s);
	json_u64(sh, "dirty_pages_s", s->dirty_pages_s);
	json_u64(sh, "rtt_ns", s->rtt_ns);
	json_u64(sh, "rounds", s->rounds);
	rounds_json(sh, s);
	blackout_json(sh, s);
	if (s->disk.disks || s->storage)
		cmd_storage_json(sh, &s->disk);
	json_str(sh, "error_code", s->error_code);
	json_str(sh, "error", s->error);
	if (s->phase == MIG_IN_DOUBT)
		json_resolve(sh, s->vm);
	json_end(sh);
}

static void progress_line(struct shell *sh, const struct mig_status *s)
{
	uint64_t bytes = s->disk.copied_bytes + s->disk.mirrored_bytes;
	char disks[32] = "";

	if (s->disk.disks || bytes) /* the destination knows the bytes alone */
		snprintf(disks, sizeof(disks), "%u MiB of disks, ", (unsigned)(bytes >> 20));
	shell_progress(sh, "%u %s %s %3u%%  %s round %u  %s%u MiB sent  %u MB/s  dirty %u pages/s",
		       (unsigned)s->id, s->incoming ? "in" : "out", s->vm, s->percent,
		       mig_phase_name(s->phase), s->rounds, disks, (unsigned)(s->bytes_sent >> 20),
		       (unsigned)(s->rate_bytes_s / 1000000), (unsigned)s->dirty_pages_s);
}

static void status_plain(struct shell *sh, const struct mig_status *s)
{
	char peer[48];

	net_addr_format(&s->peer, peer, sizeof(peer));
	shell_printf(sh, "%u  %s %s %s  %s%s%s  %u%%  %u ms  %u MiB  rounds %u  blackout %u ms",
		     (unsigned)s->id, s->vm, s->incoming ? "from" : "to", peer,
		     mig_phase_name(s->phase), s->held ? " (held)" : "",
		     s->dry_run ? " (dry run)" : "", s->percent, ms(s->total_ns),
		     (unsigned)(s->bytes_sent >> 20), s->rounds, ms(s->blackout_ns));
	cmd_storage_whole(sh, s);
	if (s->error[0])
		shell_printf(sh, "  %s: %s", s->error_code, s->error);
	if (s->phase == MIG_IN_DOUBT)
		shell_printf(sh, "  resolve by: " CMD_RESOLVE, s->vm);
	shell_printf(sh, "\n");
}

void cmd_job_show(struct shell *sh, const struct mig_status *s)
{
	if (shell_json(sh))
		status_json(sh, s);
	else if (s->storage)
		cmd_storage_plain(sh, s);
	else
		status_plain(sh, s);
}

int cmd_no_job(struct shell *sh, uint32_t id)
{
	return shell_error(sh, "not-found", "no job %u: 'tasks' lists those that are known",
			   (unsigned)id);
}

int cmd_job_follow(struct shell *sh, uint32_t id)
{
	enum mig_phase shown = MIG_PHASES;
	uint64_t due = 0;
	struct mig_status s;

	while (mig_status(id, &s) && !cmd_job_ended(&s)) {
		if (shell_interrupted(sh)) {
			shell_printf(sh, "job %u goes on: 'migrate status %u' shows it\n",
				     (unsigned)id, (unsigned)id);
			return 1;
		}
		if (!shell_json(sh) && (s.phase != shown || time_ns() >= due)) {
			if (s.storage)
				cmd_storage_progress(sh, &s);
			else
				progress_line(sh, &s);
			shown = s.phase;
			due = time_ns() + PROGRESS_NS;
		}
		(void)mig_wait(id, time_ns() + PROGRESS_NS);
	}
	if (!mig_status(id, &s))
		return cmd_no_job(sh, id);
	if (s.phase != MIG_DONE) {
		if (shell_json(sh))
			cmd_job_show(sh, &s);
		return shell_error(
			sh, s.error_code[0] ? s.error_code : mig_phase_name(s.phase), "%s",
			s.error[0] ? s.error : "the migration did not end; see 'migrate status'");
	}
	cmd_job_show(sh, &s);
	return 0;
}

int cmd_job_begun(struct shell *sh, uint32_t id, bool wait)
{
	if (wait)
		return cmd_job_follow(sh, id);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_u64(sh, "id", id);
		json_end(sh);
	} else {
		shell_printf(sh, "job %u\n", (unsigned)id);
	}
	return 0;
}
