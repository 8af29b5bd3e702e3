/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM goes on with its new disks (smove.h): fast suspend and resume. While the VM stands still
 * the rest is copied; a new instance with the new paths is made around the same memory object,
 * so no frame moves; state goes to it as records; the new files are finished; it runs.
 *
 * All that can fail does so before the files are finished, and then the former instance goes on.
 * Until that is on the disk a host that dies comes back to the old files, which are whole; from
 * then on the new ones are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>
#include <tern/page.h>
#include <tern/vdev.h>

#include "journal.h"
#include "phase.h"
#include "smove.h"
#include "stun.h"

#define WHY_MAX 160

/* ---- the disks ---- */

static const char *lease_text(int err)
{
	return err == -ESTALE ? "another host has taken its lease" : ds_error_text(err);
}

/* What another host has taken, having taken this one for dead, is not this VM's to go on with. */
static int still_ours(struct smove_disk *d)
{
	struct ds_file *f = d->share ? vdisk_file(d->share) : d->old;
	int err = d->old_ds ? ds_lease_held(f) : 0;

	if (err)
		job_error(d->s->j, ds_error_code(err), "%s: %s; the VM stays on it", d->old_name,
			  lease_text(err));
	return err;
}

/* Nor is a new one, of which there may be nothing left. */
static int new_is_ours(struct smove_disk *d)
{
	int err = ds_lease_held(d->file);

	if (err)
		job_error(d->s->j, ds_error_code(err), "%s: %s; the VM stays on %s", d->to.path,
			  lease_text(err), d->s->j->vm->cfg.disk[d->index].path);
	return err;
}

int smove_ready(struct smove *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->nr && !err; i++) {
		err = bulk_ends(&s->disk[i].copy.bulk);
		if (err)
			smove_disk_failed(&s->disk[i], err);
		else
			err = new_is_ours(&s->disk[i]);
	}
	return err;
}

static int compare_rest(struct smove *s)
{
	struct mig_disk_figures *f = &s->j->st.disk;
	int err = 0;

	for (unsigned i = 0; i < s->nr && !err; i++) {
		struct smove_disk *d = &s->disk[i];

		if (!disk_copy_left(&d->copy, smove_little(s), &f->uncompared_bytes))
			err = smove_disk_verify(d);
		f->compared_bytes += d->copy.digest.compared_bytes;
	}
	return err;
}

/* Nothing is written any more. */
static int copy_rest(struct smove *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->nr && !err; i++) {
		struct smove_disk *d = &s->disk[i];

		pace_hurry(&d->copy.bulk.pace);
		err = bulk_marked(&d->copy.bulk);
		if (!err)
			err = bulk_flush(&d->copy.bulk);
		if (!err)
			err = mirror_error(d->copy.m);
		if (err)
			smove_disk_failed(d, err);
		else
			err = still_ours(d);
	}
	return err || !s->j->req.disks.verify ? err : compare_rest(s);
}

static int adopt(struct smove *s)
{
	int err = 0;

	for (unsigned i = 0; i < s->nr && !err; i++)
		err = smove_disk_adopt(&s->disk[i]);
	return err;
}

/* Is the disk where the home goes? Then it is whole with it, in one moment. */
static bool with_home(const struct smove *s, const struct smove_disk *d)
{
	return s->home_goes && !strcmp(d->ds_name, s->j->req.disks.all);
}

/* So long, or until the operator says that the VM stays. */
static bool hear_stays(struct mig_job *j)
{
	unsigned long flags = spin_lock(&j->lock);
	bool stays;

	if (!j->stays)
		(void)job_wait_locked(j, &flags, time_ns() + SETTLE_EVERY_NS);
	stays = j->stays;
	j->stays = false;
	spin_unlock(&j->lock, flags);
	return stays;
}

