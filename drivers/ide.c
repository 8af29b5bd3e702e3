/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IDE controllers on PCI with a bus-master engine, as Intel's PIIX: two channels
 * of two drives, at a PC's old ports or where the BARs say. Disks that do DMA are
 * registered; CD drives and others are named in the log and left alone. Transfer
 * modes stay as firmware set them, since the timing of the wires belongs to it.
 *
 * Probing runs in a world, with the channels' interrupts off.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/page.h>

#include "drivers/ide.h"
#include "drivers/pci_int.h"

#define CLASS_STORAGE 0x01u
#define SUBCLASS_IDE 0x01u
#define PROG_NATIVE(channel) (1u << ((channel)*2)) /* of prog_if */
#define PROG_BUS_MASTER 0x80u
#define VENDOR_INTEL 0x8086u
#define BAR_BUS_MASTER 4u

#define IDENTIFY_LIMIT_NS (10 * NSEC_PER_SEC)
#define IDENTIFY_POLL_NS NSEC_PER_MSEC
#define ATAPI_SIGNATURE 0xeb14u /* of the LBA registers after a refused IDENTIFY */
#define ZEROES_ORDER 4u		/* 64 KiB */
_Static_assert((PAGE_SIZE << ZEROES_ORDER) == IDE_PRD_SPAN, "one region of zeroes");

static unsigned nr_controllers;

/* ---- drives ---- */

/* Something keeps what is written to its registers. */
static bool answers(const struct ide_channel *ch, uint8_t select)
{
	ide_select(ch, select);
	if (ide_alt_status(ch) == IDE_STATUS_GONE)
		return false;
	outb(ch->base + IDE_COUNT, 0x55);
	outb(ch->base + IDE_LBA_LOW, 0xaa);
	return inb(ch->base + IDE_COUNT) == 0x55 && inb(ch->base + IDE_LBA_LOW) == 0xaa;
}

/* The drive's status once it is not busy; IDE_STATUS_GONE when that takes too long. */
static uint8_t wait_not_busy(const struct ide_channel *ch)
{
	uint64_t end = time_ns() + IDENTIFY_LIMIT_NS;

	while (ide_alt_status(ch) & IDE_STATUS_BSY) {
		if (time_ns() >= end)
			return IDE_STATUS_GONE;
		world_sleep_ns(IDENTIFY_POLL_NS);
	}
	return inb(ch->base + IDE_STATUS);
}

/* False when there is nothing; a drive that is no disk is logged. */
static bool identify(const struct ide_channel *ch, uint8_t select, uint16_t word[256])
{
	uint8_t status;
	uint16_t signature;

	if (!answers(ch, select))
		return false;
	outb(ch->base + IDE_COMMAND, ATA_IDENTIFY);
	(void)ide_alt_status(ch);
	status = wait_not_busy(ch);
	if (status == IDE_STATUS_GONE || !(status & IDE_STATUS_DRQ)) {
		signature =
			(uint16_t)(inb(ch->base + IDE_LBA_HIGH) << 8 | inb(ch->base + IDE_LBA_MID));
		if (signature == ATAPI_SIGNATURE)
			log_info("ide", "%s: drive %u is a CD drive or the like (ATAPI): not used",
				 ch->name, select ? 1 : 0);
		return false;
	}
	for (unsigned i = 0; i < 256; i++)
		word[i] = inw(ch->base + IDE_DATA);
	(void)inb(ch->base + IDE_STATUS);
	return true;
}

static struct blk_geometry geometry(const struct ide_identity *id)
{
	uint32_t max_bytes = id->lba48 ? IDE_MAX_BYTES : 256 * id->block_bytes;
	uint32_t trim_blocks = MIN(id->trim_blocks, IDE_MAX_BYTES / IDE_TRIM_BLOCK_BYTES);

	return (struct blk_geometry){
		.blocks = id->blocks,
		.block_bytes = id->block_bytes,
		.physical_bytes = id->physical_bytes,
		.max_segs = IDE_MAX_SEGS,
		.max_bytes = MIN(max_bytes, IDE_MAX_BYTES),
		.max_discard_blocks = id->trim ? (uint64_t)trim_blocks * IDE_TRIM_BLOCK_REACH : 0,
		.max_zeroes_blocks = MIN(max_bytes, IDE_MAX_BYTES) / id->block_bytes,
		.queue_depth = 1,
		.dma_align = 2,
		.dma_limit = 1ull << 32,
		.volatile_cache = id->write_cache,
	};
}

static void find_drive(struct ide_channel *ch, unsigned n)
{
	struct ide_drive *d = &ch->drive[n];
	uint16_t word[256];
	const char *why;

	d->ch = ch;
	d->select = n ? IDE_DEVICE_SECOND : 0;
	if (!identify(ch, d->select, word))
		return;
	if (ide_parse_identify(word, &d->id, &why)) {
		log_warn("ide", "%s: drive %u (%s) is not used: %s", ch->name, n, d->id.model, why);
		return;
	}
	d->present = true;
	d->blk.ops = &ide_blk_ops;
	d->blk.driver = "ide";
	memcpy(d->blk.model, d->id.model, sizeof(d->id.model));
	memcpy(d->blk.serial, d->id.serial, sizeof(d->id.serial));
	d->blk.geo = geometry(&d->id);
}

/* ---- channels ---- */

static void *low_pages(unsigned order)
{
	hpa_t a;

	return page_alloc(order, PAGE_ZERO | PAGE_LOW4G, FRAME_KERNEL, &a) ? NULL : hpa_ptr(a);
}

