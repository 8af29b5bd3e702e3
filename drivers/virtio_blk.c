/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk: probe, features, queues, interrupts. One queue for each CPU as far as
 * the device has them, its interrupt on that CPU. [virtio 1.2 5.2 "Block Device"]
 *
 * Probing runs in a world, with the queues stopped: their interrupts find nothing to do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/page.h>

#include "drivers/virtio_blk.h"

#define VIRTIO_ID_BLOCK 2u
#define VIRTIO_BLK_TRANSITIONAL 0x1001u

#define ID_LIMIT_NS NSEC_PER_SEC
#define ID_POLL_NS (100 * NSEC_PER_USEC)

#define WANTED_FEATURES                                                                            \
	(VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VBLK_F_SIZE_MAX | VBLK_F_SEG_MAX |          \
	 VBLK_F_RO | VBLK_F_BLK_SIZE | VBLK_F_FLUSH | VBLK_F_TOPOLOGY | VBLK_F_MQ |                \
	 VBLK_F_DISCARD | VBLK_F_WRITE_ZEROES)

/* ---- queues and interrupts ---- */

/* A pin is shared: the status register tells whether it was this device. */
static void on_pin(void *arg)
{
	struct vblk *d = arg;

	if (virtio_pci_isr(&d->v))
		for (unsigned i = 0; i < d->nr_queues; i++)
			vblk_interrupt(&d->queue[i]);
}

/* MSI-X: an entry for each queue. Else one queue at the pin. */
static int attach_irqs(struct vblk *d)
{
	enum pci_irq_kind kind;
	unsigned vectors = pci_msix_count(d->v.pci);
	int err;

	d->v.pci->no_msi = true; /* not in virtio's transport */
	d->nr_queues = MIN(MIN(vblk_offered_queues(d), cpu_count()), VBLK_MAX_QUEUES);
	d->nr_queues = MIN(d->nr_queues, vectors);
	for (unsigned i = 0; i < d->nr_queues; i++) {
		d->queue[i].vector = (uint16_t)i;
		err = pci_irq_attach(d->v.pci, i, (int)i, vblk_interrupt, &d->queue[i],
				     "virtio-blk", &kind);
		if (err)
			return err;
	}
	if (d->nr_queues)
		return 0;
	d->nr_queues = 1;
	d->queue[0].vector = VIRTIO_NO_VECTOR;
	return pci_irq_attach(d->v.pci, 0, -1, on_pin, d, "virtio-blk", &kind);
}

static int init_queue(struct vblk *d, unsigned i, uint32_t size)
{
	struct vblk_queue *q = &d->queue[i];
	struct vblk_slot *slots;
	hpa_t memory;
	int err = page_alloc(VBLK_SLOTS_ORDER, PAGE_ZERO, FRAME_KERNEL, &memory);

	if (err)
		return err;
	slots = hpa_ptr(memory);
	for (uint32_t n = 0; n < size; n++) {
		slots[n].next = q->free;
		q->free = &slots[n];
	}
	q->dev = d;
	q->stopped = true;
	spin_init(&q->lock, LOCK_DRIVER, "virtio-blk");
	return vring_init(&q->ring, size, virtio_pci_has(&d->v, VIRTIO_F_EVENT_IDX),
			  virtio_pci_has(&d->v, VIRTIO_F_INDIRECT_DESC));
}

/* All rings are as long as the shortest, a power of two. */
static uint32_t ring_size(struct vblk *d)
{
	uint32_t size = VBLK_RING;

	for (unsigned i = 0; i < d->nr_queues; i++)
		while (size > virtio_pci_queue_max(&d->v, (uint16_t)i))
			size /= 2;
	return size;
}

/* The answer to the serial number's request has passed the mark: without another the next ones
 * come without an interrupt. */
static void open_queue(struct vblk_queue *q)
{
	unsigned long flags = spin_lock(&q->lock);

	q->stopped = false;
	(void)vring_arm(&q->ring, 1);
	spin_unlock(&q->lock, flags);
}

