/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages over a stream: one head, one body, one payload. A peer is used by
 * one world for sending and one for receiving, which may differ.
 *
 * A message may be long under way: it is read and written in pieces of LINK_PIECE, each of
 * which has LINK_TIMEOUT_NS. Whoever reads one may have to say meanwhile that he is here
 * (peer_while_slow): nobody else knows that it comes. Whoever writes one may give up in the middle
 * (peer_gives_up), as after an error: then nothing more can be said, and the other side learns it
 * from the stream's end.
 */
#ifndef MIG_PEER_H
#define MIG_PEER_H

#include <tern/stream.h>

#include "wire.h"

struct peer {
	struct stream *s;	    /* [const] */
	bool from_source;	    /* [const] do we receive what a source sends? */
	uint64_t bytes_out;	    /* [own, sender] */
	uint64_t copied;	    /* [own, sender] bytes copied into send buffers */
	uint32_t payload;	    /* [own, receiver] of the message last received */
	bool torn;		    /* [own, sender] a message ended in its middle */
	int (*gives_up)(void *arg); /* [const] */
	void *gives_up_arg;	    /* [const] */

	/* [own, receiver] The piece that is being read, and what to say between two. */
	uint32_t piece_left;
	uint64_t piece_until_ns, said_ns;
	int (*slow)(void *arg);
	void *slow_arg;
};

void peer_init(struct peer *p, struct stream *s, bool from_source);
/* Before the first message: what a message that takes longer than ALIVE_EVERY_NS calls so often,
 * in the receiver's world; its error ends the read. */
void peer_while_slow(struct peer *p, int (*slow)(void *arg), void *arg);
/* Before the first message: what is asked before and in messages of more than a few bytes; an error
 * ends the send. */
void peer_gives_up(struct peer *p, int (*gives_up)(void *arg), void *arg);
MUST_CHECK int peer_send(struct peer *p, enum wire_type type, const void *body, size_t len);
/* REFUSE and ABORT. Best effort: the stream may be gone. */
void peer_send_text(struct peer *p, enum wire_type type, const char *code, const char *text);
/* With a payload: head and body are copied, the pages go from where they are. One reference on each
 * is taken over. */
MUST_CHECK int peer_send_pages(struct peer *p, enum wire_type type, const void *body, size_t len,
			       const hpa_t *pages, unsigned count);

/*
 * Next message: head checked, body in *body (at most cap bytes inside buf, or
 * malloc'ed when larger and to be freed by peer_body_free). The payload is the
 * caller's to read. The deadline is for the head and the body's first piece.
 * -EBADMSG, -ETIMEDOUT, -ECONNRESET, -EPIPE at the end.
 */
MUST_CHECK int peer_recv(struct peer *p, struct wire_head *h, void *buf, size_t cap, void **body,
			 uint64_t deadline_ns);
void peer_body_free(void *buf, void *body);
/* What an error of these means, in words. */
const char *peer_lost_words(int err);
/* The next bytes of the payload, with the deadlines of its pieces. As peer_recv. */
MUST_CHECK int peer_read(struct peer *p, void *buf, size_t len);

/* On a stream of its own: HELLO with the migration's id, and one question. */
MUST_CHECK int peer_ask(struct peer *p, const uint8_t id[WIRE_ID_BYTES], enum wire_type type,
			const void *body, size_t len);
/* The answer: as peer_recv, but the peer's own HELLO is passed over. */
MUST_CHECK int peer_answer(struct peer *p, struct wire_head *h, void *buf, size_t cap, void **body,
			   uint64_t deadline_ns);

/*
 * Is this the peer's last message, REFUSE or ABORT? -ECONNABORTED, and *words, in the body, say
 * why; -EBADMSG without words; 0: it is another one.
 */
MUST_CHECK int peer_last_words(const struct wire_head *h, const void *body,
			       const struct wire_text **words);

#endif
