/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block devices: what a disk, a virtual disk or a filter between them is to
 * whoever uses it. Requests are asynchronous, on scatter lists of host memory;
 * one completes by its callback, or a world waits for it.
 *
 * Interface in order of use: blk_at or blk_find; blk_submit, or in a world
 * blk_wait and blk_transfer; blk_quiesce and blk_resume around what must not
 * meet a request in flight. A driver fills a struct blkdev, registers it, and
 * ends each request that it was given by blk_complete.
 *
 * Requests in flight are not ordered among each other. What must be ordered
 * waits for the first to complete. A completed write may still be in a volatile
 * cache; a flush makes durable all writes that completed before it was submitted.
 */
#ifndef TERN_BLKDEV_H
#define TERN_BLKDEV_H

#include <tern/lock.h>
#include <tern/types.h>
#include <tern/world.h>

#define BLK_MAX_DEVICES 64u
#define BLK_OWNER 48u

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,
	BLK_DISCARD, /* contents are no longer needed; what is read afterwards is not defined */
	BLK_WRITE_ZEROES, /* reads as zeroes afterwards */
	BLK_OPS
};

/* Host-physical memory, any address and length; the dma_* limits say what is not copied. */
struct blk_seg {
	hpa_t addr;
	uint32_t len; /* bytes, not 0 */
};

struct blkdev;

/*
 * Filled by the caller, who owns it and its memory before blk_submit and again from
 * done on. Those in between are the layer's and the driver's.
 */
struct blk_req {
	enum blk_op op;
	uint64_t block;		    /* first logical block; not for a flush */
	uint64_t blocks;	    /* how many logical blocks; not for a flush */
	const struct blk_seg *segs; /* reads and writes: lengths add up to the blocks' bytes */
	uint32_t nr_segs;
	bool unmap; /* write zeroes: the space behind them may be given back */
	/*
	 * Called once, in any context, with no lock held, perhaps before blk_submit has
	 * returned. It must not sleep; it may submit, or free the request.
	 */
	void (*done)(struct blk_req *r);
	/*
	 * From done on: 0, or
	 *   -EINVAL      past the device's end, beyond its limits, or a list that does not fit
	 *   -ENOTSUP     the device does not know this operation
	 *   -EROFS       a write to a device that only reads
	 *   -EIO         the device failed it, its own and the driver's retries included
	 *   -ETIMEDOUT   the device did not answer, resets included
	 *   -ENODEV      the device is gone
	 * After an error of a write its blocks may hold the old contents, the new or none.
	 */
	int status;
	void *user; /* the caller's own */

	struct blkdev *dev;
	struct blk_req *next;
	uint64_t start_ns; /* when it was submitted */
	uint32_t tries;	   /* driver's; 0 when it gets the request */
	void *driver;	   /* driver's */
};

/* Constant from registration on, but that blocks may grow while the device is quiesced. */
struct blk_geometry {
	uint64_t blocks;	     /* logical */
	uint32_t block_bytes;	     /* logical block: a power of two from 512 to 4096 */
	uint32_t physical_bytes;     /* the device writes so much without reading first */
	uint32_t max_segs;	     /* segments in a request */
	uint32_t max_bytes;	     /* bytes in a read or a write; a multiple of the block */
	uint64_t max_discard_blocks; /* in a request; 0: -ENOTSUP */
	uint64_t max_zeroes_blocks;
	uint32_t queue_depth; /* requests worked at; more wait in the driver, in order */
	/* What the device reaches by itself; other memory is copied, which is right but slow. */
	uint32_t dma_align;  /* of a segment's address and length, bytes, a power of two */
	uint64_t dma_limit;  /* addresses below */
	bool dma_pages;	     /* segments meet at page boundaries only */
	bool volatile_cache; /* without one a flush completes at once */
	bool read_only;
};

struct blk_ops {
	/* Takes a request that fits the geometry; any context. Ends it by blk_complete, always. */
	void (*submit)(struct blkdev *d, struct blk_req *r);
};

struct blk_stats {
	uint64_t requests[BLK_OPS], bytes[BLK_OPS];
	uint64_t busy_ns[BLK_OPS];	    /* from submission to completion, all requests' sum */
	uint64_t errors;		    /* requests that failed */
	uint64_t retries, timeouts, resets; /* driver's */
	uint64_t lost; /* driver's: requests that had ended without an interrupt, found by a look */
	uint64_t doorbells;    /* driver's: how often the device was told of requests */
	uint64_t interrupts;   /* driver's: those that found requests ended */
	uint64_t copied_bytes; /* driver's: of memory that the device does not reach */
};

struct blkdev {
	const struct blk_ops *ops;  /* [const] */
	const char *driver;	    /* [const] "ide" */
	char name[16];		    /* [const] "disk0", given at registration */
	char model[41], serial[41]; /* [const] printable, may be empty */
	struct blk_geometry geo;    /* [const] */
	struct spinlock lock;
	uint32_t in_flight;		  /* [lock] given to the driver and not complete */
	uint32_t quiesced;		  /* [lock] how many want it quiet */
	struct blk_req *held, *held_last; /* [lock] submitted meanwhile */
	struct waitq quiet;
	char owner[BLK_OWNER];	/* [lock] the last who claimed it */
	uint32_t claims;	/* [lock] */
	bool claimed_write;	/* [lock] */
	struct blk_stats stats; /* [lock]; the driver's own are [atom] */
};

/* ---- for users ---- */

struct blkdev *blk_at(unsigned index); /* NULL past the end */
struct blkdev *blk_find(const char *name);
/* Any context, no lock held that done takes. What does not fit completes with its error. */
void blk_submit(struct blkdev *d, struct blk_req *r);
/* In a world: submits and sleeps until it is complete; its status. Uses done and user. */
MUST_CHECK int blk_wait(struct blkdev *d, struct blk_req *r);
/*
 * In a world: reads or writes count blocks at buf, which lies in the direct map, in as
 * many requests as the limits ask for, one after the other. The first error ends it.
 */
MUST_CHECK int blk_transfer(struct blkdev *d, enum blk_op op, uint64_t block, uint64_t count,
			    void *buf);
/*
 * In a world: returns when nothing is in flight; new requests are held, in order, until
 * blk_resume. Calls nest. A world that quiesced must not wait for a request to the device.
 */
void blk_quiesce(struct blkdev *d);
void blk_resume(struct blkdev *d);
void blk_stats(struct blkdev *d, struct blk_stats *out);
/*
 * Whose a whole device is: one who writes it, or any number who read. A datastore, a guest
 * and a command that overwrites it ask first; who only looks need not. -EBUSY: blk_owner says
 * whose.
 */
MUST_CHECK int blk_claim(struct blkdev *d, const char *who, bool write);
void blk_disclaim(struct blkdev *d);
void blk_owner(struct blkdev *d, char who[BLK_OWNER]); /* "" when it is nobody's */

/* ---- for drivers and layers ---- */

/* Makes it usable by pointer, without a name: a layer above a registered device. */
void blk_setup(struct blkdev *d);
/* blk_setup, a name, and a place in the list, for good. At boot, in a world. -ENOSPC. */
MUST_CHECK int blk_register(struct blkdev *d);
/* Ends a request; any context, no lock held that done takes. */
void blk_complete(struct blk_req *r, int status);

#endif
