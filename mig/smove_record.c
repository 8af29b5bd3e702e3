/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The record of a Storage vMotion's new files (smove.h): as a destination's of which nothing is
 * decided (journal.h), so a host that has crashed removes them. It is beside the VM's description,
 * and stops to be whole in the transaction that puts the new one there: whichever of the two a
 * crash finds, the files are all named or all gone.
 */
#include <errno.h>
#include <string.h>

#include "journal.h"
#include "smove.h"

#define MOMENT_FILES_MAX 32u /* new files of disks that one transaction has room for, surely */

static unsigned files(const struct smove_disk *d)
{
	return 1 + (d->chain ? d->chain->as.nr : 0);
}

/* Moments in which some of them become whole, if that is in none with the home. */
static unsigned moments(const struct smove *s)
{
	unsigned n = s->home != NULL, with_home = 0;

	for (unsigned i = 0; i < s->nr; i++)
		if (s->home_goes && !strcmp(s->disk[i].ds_name, s->j->req.disks.all))
			with_home += files(&s->disk[i]);
		else
			n++;
	return n + (with_home > MOMENT_FILES_MAX);
}

static struct datastore *place(const struct smove *s)
{
	if (!s->home)
		return s->disk[0].ds;
	return ds_find(s->home_goes ? s->j->req.disks.all : s->j->vm->cfg.home);
}

int smove_record(struct smove *s)
{
	struct journal_record r = { .step = JOURNAL_NOTHING, .incoming = true, .disks = s->nr };
	struct mig_job *j = s->j;
	struct datastore *ds;
	int err;

	if (moments(s) < 2)
		return 0;
	memcpy(r.id, j->id, sizeof(r.id));
	memcpy(r.uuid, j->vm->uuid, sizeof(r.uuid));
	memcpy(r.vm, j->vm->cfg.name, sizeof(r.vm));
	for (unsigned i = 0; i < s->nr; i++) {
		memcpy(r.disk[i], s->disk[i].to.path, sizeof(r.disk[i]));
		r.file[i] = s->disk[i].made;
	}
	ds = place(s);
	err = ds ? journal_create(ds, &r, &s->record) : -ENOENT;
	if (err)
		job_error(j, ds_error_code(err), "no record of the move can be kept: %s",
			  ds_error_text(err));
	return err;
}

static int noted(struct smove *s, int err)
{
	if (err)
		job_error(s->j, ds_error_code(err), "the record of the move cannot be written: %s",
			  ds_error_text(err));
	return err;
}

/* Where snapshots went along a name is another file's than at first. */
int smove_record_files(struct smove *s)
{
	return s->record ? noted(s, journal_note_files(s->record, s->nr)) : 0;
}

int smove_record_done(struct smove *s)
{
	return s->record ? noted(s, journal_note(s->record, JOURNAL_OWNS)) : 0;
}

void smove_record_end(struct smove *s)
{
	if (s->record)
		journal_end(s->record);
	s->record = NULL;
}
