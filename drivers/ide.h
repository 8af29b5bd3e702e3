/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the IDE driver share. A channel carries two drives and works
 * at one request at a time; the others wait in its queue.
 *
 *   ide.c           controllers, channels, drives: found and registered
 *   ide_identify.c  what a drive says of itself (pure)
 *   ide_error.c     why a command failed (pure)
 *   ide_dma.c       PRD tables (pure), the bounce buffer
 *   ide_request.c   the queue, commands, the interrupt
 *   ide_recover.c   time-outs, resets, retries
 *
 * Letters: [const] after probe, [ch] under channel->lock.
 */
#ifndef DRIVERS_IDE_H
#define DRIVERS_IDE_H

#include <tern/blkdev.h>
#include <tern/timer.h>

#include "drivers/ide_regs.h"

#define IDE_MAX_BYTES (1u << 20) /* of a request; the bounce buffer's size */
#define IDE_BOUNCE_ORDER 8u
#define IDE_MAX_SEGS 256u
#define IDE_MAX_PRDS (PAGE_SIZE / sizeof(struct ide_prd))
/* The worst list fits: each segment, and each 64 KiB boundary that one crosses. */
_Static_assert(IDE_MAX_SEGS + IDE_MAX_BYTES / IDE_PRD_SPAN + 1 <= IDE_MAX_PRDS, "one page of PRDs");
_Static_assert((PAGE_SIZE << IDE_BOUNCE_ORDER) == IDE_MAX_BYTES, "the bounce buffer's size");

/* What IDENTIFY DEVICE tells. */
struct ide_identity {
	char model[41], serial[21]; /* printable */
	uint64_t blocks;
	uint32_t block_bytes, physical_bytes;
	bool lba48, flush, flush_ext, write_cache, trim;
	bool logs;	      /* READ LOG EXT */
	uint32_t queue_depth; /* 1: no NCQ */
	uint32_t trim_blocks; /* 512-byte blocks of ranges that one command takes */
};

struct ide_channel;

struct ide_drive {
	struct blkdev blk;	/* [const] but for what the layer keeps */
	struct ide_channel *ch; /* [const] */
	struct ide_identity id; /* [const] */
	uint8_t select;		/* [const] 0 or IDE_DEVICE_SECOND */
	bool present;		/* [const] */
};

enum ide_state { IDE_IDLE, IDE_BUSY, IDE_RECOVERING };

struct ide_channel {
	char name[16];		    /* [const] "ide0.1": controller and channel */
	uint16_t base, control, bm; /* [const] first ports */
	struct ide_drive drive[2];  /* [const] */
	struct ide_prd *prds;	    /* [ch] IDE_MAX_PRDS of them */
	char *bounce;		    /* [ch] IDE_MAX_BYTES, below 4 GiB */
	char *zeroes;		    /* [const] 64 KiB of zeroes, below 4 GiB */
	struct spinlock lock;
	enum ide_state state;	      /* [ch] */
	struct blk_req *current;      /* [ch] */
	bool bounced, dma;	      /* [ch] of the current one */
	struct blk_req *first, *last; /* [ch] waiting */
	struct timer timeout;
	bool timer_on;	      /* [ch] */
	uint64_t deadline_ns; /* [ch] of the current one */
	struct event broken;  /* wakes the recovery world */
};

/* ide_identify.c: words as read from the drive. -EINVAL: no disk that this driver can work with,
 * *why says what is missing. */
MUST_CHECK int ide_parse_identify(const uint16_t word[256], struct ide_identity *out,
				  const char **why);
/* ide_error.c: why a command failed, by two registers; ERR or DF is set in its status. */
const char *ide_error_text(uint8_t status, uint8_t error);

/* ide_dma.c: descriptors for the list; how many, 0 when the engine does not reach some of it. */
unsigned ide_build_prds(struct ide_prd *prds, const struct blk_seg *segs, uint32_t nr_segs);
/* One region of len bytes, repeated from the same 64 KiB. */
unsigned ide_build_prds_same(struct ide_prd *prds, uint32_t addr, uint64_t len);
/* Ranges of a trim, 8 bytes each, 64 a block of 512 bytes; and how many such blocks they take. */
void ide_build_trim(uint8_t *to, uint64_t block, uint64_t blocks);
unsigned ide_trim_blocks(uint64_t blocks);
#define IDE_TRIM_BLOCK_BYTES 512u
#define IDE_TRIM_BLOCK_REACH (64u * 0xffffu) /* blocks that one block of ranges covers */
/* Sets the table up for r and copies what a write sends through the bounce buffer. */
void ide_dma_map(struct ide_channel *ch, struct blk_req *r);
/* After a read: copies out of the bounce buffer. */
void ide_dma_unmap(struct ide_channel *ch, struct blk_req *r);

/* ide_request.c */
extern const struct blk_ops ide_blk_ops;
void ide_interrupt(void *channel);
uint8_t ide_alt_status(const struct ide_channel *ch);
void ide_select(const struct ide_channel *ch, uint8_t drive);
struct ide_drive *ide_drive_of(const struct blk_req *r);
/* Gives the current request to its drive; false when that is not ready. */
MUST_CHECK bool ide_issue_locked(struct ide_channel *ch);
/* Takes the current request off and begins the next; the caller completes it without the lock. */
MUST_CHECK struct blk_req *ide_finish_locked(struct ide_channel *ch);
/* The interrupt's work, when there was one; a request to complete with *status, or NULL. */
struct blk_req *ide_poll_locked(struct ide_channel *ch, int *status);

/* ide_recover.c */
MUST_CHECK int ide_recover_start(struct ide_channel *ch);
/* Counts and logs a failed try of the current request; false when it was the last. */
MUST_CHECK bool ide_again_locked(struct ide_channel *ch, const char *why);
/* The channel needs a reset: hands it to the recovery world. */
void ide_broken_locked(struct ide_channel *ch);
void ide_arm_timeout_locked(struct ide_channel *ch); /* for the current request */
/* Resets the channel and waits for its drive; sleeps. False when it stays busy. */
MUST_CHECK bool ide_reset(struct ide_channel *ch);

#endif
