/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk: a guest's disk, on any struct blkdev. vblk.c is the device and its world,
 * vblk_life.c when it takes requests and which disk is under it, vblk_req.c one request,
 * vblk_part.c what of it goes to the disk at a time, vblk_limit.c what it may
 * cost, vblk_state.c what travels.
 *
 * A vCPU that notifies takes requests out of the ring and hands them to the disk; they
 * complete in the device's world. Guest memory is not copied: its pages are pinned for as long as
 * the disk works on them. A request that is larger than the disk's limits, which another host's
 * disk may have smaller, goes in parts, one after the other.
 *
 * Requests come from a pool: when it is empty the rest waits in the ring, and nothing is allocated
 * on the way. Locks: the device's mutex; vblk->lock for what completions touch.
 * [virtio 1.2 5.2 "Block Device"]
 */
#ifndef KERNEL_VDEV_VBLK_H
#define KERNEL_VDEV_VBLK_H

#include <tern/blkdev.h>

#include <tern/timer.h>

#include "kernel/lib/bucket.h"
#include "kernel/lib/virtio_blk.h"
#include "vdisk.h"
#include "virtio.h"

#define VBLK_QUEUES_MAX 8u
#define VBLK_POOL 64u	    /* requests worked at */
#define VBLK_PART_PAGES 64u /* of guest memory, pinned for a part */
#define VBLK_SEGS_MAX 128u  /* buffers of one request */
#define VBLK_RANGES_MAX 16u /* of a discard or a write of zeroes */

struct vblk;
struct vblk_pin {
	gpa_t gpa;
	void *p;
};

/* Legend: the device's mutex, but for what r and the disk's driver have meanwhile. */
struct vblk_req {
	struct blk_req r; /* the part that the disk works on */
	struct vblk *dev; /* [const] */
	struct vblk_req *next;
	unsigned queue;
	uint32_t epoch; /* vblk->epoch when it was taken */
	enum blk_op op;
	uint64_t from, bytes; /* of the disk, now; none for a flush */
	uint64_t at;	      /* of them done, or under way */
	uint64_t all_bytes;   /* with the other ranges */
	unsigned nr_ranges, next_range;
	struct vblk_range range[VBLK_RANGES_MAX]; /* as the guest had them, checked */
	bool flush;				  /* a flush is to end it */
	uint64_t start_ns;
	unsigned nr_pins;
	struct vblk_pin pin[VBLK_PART_PAGES];
	struct blk_seg seg[VBLK_PART_PAGES];
	struct virtq_chain chain;
};

/* What vm->cfg.disk[index].limit has used up; all under the device's mutex. */
struct vblk_limiter {
	struct bucket requests, bytes;
	struct timer due;		   /* the next request may be taken */
	uint64_t since_ns;		   /* requests have waited for it since; 0: none does */
	uint16_t waiting[VBLK_QUEUES_MAX]; /* of each queue, counted when it was stopped */
};

struct vblk {
	struct virtio v;
	struct vblk_config config; /* [v.d.lock] */
	unsigned index;		   /* [const] of vm->cfg.disk */
	struct vdisk *disk;	   /* [v.d.lock] open, or NULL: the VM is off, or arrives */
	struct blkdev *blk;	   /* [v.d.lock] its device */
	struct world *world;	   /* [const] */
	struct event ev;	   /* something to do */
	uint32_t ending;	   /* [atom] */
	bool live;		   /* [v.d.lock] takes requests */
	bool paused;		   /* [v.d.lock] and just now none: they stay in the rings */
	uint32_t epoch;		   /* [v.d.lock] grows with each reset: what is older has no ring */
	uint32_t stale;		   /* [v.d.lock] requests of before that the disk still has */
	uint32_t starved;	   /* [v.d.lock] bit per queue: waits for a free request */
	unsigned turn;		   /* [v.d.lock] the queue that is served first */
	struct vblk_req *pool;	   /* [const] VBLK_POOL of them */
	struct vblk_req *free;	   /* [v.d.lock] */
	hpa_t zeroes;		   /* [const] a page of them */
	struct vdisk_stats stats;  /* [v.d.lock] */
	struct vblk_limiter limit; /* [v.d.lock] */
	struct spinlock lock;
	struct vblk_req *done, **done_last; /* [lock] parts that have completed */
	uint32_t busy;			    /* [lock] requests taken */
	struct waitq idle;		    /* busy is 0 */
};

