/* SPDX-License-Identifier: BSD-2-Clause */
/* A disk that moves (disk_copy.h). */
#include <stdio.h>
#include <string.h>

#include <tern/store.h>

#include "disk_copy.h"

/* A rate of so many is right to an eighth or so, and a guest that has fewer needs little. */
#define WATCH_REQUESTS 64u
#define WATCH_MOST_NS NSEC_PER_SEC

static enum bulk_need need_of(void *user, uint64_t block, uint64_t *blocks)
{
	struct disk_copy *c = user;

	return bulk_need_of(c->file, bulk_from(&c->bulk), c->bulk.fresh, block, blocks);
}

int disk_copy_init(struct disk_copy *c, struct ds_file *file, struct blkdev *source,
		   struct blkdev *target, enum mirror_mode mode)
{
	const struct blk_geometry *g = &source->geo;
	int err = cbt_init(&c->cbt, g->blocks, g->block_bytes, CBT_GRANULE);

	c->file = file;
	if (!err)
		err = mirror_new(source, target, &c->cbt, mode, &c->m);
	if (!err)
		err = bulk_init(&c->bulk, c->m);
	if (err)
		return err;
	c->bulk.user = c;
	c->bulk.need = need_of;
	c->bulk.fresh = true;
	return 0;
}

static void promise(void *user, uint64_t from, uint64_t to)
{
	struct disk_copy *c = user;
	uint32_t block_bytes = c->m->source->geo.block_bytes;

	ds_file_promise(c->target, from * block_bytes, to * block_bytes);
}

void disk_copy_into(struct disk_copy *c, struct ds_file *target)
{
	c->target = target;
	c->bulk.promise = promise;
}

void disk_copy_bare(struct disk_copy *c)
{
	c->bulk.fresh = false;
	c->bulk.bare = c->bare = true;
}

static void copied(void *user, uint64_t block, const void *buf, uint64_t bytes)
{
	digest_copied(&((struct disk_copy *)user)->digest, block, buf, bytes);
}

static void touched(struct mirror *m, enum blk_op op, uint64_t from, uint64_t to)
{
	digest_touched(m->user, op, from, to);
}

int disk_copy_digest(struct disk_copy *c)
{
	int err = digest_init(&c->digest, &c->bulk);

	if (err)
		return err;
	c->bulk.copied = copied;
	c->m->user = &c->digest;
	c->m->touched = touched;
	return 0;
}

bool disk_copy_left(const struct disk_copy *c, uint64_t most, uint64_t *uncompared)
{
	uint64_t left = digest_left(&c->digest) * c->m->front.geo.block_bytes;

	if (left <= most)
		return false;
	*uncompared += left;
	return true;
}

void disk_copy_fini(struct disk_copy *c)
{
	bulk_fini(&c->bulk);
	if (c->m)
		mirror_free(c->m);
	c->m = NULL;
	digest_fini(&c->digest); /* which requests may tell up to here */
	cbt_fini(&c->cbt);
}

void disk_copy_watch(struct disk_copy *c)
{
	struct mirror_figures now;
	uint64_t now_ns = time_ns();

	mirror_figures(c->m, &now);
	c->guest = (struct pace_guest){ .ns = now_ns - c->watched_ns,
					.requests = now.requests - c->watched.requests,
					.busy_ns = now.busy_ns - c->watched.busy_ns };
	c->watched = now;
	c->watched_ns = now_ns;
}

uint64_t disk_copy_seen(const struct disk_copy *c)
{
	struct mirror_figures now;

	mirror_figures(c->m, &now);
	return now.requests - c->watched.requests;
}

bool disk_copy_watched(const struct disk_copy *c, uint64_t requests)
{
	return !requests || requests >= WATCH_REQUESTS ||
	       time_ns() - c->watched_ns >= WATCH_MOST_NS;
}

void disk_copy_add(struct disk_copy *c, struct disk_copy_sum *sum)
{
	struct mirror_figures m;

	if (!c->m)
		return;
	mirror_figures(c->m, &m);
	sum->done_bytes += c->bulk.done * c->m->source->geo.block_bytes;
	sum->f.copied_bytes += c->bulk.copied_bytes;
	sum->f.skipped_bytes += c->bulk.skipped_bytes;
	sum->f.mirrored_bytes += m.mirrored_bytes;
	sum->f.requests += c->bulk.requests;
	sum->f.wakes += c->bulk.wakes;
	sum->f.memory_copied_bytes += m.copied_bytes;
	sum->f.buffer_bytes += MIRROR_OPS * MIRROR_BYTES + c->bulk.buffer_bytes;
	sum->f.held += m.held;
	sum->f.held_ns += m.held_ns;
}

void disk_copy_show(struct mig_job *j, const struct disk_copy_sum *sum, uint64_t started_ns,
		    unsigned percent)
{
	uint64_t took_ns = started_ns ? time_ns() - started_ns : 0;
	unsigned long flags = spin_lock(&j->lock);
	struct mig_disk_figures *f = &j->st.disk;

	f->copied_bytes = sum->f.copied_bytes;
	f->skipped_bytes = sum->f.skipped_bytes;
	f->mirrored_bytes = sum->f.mirrored_bytes;
	f->requests = sum->f.requests;
	f->wakes = sum->f.wakes;
	f->memory_copied_bytes = sum->f.memory_copied_bytes;
	f->buffer_bytes = sum->f.buffer_bytes;
	f->held = sum->f.held;
	f->held_ns = sum->f.held_ns;
	if (took_ns)
		j->st.rate_bytes_s = mul_div64(f->copied_bytes, NSEC_PER_SEC, took_ns);
	spin_unlock(&j->lock, flags);
	job_progress(j, (unsigned)(sum->done_bytes * percent / MAX(f->total_bytes, 1ull)));
}

/* Nobody removes the contents of such a disk. */
void disk_copy_note(struct mig_job *j, const char *path)
{
	size_t n = strlen(j->st.disk.whole);

	if (path[0] != '/')
		snprintf(j->st.disk.whole + n, sizeof(j->st.disk.whole) - n, "%s%s", n ? ", " : "",
			 path);
}
