/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio 1.x transport over PCI that all virtio devices of a guest share:
 * capabilities, common configuration, notifications, MSI-X, migration record.
 * Modern only; interrupts by MSI-X only.
 *
 * A device model embeds struct virtio, fills a struct virtio_ops and calls
 * virtio_create; then it hears kick() for a queue the driver notified, with the
 * device's mutex held. An error that kick returns is the guest's doing: the
 * device stops, shows NEEDS_RESET and logs it once.
 *
 * Layout: BAR0 has common, ISR, device and notify areas of 4 KiB each, BAR1
 * the MSI-X table. [virtio 1.2 4.1 "Virtio Over PCI Bus"]
 */
#ifndef KERNEL_VDEV_VIRTIO_H
#define KERNEL_VDEV_VIRTIO_H

#include "device.h"
#include "msix.h"
#include "pci.h"
#include "virtq.h"

#define VIRTIO_QUEUES_MAX 17u

#define VIRTIO_F_INDIRECT BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)

#define VIRTIO_ACKNOWLEDGE 0x01u
#define VIRTIO_DRIVER 0x02u
#define VIRTIO_DRIVER_OK 0x04u
#define VIRTIO_FEATURES_OK 0x08u
#define VIRTIO_NEEDS_RESET 0x40u
#define VIRTIO_FAILED 0x80u

struct virtio;
struct virtio_ops {
	const char *name;
	uint16_t id;	/* virtio device ID */
	uint32_t class; /* PCI class code */
	uint16_t nr_queues;
	uint16_t queue_size; /* power of two */
	uint64_t features;   /* beyond those of the transport */
	/* Device configuration; NULL: none. Of all devices, or of this one: v->config. */
	const void *config;
	uint32_t config_len;
	/* The driver wrote to it; NULL: it is read-only. */
	void (*config_write)(struct virtio *v, uint64_t off, unsigned size, uint64_t value);
	int (*kick)(struct virtio *v, unsigned queue);
	/* May be NULL. A notification, without the device's mutex; false: by kick(), with it. */
	bool (*post)(struct virtio *v, unsigned queue);
	/* Each may be NULL. The driver's features are final; the state before the driver is back.
	 */
	void (*negotiated)(struct virtio *v);
	void (*reset)(struct virtio *v);
	/* What it had in flight is not over: the driver reads a status other than 0 until it is. */
	bool (*resetting)(const struct virtio *v);
};

struct virtio {
	struct vdev d; /* the model's vdev_ops may wrap virtio_save and so on */
	struct pci_func f;
	struct msix msix;
	const struct virtio_ops *ops; /* [const] */
	const void *config;	      /* [const] ops->config, or this device's own */
	/* A device with fewer queues or features than its ops says so before virtio_create. */
	uint16_t nr_queues; /* [const] */
	uint64_t withheld;  /* [const] */
	uint64_t features;  /* accepted by the driver */
	uint32_t offered_sel, accepted_sel;
	uint8_t status, isr;
	uint8_t generation; /* of the configuration */
	bool quiet;	    /* from quiesce to resume: queues are left alone */
	uint16_t config_vector, queue_sel;
	struct virtq q[VIRTIO_QUEUES_MAX];
	struct virtq_chain chain; /* being worked on */
};

/* Fills the transport and puts it on the bus; instance of the records = slot. vdev_ops->destroy
 * frees. */
void virtio_create(struct virtio *v, struct vm *vm, struct pci_bus *bus, unsigned slot,
		   const struct virtio_ops *ops, const struct vdev_ops *vdev_ops,
		   enum rec_type last_rec);

/*
 * Takes each chain of a queue, gives it to fn, which returns bytes written into
 * it or an error, pushes it, and signals, at the latest after a few rings' worth.
 * It ends when the queue is empty and the driver knows that it must notify: with the
 * event index nobody else would come back for the rest. So other vCPUs can keep this
 * one's world in here, which gives way to others, until they are parked or stopped.
 */
MUST_CHECK int virtio_drain(struct virtio *v, unsigned queue,
			    int64_t (*fn)(struct virtio *v, struct virtq_chain *c));
/* Interrupt for what was pushed, if the driver wants one. */
MUST_CHECK int virtio_signal(struct virtio *v, unsigned queue);
bool virtio_running(const struct virtio *v, unsigned queue);
/* The device has changed its configuration. */
void virtio_config_changed(struct virtio *v);
/* The guest broke the rules of this queue: the device stops and asks for a reset. */
void virtio_broken(struct virtio *v, unsigned queue, int rc);
/* Runs kick() as a notification would. The device's mutex is held. */
void virtio_kick(struct virtio *v, unsigned queue);

/* vdev_ops of a model without state of its own. */
void virtio_reset(struct vdev *d);
int virtio_quiesce(struct vdev *d, uint64_t deadline_ns);
void virtio_resume(struct vdev *d);
void virtio_save(struct vdev *d, struct rec_writer *w);
int virtio_check(struct vdev *d, struct rec_reader *r);
int virtio_load(struct vdev *d, struct rec_reader *r);

/* virtio_regs.c: the common configuration area. */
extern const struct io_ops virtio_bar0_io;
extern const struct io_ops virtio_bar1_io;
uint64_t virtio_offered(const struct virtio *v);
/* Back to the state before the driver; by the driver's zero or a reset. */
void virtio_clear(struct virtio *v);

#endif
