/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages over a stream (peer.h). Every piece is bounded by LINK_TIMEOUT_NS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "phase.h"

#define SMALL_BODY 512u
#define ASK_NS (100 * NSEC_PER_MSEC)

void peer_init(struct peer *p, struct stream *s, bool from_source)
{
	*p = (struct peer){ .s = s, .from_source = from_source };
}

void peer_while_slow(struct peer *p, int (*slow)(void *arg), void *arg)
{
	p->slow = slow;
	p->slow_arg = arg;
}

void peer_gives_up(struct peer *p, int (*gives_up)(void *arg), void *arg)
{
	p->gives_up = gives_up;
	p->gives_up_arg = arg;
}

static int asks(const struct peer *p)
{
	return p->gives_up ? p->gives_up(p->gives_up_arg) : 0;
}

/* For a piece of so many bytes, wherever they are. */
static int await_room(struct peer *p, size_t len)
{
	unsigned pages = (unsigned)(len / PAGE_SIZE) + 2;
	uint64_t until = time_ns() + LINK_TIMEOUT_NS;
	int err;

	if (!p->gives_up)
		return 0;
	do {
		err = asks(p);
		if (!err)
			err = stream_await_room(p->s, pages, MIN(until, time_ns() + ASK_NS));
	} while (err == -ETIMEDOUT && time_ns() < until);
	return err;
}

/* A message begins; nothing of it is out yet. */
static int begin(const struct peer *p, bool is_long)
{
	if (p->torn)
		return -EPIPE;
	return is_long ? asks(p) : 0;
}

static int end(struct peer *p, int err)
{
	if (err)
		p->torn = true;
	else
		stream_flush(p->s);
	return err;
}

static int send_bytes(struct peer *p, const void *buf, size_t len)
{
	const uint8_t *at = buf;
	int err = 0;

	for (size_t n; !err && len; at += n, len -= n) {
		n = MIN(len, LINK_PIECE);
		if (n > SMALL_BODY + sizeof(struct wire_head))
			err = await_room(p, n);
		if (!err)
			err = stream_write(p->s, at, n, time_ns() + LINK_TIMEOUT_NS);
		if (!err) {
			p->bytes_out += n;
			p->copied += n;
		}
	}
	return err;
}

static int send_payload(struct peer *p, const hpa_t *pages, unsigned count)
{
	int err = 0;

	for (unsigned n; !err && count; pages += n, count -= n) {
		n = MIN(count, LINK_PIECE / (unsigned)PAGE_SIZE);
		err = await_room(p, n * PAGE_SIZE);
		if (!err)
			err = stream_write_pages(p->s, pages, n, time_ns() + LINK_TIMEOUT_NS);
		if (!err)
			p->bytes_out += n * PAGE_SIZE;
	}
	return err;
}

int peer_send(struct peer *p, enum wire_type type, const void *body, size_t len)
{
	uint8_t small[sizeof(struct wire_head) + SMALL_BODY];
	struct wire_head h = { .magic = WIRE_MAGIC,
			       .type = (uint16_t)type,
			       .length = (uint32_t)len };
	int err = begin(p, len > SMALL_BODY);

	if (err)
		return err;
	memcpy(small, &h, sizeof(h));
	if (len <= SMALL_BODY) { /* one segment */
		if (len)
			memcpy(small + sizeof(h), body, len);
		err = send_bytes(p, small, sizeof(h) + len);
	} else {
		err = send_bytes(p, small, sizeof(h));
		if (!err)
			err = send_bytes(p, body, len);
	}
	return end(p, err);
}

void peer_send_text(struct peer *p, enum wire_type type, const char *code, const char *text)
{
	struct wire_text t = { 0 };

	strncpy(t.code, code, sizeof(t.code) - 1);
	strncpy(t.text, text, sizeof(t.text) - 1);
	if (peer_send(p, type, &t, sizeof(t)))
		return; /* the peer learns it from the stream's end */
}

