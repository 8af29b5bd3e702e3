/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unsettled outcomes. When the link breaks in the commit, the source either
 * runs the VM and the destination may hold a copy that it must throw away
 * (ABORTED), or it has said GO and does not know whether that arrived (GO). One
 * world tells the peer again and again, with patience, until it answers.
 *
 * Of a VM whose disks have leases these decide, and no peer is needed: what the source cannot take
 * back is the destination's, and what was given the destination may take (docs/ownership.md).
 * The peer is asked first, so that a move whose GO was lost still succeeds.
 *
 * Invariant: a repeated GO is harmless, because the destination's step is
 * idempotent and it remembers the migration's id (history.h); a destination that has
 * restarted answers UNKNOWN, and then only the operator can know.
 */
#include <errno.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>
#include <tern/vdev.h>

#include "job.h"
#include "owner.h"
#include "phase.h"

#define UNKNOWN_MAX 15 /* times SETTLE_EVERY_NS */

static struct event work;

static bool needs_settling(struct mig_job *j, void *arg)
{
	(void)arg;
	return j->settling;
}

/* One connection, one question. */
static int ask(struct mig_job *j, enum wire_outcome outcome, struct wire_verdict *v)
{
	struct wire_settle m = { .outcome = outcome };
	uint8_t buf[256];
	struct wire_head head;
	struct stream *s;
	struct peer p;
	void *body;
	int err = stream_connect(&j->req.to, MIG_PORT, SETTLE_EVERY_NS, &s);

	if (err)
		return err;
	memcpy(m.id, j->id, sizeof(m.id));
	strcpy(m.vm, j->st.vm);
	peer_init(&p, s, false);
	err = peer_ask(&p, j->id, WIRE_SETTLE, &m, sizeof(m));
	if (!err)
		err = peer_answer(&p, &head, buf, sizeof(buf), &body,
				  time_ns() + RUNNING_TIMEOUT_NS);
	if (!err) {
		if (head.type == WIRE_VERDICT)
			memcpy(v, body, sizeof(*v));
		else
			err = -EBADMSG;
		peer_body_free(buf, body);
	}
	if (err) /* nothing of this is to arrive later: the outcome may be another by then */
		stream_abort(s);
	stream_close(s);
	return err;
}

static enum commit_action peers_word(struct mig_job *j, enum wire_verdict_kind verdict)
{
	unsigned long f = spin_lock(&j->lock);
	enum commit_action action = verdict == VERDICT_RUNNING	   ? src_running(&j->src)
				    : verdict == VERDICT_DISCARDED ? src_discarded(&j->src)
								   : src_unknown(&j->src);

	spin_unlock(&j->lock, f);
	if (action == COMMIT_FREE)
		job_step(j, STEP_RELEASED);
	if (action == COMMIT_RUN)
		job_step(j, STEP_GOES_ON);
	return action;
}

/* The commit's step while in doubt, by what the peer has said (UNKNOWN: nothing). */
static void in_doubt_verdict(struct mig_job *j, enum wire_verdict_kind verdict)
{
	bool leases = verdict != VERDICT_RUNNING && j->vm && owner_leased(j);
	enum commit_action action = leases ? source_ask_leases(j, verdict == VERDICT_DISCARDED)
					   : peers_word(j, verdict);

	if (action == COMMIT_FREE && j->stopped)
		job_error(j, "stopped",
			  "the destination took the leases and lost its copy before that ran: its "
			  "disks are here, it can be started when the leases are free");
	if (action == COMMIT_FREE) {
		source_release(j);
		job_set_settling(j, false);
		job_over(j, j->stopped ? MIG_FAILED : MIG_DONE);
	} else if (action == COMMIT_RUN) {
		job_error(j, "discarded",
			  leases ? "the destination did not take the leases; the VM goes on here"
				 : "the destination gave its copy up; the VM goes on here");
		source_resume_all(j);
		job_over(j, MIG_FAILED);
	} else if (action == COMMIT_ASK && !leases && !j->st.error[0]) {
		job_error(j, "unknown-there",
			  "the destination has restarted and knows nothing: 'migrate resolve %s "
			  "here' if it is lost",
			  j->st.vm);
		log_warn("mig", "job %u: %s", (unsigned)j->st.id, j->st.error);
	}
}

