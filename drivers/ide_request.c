/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of a channel: queued, given to the drive one at a time, ended by the
 * interrupt. The next one is begun before the one that ended is completed, so
 * that the drive does not wait for the host.
 */
#include <errno.h>

#include <tern/cpu.h>
#include <tern/page.h>

#include "drivers/disk.h"
#include "drivers/ide.h"

#define READY_TURNS 10000u /* some milliseconds: a drive that is not ready now is broken */

uint8_t ide_alt_status(const struct ide_channel *ch)
{
	return inb(ch->control);
}

/* The status is the selected drive's 400 ns later: five reads. [ATA8-APT 7.4 "Device selection"] */
void ide_select(const struct ide_channel *ch, uint8_t drive)
{
	outb((uint16_t)(ch->base + IDE_DEVICE), IDE_DEVICE_OBSOLETE | IDE_DEVICE_LBA | drive);
	for (unsigned i = 0; i < 5; i++)
		(void)ide_alt_status(ch);
}

struct ide_drive *ide_drive_of(const struct blk_req *r)
{
	return container_of(r->dev, struct ide_drive, blk);
}

static bool wait_ready(const struct ide_channel *ch)
{
	for (unsigned i = 0; i < READY_TURNS; i++) {
		if (!(ide_alt_status(ch) & (IDE_STATUS_BSY | IDE_STATUS_DRQ)))
			return true;
		cpu_pause();
	}
	return false;
}

struct taskfile {
	uint64_t lba;
	uint16_t count, features;
	enum ide_command command;
	bool wide; /* 48 bits */
};

static struct taskfile task_of(const struct ide_drive *d, const struct blk_req *r)
{
	bool wide = d->id.lba48;
	struct taskfile t = { .lba = r->block, .count = (uint16_t)r->blocks, .wide = wide };

	switch (r->op) {
	case BLK_READ:
		t.command = wide ? ATA_READ_DMA_EXT : ATA_READ_DMA;
		break;
	case BLK_DISCARD:
		t.command = ATA_DATA_SET_MANAGEMENT;
		t.features = ATA_DSM_TRIM;
		t.lba = 0;
		t.count = (uint16_t)ide_trim_blocks(r->blocks);
		break;
	case BLK_FLUSH:
		t.command = d->id.flush_ext ? ATA_FLUSH_EXT : ATA_FLUSH;
		t.lba = t.count = 0;
		break;
	default:
		t.command = wide ? ATA_WRITE_DMA_EXT : ATA_WRITE_DMA;
		break;
	}
	return t;
}

static void write_task(const struct ide_channel *ch, const struct taskfile *t, uint8_t drive)
{
	uint16_t base = ch->base;
	uint8_t device = IDE_DEVICE_OBSOLETE | IDE_DEVICE_LBA | drive;

	if (t->wide) {
		outb(base + IDE_FEATURES, (uint8_t)(t->features >> 8));
		outb(base + IDE_COUNT, (uint8_t)(t->count >> 8));
		outb(base + IDE_LBA_LOW, (uint8_t)(t->lba >> 24));
		outb(base + IDE_LBA_MID, (uint8_t)(t->lba >> 32));
		outb(base + IDE_LBA_HIGH, (uint8_t)(t->lba >> 40));
	} else {
		device |= (uint8_t)(t->lba >> 24 & 0xf);
	}
	outb(base + IDE_FEATURES, (uint8_t)t->features);
	outb(base + IDE_COUNT, (uint8_t)t->count);
	outb(base + IDE_LBA_LOW, (uint8_t)t->lba);
	outb(base + IDE_LBA_MID, (uint8_t)(t->lba >> 8));
	outb(base + IDE_LBA_HIGH, (uint8_t)(t->lba >> 16));
	outb(base + IDE_DEVICE, device);
}

static void clear_engine(const struct ide_channel *ch)
{
	uint8_t drives = inb(ch->bm + BM_STATUS) & BM_STATUS_DRIVES;

	outb(ch->bm + BM_COMMAND, 0);
	outb(ch->bm + BM_STATUS, drives | BM_STATUS_ERROR | BM_STATUS_INTERRUPT);
}