static int look_again(struct smove *s, char *why, size_t len)
{
	int err;

	if (!hear_stays(s->j))
		return home_carry_look(s->home, why, len);
	err = home_carry_stay(s->home, why, len);
	if (err) {
		log_error("mig", "job %u: %s cannot go on here: %s", (unsigned)s->j->st.id,
			  s->j->st.vm, why);
		return -EINPROGRESS;
	}
	job_error(s->j, "resolved",
		  "the operator said that datastore %s is lost; the VM goes on as it was",
		  s->j->req.disks.all);
	return -EIO;
}

/*
 * Nobody can say which description a crash would find: what the VM wrote to its old files could be
 * lost with them, and where the new one counts another host could start it. So it stands still.
 */
static int find_out(struct smove *s, char *why, size_t len)
{
	struct mig_job *j = s->j;
	enum vm_state was = j->vm->state;
	int err;

	log_warn("mig", "job %u: %s: %s stands still until it does", (unsigned)j->st.id, why,
		 j->st.vm);
	if (was == VM_STUNNED)
		vm_set_state(j->vm, VM_IN_DOUBT);
	snprintf(j->st.disk.waits_for, sizeof(j->st.disk.waits_for), "datastore %.31s",
		 s->home_goes ? j->req.disks.all : j->vm->cfg.home);
	j->may_stay = s->home_goes; /* else it is the lost datastore's own description */
	job_phase(j, MIG_IN_DOUBT);
	do {
		err = look_again(s, why, len);
	} while (err == -EINPROGRESS);
	j->st.disk.waits_for[0] = '\0';
	job_phase(j, MIG_SWITCH);
	if (was == VM_STUNNED)
		vm_set_state(j->vm, was);
	return err;
}

/* The description of a VM at home names the new files. */
static int switch_home(struct smove *s)
{
	const char *also[VM_DISKS_MAX];
	char why[WHY_MAX] = "";
	unsigned n = 0;
	int err;

	for (unsigned i = 0; i < s->nr; i++)
		if (with_home(s, &s->disk[i]))
			also[n++] = s->disk[i].name;
	err = home_carry_switch(s->home, also, n, s->record ? journal_name(s->record) : NULL, why,
				sizeof(why));
	if (err == -EINPROGRESS)
		err = find_out(s, why, sizeof(why));
	if (err)
		job_error(s->j, ds_error_code(err), "its description: %s", why);
	return err;
}

/* The new files are whole, and the VM's description names them. */
static int finish(struct smove *s)
{
	struct mig_job *j = s->j;
	unsigned long flags = spin_lock(&j->lock);
	int err = j->cancel ? -ECANCELED : 0;

	j->no_return = !err;
	spin_unlock(&j->lock, flags);
	for (unsigned i = 0; i < s->nr && !err; i++) {
		if (with_home(s, &s->disk[i]))
			continue;
		err = ds_finish(s->disk[i].ds, s->disk[i].name);
		if (err)
			job_error(j, ds_error_code(err), "%s: %s", s->disk[i].to.path,
				  ds_error_text(err));
	}
	if (!err)
		err = s->home ? switch_home(s) : smove_record_done(s);
	return err;
}

/* ---- the instances ---- */

/* One that has not run. */
static void end_heir(struct vm *heir)
{
	char why[WHY_MAX] = "";

	vm_disown(heir);
	if (heir->state == VM_INCOMING)
		vm_set_state(heir, VM_STUNNED);
	if (heir->state == VM_STUNNED && vm_stop(heir, why, sizeof(why)))
		log_error("mig", "%s: an instance that did not run does not end: %s",
			  heir->cfg.name, why);
	vm_put(heir);
}

int smove_promise(struct smove *s)
{
	const struct vm *vm = s->j->vm;
	uint64_t bytes = vm_overhead_bytes(&vm->cfg), spare = page_spare_bytes();

	if (vm->state != VM_RUNNING && vm->state != VM_SUSPENDED)
		return 0;
	if (page_promise(bytes)) {
		job_error(s->j, "no-memory",
			  "the switch takes %u KiB for a second instance of %s, this host has %u "
			  "KiB free: end or move another VM",
			  (unsigned)(bytes >> 10), vm->cfg.name, (unsigned)(spare >> 10));
		return -ENOMEM;
	}
	s->promised = bytes;
	return 0;
}

