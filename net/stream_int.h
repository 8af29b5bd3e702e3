/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream's inside. Between a user's world and the owner world lie two rings of
 * references to bytes in pages, each with one producer and one consumer, so that
 * no lock is taken for a byte: tx (writer to owner) and rx (owner to reader).
 *
 * A tx entry lives until the peer has acknowledged its bytes: indices run
 * tail (acknowledged) <= next (given to lwIP) <= head (queued). Each entry holds a
 * reference on every page it touches.
 *
 * Letters: [wr] writer world, [rd] reader world, [own] owner world, [atom] atomic,
 * written by whom the second letter says, [lock] under lock.
 */
#ifndef NET_STREAM_INT_H
#define NET_STREAM_INT_H

#include <tern/stream.h>

#include "net/net_int.h"

#include "lwip/tcp.h"

#define STREAM_TX_RING 1024u
#define STREAM_RX_RING 4096u
/* Bytes queued or in flight: a little more than lwIP takes, so that it never starves. */
#define STREAM_TX_BYTES (TCP_SND_BUF + (512u << 10))
#define STREAM_TX_WAKE TCP_SND_BUF

struct stream_piece {
	uint8_t *bytes; /* direct map */
	uint32_t len;
};

/* struct stream.flags */
#define S_CONNECTED 1u /* set by the owner */
#define S_EOF 2u       /* set by the owner: the peer ended */
#define S_FLUSH 4u     /* set by the writer */
#define S_ABORT 8u     /* set by any world */
#define S_CLOSE 16u    /* set by stream_close: nobody uses it any more */

struct stream {
	struct spinlock lock; /* guards going to sleep on rd and wr */
	struct waitq rd, wr;
	uint32_t rd_waiting, wr_waiting; /* [atom] */
	uint32_t flags;			 /* [atom] */
	int error;			 /* [atom] sticky, 0 = none */

	struct stream_piece *tx; /* [const] */
	uint32_t tx_head;	 /* [atom, wr] */
	uint32_t tx_next;	 /* [own] */
	uint32_t tx_next_off;	 /* [own] bytes of tx[next] that lwIP has */
	uint32_t tx_tail;	 /* [atom, own] */
	uint32_t tx_tail_off;	 /* [own] bytes of tx[tail] that are acknowledged */
	uint64_t queued;	 /* [atom, wr] bytes */
	uint64_t acked;		 /* [atom, own] bytes */
	uint8_t *fill;		 /* [wr] page that stream_write copies into */
	uint32_t fill_used;	 /* [wr] */
	uint32_t more_pages;	 /* [wr] that are to have room beside the next entry */

	struct stream_piece *rx; /* [const] */
	uint32_t rx_head;	 /* [atom, own] */
	uint32_t rx_tail;	 /* [atom, rd] */
	uint32_t rx_off;	 /* [rd] bytes of rx[tail] that were read */
	uint64_t received;	 /* [own] bytes */
	uint64_t consumed;	 /* [atom, rd] bytes */
	uint64_t reported;	 /* [atom, own] of consumed: window given back to the peer */
	uint8_t *rx_fill;	 /* [own] page for small frames */
	uint32_t rx_fill_used;	 /* [own] */

	struct tcp_pcb *pcb;	      /* [own] NULL once lwIP has freed it */
	uint16_t path_mss;	      /* [own] payload of a segment on the wire */
	uint32_t send_cap, send_most; /* [own] bytes that lwIP may hold now, and at most */
	bool flush_wanted;	      /* [own] */
	bool fin_queued;	      /* [own] */
	uint16_t close_ticks;	      /* [own] since the close made progress */
	bool sent_any;		      /* [own] snd_max is valid */
	uint32_t snd_max;	      /* [own] highest sequence number sent */
	bool recovering;	      /* [own] what was lost is being sent again */
	uint32_t recover;	      /* [own] until this is acknowledged */
	uint32_t again_end;	      /* [own] so far it was sent again */
	bool rtt_timing, rtt_again;   /* [own] a segment is timed; it was sent again */
	uint32_t rtt_seq, rtt_from;   /* [own] its end; what was acknowledged when it went */
	uint64_t rtt_start_ns;	      /* [own] */
	uint64_t rtt_ns, rtt_var_ns;  /* [own] smoothed, 0 before the first */
	uint64_t rtt_min_ns;	      /* [own] the shortest: of the way without a queue */
	uint16_t rto_held;	      /* [own] ticks, until there is a round trip; 0: none */
	struct net_addr peer;	      /* [const] once connected */
	uint16_t peer_port;

	uint32_t posted;	    /* [atom] on the list of work */
	bool free_later;	    /* [own] dead, but still on that list */
	struct stream *work_next;   /* [list's lock] */
	struct stream *all_next;    /* [own] */
	struct stream *accept_next; /* listener's lock */
};

/* stream_list.c */
void streams_init(void);
unsigned streams_run(void);		 /* [own] serves posted streams */
void streams_tx_resume(void);		 /* [own] a ring that was full has room again */
void stream_post(struct stream *s);	 /* any world: the owner shall look at s */
void stream_post_last(struct stream *s); /* with S_CLOSE: nobody uses it after this */
struct stream *stream_new(void);
void stream_list_add(struct stream *s); /* [own] */
void stream_free(struct stream *s);	/* [own] */
void stream_discard(struct stream *s);	/* frees one that the owner never saw */

/* stream_tcp.c, all [own] */
void stream_attach(struct stream *s, struct tcp_pcb *pcb);
void stream_established(struct stream *s);
void stream_service(struct stream *s);
/* stream_loss.c, all [own] */
void stream_acked(struct stream *s);	/* an ACK has moved on */
void stream_hear_ack(struct stream *s); /* one comes, before lwIP looks at it */
/* The MSS of a segment's path, 0 = not known. */
unsigned stream_path_mss(const struct netif_hint *h);
/* A data segment has gone to the card: times it, or counts that it goes once more. */
void stream_note_send(const struct netif_hint *h, const uint8_t *tcp, unsigned payload);
/* stream_rx.c */
err_t stream_receive(struct stream *s, struct pbuf *p); /* [own] ERR_MEM: not taken */
void stream_rx_release(struct stream *s);		/* reader or owner, whoever is left */

/* stream.c */
void stream_set_error(struct stream *s, int err);
void stream_wake_reader(struct stream *s);
void stream_wake_writer(struct stream *s);
int stream_wait(struct stream *s, bool (*ready)(struct stream *s), struct waitq *q,
		uint32_t *waiting, uint64_t deadline_ns);

static inline uint32_t stream_flags(const struct stream *s)
{
	return __atomic_load_n(&s->flags, __ATOMIC_ACQUIRE);
}

static inline void stream_set_flag(struct stream *s, uint32_t flag)
{
	__atomic_fetch_or(&s->flags, flag, __ATOMIC_ACQ_REL);
}

static inline int stream_error(const struct stream *s)
{
	return __atomic_load_n(&s->error, __ATOMIC_ACQUIRE);
}

#define STREAM_LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STREAM_STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/* Each page that [p, p+len) touches. */
static inline void stream_each_page(const uint8_t *p, uint32_t len, void (*each)(hpa_t))
{
	uint64_t end = ptr_hpa(p).v + len;

	for (uint64_t at = page_of(p).v; at < end; at += PAGE_SIZE)
		each(HPA(at));
}

#endif
