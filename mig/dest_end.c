/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ends of an incoming migration: this host takes the VM over, or its copy
 * is discarded; asked for by the stream, by a source that settles later, or by
 * the operator. The commit's state decides under job->lock, so whoever comes
 * first wins and the others are refused.
 */
#include <errno.h>
#include <string.h>

#include <tern/home.h>
#include <tern/log.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "history.h"
#include "job.h"
#include "journal.h"
#include "owner.h"
#include "phase.h"

/* The VM of the same name that was registered here and has stepped aside, if any. */
static struct vm *take_instead(struct mig_job *j)
{
	struct vm *vm = j->instead;

	j->instead = NULL;
	return vm;
}

/* The instance that ran until now, of a move to this host itself. */
static void take_name(struct mig_job *j)
{
	if (!j->former)
		return;
	if (vm_take_place(j->former, j->vm)) /* it is its source's: nobody else takes its name */
		log_error("mig", "job %u: %s is not registered", (unsigned)j->st.id, j->st.vm);
	vm_put(j->former);
	j->former = NULL;
}

/* As it was at its source; one that was off is stopped by whoever lets it go. */
static void go_on(struct mig_job *j)
{
	if (j->was == VM_SUSPENDED)
		vm_suspend_incoming(j->vm);
	if (vm_state_is_off(j->was))
		vm_set_state(j->vm, VM_STUNNED);
	if (!job_moves_running(j))
		return;
	vdevs_resume(j->vm);
	j->running.started_ns = time_ns();
	vm_run_incoming(j->vm);
}

/*
 * It is its user's, whose commands must not meet one that is not yet started; one that is to be
 * off only when it is so (vm_stop_as).
 */
static void let_go(struct mig_job *j)
{
	mutex_lock(&j->vm->lock);
	memcpy(j->vm->came_by, j->id, sizeof(j->vm->came_by));
	if (!vm_state_is_off(j->was))
		j->vm->mig = NULL;
	mutex_unlock(&j->vm->lock);
}

/* COMMIT_RUN: the VM is this host's. All that could fail was done before READY. */
static void run(struct mig_job *j)
{
	struct vm *vm = j->vm, *former = take_instead(j);
	bool off = vm_state_is_off(j->was);
	char why[96] = "";

	job_step(j, STEP_RUNS);
	vdisks_settle(vm, true);
	take_name(j);
	home_here(vm);
	go_on(j);
	let_go(j);
	j->vm = NULL;
	if (former)
		vm_put(former);
	if (off) {
		home_claim(vm);
		if (vm_stop_as(vm, &j->end, why, sizeof(why)))
			log_error("mig", "job %u: %s", (unsigned)j->st.id, why);
	} else {
		home_arrived(vm);
	}
	vm_put(vm);
}

/* Accepting leases takes a while, in which nothing else is decided of the copy. */
static unsigned long lock_decided(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);

	while (j->taking)
		(void)job_wait_locked(j, &f, NEVER_NS);
	return f;
}

/* The leases, once; a step after them that failed is tried again without them. */
static int accept_leases(struct mig_job *j)
{
	char why[WIRE_TEXT] = "";
	int err = j->accepted ? 0 : vdisks_held(j->vm, why, sizeof(why));

	if (err)
		log_warn("mig", "job %u: %s", (unsigned)j->st.id, why);
	if (err || j->accepted)
		return err;
	err = owner_accept(j);
	j->accepted = !err;
	return err;
}

/*
 * The leases will not come, and from now on nobody runs it: not even by the word of an operator who
 * waits for this. Its source may ask later, after crashes of either.
 */
static void keep_gone(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	int err;

	(void)dst_aborted(&j->dst);
	spin_unlock(&j->lock, f);
	job_step(j, STEP_GIVEN_UP);
	err = j->journal ? journal_note(j->journal, JOURNAL_GONE) : 0;
	if (err)
		log_warn("mig", "job %u: that its copy is given up is not noted: %s",
			 (unsigned)j->st.id, ds_error_text(err));
	job_journal_keep(j);
}

