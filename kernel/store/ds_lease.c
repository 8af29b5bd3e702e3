/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases: which host may write a file. A lease is the holder's slot and
 * incarnation in the file's block, and lives as long as its host does; so it is judged
 * by what was seen of the slots, and changed in a transaction, with a new generation.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/store/ds_int.h"

enum ds_lease_state ds_lease_of(struct datastore *ds, const struct ds_inode *n)
{
	if (n->owner_slot == DS_NONE)
		return DS_LEASE_NONE;
	if (ds->mode == DS_MOUNT_WRITE && n->owner_slot == ds->slot)
		return n->owner_incarnation == ds->mine->incarnation ? DS_LEASE_MINE
								     : DS_LEASE_DEAD;
	return ds_slot_alive(ds, n->owner_slot, n->owner_incarnation) ? DS_LEASE_OTHER
								      : DS_LEASE_DEAD;
}

int ds_lease_free(struct datastore *ds, const struct ds_inode *n)
{
	return ds_lease_of(ds, n) == DS_LEASE_OTHER ? -EBUSY : 0;
}

void ds_lease_take(struct datastore *ds, struct ds_inode *n)
{
	n->owner_slot = ds->slot;
	n->owner_incarnation = ds->mine->incarnation;
	n->flags &= ~DS_FILE_GIVEN;
	n->generation++;
}

void ds_lease_drop(struct ds_inode *n)
{
	n->owner_slot = DS_NONE;
	n->owner_incarnation = 0;
	n->flags &= ~DS_FILE_GIVEN;
	n->generation++;
}

static void name_holder(struct datastore *ds, const struct ds_inode *n, struct ds_entry *out)
{
	const struct ds_slot *s;

	if (n->owner_slot >= ds->super.nr_slots)
		return;
	s = ds_slot_in(ds->slots, n->owner_slot);
	snprintf(out->holder, sizeof(out->holder), "%.*s", (int)sizeof(s->name) - 1, s->name);
}

void ds_describe(struct datastore *ds, const struct ds_inode *n, const struct ds_runs *r,
		 struct ds_entry *out)
{
	*out = (struct ds_entry){ .kind = (enum ds_kind)n->kind,
				  .flags = n->flags,
				  .size = n->size,
				  .backed_bytes = ds_runs_extents(r) * DS_EXTENT,
				  .id = n->id,
				  .parent = n->parent,
				  .generation = n->generation,
				  .created = n->created,
				  .modified = n->modified,
				  .lease = ds_lease_of(ds, n) };
	snprintf(out->name, sizeof(out->name), "%s", n->name);
	name_holder(ds, n, out);
}
