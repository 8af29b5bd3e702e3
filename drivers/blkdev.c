/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layer between users of block devices and their drivers: the list of
 * devices, checks that a request fits, quiescing, counters, and waiting.
 * A driver never sees a request that does not fit its geometry.
 *
 * d->lock guards in_flight, quiesced, the held list and the counters. It is
 * never held across a call of the driver or of done.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/blkdev.h>
#include <tern/log.h>
#include <tern/page.h>
#include <tern/timer.h>

static struct blkdev *devices[BLK_MAX_DEVICES]; /* [const] once the drivers are attached */
static unsigned nr_devices;

struct blkdev *blk_at(unsigned index)
{
	return index < nr_devices ? devices[index] : NULL;
}

struct blkdev *blk_find(const char *name)
{
	for (unsigned i = 0; i < nr_devices; i++)
		if (!strcmp(devices[i]->name, name))
			return devices[i];
	return NULL;
}

void blk_setup(struct blkdev *d)
{
	spin_init(&d->lock, LOCK_DRIVER, "blkdev");
	waitq_init(&d->quiet, "blkdev quiet");
}

int blk_register(struct blkdev *d)
{
	const struct blk_geometry *g = &d->geo;

	if (nr_devices == BLK_MAX_DEVICES) {
		log_warn("disk", "more than %u disks: one is not used", BLK_MAX_DEVICES);
		return -ENOSPC;
	}
	blk_setup(d);
	snprintf(d->name, sizeof(d->name), "disk%u", nr_devices);
	devices[nr_devices++] = d;
	log_info("disk", "%s: %s %s, %llu MiB, blocks of %u bytes%s%s", d->name, d->driver,
		 d->model[0] ? d->model : "without a name",
		 (unsigned long long)(g->blocks * g->block_bytes >> 20), g->block_bytes,
		 g->volatile_cache ? ", write cache" : "", g->read_only ? ", read-only" : "");
	return 0;
}

/* ---- checks ---- */

static bool in_range(const struct blk_geometry *g, const struct blk_req *r)
{
	return r->blocks && r->block < g->blocks && r->blocks <= g->blocks - r->block;
}

static bool list_fits(const struct blk_geometry *g, const struct blk_req *r)
{
	uint64_t bytes = 0;

	if (r->nr_segs == 0 || r->nr_segs > g->max_segs ||
	    r->blocks > g->max_bytes / g->block_bytes)
		return false;
	for (uint32_t i = 0; i < r->nr_segs; i++) {
		if (!r->segs[i].len)
			return false;
		bytes += r->segs[i].len;
	}
	return bytes == r->blocks * g->block_bytes;
}

static int check(const struct blk_geometry *g, const struct blk_req *r)
{
	uint64_t most = r->op == BLK_DISCARD ? g->max_discard_blocks : g->max_zeroes_blocks;

	switch (r->op) {
	case BLK_FLUSH:
		return 0;
	case BLK_READ:
		return in_range(g, r) && list_fits(g, r) ? 0 : -EINVAL;
	case BLK_WRITE:
		if (g->read_only)
			return -EROFS;
		return in_range(g, r) && list_fits(g, r) ? 0 : -EINVAL;
	case BLK_DISCARD:
	case BLK_WRITE_ZEROES:
		if (g->read_only)
			return -EROFS;
		if (!most)
			return -ENOTSUP;
		return in_range(g, r) && r->blocks <= most ? 0 : -EINVAL;
	default:
		return -ENOTSUP;
	}
}

/* ---- submission and completion ---- */

/* True when it goes to the driver now. */
static bool enter(struct blkdev *d, struct blk_req *r)
{
	unsigned long flags = spin_lock(&d->lock);
	bool now = d->quiesced == 0;

	if (now) {
		d->in_flight++;
	} else {
		if (d->held)
			d->held_last->next = r;
		else
			d->held = r;
		d->held_last = r;
	}
	spin_unlock(&d->lock, flags);
	return now;
}

/* Counted in already. */
static void start(struct blkdev *d, struct blk_req *r)
{
	if (r->op == BLK_FLUSH && !d->geo.volatile_cache)
		blk_complete(r, 0);
	else
		d->ops->submit(d, r);
}

