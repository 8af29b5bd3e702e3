/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SATA adapters by AHCI: taken over from firmware, their ports looked at one by one,
 * and the interrupt that all ports of an adapter share.
 * [AHCI 1.3.1 10.6.3 "OS declares Ownership Request"], [10.7 "Interrupts"]
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/log.h>
#include <tern/pci.h>

#include "drivers/ahci.h"

#define CLASS_STORAGE 0x01u
#define SUBCLASS_SATA 0x06u
#define PROG_AHCI 0x01u
#define BAR_AHCI 5u
#define HANDOFF_LIMIT_NS (2 * NSEC_PER_SEC)
#define INTERRUPT_TURNS 16u

struct ahci {
	volatile uint8_t *regs;
	struct ahci_port *port[AHCI_SLOTS]; /* [const] NULL: not in use */
};

static unsigned nr_adapters;

/*
 * A port's bit comes back while the port has something to say, and a message is sent for a
 * change only: what comes meanwhile is looked at here. A port that nobody uses is quiet.
 */
static void on_interrupt(void *arg)
{
	struct ahci *a = arg;
	uint32_t is;

	for (unsigned turn = 0; turn < INTERRUPT_TURNS; turn++) {
		is = mmio_read32(a->regs + AHCI_IS);
		if (!is)
			return;
		for (unsigned n = 0; n < AHCI_SLOTS; n++)
			if ((is & 1u << n) && a->port[n])
				ahci_port_interrupt(a->port[n]);
		mmio_write32(a->regs + AHCI_IS, is);
	}
}

/* Firmware that still uses the adapter lets go of it. False when it does not. */
static bool take_over(volatile uint8_t *regs)
{
	uint64_t end = time_ns() + HANDOFF_LIMIT_NS;

	if (!(mmio_read32(regs + AHCI_CAP2) & AHCI_CAP2_HANDOFF))
		return true;
	mmio_write32(regs + AHCI_BOHC, mmio_read32(regs + AHCI_BOHC) | AHCI_BOHC_OS);
	while (mmio_read32(regs + AHCI_BOHC) & AHCI_BOHC_FIRMWARE) {
		if (time_ns() >= end)
			return false;
		world_sleep_ns(NSEC_PER_MSEC);
	}
	return true;
}

static unsigned find_ports(struct ahci *a)
{
	uint32_t implemented = mmio_read32(a->regs + AHCI_PORTS);
	unsigned found = 0;

	for (unsigned n = 0; n < AHCI_SLOTS; n++) {
		if (!(implemented & 1u << n))
			continue;
		ahci_find_port(a->regs, nr_adapters, n, &a->port[n]);
		found += a->port[n] != NULL;
	}
	return found;
}

/* Ports with disks are there, with their interrupts on at the port: now at the adapter too. */
static int start(struct ahci *a, struct pci_dev *pci)
{
	enum pci_irq_kind kind;
	int err = pci_irq_attach(pci, 0, -1, on_interrupt, a, "ahci", &kind);

	if (err)
		return err;
	mmio_write32(a->regs + AHCI_IS, UINT32_MAX);
	mmio_write32(a->regs + AHCI_GHC, AHCI_GHC_ENABLE | AHCI_GHC_INTERRUPTS);
	for (unsigned n = 0; n < AHCI_SLOTS; n++)
		if (a->port[n] && blk_register(&a->port[n]->blk))
			return 0; /* said by the layer */
	return 0;
}

static int probe(struct pci_dev *pci)
{
	struct ahci *a;
	int err;

	if (pci->class_code != CLASS_STORAGE || pci->subclass != SUBCLASS_SATA ||
	    pci->prog_if != PROG_AHCI)
		return -ENODEV;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENODEV;
	pci_enable_master(pci);
	a->regs = pci_map_bar(pci, BAR_AHCI);
	if (!a->regs || !take_over(a->regs)) {
		log_warn("ahci", "%02x:%02x.%u is not used: %s", pci->bus, pci->dev, pci->fn,
			 a->regs ? "firmware keeps it" : "it has no registers");
		free(a);
		return -ENODEV;
	}
	mmio_write32(a->regs + AHCI_GHC, AHCI_GHC_ENABLE);
	err = find_ports(a) ? start(a, pci) : 0;
	if (err)
		log_warn("ahci", "%02x:%02x.%u is not used: no interrupt: %d", pci->bus, pci->dev,
			 pci->fn, err);
	nr_adapters++;
	return 0;
}

const struct pci_driver ahci_driver = { .name = "ahci", .probe = probe };
