/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IOAPIC: 24 pins, each with a redirection entry. Edge pins send once at a
 * rising line; level pins send while the line is high, one message at a time:
 * remote IRR is set when a LAPIC has accepted it, until the EOI of that vector comes
 * back. What no LAPIC took is sent again when one is switched on or the entry is
 * written. Only fixed and lowest-priority delivery has level pins: nothing else is
 * ended by an EOI, and the manual has NMI and INIT treated as edges.
 * [Intel 82093AA "I/O Advanced Programmable Interrupt Controller"]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irqchip_int.h"

#define IOREG_SELECT 0x00u
#define IOREG_WINDOW 0x10u
#define IOREG_EOI 0x40u

#define REG_ID 0x00u
#define REG_VERSION 0x01u
#define REG_ARB 0x02u
#define REG_ENTRY 0x10u
#define VERSION (0x20u | (IOAPIC_PINS - 1) << 16) /* with the EOI register */

#define ENTRY_WRITABLE 0xff0000000001afffull
#define IOAPIC_VERSION 1u

static bool send_locked(struct ioapic *io, unsigned pin)
{
	uint64_t e = io->entry[pin];
	struct irq_message m = { .dest = (uint32_t)(e >> 56),
				 .vector = (uint8_t)e,
				 .mode = e >> 8 & 7,
				 .logical = (e & BIT(11)) != 0,
				 .level = (e & IOAPIC_LEVEL) != 0,
				 .assert_level = true };

	return irq_route_locked(io->chip, &m);
}

static bool is_level(uint64_t e)
{
	unsigned mode = e >> 8 & 7;

	return e & IOAPIC_LEVEL && (mode == DELIVER_FIXED || mode == DELIVER_LOWEST);
}

static void service_level_locked(struct ioapic *io, unsigned pin)
{
	uint64_t e = io->entry[pin];

	if (!is_level(e) || (e & (IOAPIC_MASKED | IOAPIC_REMOTE_IRR)) || !(io->lines >> pin & 1))
		return;
	if (send_locked(io, pin))
		io->entry[pin] |= IOAPIC_REMOTE_IRR;
}

void ioapic_again_locked(struct ioapic *io)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		service_level_locked(io, pin);
}

void ioapic_set_pin_locked(struct ioapic *io, unsigned pin, bool level)
{
	bool was = (io->lines >> pin & 1) != 0;

	if (level)
		io->lines |= BIT32(pin);
	else
		io->lines &= ~BIT32(pin);
	if (is_level(io->entry[pin]))
		service_level_locked(io, pin);
	else if (level && !was && !(io->entry[pin] & IOAPIC_MASKED))
		(void)send_locked(io, pin);
}

void ioapic_eoi_locked(struct ioapic *io, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!(io->entry[pin] & IOAPIC_LEVEL) || (uint8_t)io->entry[pin] != vector)
			continue;
		io->entry[pin] &= ~IOAPIC_REMOTE_IRR;
		service_level_locked(io, pin);
	}
}

static void write_entry_locked(struct ioapic *io, unsigned reg, uint32_t v)
{
	unsigned pin = (reg - REG_ENTRY) / 2, shift = reg & 1 ? 32 : 0;
	uint64_t *e = &io->entry[pin];

	*e = (*e & ~((0xffffffffull << shift) & ENTRY_WRITABLE)) |
	     (((uint64_t)v << shift) & ENTRY_WRITABLE);
	if (!(*e & IOAPIC_LEVEL))
		*e &= ~IOAPIC_REMOTE_IRR; /* kernels toggle the mode to get rid of it */
	service_level_locked(io, pin);
}

static uint32_t reg_read_locked(const struct ioapic *io)
{
	unsigned reg = io->select;

	if (reg >= REG_ENTRY && reg < REG_ENTRY + 2 * IOAPIC_PINS)
		return (uint32_t)(io->entry[(reg - REG_ENTRY) / 2] >> (reg & 1 ? 32 : 0));
	switch (reg) {
	case REG_ID:
	case REG_ARB:
		return io->id << 24;
	case REG_VERSION:
		return VERSION;
	default:
		return 0;
	}
}

static void reg_write_locked(struct ioapic *io, uint32_t v)
{
	unsigned reg = io->select;

	if (reg >= REG_ENTRY && reg < REG_ENTRY + 2 * IOAPIC_PINS)
		write_entry_locked(io, reg, v);
	else if (reg == REG_ID)
		io->id = v >> 24 & 0xf;
}

