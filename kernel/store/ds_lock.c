/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cluster lock: one host at a time changes metadata. Lamport's bakery, whose
 * registers are the slots (docs/datastore.md "The cluster lock"). It needs four
 * accesses when nobody else wants it.
 *
 * Called by the world that has the host's turn.
 */
#include <errno.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

#define TRIES 3u /* after a shut fence */
#define PAUSE_MIN_NS (1 * NSEC_PER_MSEC)
#define PAUSE_MAX_NS (64 * NSEC_PER_MSEC)

static void choose(struct ds_slot *s, void *arg)
{
	(void)arg;
	s->choosing = 1;
}

static void take_ticket(struct ds_slot *s, void *arg)
{
	s->choosing = 0;
	s->number = *(uint64_t *)arg;
}

static void drop_ticket(struct ds_slot *s, void *arg)
{
	s->choosing = 0;
	s->number = 0;
	s->applied = MAX(s->applied, *(uint64_t *)arg);
}

static bool competes(struct datastore *ds, uint32_t i)
{
	const struct ds_slot *s = ds_slot_in(ds->slots, i);

	return i != ds->slot && ds_slot_alive(ds, i, s->incarnation);
}

static uint64_t largest(struct datastore *ds)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ds->super.nr_slots; i++)
		if (competes(ds, i))
			n = MAX(n, ds_slot_in(ds->slots, i)->number);
	return n;
}

/* Is slot i before us, or may it turn out to be? */
static bool is_before(struct datastore *ds, uint32_t i, uint64_t mine)
{
	const struct ds_slot *s = ds_slot_in(ds->slots, i);

	if (!competes(ds, i))
		return false;
	return s->choosing ||
	       (s->number && (s->number < mine || (s->number == mine && i < ds->slot)));
}

/* Waits until nobody in slots before `end` is before us; each one needs to be seen so only once. */
static int wait_turn(struct datastore *ds, uint64_t mine)
{
	uint64_t pause_ns = PAUSE_MIN_NS;

	for (uint32_t i = 0; i < ds->super.nr_slots;) {
		int err;

		if (!is_before(ds, i, mine)) {
			i++;
			continue;
		}
		world_sleep_ns(pause_ns);
		pause_ns = MIN(pause_ns * 2, PAUSE_MAX_NS);
		err = ds_slots_read(ds, ds->slots);
		if (err)
			return err;
	}
	return 0;
}

static int lock_once(struct datastore *ds)
{
	uint64_t number;
	int err = ds_slot_write(ds, choose, NULL);

	/* From here on the fence must not have been shut, or others have passed our ticket. */
	ds->txn_epoch = ds_epoch(ds);
	if (!err)
		err = ds_slots_read(ds, ds->slots);
	if (err)
		return err;
	number = largest(ds) + 1;
	err = ds_slot_write(ds, take_ticket, &number);
	if (!err)
		err = ds_slots_read(ds, ds->slots);
	if (!err)
		err = wait_turn(ds, number);
	return !err && !ds_may_write(ds, ds->txn_epoch) ? -ESTALE : err;
}

int ds_cluster_lock(struct datastore *ds)
{
	int err = -ESTALE;

	for (unsigned i = 0; i < TRIES && err == -ESTALE; i++) {
		err = lock_once(ds);
		if (err)
			ds_cluster_unlock(ds);
	}
	return err;
}

void ds_cluster_unlock(struct datastore *ds)
{
	uint64_t applied = ds->failed ? 0 : ds->sequence;

	int err = ds_slot_write(ds, drop_ticket, &applied);

	if (err)
		log_warn("store", "%s: cluster lock: error %d, the next heartbeat gives it up",
			 ds->super.name, -err);
}
