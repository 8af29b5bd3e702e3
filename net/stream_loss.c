/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams whose segments get lost, or are taken for lost: how long an acknowledgement is
 * waited for, what is sent again, and how much may be on its way. lwIP does the sending; here
 * it is told what it cannot know of segments that a card cuts (stream_tcp.c). All of this runs
 * in the owner world.
 *
 * Time-outs. lwIP times a segment until the first ACK beyond its first byte, also one that it
 * sends again: when a segment of 60 KiB was acknowledged in part before, that is the very next
 * ACK, and the time-outs shrink below the path's round trip. So lwIP times nothing. A segment
 * is timed here until all of it is acknowledged [RFC 6298 2 "The Basic Algorithm"]; when it was
 * sent again meanwhile, that is how long the round trip may be, and the time-outs stay as
 * long until one is known.
 *
 * Duplicates. Of a segment that is sent again the receiver has most frames already, and answers
 * each with an ACK that says nothing new. Were these taken for losses they would have more
 * segments sent again, with as many such ACKs: a path that has lost some frames would carry
 * little else from then on. So they do not count until what had been sent when the loss
 * was found is acknowledged [RFC 6582 3.2 "Specification"].
 */
#include <tern/timer.h>

#include "lwip/priv/tcp_priv.h"
#include "net/stream_int.h"

#define TICK_NS (TCP_SLOW_INTERVAL * NSEC_PER_MSEC)
#define RTO_TICKS_MIN 3u
#define RTO_TICKS_MAX 600u
#define QUEUE_NS (NSEC_PER_SEC / 4)
#define QUEUE_SHARE (256u << 10)

/* lwIP's base of all time-outs is sa / 8 + sv. */
static void set_rto(struct tcp_pcb *pcb, uint64_t ticks)
{
	pcb->sa = 0;
	pcb->sv = (int16_t)MIN(ticks, (uint64_t)RTO_TICKS_MAX);
	pcb->rto = pcb->sv;
}

static uint64_t rto_ticks(const struct stream *s)
{
	uint64_t ns = s->rtt_ns + MAX(4 * s->rtt_var_ns, TICK_NS);

	/* The timer's first tick may come at once. */
	return MAX((ns + TICK_NS - 1) / TICK_NS + 1, (uint64_t)RTO_TICKS_MIN);
}

static void take_sample(struct stream *s, uint64_t ns)
{
	uint64_t off = ns > s->rtt_ns ? ns - s->rtt_ns : s->rtt_ns - ns;

	if (!s->rtt_ns || s->rto_held) {
		s->rtt_ns = ns;
		s->rtt_var_ns = ns / 2;
	} else {
		s->rtt_var_ns = s->rtt_var_ns - s->rtt_var_ns / 4 + off / 4;
		s->rtt_ns = s->rtt_ns - s->rtt_ns / 8 + ns / 8;
	}
	s->rto_held = 0;
}

/*
 * No more under way than the path takes in a quarter second: the rest would wait in a queue on the
 * way, before all else that goes there. Shares of a queue are shares of the path, so a stream that
 * has little of it may always have a certain part beyond what the way itself holds: the
 * shares become equal.
 */
static void bound_queue(struct stream *s, uint64_t ns)
{
	uint64_t bytes = s->pcb->lastack - s->rtt_from;
	uint64_t in_queue = bytes * QUEUE_NS / MAX(ns, 1u);
	uint64_t cap = MAX(in_queue, QUEUE_SHARE + bytes * s->rtt_min_ns / MAX(ns, 1u));

	s->send_cap = (uint32_t)MIN(cap, (uint64_t)s->send_most);
}

/* The timed segment has arrived. One that was sent twice says what the round trip is at most. */
static void end_timing(struct stream *s)
{
	uint64_t ns = time_ns() - s->rtt_start_ns;

	s->rtt_timing = false;
	if (s->rtt_again) {
		s->rto_held = (uint16_t)MIN(ns / TICK_NS + 2, (uint64_t)RTO_TICKS_MAX);
		return;
	}
	s->rtt_min_ns = s->rtt_min_ns ? MIN(s->rtt_min_ns, ns) : ns;
	take_sample(s, ns);
	bound_queue(s, ns);
}

