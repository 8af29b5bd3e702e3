/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration stream's messages, as docs/wire.md specifies them: a 16-byte
 * head, a body of a size that its type allows, and for pages a payload.
 * Little-endian; everything reserved is zero.
 *
 * Reading is in two steps: wire_head_check says whether a head is acceptable
 * before anything is allocated or read for it; the body's own check then looks
 * at the values. What fails either is a hostile or broken peer: -EBADMSG.
 */
#ifndef MIG_WIRE_H
#define MIG_WIRE_H

#include <tern/types.h>
#include <tern/vm.h>

#define WIRE_MAGIC 0x4d4e5254u /* "TRNM" in memory order */
#define WIRE_VERSION 6u
#define WIRE_VERSION_DELTA 2u	/* the first that has DELTA */
#define WIRE_VERSION_DISKS 3u	/* the first that takes VMs with disks, and has a body in ACCEPT */
#define WIRE_VERSION_CHECKS 4u	/* the first whose BLOCKS has flags and a sum */
#define WIRE_VERSION_CHAINS 5u	/* the first that takes snapshots of sent disks */
#define WIRE_VERSION_AT_REST 5u /* ... and VMs that are suspended or off */
#define WIRE_VERSION_BARE 6u	/* the first that takes disks of which all is written */
#define WIRE_VERSION_MIN 1u
#define WIRE_BATCH_MAX 2048u /* pages in one batch */
#define WIRE_RUNS_MAX WIRE_BATCH_MAX
#define WIRE_DELTA_MAX (128u << 10) /* bytes of one DELTA body */
#define WIRE_STATE_MAX (4u << 20)
#define WIRE_REMAIN_MAX (4u << 20) /* bytes of run list */
#define WIRE_BLOCKS_MAX (1u << 20) /* payload bytes of one BLOCKS */
#define WIRE_CREDIT_MAX (256u << 20)
#define WIRE_SECTOR 512u	  /* what offset and bytes of BLOCKS are multiples of */
#define WIRE_FILE_BLOCK 4096u	  /* the same, of a home's files; the last one is filled up */
#define WIRE_HOST_MAX (64u << 10) /* bytes of a host's answer */
#define WIRE_ID_BYTES 16
#define WIRE_TEXT 160
#define WIRE_CODE 24

enum wire_type {
	WIRE_HELLO = 1,	 /* both ways, first */
	WIRE_OFFER = 2,	 /* S->D: REC_VM, REC_CPUID: may it come? */
	WIRE_ACCEPT = 3, /* D->S */
	WIRE_REFUSE = 4, /* D->S: code and text; the stream ends */
	WIRE_CLOCK = 5,	 /* S->D: send time */
	WIRE_CLOCK_REPLY = 6,
	WIRE_SKELETON = 7, /* S->D: make the VM */
	WIRE_SKELETON_DONE = 8,
	WIRE_PAGES = 9,	       /* S->D: one batch */
	WIRE_ACK = 10,	       /* D->S: batches up to seq are in memory */
	WIRE_REMAIN = 11,      /* S->D: the pages that still come, as runs */
	WIRE_STATE = 12,       /* S->D: records of CPU and devices */
	WIRE_END = 13,	       /* S->D: all is sent; check, load, say READY */
	WIRE_READY = 14,       /* D->S */
	WIRE_GO = 15,	       /* S->D: acknowledges READY; the VM is yours */
	WIRE_RUNNING = 16,     /* D->S: it runs */
	WIRE_ABORT = 17,       /* either way before GO: code and text */
	WIRE_ALIVE = 18,       /* either way, when nothing else is to say */
	WIRE_SETTLE = 19,      /* S->D on a new stream: what became of this migration? */
	WIRE_VERDICT = 20,     /* D->S */
	WIRE_DELTA = 21,       /* S->D: a batch of pages as what changed in them */
	WIRE_QUERY = 22,       /* S->D instead of OFFER: who are you, what can guests be given? */
	WIRE_HOST = 23,	       /* D->S */
	WIRE_DISKS = 24,       /* S->D on a stream of its own: the disks of this migration */
	WIRE_DISKS_OK = 25,    /* D->S */
	WIRE_BLOCKS = 26,      /* S->D: a change of a disk */
	WIRE_BLOCKS_DONE = 27, /* D->S: changes up to seq are on the disks */
	WIRE_CLOSED = 28,      /* S->D: nothing of the VM is here any more */
	WIRE_TYPES
};

struct wire_head {
	uint32_t magic;	  /* 0 */
	uint16_t type;	  /* 4 enum wire_type */
	uint16_t flags;	  /* 6 zero */
	uint32_t length;  /* 8 bytes of body that follow */
	uint32_t payload; /* 12 bytes of bulk data after the body */
};
_Static_assert(sizeof(struct wire_head) == 16, "wire head");

struct wire_hello {
	uint16_t version, version_min; /* 0, 2 */
	uint32_t reserved;	       /* 4 */
	uint8_t id[WIRE_ID_BYTES];     /* 8 of the migration */
	char host[32];		       /* 24 */
};
_Static_assert(sizeof(struct wire_hello) == 56, "hello");

struct wire_accept {
	uint8_t host[16]; /* the destination, as leases of datastores name it */
};
_Static_assert(sizeof(struct wire_accept) == 16, "accept");

struct wire_text { /* REFUSE, ABORT */
	char code[WIRE_CODE];
	char text[WIRE_TEXT];
};
_Static_assert(sizeof(struct wire_text) == 184, "text");

struct wire_clock {	   /* CLOCK: sent; CLOCK_REPLY: both */
	uint64_t sent_ns;  /* source's clock */
	uint64_t there_ns; /* destination's clock */
};