/*
 * What the peer is to be told; false when there is nothing any more, or the operator is at it.
 * Keeps the operator waiting.
 */
static bool begin(struct mig_job *j, enum wire_outcome *outcome)
{
	unsigned long f = spin_lock(&j->lock);
	bool over = j->src == SRC_RELEASED, asks = !over && !j->resolving;

	*outcome = j->src == SRC_GO_SENT ? OUTCOME_GO : OUTCOME_ABORTED;
	j->asking = asks;
	spin_unlock(&j->lock, f);
	if (over)
		job_set_settling(j, false);
	return asks;
}

static void end(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);

	j->asking = false;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
}

/* The record goes; and, as far as the peer hears it, the peer's, which has been asked for it. */
static void forget(struct mig_job *j, bool asked)
{
	bool closes = j->journal && asked && j->src != SRC_GO_SENT;
	struct wire_verdict v;

	closes = job_journal_end(j) && closes;
	if (closes && j->src == SRC_RELEASED && !j->stopped)
		job_step(j, STEP_FORGOT);
	if (closes && ask(j, OUTCOME_CLOSED, &v))
		log_debug("mig", "job %u: the destination keeps its record", (unsigned)j->st.id);
}

/*
 * Leases decide without the peer; but it keeps its record of a GO for a word. One that has just
 * started may know nothing of that yet.
 */
static bool is_waited_for(struct mig_job *j, bool silent, uint32_t verdict)
{
	if (!j->journal || !j->noted_go || j->src != SRC_RUNS)
		return false;
	return silent || (verdict == VERDICT_UNKNOWN && ++j->unknown < UNKNOWN_MAX);
}

static void settle_one(struct mig_job *j)
{
	struct wire_verdict v = { .verdict = VERDICT_UNKNOWN };
	enum wire_outcome outcome;
	bool silent, waits;

	if (!begin(j, &outcome))
		return;
	if (outcome == OUTCOME_GO && !source_go_is_noted(j)) {
		end(j);
		return;
	}
	silent = ask(j, outcome, &v);
	if (silent && !(outcome == OUTCOME_GO && j->vm && owner_leased(j))) {
		end(j);
		return;
	}
	if (outcome == OUTCOME_GO)
		in_doubt_verdict(j, (enum wire_verdict_kind)v.verdict);
	else if (v.verdict == VERDICT_RUNNING)
		log_error("mig", "job %u: %s runs here AND at its destination: stop one of them",
			  (unsigned)j->st.id, j->st.vm);
	waits = is_waited_for(j, silent, v.verdict);
	if (j->src != SRC_GO_SENT && !waits)
		job_set_settling(j, false);
	if (!waits)
		forget(j, outcome == OUTCOME_GO);
	end(j);
}

struct pass {
	uint32_t after; /* job id */
};

static bool next_unsettled(struct mig_job *j, void *arg)
{
	return needs_settling(j, NULL) && j->st.id > ((struct pass *)arg)->after;
}

static void settle_world(void *arg)
{
	struct mig_job *j;

	(void)arg;
	for (;;) {
		struct pass pass = { 0 };

		while ((j = job_search(next_unsettled, &pass))) {
			pass.after = j->st.id;
			if (j->st.incoming)
				dest_look(j);
			else
				settle_one(j);
			job_put(j);
		}
		j = job_search(needs_settling, NULL);
		if (j)
			job_put(j);
		(void)event_wait(&work, j ? time_ns() + SETTLE_EVERY_NS : NEVER_NS);
	}
}

void settle_add(struct mig_job *j)
{
	job_set_settling(j, true);
	event_signal(&work);
}

void settle_init(void)
{
	struct world_opts o = { .name = "mig-settle", .prio = WORLD_BACKGROUND, .cpu = -1 };

	event_init(&work, "mig settle");
	if (world_create(NULL, &o, settle_world, NULL))
		panic("no memory for the migration's worlds");
}
