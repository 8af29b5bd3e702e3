/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks that are copied to the destination (source_disks.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "blk_send.h"
#include "bulk.h"
#include "journal.h"
#include "phase.h"
#include "smove.h"
#include "source_disks.h"

#define SHOW_NS (100 * NSEC_PER_MSEC)
#define COPY_PERCENT 50u

struct source_disk {
	struct source *s;
	unsigned index; /* of the VM's disks */
	struct vdisk *share;
	struct cbt cbt;
	struct mirror *m;
	struct bulk bulk;
	bool filtered; /* the guest's requests go through the mirror */
};

struct source_disks {
	unsigned nr;
	struct source_disk disk[VM_DISKS_MAX];
	struct peer peer;
	struct blk_sender *sender;
	uint64_t started_ns, shown_ns, alive_ns;
};

/* ---- which go ---- */

static const char *target_of(const struct mig_disks *r, const struct vm_disk *d, unsigned i)
{
	if (r->to[i][0])
		return r->to[i];
	return d->read_only || d->mode == VM_DISK_NONPERSISTENT ? "" : r->all;
}

/* A file keeps its name; a whole disk becomes one of the VM's. */
static bool path_there(const struct vm_config *cfg, unsigned i, const char *ds,
		       char to[VM_DISK_PATH_MAX])
{
	const char *file;
	char here[32];
	int n;

	if (smove_split(cfg->disk[i].path, here, &file))
		n = snprintf(to, VM_DISK_PATH_MAX, "/ds/%s/%s", ds, file);
	else
		n = snprintf(to, VM_DISK_PATH_MAX, "/ds/%s/%s/%s.disk", ds, cfg->name,
			     cfg->disk[i].path);
	return n < VM_DISK_PATH_MAX;
}

static bool is_flat(const struct vm_disk *d)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;

	return !ds_path(d->path, &ds, &name) && !ds_stat(ds, name, &e) && e.kind == DS_KIND_FLAT;
}

int source_disks_plan(struct source *s)
{
	const struct vm_config *cfg = &s->j->vm->cfg;
	const struct mig_disks *r = &s->j->req.disks;

	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		const char *ds = i < cfg->disks ? target_of(r, &cfg->disk[i], i) : r->to[i];

		if (!ds[0])
			continue;
		if (i >= cfg->disks) {
			job_error(s->j, "invalid", "%s has no disk %u: 'vm info' lists them",
				  cfg->name, i);
			return -EINVAL;
		}
		s->disk[i].how = VDISK_COPIED;
		s->disk[i].thin = r->kind == MIG_DISK_THIN ||
				  (r->kind == MIG_DISK_KEEP && !is_flat(&cfg->disk[i]));
		if (!path_there(cfg, i, ds, s->disk[i].to)) {
			job_error(s->j, "invalid", "the new path of disk %u is too long", i);
			return -EINVAL;
		}
	}
	return 0;
}

/* ---- the stream ---- */

static int heard_answer(struct source *s, const struct wire_head *h, const void *body,
			uint64_t *credit)
{
	const struct wire_text *words = body;

	if (h->type == WIRE_DISKS_OK) {
		*credit = ((const struct wire_disks *)body)->credit;
		return *credit >= WIRE_BLOCKS_MAX && *credit <= WIRE_CREDIT_MAX ? 0 : -EBADMSG;
	}
	if ((h->type != WIRE_REFUSE && h->type != WIRE_ABORT) || wire_text_check(words))
		return -EBADMSG;
	job_error(s->j, words->code, "%s", words->text);
	return -ECONNABORTED;
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

static int open_sender(struct source *s)
{
	struct blk_send_geometry g[VM_DISKS_MAX];
	struct source_disks *d = s->disks;
	uint64_t credit = 0;
	int err = open_stream(s, &credit);

	for (unsigned i = 0; i < d->nr; i++) {
		const struct blk_geometry *from = &vdisk_blk(d->disk[i].share)->geo;

		g[i] = (struct blk_send_geometry){ .bytes = from->blocks * from->block_bytes,
						   .block_bytes = from->block_bytes };
	}
	return err ? err : blk_sender_new(&d->peer, g, d->nr, credit, &d->sender);
}

/* Why the other side took no more, in the job. */
static int sender_failed(struct source *s, int err)
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
	struct mig_disk_figures f = { 0 };
	struct mig_job *j = s->j;
	uint64_t done = 0, took_ns = time_ns() - d->started_ns;
	unsigned long flags;

	for (unsigned i = 0; i < d->nr; i++) {
		struct source_disk *k = &d->disk[i];
		struct mirror_figures m;

		mirror_figures(k->m, &m);
		done += k->bulk.done * k->m->source->geo.block_bytes;
		f.copied_bytes += k->bulk.copied_bytes;
		f.skipped_bytes += k->bulk.skipped_bytes;
		f.mirrored_bytes += m.mirrored_bytes;
		f.held += m.held;
		f.held_ns += m.held_ns;
	}
	flags = spin_lock(&j->lock);
	f.disks = j->st.disk.disks;
	f.total_bytes = j->st.disk.total_bytes;
	memcpy(f.to, j->st.disk.to, sizeof(f.to));
	j->st.disk = f;
	j->st.rate_bytes_s = mul_div64(f.copied_bytes, NSEC_PER_SEC, MAX(took_ns, 1ull));
	spin_unlock(&j->lock, flags);
	job_progress(j, (unsigned)(done * COPY_PERCENT / MAX(f.total_bytes, 1ull)));
	d->shown_ns = time_ns();
}

