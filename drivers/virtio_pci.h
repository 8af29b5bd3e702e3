/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio 1.x PCI transport, for every virtio driver. In order of use:
 * virtio_pci_open (reset, ACKNOWLEDGE, DRIVER), virtio_pci_features, for each
 * queue virtio_pci_queue, virtio_pci_ready; at run time virtio_pci_notify.
 * [virtio 1.2 3.1 "Device Initialization", 4.1 "Virtio Over PCI Bus"]
 */
#ifndef DRIVERS_VIRTIO_PCI_H
#define DRIVERS_VIRTIO_PCI_H

#include <tern/pci.h>
#include <tern/types.h>

#define VIRTIO_PCI_VENDOR 0x1af4u
#define VIRTIO_PCI_DEVICE(id) (0x1040u + (id))
#define VIRTIO_PCI_TRANSITIONAL_FIRST 0x1000u
#define VIRTIO_PCI_TRANSITIONAL_LAST 0x103fu

#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)

#define VIRTIO_NO_VECTOR 0xffffu

struct vring;

struct virtio_pci {
	struct pci_dev *pci;
	volatile uint8_t *common;   /* common configuration */
	volatile uint8_t *notify;   /* doorbells */
	volatile uint8_t *isr;	    /* read clears: pins only */
	volatile uint8_t *device;   /* the device type's own */
	uint32_t notify_multiplier; /* bytes between queues' doorbells */
	uint32_t device_len;
	uint64_t features; /* negotiated */
};

/* -ENODEV when the device is not a modern one. */
MUST_CHECK int virtio_pci_open(struct virtio_pci *v, struct pci_dev *d);
/* A device that is open already: reset, and at virtio_pci_features again. -EIO when it stays in it.
 */
MUST_CHECK int virtio_pci_reset(struct virtio_pci *v);
uint64_t virtio_pci_offered(struct virtio_pci *v);
/* Takes what is both wanted and offered; -ENODEV without VERSION_1 or when the device refuses the
 * set. */
MUST_CHECK int virtio_pci_features(struct virtio_pci *v, uint64_t wanted);
static inline bool virtio_pci_has(const struct virtio_pci *v, uint64_t feature)
{
	return (v->features & feature) != 0;
}
/* Entries the device allows for a queue, 0 when it has none of that index. */
uint16_t virtio_pci_queue_max(struct virtio_pci *v, uint16_t index);
/* Gives the ring to the device; vector is an MSI-X entry or VIRTIO_NO_VECTOR. -EIO when the device
 * refuses it. */
MUST_CHECK int virtio_pci_queue(struct virtio_pci *v, uint16_t index, struct vring *r,
				uint16_t vector);
MUST_CHECK int virtio_pci_config_vector(struct virtio_pci *v, uint16_t vector);
void virtio_pci_ready(struct virtio_pci *v);  /* DRIVER_OK */
void virtio_pci_failed(struct virtio_pci *v); /* FAILED: the device is given up */
/* For a shared pin: true when this device raised it; acknowledges. */
bool virtio_pci_isr(struct virtio_pci *v);

static inline uint8_t virtio_pci_read8(const struct virtio_pci *v, unsigned off)
{
	return off < v->device_len ? v->device[off] : 0;
}
uint16_t virtio_pci_read16(const struct virtio_pci *v, unsigned off);
uint32_t virtio_pci_read32(const struct virtio_pci *v, unsigned off);

#endif
