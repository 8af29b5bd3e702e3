/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the AHCI driver share. Each port has one disk and is complete in
 * itself. Reads and writes are queued in the disk (NCQ), as many as there are slots;
 * what cannot be queued, a flush or a trim, goes alone. Requests start in order.
 *
 *   ahci.c          adapters and their interrupt
 *   ahci_port.c     a port: brought up, its disk identified and registered
 *   ahci_command.c  what goes into a slot (pure)
 *   ahci_request.c  requests of a port
 *   ahci_recover.c  errors, time-outs, the reset, replay
 *
 * Letters: [const] after probe, [port] under port->lock. While a port is
 * AHCI_RECOVERING its registers are its recovery world's alone.
 */
#ifndef DRIVERS_AHCI_H
#define DRIVERS_AHCI_H

#include <tern/cpu.h>

#include "drivers/ahci_regs.h"
#include "drivers/disk.h"
#include "drivers/ide.h"

#define AHCI_MAX_BYTES (1u << 20) /* of a request; the bounce buffer's size */
#define AHCI_BOUNCE_ORDER 8u
#define AHCI_ZEROES_ORDER 4u
#define AHCI_ZEROES_BYTES (uint32_t)(PAGE_SIZE << AHCI_ZEROES_ORDER)
/*
 * A recovery at its longest: the engine stops for the disk's log, which is read, or not; it stops
 * for the reset, the link comes, the disk is ready. No longer than a reset may take.
 */
#define AHCI_STOP_NS (200 * NSEC_PER_MSEC)
#define AHCI_LOG_NS (100 * NSEC_PER_MSEC)
#define AHCI_LINK_NS (50 * NSEC_PER_MSEC)
#define AHCI_READY_NS (DISK_RESET_NS - 2 * AHCI_STOP_NS - AHCI_LOG_NS - AHCI_LINK_NS)
_Static_assert((PAGE_SIZE << AHCI_BOUNCE_ORDER) == AHCI_MAX_BYTES, "the bounce buffer's size");
_Static_assert(AHCI_MAX_BYTES / AHCI_ZEROES_BYTES <= AHCI_MAX_PRDS, "zeroes in one command");

struct ahci_task {
	uint64_t lba;
	uint16_t count, features;
	uint8_t command;
	bool write, queued;
};

enum ahci_state { AHCI_RECOVERING, AHCI_RUNNING, AHCI_GONE };

struct ahci_slot {
	struct blk_req *r;
	uint64_t deadline_ns, seq;
};

struct ahci_port {
	struct blkdev blk;
	struct ide_identity id; /* [const] */
	char name[16];		/* [const] "ahci0.2": adapter and port */
	volatile uint8_t *regs; /* [const] */
	uint64_t dma_limit;	/* [const] */
	unsigned nr_slots;	/* [const] 1: the disk does not queue */
	struct ahci_header *list;
	uint8_t *received;
	struct ahci_table *tables;
	char *bounce; /* [port] AHCI_MAX_BYTES */
	char *zeroes; /* [const] AHCI_ZEROES_BYTES */
	struct spinlock lock;
	enum ahci_state state;		   /* [port] */
	uint32_t busy;			   /* [port] slots that the disk has */
	bool alone;			   /* [port] the one there is not queued */
	bool late;			   /* [port] recovery is for a time-out, not an error */
	unsigned careful;		   /* [port] so many more are handed over one by one */
	struct blk_req *bounced;	   /* [port] who has the bounce buffer */
	uint64_t seq;			   /* [port] of the last one handed over */
	struct ahci_slot slot[AHCI_SLOTS]; /* [port] */
	struct blk_req *first, *last;	   /* [port] waiting */
	struct timer timeout;
	bool timer_on; /* [port] */
	struct event broken;
};

static inline uint32_t ahci_read(const struct ahci_port *p, unsigned reg)
{
	return mmio_read32(p->regs + reg);
}

static inline void ahci_write(const struct ahci_port *p, unsigned reg, uint32_t v)
{
	mmio_write32(p->regs + reg, v);
}

/* ahci_command.c */
struct ahci_task ahci_task_of(const struct ahci_port *p, const struct blk_req *r, unsigned tag);
void ahci_build_fis(uint8_t *fis, const struct ahci_task *t);
/* Descriptors for the list; how many, 0 when the adapter does not reach some of it. */
unsigned ahci_build_prds(struct ahci_prd *prds, const struct blk_seg *segs, uint32_t nr_segs,
			 uint64_t limit);
/* Fills the slot; false when the request must wait for the bounce buffer. */
MUST_CHECK bool ahci_fill_slot(struct ahci_port *p, unsigned tag, struct blk_req *r,
			       const struct ahci_task *t);
/* The request needs its bounce buffer no more; after a read that went well copies out of it. */
void ahci_unbounce(struct ahci_port *p, struct blk_req *r, bool copy);

/* ahci_request.c */
extern const struct blk_ops ahci_blk_ops;
void ahci_port_interrupt(struct ahci_port *p);
/* Hands over what waits, as far as it may go now. */
void ahci_pump_locked(struct ahci_port *p);
/* Takes what the disk has finished out of its slots, to the list, with status 0. */
void ahci_collect_locked(struct ahci_port *p, struct blk_req **first, struct blk_req **last);
struct blk_req *ahci_release_locked(struct ahci_port *p, unsigned tag);

/* ahci_recover.c */
MUST_CHECK int ahci_recover_start(struct ahci_port *p);
void ahci_arm_timeout_locked(struct ahci_port *p, uint64_t deadline_ns);
void ahci_broken_locked(struct ahci_port *p, bool late);
/* What broke a port is mended, or ends requests; sleeps. */
void ahci_recover(struct ahci_port *p);

/* ahci_port.c: all of them sleep. */
void ahci_find_port(volatile uint8_t *hba, unsigned adapter, unsigned n, struct ahci_port **out);
/* The command engine stops in time, and with it forgets what it had. */
MUST_CHECK bool ahci_stop(struct ahci_port *p, uint64_t limit_ns);
void ahci_start(struct ahci_port *p);
/* COMRESET with the engine stopped; false when no disk is ready after it. */
MUST_CHECK bool ahci_comreset(struct ahci_port *p);
/* One command in slot 0 that reads into the bounce buffer, with nothing else under way. */
MUST_CHECK bool ahci_poll(struct ahci_port *p, const struct ahci_task *t, uint32_t bytes,
			  uint64_t limit_ns);

#endif
