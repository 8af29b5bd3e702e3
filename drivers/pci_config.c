/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space: through ECAM where the MCFG table gives it, else
 * through ports 0xcf8 and 0xcfc. A bus's megabyte of ECAM is mapped when a device
 * on it is first looked at, so that buses that do not exist cost nothing.
 */
#include <tern/acpi.h>
#include <tern/cpu.h>
#include <tern/lock.h>
#include <tern/log.h>

#include "drivers/pci_int.h"

#define ECAM_MAX_SEGMENTS 4u
#define ECAM_BUS_BYTES (1u << 20)
#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA 0xcfcu
#define CONFIG_ENABLE 0x80000000u

/* [PCI Firmware 3.2 4.1.2 "MCFG Table Description"] */
struct mcfg_entry {
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct mcfg_entry) == 16, "MCFG entry");
#define MCFG_ENTRIES_AT (sizeof(struct acpi_header) + 8)

struct ecam_segment {
	struct mcfg_entry e;
	uint8_t *bus[256]; /* mapped so far */
};

static struct ecam_segment segments[ECAM_MAX_SEGMENTS];
static unsigned nr_segments;
/* Guards the pair of ports: address, then data. */
static struct spinlock port_lock = SPINLOCK_INIT(LOCK_DRIVER, "pci ports");

void pci_config_init(void)
{
	const struct acpi_header *mcfg = acpi_find("MCFG", 0);

	if (!mcfg) {
		log_info("pci", "no MCFG table: configuration by ports");
		return;
	}
	for (size_t at = MCFG_ENTRIES_AT; at + sizeof(struct mcfg_entry) <= mcfg->length;
	     at += sizeof(struct mcfg_entry)) {
		const struct mcfg_entry *e = (const void *)((const uint8_t *)mcfg + at);

		if (nr_segments == ECAM_MAX_SEGMENTS || e->last_bus < e->first_bus)
			break;
		segments[nr_segments++].e = *e;
	}
}

static volatile uint8_t *ecam_address(uint16_t segment, uint8_t bus, uint8_t dev, uint8_t fn,
				      unsigned off)
{
	for (unsigned i = 0; i < nr_segments; i++) {
		struct ecam_segment *s = &segments[i];

		if (s->e.segment != segment || bus < s->e.first_bus || bus > s->e.last_bus)
			continue;
		if (!s->bus[bus])
			s->bus[bus] = mmio_map(HPA(s->e.base + (uint64_t)bus * ECAM_BUS_BYTES),
					       ECAM_BUS_BYTES);
		if (!s->bus[bus])
			return NULL;
		return s->bus[bus] + ((uint32_t)dev << 15 | (uint32_t)fn << 12 | (off & 0xfffu));
	}
	return NULL;
}

static uint32_t port_address(uint8_t bus, uint8_t dev, uint8_t fn, unsigned off)
{
	return CONFIG_ENABLE | (uint32_t)bus << 16 | (uint32_t)dev << 11 | (uint32_t)fn << 8 |
	       (off & 0xfcu);
}

uint32_t pci_config_read(uint16_t segment, uint8_t bus, uint8_t dev, uint8_t fn, unsigned off)
{
	volatile uint8_t *p = ecam_address(segment, bus, dev, fn, off);
	unsigned long flags;
	uint32_t v;

	if (p)
		return mmio_read32(p);
	if (segment != 0 || off > 0xff)
		return UINT32_MAX;
	flags = spin_lock(&port_lock);
	outl(CONFIG_ADDRESS, port_address(bus, dev, fn, off));
	v = inl(CONFIG_DATA);
	spin_unlock(&port_lock, flags);
	return v;
}

void pci_config_write(uint16_t segment, uint8_t bus, uint8_t dev, uint8_t fn, unsigned off,
		      uint32_t v)
{
	volatile uint8_t *p = ecam_address(segment, bus, dev, fn, off);
	unsigned long flags;

	if (p) {
		mmio_write32(p, v);
		return;
	}
	if (segment != 0 || off > 0xff)
		return;
	flags = spin_lock(&port_lock);
	outl(CONFIG_ADDRESS, port_address(bus, dev, fn, off));
	outl(CONFIG_DATA, v);
	spin_unlock(&port_lock, flags);
}

bool pci_config_root(unsigned index, uint16_t *segment, uint8_t *bus, uint8_t *last_bus)
{
	if (nr_segments == 0 && index == 0) {
		*segment = 0;
		*bus = 0;
		*last_bus = 255;
		return true;
	}
	if (index >= nr_segments)
		return false;
	*segment = segments[index].e.segment;
	*bus = segments[index].e.first_bus;
	*last_bus = segments[index].e.last_bus;
	return true;
}