/* The leases, then the record: what is noted is owned. Not without the disks that came. */
static int accept(struct mig_job *j)
{
	bool tells = owner_leased(j) && !j->accepted;
	int err = accept_leases(j);

	if (!err && tells)
		job_step(j, STEP_ACCEPTED);
	if (err == -ESTALE)
		keep_gone(j);
	if (!err && j->journal)
		err = journal_note(j->journal, JOURNAL_OWNS);
	if (!err && j->journal)
		job_step(j, STEP_NOTED_OWNS);
	return err;
}

int dest_take(struct mig_job *j)
{
	unsigned long f = lock_decided(j);
	enum dest_state was = j->dst;
	int err;

	j->taking = was == DST_HELD;
	spin_unlock(&j->lock, f);
	if (was != DST_HELD)
		return was == DST_OWNS ? 0 : -EPERM;
	err = accept(j);
	f = spin_lock(&j->lock);
	j->taking = false;
	if (!err)
		(void)dst_go(&j->dst);
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	if (!err)
		run(j);
	return err;
}

/* COMMIT_FREE: takes the skeleton or the held copy apart. */
static void take_apart(struct mig_job *j)
{
	char why[96] = "";
	unsigned long f = spin_lock(&j->lock);
	struct vm *vm = j->vm, *twin_of = j->former, *former;

	j->vm = j->former = NULL;
	j->parting = j->parting || vm;
	spin_unlock(&j->lock, f);
	if (twin_of)
		vm_put(twin_of);
	if (!vm)
		return;
	mutex_lock(&vm->lock);
	vm->mig = NULL;
	mutex_unlock(&vm->lock);
	vm_set_state(vm, VM_STUNNED); /* no more in doubt, if it was */
	home_not_come(vm);
	former = take_instead(j);
	if (!vm_stop(vm, why, sizeof(why)) && former)
		vm_give_place_back(vm, former);
	else if (why[0] || (!twin_of && vm_delete(vm, why, sizeof(why))))
		log_error("mig", "job %u: the incomplete %s stays: %s", (unsigned)j->st.id,
			  j->st.vm, why);
	vm_put(vm);
	job_journal_end(j);
	f = spin_lock(&j->lock);
	j->parting = false;
	spin_unlock(&j->lock, f);
}

void dest_discard(struct mig_job *j)
{
	unsigned long f = lock_decided(j);
	bool held = j->dst == DST_HELD;
	enum commit_action action = dst_aborted(&j->dst);

	spin_unlock(&j->lock, f);
	if (action == COMMIT_FREE && held)
		job_step(j, STEP_GIVEN_UP);
	if (action == COMMIT_FREE)
		take_apart(j);
}

/* Is it settled, and its copy, which has the VM's name, taken apart if it is gone? */
static bool is_settled_whole(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	bool apart = j->dst != DST_GONE || (!j->vm && !j->parting);
	bool whole = j->st.phase == MIG_IN_DOUBT && j->dst != DST_HELD && apart;

	spin_unlock(&j->lock, f);
	return whole;
}

/* A job whose stream is gone ends when it is settled. Who has taken its copy apart comes here. */
static void end_held(struct mig_job *j)
{
	if (!is_settled_whole(j))
		return;
	if (j->dst != DST_OWNS)
		job_error(j, "discarded", "the copy here was given up: the VM is the source's");
	else
		job_journal_keep(j); /* until its source says that it has forgotten */
	job_over(j, j->dst == DST_OWNS ? MIG_DONE : MIG_FAILED);
}

bool dest_forbid(struct mig_job *j, bool held_too)
{
	unsigned long f = spin_lock(&j->lock);
	bool incomplete = j->dst == DST_EMPTY, held = j->dst == DST_HELD;

	if (incomplete)
		(void)dst_aborted(&j->dst);
	spin_unlock(&j->lock, f);
	if (incomplete)
		job_abort_stream(j);
	else if (held && held_too)
		dest_discard(j);
	end_held(j);
	return incomplete;
}

void dest_look(struct mig_job *j)
{
	int err = dest_take(j);

	if (err == -ESTALE) {
		log_warn("mig", "job %u: the leases of %s will not come: its copy here is given up",
			 (unsigned)j->st.id, j->st.vm);
		dest_discard(j);
	}
	if (j->dst != DST_HELD)
		job_set_settling(j, false);
	end_held(j);
}

