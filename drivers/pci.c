/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI devices: pci_scan() walks the buses from each root through the bridges
 * that firmware set up; pci_attach() offers what was found to the drivers. The
 * list never changes after the scan, so reading it needs no lock.
 *
 * The walk is bounded: a bridge is followed only to a bus number above its own
 * that was not walked yet, and PCI_MAX_DEVICES ends it.
 */
#include <string.h>

#include <tern/log.h>

#include "drivers/pci_int.h"

static struct pci_dev devices[PCI_MAX_DEVICES]; /* [const] after pci_scan */
static unsigned nr_devices;
static uint8_t bus_seen[256 / 8]; /* of the segment that is walked */

uint32_t pci_read32(const struct pci_dev *d, unsigned off)
{
	return pci_config_read(d->segment, d->bus, d->dev, d->fn, off & ~3u);
}

uint16_t pci_read16(const struct pci_dev *d, unsigned off)
{
	return (uint16_t)(pci_read32(d, off) >> ((off & 2u) * 8));
}

uint8_t pci_read8(const struct pci_dev *d, unsigned off)
{
	return (uint8_t)(pci_read32(d, off) >> ((off & 3u) * 8));
}

void pci_write32(const struct pci_dev *d, unsigned off, uint32_t v)
{
	pci_config_write(d->segment, d->bus, d->dev, d->fn, off & ~3u, v);
}

/* Writes through the whole dword. Status bits are cleared by ones: they are written as zero. */
static void write_part(const struct pci_dev *d, unsigned off, uint32_t v, uint32_t mask)
{
	unsigned shift = (off & 3u) * 8;
	uint32_t old = pci_read32(d, off);

	if ((off & ~3u) == PCI_COMMAND)
		old &= 0xffffu;
	pci_write32(d, off, (old & ~(mask << shift)) | v << shift);
}

void pci_write16(const struct pci_dev *d, unsigned off, uint16_t v)
{
	write_part(d, off, v, 0xffffu);
}

void pci_write8(const struct pci_dev *d, unsigned off, uint8_t v)
{
	write_part(d, off, v, 0xffu);
}

/* The list is followed 48 steps at most: what fits into the space. */
unsigned pci_find_cap(const struct pci_dev *d, uint8_t id, unsigned after)
{
	unsigned at = after ? pci_read8(d, after + 1) : pci_read8(d, PCI_CAP_PTR);

	if (!(pci_read16(d, PCI_STATUS) & PCI_STATUS_CAPS))
		return 0;
	for (unsigned steps = 0; steps < 48; steps++) {
		at &= 0xfcu;
		if (at < 0x40)
			return 0;
		if (pci_read8(d, at) == id)
			return at;
		at = pci_read8(d, at + 1);
	}
	return 0;
}

void pci_enable_master(struct pci_dev *d)
{
	pci_write16(d, PCI_COMMAND, (uint16_t)(pci_read16(d, PCI_COMMAND) | PCI_COMMAND_MASTER));
}

void pci_disable_master(struct pci_dev *d)
{
	pci_write16(d, PCI_COMMAND, (uint16_t)(pci_read16(d, PCI_COMMAND) & ~PCI_COMMAND_MASTER));
}

struct pci_dev *pci_at(unsigned index)
{
	return index < nr_devices ? &devices[index] : NULL;
}

static void fill(struct pci_dev *d)
{
	uint32_t id = pci_read32(d, PCI_VENDOR), class = pci_read32(d, PCI_CLASS);
	bool bridge = (pci_read8(d, PCI_HEADER) & PCI_HEADER_TYPE) == PCI_HEADER_BRIDGE;

	d->vendor = (uint16_t)id;
	d->device = (uint16_t)(id >> 16);
	d->revision = (uint8_t) class;
	d->prog_if = (uint8_t)(class >> 8);
	d->subclass = (uint8_t)(class >> 16);
	d->class_code = (uint8_t)(class >> 24);
	d->irq_line = pci_read8(d, PCI_IRQ_LINE);
	d->irq_pin = pci_read8(d, PCI_IRQ_PIN);
	pci_read_bars(d, bridge ? 2 : 6);
}

static void scan_bus(uint16_t segment, uint8_t bus);

static void scan_bridge(const struct pci_dev *d)
{
	uint8_t secondary = pci_read8(d, PCI_BUSES + 1);

	if (secondary > d->bus && !(bus_seen[secondary / 8] & (1u << secondary % 8)))
		scan_bus(d->segment, secondary);
}

/* True when the function exists. */
static bool scan_function(uint16_t segment, uint8_t bus, uint8_t dev, uint8_t fn)
{
	struct pci_dev *d = &devices[nr_devices];

	if ((uint16_t)pci_config_read(segment, bus, dev, fn, PCI_VENDOR) == 0xffffu)
		return false;
	if (nr_devices == PCI_MAX_DEVICES) {
		log_warn("pci", "more than %u devices: the rest is not used", PCI_MAX_DEVICES);
		return false;
	}
	memset(d, 0, sizeof(*d));
	d->segment = segment;
	d->bus = bus;
	d->dev = dev;
	d->fn = fn;
	fill(d);
	if (nr_devices++)
		d[-1].next = d;
	log_debug("pci", "%04x:%02x:%02x.%u %04x:%04x class %02x%02x", segment, bus, dev, fn,
		  d->vendor, d->device, d->class_code, d->subclass);
	if ((pci_read8(d, PCI_HEADER) & PCI_HEADER_TYPE) == PCI_HEADER_BRIDGE)
		scan_bridge(d);
	return true;
}

static void scan_bus(uint16_t segment, uint8_t bus)
{
	bus_seen[bus / 8] |= (uint8_t)(1u << bus % 8);
	for (uint8_t dev = 0; dev < 32; dev++) {
		uint32_t header;

		if (!scan_function(segment, bus, dev, 0))
			continue;
		header = pci_config_read(segment, bus, dev, 0, PCI_HEADER & ~3u) >> 16;
		if (!(header & PCI_HEADER_MULTI))
			continue;
		for (uint8_t fn = 1; fn < 8; fn++)
			(void)scan_function(segment, bus, dev, fn);
	}
}

void pci_scan(void)
{
	uint16_t segment;
	uint8_t bus, last;

	pci_config_init();
	for (unsigned i = 0; pci_config_root(i, &segment, &bus, &last); i++) {
		memset(bus_seen, 0, sizeof(bus_seen));
		scan_bus(segment, bus);
	}
	log_info("pci", "%u devices", nr_devices);
}

void pci_attach(const struct pci_driver *const *drivers, unsigned count)
{
	for (unsigned n = 0; n < nr_devices; n++)
		for (unsigned i = 0; i < count && !devices[n].driver; i++)
			if (drivers[i]->probe(&devices[n]) == 0)
				devices[n].driver = drivers[i];
}
