/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams on lwIP's side: all of this runs in the owner world.
 *
 * Large segments. lwIP knows no segmentation offload, but its segments may be of
 * any size up to 64 KiB. The SYN options settle the path's MSS as usual; then, when
 * the NIC cuts segments, the connection's MSS is raised to TCP_MSS and tx.c gives
 * the path's MSS to the NIC as the size to cut at. One segment of 60 KiB costs what
 * one of 1460 bytes does. The congestion window counts in these segments and starts
 * at two of them.
 *
 * Payload is never copied here: tcp_write() gets references, and an entry's pages are
 * released when its last byte is acknowledged, or when the connection is gone. What
 * the NIC still reads then has references of its own (tx.c).
 *
 * Nagle's rule is used as a cork: an unfinished segment waits while data is in
 * flight, unless the writer asked for a flush.
 */
#include <errno.h>

#include <tern/timer.h>

#include "lwip/priv/tcp_priv.h"
#include "net/stream_int.h"

#define POLL_TICKS 5u	    /* of TCP_SLOW_INTERVAL, between calls of on_poll */
#define CLOSE_TICKS_MAX 40u /* polls without an ACK until a closing connection is reset: 20 s */
#define SEGMENTS_MAX 256u   /* in lwIP's lists: it walks them for each ACK */
#define QUEUE_SLACK 8u	    /* pbufs that one tcp_write may need at most */

static void release_entry(struct stream_piece *e)
{
	stream_each_page(e->bytes, e->len, page_put);
}

/* The connection is gone: nothing queued will be read any more. */
static void tx_release(struct stream *s)
{
	uint32_t head = STREAM_LOAD(s->tx_head), tail = s->tx_tail;

	for (; tail != head; tail++)
		release_entry(&s->tx[tail % STREAM_TX_RING]);
	s->tx_next = head;
	s->tx_next_off = 0;
	s->tx_tail_off = 0;
	STREAM_STORE(s->tx_tail, tail);
}

static void detach(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;

	s->pcb = NULL;
	if (!pcb)
		return;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
	tcp_poll(pcb, NULL, 0);
}

static void gone(struct stream *s, int err)
{
	s->pcb = NULL;
	tx_release(s);
	stream_set_error(s, err);
	if (stream_flags(s) & S_CLOSE)
		stream_free(s);
}

static void reset(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;

	detach(s);
	if (pcb)
		tcp_abort(pcb);
	gone(s, -ECANCELED);
}

static uint32_t tx_unsent(const struct stream *s)
{
	return STREAM_LOAD(s->tx_head) - s->tx_next;
}

/* Each segment has a header and, where entries meet in it, two pieces or more. */
static uint32_t pbufs_for(const struct stream *s, uint32_t bytes)
{
	return 3 * (bytes / s->pcb->mss) + QUEUE_SLACK;
}

/* Gives one entry's rest, or a part of it, to lwIP; false when lwIP takes no more now. */
static bool write_entry(struct stream *s, struct stream_piece *e)
{
	uint32_t left = e->len - s->tx_next_off;
	uint32_t held = TCP_SND_BUF - s->pcb->snd_buf;
	uint32_t room = s->send_cap > held ? s->send_cap - held : 0;
	uint32_t n = MIN(MIN(left, (uint32_t)UINT16_MAX), room);
	bool last = s->flush_wanted && n == left && tx_unsent(s) == 1;

	if (!n || tcp_sndqueuelen(s->pcb) + pbufs_for(s, n) > TCP_SND_QUEUELEN)
		return false;
	if (tcp_write(s->pcb, e->bytes + s->tx_next_off, (u16_t)n,
		      last ? 0 : TCP_WRITE_FLAG_MORE) != ERR_OK) {
		NET_COUNT(pool_exhausted, 1);
		return false;
	}
	s->tx_next_off += n;
	if (s->tx_next_off == e->len) {
		s->tx_next_off = 0;
		s->tx_next++;
	}
	return true;
}

/*
 * lwIP lengthens the last of its unsent segments, also one that it is about to send again,
 * behind which others were sent: what is written then would go out in their place.
 */
static bool ends_unsent(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *last = pcb->unsent;

	while (last && last->next)
		last = last->next;
	return !last || lwip_ntohl(last->tcphdr->seqno) + TCP_TCPLEN(last) == pcb->snd_lbb;
}

/* What was written, to lwIP, as much as it takes. */
static void hand_over(struct stream *s)
{
	if (__atomic_fetch_and(&s->flags, ~S_FLUSH, __ATOMIC_ACQ_REL) & S_FLUSH)
		s->flush_wanted = true;
	if (tx_unsent(s))
		tcp_nagle_enable(s->pcb);
	if (ends_unsent(s->pcb))
		while (tx_unsent(s) && write_entry(s, &s->tx[s->tx_next % STREAM_TX_RING]))
			;
	if (s->flush_wanted && !tx_unsent(s)) {
		tcp_nagle_disable(s->pcb);
		s->flush_wanted = false;
	}
}

/* A SYN and a FIN are lwIP's already, but may have met a full ring: streams_tx_resume calls again.
 */
static void pump(struct stream *s)
{
	if (!s->pcb)
		return;
	if ((stream_flags(s) & S_CONNECTED) && !s->fin_queued)
		hand_over(s);
	(void)tcp_output(s->pcb);
}

