/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves with copied disks that a crash of this host ended (journal.h, docs/ownership.md): after a
 * boot, once the datastores are mounted, each record that this host has left tells what it
 * may do with the disks that it names.
 *
 *   source, nothing decided   the VM is here; the other side is told, until it answers, that its
 *                             copy is not wanted
 *   source, GO                the disks are held, so that nobody starts the VM, until the other
 *                             side or the operator has said whose it is
 *   destination, nothing      the copy has never run: its disks are removed; if it was complete its
 *                             source may ask, and hears so: that is noted before they go
 *   destination, gone         as that, found again
 *   destination, owns         the VM is here, as any whose host has crashed; its source hears so
 *   storage, nothing          the VM has its old disks: the new ones are removed
 *   any, settled              it is removed
 *
 * Files on a datastore that is not mounted wait for it, and with them the record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/home.h>
#include <tern/log.h>
#include <tern/store.h>

#include "history.h"
#include "job.h"
#include "journal.h"

/* The disks of a VM that may be another host's. */
struct leftover {
	unsigned disks;
	char disk[JOURNAL_FILES_MAX][VM_DISK_PATH_MAX];
	uint64_t id[JOURNAL_FILES_MAX]; /* of the files */
	bool keep;
	struct ds_file *file[JOURNAL_FILES_MAX]; /* NULL: not there, or a whole disk of the host */
};

/* Another file may have its path by now. */
static void remove_file(const char *path, uint64_t file)
{
	int err = file ? ds_remove_file(path, file) : -ENOENT;

	if (err && err != -ENOENT)
		log_warn("mig", "%s is left behind: %s", path, ds_error_text(err));
}

static void list(struct leftover *l, const struct journal_record *r)
{
	l->disks = r->disks;
	memcpy(l->disk, r->disk, sizeof(l->disk));
	memcpy(l->id, r->file, sizeof(l->id));
}

/* NULL: it is not there, or another file has its path by now, or another host has it. */
static struct ds_file *open_file(const char *path, uint64_t id)
{
	struct datastore *ds;
	struct ds_lease l;
	struct ds_file *f;
	const char *name;

	if (ds_path(path, &ds, &name) || ds_open(ds, name, DS_OPEN_WRITE, &f))
		return NULL;
	ds_file_lease(f, &l);
	if (l.file == id)
		return f;
	ds_close(f);
	return NULL;
}

static void hold(struct leftover *l)
{
	for (unsigned i = 0; i < l->disks; i++)
		l->file[i] = open_file(l->disk[i], l->id[i]);
}

/* Of a file of a datastore. */
static bool is_mounted(const char *path, uint64_t id)
{
	struct datastore *ds;
	const char *name;

	return !id || ds_path(path, &ds, &name) != -ENOENT;
}

/* A description goes with its lease; a disk's lease starts nothing. */
static void end_one(struct leftover *l, unsigned i, bool remove)
{
	struct ds_file *f = l->file[i];

	if (f && remove && home_remove_open(l->disk[i], f, l->id[i]))
		return;
	if (f)
		ds_close(f);
	if (remove)
		remove_file(l->disk[i], l->id[i]);
}

/* The last one is a description, if any is. What fails is tried again before the record goes. */
static void end_last(const struct mig_job *j, const struct leftover *l, bool gone)
{
	const char *path = l->disk[l->disks - 1];
	struct home_mark m;

	if (gone)
		home_gone(j->st.vm, path, l->id[l->disks - 1]);
	job_mark_of(&j->req.to, j->id, &m);
	(void)!home_settled(path, &m, gone ? HOME_NOBODYS : HOME_HERE);
}

void recover_end(struct mig_job *j, bool gone)
{
	struct leftover *l = j->left;
	bool remove = l && gone && !l->keep;

	j->left = NULL;
	for (unsigned i = 0; l && i < l->disks; i++) {
		end_one(l, i, remove);
		j->behind |= remove && !is_mounted(l->disk[i], l->id[i]);
	}
	if (l && l->disks)
		end_last(j, l, gone);
	free(l);
	log_info("mig", "job %u: %s is %s", (unsigned)j->st.id, j->st.vm,
		 gone ? "the other host's" : "this host's: it can be started");
}

void recover_keep(struct mig_job *j)
{
	if (j->left)
		j->left->keep = true;
}

/* ---- the source's ---- */

static struct mig_job *job_of(const struct journal_record *r)
{
	struct mig_request q = { .to = r->peer };

	memcpy(q.vm, r->vm, sizeof(q.vm));
	return job_new(&q, false, r->id);
}

/* This host need not have crashed: a record also stays whose description could not be written. A
 * VM that arrives is not on before it has come. */
static bool is_on(const struct journal_record *r)
{
	struct vm *vm = vm_find(r->vm);
	bool on = false;

	if (!vm)
		return false;
	mutex_lock(&vm->lock);
	on = !memcmp(vm->uuid, r->uuid, sizeof(r->uuid)) && !vm_state_is_off(vm->state) &&
	     vm->state != VM_INCOMING && vm->state != VM_IN_DOUBT;
	mutex_unlock(&vm->lock);
	vm_put(vm);
	return on;
}