/* ---- idle ones ---- */

struct idlest {
	uint64_t now_ns, idle_ns;
	uint32_t id; /* of the job; 0 = none is idle enough */
};

/* Keeps the idlest in arg; false, to go on. */
static bool idler(struct mig_job *j, void *arg)
{
	struct idlest *best = arg;
	uint64_t idle_ns = best->now_ns - MIN(best->now_ns, j->progress_ns);

	if (j->st.incoming && !j->over && j->peer.s && !j->give_way && idle_ns > best->idle_ns) {
		best->idle_ns = idle_ns;
		best->id = j->st.id;
	}
	return false;
}

bool dest_give_way(void)
{
	struct idlest best = { .now_ns = time_ns(), .idle_ns = IDLE_GIVES_WAY_NS };
	struct mig_job *j;
	unsigned long f;

	(void)job_search(idler, &best);
	j = best.id ? job_find(best.id) : NULL;
	if (!j)
		return false;
	f = spin_lock(&j->lock);
	j->give_way = true;
	spin_unlock(&j->lock, f);
	job_put(j);
	return true;
}

/* Will its source never ask again? The answer to GO may not arrive. */
static bool is_settled(const struct wire_settle *m, bool owns)
{
	return m->outcome == OUTCOME_CLOSED || (m->outcome == OUTCOME_ABORTED && !owns);
}

void dest_settle(const struct wire_settle *m, struct wire_verdict *v)
{
	struct mig_job *j = job_find_wire_id(m->id);
	int err;

	*v = (struct wire_verdict){ .verdict = VERDICT_UNKNOWN };
	memcpy(v->id, m->id, sizeof(v->id));
	if (!j) {
		if (history_find(v) && is_settled(m, v->verdict == VERDICT_RUNNING))
			job_journal_forget(m->id);
		if (m->outcome == OUTCOME_CLOSED && v->verdict == VERDICT_RUNNING)
			step_say(m->id, true, STEP_CLOSED);
		return;
	}
	if (m->outcome == OUTCOME_CLOSED && j->dst == DST_OWNS) {
		job_step(j, STEP_CLOSED);
		job_journal_end(j);
	}
	if ((j->dst == DST_OWNS || j->dst == DST_GONE) && is_settled(m, j->dst == DST_OWNS))
		job_journal_forget(m->id); /* it was kept when the job ended */
	err = m->outcome == OUTCOME_GO ? dest_take(j) : 0;
	if (err)
		log_warn("mig", "job %u: the source says GO for a copy that %s", (unsigned)j->st.id,
			 err == -EPERM ? "is gone" : "cannot have its leases");
	if (err == -ESTALE)
		dest_discard(j);
	(void)dest_forbid(j, m->outcome == OUTCOME_ABORTED);
	v->verdict = j->dst == DST_OWNS	  ? VERDICT_RUNNING
		     : j->dst == DST_HELD ? VERDICT_UNKNOWN
					  : VERDICT_DISCARDED;
	v->started_ns = j->running.started_ns;
	job_put(j);
}

/* The operator says whose it is: noted before it is so, and nothing else is decided meanwhile. */
int dest_resolve(struct mig_job *j, bool here)
{
	unsigned long f = lock_decided(j);
	bool mine = here && j->dst == DST_HELD;
	enum commit_action action = COMMIT_REFUSE;
	int err = mine && owner_leased(j) ? -EBUSY : 0;

	if (mine && !err && j->journal) {
		j->taking = true;
		spin_unlock(&j->lock, f);
		err = journal_note(j->journal, JOURNAL_OWNS);
		f = spin_lock(&j->lock);
		j->taking = false;
		job_changed_locked(j);
	}
	if (!err)
		action = dst_resolve(&j->dst, here);
	spin_unlock(&j->lock, f);
	if (err)
		return err;
	if (action == COMMIT_REFUSE)
		return -EPERM;
	job_step(j, here ? STEP_SAID_HERE : STEP_SAID_THERE);
	if (action == COMMIT_RUN)
		run(j);
	else
		take_apart(j);
	end_held(j);
	return 0;
}