/* Between two pieces: signs of life for the other stream, progress, and is all well? */
static int asked(void *user)
{
	struct source *s = ((struct source_disk *)user)->s;
	struct source_disks *d = s->disks;
	uint64_t now = time_ns();
	int err;

	if (now - d->shown_ns >= SHOW_NS)
		show(s);
	err = s->j->cancel ? -ECANCELED : s->j->link_error;
	if (err) {
		blk_sender_stop(d->sender, err); /* pieces may wait for it */
		return err;
	}
	if (now - d->alive_ns < ALIVE_EVERY_NS)
		return 0;
	d->alive_ns = now;
	return peer_send(&s->j->peer, WIRE_ALIVE, NULL, 0);
}

static bool is_hole(void *user, uint64_t block, uint64_t *blocks)
{
	struct source_disk *d = user;

	return bulk_is_hole(vdisk_file(d->share), d->m->source, block, blocks);
}

static int make_mirror(struct source_disk *d, struct blkdev *target)
{
	struct blkdev *source = vdisk_blk(d->share);
	const struct blk_geometry *g = &source->geo;
	int err = cbt_init(&d->cbt, g->blocks, g->block_bytes, CBT_GRANULE);

	if (!err)
		err = mirror_new(source, target, &d->cbt, MIRROR_BOTH, &d->m);
	if (!err)
		err = bulk_init(&d->bulk, d->m);
	if (err)
		return err;
	d->bulk.skip = is_hole;
	d->bulk.fresh = true;
	d->bulk.asked = asked;
	d->bulk.user = d;
	pace_init(&d->bulk.pace, 0, d->s->j->req.bw_mbit);
	err = vdisk_filter(d->s->j->vm, d->index, &d->m->front);
	d->filtered = !err;
	return err;
}

static int copy_failed(struct source_disk *d, int err)
{
	struct source *s = d->s;

	if (d->bulk.fault == BULK_SOURCE)
		job_error(s->j, "io-error", "%s cannot be read: %s; the VM goes on here",
			  s->j->vm->cfg.disk[d->index].path, ds_error_text(err));
	return d->bulk.fault == BULK_TARGET ? sender_failed(s, err) : err;
}

static int copy(struct source *s)
{
	struct source_disks *d = s->disks;
	int err = 0;

	d->started_ns = d->alive_ns = time_ns();
	for (unsigned i = 0; i < d->nr && !err; i++) {
		err = bulk_linear(&d->disk[i].bulk);
		if (err)
			err = copy_failed(&d->disk[i], err);
	}
	if (!err)
		show(s);
	return err;
}

static int open_disks(struct source *s)
{
	struct mig_job *j = s->j;
	struct source_disks *d = s->disks;

	for (unsigned i = 0; i < j->vm->cfg.disks; i++) {
		struct source_disk *k = &d->disk[d->nr];

		if (s->disk[i].how != VDISK_COPIED)
			continue;
		k->s = s;
		k->index = i;
		k->share = vdisk_share(j->vm->cfg.name, i, &j->vm->cfg.disk[i]);
		if (!k->share)
			return -ESRCH;
		d->nr++;
		j->st.disk.total_bytes += s->disk[i].size;
		if (!j->st.disk.disks++)
			snprintf(j->st.disk.to, sizeof(j->st.disk.to), "%.*s",
				 (int)strcspn(s->disk[i].to + 4, "/"), s->disk[i].to + 4);
	}
	return 0;
}

