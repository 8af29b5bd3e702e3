/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination's VM (dest_int.h): skeleton, pages, the description of what remains,
 * records, READY, GO. Everything is checked before anything is loaded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/home.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "checkpoint.h"
#include "delta.h"
#include "dest_int.h"
#include "journal.h"
#include "phase.h"
#include "ram_recv.h"

/* Is anything of it made here? */
static bool any_made(const struct dest *d)
{
	return d->offer.sent.store[0] || offer_disks_copied(d->offer.disk, d->offer.cfg.disks);
}

/* Beside the description, if that comes, for they settle it: found together, or not at all. Else
 * beside the first of the files that are made here. */
static int open_journal(struct dest *d, char *why, size_t len)
{
	struct journal_record r = { .incoming = true,
				    .step = JOURNAL_NOTHING,
				    .peer = d->j->st.peer };
	const struct vm_config *cfg = &d->offer.cfg;
	struct datastore *ds;
	unsigned files = 0;
	const char *name;
	int err;

	if (!any_made(d))
		return 0;
	memcpy(r.id, d->id, sizeof(r.id));
	memcpy(r.uuid, d->offer.uuid, sizeof(r.uuid));
	memcpy(r.vm, cfg->name, sizeof(r.vm));
	for (unsigned i = 0; i < cfg->disks; i++)
		if (d->offer.disk[i].how == VDISK_COPIED)
			memcpy(r.disk[r.disks++], cfg->disk[i].path, sizeof(r.disk[0]));
	while (home_come_at(d->j->vm, files++, r.disk[r.disks], &r.file[r.disks]))
		r.disks++;
	err = ds_path(r.disk[d->offer.sent.store[0] ? r.disks - 1 : 0], &ds, &name);
	if (!err)
		err = journal_create(ds, &r, &d->j->journal);
	if (err)
		snprintf(why, len, "no record of the move can be kept there: %s",
			 ds_error_text(err));
	return err;
}

/* A VM of its name that is at the same home is the same VM: registered here, and off. */
static int step_aside(struct dest *d, char *why, size_t len)
{
	struct vm *vm = vm_find(d->offer.cfg.name);
	int err;

	if (!vm)
		return 0;
	err = home_gives_way(vm, &d->offer.home)
		      ? vm_claim(vm, d->j, "making place for itself", why, len)
		      : -EEXIST;
	if (!err && vm->state != VM_OFF && vm->state != VM_STOPPED_ERROR) {
		vm_disown(vm); /* started just now */
		err = -EEXIST;
	}
	if (err == -EEXIST)
		snprintf(why, len, "the destination has a VM named '%s' already", vm->cfg.name);
	if (!err)
		d->j->instead = vm;
	else
		vm_put(vm);
	return err;
}

static int make(struct dest *d, struct vm **vm, char *why, size_t len)
{
	struct vm *former;
	int err;

	if (d->j->former)
		return vm_create_twin(&d->offer.cfg, vm, why, len);
	err = step_aside(d, why, len);
	if (err)
		return err;
	former = d->j->instead;
	err = vm_create_incoming(&d->offer.cfg, former, vm, why, len);
	if (former && err)
		vm_disown(former);
	if (former)
		vm_put(former); /* the registry's is the job's now, or its own still */
	if (err)
		d->j->instead = NULL;
	return err;
}

int dest_on_skeleton(struct dest *d, const void *body, size_t len)
{
	char why[WIRE_TEXT] = "";
	struct home_mark from;
	struct vm *vm;
	int err = make(d, &vm, why, sizeof(why));

	(void)body;
	(void)len;
	if (err)
		return dest_refuse(d, err,
				   err == -ENOMEM   ? "no-memory"
				   : err == -EEXIST ? "exists"
						    : "failed",
				   "%s", why);
	memcpy(vm->uuid, d->offer.uuid, sizeof(vm->uuid));
	memcpy(d->j->uuid, d->offer.uuid, sizeof(d->j->uuid));
	vm->tsc_khz = d->offer.tsc_khz;
	memcpy(vm->troubles, d->offer.troubles, sizeof(vm->troubles));
	vm->mig = d->j;
	d->j->vm = vm;
	job_mark(d->j, &from);
	err = vdisks_await(vm, d->offer.disk, why, sizeof(why));
	if (!err)
		err = home_come(vm, &d->offer.sent, &from, why, sizeof(why));
	if (!err)
		err = open_journal(d, why, sizeof(why));
	if (err)
		return dest_refuse(d, err, "disk", "%s", why);
	err = home_await(vm, &d->offer.home, why, sizeof(why));
	if (err)
		return dest_refuse(d, err, "disk", "%s", why);
	err = pageset_init(&d->owed, gmem_max_gfn(vm->mem));
	if (err)
		return dest_refuse(d, err, "no-memory", "no memory for page sets");
	job_phase(d->j, MIG_PRECOPY);
	d->talk = T_MEMORY;
	return peer_send(&d->peer, WIRE_SKELETON_DONE, NULL, 0);
}

