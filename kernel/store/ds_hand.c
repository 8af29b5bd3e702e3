/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lease on its way to another host (docs/ownership.md): given here, then taken back
 * here or accepted there (ds_open.c). The file's block says where it is:
 *
 *   generation g      ours
 *   g + 1, GIVEN      given: the other's to accept, ours to take back
 *   g + 2             accepted, or taken back: owner says which
 *
 * Each step is a transaction, so of accepting and taking back one finds that the other was
 * first. Only a giver sets GIVEN, and whoever else takes a lease raises the generation.
 */
#include <errno.h>
#include <string.h>

#include "kernel/store/ds_int.h"

void ds_file_lease(const struct ds_file *f, struct ds_lease *out)
{
	*out = (struct ds_lease){ .file = f->id, .generation = f->generation };
}

bool ds_file_leased(const struct ds_file *f)
{
	return f->mode == DS_OPEN_WRITE;
}

static uint32_t living_slot(struct datastore *ds, const uint8_t host[16])
{
	for (uint32_t i = 0; i < ds->super.nr_slots; i++) {
		const struct ds_slot *s = ds_slot_in(ds->slots, i);

		if (!memcmp(s->host, host, 16) && ds_slot_alive(ds, i, s->incarnation))
			return i;
	}
	return DS_NONE;
}

static int give(struct ds_file *f, const uint8_t host[16])
{
	struct datastore *ds = f->ds;
	uint32_t slot = living_slot(ds, host);
	struct ds_inode *n;
	int err;

	if (slot == DS_NONE)
		return -ENOENT;
	n = ds_edit_mine(f, &err);
	if (!n)
		return err;
	n->owner_slot = slot;
	n->owner_incarnation = ds_slot_in(ds->slots, slot)->incarnation;
	n->flags |= DS_FILE_GIVEN;
	n->generation++;
	return 0;
}

int ds_lease_give(struct ds_file *f, const uint8_t host[16])
{
	unsigned long flags;
	int err;

	ds_turn_take(&f->turn);
	blk_quiesce(&f->blk); /* what was handed over has ended */
	flags = spin_lock(&f->lock);
	f->given = true;
	spin_unlock(&f->lock, flags);
	blk_resume(&f->blk);
	err = ds_begin(f->ds);
	if (!err) {
		err = give(f, host);
		if (!err)
			err = ds_commit(f->ds);
		else
			ds_abort(f->ds);
	}
	ds_turn_end(&f->turn);
	return err;
}

/* What the block says once it is ours. */
struct ours {
	uint64_t generation, size, epoch;
	struct ds_runs runs;
};

/* In the transaction: ours as it was, or anew. */
static int reclaim(struct ds_file *f, struct ours *o)
{
	struct datastore *ds = f->ds;
	int err;
	const struct ds_inode *is = ds_inode_at(ds, f->index, &err);
	struct ds_inode *n;
	uint64_t steps;

	if (!is || is->id != f->id)
		return err ? err : -ESTALE;
	n = ds_edit(ds, ds_index_block(ds, f->index), DS_MAGIC_FILE, &err);
	if (!n)
		return err;
	steps = n->generation - f->generation;
	if (steps == 1 && n->flags & DS_FILE_GIVEN)
		ds_lease_take(ds, n);
	else if ((steps != 0 && steps != 2) || ds_lease_of(ds, n) != DS_LEASE_MINE)
		return -ESTALE;
	o->generation = n->generation;
	o->size = n->size;
	o->epoch = ds->txn_epoch;
	return ds_runs_load(ds, n, &o->runs);
}

/* Written here again from now on. */
static void own(struct ds_file *f, struct ours *o)
{
	unsigned long flags;

	ds_file_show(f, o->size, &o->runs);
	flags = spin_lock(&f->lock);
	f->generation = o->generation;
	f->epoch = o->epoch;
	f->given = false;
	spin_unlock(&f->lock, flags);
}

int ds_lease_take_back(struct ds_file *f)
{
	struct ours o = { .generation = 0 };
	int err;

	ds_turn_take(&f->turn);
	blk_quiesce(&f->blk);
	err = ds_begin(f->ds);
	if (err)
		goto out;
	err = reclaim(f, &o);
	if (err)
		ds_abort(f->ds);
	else
		err = ds_commit(f->ds);
	if (err)
		ds_runs_fini(&o.runs);
	else
		own(f, &o);
out:
	blk_resume(&f->blk);
	ds_turn_end(&f->turn);
	return err;
}
