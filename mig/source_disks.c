/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks that are copied to the destination (source_disks.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "journal.h"
#include "offer.h"
#include "phase.h"
#include "source_disks_int.h"

#define SHOW_NS (100 * NSEC_PER_MSEC)
#define COPY_PERCENT 50u

/* ---- those that go ---- */

/* What older hosts do not understand. */
static void tell_more(struct source_disk *d)
{
	struct vdisk_id *id = &d->s->disk[d->index];
	struct ds_entry e = { .backed_bytes = id->size };
	struct datastore *ds;
	const char *name;

	if (vdisk_file(d->share) &&
	    (ds_path(d->s->j->vm->cfg.disk[d->index].path, &ds, &name) || ds_stat(ds, name, &e)))
		return; /* it is told of when it is read */
	id->bare = !id->thin;
	id->space = chain_space(d->chain, !id->thin, id->size, e.backed_bytes);
}

static int open_disk(struct source *s, unsigned i)
{
	struct mig_job *j = s->j;
	struct source_disk *k = &s->disks->disk[s->disks->nr];
	int err;

	k->s = s;
	k->index = i;
	k->share = vdisk_share(j->vm->cfg.name, i, &j->vm->cfg.disk[i]);
	if (!k->share) {
		job_error(j, "not-running", "the VM ended by itself before it could move");
		return -ESRCH;
	}
	s->disks->nr++;
	err = source_chain_open(k);
	if (j->version >= WIRE_VERSION_BARE)
		tell_more(k);
	disk_copy_note(j, j->vm->cfg.disk[i].path);
	j->st.disk.total_bytes += s->disk[i].size + (k->chain ? k->chain->bytes : 0);
	if (!j->st.disk.disks++)
		snprintf(j->st.disk.to, sizeof(j->st.disk.to), "%.*s",
			 (int)strcspn(s->disk[i].to + 4, "/"), s->disk[i].to + 4);
	return err;
}

int source_disks_open(struct source *s)
{
	int err = 0;

	if (!offer_disks_copied(s->disk, VM_DISKS_MAX) && !s->going)
		return 0;
	s->disks = calloc(1, sizeof(*s->disks));
	if (!s->disks)
		return -ENOMEM;
	for (unsigned i = 0; i < s->j->vm->cfg.disks && !err; i++)
		if (s->disk[i].how == VDISK_COPIED)
			err = open_disk(s, i);
	return err;
}

/* ---- the stream ---- */

static int heard_answer(struct source *s, const struct wire_head *h, const void *body,
			uint64_t *credit)
{
	const struct wire_text *words;
	int err = peer_last_words(h, body, &words);

	if (err == -ECONNABORTED)
		job_error(s->j, words->code, "%s", words->text);
	if (err || h->type != WIRE_DISKS_OK)
		return err ? err : -EBADMSG;
	*credit = ((const struct wire_disks *)body)->credit;
	return *credit >= WIRE_BLOCKS_MAX && *credit <= WIRE_CREDIT_MAX ? 0 : -EBADMSG;
}

static int open_stream(struct source *s, uint64_t *credit)
{
	struct source_disks *d = s->disks;
	struct wire_head h;
	uint64_t buf[32];
	struct stream *stream;
	void *body;
	int err = stream_connect(&s->j->req.to, MIG_PORT, CONNECT_TIMEOUT_NS, &stream);

	if (err)
		return err;
	peer_init(&d->peer, stream, false);
	err = peer_ask(&d->peer, s->j->id, WIRE_DISKS, NULL, 0);
	if (!err)
		err = peer_answer(&d->peer, &h, buf, sizeof(buf), &body,
				  time_ns() + LINK_TIMEOUT_NS);
	if (err)
		return err;
	err = heard_answer(s, &h, body, credit);
	peer_body_free(buf, body);
	return err;
}

/* Disks, and files of a home behind them. */
static unsigned to_send(const struct source *s)
{
	return s->disks->nr + source_home_files(s);
}

static int open_sender(struct source *s)
{
	struct blk_send_geometry g[VM_DISKS_MAX + HOME_FILES_MAX];
	struct source_disks *d = s->disks;
	uint64_t credit = 0;
	int err = to_send(s) ? open_stream(s, &credit) : 0;

	if (err || !to_send(s))
		return err;
	for (unsigned i = 0; i < d->nr; i++) {
		const struct blk_geometry *from = &vdisk_blk(d->disk[i].share)->geo;

		g[i] = (struct blk_send_geometry){ .bytes = from->blocks * from->block_bytes,
						   .block_bytes = from->block_bytes };
		if (d->disk[i].chain)
			g[i].bytes = d->disk[i].chain->most_bytes;
	}
	source_home_geometry(s, g + d->nr);
	return blk_sender_new(&d->peer, s->j->version, g, to_send(s), credit, &d->sender);
}

/* Why the other side took no more, in the job; err: it has not ended. */
int source_disks_sender(struct source *s, int err)
{
	struct wire_text words;
	int why = blk_sender_error(s->disks->sender, &words);

	if (why == -ECONNABORTED)
		job_error(s->j, words.code, "%s; the VM goes on here", words.text);
	return why ? why : err;
}

/* ---- the copy ---- */

static void show(struct source *s)
{
	struct source_disks *d = s->disks;

	disk_copies_show(&d->copies, s->j, d->started_ns, COPY_PERCENT);
	d->shown_ns = time_ns();
}

int source_disks_well(struct source *s)
{
	struct source_disks *d = s->disks;
	uint64_t now = time_ns();
	int err;

	if (now - d->shown_ns >= SHOW_NS)
		show(s);
	err = s->j->cancel ? -ECANCELED : s->j->link_error;
	if (!err)
		err = source_vm_runs(s->j);
	if (err) {
		blk_sender_stop(d->sender, err); /* pieces may wait for it */
		return err;
	}
	if (now - d->alive_ns < ALIVE_EVERY_NS)
		return 0;
	d->alive_ns = now;
	return peer_send(&s->j->peer, WIRE_ALIVE, NULL, 0);
}

int source_disks_asked(void *user)
{
	return source_disks_well(container_of(user, struct source_disk, copy)->s);
}

static int make_mirror(struct source_disk *d, struct blkdev *target)
{
	int err = disk_copy_init(&d->copy, vdisk_file(d->share), vdisk_blk(d->share), target,
				 MIRROR_BOTH);

	if (err)
		return err;
	if (d->s->disk[d->index].bare)
		disk_copy_bare(&d->copy);
	d->copy.bulk.asked = source_disks_asked;
	if (d->s->j->req.disks.verify)
		err = source_verify_init(d);
	if (err)
		return err;
	err = vdisk_filter(d->s->j->vm, d->index, &d->copy.m->front);
	d->filtered = !err;
	return err;
}

int source_disk_failed(struct source_disk *d, int err)
{
	struct source *s = d->s;

	if (d->copy.bulk.fault == BULK_SOURCE)
		job_error(s->j, "io-error", "%s cannot be read: %s; the VM goes on here",
			  s->j->vm->cfg.disk[d->index].path, ds_error_text(err));
	return d->copy.bulk.fault == BULK_TARGET ? source_disks_sender(s, err) : err;
}

static int copy_cold(struct disk_copy *c)
{
	return source_chain_copy(container_of(c, struct source_disk, copy));
}

static int failed(struct disk_copy *c, int err)
{
	return source_disk_failed(container_of(c, struct source_disk, copy), err);
}

static int copy(struct source *s)
{
	struct source_disks *d = s->disks;
	int err;

	if (job_moves_running(s->j))
		disk_copies_watch(&d->copies);
	d->started_ns = d->alive_ns = time_ns();
	err = source_home_copy(s, d->sender, d->nr, source_disks_well);
	if (!err)
		err = disk_copies_run(&d->copies, s->j->req.bw_mbit, job_moves_running(s->j));
	if (!err)
		show(s);
	return err ? err : source_backlog_wait(s);
}

/*
 * Beside the description, if that goes, for they settle it: found together, or not at all. Else
 * beside the first of the disks; where that is a whole disk of the host, on any datastore.
 */
static struct datastore *place_journal(const struct source *s, const struct journal_record *r)
{
	struct datastore *ds;
	const char *name;

	for (uint32_t i = s->going ? r->disks - 1 : 0; i < r->disks; i++)
		if (!ds_path(r->disk[i], &ds, &name))
			return ds;
	return ds_at(0);
}

static int open_journal(struct source *s)
{
	const struct vm_config *cfg = &s->j->vm->cfg;
	struct journal_record r = { .step = JOURNAL_NOTHING, .peer = s->j->req.to };
	struct datastore *ds;
	int err;

	memcpy(r.id, s->j->id, sizeof(r.id));
	memcpy(r.uuid, s->j->vm->uuid, sizeof(r.uuid));
	memcpy(r.vm, cfg->name, sizeof(r.vm));
	for (unsigned i = 0; i < s->disks->nr; i++)
		memcpy(r.disk[r.disks++], cfg->disk[s->disks->disk[i].index].path,
		       sizeof(r.disk[0]));
	source_home_record(s, &r);
	ds = place_journal(s, &r);
	err = ds ? journal_create(ds, &r, &s->j->journal) : -ENOENT;
	if (err)
		job_error(s->j, ds_error_code(err), "no record of the move can be kept here: %s",
			  ds ? ds_error_text(err) : "no datastore is mounted");
	return err;
}

int source_disks_copy(struct source *s)
{
	int err;

	if (!s->disks)
		return 0;
	err = source_hold(s->j, MIG_COPY);
	if (err)
		return err;
	vdisks_copied(s->j->vm, s->disk);
	err = open_journal(s);
	if (!err)
		err = open_sender(s);
	s->disks->copies = (struct disk_copies){ .cold = copy_cold, .failed = failed };
	for (unsigned i = 0; i < s->disks->nr && !err; i++) {
		err = make_mirror(&s->disks->disk[i], blk_sender_disk(s->disks->sender, i));
		disk_copies_add(&s->disks->copies, &s->disks->disk[i].copy);
	}
	if (err == -ESRCH || err == -ENODEV)
		job_error(s->j, "not-running", "the VM ended by itself before it could move");
	if (!err)
		err = copy(s);
	return err || !s->j->req.disks.verify || !s->disks->nr ? err : source_verify_copied(s);
}

/* ---- the stun ---- */

static int drain_one(struct source_disk *d)
{
	int err;

	pace_hurry(&d->copy.bulk.pace);
	err = bulk_marked(&d->copy.bulk); /* what the source had failed to write */

	if (!err)
		err = mirror_error(d->copy.m);
	return err ? source_disk_failed(d, err) : 0;
}

static void unfilter(struct source_disk *d)
{
	if (d->filtered && vdisk_filter(d->s->j->vm, d->index, NULL))
		log_error("mig", "job %u: the filter of a disk stays", (unsigned)d->s->j->st.id);
	d->filtered = false;
}

int source_disks_ready(struct source *s)
{
	int err;

	if (!s->disks)
		return 0;
	err = source_verify_stop(s);
	if (err || !s->disks->sender)
		return err;
	blk_sender_hold(s->disks->sender, UINT64_MAX); /* what waits by now goes along */
	return source_disks_sender(s, 0);
}

int source_disks_drain(struct source *s)
{
	struct source_disks *d = s->disks;
	int err = 0;

	if (!d)
		return 0;
	source_disks_go_on(s); /* as soon as the devices do */
	for (unsigned i = 0; i < d->nr && !err; i++)
		err = drain_one(&d->disk[i]);
	if (!err && s->j->req.disks.verify)
		err = source_verify_rest(s);
	if (!err && d->sender)
		d->drained = blk_sender_flush_begin(d->sender);
	if (!err)
		show(s);
	for (unsigned i = 0; i < d->nr && !err; i++)
		unfilter(&d->disk[i]);
	return err;
}

/* A further flush finds nothing to do there, and is done when the first one is. */
int source_disks_flushed(struct source *s)
{
	struct source_disks *d = s->disks;
	struct blk_sender_stats st;

	if (!d || !d->sender)
		return 0;
	blk_sender_stats(d->sender, &st);
	return d->drained && st.acked >= d->drained ? source_disks_sender(s, 0)
						    : source_backlog_flush(s);
}

/* ---- the end ---- */

static void free_one(struct source_disk *d)
{
	unfilter(d);
	disk_copy_fini(&d->copy);
	source_chain_close(d);
	vdisk_close(d->share);
}

void source_disks_free(struct source *s)
{
	struct source_disks *d = s->disks;

	if (!d)
		return;
	if (d->sender)
		blk_sender_stop(d->sender, -ECANCELED); /* the guest's writes may wait for it */
	source_disks_go_on(s);
	source_verify_end(d);
	for (unsigned i = 0; i < d->nr; i++)
		free_one(&d->disk[i]);
	if (d->sender)
		blk_sender_free(d->sender);
	if (d->peer.s)
		stream_close(d->peer.s);
	free(d);
	s->disks = NULL;
}
