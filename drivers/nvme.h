/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the NVMe driver share. A controller has an admin queue pair and
 * as many I/O queue pairs as CPUs, or as it gives; a request goes to the queue of
 * the CPU that submits it. Nothing is allocated after probe.
 *
 *   nvme.c           probe, interrupts, namespaces registered
 *   nvme_identify.c  what controller and namespace say of themselves (pure)
 *   nvme_prp.c       PRP lists (pure)
 *   nvme_status.c    what a status means (pure)
 *   nvme_ring.c      a pair of rings with their doorbells
 *   nvme_admin.c     admin commands, one at a time
 *   nvme_ctrl.c      a controller is stopped and started, its queues made
 *   nvme_command.c   a request as a command, the bounce buffer
 *   nvme_queue.c     requests of an I/O queue: waiting, in flight, ended, taken back
 *   nvme_recover.c   time-outs, aborts, resets
 *
 * Letters: [const] after probe, [q] under queue->lock, [own] the world that probes,
 * then the recovery world, [atom] atomic.
 */
#ifndef DRIVERS_NVME_H
#define DRIVERS_NVME_H

#include <tern/blkdev.h>
#include <tern/cpu.h>
#include <tern/page.h>
#include <tern/pci.h>
#include <tern/timer.h>

#include "drivers/disk.h"
#include "drivers/nvme_regs.h"

#define NVME_MAX_DEPTH 128u /* entries of a queue; one less is in flight */
#define NVME_ADMIN_DEPTH 8u
#define NVME_MAX_BYTES (512u << 10) /* of a read or a write; the bounce buffer's size */
#define NVME_BOUNCE_ORDER 7u
#define NVME_MAX_SEGS 256u
_Static_assert((PAGE_SIZE << NVME_BOUNCE_ORDER) == NVME_MAX_BYTES, "the bounce buffer's size");

/* A request's list beside PRP1: an unaligned one of the greatest length needs so many entries. */
#define NVME_PRPS (NVME_MAX_BYTES / PAGE_SIZE)
#define NVME_PRP_BYTES (NVME_PRPS * sizeof(uint64_t))
_Static_assert(PAGE_SIZE % NVME_PRP_BYTES == 0, "no list crosses a page");
#define NVME_PRP_ORDER 5u
_Static_assert((PAGE_SIZE << NVME_PRP_ORDER) == NVME_MAX_DEPTH * NVME_PRP_BYTES, "all lists");

/*
 * On top of the common times (drivers/disk.h): a request that is given up ends when
 * the controller has stopped, which takes a tick, the aborts and a stop at the most. After
 * that it cannot touch the disk or memory.
 */
#define NVME_TICK_NS (100 * NSEC_PER_MSEC)  /* how often is looked */
#define NVME_ABORT_NS (200 * NSEC_PER_MSEC) /* for all aborts of a turn, and what they end */
#define NVME_STOP_NS (500 * NSEC_PER_MSEC)  /* then it is cut off from memory instead */
#define NVME_ADMIN_NS (2 * NSEC_PER_SEC)    /* an admin command */
#define NVME_POLL_NS NSEC_PER_MSEC
_Static_assert(DISK_GIVE_UP_NS + NVME_TICK_NS + NVME_ABORT_NS + NVME_STOP_NS < DISK_IO_TIMEOUT_NS,
	       "ends before io_timeout");

/* A submission and a completion queue. What guards it is its owner's. */
struct nvme_ring {
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	volatile uint8_t *sq_bell, *cq_bell;
	uint16_t id, entries;
	uint16_t tail, head, phase; /* the next to fill; the next to take, and its phase tag */
};

struct nvme_slot { /* its index is the command's identifier */
	struct blk_req *r;
	uint64_t issued_ns, serial; /* serial: the order of submission */
	bool bounced;
};

struct nvme;

struct nvme_queue {
	struct spinlock lock;
	struct nvme *c; /* [const] */
	struct nvme_ring ring;
	struct nvme_slot slot[NVME_MAX_DEPTH];	/* [q] */
	uint16_t free[NVME_MAX_DEPTH], nr_free; /* [q] slots */
	uint64_t serial;			/* [q] */
	uint64_t *prps;				/* [q] NVME_PRPS a slot */
	struct blk_req *first, *last;		/* [q] waiting for a slot */
	bool frozen;				/* [q] the controller is not given anything */
	int dead;				/* [q] what requests end with from now on, or 0 */
	bool bounce_busy;			/* [q] of queue 1 */
};

struct nvme_admin {
	struct spinlock lock;
	struct nvme_ring ring;	/* [lock] */
	uint16_t cid;		/* [lock] of the command under way or the last */
	bool done;		/* [lock] */
	struct nvme_cqe answer; /* [lock] */
	struct event came;
	char *page; /* [own] for Identify */
};

/* What Identify Controller tells. */
struct nvme_identity {
	char model[41], serial[21]; /* printable */
	uint32_t namespaces, max_bytes;
	bool volatile_cache, dataset, zeroes;
};

struct nvme_ns_identity {
	uint64_t blocks;
	uint32_t block_bytes, physical_bytes;
	bool read_only;
};

struct nvme_ns {
	struct blkdev blk;    /* [const] but for what the layer keeps */
	struct nvme *c;	      /* [const] */
	uint32_t nsid;	      /* [const] */
	struct nvme_ns *next; /* [const] */
};