/* ---- serial number ---- */

struct id_request {
	struct vblk_header header;
	volatile uint8_t status;
	char text[VBLK_ID_BYTES + 1];
};

/* On the first queue, before it is open. False: the device does not answer at all. */
static bool read_id(struct vblk *d, struct id_request *id)
{
	struct vring *r = &d->queue[0].ring;
	const struct vring_seg seg[] = {
		{ ptr_hpa(&id->header), sizeof(id->header) },
		{ ptr_hpa(id->text), VBLK_ID_BYTES },
		{ ptr_hpa((const void *)(uintptr_t)&id->status), 1 },
	};
	uint64_t end = time_ns() + ID_LIMIT_NS;
	uint32_t len;

	id->header.type = VBLK_T_GET_ID;
	id->status = VBLK_S_NONE;
	if (vring_add(r, seg, 1, 2, id))
		return true; /* a ring that short: no number */
	vring_kick(r);
	while (!vring_get(r, &len)) {
		if (time_ns() >= end)
			return false;
		world_sleep_ns(ID_POLL_NS);
	}
	if (id->status == VBLK_S_OK)
		memcpy(d->blk.serial, id->text, VBLK_ID_BYTES);
	for (char *c = d->blk.serial; *c; c++)
		*c = *c >= ' ' && *c <= '~' ? *c : ' ';
	return true;
}

static int take_id(struct vblk *d)
{
	hpa_t page;
	int err = page_alloc(ORDER_4K, PAGE_ZERO, FRAME_KERNEL, &page);

	if (err)
		return err;
	if (!read_id(d, hpa_ptr(page))) {
		pci_disable_master(d->v.pci); /* nor does it write into the page later */
		err = -EIO;
	}
	page_put(page);
	return err;
}

/* ---- set-up ---- */

static int set_up(struct vblk *d, const char **why)
{
	uint32_t size;
	int err = virtio_pci_features(&d->v, WANTED_FEATURES);

	if (!err)
		err = attach_irqs(d);
	if (err)
		return err;
	size = ring_size(d);
	err = vblk_read_config(d, size, why);
	d->blk.geo.queue_depth = size * d->nr_queues;
	for (unsigned i = 0; !err && i < d->nr_queues; i++)
		err = init_queue(d, i, size);
	if (!err)
		err = vblk_begin(d);
	if (!err)
		err = take_id(d);
	return err ? err : vblk_recover_start(d);
}

static bool is_blk(const struct pci_dev *pci)
{
	return pci->vendor == VIRTIO_PCI_VENDOR &&
	       (pci->device == VIRTIO_PCI_DEVICE(VIRTIO_ID_BLOCK) ||
		pci->device == VIRTIO_BLK_TRANSITIONAL);
}

/* A device whose interrupts are attached keeps its memory, used or not. */
static int probe(struct pci_dev *pci)
{
	const char *why = "set-up failed";
	struct vblk *d;
	int err;

	if (!is_blk(pci))
		return -ENODEV;
	d = calloc(1, sizeof(*d));
	if (!d || virtio_pci_open(&d->v, pci)) {
		free(d);
		return -ENODEV;
	}
	d->blk.ops = &vblk_blk_ops;
	d->blk.driver = "virtio-blk";
	for (unsigned i = 0; i < VBLK_MAX_QUEUES; i++)
		d->queue[i].stopped = true;
	err = set_up(d, &why);
	if (!err)
		err = blk_register(&d->blk);
	if (err) {
		log_warn("virtio-blk", "%02x:%02x.%u is not used: %s: %d", pci->bus, pci->dev,
			 pci->fn, why, err);
		virtio_pci_failed(&d->v);
		return -ENODEV;
	}
	for (unsigned i = 0; i < d->nr_queues; i++)
		open_queue(&d->queue[i]);
	return 0;
}

const struct pci_driver virtio_blk_driver = { .name = "virtio-blk", .probe = probe };
