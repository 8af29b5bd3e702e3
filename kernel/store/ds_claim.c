/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Taking a slot at mount, by the rules of docs/datastore.md "Life and death of a
 * host", and giving it back. A slot that carries a host's identity is that host's for ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/random.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

#define TWIN_BEATS 3u

static const uint8_t nobody[16];

static void ready(struct datastore *ds, uint32_t slot, const struct ds_slot *old)
{
	unsigned long flags = spin_lock(&ds->lock);

	ds->slot = slot;
	*ds->mine = *old;
	memcpy(ds->mine->host, ds->host.id, sizeof(ds->mine->host));
	memcpy(ds->mine->name, ds->host.name, sizeof(ds->mine->name));
	do
		random_bytes(&ds->mine->incarnation, sizeof(ds->mine->incarnation));
	while (!ds->mine->incarnation || ds->mine->incarnation == old->incarnation);
	ds->mine->number = 0;
	ds->mine->choosing = 0;
	ds->mine->state = DS_SLOT_CLAIMED;
	spin_unlock(&ds->lock, flags);
}

static void set_mounted(struct ds_slot *s, void *arg)
{
	(void)arg;
	s->state = DS_SLOT_MOUNTED;
}

/* Watches a slot of ours that says it is mounted: -EBUSY when it beats. */
static int no_twin(struct datastore *ds, uint32_t slot)
{
	struct ds_slot before = *ds_slot_in(ds->slots, slot), *now;
	int err;

	for (unsigned i = 0; i < TWIN_BEATS; i++) {
		world_sleep_ns(ds->super.beat_ms * NSEC_PER_MSEC);
		err = ds_slots_read(ds, ds->slots);
		if (err)
			return err;
		now = ds_slot_in(ds->slots, slot);
		if (now->beat != before.beat || now->incarnation != before.incarnation)
			return -EBUSY;
	}
	return 0;
}

/* Does a host use a slot, by what these two reads of it say? */
static bool beats(struct datastore *ds, uint32_t i, const struct ds_slot *before,
		  const struct ds_slot *now)
{
	return ds_sealed(ds, now, DS_MAGIC_SLOT, ds->super.slot_block + i, DS_SECTOR) &&
	       (before->beat != now->beat || before->incarnation != now->incarnation);
}

static bool any_in_use(struct datastore *ds, uint8_t *slots)
{
	for (uint32_t i = 0; i < ds->super.nr_slots; i++) {
		const struct ds_slot *s = ds_slot_in(slots, i);

		if (ds_sealed(ds, s, DS_MAGIC_SLOT, ds->super.slot_block + i, DS_SECTOR) &&
		    s->state != DS_SLOT_FREE)
			return true;
	}
	return false;
}

int ds_nobody_beats(struct datastore *ds)
{
	uint8_t *before = ds_block_alloc(ds->super.nr_slots);
	int err = before ? ds_read_blocks(ds, ds->super.slot_block, ds->super.nr_slots, before)
			 : -ENOMEM;

	if (!err && any_in_use(ds, before)) {
		world_sleep_ns(TWIN_BEATS * ds->super.beat_ms * NSEC_PER_MSEC);
		err = ds_read_blocks(ds, ds->super.slot_block, ds->super.nr_slots, ds->slots);
		for (uint32_t i = 0; i < ds->super.nr_slots && !err; i++)
			if (beats(ds, i, ds_slot_in(before, i), ds_slot_in(ds->slots, i)))
				err = -EBUSY;
	}
	free(before);
	return err;
}

static int take_own(struct datastore *ds, uint32_t slot)
{
	int err = 0;

	if (ds_slot_in(ds->slots, slot)->state != DS_SLOT_FREE)
		err = no_twin(ds, slot);
	if (err)
		return err;
	ready(ds, slot, ds_slot_in(ds->slots, slot));
	return ds_slot_write(ds, set_mounted, NULL);
}

/* 0 it is ours, -EAGAIN somebody else was there first. */
static int take_new(struct datastore *ds, uint32_t slot, uint64_t read_ns)
{
	const uint64_t timeout_ns = ds->super.io_timeout_ms * NSEC_PER_MSEC;
	struct ds_slot *s;
	int err;

	ready(ds, slot, ds_slot_in(ds->slots, slot));
	if (time_ns() - read_ns > timeout_ns)
		return -EAGAIN;
	err = ds_slot_write(ds, NULL, NULL);
	if (err)
		return err;
	world_sleep_ns(2 * timeout_ns);
	err = ds_read_blocks(ds, ds->super.slot_block, ds->super.nr_slots, ds->slots);
	if (err)
		return err;
	s = ds_slot_in(ds->slots, slot);
	if (s->incarnation != ds->mine->incarnation || memcmp(s->host, ds->host.id, 16))
		return -EAGAIN;
	return ds_slot_write(ds, set_mounted, NULL);
}

static uint32_t slot_of(struct datastore *ds, const uint8_t host[16])
{
	for (uint32_t i = 0; i < ds->super.nr_slots; i++) {
		const struct ds_slot *s = ds_slot_in(ds->slots, i);

		if (s->head.magic == DS_MAGIC_SLOT && !memcmp(s->host, host, 16))
			return i;
	}
	return DS_NONE;
}

int ds_slot_claim(struct datastore *ds)
{
	for (;;) {
		uint64_t read_ns = time_ns();
		int err = ds_slots_read(ds, ds->slots);
		uint32_t slot;

		if (err)
			return err;
		slot = slot_of(ds, ds->host.id);
		if (slot != DS_NONE)
			return take_own(ds, slot);
		slot = slot_of(ds, nobody);
		if (slot == DS_NONE)
			return -ENFILE;
		err = take_new(ds, slot, read_ns);
		if (err != -EAGAIN)
			return err;
		ds->slot = DS_NONE;
		ds->fence_ns = 0; /* opened by the write that lost */
	}
}

static void set_free(struct ds_slot *s, void *arg)
{
	(void)arg;
	s->state = DS_SLOT_FREE;
}

void ds_slot_release(struct datastore *ds)
{
	unsigned long flags;
	int err = ds_slot_write(ds, set_free, NULL);

	if (err)
		log_warn("store", "%s: slot not given back (error %d): its leases end in %u ms",
			 ds->super.name, -err, ds->super.lease_ms + ds->super.io_timeout_ms);
	flags = spin_lock(&ds->lock);
	ds->fence_ns = 0;
	spin_unlock(&ds->lock, flags);
}
