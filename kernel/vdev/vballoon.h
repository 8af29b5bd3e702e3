/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-balloon: takes memory that the guest gives up on request, or that is free
 * anyway, and hears its statistics and its free-page hints (vdev.h).
 * vballoon.c is the device and its configuration, vballoon_queues.c what the guest
 * says in its queues.
 */
#ifndef KERNEL_VDEV_VBALLOON_H
#define KERNEL_VDEV_VBALLOON_H

#include "virtio.h"

#define BALLOON_F_MUST_TELL_HOST BIT(0)
#define BALLOON_F_STATS BIT(1)
#define BALLOON_F_DEFLATE_ON_OOM BIT(2)
#define BALLOON_F_HINT BIT(3)
#define BALLOON_F_REPORT BIT(5)

enum { BALLOON_INFLATE, BALLOON_DEFLATE, BALLOON_STATSQ, BALLOON_HINTQ, BALLOON_REPORTQ };

/* Words of the configuration. [virtio 1.2 5.5.4 "Device configuration layout"] */
enum { BALLOON_NUM_PAGES, BALLOON_ACTUAL, BALLOON_HINT_ID, BALLOON_CONFIG_WORDS };

#define BALLOON_HINT_STOP 0u
#define BALLOON_HINT_DONE 1u
#define BALLOON_HINT_FIRST 2u

enum balloon_hints {
	HINTS_OFF,
	HINTS_ASKED,
	HINTS_COMING, /* it has said that what follows answers our question */
	HINTS_COMPLETE,
};

/* All under v.d.lock. */
struct vballoon {
	struct virtio v;
	uint32_t config[BALLOON_CONFIG_WORDS]; /* little-endian, as this CPU is */
	uint32_t last_id;		       /* of the latest question for hints */
	enum balloon_hints hints;
	uint64_t hints_seen;
	struct pageset batch, hinted; /* of one chain; of one question */
	uint32_t held;		      /* pages named in inflation and not in deflation */
	uint64_t ballooned, reported;
	uint32_t stats_known;
	uint64_t stat[BALLOON_STATS], stats_ns;
	bool short_said; /* that the host lacks memory was logged */
};

MUST_CHECK int vballoon_create(struct vm *vm, struct pci_bus *bus, unsigned slot,
			       struct vballoon **out);

static inline struct vballoon *vballoon_of(struct virtio *v)
{
	return container_of(v, struct vballoon, v);
}

/* vballoon_queues.c */
MUST_CHECK int vballoon_kick(struct virtio *v, unsigned queue);
/* The guest will use so much of what it gave up. */
void vballoon_call_back(struct vballoon *b, uint32_t pages);
/* Gives the driver its statistics buffer back, to be filled anew. 1 when it had one. */
MUST_CHECK int vballoon_renew_stats(struct vballoon *b);

#endif
