/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio 1.x PCI transport: finds the four structures by their vendor
 * capabilities, runs the status and feature handshake, hands rings over.
 */
#include <errno.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "drivers/virtio_pci.h"
#include "drivers/virtio_ring.h"

/* [virtio 1.2 4.1.4 "Virtio Structure PCI Capabilities"] */
#define CAP_VENDOR 0x09u
#define CAP_TYPE 3u
#define CAP_BAR 4u
#define CAP_OFFSET 8u
#define CAP_LENGTH 12u
#define CAP_NOTIFY_MULTIPLIER 16u
enum cap_type { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE };

/* [virtio 1.2 4.1.4.3 "Common configuration structure layout"] */
#define COMMON_DEVICE_FEATURE_SELECT 0x00u
#define COMMON_DEVICE_FEATURE 0x04u
#define COMMON_DRIVER_FEATURE_SELECT 0x08u
#define COMMON_DRIVER_FEATURE 0x0cu
#define COMMON_CONFIG_VECTOR 0x10u
#define COMMON_STATUS 0x14u
#define COMMON_QUEUE_SELECT 0x16u
#define COMMON_QUEUE_SIZE 0x18u
#define COMMON_QUEUE_VECTOR 0x1au
#define COMMON_QUEUE_ENABLE 0x1cu
#define COMMON_QUEUE_NOTIFY_OFF 0x1eu
#define COMMON_QUEUE_DESC 0x20u
#define COMMON_QUEUE_DRIVER 0x28u
#define COMMON_QUEUE_DEVICE 0x30u
#define COMMON_BYTES 0x38u

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define STATUS_FAILED 128u
#define RESET_TIMEOUT_NS (500 * NSEC_PER_MSEC)

static volatile uint8_t *map_structure(struct virtio_pci *v, unsigned cap, void **mapped,
				       uint32_t min)
{
	unsigned bar = pci_read8(v->pci, cap + CAP_BAR);
	uint32_t off = pci_read32(v->pci, cap + CAP_OFFSET),
		 len = pci_read32(v->pci, cap + CAP_LENGTH);

	if (bar > 5 || len < min || (uint64_t)off + len > v->pci->bar_size[bar])
		return NULL;
	if (!mapped[bar])
		mapped[bar] = pci_map_bar(v->pci, bar);
	return mapped[bar] ? (volatile uint8_t *)mapped[bar] + off : NULL;
}

static void take_cap(struct virtio_pci *v, unsigned cap, void **mapped)
{
	switch (pci_read8(v->pci, cap + CAP_TYPE)) {
	case CAP_COMMON:
		if (!v->common)
			v->common = map_structure(v, cap, mapped, COMMON_BYTES);
		break;
	case CAP_NOTIFY:
		if (!v->notify)
			v->notify = map_structure(v, cap, mapped, 2);
		v->notify_multiplier = pci_read32(v->pci, cap + CAP_NOTIFY_MULTIPLIER);
		break;
	case CAP_ISR:
		if (!v->isr)
			v->isr = map_structure(v, cap, mapped, 1);
		break;
	case CAP_DEVICE:
		if (!v->device)
			v->device = map_structure(v, cap, mapped, 1);
		v->device_len = pci_read32(v->pci, cap + CAP_LENGTH);
		break;
	default:
		break;
	}
}

static void add_status(struct virtio_pci *v, uint8_t bits)
{
	mmio_write8(v->common + COMMON_STATUS,
		    (uint8_t)(mmio_read8(v->common + COMMON_STATUS) | bits));
}

int virtio_pci_reset(struct virtio_pci *v)
{
	uint64_t end = time_ns() + RESET_TIMEOUT_NS;

	mmio_write8(v->common + COMMON_STATUS, 0);
	while (mmio_read8(v->common + COMMON_STATUS) != 0) {
		if (time_ns() > end)
			return -EIO;
		cpu_pause();
	}
	add_status(v, STATUS_ACKNOWLEDGE);
	add_status(v, STATUS_DRIVER);
	return 0;
}