void smove_unpromise(struct smove *s)
{
	page_unpromise(s->promised);
	s->promised = 0;
}

static int build_heir(struct smove *s, struct vm **heir)
{
	struct mig_job *j = s->j;
	struct vm_config cfg;
	char why[WHY_MAX] = "";
	int err = smove_new_config(s, &cfg);

	if (err) {
		job_error(j, "invalid", "the new path of a file of its home is too long");
		return err;
	}
	err = vm_create_heir(j->vm, &cfg, heir, why, sizeof(why));
	if (err)
		job_error(j, "no-memory", "%s", why);
	return err;
}

static int fill_heir(struct smove *s, struct vm *heir, bool runs)
{
	struct mig_job *j = s->j;
	char why[WHY_MAX] = "its state could not be saved";
	int err;

	heir->mig = j;
	heir->doing = j->vm->doing;
	err = stun_hand_over(j->vm, heir, why, sizeof(why));
	if (!err && runs) {
		err = vm_prepare_incoming(heir);
		snprintf(why, sizeof(why), "its second instance cannot run: %s",
			 err == -ENOMEM ? "no memory for its processors"
					: "its state is incomplete");
	}
	if (err)
		job_error(j, err == -ENOMEM ? "no-memory" : "failed", "%s", why);
	return err;
}

/* What was promised for it is its own as soon as it is all there, not before. */
static int make_heir(struct smove *s, struct vm **heir, bool runs)
{
	int err = build_heir(s, heir);

	if (err)
		return err;
	err = fill_heir(s, *heir, runs);
	smove_unpromise(s);
	if (!err)
		err = finish(s);
	if (err)
		end_heir(*heir);
	return err;
}

static void take_over(struct smove *s, struct vm *heir, bool runs)
{
	struct mig_job *j = s->j;

	if (vm_inherit(j->vm, heir)) /* it is this job's: nobody else takes its name */
		log_error("mig", "job %u: %s is not registered", (unsigned)j->st.id, j->st.vm);
	if (runs) {
		vdevs_resume(heir);
		vm_run_incoming(heir);
	}
	s->old = j->vm;
	j->vm = heir;
}

/* ---- a VM that is off ---- */

static int switch_off(struct smove *s)
{
	struct vm_config cfg;
	int err = copy_rest(s);

	if (!err)
		err = smove_new_config(s, &cfg);
	if (!err)
		err = finish(s);
	return err ? err : vm_set_files(s->j->vm, &cfg);
}

/* ---- one that has contents ---- */

static int switch_quiet(struct smove *s, bool runs)
{
	struct vm *heir;
	int err = copy_rest(s);

	if (!err)
		err = adopt(s);
	if (!err)
		err = make_heir(s, &heir, runs);
	if (!err)
		take_over(s, heir, runs);
	return err;
}

int smove_switch(struct smove *s)
{
	struct mig_job *j = s->j;
	uint64_t parked_ns = time_ns();
	char why[WHY_MAX] = "";
	int err;

	if (j->vm->state == VM_SUSPENDED)
		return switch_quiet(s, false);
	if (j->vm->state != VM_RUNNING)
		return switch_off(s);
	err = stun(j->vm, why, sizeof(why));
	if (err == -ESRCH || err == -EBUSY || err == -ETIMEDOUT)
		return -EAGAIN; /* it is off now, or is reset, or its disk is slow */
	if (err)
		return err; /* and it goes on */
	j->st.park_ns = time_ns() - parked_ns;
	err = switch_quiet(s, true);
	if (!err)
		j->st.blackout_ns = time_ns() - parked_ns;
	else
		stun_end(j->vm);
	return err;
}