static void mmio_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct ioapic *io = arg;
	unsigned long flags = chip_lock(io->chip);

	(void)c;
	(void)size;
	*value = 0;
	if (off == IOREG_SELECT)
		*value = io->select;
	else if (off == IOREG_WINDOW)
		*value = reg_read_locked(io);
	chip_unlock(io->chip, flags);
}

static void mmio_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct ioapic *io = arg;
	unsigned long flags = chip_lock(io->chip);

	(void)c;
	(void)size;
	if (off == IOREG_SELECT)
		io->select = (uint32_t)value & 0xff;
	else if (off == IOREG_WINDOW)
		reg_write_locked(io, (uint32_t)value);
	else if (off == IOREG_EOI)
		ioapic_eoi_locked(io, (uint8_t)value);
	chip_unlock(io->chip, flags);
}

static const struct io_ops mmio_ops = { .read = mmio_read, .write = mmio_write };

/* ---- as a device ---- */

static struct ioapic *ioapic_of(struct vdev *d)
{
	return container_of(d, struct ioapic, dev);
}

static void reset(struct vdev *d)
{
	struct ioapic *io = ioapic_of(d);
	unsigned long flags = chip_lock(io->chip);

	io->select = 0;
	io->id = IOAPIC_ID;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		io->entry[i] = IOAPIC_MASKED;
	chip_unlock(io->chip, flags);
}

static void save(struct vdev *d, struct rec_writer *w)
{
	struct ioapic *io = ioapic_of(d);
	uint64_t entry[IOAPIC_PINS];
	uint32_t select, id, lines;
	unsigned long flags = chip_lock(io->chip);

	memcpy(entry, io->entry, sizeof(entry));
	select = io->select;
	id = io->id;
	lines = io->lines;
	chip_unlock(io->chip, flags);
	rec_begin(w, REC_IOAPIC, IOAPIC_VERSION, 0, 0);
	rec_u32(w, select);
	rec_u32(w, id);
	rec_u32(w, lines);
	rec_u32(w, IOAPIC_PINS);
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		rec_u64(w, entry[i]);
	rec_end(w);
}

static int parse(struct rec_reader *r, struct ioapic *s)
{
	if (r->head.version != IOAPIC_VERSION)
		return -EBADMSG;
	s->select = rec_get_u32(r);
	s->id = rec_get_u32(r);
	s->lines = rec_get_u32(r);
	if (rec_get_u32(r) != IOAPIC_PINS || s->select > 0xff || s->id > 0xf ||
	    s->lines >> IOAPIC_PINS)
		return -EBADMSG;
	for (unsigned i = 0; i < IOAPIC_PINS; i++) {
		s->entry[i] = rec_get_u64(r);
		if (s->entry[i] & ~(ENTRY_WRITABLE | IOAPIC_REMOTE_IRR))
			return -EBADMSG;
	}
	return rec_done(r);
}

static int check(struct vdev *d, struct rec_reader *r)
{
	struct ioapic s;

	(void)d;
	return parse(r, &s);
}

static int load(struct vdev *d, struct rec_reader *r)
{
	struct ioapic *io = ioapic_of(d), s;
	unsigned long flags;

	if (parse(r, &s))
		return -EBADMSG;
	flags = chip_lock(io->chip);
	io->select = s.select;
	io->id = s.id;
	io->lines = s.lines;
	memcpy(io->entry, s.entry, sizeof(io->entry));
	chip_unlock(io->chip, flags);
	return 0;
}

static void destroy(struct vdev *d)
{
	free(ioapic_of(d));
}

static const struct vdev_ops ops = {
	.name = "ioapic",
	.reset = reset,
	.save = save,
	.check = check,
	.load = load,
	.destroy = destroy,
};

int ioapic_create(struct irqchip *chip)
{
	struct ioapic *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	io->chip = chip;
	chip->ioapic = io;
	vdev_init(&io->dev, chip->vm, &ops, REC_IOAPIC, REC_IOAPIC, 0);
	reset(&io->dev);
	vdev_region(&io->dev, &io->region, IO_MMIO, IOAPIC_BASE, PAGE_SIZE, &mmio_ops, NULL);
	io->region.arg = io;
	return 0;
}
