/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the virtio-blk driver share. Each queue is complete in itself,
 * with its own lock; a CPU submits to its own. When a request has no answer the
 * device is reset as a whole, and each queue hands its requests over again.
 *
 *   virtio_blk.c          found, features, interrupts, registered
 *   virtio_blk_config.c   what the device says of itself (pure)
 *   virtio_blk_request.c  requests of a queue
 *   virtio_blk_recover.c  time-outs, the reset, replay
 *
 * Letters: [const] after probe, [q] under queue->lock.
 */
#ifndef DRIVERS_VIRTIO_BLK_H
#define DRIVERS_VIRTIO_BLK_H

#include "drivers/disk.h"
#include "drivers/virtio_pci.h"
#include "drivers/virtio_ring.h"
#include "kernel/lib/virtio_blk.h"

#define VBLK_MAX_QUEUES 8u
#define VBLK_RING 128u
#define VBLK_MAX_BYTES (1u << 20)
#define VBLK_MAX_SEGS (VRING_MAX_SEGS - 2u) /* data; a header and a status go with them */

/* A request that the device has. Lies in the direct map: the device reads and writes its head. */
struct vblk_slot {
	struct vblk_header header;
	struct vblk_range range;
	volatile uint8_t status;
	struct blk_req *r;
	uint64_t deadline_ns;
	struct vblk_slot *next, *prev; /* free, or in flight in order of their first try */
};
#define VBLK_SLOTS_ORDER 2u
_Static_assert(VBLK_RING * sizeof(struct vblk_slot) <= PAGE_SIZE << VBLK_SLOTS_ORDER, "slots");

struct vblk;

struct vblk_queue {
	struct vblk *dev; /* [const] */
	uint16_t vector;  /* [const] MSI-X entry or VIRTIO_NO_VECTOR */
	struct spinlock lock;
	bool stopped;		       /* [q] the device is in a reset, or has not begun */
	bool gone;		       /* [q] it did not come out of one */
	bool timer_on;		       /* [q] */
	struct vring ring;	       /* [q] */
	struct vblk_slot *free;	       /* [q] */
	struct vblk_slot *head, *tail; /* [q] in flight */
	struct blk_req *first, *last;  /* [q] waiting */
	struct timer timeout;
};

struct vblk {
	struct blkdev blk;
	struct virtio_pci v;
	uint32_t size_max; /* [const] bytes of a segment that the device takes */
	unsigned nr_queues;
	struct vblk_queue queue[VBLK_MAX_QUEUES];
	struct event broken; /* wakes the recovery world */
};

/* virtio_blk_config.c: the geometry of a device with d->v set up. -EINVAL, *why says the cause. */
MUST_CHECK int vblk_read_config(struct vblk *d, uint32_t ring_size, const char **why);
unsigned vblk_offered_queues(const struct vblk *d);

/* virtio_blk_request.c */
extern const struct blk_ops vblk_blk_ops;
void vblk_interrupt(void *queue);
/* Hands a slot's request to the device, without the doorbell; false when the ring has no room. */
MUST_CHECK bool vblk_add_locked(struct vblk_queue *q, struct vblk_slot *s);
/* Takes what is complete off the ring; a list for disk_complete_all. */
struct blk_req *vblk_collect_locked(struct vblk_queue *q);
/* Hands over what waits while there is room, and rings the doorbell. */
void vblk_pump_locked(struct vblk_queue *q);
/* In flight no more; its request. */
struct blk_req *vblk_release_locked(struct vblk_queue *q, struct vblk_slot *s);

/* virtio_blk_recover.c */
MUST_CHECK int vblk_recover_start(struct vblk *d);
void vblk_arm_timeout_locked(struct vblk_queue *q, uint64_t deadline_ns);
/* One reset of the device, and all that follows; sleeps. */
void vblk_recover(struct vblk *d);
/* Gives all rings to the device and lets it begin; the queues stay stopped. */
MUST_CHECK int vblk_begin(struct vblk *d);

#endif
