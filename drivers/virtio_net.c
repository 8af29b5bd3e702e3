/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net: probe, features, queues, interrupts. virtio_net_rx.c and
 * virtio_net_tx.c move frames. [virtio 1.2 5.1 "Network Device"]
 *
 * Everything except the interrupt handlers runs in the net room's owner world,
 * so nothing is locked. The device may use several pairs of queues; one owner
 * world gains nothing from more than one, so the first pair is used until the
 * virtual switch gives the others their own pollers.
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/page.h>

#include "drivers/virtio_net.h"

#define VIRTIO_ID_NET 1u
#define VIRTIO_NET_TRANSITIONAL 0x1000u

/* [virtio 1.2 5.1.3 "Feature bits"] */
#define F_CSUM BIT(0)
#define F_GUEST_CSUM BIT(1)
#define F_MTU BIT(3)
#define F_MAC BIT(5)
#define F_GUEST_TSO4 BIT(7)
#define F_GUEST_TSO6 BIT(8)
#define F_HOST_TSO4 BIT(11)
#define F_HOST_TSO6 BIT(12)
#define F_MRG_RXBUF BIT(15)
#define F_STATUS BIT(16)
#define F_SPEED_DUPLEX BIT(63)

/* [virtio 1.2 5.1.4 "Device configuration layout"] */
#define CONFIG_MAC 0u
#define CONFIG_STATUS 6u
#define CONFIG_STATUS_LINK_UP 1u
#define CONFIG_MTU 10u
#define CONFIG_SPEED 12u

#define MTU_WITHOUT_MERGE 1500u
#define MTU_MAX 65521u

#define VNET_MAX_DEVICES 4u
static struct vnet devices[VNET_MAX_DEVICES];
static unsigned nr_devices;

static void on_queue(void *arg)
{
	struct vnet *d = arg;

	if (d->nic.notify)
		d->nic.notify(&d->nic);
}

static void on_config(void *arg)
{
	struct vnet *d = arg;

	__atomic_store_n(&d->config_changed, 1, __ATOMIC_RELEASE);
	on_queue(arg);
}

/* A pin is shared: the status register tells whether it was this device, and for what. */
static void on_pin(void *arg)
{
	struct vnet *d = arg;

	if (virtio_pci_isr(&d->v))
		on_config(arg);
}

static void read_link(struct vnet *d)
{
	bool up = true;

	if (virtio_pci_has(&d->v, F_STATUS))
		up = virtio_pci_read16(&d->v, CONFIG_STATUS) & CONFIG_STATUS_LINK_UP;
	d->nic.link_up = up;
}

static unsigned poll(struct nic *n, unsigned budget)
{
	struct vnet *d = (struct vnet *)n;
	unsigned done = 0;

	if (__atomic_load_n(&d->config_changed, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&d->config_changed, 0, __ATOMIC_RELEASE);
		read_link(d);
	}
	for (unsigned i = 0; i < d->nr_pairs; i++) {
		done += vnet_tx_complete(&d->pair[i]);
		done += vnet_rx_poll(&d->pair[i], budget);
	}
	return done;
}

/* Sends complete by themselves; only a ring that fills up asks to hear of it. */
static bool arm(struct nic *n)
{
	struct vnet *d = (struct vnet *)n;
	bool ready = false;

	for (unsigned i = 0; i < d->nr_pairs; i++) {
		ready |= vring_arm(&d->pair[i].rx, 1);
		ready |= vring_arm_short(&d->pair[i].tx, VNET_TX_SEGS);
	}
	return ready;
}

static const struct nic_ops vnet_ops = {
	.send = vnet_send,
	.flush = vnet_flush,
	.poll = poll,
	.arm = arm,
};

static uint64_t wanted_features(uint64_t offered)
{
	uint64_t want = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | F_MAC | F_MTU | F_STATUS |
			F_SPEED_DUPLEX | F_CSUM | F_GUEST_CSUM | F_MRG_RXBUF;

	if (offered & F_CSUM)
		want |= F_HOST_TSO4 | F_HOST_TSO6;
	if ((offered & F_GUEST_CSUM) && (offered & F_MRG_RXBUF))
		want |= F_GUEST_TSO4 | F_GUEST_TSO6;
	return want;
}

