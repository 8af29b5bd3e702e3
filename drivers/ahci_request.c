/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of an AHCI port: they wait in order, go into slots, and are found finished
 * by the bits that the disk has taken back. [AHCI 1.3.1 5.5 "System Software Rules"]
 */
#include <errno.h>

#include "drivers/ahci.h"

static unsigned free_slot(const struct ahci_port *p)
{
	unsigned tag = 0;

	while (tag < p->nr_slots && (p->busy & 1u << tag))
		tag++;
	return tag;
}

/* Queued commands and others never meet in a disk. */
static bool may_go(const struct ahci_port *p, const struct ahci_task *t)
{
	return !p->busy || (t->queued && !p->alone && !p->careful);
}

static void hand_over(struct ahci_port *p, unsigned tag, struct blk_req *r, bool queued)
{
	uint64_t now_ns = time_ns();
	struct ahci_slot *s = &p->slot[tag];

	*s = (struct ahci_slot){ .r = r, .seq = ++p->seq };
	s->deadline_ns = disk_deadline(r, now_ns);
	p->busy |= 1u << tag;
	p->alone = !queued;
	ahci_arm_timeout_locked(p, s->deadline_ns);
	/* Tables are in memory before the port is told: x86 keeps stores in order. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (queued)
		ahci_write(p, AHCI_PORT_SACT, 1u << tag);
	ahci_write(p, AHCI_PORT_CI, 1u << tag);
	disk_count(&p->blk.stats.doorbells);
}

void ahci_pump_locked(struct ahci_port *p)
{
	unsigned tag;

	while (p->first && (tag = free_slot(p)) < p->nr_slots) {
		struct blk_req *r = p->first;
		struct ahci_task t = ahci_task_of(p, r, tag);

		if (!may_go(p, &t) || !ahci_fill_slot(p, tag, r, &t))
			return; /* a completion makes room */
		p->first = r->next;
		r->next = NULL;
		hand_over(p, tag, r, t.queued);
	}
}

struct blk_req *ahci_release_locked(struct ahci_port *p, unsigned tag)
{
	struct blk_req *r = p->slot[tag].r;

	p->busy &= ~(1u << tag);
	p->slot[tag].r = NULL;
	return r;
}

void ahci_collect_locked(struct ahci_port *p, struct blk_req **first, struct blk_req **last)
{
	uint32_t pending = ahci_read(p, p->alone ? AHCI_PORT_CI : AHCI_PORT_SACT);
	uint32_t finished = p->busy & ~pending;

	for (unsigned tag = 0; tag < p->nr_slots; tag++)
		if (finished & 1u << tag) {
			struct blk_req *r = ahci_release_locked(p, tag);

			ahci_unbounce(p, r, true);
			p->careful -= p->careful ? 1 : 0;
			r->status = 0;
			disk_append(first, last, r);
		}
}

/*
 * An error stops the port. What was taken back before it has ended well; of a command
 * that is not queued the error is its own, whatever its bit says: some adapters clear it.
 */
void ahci_port_interrupt(struct ahci_port *p)
{
	unsigned long flags = spin_lock(&p->lock);
	struct blk_req *first = NULL, *last = NULL;
	uint32_t is = ahci_read(p, AHCI_PORT_IS);

	ahci_write(p, AHCI_PORT_IS, is);
	if (p->state == AHCI_RUNNING) {
		if (!(is & AHCI_INT_ERRORS) || !p->alone)
			ahci_collect_locked(p, &first, &last);
		if (is & AHCI_INT_ERRORS)
			ahci_broken_locked(p, false);
		else
			ahci_pump_locked(p);
	}
	spin_unlock(&p->lock, flags);
	disk_interrupted(first);
	disk_complete_all(first);
}

static void submit(struct blkdev *b, struct blk_req *r)
{
	struct ahci_port *p = container_of(b, struct ahci_port, blk);
	unsigned long flags = spin_lock(&p->lock);
	bool gone = p->state == AHCI_GONE;

	if (!gone) {
		disk_came(r);
		disk_append(&p->first, &p->last, r);
	}
	if (p->state == AHCI_RUNNING)
		ahci_pump_locked(p);
	spin_unlock(&p->lock, flags);
	if (gone)
		blk_complete(r, -ENODEV);
}

const struct blk_ops ahci_blk_ops = { .submit = submit };