/* A run of pages: first frame << 12 | (count - 1), count 1..4096. */
typedef uint64_t wire_run;
#define WIRE_RUN_PAGES 4096u

struct wire_pages {
	uint64_t seq;	    /* 0 counts batches from 1 */
	uint32_t raw_runs;  /* 8 runs whose contents are the payload, in order */
	uint32_t zero_runs; /* 12 runs that are all zeros */
	uint32_t raw_pages; /* 16 payload = raw_pages * 4096 */
	uint32_t reserved;  /* 20 */
			    /* wire_run raw[raw_runs], zero[zero_runs] */
};
_Static_assert(sizeof(struct wire_pages) == 24, "pages");

struct wire_delta {
	uint64_t seq;	   /* 0 of the same row of batches as PAGES */
	uint32_t pages;	   /* 8 entries that follow: mig/delta.h */
	uint32_t reserved; /* 12 */
};
_Static_assert(sizeof(struct wire_delta) == 16, "delta");

struct wire_ack {
	uint64_t seq;
};

struct wire_remain {
	uint64_t pages; /* sum over the runs */
	uint32_t runs;
	uint32_t reserved;
	/* wire_run run[runs] */
};
_Static_assert(sizeof(struct wire_remain) == 16, "remain");

struct wire_end {
	int64_t clock_delta_ns; /* destination's clock minus the source's, by the exchange */
	uint64_t rtt_ns;	/* best round trip of the exchange: twice the error's bound */
};
_Static_assert(sizeof(struct wire_end) == 16, "end");

struct wire_running {
	uint64_t started_ns; /* destination's clock when the first vCPU went */
	uint64_t load_ns;    /* check and load */
};

enum wire_outcome {
	OUTCOME_ABORTED = 1,
	OUTCOME_GO = 2,
	OUTCOME_CLOSED = 3 /* nothing of the VM is there any more: as CLOSED */
};
struct wire_settle {
	uint8_t id[WIRE_ID_BYTES];
	uint32_t outcome; /* what the source decided, enum wire_outcome */
	uint32_t reserved;
	char vm[VM_NAME_MAX];
};
_Static_assert(sizeof(struct wire_settle) == 56, "settle");

enum wire_verdict_kind {
	VERDICT_RUNNING = 1, /* it runs here, or did until its own end */
	VERDICT_DISCARDED,   /* this copy is gone and will never run */
	VERDICT_UNKNOWN,     /* nothing is known of this migration */
};
struct wire_verdict {
	uint8_t id[WIRE_ID_BYTES];
	uint32_t verdict;
	uint32_t reserved;
	uint64_t started_ns;
};
_Static_assert(sizeof(struct wire_verdict) == 32, "verdict");

struct wire_disks {	 /* DISKS_OK */
	uint64_t credit; /* bytes of BLOCKS payload that may be under way */
};

enum wire_blocks_op {
	BLOCKS_WRITE = 1, /* the payload, filled up with zeros to whole pages */
	BLOCKS_ZEROES,
	BLOCKS_DISCARD,
	BLOCKS_FLUSH,	 /* of all disks: what came before is durable when this is done */
	BLOCKS_CHECK,	 /* what is read back there has this sum, or the migration ends */
	BLOCKS_SNAPSHOT, /* what came of the disk is the next of its snapshots */
};
#define BLOCKS_UNMAP 1u /* of zeroes: the space behind them may be given back */
struct wire_blocks {
	uint64_t seq;	 /* 0 from 1, without gaps */
	uint32_t disk;	 /* 8 */
	uint32_t op;	 /* 12 enum wire_blocks_op */
	uint64_t offset; /* 16 bytes */
	uint64_t bytes;	 /* 24 */
	uint32_t flags;	 /* 32 from WIRE_VERSION_CHECKS on, as what follows */
	uint32_t sum;	 /* 36 CRC32C, of a check */
};
_Static_assert(sizeof(struct wire_blocks) == 40, "blocks");

struct wire_blocks_done {
	uint64_t seq;
};

/* Is this head acceptable from a peer in the given role? 0 or -EBADMSG. */
MUST_CHECK int wire_head_check(const struct wire_head *h, bool from_source);
/* Largest body that any acceptable head announces. */
size_t wire_body_max(void);
/* Has an ACCEPT of that many bytes what a stream of this version has in it? */
MUST_CHECK int wire_accept_check(size_t len, uint16_t version);
/* Bytes of BLOCKS in a stream of this version. */
size_t wire_blocks_bytes(uint16_t version);
/* What comes in such a stream. */
MUST_CHECK int wire_blocks_read(const void *body, size_t len, uint16_t version,
				struct wire_blocks *out);
/* What can be said without knowing the disks: payload against bytes, alignment, op. */
MUST_CHECK int wire_blocks_check(const struct wire_blocks *b, uint32_t payload);
/* A batch: counts against limits, runs inside max_gfn, payload's size. */
MUST_CHECK int wire_pages_check(const void *body, size_t len, uint32_t payload, uint64_t max_gfn);
MUST_CHECK int wire_remain_check(const void *body, size_t len, uint64_t max_gfn);
MUST_CHECK int wire_text_check(const struct wire_text *t);
MUST_CHECK int wire_hello_check(const struct wire_hello *h);
/* The version that a peer with this hello and this host speak: the lower of the highest; 0 when
 * there is none. */
uint16_t wire_version_with(const struct wire_hello *h);

static inline gfn_t wire_run_first(wire_run r)
{
	return r >> 12;
}

static inline uint32_t wire_run_count(wire_run r)
{
	return (uint32_t)(r & 0xfff) + 1;
}

static inline wire_run wire_run_make(gfn_t first, uint32_t count)
{
	return first << 12 | (count - 1);
}

#endif