void blk_submit(struct blkdev *d, struct blk_req *r)
{
	int err = check(&d->geo, r);

	r->dev = d;
	r->next = NULL;
	r->tries = 0;
	r->status = err;
	r->start_ns = time_ns();
	if (err)
		r->done(r);
	else if (enter(d, r))
		start(d, r);
}

/* In flight until done has returned: whoever quiesced finds no callback under way. */
void blk_complete(struct blk_req *r, int status)
{
	struct blkdev *d = r->dev;
	uint64_t took_ns = time_ns() - r->start_ns;
	unsigned long flags = spin_lock(&d->lock);

	d->stats.requests[r->op]++;
	d->stats.busy_ns[r->op] += took_ns;
	if (status)
		d->stats.errors++;
	else if (r->op != BLK_FLUSH)
		d->stats.bytes[r->op] += r->blocks * d->geo.block_bytes;
	spin_unlock(&d->lock, flags);
	r->status = status;
	r->done(r);
	flags = spin_lock(&d->lock);
	if (--d->in_flight == 0 && d->quiesced)
		waitq_wake_all(&d->quiet);
	spin_unlock(&d->lock, flags);
}

void blk_stats(struct blkdev *d, struct blk_stats *out)
{
	unsigned long flags = spin_lock(&d->lock);

	*out = d->stats;
	spin_unlock(&d->lock, flags);
}

/* ---- owners ---- */

int blk_claim(struct blkdev *d, const char *who, bool write)
{
	unsigned long flags = spin_lock(&d->lock);
	int err = d->claims && (write || d->claimed_write) ? -EBUSY : 0;

	if (!err) {
		d->claims++;
		d->claimed_write = write;
		snprintf(d->owner, sizeof(d->owner), "%s", who);
	}
	spin_unlock(&d->lock, flags);
	return err;
}

void blk_disclaim(struct blkdev *d)
{
	unsigned long flags = spin_lock(&d->lock);

	tern_assert(d->claims);
	if (--d->claims == 0)
		d->claimed_write = false;
	spin_unlock(&d->lock, flags);
}

void blk_owner(struct blkdev *d, char who[BLK_OWNER])
{
	unsigned long flags = spin_lock(&d->lock);

	memcpy(who, d->owner, BLK_OWNER);
	if (!d->claims)
		who[0] = 0;
	spin_unlock(&d->lock, flags);
}

/* ---- quiescing ---- */

void blk_quiesce(struct blkdev *d)
{
	unsigned long flags = spin_lock(&d->lock);

	d->quiesced++;
	while (d->in_flight)
		(void)waitq_sleep(&d->quiet, &d->lock, &flags, NEVER_NS);
	spin_unlock(&d->lock, flags);
}

void blk_resume(struct blkdev *d)
{
	unsigned long flags = spin_lock(&d->lock);
	struct blk_req *r = NULL;

	tern_assert(d->quiesced);
	if (--d->quiesced == 0) {
		r = d->held;
		d->held = NULL;
		for (struct blk_req *i = r; i; i = i->next)
			d->in_flight++;
	}
	spin_unlock(&d->lock, flags);
	while (r) {
		struct blk_req *next = r->next;

		r->next = NULL;
		start(d, r);
		r = next;
	}
}

/* ---- waiting ---- */

static void wake_user(struct blk_req *r)
{
	event_signal(r->user);
}

int blk_wait(struct blkdev *d, struct blk_req *r)
{
	struct event done;

	event_init(&done, "blk_wait");
	r->done = wake_user;
	r->user = &done;
	blk_submit(d, r);
	(void)event_wait(&done, NEVER_NS); /* drivers end every request: they have time-outs */
	return r->status;
}

int blk_transfer(struct blkdev *d, enum blk_op op, uint64_t block, uint64_t count, void *buf)
{
	uint64_t most = d->geo.max_bytes / d->geo.block_bytes;
	char *at = buf;

	while (count) {
		uint64_t blocks = MIN(count, most), bytes = blocks * d->geo.block_bytes;
		struct blk_seg seg = { .addr = ptr_hpa(at), .len = (uint32_t)bytes };
		struct blk_req r = {
			.op = op, .block = block, .blocks = blocks, .segs = &seg, .nr_segs = 1
		};
		int err = blk_wait(d, &r);

		if (err)
			return err;
		block += blocks;
		count -= blocks;
		at += bytes;
	}
	return 0;
}
