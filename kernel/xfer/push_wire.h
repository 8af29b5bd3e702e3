/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file pushed to a host (docs/wire.md "Pushing a file"): the layouts, and what the host
 * hears as the contents of the new file. Pure code, of the host and of terndisk;
 * test/fuzz/fuzz_push.c feeds it.
 *
 * On the host: push_hear_put; then the store asks push_take for the contents, in order.
 */
#ifndef KERNEL_XFER_PUSH_WIRE_H
#define KERNEL_XFER_PUSH_WIRE_H

#include <tern/types.h>

#define PUSH_MAGIC 0x504e5254u /* "TRNP" */
#define PUSH_VERSION 1u
#define PUSH_DATA_MAX (1u << 20) /* bytes of contents in a message */
#define PUSH_WINDOW 4u		 /* messages of contents that are not acknowledged */

enum push_type {
	PUSH_PUT = 1, /* from the pusher */
	PUSH_READY,
	PUSH_DATA, /* from the pusher */
	PUSH_END,  /* from the pusher */
	PUSH_DONE,
	PUSH_FAIL,
	PUSH_ACK,
	PUSH_TYPES
};

struct push_head {
	uint32_t magic;	 /* 0 */
	uint16_t type;	 /* 4 */
	uint16_t zero;	 /* 6 */
	uint32_t length; /* 8: bytes of body */
	uint32_t crc;	 /* 12: CRC32C over this head, with zero here, and the body */
};
_Static_assert(sizeof(struct push_head) == 16, "push head");

struct push_put {
	uint16_t version;   /* 0 */
	uint16_t kind;	    /* 2: enum ds_kind */
	uint32_t zero;	    /* 4 */
	uint64_t size;	    /* 8: bytes */
	char datastore[32]; /* 16 */
	char name[128];	    /* 48 */
};
_Static_assert(sizeof(struct push_put) == 176, "push put");

/* DATA: an offset, then contents. END, DONE, ACK: an offset alone. */
struct push_offset {
	uint64_t offset;
};

struct push_fail {
	char code[24];	/* 0 */
	char text[160]; /* 24 */
};
_Static_assert(sizeof(struct push_fail) == 184, "push fail");

/* -EBADMSG: no head, or not one that this side may send, or its length is out of range. */
MUST_CHECK int push_head_check(const struct push_head *h, bool from_pusher);
void push_head_fill(struct push_head *h, enum push_type type, const void *body, size_t length);
uint32_t push_head_crc(const struct push_head *h);

/* What the host hears of one push. */
struct push_in {
	/* The connection: exactly so many bytes, or its error. */
	int (*read)(void *user, void *buf, size_t len);
	int (*send)(void *user, enum push_type type, const void *body, size_t len);
	void *user;
	struct push_put put;
	uint64_t at;	    /* bytes that have come, holes between them too */
	uint64_t left;	    /* bytes of the message that is being read */
	uint32_t crc, want; /* of it */
	bool ended;
};
/* -EBADMSG, -EPROTO another version, or the connection's error. */
MUST_CHECK int push_hear_put(struct push_in *in);
/* Contents from `at` on, as a struct ds_source is asked; with the last byte END must come. */
MUST_CHECK int push_take(struct push_in *in, uint64_t at, size_t bytes, uint8_t *buf);

#endif
