/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for whom (smove.h): a datastore takes part in SMOVE_SEATS moves at a time. Who
 * came first goes first: a later one does not pass one that waits for the same datastore. What
 * waits says for what, and can be canceled.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/timer.h>

#include "smove.h"

#define LOOK_NS (100 * NSEC_PER_MSEC)

static struct {
	struct mutex lock;
	struct smove_seat *first; /* [lock] the oldest first */
} queue;

void smove_queue_init(void)
{
	mutex_init(&queue.lock, LOCK_MIG, "smove queue");
}

static bool takes_part(const struct smove_seat *s, const char *ds)
{
	for (unsigned i = 0; i < s->nr; i++)
		if (!strcmp(s->ds[i], ds))
			return true;
	return false;
}

/* The first datastore that has no place for it; NULL: it may go. */
static const char *full_locked(const struct smove_seat *seat)
{
	for (unsigned i = 0; i < seat->nr; i++) {
		unsigned before = 0;

		for (const struct smove_seat *o = queue.first; o != seat; o = o->next)
			before += takes_part(o, seat->ds[i]);
		if (before >= SMOVE_SEATS)
			return seat->ds[i];
	}
	return NULL;
}

static void join(struct smove_seat *seat)
{
	struct smove_seat **end = &queue.first;

	mutex_lock(&queue.lock);
	while (*end)
		end = &(*end)->next;
	seat->next = NULL;
	seat->seated = true;
	*end = seat;
	mutex_unlock(&queue.lock);
}

static const char *full(const struct smove_seat *seat)
{
	const char *ds;

	mutex_lock(&queue.lock);
	ds = full_locked(seat);
	mutex_unlock(&queue.lock);
	return ds;
}

/* Until something changes at the job, or for a moment. */
static int wait_a_moment(struct mig_job *j, const char *name)
{
	unsigned long flags = spin_lock(&j->lock);
	int err;

	snprintf(j->st.disk.waits_for, sizeof(j->st.disk.waits_for), "datastore %.31s has %u moves",
		 name, SMOVE_SEATS);
	if (!j->cancel)
		(void)job_wait_locked(j, &flags, time_ns() + LOOK_NS);
	err = j->cancel ? -ECANCELED : 0;
	spin_unlock(&j->lock, flags);
	return err;
}

int smove_queue_enter(struct smove *s)
{
	unsigned long flags;
	const char *ds;
	int err = 0;

	join(&s->seat);
	while (!err && (ds = full(&s->seat)))
		err = wait_a_moment(s->j, ds);
	flags = spin_lock(&s->j->lock);
	s->j->st.disk.waits_for[0] = '\0';
	spin_unlock(&s->j->lock, flags);
	return err;
}

void smove_queue_leave(struct smove *s)
{
	struct smove_seat **at = &queue.first;

	if (!s->seat.seated)
		return;
	mutex_lock(&queue.lock);
	while (*at != &s->seat)
		at = &(*at)->next;
	*at = s->seat.next;
	mutex_unlock(&queue.lock);
}
