/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots: each host writes its own and reads all. Our own slot carries the heartbeat
 * and the ticket for the cluster lock, so each write of it is a renewal: it moves
 * the fence to the time at which it was handed over plus the lease.
 *
 * What is seen of the others is noted in ds->seen, and a host whose slot has not
 * moved for long enough is dead (docs/datastore.md "Life and death of a host"). ds->lock guards
 * both.
 */
#include <errno.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

struct ds_slot *ds_slot_in(uint8_t *slots, uint32_t i)
{
	return (struct ds_slot *)(slots + (size_t)i * DS_BLOCK);
}

static uint64_t lease_ns(const struct datastore *ds)
{
	return ds->super.lease_ms * NSEC_PER_MSEC;
}

/* Longer than whoever has stopped beating may have a write under way, by 1/64 for the clocks. */
static uint64_t death_ns(const struct datastore *ds)
{
	uint64_t ns = lease_ns(ds) + ds->super.io_timeout_ms * NSEC_PER_MSEC;

	return ns + ns / 64;
}

static void lose(struct datastore *ds)
{
	if (!ds->lost)
		log_error("store", "%s: another host has this host's slot: nothing more is written",
			  ds->super.name);
	ds->lost = true;
}

/* began_ns, ended_ns: of the read that brought s. A damaged slot is one that does not move. */
static void see(struct datastore *ds, uint32_t i, const struct ds_slot *s, bool sealed,
		uint64_t began_ns, uint64_t ended_ns)
{
	struct ds_seen *seen = &ds->seen[i];
	uint64_t incarnation = sealed ? s->incarnation : 0, beat = sealed ? s->beat : 0;

	if (!seen->since_ns || seen->incarnation != incarnation || seen->beat != beat) {
		seen->incarnation = incarnation;
		seen->beat = beat;
		seen->since_ns = ended_ns;
		seen->dead = false;
	}
	seen->state = sealed ? s->state : DS_SLOT_MOUNTED;
	if (began_ns > seen->since_ns && began_ns - seen->since_ns > death_ns(ds))
		seen->dead = true;
	if (i == ds->slot && sealed && incarnation != ds->mine->incarnation)
		lose(ds);
}

int ds_slots_read(struct datastore *ds, uint8_t *buf)
{
	uint64_t began_ns = time_ns(), ended_ns;
	unsigned long flags;
	int err = ds_read_blocks(ds, ds->super.slot_block, ds->super.nr_slots, buf);

	if (err)
		return err;
	ended_ns = time_ns();
	flags = spin_lock(&ds->lock);
	for (uint32_t i = 0; i < ds->super.nr_slots; i++) {
		struct ds_slot *s = ds_slot_in(buf, i);
		bool sealed = ds_sealed(ds, s, DS_MAGIC_SLOT, ds->super.slot_block + i, DS_SECTOR);

		see(ds, i, s, sealed, began_ns, ended_ns);
		if (!sealed) {
			memset(s, 0, sizeof(*s));
			s->state = DS_SLOT_MOUNTED;
			s->choosing = 1; /* until it is dead: nobody knows what it wants */
		}
	}
	spin_unlock(&ds->lock, flags);
	return 0;
}

/* The turn is held. Handed over whatever the fence says: this write is what opens it. */
static int write_mine(struct datastore *ds)
{
	uint64_t at = ds->super.slot_block + ds->slot, t = time_ns();
	uint64_t per_block = DS_BLOCK / ds->dev->geo.block_bytes;
	uint64_t count = MAX(DS_SECTOR / ds->dev->geo.block_bytes, 1);
	unsigned long flags;
	int err;

	ds->mine->beat++;
	ds_seal(ds, ds->mine, DS_MAGIC_SLOT, at, 0, DS_SECTOR);
	err = blk_transfer(ds->dev, BLK_WRITE, at * per_block, count, ds->mine);
	if (err)
		return err;
	flags = spin_lock(&ds->lock);
	if (t >= ds->fence_ns)
		ds->epoch++; /* it was shut: others may have taken us for dead */
	ds->fence_ns = MAX(ds->fence_ns, t + lease_ns(ds));
	spin_unlock(&ds->lock, flags);
	return 0;
}

/* Who slept past the fence looks before it writes: the slot may be another's by now. */
static int look_first(struct datastore *ds)
{
	uint64_t at = ds->super.slot_block + ds->slot;
	struct ds_slot *s = (struct ds_slot *)ds->slot_buf;
	unsigned long flags;
	int err = ds_read_blocks(ds, at, 1, s);

	if (err)
		return err;
	flags = spin_lock(&ds->lock);
	if (ds_sealed(ds, s, DS_MAGIC_SLOT, at, DS_SECTOR) &&
	    s->incarnation != ds->mine->incarnation)
		lose(ds);
	err = ds->lost ? -ESTALE : 0;
	spin_unlock(&ds->lock, flags);
	return err;
}

int ds_slot_write(struct datastore *ds, void (*change)(struct ds_slot *s, void *arg), void *arg)
{
	unsigned long flags;
	bool lost, late;
	int err;

	ds_turn_take(&ds->slot_turn);
	flags = spin_lock(&ds->lock);
	lost = ds->lost;
	late = ds->fence_ns && time_ns() >= ds->fence_ns;
	spin_unlock(&ds->lock, flags);
	err = lost ? -ESTALE : late ? look_first(ds) : 0;
	if (!err && change)
		change(ds->mine, arg);
	if (!err)
		err = write_mine(ds);
	ds_turn_end(&ds->slot_turn);
	return err;
}

bool ds_slot_alive(struct datastore *ds, uint32_t slot, uint64_t incarnation)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_seen *seen;
	bool alive;

	if (slot >= ds->super.nr_slots) {
		spin_unlock(&ds->lock, flags);
		return false;
	}
	seen = &ds->seen[slot];
	alive = seen->state == DS_SLOT_MOUNTED && !seen->dead &&
		(!seen->incarnation || seen->incarnation == incarnation);
	spin_unlock(&ds->lock, flags);
	return alive;
}