static void read_config(struct vnet *d)
{
	static const struct {
		uint64_t feature;
		uint32_t cap;
	} caps[] = {
		{ F_CSUM, NIC_CAP_TX_CSUM },   { F_GUEST_CSUM, NIC_CAP_RX_CSUM },
		{ F_HOST_TSO4, NIC_CAP_TSO4 }, { F_HOST_TSO6, NIC_CAP_TSO6 },
		{ F_GUEST_TSO4, NIC_CAP_LRO },
	};
	struct nic *n = &d->nic;

	for (unsigned i = 0; i < ARRAY_SIZE(caps); i++)
		if (virtio_pci_has(&d->v, caps[i].feature))
			n->caps |= caps[i].cap;
	for (unsigned i = 0; i < 6; i++)
		n->mac[i] = virtio_pci_read8(&d->v, CONFIG_MAC + i);
	if (virtio_pci_has(&d->v, F_MTU))
		n->mtu_max = virtio_pci_read16(&d->v, CONFIG_MTU);
	else
		n->mtu_max = virtio_pci_has(&d->v, F_MRG_RXBUF) ? MTU_MAX : MTU_WITHOUT_MERGE;
	if (virtio_pci_has(&d->v, F_SPEED_DUPLEX) &&
	    virtio_pci_read32(&d->v, CONFIG_SPEED) <= INT32_MAX)
		n->speed_mbit = virtio_pci_read32(&d->v, CONFIG_SPEED);
	read_link(d);
}

static int init_ring(struct vnet *d, struct vring *r, uint16_t index, uint16_t vector)
{
	uint32_t size = (index & 1) ? VNET_TX_RING : VNET_RX_RING;
	uint32_t max = virtio_pci_queue_max(&d->v, index);
	bool tx = index & 1, indirect = tx && virtio_pci_has(&d->v, VIRTIO_F_INDIRECT_DESC);
	int err;

	while (size > max)
		size /= 2;
	if (!size || (tx && !indirect && size < VNET_TX_SEGS))
		return -ENODEV; /* what lwIP may send has to fit */
	err = vring_init(r, size, virtio_pci_has(&d->v, VIRTIO_F_EVENT_IDX), indirect);
	return err ? err : virtio_pci_queue(&d->v, index, r, vector);
}

static int init_pairs(struct vnet *d, uint16_t vector)
{
	d->nr_pairs = 1;
	d->nic.queues = d->nr_pairs;
	for (unsigned i = 0; i < d->nr_pairs; i++) {
		struct vnet_pair *q = &d->pair[i];
		int err;

		q->dev = d;
		err = init_ring(d, &q->rx, (uint16_t)(2 * i), vector);
		if (!err)
			err = init_ring(d, &q->tx, (uint16_t)(2 * i + 1), vector);
		if (!err)
			err = vnet_tx_init(q);
		if (err)
			return err;
	}
	return 0;
}

/* MSI-X: entry 0 for changes of configuration, 1 for the queues. Else the pin for all. */
static int attach_irqs(struct vnet *d, uint16_t *config_vector, uint16_t *queue_vector)
{
	enum pci_irq_kind kind;

	*config_vector = VIRTIO_NO_VECTOR;
	*queue_vector = VIRTIO_NO_VECTOR;
	if (pci_msix_count(d->v.pci) >= 2) {
		if (pci_irq_attach(d->v.pci, 0, -1, on_config, d, "virtio-net config", &kind) ==
			    0 &&
		    pci_irq_attach(d->v.pci, 1, -1, on_queue, d, "virtio-net", &kind) == 0) {
			*config_vector = 0;
			*queue_vector = 1;
			return 0;
		}
		return -ENODEV;
	}
	return pci_irq_attach(d->v.pci, 0, -1, on_pin, d, "virtio-net", &kind);
}

static int set_up(struct vnet *d)
{
	uint16_t config_vector, queue_vector;
	int err = virtio_pci_features(&d->v, wanted_features(virtio_pci_offered(&d->v)));

	if (err)
		return err;
	read_config(d);
	err = attach_irqs(d, &config_vector, &queue_vector);
	if (!err)
		err = init_pairs(d, queue_vector);
	if (!err && config_vector != VIRTIO_NO_VECTOR)
		err = virtio_pci_config_vector(&d->v, config_vector);
	return err;
}

static bool is_net(const struct pci_dev *pci)
{
	return pci->vendor == VIRTIO_PCI_VENDOR &&
	       (pci->device == VIRTIO_PCI_DEVICE(VIRTIO_ID_NET) ||
		pci->device == VIRTIO_NET_TRANSITIONAL);
}

static int probe(struct pci_dev *pci)
{
	struct vnet *d = &devices[nr_devices];
	int err;

	if (!is_net(pci) || nr_devices == VNET_MAX_DEVICES)
		return -ENODEV;
	memset(d, 0, sizeof(*d));
	err = virtio_pci_open(&d->v, pci);
	if (err)
		return -ENODEV;
	d->nic.ops = &vnet_ops;
	d->nic.driver = "virtio-net";
	err = set_up(d);
	if (err) {
		log_warn("virtio-net", "%02x:%02x.%u: set-up failed: %d", pci->bus, pci->dev,
			 pci->fn, err);
		virtio_pci_failed(&d->v);
		return -ENODEV;
	}
	virtio_pci_ready(&d->v);
	for (unsigned i = 0; i < d->nr_pairs; i++)
		vnet_rx_fill(&d->pair[i]);
	nr_devices++;
	nic_register(&d->nic);
	return 0;
}

const struct pci_driver virtio_net_driver = { .name = "virtio-net", .probe = probe };
