/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of the commit, as they are told (steps.h). Most are taken while the VM stands
 * still, and a console may be slow: so a job keeps them, and a world of its own writes
 * them to the log, soon.
 */
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "job.h"
#include "steps.h"

static struct event work;

static const char *const names[STEPS] = {
	[STEP_BY_STREAM] = "the stream decides",
	[STEP_BY_LEASES] = "leases decide",
	[STEP_BY_RECORDS] = "records decide",
	[STEP_BY_BOTH] = "leases and records decide",
	[STEP_PARKED] = "parked",
	[STEP_NOTED_GO] = "noted GO",
	[STEP_NOTED_NOTHING] = "noted that GO was not said",
	[STEP_GIVES] = "gives the leases",
	[STEP_GIVEN] = "leases are given",
	[STEP_GO] = "GO",
	[STEP_IN_DOUBT] = "in doubt",
	[STEP_TAKEN_BACK] = "took the leases back",
	[STEP_MOVED_ON] = "leases are another's",
	[STEP_STOPPED] = "stopped: its disks stay",
	[STEP_GOES_ON] = "goes on",
	[STEP_RELEASED] = "released",
	[STEP_FORGOT] = "forgot",
	[STEP_HELD] = "complete",
	[STEP_WAITS] = "waits",
	[STEP_ACCEPTED] = "accepted the leases",
	[STEP_NOTED_OWNS] = "noted that it owns",
	[STEP_RUNS] = "runs",
	[STEP_GIVEN_UP] = "given up",
	[STEP_CLOSED] = "closed",
	[STEP_SAID_HERE] = "resolved: here",
	[STEP_SAID_THERE] = "resolved: there",
	[STEP_FOUND_NOTHING] = "found a record: nothing decided",
	[STEP_FOUND_GO] = "found a record: GO",
	[STEP_FOUND_OWNS] = "found a record: owns",
	[STEP_CUT] = "tells no more",
};

void step_say(const uint8_t id[WIRE_ID_BYTES], bool incoming, enum mig_step step)
{
	char hex[2 * WIRE_ID_BYTES + 1];

	for (unsigned i = 0; i < WIRE_ID_BYTES; i++)
		snprintf(hex + (size_t)2 * i, 3, "%02x", id[i]);
	log_info("mig", "move %s %s: %s", hex, incoming ? "in" : "out", names[step]);
}

void job_step_locked(struct mig_job *j, enum mig_step step)
{
	if (j->steps.count < MIG_STEPS_MAX) {
		if (j->steps.count == MIG_STEPS_MAX - 1)
			step = STEP_CUT;
		j->steps.at[j->steps.count].step = step;
		j->steps.at[j->steps.count++].ns = time_ns() - j->started_ns;
	}
	event_signal(&work);
}

void job_step(struct mig_job *j, enum mig_step step)
{
	unsigned long f = spin_lock(&j->lock);

	job_step_locked(j, step);
	spin_unlock(&j->lock, f);
}

/* The next one that is not in the log; there is one writer. */
static bool next_unsaid(struct mig_job *j, enum mig_step *step)
{
	unsigned long f = spin_lock(&j->lock);
	bool more = j->steps.said < j->steps.count;

	if (more)
		*step = j->steps.at[j->steps.said++].step;
	spin_unlock(&j->lock, f);
	return more;
}

static bool has_unsaid(struct mig_job *j, void *arg)
{
	(void)arg;
	return j->steps.said < j->steps.count;
}

static void steps_world(void *arg)
{
	enum mig_step step;
	struct mig_job *j;

	(void)arg;
	for (;;) {
		while ((j = job_search(has_unsaid, NULL))) {
			while (next_unsaid(j, &step))
				step_say(j->id, j->st.incoming, step);
			job_put(j);
		}
		(void)event_wait(&work, NEVER_NS);
	}
}

void steps_init(void)
{
	struct world_opts o = { .name = "mig-steps", .prio = WORLD_NORMAL, .cpu = -1 };

	event_init(&work, "mig steps");
	if (world_create(NULL, &o, steps_world, NULL))
		panic("no memory for the migration's worlds");
}

unsigned mig_steps(uint32_t id, struct mig_step_told out[MIG_STEPS_MAX])
{
	struct mig_job *j = job_find(id);
	unsigned long f;
	unsigned n;

	if (!j)
		return 0;
	f = spin_lock(&j->lock);
	n = j->steps.count;
	for (unsigned i = 0; i < n; i++)
		out[i] = (struct mig_step_told){ names[j->steps.at[i].step], j->steps.at[i].ns };
	spin_unlock(&j->lock, f);
	job_put(j);
	return n;
}
