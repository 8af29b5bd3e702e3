/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Migration as the console sees it (tern/mig.h): start, cancel, continue,
 * resolve; and the listener for incoming ones.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/home.h>
#include <tern/log.h>
#include <tern/random.h>
#include <tern/store.h>

#include "job.h"
#include "phase.h"
#include "smove.h"

#define LISTEN_BACKLOG 8u
#define MIG_STACK (64u << 10)
/* Streams served at a time, beside those that have been asked to give way: a peer is hostile until
 * checked. */
#define INCOMING_MAX 16u

static unsigned incoming; /* [atom] */

static void incoming_world(void *arg)
{
	dest_world(arg);
	__atomic_sub_fetch(&incoming, 1, __ATOMIC_RELAXED);
}

static void serve(struct stream *s)
{
	struct world_opts o = {
		.name = "mig-in", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = MIG_STACK
	};
	bool full = __atomic_add_fetch(&incoming, 1, __ATOMIC_RELAXED) > INCOMING_MAX &&
		    !dest_give_way();

	if (!full && !world_create(NULL, &o, incoming_world, s))
		return;
	__atomic_sub_fetch(&incoming, 1, __ATOMIC_RELAXED);
	log_warn("mig", "an incoming stream is turned away: %s",
		 full ? "too many at a time" : "no memory");
	stream_abort(s);
	stream_close(s);
}

static void listener_world(void *arg)
{
	struct listener *l = arg;
	struct stream *s;

	for (;;)
		if (!stream_accept(l, NEVER_NS, &s))
			serve(s);
}

void mig_init(void)
{
	struct world_opts o = { .name = "mig-listen", .prio = WORLD_NORMAL, .cpu = -1 };
	struct listener *l;
	int err = stream_listen(MIG_PORT, LISTEN_BACKLOG, &l);

	jobs_init();
	steps_init();
	settle_init();
	smove_queue_init();
	if (err || world_create(NULL, &o, listener_world, l))
		log_error("mig", "cannot listen on port %u: this host takes no VMs", MIG_PORT);
}

static int fail(char *code, size_t code_len, const char *word, int err)
{
	strncpy(code, word, code_len - 1);
	code[code_len - 1] = '\0';
	return err;
}

static void defaults(struct mig_request *r)
{
	if (!r->budget_ms)
		r->budget_ms = DEFAULT_BUDGET_MS;
	if (!r->batch_pages)
		r->batch_pages = DEFAULT_BATCH_PAGES;
	if (r->batch_pages > WIRE_BATCH_MAX)
		r->batch_pages = WIRE_BATCH_MAX;
	if (!r->max_rounds)
		r->max_rounds = DEFAULT_MAX_ROUNDS;
}

static bool moves_in(enum vm_state s, bool self)
{
	return s == VM_RUNNING || (!self && (s == VM_SUSPENDED || vm_state_is_off(s)));
}

/* Makes the job the VM's owner, when it can move as it is and nobody else has it. */
static int claim(struct mig_job *j, struct vm *vm, char *code, size_t code_len, char *why,
		 size_t why_len)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->mig) {
		snprintf(why, why_len, "%s is %s", vm->cfg.name,
			 vm->doing ? vm->doing : "being migrated already ('tasks' shows it)");
		err = fail(code, code_len, "busy", -EBUSY);
	} else if (!vm_is_registered(vm)) {
		snprintf(why, why_len, "%s is being changed: try again", vm->cfg.name);
		err = fail(code, code_len, "busy", -EBUSY);
	} else if (!moves_in(vm->state, j->self)) {
		snprintf(why, why_len,
			 j->self ? "%s is %s: on its own host only a running VM moves; 'svmotion' "
				   "moves its disks"
				 : "%s is %s: it moves while it runs, is suspended or off",
			 vm->cfg.name, vm_state_name(vm->state));
		err = fail(code, code_len, "not-running", -EINVAL);
	} else {
		vm->mig = j;
		j->vm = vm;
		j->was = vm->state;
	}
	mutex_unlock(&vm->lock);
	return err;
}

static int launch(struct mig_job *j)
{
	struct world_opts o = { .name = "mig-out",
				.prio = j->req.hipri ? WORLD_HIGH : WORLD_NORMAL,
				.cpu = -1,
				.stack_size = MIG_STACK };

	return world_create(NULL, &o, source_world, j);
}