static void measure_rtt(struct stream *s)
{
	if (s->rtt_timing && TCP_SEQ_GEQ(s->pcb->lastack, s->rtt_seq))
		end_timing(s);
	if (s->rtt_ns || s->rto_held)
		set_rto(s->pcb, MAX(rto_ticks(s), (uint64_t)s->rto_held));
}

/* An ACK within a segment ends a recovery as well; lwIP tells of acknowledged segments only. */
static bool still_recovering(struct stream *s)
{
	if (s->recovering && TCP_SEQ_GT(s->pcb->lastack, s->recover))
		s->recovering = false;
	return s->recovering;
}

/*
 * [RFC 6582 3.2] An ACK that moves on but not past what had been sent when a loss was found:
 * the next hole begins there, and waits for no time-out. The segment that was sent again last
 * is still on its way. lwIP tells of each 64 KiB that one ACK acknowledges: at the second time the
 * segment with the hole is queued already, and those behind it are not known to be lost. What
 * is queued does not wait for more data as unfinished segments do: none is written behind it.
 */
static void recover_more(struct stream *s)
{
	struct tcp_pcb *pcb = s->pcb;
	uint32_t seq;

	if (!still_recovering(s) || (pcb->flags & TF_RTO) || !pcb->unacked ||
	    pcb->lastack == s->recover)
		return;
	seq = lwip_ntohl(pcb->unacked->tcphdr->seqno);
	if (TCP_SEQ_GEQ(seq, s->again_end) && TCP_SEQ_LEQ(seq, pcb->lastack) &&
	    tcp_rexmit(pcb) == ERR_OK)
		tcp_set_flags(pcb, TF_NAGLEMEMERR);
}

void stream_acked(struct stream *s)
{
	measure_rtt(s);
	recover_more(s);
}

void stream_hear_ack(struct stream *s)
{
	if (still_recovering(s))
		s->pcb->dupacks = 0;
}

static struct stream *hinted(const struct netif_hint *h)
{
	return h ? container_of(h, const struct tcp_pcb, netif_hints)->callback_arg : NULL;
}

unsigned stream_path_mss(const struct netif_hint *h)
{
	const struct stream *s = hinted(h);

	return s ? s->path_mss : 0;
}

static void note_again(struct stream *s, uint32_t seq, uint32_t end)
{
	NET_COUNT(tcp_rexmit, 1);
	if (!s->recovering || (s->pcb->flags & TF_RTO)) {
		s->recovering = true;
		s->recover = s->snd_max;
	}
	if (TCP_SEQ_GT(end, s->snd_max)) /* it was lengthened meanwhile */
		s->snd_max = end;
	s->again_end = end;
	s->rtt_again |= TCP_SEQ_LT(seq, s->rtt_seq) && TCP_SEQ_GEQ(end, s->rtt_seq);
}

void stream_note_send(const struct netif_hint *h, const uint8_t *tcp, unsigned payload)
{
	struct stream *s = hinted(h);
	uint32_t seq, end;

	if (!s)
		return;
	seq = (uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7];
	end = seq + payload;
	s->pcb->rttest = 0;
	if (s->pcb->persist_backoff) /* lwIP asks with one byte whether the window is open again */
		return;
	if (s->sent_any && TCP_SEQ_LT(seq, s->snd_max)) {
		note_again(s, seq, end);
		return;
	}
	s->sent_any = true;
	s->snd_max = end;
	if (!s->rtt_timing) {
		s->rtt_timing = true;
		s->rtt_again = false;
		s->rtt_seq = end;
		s->rtt_start_ns = time_ns();
		s->rtt_from = s->pcb->lastack;
	}
}