static int take_memory(struct ide_channel *ch)
{
	ch->prds = low_pages(ORDER_4K);
	ch->bounce = low_pages(IDE_BOUNCE_ORDER);
	ch->zeroes = low_pages(ZEROES_ORDER);
	return ch->prds && ch->bounce && ch->zeroes ? 0 : -ENOMEM;
}

static void give_memory(struct ide_channel *ch)
{
	void *const blocks[] = { ch->prds, ch->bounce, ch->zeroes };

	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
		if (blocks[i])
			page_put(ptr_hpa(blocks[i]));
	free(ch);
}

/* Old ports: the channel's own ISA interrupt. Else the function's pin, which both channels share.
 */
static int attach_irq(struct ide_channel *ch, struct pci_dev *pci, unsigned n, bool native)
{
	unsigned irq = n ? IDE_LEGACY_SECONDARY_IRQ : IDE_LEGACY_PRIMARY_IRQ, gsi;
	enum pci_irq_kind kind;
	bool level, low;

	if (native)
		return pci_irq_attach(pci, 0, -1, ide_interrupt, ch, "ide", &kind);
	irq_isa_to_gsi(irq, &gsi, &level, &low);
	return irq_gsi_attach(gsi, level, low, ide_interrupt, ch, "ide");
}

static void set_ports(struct ide_channel *ch, const struct pci_dev *pci, unsigned n, bool native)
{
	if (native) {
		ch->base = (uint16_t)pci->bar[n * 2];
		ch->control = (uint16_t)(pci->bar[n * 2 + 1] + 2);
	} else {
		ch->base = n ? IDE_LEGACY_SECONDARY : IDE_LEGACY_PRIMARY;
		ch->control = n ? IDE_LEGACY_SECONDARY_CONTROL : IDE_LEGACY_PRIMARY_CONTROL;
	}
	ch->bm = (uint16_t)(pci->bar[BAR_BUS_MASTER] + n * BM_CHANNEL_PORTS);
}

/* Interrupts come on: what probing left behind is cleared first. */
static int start_channel(struct ide_channel *ch, struct pci_dev *pci, unsigned n, bool native)
{
	int err = ide_recover_start(ch);

	if (!err)
		err = attach_irq(ch, pci, n, native);
	if (err)
		return err;
	outb(ch->bm + BM_COMMAND, 0);
	(void)inb(ch->base + IDE_STATUS);
	outb(ch->bm + BM_STATUS,
	     BM_STATUS_ERROR | BM_STATUS_INTERRUPT | (inb(ch->bm + BM_STATUS) & BM_STATUS_DRIVES));
	outb(ch->control, 0);
	for (unsigned i = 0; i < 2; i++)
		if (ch->drive[i].present && blk_register(&ch->drive[i].blk))
			return 0; /* said by the layer */
	return 0;
}

/* A channel whose world or interrupt is there stays for good, used or not. */
static void find_channel(struct pci_dev *pci, unsigned n)
{
	struct ide_channel *ch = calloc(1, sizeof(*ch));
	bool native = pci->prog_if & PROG_NATIVE(n);
	int err;

	if (!ch)
		return;
	snprintf(ch->name, sizeof(ch->name), "ide%u.%u", nr_controllers, n);
	spin_init(&ch->lock, LOCK_DRIVER, "ide");
	set_ports(ch, pci, n, native);
	outb(ch->control, IDE_CONTROL_NIEN);
	find_drive(ch, 0);
	find_drive(ch, 1);
	if (!ch->drive[0].present && !ch->drive[1].present) {
		free(ch);
		return;
	}
	err = take_memory(ch);
	if (err) {
		give_memory(ch);
	} else {
		err = start_channel(ch, pci, n, native);
	}
	if (err)
		log_warn("ide", "channel %u of %02x:%02x.%u is not used: %d", n, pci->bus, pci->dev,
			 pci->fn, err);
}

/* Firmware that did not boot from here may have left the ports off. [82371AB 4.1.14 "IDETIM"] */
static void decode_ports(struct pci_dev *pci)
{
	if (pci->vendor != VENDOR_INTEL)
		return;
	for (unsigned off = PIIX_TIMING; off < PIIX_TIMING + 4; off += 2)
		pci_write16(pci, off, (uint16_t)(pci_read16(pci, off) | PIIX_TIMING_DECODE));
}

static int probe(struct pci_dev *pci)
{
	static bool legacy_taken; /* one controller at most is at a PC's old ports */
	bool legacy = (pci->prog_if & (PROG_NATIVE(0) | PROG_NATIVE(1))) !=
		      (PROG_NATIVE(0) | PROG_NATIVE(1));

	if (pci->class_code != CLASS_STORAGE || pci->subclass != SUBCLASS_IDE)
		return -ENODEV;
	if (!(pci->prog_if & PROG_BUS_MASTER) || !pci->bar_io[BAR_BUS_MASTER] ||
	    !pci->bar[BAR_BUS_MASTER] || (legacy && legacy_taken)) {
		log_warn("ide", "%02x:%02x.%u is not used: %s", pci->bus, pci->dev, pci->fn,
			 legacy && legacy_taken ? "another one has its ports"
						: "it has no bus-master engine");
		return -ENODEV;
	}
	legacy_taken |= legacy;
	if (legacy)
		decode_ports(pci);
	pci_write16(pci, PCI_COMMAND, (uint16_t)(pci_read16(pci, PCI_COMMAND) | PCI_COMMAND_IO));
	pci_enable_master(pci);
	find_channel(pci, 0);
	find_channel(pci, 1);
	nr_controllers++;
	return 0;
}

const struct pci_driver ide_driver = { .name = "ide", .probe = probe };
