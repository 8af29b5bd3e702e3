/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fence that was shut and opens again. Meanwhile others may have taken this host for
 * dead, passed its ticket and taken its leases. So what it was entitled to before holds no
 * more: ds->epoch has grown, a transaction that is open fails, and each open file is looked up
 * before it is written again. A write waits for that;
 * it fails when the lease is gone, and when a heartbeat has failed while the fence is
 * shut: then nobody knows whether it opens again.
 */
#include <errno.h>

#include <tern/log.h>

#include "kernel/store/ds_int.h"

/* ---- writes that wait ---- */

void ds_hold(struct ds_op *op)
{
	struct datastore *ds = op->file->ds;
	unsigned long flags = spin_lock(&ds->lock);

	op->next = ds->held;
	ds->held = op;
	spin_unlock(&ds->lock, flags);
}

/* All that were held, in a list; none is held any more. */
static struct ds_op *take_held(struct datastore *ds)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_op *list = ds->held;

	ds->held = NULL;
	spin_unlock(&ds->lock, flags);
	return list;
}

void ds_held_go(struct datastore *ds)
{
	for (struct ds_op *op = take_held(ds), *next; op; op = next) {
		next = op->next;
		ds_io_go_on(op);
	}
}

/* The fence will not open: the disk does not take the heartbeat, or the slot is another's. */
void ds_held_fail(struct datastore *ds, int err)
{
	for (struct ds_op *op = take_held(ds), *next; op; op = next) {
		next = op->next;
		ds_io_end(op, err);
	}
}

/* ---- leases ---- */

/* An open file that was last known to be ours in another epoch. */
static struct ds_file *next_stale(struct datastore *ds, uint64_t epoch)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_file *f = ds->files;

	while (f && (f->mode != DS_OPEN_WRITE || f->given || f->epoch == epoch))
		f = f->next;
	spin_unlock(&ds->lock, flags);
	return f;
}

static bool still_ours(struct datastore *ds, const struct ds_file *f)
{
	int err;
	const struct ds_inode *n = ds_inode_at(ds, f->index, &err);

	return n && n->id == f->id && n->generation == f->generation &&
	       ds_lease_of(ds, n) == DS_LEASE_MINE;
}

static void settle(struct datastore *ds, struct ds_file *f)
{
	bool ours = still_ours(ds, f);
	unsigned long flags = spin_lock(&f->lock);

	f->epoch = ds->txn_epoch;
	f->given = !ours;
	spin_unlock(&f->lock, flags);
	if (!ours)
		log_error("store", "%s: another host has taken %s: nothing more is written to it",
			  ds->super.name, f->name);
}

int ds_lease_held(struct ds_file *f)
{
	unsigned long flags = spin_lock(&f->lock);
	bool given = f->given;
	uint64_t epoch = f->epoch;
	int err;

	spin_unlock(&f->lock, flags);
	if (f->mode != DS_OPEN_WRITE)
		return 0;
	if (given)
		return -ESTALE;
	if (ds_may_write(f->ds, epoch))
		return 0;
	err = ds_begin(f->ds);
	if (err)
		return err;
	settle(f->ds, f);
	given = f->given;
	ds_abort(f->ds);
	return given ? -ESTALE : 0;
}

void ds_revalidate(struct datastore *ds)
{
	struct ds_file *f;

	if (!next_stale(ds, ds_epoch(ds)) || ds_begin(ds))
		return; /* the next heartbeat tries again */
	while ((f = next_stale(ds, ds->txn_epoch)))
		settle(ds, f);
	ds_abort(ds);
}
