/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --verify of disks that move to another host (source_disks_int.h): what was copied is compared
 * once before the memory goes; beside pre-copy, in the same world, what the guest has written
 * since; in the stun the rest, if it is little.
 *
 * The other host reads its disk and compares, in its order of the changes (blk_sender_check): here
 * nothing waits for an answer but the flush behind the first pass, and the one in the stun.
 */
#include <errno.h>

#include "phase.h"
#include "source_disks_int.h"

#define AGAIN_NS (100 * NSEC_PER_MSEC)
#define REST_MAX (64ull << 20)
#define STUN_SHARE 4u /* of the budget, for the rest */

/* ---- a disk ---- */

static int check(void *user, uint64_t block, uint64_t blocks, uint32_t sum)
{
	struct source_disk *d = container_of(user, struct source_disk, copy);
	struct source_disks *all = d->s->disks;
	uint32_t bytes = d->copy.m->front.geo.block_bytes;

	return blk_sender_check(all->sender, (unsigned)(d - all->disk), block * bytes,
				blocks * bytes, sum);
}

int source_verify_init(struct source_disk *d)
{
	int err = disk_copy_digest(&d->copy);

	d->copy.digest.check = check;
	return err;
}

/* ---- the world ---- */

static bool stops(struct source_verify *v)
{
	return __atomic_load_n(&v->stop, __ATOMIC_ACQUIRE);
}

static int asked(void *user)
{
	return stops(&container_of(user, struct source_disk, copy)->s->disks->verify) ? -ECANCELED
										      : 0;
}

/* Once over what is not compared. */
static int pass(struct source_disks *d)
{
	uint64_t at;
	int err = 0;

	for (unsigned i = 0; i < d->nr && !err; i++) {
		err = digest_verify(&d->disk[i].copy.digest, &at);
		if (err)
			d->verify.failed = &d->disk[i];
	}
	return err;
}

static void tell(struct source_disks *d, int err)
{
	struct mig_job *j = d->disk[0].s->j;
	unsigned long f = spin_lock(&j->lock);

	d->verify.once = true;
	d->verify.error = err;
	job_changed_locked(j);
	spin_unlock(&j->lock, f);
}

static void verify_world(void *arg)
{
	struct source_disks *d = arg;
	struct source_verify *v = &d->verify;
	int err = pass(d);

	if (!err) /* then all answers are here */
		err = blk_sender_flush(d->sender, NEVER_NS);
	tell(d, err);
	while (!err && !stops(v)) {
		(void)event_wait(&v->wake, time_ns() + AGAIN_NS);
		err = pass(d);
	}
	tell(d, err);
}

static void set_asked(struct source_disks *d, int (*fn)(void *))
{
	for (unsigned i = 0; i < d->nr; i++)
		d->disk[i].copy.bulk.asked = fn;
}

static void join(struct source_disks *d)
{
	struct source_verify *v = &d->verify;

	__atomic_store_n(&v->stop, true, __ATOMIC_RELEASE);
	event_signal(&v->wake);
	world_join(v->world);
	v->world = NULL;
	set_asked(d, source_disks_asked);
}

static void show(struct source *s)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < s->disks->nr; i++)
		bytes += s->disks->disk[i].copy.digest.compared_bytes;
	s->j->st.disk.compared_bytes = bytes;
}

/* ---- steps ---- */

static int start(struct source_disks *d)
{
	struct world_opts o = { .name = "disks-verify", .prio = WORLD_NORMAL, .cpu = -1 };
	int err;

	event_init(&d->verify.wake, "disks-verify");
	set_asked(d, asked);
	err = world_create(&d->verify.world, &o, verify_world, d);
	if (err) {
		d->verify.world = NULL;
		set_asked(d, source_disks_asked);
	}
	return err;
}

static bool was_once(const void *arg)
{
	return ((const struct source_verify *)arg)->once;
}

/* What the world has found, or found before it was told to stop. */
static int verdict(struct source *s)
{
	struct source_verify *v = &s->disks->verify;
	unsigned long f = spin_lock(&s->j->lock);
	int err = v->error;

	spin_unlock(&s->j->lock, f);
	if (!err || (err == -ECANCELED && stops(v)))
		return 0;
	return v->failed ? source_disk_failed(v->failed, err) : source_disks_sender(s, err);
}

int source_verify_copied(struct source *s)
{
	int err = source_hold(s->j, MIG_VERIFY);

	if (!err)
		err = start(s->disks);
	if (!err)
		err = source_until(s->j, was_once, &s->disks->verify, NEVER_NS);
	return err ? err : verdict(s);
}

int source_verify_stop(struct source *s)
{
	if (!s->disks->verify.world)
		return 0;
	join(s->disks);
	show(s);
	return verdict(s);
}

int source_verify_rest(struct source *s)
{
	uint64_t little = s->j->st.rate_bytes_s * s->j->req.budget_ms / 1000 / STUN_SHARE;
	struct source_disks *d = s->disks;
	uint64_t at;
	int err = 0;

	for (unsigned i = 0; i < d->nr && !err; i++) {
		struct source_disk *k = &d->disk[i];

		if (!disk_copy_left(&k->copy, MIN(little, REST_MAX),
				    &s->j->st.disk.uncompared_bytes))
			err = digest_verify(&k->copy.digest, &at);
		if (err)
			err = source_disk_failed(k, err);
	}
	show(s);
	return err;
}

void source_verify_end(struct source_disks *d)
{
	if (d->verify.world)
		join(d);
}
