/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The heartbeat: a world that renews this host's slot and watches the others'. When
 * a renewal fails the fence closes by itself once the lease is over; when one succeeds again, it
 * opens, unless another host has taken the slot meanwhile.
 */
#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

/* Does a write wait for the fence, or a file for being looked up? */
static bool waits(struct datastore *ds)
{
	unsigned long flags = spin_lock(&ds->lock);
	bool any = ds->held;

	for (struct ds_file *f = ds->files; f && !any; f = f->next)
		any = f->mode == DS_OPEN_WRITE && f->epoch != ds->epoch && !f->given;
	spin_unlock(&ds->lock, flags);
	return any;
}

void ds_beat(struct datastore *ds)
{
	int err = ds_slot_write(ds, NULL, NULL);

	if (!err)
		err = ds_slots_read(ds, ds->slots_beat);
	if (err && ds->beat_error != err)
		log_error("store", "%s: heartbeat failed: error %d", ds->super.name, -err);
	ds->beat_error = err;
	if (err && !ds_may_write(ds, ds_epoch(ds)))
		ds_held_fail(ds, err);
	else if (waits(ds))
		event_signal(&ds->grow);
}

static void beat_world(void *arg)
{
	struct datastore *ds = arg;
	const uint64_t beat_ns = ds->super.beat_ms * NSEC_PER_MSEC;
	uint64_t next_ns = time_ns() + beat_ns;

	while (event_wait(&ds->stop, next_ns)) {
		next_ns = time_ns() + beat_ns;
		ds_beat(ds);
	}
}

int ds_beat_start(struct datastore *ds)
{
	static const struct world_opts opts = { .name = "ds beat", .prio = WORLD_HIGH, .cpu = -1 };

	event_init(&ds->stop, "ds beat");
	return world_create(&ds->beater, &opts, beat_world, ds);
}

void ds_beat_stop(struct datastore *ds)
{
	event_signal(&ds->stop);
	world_join(ds->beater);
}