int peer_send_pages(struct peer *p, enum wire_type type, const void *body, size_t len,
		    const hpa_t *pages, unsigned count)
{
	struct wire_head h = { .magic = WIRE_MAGIC,
			       .type = (uint16_t)type,
			       .length = (uint32_t)len,
			       .payload = count * (uint32_t)PAGE_SIZE };
	int err = begin(p, true);

	if (!err) {
		err = send_bytes(p, &h, sizeof(h));
		if (!err)
			err = send_bytes(p, body, len);
		if (!err)
			err = send_payload(p, pages, count);
		err = end(p, err);
	}
	for (unsigned i = 0; i < count; i++) /* the stream has references of its own */
		page_put(pages[i]);
	return err;
}

/* Between two pieces, when it was quiet here for a while. */
static int next_piece(struct peer *p)
{
	uint64_t now = time_ns();
	int err = 0;

	if (p->slow && now - p->said_ns >= ALIVE_EVERY_NS) {
		p->said_ns = now;
		err = p->slow(p->slow_arg);
	}
	p->piece_left = LINK_PIECE;
	p->piece_until_ns = time_ns() + LINK_TIMEOUT_NS;
	return err;
}

int peer_read(struct peer *p, void *buf, size_t len)
{
	uint8_t *at = buf;
	int err = 0;

	while (!err && len) {
		size_t n = MIN(len, p->piece_left);

		if (!n) {
			err = next_piece(p);
			continue;
		}
		err = stream_read_all(p->s, at, n, p->piece_until_ns);
		p->piece_left -= (uint32_t)n;
		at += n;
		len -= n;
	}
	return err;
}

int peer_recv(struct peer *p, struct wire_head *h, void *buf, size_t cap, void **body,
	      uint64_t deadline_ns)
{
	int err = stream_read_all(p->s, h, sizeof(*h), deadline_ns);

	if (!err)
		err = wire_head_check(h, p->from_source);
	if (err)
		return err;
	p->payload = h->payload;
	*body = buf;
	if (h->length > cap) {
		*body = malloc(h->length);
		if (!*body)
			return -ENOMEM;
	}
	p->said_ns = time_ns();
	p->piece_left = LINK_PIECE;
	p->piece_until_ns = deadline_ns;
	err = peer_read(p, *body, h->length);
	p->piece_left = 0; /* the payload may be read later, and has its own */
	if (err)
		peer_body_free(buf, *body);
	return err;
}

void peer_body_free(void *buf, void *body)
{
	if (body != buf)
		free(body);
}

int peer_ask(struct peer *p, const uint8_t id[WIRE_ID_BYTES], enum wire_type type, const void *body,
	     size_t len)
{
	struct wire_hello h = { .version = WIRE_VERSION, .version_min = WIRE_VERSION_MIN };
	int err;

	memcpy(h.id, id, sizeof(h.id));
	err = peer_send(p, WIRE_HELLO, &h, sizeof(h));
	return err ? err : peer_send(p, type, body, len);
}

int peer_answer(struct peer *p, struct wire_head *h, void *buf, size_t cap, void **body,
		uint64_t deadline_ns)
{
	int err = peer_recv(p, h, buf, cap, body, deadline_ns);

	while (!err && h->type == WIRE_HELLO) {
		peer_body_free(buf, *body);
		err = peer_recv(p, h, buf, cap, body, deadline_ns);
	}
	return err;
}

int peer_last_words(const struct wire_head *h, const void *body, const struct wire_text **words)
{
	if (h->type != WIRE_REFUSE && h->type != WIRE_ABORT)
		return 0;
	*words = body;
	return wire_text_check(*words) ? -EBADMSG : -ECONNABORTED;
}

const char *peer_lost_words(int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return "the other host stopped answering";
	case -ECONNRESET:
	case -EPIPE:
		return "the connection ended";
	case -EBADMSG:
		return "the other host sent something that is not the protocol";
	case -ENOMEM:
		return "no memory for the migration's own data";
	case -ENOBUFS:
		return "this host's network has no room for another connection";
	default:
		return "it failed";
	}
}
