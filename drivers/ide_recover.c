/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a drive fails or does not answer. An error is tried again at once; a
 * drive that is silent, or not ready for a command, makes the channel's world
 * reset it and then try again, until the request has had its time (disk.h). One that is
 * busy after its reset, as when it spins up, fails what waits, and is reset again
 * for the next request. While the channel is IDE_RECOVERING its registers are that world's
 * alone, and requests queue up.
 */
#include <errno.h>

#include <tern/cpu.h>
#include <tern/log.h>

#include "drivers/disk.h"
#include "drivers/ide.h"

#define RESET_HOLD_NS (10 * NSEC_PER_USEC)
#define RESET_SETTLE_NS (2 * NSEC_PER_MSEC)
#define RESET_POLL_NS (10 * NSEC_PER_MSEC)

bool ide_again_locked(struct ide_channel *ch, const char *why)
{
	return disk_again(ch->current, why);
}

void ide_broken_locked(struct ide_channel *ch)
{
	ch->state = IDE_RECOVERING;
	event_signal(&ch->broken);
}

/*
 * The timer is left to run when a request ends, because its callback takes the
 * channel's lock; it looks at the deadlines of the requests that it then finds. It is
 * never further away than a request that comes now may ask for.
 */
void ide_arm_timeout_locked(struct ide_channel *ch)
{
	uint64_t now_ns = time_ns();

	ch->deadline_ns = disk_deadline(ch->current, now_ns);
	if (ch->timer_on)
		return;
	ch->timer_on = true;
	timer_arm(&ch->timeout, MIN(ch->deadline_ns, now_ns + DISK_TRY_NS));
}

/* Past the deadline: an interrupt may only have been lost. */
static struct blk_req *late_locked(struct ide_channel *ch, int *status)
{
	struct blkdev *d = ch->current->dev;
	struct blk_req *r = ide_poll_locked(ch, status);

	disk_count_late(d, 1, !r);
	if (!r && ch->state == IDE_BUSY && time_ns() >= ch->deadline_ns)
		ide_broken_locked(ch);
	return r;
}

static void on_timeout(struct timer *t)
{
	struct ide_channel *ch = container_of(t, struct ide_channel, timeout);
	unsigned long flags = spin_lock(&ch->lock);
	struct blk_req *r = NULL, *over = NULL, *over_last;
	uint64_t now_ns = time_ns(), next_ns;
	int status = 0;

	next_ns = disk_expire(&ch->first, &ch->last, now_ns, &over, &over_last);
	if (ch->state == IDE_BUSY && now_ns >= ch->deadline_ns)
		r = late_locked(ch, &status);
	ch->timer_on = ch->state == IDE_BUSY;
	if (ch->timer_on)
		timer_arm(t, MIN(MIN(ch->deadline_ns, next_ns), now_ns + DISK_TRY_NS));
	spin_unlock(&ch->lock, flags);
	if (r)
		blk_complete(r, status);
	disk_complete_all(over);
}

/* Drive 0 is selected by the reset; where there is none the other is waited for. */
bool ide_reset(struct ide_channel *ch)
{
	uint64_t end = time_ns() + DISK_RESET_NS - RESET_SETTLE_NS - RESET_POLL_NS;

	outb(ch->bm + BM_COMMAND, 0);
	outb(ch->control, IDE_CONTROL_SRST);
	delay_ns(RESET_HOLD_NS);
	outb(ch->control, 0);
	world_sleep_ns(RESET_SETTLE_NS);
	if (!ch->drive[0].present)
		ide_select(ch, IDE_DEVICE_SECOND);
	while (ide_alt_status(ch) & IDE_STATUS_BSY) {
		if (time_ns() >= end)
			return false;
		world_sleep_ns(RESET_POLL_NS);
	}
	(void)inb(ch->base + IDE_STATUS);
	return true;
}

static void recover(struct ide_channel *ch)
{
	struct blk_req *over = NULL, *last, *ended = NULL;
	bool alive = ide_reset(ch);
	unsigned long flags = spin_lock(&ch->lock);
	uint64_t now_ns = time_ns();

	disk_count(&ch->current->dev->stats.resets);
	if (!alive)
		log_error("ide", "%s does not come out of its reset", ch->name);
	(void)disk_expire(&ch->first, &ch->last, alive ? now_ns : NEVER_NS, &over, &last);
	if (!alive || !disk_again_after(ch->current, now_ns)) {
		ended = ide_finish_locked(ch);
	} else {
		ch->state = IDE_BUSY;
		if (!ide_issue_locked(ch))
			ide_broken_locked(ch);
	}
	spin_unlock(&ch->lock, flags);
	if (ended)
		blk_complete(ended, -ETIMEDOUT);
	disk_complete_all(over);
}

static void recovery_world(void *channel)
{
	struct ide_channel *ch = channel;

	for (;;) {
		(void)event_wait(&ch->broken, NEVER_NS);
		recover(ch);
	}
}

int ide_recover_start(struct ide_channel *ch)
{
	struct world_opts o = { .name = ch->name, .prio = WORLD_HIGH, .cpu = -1 };

	timer_setup(&ch->timeout, on_timeout);
	event_init(&ch->broken, "ide recovery");
	return world_create(NULL, &o, recovery_world, ch);
}
