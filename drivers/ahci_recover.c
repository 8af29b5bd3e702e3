/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a disk at an AHCI port reports an error or does not answer. With one error the
 * disk gives up all that it has queued, so the failed one must be told from the
 * others: by the disk's log of it, or, where there is no log, by handing all of them
 * over again one by one. The others are replayed, in order, and have lost nothing.
 * [AHCI 1.3.1 6.2.2 "Software Error Recovery"], [ACS-3 "NCQ Command Error log"]
 */
#include <errno.h>

#include <tern/log.h>

#include "drivers/ahci.h"

#define LOG_BYTES 512u
#define LOG_NOT_QUEUED 0x80u
#define LOG_TAG 0x1fu
#define NOBODY AHCI_SLOTS

void ahci_broken_locked(struct ahci_port *p, bool late)
{
	p->state = AHCI_RECOVERING;
	p->late = late;
	event_signal(&p->broken);
}

/*
 * The timer runs on when requests end, because its callback takes the port's lock. It
 * is never further away than a request that comes now may ask for.
 */
void ahci_arm_timeout_locked(struct ahci_port *p, uint64_t deadline_ns)
{
	if (p->timer_on)
		return;
	p->timer_on = true;
	timer_arm(&p->timeout, MIN(deadline_ns, time_ns() + DISK_TRY_NS));
}

/* How many are past their deadline; *next_ns: the next deadline, if there is one. */
static unsigned late_locked(const struct ahci_port *p, uint64_t now_ns, uint64_t *next_ns)
{
	unsigned late = 0;

	*next_ns = NEVER_NS;
	for (unsigned tag = 0; tag < p->nr_slots; tag++) {
		if (!(p->busy & 1u << tag))
			continue;
		late += now_ns >= p->slot[tag].deadline_ns;
		*next_ns = MIN(*next_ns, p->slot[tag].deadline_ns);
	}
	return late;
}

static void on_timeout(struct timer *t)
{
	struct ahci_port *p = container_of(t, struct ahci_port, timeout);
	unsigned long flags = spin_lock(&p->lock);
	uint64_t next_ns, now_ns = time_ns();
	unsigned was_late = late_locked(p, now_ns, &next_ns), late = 0;
	struct blk_req *over = NULL, *over_last;

	spin_unlock(&p->lock, flags);
	ahci_port_interrupt(p); /* one may only have been lost */
	flags = spin_lock(&p->lock);
	p->timer_on = false;
	next_ns = NEVER_NS;
	if (p->state == AHCI_RUNNING) {
		uint64_t end_ns = disk_expire(&p->first, &p->last, now_ns, &over, &over_last);

		late = late_locked(p, now_ns, &next_ns);
		next_ns = MIN(next_ns, end_ns);
		disk_count_late(&p->blk, was_late, late);
	}
	if (late)
		ahci_broken_locked(p, true);
	else if (next_ns != NEVER_NS)
		ahci_arm_timeout_locked(p, next_ns);
	spin_unlock(&p->lock, flags);
	disk_complete_all(over);
}

/* The slot that failed, by the disk's own log, which also has it take commands again. */
static unsigned ask_log(struct ahci_port *p)
{
	struct ahci_task t = { .command = ATA_READ_LOG_EXT, .lba = ATA_LOG_NCQ_ERROR, .count = 1 };
	uint8_t tag;

	if (!p->id.logs || p->bounced || !ahci_stop(p, AHCI_STOP_NS))
		return NOBODY;
	ahci_start(p);
	if (!ahci_poll(p, &t, LOG_BYTES, AHCI_LOG_NS))
		return NOBODY;
	tag = (uint8_t)p->bounce[0];
	if ((tag & LOG_NOT_QUEUED) || !(p->busy & 1u << (tag & LOG_TAG)))
		return NOBODY;
	return tag & LOG_TAG;
}

