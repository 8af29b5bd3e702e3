/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a split virtqueue, with event index and indirect
 * descriptors where negotiated. [virtio 1.2 2.7 "Split Virtqueues"]
 *
 * In order of use: vring_init; vring_add (as many as fit), vring_kick; vring_get
 * until it says none; vring_arm before sleeping. One world owns a ring; nothing
 * here locks. What the device writes (used ids and lengths) is checked.
 */
#ifndef DRIVERS_VIRTIO_RING_H
#define DRIVERS_VIRTIO_RING_H

#include <tern/types.h>

#define VRING_MAX_SIZE 1024u
#define VRING_MAX_SEGS 32u

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
_Static_assert(sizeof(struct vring_desc) == 16, "virtqueue descriptor");

struct vring_used_elem {
	uint32_t id;
	uint32_t len;
};

struct vring_seg {
	hpa_t addr;
	uint32_t len;
};

struct vring {
	uint32_t size;		    /* [const] entries, a power of two */
	uint16_t index;		    /* [const] queue number */
	bool event_idx;		    /* [const] */
	volatile uint8_t *doorbell; /* [const] */
	struct vring_desc *desc;
	volatile uint16_t *avail;    /* flags, idx, ring[size], used_event */
	volatile uint16_t *used;     /* flags, idx, elem[size], avail_event */
	struct vring_desc *indirect; /* size tables of VRING_MAX_SEGS, or NULL */
	void **token;		     /* by head descriptor; NULL = not in flight */
	uint16_t *chain;	     /* by head: descriptors it took */
	uint16_t free_head, nr_free;
	uint16_t avail_idx;  /* next to publish */
	uint16_t kicked_idx; /* published at the last kick */
	uint16_t used_idx;   /* next to take */
	uint64_t kicks, bad;
};

/* -ENOMEM. size is a power of two, at most VRING_MAX_SIZE. */
MUST_CHECK int vring_init(struct vring *r, uint32_t size, bool event_idx, bool indirect);
/* As vring_init left it, for a device that was reset: what was in flight is forgotten. */
void vring_clear(struct vring *r);
hpa_t vring_desc_hpa(const struct vring *r);
hpa_t vring_avail_hpa(const struct vring *r);
hpa_t vring_used_hpa(const struct vring *r);

/* Queues out segments the device reads, then in segments it writes. -EAGAIN when the ring is full.
 */
MUST_CHECK int vring_add(struct vring *r, const struct vring_seg *seg, unsigned out, unsigned in,
			 void *token);
/* Rings the doorbell if the device wants to know of what was added: true when it was rung. */
bool vring_kick(struct vring *r);
/* Next completion's token and bytes written, or NULL. */
void *vring_get(struct vring *r, uint32_t *len);
bool vring_pending(const struct vring *r);
/* Asks for an interrupt after `after` more completions (1 = the next); true when one is there
 * already. */
bool vring_arm(struct vring *r, uint16_t after);
/* No interrupts wanted (a hint). */
void vring_disarm(struct vring *r);
/* For a ring whose completions nobody waits for but when it fills up: asks for an interrupt while
 * less than half of it is free, or less than an entry of so many segments needs, and for none
 * otherwise. True when one is there already. */
bool vring_arm_short(struct vring *r, unsigned segments);
static inline unsigned vring_in_flight(const struct vring *r)
{
	return (uint16_t)(r->avail_idx - r->used_idx);
}
static inline bool vring_full(const struct vring *r)
{
	return r->nr_free == 0;
}

#endif
