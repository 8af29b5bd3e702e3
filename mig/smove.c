/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world of a Storage vMotion (smove.h), from the queue to the end. The guest's disk requests
 * go through the mirrors from PREFLIGHT to SWITCH; a VM that ends meanwhile moves on as one that is
 * off, for all that it wrote is known.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/random.h>
#include <tern/vdev.h>

#include "phase.h"
#include "smove.h"

#define STACK_BYTES (64u << 10)
#define LOOK_NS (200 * NSEC_PER_MSEC)
#define ROUNDS_MAX 20u
#define STUCK_MAX 3u /* rounds that leave almost as much as there was */
#define LITTLE_BYTES (1u << 20)
#define SWITCH_TRIES 40u
#define VERIFY_PASSES 3u
#define WHY_MAX 192

/* ---- steps ---- */

/* The user may have asked to stop here. */
static int enter(struct smove *s, enum mig_phase p)
{
	struct mig_job *j = s->j;
	unsigned long flags;
	int err;

	job_phase(j, p);
	flags = spin_lock(&j->lock);
	j->st.held = j->req.hold == p && p != MIG_QUEUED;
	while (j->st.held && !j->go_on && !j->cancel)
		(void)job_wait_locked(j, &flags, NEVER_NS);
	j->st.held = j->go_on = false;
	err = j->cancel ? -ECANCELED : 0;
	spin_unlock(&j->lock, flags);
	return err;
}

/* What the home says of an error is the job's. */
static int said(struct smove *s, int err, const char *why)
{
	if (err && err != -ECANCELED)
		job_error(s->j, err == -EBUSY ? "busy" : ds_error_code(err), "%s", why);
	return err;
}

static int begin_home(struct smove *s)
{
	const char *to = s->home_goes ? s->j->req.disks.all : "";
	char why[WHY_MAX] = "";

	return said(s, home_carry_begin(s->j->vm, to, &s->home, why, sizeof(why)), why);
}

/* Little, and written by nobody: before the disks. */
static int copy_home(struct smove *s)
{
	char why[WHY_MAX] = "";

	return s->home ? said(s, home_carry_files(s->home, smove_asked_all, s, why, sizeof(why)),
			      why)
		       : 0;
}

static int prepare_home(struct smove *s)
{
	struct vm_disk disk[VM_DISKS_MAX];
	char why[WHY_MAX] = "";

	if (!s->home)
		return 0;
	smove_new_disks(s, disk);
	return said(s, home_carry_prepare(s->home, s->j->vm, disk, why, sizeof(why)), why);
}

/* For all that goes, before any of it is made. */
static int check_room(struct smove *s)
{
	struct ds_room room = { 0 };
	char why[WHY_MAX] = "";

	for (unsigned i = 0; i < s->nr; i++)
		ds_room_add(&room, s->disk[i].ds, s->disk[i].space);
	if (s->home)
		home_carry_room(s->home, &room);
	return said(s, ds_room_check(&room, "", why, sizeof(why)), why);
}

static int copy_cold(struct disk_copy *c)
{
	return smove_chain_copy(container_of(c, struct smove_disk, copy));
}

static int failed(struct disk_copy *c, int err)
{
	smove_disk_failed(container_of(c, struct smove_disk, copy), err);
	return err;
}

static int preflight(struct smove *s)
{
	struct mig_disk_figures *f = &s->j->st.disk;
	int err = enter(s, MIG_PREFLIGHT);

	if (!err)
		err = smove_promise(s);
	if (!err)
		err = begin_home(s);
	for (unsigned i = 0; i < s->nr && !err; i++) {
		err = smove_disk_open(&s->disk[i]);
		if (!err)
			f->total_bytes += smove_disk_bytes(&s->disk[i]);
	}
	if (!err)
		err = check_room(s);
	s->copies = (struct disk_copies){ .cold = copy_cold, .failed = failed };
	for (unsigned i = 0; i < s->nr && !err; i++) {
		err = smove_disk_make(&s->disk[i]);
		disk_copies_add(&s->copies, &s->disk[i].copy);
	}
	if (!err)
		err = smove_record(s);
	for (unsigned i = 0; i < s->nr && !err; i++)
		err = smove_disk_filter(&s->disk[i]);
	if (!err)
		f->before_ns = smove_mean_now(s);
	return err;
}

