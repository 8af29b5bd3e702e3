/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a split virtqueue: descriptor chains out of the
 * available ring, indirect tables, used ring, event index. All that the guest
 * wrote there is hostile: what does not fit is -EPROTO (malformed) or -EFAULT
 * (no such memory), and the caller lets the device ask for a reset.
 *
 * Interface in order of use: virtq_valid when the driver enables the queue;
 * virtq_pop, virtq_get / virtq_put on the chain, virtq_push; virtq_arm when it
 * was empty; virtq_wants_signal after a batch. Not locked: the device's mutex.
 * [virtio 1.2 2.7 "Split Virtqueues"]
 */
#ifndef KERNEL_VDEV_VIRTQ_H
#define KERNEL_VDEV_VIRTQ_H

#include <tern/gmem.h>

#define VIRTQ_SIZE_MAX 1024u
#define VIRTQ_SEGS_MAX 130u /* of one chain: 128 data, header, status */
#define VIRTQ_NO_VECTOR 0xffffu

struct virtq {
	uint64_t desc, driver, device; /* guest-physical: descriptors, available ring, used ring */
	uint16_t size;
	uint16_t vector;
	uint16_t last_avail; /* next available entry to take */
	uint16_t used_idx;   /* next used entry to write */
	uint16_t signalled;  /* used_idx at the last signal decision */
	bool ready;
	bool indirect, event_idx; /* negotiated */
};

struct virtq_seg {
	uint64_t gpa;
	uint32_t len;
};

struct virtq_chain {
	uint16_t head;
	uint16_t nr_out, nr_in;	  /* segments: first the readable, then the writable ones */
	uint16_t nr_descs;	  /* of the ring, which the driver cannot use meanwhile */
	uint64_t out_len, in_len; /* bytes */
	struct virtq_seg seg[VIRTQ_SEGS_MAX];
};

/* Size and addresses that the ring layout allows? */
bool virtq_valid(const struct virtq *q, uint16_t size_max);
/* 1 with a chain, 0 when the ring is empty, -EPROTO or -EFAULT. */
MUST_CHECK int virtq_pop(struct virtq *q, struct gmem *g, struct virtq_chain *c);
/* Copies from the readable / into the writable part at offset off; [off, off + len) must lie
 * inside. */
MUST_CHECK int virtq_get(const struct virtq_chain *c, struct gmem *g, uint64_t off, void *buf,
			 size_t len);
MUST_CHECK int virtq_put(const struct virtq_chain *c, struct gmem *g, uint64_t off, const void *buf,
			 size_t len);
/* One buffer may take several chains: entry k of those, not shown to the driver until published. */
MUST_CHECK int virtq_push_at(struct virtq *q, struct gmem *g, uint16_t head, uint32_t written,
			     uint16_t k);
MUST_CHECK int virtq_publish(struct virtq *q, struct gmem *g, uint16_t count);
/* Takes back the last count pops: they will be popped again. */
void virtq_unpop(struct virtq *q, uint16_t count);
/* Gives the chain back with written bytes in its writable part. */
MUST_CHECK int virtq_push(struct virtq *q, struct gmem *g, const struct virtq_chain *c,
			  uint32_t written);
/* Asks for a notification at the next entry. 1 when entries came meanwhile: pop again; 0 when still
 * empty. */
MUST_CHECK int virtq_arm(struct virtq *q, struct gmem *g);
/* Entries that wait to be popped, or an error. */
MUST_CHECK int virtq_waiting(const struct virtq *q, struct gmem *g);
/* 1 when the driver wants an interrupt for what was pushed since the last call, 0, or an error. */
MUST_CHECK int virtq_wants_signal(struct virtq *q, struct gmem *g);

#endif