int mig_start(const struct mig_request *req, uint32_t *id, char *code, size_t code_len, char *why,
	      size_t why_len)
{
	struct mig_request r = *req;
	uint8_t wire_id[WIRE_ID_BYTES];
	struct mig_job *j;
	struct vm *vm = vm_find(r.vm);
	int err;

	if (!vm) {
		snprintf(why, why_len, "no VM '%s' here: 'vm list' shows those that are", r.vm);
		return fail(code, code_len, "not-found", -ENOENT);
	}
	defaults(&r);
	random_bytes(wire_id, sizeof(wire_id));
	j = job_new(&r, false, wire_id);
	if (!j) {
		vm_put(vm);
		snprintf(why, why_len,
			 "no memory for another job, or too many are unfinished ('tasks')");
		return fail(code, code_len, "no-memory", -ENOMEM);
	}
	err = claim(j, vm, code, code_len, why, why_len);
	if (!err) {
		*id = j->st.id;
		err = launch(j);
		if (!err)
			return 0; /* the job is its world's */
		snprintf(why, why_len, "no memory for the migration's world");
		fail(code, code_len, "no-memory", err);
		job_drop_vm(j);
	} else {
		vm_put(vm);
	}
	job_error(j, code, "%s", why);
	job_over(j, MIG_FAILED);
	job_put(j);
	return err;
}

static struct mig_job *find_or_say(uint32_t id, char *why, size_t why_len)
{
	struct mig_job *j = job_find(id);

	if (!j)
		snprintf(why, why_len, "no job %u", (unsigned)id);
	return j;
}

int mig_cancel(uint32_t id, char *why, size_t why_len)
{
	struct mig_job *j = find_or_say(id, why, why_len);
	unsigned long f;
	int err = 0;

	if (!j)
		return -ENOENT;
	f = spin_lock(&j->lock);
	if (j->over || j->st.incoming || j->no_return || j->src == SRC_GO_SENT ||
	    j->src == SRC_RELEASED)
		err = -EPERM;
	else
		j->cancel = true;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	if (err)
		snprintf(why, why_len,
			 j->over	  ? "job %u is over"
			 : j->st.incoming ? "job %u is an incoming one: cancel it at its source"
			 : j->no_return	  ? "job %u has switched: the VM is on its new disks"
					  : "job %u has said GO: the VM is the other host's",
			 (unsigned)id);
	job_put(j);
	return err;
}

int mig_continue(uint32_t id, char *why, size_t why_len)
{
	struct mig_job *j = find_or_say(id, why, why_len);
	unsigned long f;
	int err = 0;

	if (!j)
		return -ENOENT;
	f = spin_lock(&j->lock);
	if (j->st.held)
		j->go_on = true;
	else
		err = -EPERM;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	if (err)
		snprintf(why, why_len, "job %u is not held", (unsigned)id);
	job_put(j);
	return err;
}

static bool is_in_doubt(struct mig_job *j, void *arg)
{
	return j->st.phase == MIG_IN_DOUBT && !strcmp(j->st.vm, arg);
}

/* A switch of disks that may have been done: it is the datastore's to say, unless that is lost. */
static int disks_resolve(struct mig_job *j, bool here, char *why, size_t len)
{
	unsigned long f;

	if (!here || !j->may_stay) {
		snprintf(why, len, "job %u: it goes on as soon as %s says where its disks are%s",
			 (unsigned)j->st.id, j->st.disk.waits_for,
			 j->may_stay ? ": 'here' if that is lost" : "");
		return -EPERM;
	}
	f = spin_lock(&j->lock);
	j->stays = true;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	return 0;
}

/* Neither host of the move is this one, or it has forgotten: a description may still say it. */
static int without_job(const char *name, bool here, char *why, size_t len)
{
	if (here)
		return home_resolve(name, why, len);
	snprintf(why, len, "no migration of '%s' is in doubt here", name);
	return -ENOENT;
}

int mig_resolve(const char *vm, bool here, char *why, size_t why_len)
{
	char name[VM_NAME_MAX];
	struct mig_job *j;
	int err;

	strncpy(name, vm, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	j = job_search(is_in_doubt, name);
	if (!j)
		return without_job(name, here, why, why_len);
	if (j->self && j->vm) { /* both sides are here, and answer */
		snprintf(why, why_len, "job %u settles by itself: both hosts are this one",
			 (unsigned)j->st.id);
		job_put(j);
		return -EPERM;
	}
	if (j->req.storage) {
		err = disks_resolve(j, here, why, why_len);
		job_put(j);
		return err;
	}
	log_warn("mig", "job %u: the operator says that %s is %s", (unsigned)j->st.id, name,
		 here ? "here" : "there");
	err = j->st.incoming ? dest_resolve(j, here) : source_resolve(j, here);
	if (err == -EBUSY)
		snprintf(why, why_len,
			 "the leases of its files say where it is, as soon as they can be read: "
			 "'datastore ls' shows them");
	else if (err == -EPERM)
		snprintf(why, why_len, "it has just been settled: see 'vm list'");
	else if (err)
		snprintf(why, why_len, "its record cannot be written: %s; it stays in doubt",
			 ds_error_text(err));
	job_put(j);
	return err;
}
