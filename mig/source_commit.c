/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source's side of the commit: leases, GO, and how it ends (commit.h,
 * docs/ownership.md). Of disks without leases nothing is given; then GO alone decides.
 */
#include <errno.h>
#include <string.h>

#include <tern/dirty.h>
#include <tern/home.h>
#include <tern/log.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "journal.h"
#include "owner.h"
#include "phase.h"
#include "source.h"
#include "source_disks.h"

/* A host that crashes after GO must know of it. */
static int note_go(struct mig_job *j)
{
	bool first = j->journal && !j->noted_go;
	int err = 0;

	if (first) {
		j->noted_go = true;
		err = journal_note(j->journal, JOURNAL_GO);
	}
	if (first && !err)
		job_step(j, STEP_NOTED_GO);
	if (err)
		job_error(j, ds_error_code(err), "the record of the move cannot be written: %s",
			  ds_error_text(err));
	return err;
}

int source_note_nothing(struct mig_job *j)
{
	int err = j->noted_go ? journal_note(j->journal, JOURNAL_NOTHING) : 0;

	if (!err && j->noted_go)
		job_step(j, STEP_NOTED_NOTHING);
	return err;
}

bool source_go_is_noted(struct mig_job *j)
{
	if (!j->unsure)
		return true;
	if (journal_note(j->journal, JOURNAL_GO))
		return false;
	j->unsure = false;
	job_step(j, STEP_NOTED_GO);
	job_step(j, STEP_GO);
	return true;
}

/* Copied disks, and a home that goes along: what another host has taken is not to be had twice. */
static int still_ours(struct mig_job *j)
{
	char why[WIRE_TEXT] = "";
	int err = vdisks_held(j->vm, why, sizeof(why));

	if (!err)
		err = home_held(j->vm, why, sizeof(why));
	if (err)
		job_error(j, ds_error_code(err), "%s; the VM stays here", why);
	return err;
}

/* Nothing is given or said of a VM that is not this host's alone to give. */
static int prepare_go(struct mig_job *j)
{
	int err = still_ours(j);

	return err ? err : note_go(j);
}

/* READY is here: what the disks hold is the destination's to take, but not yet for good. */
int source_lease(struct source *s)
{
	char why[WIRE_TEXT] = "";
	struct mig_job *j = s->j;
	int err = source_hold(j, MIG_LEASE);
	unsigned long f;
	uint64_t t0;

	if (err || !owner_leased(j))
		return err;
	err = prepare_go(j); /* without GO the destination may take them: a crash must find it */
	if (err)
		return err;
	t0 = time_ns();
	f = spin_lock(&j->lock);
	src_give(&j->src);
	spin_unlock(&j->lock, f);
	job_step(j, STEP_GIVES);
	err = owner_give(j, j->there, why, sizeof(why));
	if (err == -ESTALE)
		memcpy(s->lost, why, sizeof(why));
	else if (err)
		job_error(j, "lease", "%s", why);
	else
		job_step(j, STEP_GIVEN);
	j->st.lease_ns = time_ns() - t0;
	return err;
}

/* Decide. From here on nothing is taken back, unless the leases say so. */
int source_go(struct source *s)
{
	struct mig_job *j = s->j;
	unsigned long f;
	int err = source_hold(j, MIG_GO);

	if (err)
		return err;
	err = prepare_go(j);
	if (err)
		return err;
	f = spin_lock(&j->lock);
	err = j->cancel ? -ECANCELED : j->link_error; /* a dead link is no reason to be in doubt */
	if (!err)
		src_ready(&j->src);
	spin_unlock(&j->lock, f);
	if (!err)
		job_step(j, STEP_GO);
	return err;
}

static void in_doubt(struct mig_job *j, const char *why)
{
	job_step(j, STEP_IN_DOUBT);
	vm_set_state(j->vm, VM_IN_DOUBT);
	settle_add(j); /* before the operator can resolve it, which may end the settling */
	job_phase(j, MIG_IN_DOUBT);
	log_warn("mig", "job %u: %s: %s is held here until that is known", (unsigned)j->st.id, why,
		 j->st.vm);
}

