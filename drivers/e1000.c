/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel's gigabit cards (e1000, e1000e): probe, interrupts, and the nic's poll and
 * arm. e1000_hw.c brings the chip up, e1000_rx.c and e1000_tx.c move frames.
 *
 * One interrupt for all causes: the pin, or MSI on PCIe parts. (Their MSI-X would
 * need the causes' routing set up besides, and one owner world has no use for
 * more vectors; MSI of the PCI parts is not to be relied on.) The handler reads
 * and so clears the causes, masks all, and wakes the owner, who polls until there
 * is nothing more and arms again.
 *
 * When sent frames make no progress for two seconds, the chip is reset.
 */
#include <errno.h>
#include <string.h>

#include <tern/log.h>

#include "drivers/e1000.h"

#define MAX_DEVICES 4u
static struct e1000 devices[MAX_DEVICES];
static unsigned nr_devices;

/* Reads and clears the causes; false when it was not this card. */
static bool take_causes(struct e1000 *d)
{
	uint32_t causes = e1000_read(d, E1000_ICR);

	if (causes == 0 || causes == UINT32_MAX) /* all ones: nobody answers there */
		return false;
	if (causes & ICR_LINK)
		__atomic_store_n(&d->link_changed, 1, __ATOMIC_RELEASE);
	if (causes & ICR_RX_OVERRUN)
		__atomic_fetch_add(&d->overruns, 1, __ATOMIC_RELAXED);
	return true;
}

static void interrupt(void *arg)
{
	struct e1000 *d = arg;

	if (!take_causes(d))
		return;
	e1000_write(d, E1000_IMC, UINT32_MAX);
	if (d->nic.notify)
		d->nic.notify(&d->nic);
}

/* All that was under way is lost; the peers send it again. */
static void restart(struct e1000 *d)
{
	log_warn("e1000", "%s: sending hangs (link %s): reset", d->nic.name,
		 d->nic.link_up ? "up" : "down");
	e1000_reset(d);
	e1000_tx_drop(d);
	e1000_rx_rewind(d);
	e1000_start(d);
}

static unsigned poll(struct nic *n, unsigned budget)
{
	struct e1000 *d = (struct e1000 *)n;
	unsigned done;

	if (__atomic_exchange_n(&d->link_changed, 0, __ATOMIC_ACQ_REL))
		e1000_read_link(d);
	n->rx_dropped += __atomic_exchange_n(&d->overruns, 0, __ATOMIC_RELAXED);
	done = e1000_tx_complete(d);
	done += e1000_rx_poll(d, budget);
	if (e1000_tx_hangs(d))
		restart(d);
	return done;
}

/*
 * Causes that polling has dealt with are cleared first, else they would raise the
 * interrupt at once. What comes between the clearing and the unmasking is seen in
 * the rings. Sends complete by themselves; only a ring that fills up asks for it.
 */
static bool arm(struct nic *n)
{
	struct e1000 *d = (struct e1000 *)n;
	uint64_t causes = ICR_LINK | ICR_RX | ICR_RX_OVERRUN;

	if (e1000_tx_free(&d->tx) < E1000_TX_RING / 2)
		causes |= ICR_TX_DONE;
	(void)take_causes(d);
	e1000_write(d, E1000_IMS, causes);
	if (!e1000_rx_ready(&d->rx) && !e1000_tx_done(&d->tx) &&
	    !__atomic_load_n(&d->link_changed, __ATOMIC_ACQUIRE))
		return false;
	e1000_write(d, E1000_IMC, UINT32_MAX);
	return true;
}

static const struct nic_ops e1000_ops = {
	.send = e1000_send,
	.flush = e1000_flush,
	.poll = poll,
	.arm = arm,
	.filter = e1000_filter,
};

static void describe(struct e1000 *d)
{
	struct nic *n = &d->nic;

	n->ops = &e1000_ops;
	n->driver = (d->chip->flags & E1000_PCIE) ? "e1000e" : "e1000";
	n->mtu_max = d->chip->mtu_max;
	n->caps = NIC_CAP_TX_CSUM | NIC_CAP_RX_CSUM | NIC_CAP_TSO4;
	if (d->chip->flags & E1000_TSO_IPV6)
		n->caps |= NIC_CAP_TSO6;
	n->queues = 1;
}

static int set_up(struct e1000 *d)
{
	enum pci_irq_kind kind;
	int err;

	d->regs = pci_map_bar(d->pci, 0);
	if (!d->regs)
		return -ENXIO;
	pci_enable_master(d->pci);
	e1000_reset(d);
	d->pci->no_msix = true;
	d->pci->no_msi = !(d->chip->flags & E1000_PCIE);
	err = e1000_read_mac(d);
	if (!err)
		err = pci_irq_attach(d->pci, 0, -1, interrupt, d, d->nic.driver, &kind);
	if (!err)
		err = e1000_tx_init(d);
	if (!err)
		err = e1000_rx_init(d);
	if (!err)
		e1000_start(d);
	return err;
}

static int probe(struct pci_dev *pci)
{
	const struct e1000_chip *chip = e1000_find_chip(pci->vendor, pci->device);
	struct e1000 *d = &devices[nr_devices];
	int err;

	if (!chip || nr_devices == MAX_DEVICES)
		return -ENODEV;
	memset(d, 0, sizeof(*d));
	d->pci = pci;
	d->chip = chip;
	describe(d);
	err = set_up(d);
	if (err) {
		log_warn("e1000", "%02x:%02x.%u: set-up failed: %d", pci->bus, pci->dev, pci->fn,
			 err);
		return -ENODEV;
	}
	nr_devices++;
	nic_register(&d->nic);
	return 0;
}

const struct pci_driver e1000_driver = { .name = "e1000", .probe = probe };