/* Whose the error is; NOBODY: not known. With one command in flight there is no doubt. */
static unsigned find_failed(struct ahci_port *p, bool *reset)
{
	unsigned tag = NOBODY;

	*reset = true;
	if (p->late)
		return NOBODY;
	if ((p->busy & (p->busy - 1)) == 0)
		return p->busy ? (unsigned)__builtin_ctz(p->busy) : NOBODY;
	tag = ask_log(p);
	*reset = tag == NOBODY;
	return tag;
}

static const char *error_text(uint32_t tfd)
{
	uint8_t status = (uint8_t)tfd;

	if (!(status & (IDE_STATUS_ERR | IDE_STATUS_DF)))
		return "bus error";
	return ide_error_text(status, (uint8_t)(tfd >> 8));
}

static unsigned latest(const struct ahci_port *p)
{
	unsigned last = NOBODY;

	for (unsigned tag = 0; tag < p->nr_slots; tag++)
		if ((p->busy & 1u << tag) &&
		    (last == NOBODY || p->slot[tag].seq > p->slot[last].seq))
			last = tag;
	return last;
}

/* True when it is to be handed over again; else r->status says how it ends. */
static bool goes_again(struct ahci_port *p, struct blk_req *r, bool failed, const char *why)
{
	r->status = failed ? -EIO : -ETIMEDOUT;
	if (p->state == AHCI_GONE)
		return false;
	if (failed)
		return disk_again(r, why);
	return !p->late || disk_again_after(r, time_ns());
}

/* The port is empty: all in flight waits again, in front and in order, or is done, as what waited
 * may be. */
static void requeue_locked(struct ahci_port *p, unsigned failed, const char *why,
			   struct blk_req **first, struct blk_req **last)
{
	bool unknown = !p->late && failed == NOBODY;
	unsigned tag;

	p->careful = unknown ? 0 : p->careful;
	while ((tag = latest(p)) != NOBODY) {
		struct blk_req *r = ahci_release_locked(p, tag);

		ahci_unbounce(p, r, false);
		if (!goes_again(p, r, tag == failed, why)) {
			disk_append(first, last, r);
			p->careful -= p->careful ? 1 : 0;
			continue;
		}
		if (!p->first)
			p->last = r;
		r->next = p->first;
		p->first = r;
		p->careful += unknown;
	}
	(void)disk_expire(&p->first, &p->last, time_ns(), first, last);
}

static void give_up_locked(struct ahci_port *p, struct blk_req **first, struct blk_req **last)
{
	struct blk_req *r;

	while ((r = p->first) != NULL) {
		p->first = r->next;
		r->status = -ENODEV;
		disk_append(first, last, r);
	}
}

void ahci_recover(struct ahci_port *p)
{
	struct blk_req *first = NULL, *last = NULL;
	const char *why = error_text(ahci_read(p, AHCI_PORT_TFD));
	bool reset, alive = true;
	unsigned failed = find_failed(p, &reset);
	unsigned long flags;

	if (reset) {
		disk_count(&p->blk.stats.resets);
		alive = ahci_comreset(p);
		if (alive)
			ahci_start(p);
	}
	flags = spin_lock(&p->lock);
	p->state = alive ? AHCI_RUNNING : AHCI_GONE;
	requeue_locked(p, failed, why, &first, &last);
	if (alive)
		ahci_pump_locked(p);
	else
		give_up_locked(p, &first, &last);
	spin_unlock(&p->lock, flags);
	if (!alive)
		log_error("ahci", "%s does not come out of its reset", p->blk.name);
	disk_complete_all(first);
}

static void recovery_world(void *port)
{
	struct ahci_port *p = port;

	for (;;) {
		(void)event_wait(&p->broken, NEVER_NS);
		ahci_recover(p);
	}
}

int ahci_recover_start(struct ahci_port *p)
{
	struct world_opts o = { .name = p->name, .prio = WORLD_HIGH, .cpu = -1 };

	timer_setup(&p->timeout, on_timeout);
	event_init(&p->broken, "ahci recovery");
	return world_create(NULL, &o, recovery_world, p);
}