/* Beside the first of the disks; where that is a whole disk of the host, on any datastore. */
static int open_journal(struct source *s)
{
	const struct vm_config *cfg = &s->j->vm->cfg;
	struct journal_record r = { .step = JOURNAL_NOTHING, .peer = s->j->req.to };
	struct datastore *ds = NULL;
	const char *name;
	int err;

	memcpy(r.id, s->j->id, sizeof(r.id));
	memcpy(r.uuid, s->j->vm->uuid, sizeof(r.uuid));
	memcpy(r.vm, cfg->name, sizeof(r.vm));
	for (unsigned i = 0; i < s->disks->nr; i++) {
		const char *path = cfg->disk[s->disks->disk[i].index].path;

		memcpy(r.disk[r.disks++], path, sizeof(r.disk[0]));
		if (!ds && ds_path(path, &ds, &name))
			ds = NULL;
	}
	if (!ds)
		ds = ds_at(0);
	err = ds ? journal_create(ds, &r, &s->j->journal) : -ENOENT;
	if (err)
		job_error(s->j, ds_error_code(err), "no record of the move can be kept here: %s",
			  ds ? ds_error_text(err) : "no datastore is mounted");
	return err;
}

bool source_disks_any(const struct source *s)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++)
		if (s->disk[i].how == VDISK_COPIED)
			return true;
	return false;
}

int source_disks_copy(struct source *s)
{
	int err;

	if (!source_disks_any(s))
		return 0;
	err = source_hold(s->j, MIG_COPY);
	if (err)
		return err;
	s->disks = calloc(1, sizeof(*s->disks));
	if (!s->disks)
		return -ENOMEM;
	vdisks_copied(s->j->vm, s->disk);
	err = open_disks(s);
	if (!err)
		err = open_journal(s);
	if (!err)
		err = open_sender(s);
	for (unsigned i = 0; i < s->disks->nr && !err; i++)
		err = make_mirror(&s->disks->disk[i], blk_sender_disk(s->disks->sender, i));
	if (err == -ESRCH || err == -ENODEV)
		job_error(s->j, "not-running", "the VM ended by itself before it could move");
	return err ? err : copy(s);
}

/* ---- the stun ---- */

static int drain_one(struct source_disk *d)
{
	int err = bulk_marked(&d->bulk); /* what the source had failed to write */

	if (!err)
		err = mirror_error(d->m);
	return err ? copy_failed(d, err) : 0;
}

static void unfilter(struct source_disk *d)
{
	if (d->filtered && vdisk_filter(d->s->j->vm, d->index, NULL))
		log_error("mig", "job %u: the filter of a disk stays", (unsigned)d->s->j->st.id);
	d->filtered = false;
}

int source_disks_drain(struct source *s)
{
	struct source_disks *d = s->disks;
	int err = 0;

	if (!d)
		return 0;
	for (unsigned i = 0; i < d->nr && !err; i++)
		err = drain_one(&d->disk[i]);
	if (!err) {
		err = blk_sender_flush(d->sender, time_ns() + LINK_TIMEOUT_NS);
		err = err ? sender_failed(s, err) : 0;
	}
	if (!err)
		show(s);
	for (unsigned i = 0; i < d->nr && !err; i++)
		unfilter(&d->disk[i]);
	return err;
}

/* ---- the end ---- */

static void free_one(struct source_disk *d)
{
	unfilter(d);
	bulk_fini(&d->bulk);
	if (d->m)
		mirror_free(d->m);
	cbt_fini(&d->cbt);
	vdisk_close(d->share);
}

void source_disks_free(struct source *s)
{
	struct source_disks *d = s->disks;

	if (!d)
		return;
	if (d->sender)
		blk_sender_stop(d->sender, -ECANCELED); /* the guest's writes may wait for it */
	for (unsigned i = 0; i < d->nr; i++)
		free_one(&d->disk[i]);
	if (d->sender)
		blk_sender_free(d->sender);
	if (d->peer.s)
		stream_close(d->peer.s);
	free(d);
	s->disks = NULL;
}