int virtio_pci_open(struct virtio_pci *v, struct pci_dev *d)
{
	void *mapped[6] = { 0 };

	v->pci = d;
	for (unsigned cap = pci_find_cap(d, CAP_VENDOR, 0), n = 0; cap && n < 16;
	     cap = pci_find_cap(d, CAP_VENDOR, cap), n++)
		take_cap(v, cap, mapped);
	if (!v->common || !v->notify || !v->isr)
		return -ENODEV;
	pci_enable_master(d);
	return virtio_pci_reset(v) ? -ENODEV : 0;
}

uint64_t virtio_pci_offered(struct virtio_pci *v)
{
	uint64_t lo;

	mmio_write32(v->common + COMMON_DEVICE_FEATURE_SELECT, 0);
	lo = mmio_read32(v->common + COMMON_DEVICE_FEATURE);
	mmio_write32(v->common + COMMON_DEVICE_FEATURE_SELECT, 1);
	return lo | (uint64_t)mmio_read32(v->common + COMMON_DEVICE_FEATURE) << 32;
}

int virtio_pci_features(struct virtio_pci *v, uint64_t wanted)
{
	v->features = virtio_pci_offered(v) & (wanted | VIRTIO_F_VERSION_1);
	if (!virtio_pci_has(v, VIRTIO_F_VERSION_1))
		return -ENODEV;
	mmio_write32(v->common + COMMON_DRIVER_FEATURE_SELECT, 0);
	mmio_write32(v->common + COMMON_DRIVER_FEATURE, (uint32_t)v->features);
	mmio_write32(v->common + COMMON_DRIVER_FEATURE_SELECT, 1);
	mmio_write32(v->common + COMMON_DRIVER_FEATURE, (uint32_t)(v->features >> 32));
	add_status(v, STATUS_FEATURES_OK);
	return (mmio_read8(v->common + COMMON_STATUS) & STATUS_FEATURES_OK) ? 0 : -ENODEV;
}

uint16_t virtio_pci_queue_max(struct virtio_pci *v, uint16_t index)
{
	mmio_write16(v->common + COMMON_QUEUE_SELECT, index);
	return mmio_read16(v->common + COMMON_QUEUE_SIZE);
}

static void write_addr(struct virtio_pci *v, unsigned off, hpa_t a)
{
	mmio_write32(v->common + off, (uint32_t)a.v);
	mmio_write32(v->common + off + 4, (uint32_t)(a.v >> 32));
}

int virtio_pci_queue(struct virtio_pci *v, uint16_t index, struct vring *r, uint16_t vector)
{
	uint32_t notify_off;

	mmio_write16(v->common + COMMON_QUEUE_SELECT, index);
	mmio_write16(v->common + COMMON_QUEUE_SIZE, (uint16_t)r->size);
	write_addr(v, COMMON_QUEUE_DESC, vring_desc_hpa(r));
	write_addr(v, COMMON_QUEUE_DRIVER, vring_avail_hpa(r));
	write_addr(v, COMMON_QUEUE_DEVICE, vring_used_hpa(r));
	mmio_write16(v->common + COMMON_QUEUE_VECTOR, vector);
	if (mmio_read16(v->common + COMMON_QUEUE_VECTOR) != vector)
		return -EIO;
	notify_off = mmio_read16(v->common + COMMON_QUEUE_NOTIFY_OFF);
	r->doorbell = v->notify + notify_off * v->notify_multiplier;
	r->index = index;
	mmio_write16(v->common + COMMON_QUEUE_ENABLE, 1);
	return 0;
}

int virtio_pci_config_vector(struct virtio_pci *v, uint16_t vector)
{
	mmio_write16(v->common + COMMON_CONFIG_VECTOR, vector);
	return mmio_read16(v->common + COMMON_CONFIG_VECTOR) == vector ? 0 : -EIO;
}

void virtio_pci_ready(struct virtio_pci *v)
{
	add_status(v, STATUS_DRIVER_OK);
}

void virtio_pci_failed(struct virtio_pci *v)
{
	add_status(v, STATUS_FAILED);
}

bool virtio_pci_isr(struct virtio_pci *v)
{
	return mmio_read8(v->isr) != 0;
}

uint16_t virtio_pci_read16(const struct virtio_pci *v, unsigned off)
{
	return off + 2 <= v->device_len ? mmio_read16(v->device + off) : 0;
}

uint32_t virtio_pci_read32(const struct virtio_pci *v, unsigned off)
{
	return off + 4 <= v->device_len ? mmio_read32(v->device + off) : 0;
}
