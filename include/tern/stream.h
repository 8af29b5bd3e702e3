/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte streams (TCP now, TLS over it later) for the other rooms: blocking calls
 * for worlds, with back-pressure. A stream has one reader and one writer world
 * at a time; they may differ. An error is sticky and wakes both.
 */
#ifndef TERN_STREAM_H
#define TERN_STREAM_H

#include <tern/net.h>
#include <tern/types.h>

struct stream;
struct listener;

/*
 * -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT, -ENETDOWN; -ENOMEM, or -ENOBUFS: all of the network's
 * connections are in use (net_pool_at).
 */
MUST_CHECK int stream_connect(const struct net_addr *to, uint16_t port, uint64_t timeout_ns,
			      struct stream **out);
/* -EADDRINUSE, -ENETDOWN, -ENOMEM, -ENOBUFS. */
MUST_CHECK int stream_listen(uint16_t port, unsigned backlog, struct listener **out);
MUST_CHECK int stream_accept(struct listener *l, uint64_t deadline_ns, struct stream **out);
void listener_close(struct listener *l);

/* Reads 1..len bytes; 0 at the peer's orderly end; -ETIMEDOUT, -ECONNRESET. */
ptrdiff_t stream_read(struct stream *s, void *buf, size_t len, uint64_t deadline_ns);
/* Exactly len bytes: 0, -EPIPE when the peer ended before, or as above. */
MUST_CHECK int stream_read_all(struct stream *s, void *buf, size_t len, uint64_t deadline_ns);
/* Copies into the send buffer, sleeping for room. */
MUST_CHECK int stream_write(struct stream *s, const void *buf, size_t len, uint64_t deadline_ns);

/*
 * Zero-copy: queues whole pages; the stream takes a reference of its own on
 * each and holds it until the peer has acknowledged it. What goes out is what
 * the page holds when the NIC reads it. Sleeps for room.
 */
MUST_CHECK int stream_write_pages(struct stream *s, const hpa_t *pages, unsigned count,
				  uint64_t deadline_ns);
/* Sleeps until so many pages, at most 64, can be written without sleeping. */
MUST_CHECK int stream_await_room(struct stream *s, unsigned pages, uint64_t deadline_ns);
/* Pushes what is buffered to the wire now (end of a message). */
void stream_flush(struct stream *s);
/* Waits until the peer's TCP has acknowledged all that was written. */
MUST_CHECK int stream_drain(struct stream *s, uint64_t deadline_ns);
/* Wakes both ends with -ECANCELED; any world may call it. */
void stream_abort(struct stream *s);
void stream_close(struct stream *s); /* frees; unsent data is sent first in the background */

struct stream_info {
	struct net_addr peer;
	uint16_t peer_port;
	uint64_t bytes_in, bytes_out, unacked, rtt_ns;
	unsigned mss;
};
void stream_info(struct stream *s, struct stream_info *out);

#endif