int dest_on_pages(struct dest *d, const void *body, size_t len)
{
	const struct wire_pages *b = body;
	struct gmem *g = d->j->vm->mem;
	struct wire_ack ack = { .seq = b->seq };
	int err;

	if (wire_pages_check(body, len, d->peer.payload, gmem_max_gfn(g)))
		return dest_refuse(d, -EBADMSG, "bad-stream", "a page batch is malformed");
	err = ram_recv_batch(&d->peer, g, b, d->talk == T_REMAIN ? &d->owed : NULL);
	if (err)
		return dest_refuse(d, err,
				   err == -ENOMEM   ? "no-memory"
				   : err == -EFAULT ? "bad-stream"
						    : "link",
				   "a page batch could not be stored (%d)", err);
	d->j->st.pages_sent += b->raw_pages;
	d->j->st.bytes_sent += len + d->peer.payload + sizeof(struct wire_head);
	if (world_should_yield())
		world_yield();
	return peer_send(&d->peer, WIRE_ACK, &ack, sizeof(ack));
}

int dest_on_delta(struct dest *d, const void *body, size_t len)
{
	const struct wire_delta *b = body;
	struct gmem *g = d->j->vm->mem;
	struct wire_ack ack = { .seq = b->seq };

	if (d->version < WIRE_VERSION_DELTA || delta_check(body, len, gmem_max_gfn(g)))
		return dest_refuse(d, -EBADMSG, "bad-stream", "a batch of changes is malformed");
	if (ram_recv_delta(g, b, len, d->talk == T_REMAIN ? &d->owed : NULL))
		return dest_refuse(d, -EBADMSG, "bad-stream",
				   "a change is of a page that did not come");
	d->j->st.delta_pages += b->pages;
	d->j->st.delta_bytes += len;
	d->j->st.bytes_sent += len + sizeof(struct wire_head);
	if (world_should_yield())
		world_yield();
	return peer_send(&d->peer, WIRE_ACK, &ack, sizeof(ack));
}

int dest_on_remain(struct dest *d, const void *body, size_t len)
{
	const struct wire_remain *r = body;
	const wire_run *run = (const wire_run *)(r + 1);
	int err = 0;

	if (wire_remain_check(body, len, gmem_max_gfn(d->j->vm->mem)))
		return dest_refuse(d, -EBADMSG, "bad-stream",
				   "the description of the remaining pages is malformed");
	for (uint32_t i = 0; !err && i < r->runs; i++)
		err = pageset_set_range(&d->owed, wire_run_first(run[i]), wire_run_count(run[i]));
	if (err)
		return dest_refuse(d, err, "no-memory", "no memory for page sets");
	job_phase(d->j, MIG_TRANSFER);
	d->talk = T_REMAIN;
	return 0;
}

int dest_on_state(struct dest *d, const void *body, size_t len)
{
	d->state = malloc(len);
	if (!d->state)
		return dest_refuse(d, -ENOMEM, "no-memory", "no memory for the VM's state");
	memcpy(d->state, body, len);
	d->state_len = len;
	d->talk = T_STATE;
	return 0;
}

/* From here on a crash finds them by the record: they are debris no more. It names copied disks
 * first. */
static int note_files(struct dest *d, char *why, size_t len)
{
	uint32_t nr = 0;
	int err;

	for (unsigned i = 0; i < d->offer.cfg.disks; i++)
		nr += d->offer.disk[i].how == VDISK_COPIED;
	err = journal_note_files(d->j->journal, nr);
	if (err)
		snprintf(why, len, "the record of the move cannot be written there: %s",
			 ds_error_text(err));
	return err;
}

/* Those whose contents came on a stream of their own. */
static int complete_disks(struct dest *d)
{
	char why[WIRE_TEXT] = "";
	int err;

	if (!any_made(d))
		return 0;
	if ((d->offer.sent.files || offer_disks_copied(d->offer.disk, d->offer.cfg.disks)) &&
	    !dest_disks_close(d->j))
		return dest_refuse(d, -EBADMSG, "bad-stream", "its disks are not complete here");
	err = note_files(d, why, sizeof(why));
	if (!err)
		err = vdisks_finish(d->j->vm, why, sizeof(why));
	if (!err)
		err = home_come_finish(d->j->vm, why, sizeof(why));
	/* As where they fail before: whether that is seen now depends on what the guest writes */
	return err ? dest_refuse(d, err, "disk-error", "%s", why) : 0;
}