static int copy(struct smove *s)
{
	uint64_t r0, ns0, r1, ns1;
	int err = enter(s, MIG_COPY);

	if (!err)
		err = copy_home(s);
	s->started_ns = time_ns();
	smove_guest_requests(s, &r0, &ns0);
	if (!err) /* it is this job's, so it does not begin to run */
		err = disk_copies_run(&s->copies, s->j->req.bw_mbit, s->j->vm->state == VM_RUNNING);
	smove_guest_requests(s, &r1, &ns1);
	s->j->st.disk.during_ns = r1 > r0 ? (ns1 - ns0) / (r1 - r0) : 0;
	smove_show(s);
	return err;
}

static uint64_t marked_bytes(struct smove *s)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < s->nr; i++)
		bytes += smove_bytes(&s->disk[i], cbt_marked(&s->disk[i].copy.cbt));
	return bytes;
}

uint64_t smove_little(const struct smove *s)
{
	uint64_t bytes = s->j->st.rate_bytes_s * s->j->req.budget_ms / 4000;

	return MIN(bytes, (uint64_t)LITTLE_BYTES * 64);
}

static int round_once(struct smove *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->nr && !err; i++) {
		struct smove_disk *d = &s->disk[i];

		err = bulk_marked(&d->copy.bulk);
		if (!err)
			err = bulk_flush(&d->copy.bulk); /* little is left for the last one */
		if (err)
			smove_disk_failed(d, err);
	}
	smove_show(s);
	return err;
}

/*
 * Rounds get shorter as long as the guest writes more slowly than the copy; where they do not, what
 * it writes goes to both sides from then on, and what is marked only gets less.
 */
static int rounds(struct smove *s)
{
	uint64_t left = UINT64_MAX, before;
	unsigned stuck = 0;
	int err = enter(s, MIG_ROUNDS);

	do {
		before = left;
		left = marked_bytes(s);
		stuck += left > before / 10 * 9;
		if (stuck == STUCK_MAX || s->j->st.rounds == ROUNDS_MAX)
			for (unsigned i = 0; i < s->nr; i++)
				mirror_both(s->disk[i].copy.m);
		if (!err)
			err = round_once(s);
		s->j->st.rounds++;
	} while (!err && marked_bytes(s) > smove_little(s));
	return err;
}

/*
 * From here on all is mirrored. What the guest writes after its piece was compared is compared
 * again; what is left after some passes, in the switch, if it is little.
 */
static int verify(struct smove *s)
{
	int err = s->j->req.disks.verify ? enter(s, MIG_VERIFY) : 0;

	if (!s->j->req.disks.verify)
		return 0;
	for (unsigned i = 0; i < s->nr; i++)
		mirror_both(s->disk[i].copy.m);
	while (!err && marked_bytes(s))
		err = round_once(s);
	for (unsigned pass = 0; pass < VERIFY_PASSES && !err; pass++)
		for (unsigned i = 0; i < s->nr && !err; i++)
			err = smove_disk_verify(&s->disk[i]);
	return err;
}

static int switch_over(struct smove *s)
{
	int err = enter(s, MIG_SWITCH);

	if (!err)
		err = smove_ready(s);
	if (!err)
		err = prepare_home(s);
	if (!err)
		err = smove_record_files(s);
	for (unsigned i = 0; i < SWITCH_TRIES && !err; i++) {
		err = smove_switch(s);
		if (err != -EAGAIN)
			return err;
		world_sleep_ns(LOOK_NS / 4);
		err = s->j->cancel ? -ECANCELED : 0;
	}
	if (!err)
		job_error(s->j, "busy",
			  "%s does not stand still: it is being reset, or a device "
			  "does not finish its work",
			  s->j->st.vm);
	return err ? err : -EBUSY;
}

/* ---- the end ---- */

static void end_old(struct smove *s)
{
	char why[160] = "";

	if (!s->old)
		return;
	vm_disown(s->old);
	if (vm_stop(s->old, why, sizeof(why)))
		log_error("mig", "%s: its former instance does not end: %s", s->j->st.vm, why);
	vm_put(s->old);
}

static void clean_up(struct smove *s, bool moved)
{
	if (moved) {
		job_phase(s->j, MIG_CLEANUP);
		smove_show(s);
		end_old(s);
		if (s->disk[0].adopted)
			s->j->st.disk.after_ns = smove_mean_after(s);
	}
	if (!moved) /* a new description goes before what it names, an old one after that */
		home_carry_end(s->home, false);
	for (unsigned i = 0; i < s->nr; i++)
		smove_disk_close(&s->disk[i], moved);
	if (moved)
		home_carry_end(s->home, true);
	smove_record_end(s);
	smove_unpromise(s);
	smove_queue_leave(s);
}