static void acknowledge(struct stream *s, uint32_t bytes)
{
	uint32_t tail = s->tx_tail;
	uint64_t in_flight;

	STREAM_STORE(s->acked, s->acked + bytes);
	while (bytes) {
		struct stream_piece *e = &s->tx[tail % STREAM_TX_RING];
		uint32_t n = MIN(bytes, e->len - s->tx_tail_off);

		bytes -= n;
		s->tx_tail_off += n;
		if (s->tx_tail_off < e->len)
			break;
		release_entry(e);
		s->tx_tail_off = 0;
		tail++;
	}
	STREAM_STORE(s->tx_tail, tail);
	in_flight = STREAM_LOAD(s->queued) - s->acked;
	if (in_flight <= STREAM_TX_WAKE && STREAM_LOAD(s->tx_head) - tail <= STREAM_TX_RING / 2)
		stream_wake_writer(s);
}

static bool all_acked(const struct stream *s)
{
	return s->acked == STREAM_LOAD(s->queued);
}

/* The FIN is lwIP's to deliver; the stream ends when its last byte is acknowledged. */
static void finish_close(struct stream *s)
{
	if (s->fin_queued && all_acked(s)) {
		detach(s);
		stream_free(s);
	}
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct stream *s = arg;

	(void)pcb;
	s->close_ticks = 0;
	acknowledge(s, len);
	pump(s);
	stream_acked(s);
	if (stream_flags(s) & S_CLOSE)
		stream_post(s);
	return ERR_OK;
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct stream *s = arg;

	(void)err;
	if (!p) {
		stream_set_flag(s, S_EOF);
		stream_wake_reader(s);
		return ERR_OK;
	}
	NET_COUNT(tcp_segs_in, 1);
	if (stream_flags(s) & S_CLOSE) { /* nobody reads it any more */
		tcp_recved(pcb, p->tot_len);
		pbuf_free(p);
		return ERR_OK;
	}
	return stream_receive(s, p);
}

static void on_error(void *arg, err_t e)
{
	struct stream *s = arg;
	bool refused = e == ERR_RST && !(stream_flags(s) & S_CONNECTED);

	gone(s, refused ? -ECONNREFUSED : net_err(e)); /* lwIP has freed the pcb */
}

static err_t on_poll(void *arg, struct tcp_pcb *pcb)
{
	struct stream *s = arg;

	if (!(stream_flags(s) & S_CLOSE)) {
		pump(s);
		return ERR_OK;
	}
	if (++s->close_ticks < CLOSE_TICKS_MAX) {
		stream_post(s);
		return ERR_OK;
	}
	detach(s);
	tcp_abort(pcb);
	gone(s, -ETIMEDOUT);
	return ERR_ABRT;
}

signed char lwip_port_hear(struct tcp_pcb *pcb)
{
	if (pcb->state != LISTEN && pcb->sent == on_sent) /* it is a stream's */
		stream_hear_ack(pcb->callback_arg);
	return ERR_OK;
}

void stream_attach(struct stream *s, struct tcp_pcb *pcb)
{
	s->pcb = pcb;
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_recv);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_poll(pcb, on_poll, POLL_TICKS);
	stream_list_add(s);
}

void stream_established(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;
	bool v6 = IP_IS_V6_VAL(pcb->remote_ip);
	const struct netif *n = ip_route(&pcb->local_ip, &pcb->remote_ip);

	net_addr_from_lwip(&pcb->remote_ip, &s->peer);
	s->peer_port = pcb->remote_port;
	s->path_mss = pcb->mss;
	s->send_most = MIN((uint32_t)TCP_SND_BUF, SEGMENTS_MAX * pcb->mss);
	if (n && net_if_tso(n, v6)) {
		s->send_most = TCP_SND_BUF;
		pcb->mss = TCP_MSS;
		pcb->cwnd = MAX(pcb->cwnd, 2u * TCP_MSS);
	}
	s->send_cap = s->send_most;
	stream_set_flag(s, S_CONNECTED);
}

/* tcp_recved takes 16 bits. */
static void give_window(struct stream *s)
{
	uint64_t left = STREAM_LOAD(s->consumed) - s->reported;

	STREAM_STORE(s->reported, s->reported + left);
	while (left && s->pcb) {
		uint16_t n = (uint16_t)MIN(left, (uint64_t)UINT16_MAX);

		tcp_recved(s->pcb, n);
		left -= n;
	}
}

/* Unread data is dropped, as nobody will read it; lwIP would answer with a reset otherwise. */
static void serve_close(struct stream *s)
{
	if (!s->pcb) {
		tx_release(s);
		stream_free(s);
		return;
	}
	if (!(stream_flags(s) & S_CONNECTED)) {
		reset(s);
		return;
	}
	stream_rx_release(s);
	give_window(s);
	if (!s->fin_queued && !tx_unsent(s) && ends_unsent(s->pcb)) {
		if (s->pcb->refused_data || s->pcb->rcv_wnd != TCP_WND_MAX(s->pcb)) {
			reset(s);
			return;
		}
		if (tcp_close(s->pcb) == ERR_OK)
			s->fin_queued = true;
	}
	finish_close(s);
}

void stream_service(struct stream *s)
{
	uint32_t flags = stream_flags(s);

	if ((flags & S_ABORT) && s->pcb) {
		reset(s);
		return;
	}
	if (flags & S_CLOSE)
		stream_set_flag(s, S_FLUSH);
	give_window(s);
	pump(s);
	if (flags & S_CLOSE)
		serve_close(s);
}