struct nvme {
	char name[16];		 /* [const] "nvme0" */
	struct pci_dev *pci;	 /* [const] */
	volatile uint8_t *regs;	 /* [const] */
	uint64_t ready_ns;	 /* [const] CAP.TO */
	uint16_t entries;	 /* [const] of an I/O queue */
	unsigned bell_bytes;	 /* [const] the doorbells' stride */
	struct nvme_identity id; /* [const] */
	struct nvme_admin admin;
	struct nvme_queue *queue; /* [const] nr_queues of them; the first has number 1 */
	unsigned nr_queues;	  /* [const] */
	bool one_vector;	  /* [const] admin and I/O queues share an interrupt */
	char *bounce;		  /* of queue 1 */
	struct nvme_ns *ns;	  /* [const] */
	struct timer tick;
	bool ticking;	      /* [atom] */
	struct event trouble; /* wakes the recovery world */
};

/* nvme_identify.c. -EINVAL: no namespace that this driver can work with; *why says it. */
void nvme_parse_ctrl(const uint8_t *page, struct nvme_identity *out);
MUST_CHECK int nvme_parse_ns(const uint8_t *page, struct nvme_ns_identity *out, const char **why);

/* nvme_prp.c: does the list meet at page boundaries only, and begin at a dword? */
bool nvme_prp_fits(const struct blk_seg *segs, uint32_t nr_segs);
/* Fills both PRPs and, for more than two pages, list; how many pages it is. */
unsigned nvme_prp_build(struct nvme_sqe *e, uint64_t *list, hpa_t list_hpa,
			const struct blk_seg *segs, uint32_t nr_segs);

/* nvme_status.c: of a completion's status without its phase tag. 0 or -E. */
int nvme_status_error(uint16_t status);
bool nvme_status_retry(uint16_t status); /* another try may go well */
const char *nvme_status_text(uint16_t status);

/* nvme_ring.c */
MUST_CHECK int nvme_ring_alloc(struct nvme_ring *g, uint16_t id, uint16_t entries);
void nvme_ring_free(struct nvme_ring *g);
void nvme_ring_clear(struct nvme_ring *g); /* as a controller that was reset sees it */
void nvme_ring_put(struct nvme_ring *g, const struct nvme_sqe *e);
void nvme_ring_submit(struct nvme_ring *g); /* all that was put */
/* The next completion, if there is one; nvme_ring_ack gives their places back. */
MUST_CHECK bool nvme_ring_take(struct nvme_ring *g, struct nvme_cqe *out);
void nvme_ring_ack(struct nvme_ring *g);

/* nvme_admin.c: in a world. 0, -EIO or -ENOTSUP of its status, -ETIMEDOUT. *result may be NULL. */
MUST_CHECK int nvme_admin_run(struct nvme *c, const struct nvme_sqe *e, uint32_t *result,
			      uint64_t timeout_ns);
MUST_CHECK int nvme_admin_identify(struct nvme *c, uint32_t what, uint32_t nsid);
void nvme_admin_poll(struct nvme *c);

/* nvme_ctrl.c: in a world. -ENODEV gone, -ETIMEDOUT, -EIO a fatal status. */
MUST_CHECK int nvme_ctrl_open(struct nvme *c, const char **why);
uint32_t nvme_ctrl_status(const struct nvme *c);
MUST_CHECK int nvme_ctrl_stop(struct nvme *c, uint64_t limit_ns);
MUST_CHECK int nvme_ctrl_start(struct nvme *c);
/* Asks for so many I/O queue pairs; how many there may be. */
MUST_CHECK int nvme_ctrl_ask_queues(struct nvme *c, unsigned *count);
MUST_CHECK int nvme_ctrl_make_queues(struct nvme *c);

/* nvme_command.c: r as the command of that slot; false: the bounce buffer is not free. */
MUST_CHECK bool nvme_command_build(struct nvme_queue *q, unsigned slot, struct blk_req *r,
				   struct nvme_sqe *e);
void nvme_command_end(struct nvme_queue *q, unsigned slot, bool copy);

/* nvme_queue.c */
extern const struct blk_ops nvme_blk_ops;
MUST_CHECK int nvme_queue_init(struct nvme_queue *q, struct nvme *c, uint16_t id);
void nvme_queue_poll(struct nvme_queue *q); /* the interrupt's work */
void nvme_queue_freeze(struct nvme_queue *q);
/* Of a queue that is frozen and a controller that is stopped: what was done ends, the rest waits
 * again, in the order in which it was submitted. */
void nvme_queue_take_back(struct nvme_queue *q);
void nvme_queue_thaw(struct nvme_queue *q, int dead);
void nvme_queue_expire(struct nvme_queue *q); /* ends what waits past its limit */
/* A command without an answer for too long, or a request past its limit. */
enum nvme_age { NVME_IDLE, NVME_YOUNG, NVME_LATE };
enum nvme_age nvme_queue_age(struct nvme_queue *q);
/* The n-th command that is late; false past the last. */
MUST_CHECK bool nvme_queue_late(struct nvme_queue *q, unsigned n, uint16_t *cid,
				struct blkdev **dev);
struct nvme_ns *nvme_ns_of(const struct blk_req *r);

/* nvme_recover.c */
MUST_CHECK int nvme_recover_start(struct nvme *c);
void nvme_recover(struct nvme *c); /* a turn of the recovery world */
void nvme_tick_on(struct nvme *c); /* requests are in flight: looks at them now and then */
void nvme_expire(struct nvme *c);

#endif