/* Of vm->cfg.disk[index]. A second instance of a VM shares its disk, if that is open. */
MUST_CHECK int vblk_create(struct vm *vm, struct pci_bus *bus, unsigned slot, unsigned index,
			   struct vblk **out);
/* Around a run. Close waits for what the disk works on; each may come twice. */
MUST_CHECK int vblk_open(struct vblk *b, char *why, size_t why_len);
void vblk_close(struct vblk *b);
/* Instead of vblk_open for a VM that arrives: vdisk_await, and at last vdisk_accept. */
MUST_CHECK int vblk_await(struct vblk *b, const struct vdisk_id *id, char *why, size_t why_len);
MUST_CHECK int vblk_accept(struct vblk *b);
void vblk_info(struct vblk *b, struct vdisk_info *out);

static inline struct vblk *vblk_of(struct vdev *d)
{
	return container_of(container_of(d, struct virtio, d), struct vblk, v);
}

/*
 * vblk_req.c; the device's mutex is held. Takes a request out of the ring: 1, 0 when it is empty,
 * -EAGAIN when the pool is, a limit holds it or the device is paused (the queue is marked as
 * starved), or the guest's error.
 */
MUST_CHECK int vblk_take(struct vblk *b, unsigned queue);
/* A part of the request has completed: the next, or the end. 0 or the guest's error. */
MUST_CHECK int vblk_go_on(struct vblk_req *q);

/* vblk_part.c. Hands the next part over, pinned; or an error of blkdev.h, nothing pinned. */
MUST_CHECK int vblk_part(struct vblk_req *q);
void vblk_flush(struct vblk_req *q);
void vblk_unpin(struct vblk_req *q);

/* vblk.c: completion of a part; any context. */
void vblk_done(struct blk_req *r);
/* All queues, with the device's mutex held. */
void vblk_serve_all(struct vblk *b);

/* vblk_life.c. The transport's hooks: what is in flight has lost its ring. */
void vblk_cleared(struct virtio *v);
bool vblk_resetting(const struct virtio *v);
/* vblk_life.c: of vdev_ops. */
void vblk_reset(struct vdev *d);
int vblk_quiesce(struct vdev *d, uint64_t deadline_ns);
void vblk_resume(struct vdev *d);
/* The disk that another instance of the VM has open. */
void vblk_attach(struct vblk *b, struct vdisk *disk);
/*
 * The driver's requests go to blk, NULL: to the open disk itself; what went before has ended, so
 * each request is one device's from its begin to its end. -ENODEV: no disk is open.
 */
MUST_CHECK int vblk_filter(struct vblk *b, struct blkdev *blk);
/* The driver's requests stay in its rings, or are taken again; those that were taken go on. */
void vblk_pause(struct vblk *b, bool on);

/* vblk_limit.c; the device's mutex is held but for init, fini and vblk_limit itself. */
void vblk_limit_init(struct vblk *b);
void vblk_limit_fini(struct vblk *b);
/* 1: a request may be taken; 0: those in the ring wait, the timer is armed; or an error. */
MUST_CHECK int vblk_limit_ready(struct vblk *b, unsigned queue);
/* Some queue waits: the others do not pass it by. */
bool vblk_limit_holds(const struct vblk *b);
/* A request was taken; later, that it moves so many bytes. */
void vblk_limit_took(struct vblk *b, unsigned queue);
void vblk_limit_moves(struct vblk *b, uint64_t bytes);
/* All queues have their turn: those that have to wait on will say so. */
void vblk_limit_turn(struct vblk *b);
/* The rings are gone, and what waited in them. */
void vblk_limit_forget(struct vblk *b);
/* How long any has waited up to now. */
uint64_t vblk_limit_held_ns(const struct vblk *b);
MUST_CHECK int vblk_limit(struct vblk *b, const struct vm_disk_limit *limit);

/* vblk_state.c: of vdev_ops. */
void vblk_save(struct vdev *d, struct rec_writer *w);
int vblk_check(struct vdev *d, struct rec_reader *r);
int vblk_load(struct vdev *d, struct rec_reader *r);

#endif
