/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of the disks waits for the other host (source_disks_int.h). All of it has to be there
 * before the VM may run there, so the guest stands still for as long as it takes. A guest that
 * writes faster than the link takes it would keep the whole buffer full, which is a quarter of
 * a minute at ten megabits a second; so once the copy is over its writes wait for room earlier: no
 * more is buffered than what is acknowledged in half of the stun budget. What waits then is in
 * addition to that, as much as the guest's queues hold; so before the stun its disks take nothing
 * more out of these, until what was taken is in the buffer. And it has to be durable
 * there, which a disk with much in its cache takes long for: so that is flushed once when the copy
 * is over, and each second from then on.
 */
#include <errno.h>

#include <tern/vdev.h>

#include "phase.h"
#include "source_disks_int.h"

#define SAMPLE_NS (100 * NSEC_PER_MSEC)
#define LOOK_NS (50 * NSEC_PER_MSEC)
#define HOLD_MIN (128ull << 10)
#define RATE_FLOOR (64ull << 10)
#define FLUSH_EVERY_NS NSEC_PER_SEC

/* Time in which nothing waited says nothing. */
static void measure(struct source_rate *r, const struct blk_sender_stats *st)
{
	uint64_t now = time_ns(), dt = now - r->mark_ns, rate;

	if (st->buffered && dt < SAMPLE_NS)
		return;
	if (st->buffered && r->mark_ns) {
		rate = mul_div64(st->acked_bytes - r->mark_bytes, NSEC_PER_SEC, dt);
		r->bytes_s = r->bytes_s ? (3 * r->bytes_s + rate) / 4 : rate;
	}
	r->mark_ns = now;
	r->mark_bytes = st->acked_bytes;
}

static uint64_t hold_bytes(const struct source *s)
{
	uint64_t half_ns = s->j->req.budget_ms * NSEC_PER_MSEC / 2;

	return MAX(mul_div64(s->disks->rate.bytes_s, half_ns, NSEC_PER_SEC), HOLD_MIN);
}

/* Nobody waits for it: one at a time, and only behind something new. */
static void flush_beside(struct source_disks *d, const struct blk_sender_stats *st)
{
	struct source_flush *f = &d->flush;
	uint64_t now = time_ns(), seq;

	if (st->acked < f->seq || st->acked_bytes == f->acked_bytes ||
	    now - f->at_ns < FLUSH_EVERY_NS)
		return;
	seq = blk_sender_flush_begin(d->sender);
	if (seq)
		*f = (struct source_flush){ seq, now, st->acked_bytes };
}

int source_disks_look(struct source *s)
{
	struct source_disks *d = s->disks;
	struct blk_sender_stats st;

	if (!d || !d->sender)
		return 0;
	blk_sender_stats(d->sender, &st);
	measure(&d->rate, &st);
	if (d->rate.bytes_s)
		blk_sender_hold(d->sender, hold_bytes(s));
	flush_beside(d, &st);
	return source_disks_sender(s, 0); /* after an error what waits stays for ever */
}

uint64_t source_disks_rest_ns(const struct source *s)
{
	struct blk_sender_stats st;

	if (!s->disks || !s->disks->sender)
		return 0;
	blk_sender_stats(s->disks->sender, &st);
	return mul_div64(st.buffered, NSEC_PER_SEC, MAX(s->disks->rate.bytes_s, RATE_FLOOR));
}

/* ---- what the guest has asked for ---- */

static void set_paused(struct source *s, bool on)
{
	struct source_disks *d = s->disks;

	for (unsigned i = 0; i < d->nr && d->paused != on; i++)
		vdisk_pause(s->j->vm, d->disk[i].index, on);
	d->paused = on;
}

static bool any_in_flight(const struct source *s)
{
	struct vdisk_info info;
	bool any = false;

	for (unsigned i = 0; i < s->disks->nr && !any; i++)
		any = vdisk_at(s->j->vm, s->disks->disk[i].index, &info) && info.in_flight;
	return any;
}

bool source_disks_calm(struct source *s)
{
	struct source_disks *d = s->disks;
	struct blk_sender_stats st;

	if (!d || !d->sender)
		return true;
	blk_sender_stats(d->sender, &st);
	if (!d->paused && !st.full)
		return true;
	set_paused(s, true);
	return !any_in_flight(s);
}

void source_disks_go_on(struct source *s)
{
	if (source_disks_paused(s))
		set_paused(s, false);
}

bool source_disks_paused(const struct source *s)
{
	return s->disks && s->disks->paused;
}

/* ---- the end of the copy ---- */

static bool is_short(struct source *s)
{
	struct blk_sender_stats st;

	blk_sender_stats(s->disks->sender, &st);
	return st.buffered <= hold_bytes(s);
}

static int well(void *user)
{
	return source_disks_well(user);
}

int source_backlog_flush(struct source *s)
{
	int err;

	if (!s->disks->sender)
		return 0;
	err = blk_sender_flush_asked(s->disks->sender, well, s);
	return err ? source_disks_sender(s, err) : 0;
}

int source_backlog_wait(struct source *s)
{
	int err = 0;

	if (!s->disks->sender)
		return 0;
	while (!err && !(err = source_disks_look(s)) && !is_short(s)) {
		err = source_pause(s->j, time_ns() + LOOK_NS);
		if (!err)
			err = source_vm_runs(s->j);
	}
	return err ? err : source_backlog_flush(s);
}