/* GO is decided: it goes out, and only the destination's word ends this. */
void source_commit(struct source *s)
{
	struct mig_job *j = s->j;
	uint64_t t0 = time_ns();
	int64_t blackout_ns;
	unsigned long f;
	int err = peer_send(&j->peer, WIRE_GO, NULL, 0);

	if (!err)
		err = source_wait(j, WIRE_RUNNING, t0 + RUNNING_TIMEOUT_NS);
	j->st.go_ns = time_ns() - t0;
	if (err) {
		in_doubt(j, "GO sent, no answer");
		return;
	}
	blackout_ns = (int64_t)j->running.started_ns - source_gap_ns(j) - (int64_t)s->parked_at_ns;
	/* By two clocks; by ours alone it lasted until GO at least. */
	if (job_moves_running(j))
		j->st.blackout_ns = (uint64_t)MAX(blackout_ns, (int64_t)(t0 - s->parked_at_ns));
	j->st.first_run_ns = j->running.load_ns;
	f = spin_lock(&j->lock);
	src_running(&j->src);
	spin_unlock(&j->lock, f);
	job_step(j, STEP_RELEASED);
	source_release(j);
	job_over(j, MIG_DONE);
}

/* Before GO: why the VM goes on here. */
static void say_why(struct mig_job *j, int err)
{
	if (err == -ECANCELED)
		job_error(j, "canceled", "in phase %s; the VM stays here",
			  mig_phase_name(j->st.phase));
	else
		job_error(j,
			  err == -EBADMSG		      ? "bad-stream"
			  : err == -ENOMEM || err == -ENOBUFS ? "no-memory"
							      : "link",
			  "%s in phase %s; the VM goes on here", peer_lost_words(err),
			  mig_phase_name(j->st.phase));
}

/* It goes on here, and the destination is told. */
static void go_on(struct source *s)
{
	struct mig_job *j = s->j;

	if (s->quiesced)
		vdevs_resume(j->vm);
	if (s->parked)
		source_resume(j);
	else
		vdisks_settle(j->vm, true);
	home_keep(j->vm);
	home_stays(j->vm);
	if (j->peer.s)
		peer_send_text(&j->peer, WIRE_ABORT, j->st.error_code, j->st.error);
	if (s->tracking)
		dirty_stop(j->vm);
	if (s->parked) /* READY may be on its way: the destination must learn that it is not needed
			*/
		settle_add(j);
}

enum commit_action source_ask_leases(struct mig_job *j, bool gone)
{
	int err = owner_take_back(j);
	bool copied = j->journal != NULL;
	unsigned long f = spin_lock(&j->lock);
	enum commit_action action = !err				  ? src_taken_back(&j->src)
				    : err == -ESTALE && (!copied || gone) ? src_moved_on(&j->src)
									  : src_lost(&j->src);

	spin_unlock(&j->lock, f);
	if (action == COMMIT_RUN) {
		job_step(j, STEP_TAKEN_BACK);
		if (source_note_nothing(
			    j)) /* a crash asks the destination then, which has no lease */
			log_warn("mig", "job %u: the record of the move goes on to say GO",
				 (unsigned)j->st.id);
	}
	if (action != COMMIT_FREE)
		return action;
	job_step(j, copied ? STEP_STOPPED : STEP_MOVED_ON);
	j->stopped = copied;
	if (copied)
		vdisks_settle(j->vm, true);
	home_keep(j->vm);
	return action;
}

/*
 * Nothing was given. When the record cannot be made to say so, nobody knows whether a crash would
 * find GO: then the VM may not go on here, nor may GO be said, before the record says the one or
 * the other. It will say GO.
 */
static enum commit_action abort_or_ask(struct source *s)
{
	struct mig_job *j = s->j;
	bool fixed = source_note_nothing(j) != 0;
	enum commit_action action = COMMIT_ASK;
	unsigned long f = spin_lock(&j->lock);

	j->unsure = fixed;
	if (fixed)
		src_ready(&j->src);
	else
		action = src_abort(&j->src);
	spin_unlock(&j->lock, f);
	if (!fixed && s->parked)
		job_step(j, STEP_GOES_ON);
	return action;
}

bool source_give_up(struct source *s, int err)
{
	struct mig_job *j = s->j;
	bool given = j->src == SRC_GIVEN;
	enum commit_action action = given ? source_ask_leases(j, false) : abort_or_ask(s);

	source_disks_go_on(s);
	if (s->lost[0])
		job_error(j, "lost", "%s; %s", s->lost,
			  action == COMMIT_RUN	  ? "the VM goes on here, and that fails"
			  : action == COMMIT_FREE ? "the VM is stopped here"
						  : "the VM is held here");
	if (action == COMMIT_RUN) {
		say_why(j, err);
		go_on(s);
		return true;
	}
	if (action == COMMIT_FREE) { /* without its stream the destination asked the leases */
		source_release(j);
		job_over(j, s->lost[0] ? MIG_FAILED : MIG_DONE);
		return false;
	}
	in_doubt(j, given ? "it is not known whether its leases were taken over"
			  : "the record of the move cannot be written");
	return false;
}
