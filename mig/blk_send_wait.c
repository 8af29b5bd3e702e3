/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes to another host's disks between the writes (blk_send_int.h), and has no contents:
 * flushes, checks, marks of snapshots; and who waits for the other host, and how long.
 */
#include <errno.h>

#include "blk_send_int.h"

#define ASK_NS (50 * NSEC_PER_MSEC)

/* What ends a wait for the other host, but for what is waited for and the sender's error. */
struct patience {
	uint64_t deadline_ns;
	int (*asked)(void *user);
	void *user;
	uint64_t ask_ns; /* when it is asked next; NEVER_NS: it is not */
};

/* Until something may have changed. The lock is let go while somebody is asked. */
static int sleep_locked(struct blk_sender *s, unsigned long *f, struct patience *p)
{
	int err;

	if (time_ns() >= p->ask_ns) {
		spin_unlock(&s->lock, *f);
		err = p->asked(p->user);
		p->ask_ns = time_ns() + ASK_NS;
		*f = spin_lock(&s->lock);
		return err;
	}
	err = waitq_sleep(&s->changed, &s->lock, f, MIN(p->deadline_ns, p->ask_ns));
	return err == -ETIMEDOUT && time_ns() < p->deadline_ns ? 0 : err;
}

/* One without contents into the buffer, where there is a slot: its number; 0: there is none. */
static uint64_t put_now_locked(struct blk_sender *s, const struct wire_blocks *b)
{
	struct send_slot *slot = s->error ? NULL : blk_send_take_locked(s, 0);
	uint64_t seq;

	if (!slot)
		return 0;
	seq = slot->b.seq;
	slot->b = *b;
	slot->b.seq = seq;
	slot->ready = true;
	waitq_wake_all(&s->changed);
	return seq;
}

/* The same, which waits for the slot: 0 with *err, or after an error. */
static uint64_t put_locked(struct blk_sender *s, unsigned long *f, const struct wire_blocks *b,
			   struct patience *p, int *err)
{
	uint64_t seq;

	while (!(seq = put_now_locked(s, b)) && !s->error && !*err)
		*err = sleep_locked(s, f, p);
	return seq;
}

static const struct wire_blocks flush_of_all = { .op = BLOCKS_FLUSH };

static int flush(struct blk_sender *s, struct patience p)
{
	unsigned long f = spin_lock(&s->lock);
	int err = 0;
	uint64_t seq = put_locked(s, &f, &flush_of_all, &p, &err);

	while (seq && !s->error && !err && s->acked < seq)
		err = sleep_locked(s, &f, &p);
	if (s->error)
		err = s->error;
	spin_unlock(&s->lock, f);
	return err;
}

int blk_sender_flush(struct blk_sender *s, uint64_t deadline_ns)
{
	return flush(s, (struct patience){ .deadline_ns = deadline_ns, .ask_ns = NEVER_NS });
}

int blk_sender_flush_asked(struct blk_sender *s, int (*asked)(void *user), void *user)
{
	return flush(s, (struct patience){ .deadline_ns = NEVER_NS, .asked = asked, .user = user });
}

uint64_t blk_sender_flush_begin(struct blk_sender *s)
{
	unsigned long f = spin_lock(&s->lock);
	uint64_t seq = put_now_locked(s, &flush_of_all);

	spin_unlock(&s->lock, f);
	return seq;
}

/* The next flush waits for what becomes of it. */
static int put(struct blk_sender *s, const struct wire_blocks *b)
{
	struct patience p = { .deadline_ns = NEVER_NS, .ask_ns = NEVER_NS };
	unsigned long f = spin_lock(&s->lock);
	int err = 0;

	s->stats.checks += put_locked(s, &f, b, &p, &err) && b->op == BLOCKS_CHECK;
	if (s->error)
		err = s->error;
	spin_unlock(&s->lock, f);
	return err;
}

int blk_sender_check(struct blk_sender *s, unsigned disk, uint64_t offset, uint64_t bytes,
		     uint32_t sum)
{
	struct wire_blocks b = {
		.disk = disk, .op = BLOCKS_CHECK, .offset = offset, .bytes = bytes, .sum = sum
	};

	return s->version < WIRE_VERSION_CHECKS ? -ENOTSUP : put(s, &b);
}

int blk_sender_snapshot(struct blk_sender *s, unsigned disk)
{
	struct wire_blocks b = { .disk = disk, .op = BLOCKS_SNAPSHOT };

	return s->version < WIRE_VERSION_CHAINS ? -ENOTSUP : put(s, &b);
}