bool ide_issue_locked(struct ide_channel *ch)
{
	struct blk_req *r = ch->current;
	const struct ide_drive *d = ide_drive_of(r);
	struct taskfile t = task_of(d, r);
	uint8_t direction = r->op == BLK_READ ? BM_COMMAND_TO_MEMORY : 0;

	ide_select(ch, d->select);
	if (!wait_ready(ch))
		return false;
	clear_engine(ch);
	ch->dma = r->op != BLK_FLUSH;
	if (ch->dma) {
		ide_dma_map(ch, r);
		/* Table and data are in memory before the engine is told: ports are ordered
		 * after stores by the CPU, here by the compiler too. */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		outl(ch->bm + BM_TABLE, (uint32_t)ptr_hpa(ch->prds).v);
		outb(ch->bm + BM_COMMAND, direction);
	}
	write_task(ch, &t, d->select);
	outb(ch->base + IDE_COMMAND, (uint8_t)t.command);
	if (ch->dma)
		outb(ch->bm + BM_COMMAND, direction | BM_COMMAND_START);
	ide_arm_timeout_locked(ch);
	disk_count(&r->dev->stats.doorbells);
	return true;
}

static void next_locked(struct ide_channel *ch)
{
	struct blk_req *r = ch->first;

	if (!r)
		return;
	ch->first = r->next;
	r->next = NULL;
	ch->current = r;
	ch->state = IDE_BUSY;
	if (!ide_issue_locked(ch))
		ide_broken_locked(ch);
}

struct blk_req *ide_finish_locked(struct ide_channel *ch)
{
	struct blk_req *r = ch->current;

	ch->current = NULL;
	ch->state = IDE_IDLE;
	next_locked(ch);
	return r;
}

static void submit(struct blkdev *b, struct blk_req *r)
{
	struct ide_channel *ch = container_of(b, struct ide_drive, blk)->ch;
	unsigned long flags = spin_lock(&ch->lock);

	disk_came(r);
	disk_append(&ch->first, &ch->last, r);
	if (ch->state == IDE_IDLE)
		next_locked(ch);
	spin_unlock(&ch->lock, flags);
}

const struct blk_ops ide_blk_ops = { .submit = submit };

/* NULL: it went well. [SFF-8038i 1.0 "Bus Master IDE Status Register"] */
static const char *outcome(const struct ide_channel *ch, uint8_t status, uint8_t engine)
{
	if (status & (IDE_STATUS_ERR | IDE_STATUS_DF))
		return ide_error_text(status, inb(ch->base + IDE_ERROR));
	if (ch->dma && (engine & BM_STATUS_ERROR))
		return "bus error";
	if (ch->dma && (engine & BM_STATUS_ACTIVE))
		return "transfer ended early";
	return NULL;
}

struct blk_req *ide_poll_locked(struct ide_channel *ch, int *status)
{
	uint8_t engine = inb(ch->bm + BM_STATUS), drive;
	const char *why;

	if (!(engine & BM_STATUS_INTERRUPT) || (ide_alt_status(ch) & IDE_STATUS_BSY))
		return NULL;		    /* a shared pin, and another's */
	drive = inb(ch->base + IDE_STATUS); /* takes the interrupt away */
	why = outcome(ch, drive, engine);
	clear_engine(ch);
	if (ch->state != IDE_BUSY)
		return NULL;
	if (why) {
		*status = -EIO;
		if (!ide_again_locked(ch, why))
			return ide_finish_locked(ch);
		if (!ide_issue_locked(ch))
			ide_broken_locked(ch);
		return NULL;
	}
	*status = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ide_dma_unmap(ch, ch->current);
	return ide_finish_locked(ch);
}

void ide_interrupt(void *channel)
{
	struct ide_channel *ch = channel;
	unsigned long flags = spin_lock(&ch->lock);
	int status = 0;
	struct blk_req *r = ide_poll_locked(ch, &status);

	spin_unlock(&ch->lock, flags);
	disk_interrupted(r);
	if (r)
		blk_complete(r, status);
}