static void source_left(const struct journal_record *r, struct journal *k)
{
	bool on = is_on(r);
	struct mig_job *j;
	struct leftover *l;

	if (on && r->step == JOURNAL_GO) { /* the other host is not told GO of what is on here */
		log_warn("mig", "%s is on here: the record of a move of it that had said GO stays",
			 r->vm);
		journal_keep(k);
		return;
	}
	j = job_of(r);
	l = j ? calloc(1, sizeof(*l)) : NULL;
	if (!l) {
		log_error("mig", "no memory to settle the move of %s that a crash has ended",
			  r->vm);
		if (j) {
			job_over(j, MIG_FAILED);
			job_put(j);
		}
		journal_keep(k);
		return;
	}
	j->journal = k;
	j->left = l;
	list(l, r);
	job_step(j, r->step == JOURNAL_GO ? STEP_FOUND_GO : STEP_FOUND_NOTHING);
	if (r->step == JOURNAL_GO) {
		hold(l);
		j->src = SRC_GO_SENT;
		j->noted_go = true;
		job_error(j, "crashed", "this host crashed after it had said GO");
		job_phase(j, MIG_IN_DOUBT);
	} else {
		job_error(j, "crashed", "%s before it had said GO: %s is here",
			  on ? "a move ended" : "this host crashed", r->vm);
	}
	settle_add(j);
	if (r->step != JOURNAL_GO) {
		recover_end(j, false);
		job_over(j, MIG_FAILED);
	}
	job_put(j);
}

/* ---- the destination's ---- */

/* Is that file there? One whose datastore is not mounted, or does not say, may be. */
static bool may_be_there(const char *path, uint64_t file)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;
	int err;

	if (!file)
		return false;
	if (ds_path(path, &ds, &name))
		return true;
	err = ds_stat(ds, name, &e);
	return err ? err != -ENOENT : e.id == file;
}

/* Some of its files are whole: what was not went at the mount. So READY may have been said. */
static bool was_complete(const struct journal_record *r)
{
	bool any = false;

	for (uint32_t i = 0; i < r->disks; i++)
		any |= may_be_there(r->disk[i], r->file[i]);
	return any;
}

/* The source may ask until it has settled, after more crashes of this host than one. True: it may.
 */
static bool copy_left(const struct journal_record *r, struct journal *k)
{
	bool asked_for = r->step == JOURNAL_GONE || was_complete(r);
	int err = asked_for && r->step != JOURNAL_GONE ? journal_note(k, JOURNAL_GONE) : 0;

	if (err)
		log_warn("mig", "that the copy of %s is given up is not noted: %s", r->vm,
			 ds_error_text(err));
	for (uint32_t i = 0; i < r->disks; i++)
		remove_file(r->disk[i], r->file[i]);
	log_warn("mig", "the copy of %s that was coming here is given up: this host crashed",
		 r->vm);
	return asked_for;
}

static void destination_left(const struct journal_record *r, struct journal *k)
{
	struct wire_verdict v = { .verdict = VERDICT_RUNNING };
	bool owns = r->step == JOURNAL_OWNS, asked_for = owns;
	struct home_mark m;

	memcpy(v.id, r->id, sizeof(v.id));
	job_mark_of(&r->peer, r->id, &m);
	step_say(r->id, true, owns ? STEP_FOUND_OWNS : STEP_FOUND_NOTHING);
	if (!owns) {
		v.verdict = VERDICT_DISCARDED;
		asked_for = copy_left(r, k);
	}
	if (owns && r->disks)
		(void)!home_settled(r->disk[r->disks - 1], &m, HOME_HERE);
	if (asked_for) /* now, or after another crash */
		journal_keep(k);
	else /* READY was never said, so no GO */
		journal_end(k);
	history_add(&v); /* from now on its source is answered, which may end the record */
}

/* The new files of a Storage vMotion: its record is whole, so nothing names them. */
static void storage_left(const struct journal_record *r, struct journal *k)
{
	bool again = false;
	struct datastore *ds;
	const char *name;

	for (uint32_t i = 0; i < r->disks && r->step == JOURNAL_NOTHING; i++) {
		int err = ds_path(r->disk[i], &ds, &name);
		bool there = !err; /* its datastore is mounted */

		if (there)
			err = ds_remove_file(r->disk[i], r->file[i]);
		again |= err && (!there || err != -ENOENT);
		if (there && err && err != -ENOENT)
			log_warn("mig", "%s is left until the next mount: %s", r->disk[i],
				 ds_error_text(err));
		if (!err)
			log_warn("mig", "%s is removed: this host crashed before %s had it",
				 r->disk[i], r->vm);
	}
	if (again)
		journal_keep(k);
	else
		journal_end(k);
}

static void left(const struct journal_record *r, struct journal *k, void *arg)
{
	(void)arg;
	if (r->step == JOURNAL_SETTLED)
		journal_end(k); /* its disk had failed then */
	else if (r->incoming && !r->peer.family)
		storage_left(r, k);
	else if (r->incoming)
		destination_left(r, k);
	else
		source_left(r, k);
}

static void scan(bool incoming)
{
	struct datastore *ds;

	for (unsigned i = 0; (ds = ds_at(i)); i++) {
		int err = journal_scan(ds, incoming, left, NULL);

		if (err)
			log_warn("mig", "records of moves cannot be read: %s", ds_error_text(err));
	}
}

/* Destinations first: of a move to this host itself the source asks, and here is its answer. */
void mig_recover(void)
{
	scan(true);
	scan(false);
}