static int steps(struct smove *s)
{
	static int (*const step[])(struct smove *) = {
		smove_queue_enter, preflight, copy, rounds, verify, switch_over
	};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(step) && !err; i++)
		err = step[i](s);
	return err;
}

void smove_world(void *arg)
{
	struct smove *s = arg;
	struct mig_job *j = s->j;
	int err = steps(s);

	if (err == -ECANCELED)
		job_error(j, "canceled", "in phase %s; the VM keeps its disks",
			  mig_phase_name(j->st.phase));
	else if (err)
		job_error(j, ds_error_code(err), "it failed in phase %s: %s",
			  mig_phase_name(j->st.phase), ds_error_text(err));
	clean_up(s, !err);
	job_drop_vm(j);
	job_over(j, !err ? MIG_DONE : err == -ECANCELED ? MIG_CANCELED : MIG_FAILED);
	job_put(j);
	free(s);
}

/* ---- the begin ---- */

static int claim(struct mig_job *j, struct vm *vm, char *why, size_t why_len)
{
	int err = vm_claim(vm, j, "having its disks moved ('tasks' shows it)", why, why_len);

	if (err)
		return err;
	if (vm->state == VM_OFF || vm->state == VM_STOPPED_ERROR || vm->state == VM_RUNNING ||
	    vm->state == VM_SUSPENDED)
		return 0;
	vm_disown(vm);
	snprintf(why, why_len, "%s is %s: its disks move while it runs, is suspended or off",
		 vm->cfg.name, vm_state_name(vm->state));
	return -EINVAL;
}

static int begin(struct mig_job *j, struct vm *vm, char *code, size_t code_len, char *why,
		 size_t why_len)
{
	struct world_opts o = {
		.name = "smove", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = STACK_BYTES
	};
	struct smove *s = calloc(1, sizeof(*s));
	int err;

	snprintf(code, code_len, "no-memory");
	snprintf(why, why_len, "no memory for the move");
	if (!s)
		return -ENOMEM;
	s->j = j;
	err = smove_plan(s, &vm->cfg, code, code_len, why, why_len);
	if (!err) {
		err = claim(j, vm, why, why_len);
		snprintf(code, code_len, "%s", err == -EINVAL ? "not-running" : "busy");
	}
	if (!err) {
		j->vm = vm;
		j->st.disk.disks = s->nr;
		for (unsigned i = 0; i < s->nr; i++)
			disk_copy_note(j, vm->cfg.disk[s->disk[i].index].path);
		snprintf(j->st.disk.to, sizeof(j->st.disk.to), "%s",
			 s->nr ? s->disk[0].ds_name : j->req.disks.all);
		err = world_create(NULL, &o, smove_world, s);
		if (!err)
			return 0; /* the job and s are its world's */
		vm_disown(vm);
		j->vm = NULL;
		snprintf(code, code_len, "no-memory");
		snprintf(why, why_len, "no memory for the move's world");
	}
	free(s);
	return err;
}

/* Also of a move that is refused people see where it was to go. */
static const char *first_target(const struct mig_disks *d)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++)
		if (d->to[i][0])
			return d->to[i];
	return d->all;
}

int mig_storage_start(const struct mig_request *req, uint32_t *id, char *code, size_t code_len,
		      char *why, size_t why_len)
{
	uint8_t wire_id[WIRE_ID_BYTES];
	struct mig_request r = *req;
	struct vm *vm = vm_find(r.vm);
	struct mig_job *j;
	int err;

	if (!vm) {
		snprintf(code, code_len, "not-found");
		snprintf(why, why_len, "no VM '%s' here: 'vm list' shows those that are", r.vm);
		return -ENOENT;
	}
	r.storage = true;
	if (!r.budget_ms)
		r.budget_ms = DEFAULT_BUDGET_MS;
	random_bytes(wire_id, sizeof(wire_id));
	j = job_new(&r, false, wire_id);
	if (!j) {
		vm_put(vm);
		snprintf(code, code_len, "no-memory");
		snprintf(why, why_len,
			 "no memory for another job, or too many are unfinished ('tasks')");
		return -ENOMEM;
	}
	*id = j->st.id;
	memcpy(j->st.disk.to, first_target(&j->req.disks), sizeof(j->st.disk.to));
	err = begin(j, vm, code, code_len, why, why_len);
	if (!err)
		return 0;
	vm_put(vm);
	job_error(j, code, "%s", why);
	job_over(j, MIG_FAILED);
	job_put(j);
	return err;
}