/* Everything is here: check all, load all, make the processors, then say READY. */
int dest_on_end(struct dest *d, const void *body, size_t len)
{
	struct mig_job *j = d->j;
	uint64_t t0 = time_ns();
	char why[WIRE_TEXT] = "";
	struct wire_end end;
	unsigned long f;
	bool wanted;
	int err;

	memcpy(&end, body, len);
	j->st.rtt_ns = end.rtt_ns;
	if (!pageset_empty(&d->owed))
		return dest_refuse(d, -EBADMSG, "bad-stream",
				   "%u of the remaining pages did not come",
				   (unsigned)pageset_count(&d->owed));
	err = complete_disks(d);
	if (err)
		return err;
	err = checkpoint_check(j->vm, d->state, d->state_len, why, sizeof(why));
	if (err)
		return dest_refuse(d, err, "bad-state", "%s",
				   why[0] ? why : "the VM's state does not fit this host");
	err = checkpoint_load(j->vm, d->state, d->state_len, end.clock_delta_ns);
	if (err)
		return dest_refuse(d, err, "bad-state",
				   "the VM's state passed its check but did not load (%d)", err);
	err = job_moves_running(j) ? vm_prepare_incoming(j->vm) : 0;
	if (err)
		return dest_refuse(d, err, err == -ENOMEM ? "no-memory" : "bad-state",
				   err == -ENOMEM
					   ? "the destination has no memory for the processors"
					   : "the state lacks a processor's or the time's record");
	j->st.state_ns = time_ns() - t0;
	f = spin_lock(&j->lock);
	wanted = dst_loaded(&j->dst) != COMMIT_REFUSE;
	if (wanted) {
		j->st.phase = MIG_READY;
		j->complete = true;
		job_step_locked(j, STEP_HELD);
	}
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
	if (!wanted)
		return dest_refuse(d, -ECANCELED, "canceled",
				   "the source has settled meanwhile that the VM stays there");
	d->talk = T_READY;
	return peer_send(&d->peer, WIRE_READY, NULL, 0);
}

/* A trouble of the moment, as want of memory, may pass while the source still waits for RUNNING. */
static int take_patiently(struct mig_job *j)
{
	uint64_t deadline_ns = time_ns() + TAKE_TRY_NS;
	int err = dest_take(j);

	while (err && err != -EPERM && err != -ESTALE && err != -EAGAIN &&
	       time_ns() < deadline_ns) {
		world_sleep_ns(TAKE_AGAIN_NS);
		err = dest_take(j);
	}
	return err;
}

int dest_on_go(struct dest *d, const void *body, size_t len)
{
	struct wire_running r;
	int err = take_patiently(d->j);

	(void)body;
	(void)len;
	if (err == -ESTALE) /* the source has taken them back, and knows */
		dest_discard(d->j);
	if (err == -EPERM)
		return dest_refuse(d, err, "refused", "this copy may not run any more");
	if (err)
		return dest_refuse(d, err, "lease",
				   "the leases of its disks cannot be accepted there: %s",
				   err == -ESTALE ? "another host has them" : ds_error_text(err));
	r.started_ns = d->j->running.started_ns;
	r.load_ns = d->j->st.state_ns;
	d->talk = d->j->journal ? T_RUNS : T_OVER;
	return peer_send(&d->peer, WIRE_RUNNING, &r, sizeof(r));
}

static void mark_dry_run(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);

	j->st.dry_run = true;
	spin_unlock(&j->lock, f);
}

int dest_on_closed(struct dest *d, const void *body, size_t len)
{
	(void)body;
	(void)len;
	job_step(d->j, STEP_CLOSED);
	job_journal_end(d->j);
	d->talk = T_OVER;
	return 0;
}

int dest_on_abort(struct dest *d, const void *body, size_t len)
{
	struct wire_text t;

	memcpy(&t, body, len);
	if (wire_text_check(&t))
		return dest_refuse(d, -EBADMSG, "bad-stream", "an abort without words");
	if (d->talk == T_ACCEPTED && !strcmp(t.code, "dry-run"))
		mark_dry_run(d->j);
	else
		job_error(d->j, t.code, "the source gave up: %s", t.text);
	dest_discard(d->j);
	d->talk = T_OVER;
	return 0;
}
