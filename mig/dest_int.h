/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the destination: dest.c holds the conversation and says which message is
 * legal when, dest_offer.c answers what comes before a VM is accepted, dest_vm.c builds
 * the VM from the stream. All of it runs in the stream's own world.
 */
#ifndef MIG_DEST_INT_H
#define MIG_DEST_INT_H

#include <tern/pageset.h>

#include "job.h"
#include "offer.h"

/* Where the conversation is; a bit each, for the table. */
enum talk {
	T_HELLO = 1,	/* nothing said yet */
	T_OFFER = 2,	/* hello done */
	T_ACCEPTED = 4, /* offer accepted */
	T_MEMORY = 8,	/* skeleton made, pages come */
	T_REMAIN = 16,	/* description of the rest is here */
	T_STATE = 32,	/* records are here */
	T_READY = 64,	/* READY said */
	T_OVER = 128,
	T_RUNS = 512,  /* it runs here, and its source keeps a record of it */
	T_DISKS = 256, /* this is a stream of disks */
};

struct dest {
	struct peer peer;
	enum talk talk;
	uint16_t version;  /* of the stream, from HELLO on */
	struct mig_job *j; /* from OFFER on */
	uint8_t id[WIRE_ID_BYTES];
	struct offer offer;
	struct dest_disks *disks; /* of a stream of disks */
	struct pageset owed;	  /* pages of REMAIN that have not come */
	void *state;		  /* the records, malloc'ed */
	size_t state_len;
	char code[WIRE_CODE], why[WIRE_TEXT]; /* what to tell the source */
};

/* Notes what to tell the source, and gives err back: a handler's error ends the conversation. */
PRINTF_LIKE(4, 5) int dest_refuse(struct dest *d, int err, const char *code, const char *fmt, ...);

/* One for each message: the body has the length that its type allows, nothing else is checked. */
int dest_on_hello(struct dest *d, const void *body, size_t len);
int dest_on_offer(struct dest *d, const void *body, size_t len);
int dest_on_query(struct dest *d, const void *body, size_t len);
int dest_on_disks(struct dest *d, const void *body, size_t len);
int dest_on_settle(struct dest *d, const void *body, size_t len);

int dest_on_skeleton(struct dest *d, const void *body, size_t len);
int dest_on_pages(struct dest *d, const void *body, size_t len);
int dest_on_delta(struct dest *d, const void *body, size_t len);
int dest_on_remain(struct dest *d, const void *body, size_t len);
int dest_on_state(struct dest *d, const void *body, size_t len);
int dest_on_end(struct dest *d, const void *body, size_t len);
int dest_on_go(struct dest *d, const void *body, size_t len);
int dest_on_closed(struct dest *d, const void *body, size_t len);
int dest_on_abort(struct dest *d, const void *body, size_t len);

/* dest_disks.c: a stream of disks, in its own world; the job is another stream's. */
int dest_on_blocks(struct dest *d, const void *body, size_t len);
int dest_disks_alive(struct dest *d);
void dest_disks_end(struct dest *d);
/* For the job's stream: all disks are complete, and nothing is written to them any more. */
MUST_CHECK bool dest_disks_close(struct mig_job *j);

#endif
