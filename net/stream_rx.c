/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Received bytes: the owner puts references to the NIC's pages into a stream's rx
 * ring, the reader copies them once, to where they belong, and drops the pages.
 * Bytes that do not lie in a page of their own (small frames, packets to
 * ourselves) are copied into pages of the stream's.
 */
#include <errno.h>
#include <string.h>

#include "net/stream_int.h"

#define WINDOW_STEP TCP_WND_UPDATE_THRESHOLD

static bool in_own_page(const struct pbuf *q)
{
	return (q->flags & PBUF_FLAG_IS_CUSTOM) && in_direct_map(q->payload);
}

static bool new_fill(struct stream *s)
{
	hpa_t a;

	if (s->rx_fill && s->rx_fill_used < PAGE_SIZE)
		return true;
	if (page_alloc(ORDER_4K, 0, FRAME_NET, &a))
		return false;
	if (s->rx_fill)
		page_put(page_of(s->rx_fill));
	s->rx_fill = hpa_ptr(a);
	s->rx_fill_used = 0;
	return true;
}

static bool push(struct stream *s, uint32_t *head, uint8_t *bytes, uint32_t len)
{
	if (*head - STREAM_LOAD(s->rx_tail) >= STREAM_RX_RING)
		return false;
	page_get(page_of(bytes));
	s->rx[(*head)++ % STREAM_RX_RING] = (struct stream_piece){ .bytes = bytes, .len = len };
	return true;
}

static bool push_copy(struct stream *s, uint32_t *head, const uint8_t *bytes, uint32_t len)
{
	while (len) {
		uint8_t *to;
		uint32_t n;

		if (!new_fill(s))
			return false;
		to = s->rx_fill + s->rx_fill_used;
		n = MIN(len, (uint32_t)PAGE_SIZE - s->rx_fill_used);
		if (!push(s, head, to, n))
			return false;
		memcpy(to, bytes, n);
		NET_COUNT(rx_copied_bytes, n);
		s->rx_fill_used += n;
		bytes += n;
		len -= n;
	}
	return true;
}

err_t stream_receive(struct stream *s, struct pbuf *p)
{
	uint32_t head = s->rx_head;
	bool ok = true;

	for (struct pbuf *q = p; q && ok; q = q->next) {
		if (!q->len)
			continue;
		ok = in_own_page(q) ? push(s, &head, q->payload, q->len)
				    : push_copy(s, &head, q->payload, q->len);
	}
	if (!ok) { /* lwIP keeps the packet and offers it again */
		while (head != s->rx_head)
			page_put(page_of(s->rx[--head % STREAM_RX_RING].bytes));
		NET_COUNT(pool_exhausted, 1);
		return ERR_MEM;
	}
	s->received += p->tot_len;
	STREAM_STORE(s->rx_head, head);
	pbuf_free(p);
	stream_wake_reader(s);
	return ERR_OK;
}

/* Copies up to len bytes of what is there. */
static size_t consume(struct stream *s, uint8_t *buf, size_t len)
{
	uint32_t tail = s->rx_tail, head = STREAM_LOAD(s->rx_head);
	size_t got = 0;

	while (got < len && tail != head) {
		struct stream_piece *e = &s->rx[tail % STREAM_RX_RING];
		uint32_t n = (uint32_t)MIN(len - got, (size_t)(e->len - s->rx_off));

		memcpy(buf + got, e->bytes + s->rx_off, n);
		got += n;
		s->rx_off += n;
		if (s->rx_off < e->len)
			break;
		page_put(page_of(e->bytes));
		s->rx_off = 0;
		STREAM_STORE(s->rx_tail, ++tail);
	}
	if (!got)
		return 0;
	NET_COUNT(rx_copied_bytes, got);
	STREAM_STORE(s->consumed, s->consumed + got);
	if (s->consumed - STREAM_LOAD(s->reported) >= WINDOW_STEP)
		stream_post(s);
	return got;
}

void stream_rx_release(struct stream *s)
{
	uint32_t tail = s->rx_tail, head = STREAM_LOAD(s->rx_head);

	for (; tail != head; tail++) {
		const struct stream_piece *e = &s->rx[tail % STREAM_RX_RING];

		page_put(page_of(e->bytes));
		s->consumed += e->len - s->rx_off;
		s->rx_off = 0;
	}
	STREAM_STORE(s->rx_tail, tail);
}

static bool can_read(struct stream *s)
{
	return STREAM_LOAD(s->rx_head) != s->rx_tail || stream_error(s) ||
	       (stream_flags(s) & S_EOF);
}

/* What came before the end or the peer's reset is read first; our own abort ends at once. */
ptrdiff_t stream_read(struct stream *s, void *buf, size_t len, uint64_t deadline_ns)
{
	if (!len)
		return 0;
	for (;;) {
		bool ended = stream_error(s) || (stream_flags(s) & S_EOF);
		size_t got;
		int err;

		if (stream_error(s) == -ECANCELED)
			return -ECANCELED;
		got = consume(s, buf, len);
		if (got)
			return (ptrdiff_t)got;
		if (ended)
			return stream_error(s);
		err = stream_wait(s, can_read, &s->rd, &s->rd_waiting, deadline_ns);
		if (err)
			return err;
	}
}

int stream_read_all(struct stream *s, void *buf, size_t len, uint64_t deadline_ns)
{
	uint8_t *at = buf;

	while (len) {
		ptrdiff_t n = stream_read(s, at, len, deadline_ns);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}
