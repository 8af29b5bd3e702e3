/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams over a slow path: frames of 1514 bytes, one a millisecond, with a queue before each
 * host. What is lost there is sent again, not ten times over; nothing comes in another's place;
 * a long queue is not filled. lwIP, its options and the streams are the real ones, card, path
 * and clock are the test's. Both ends are in one stack: on its way a packet's two addresses
 * change places.
 */
// SOURCES: net/stream.c net/stream_list.c net/stream_rx.c net/stream_tcp.c net/stream_loss.c
// SOURCES: net/listen.c net/addr_lwip.c test/unit/fake_lwip.c
// LIBS: lwip
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/ip4.h"
#include "lwip/priv/tcp_priv.h"
#include "test/unit/fake_lwip.h"

#define PORT 8902u
#define MTU 1500u
#define QUEUE_MAX 4096u
#define FULL_MS 5u
#define POOL_PAGES 4096u

struct packet {
	uint32_t len;
	uint8_t bytes[MTU];
};

/* Before a host: what comes in when it is full is lost. */
struct queue {
	struct packet *frame[QUEUE_MAX];
	uint32_t in, out;
	uint64_t carried, lost, longest; /* frames */
};

struct net_stats net_counters;

static struct {
	uint64_t stopped_until_ms;
	uint32_t limit;			     /* frames in a queue */
	uint32_t lost_frames, lost_segments; /* by chance, of ten thousand each */
	bool often_full; /* the card, each second time that it is given something again */
	bool was_full;
	uint64_t full_until_ms;
	uint64_t bytes, window; /* of each stream: all, and what waits for its ACK at a time */
	struct queue to_a, to_b;
	struct netif nif;
	uint32_t rnd;
} path;

uint32_t lwip_port_rand(void)
{
	path.rnd = path.rnd * 1664525u + 1013904223u;
	return path.rnd;
}

/* Pages by first fit; the contents that are sent are not of these. */
static uint8_t pool[POOL_PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint32_t pool_refs[POOL_PAGES], pool_size[POOL_PAGES];

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	uint32_t run = 0, n = 1u << order;

	for (uint32_t i = 0; i < POOL_PAGES; i++) {
		run = pool_refs[i] ? 0 : run + 1;
		if (run < n)
			continue;
		for (uint32_t k = i + 1 - n; k <= i; k++)
			pool_refs[k] = 1;
		pool_size[i + 1 - n] = n;
		*out = ptr_hpa(pool[i + 1 - n]);
		return 0;
	}
	return -ENOMEM;
}

static uint32_t pool_index(hpa_t a)
{
	return (uint32_t)((a.v - ptr_hpa(pool).v) / PAGE_SIZE);
}

static bool in_pool(hpa_t a)
{
	return a.v - ptr_hpa(pool).v < sizeof(pool);
}

void page_get(hpa_t block)
{
	if (in_pool(block))
		pool_refs[pool_index(block)]++;
}

void page_put(hpa_t block)
{
	uint32_t i = pool_index(block);

	if (in_pool(block) && --pool_refs[i] == 0)
		memset(&pool_refs[i], 0, pool_size[i] * sizeof(pool_refs[0]));
}

static bool by_chance(uint32_t of_ten_thousand)
{
	return of_ten_thousand && lwip_port_rand() % 10000 < of_ten_thousand;
}

static uint32_t be32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Headers of HLEN bytes and a part of what follows them; the flags FIN and PSH with the last. */
static void queue_frame(struct queue *q, const uint8_t *ip, uint32_t hlen, uint32_t at,
			uint32_t len, bool last)
{
	struct packet *f;
	uint32_t tot = hlen + len;

	if (q->in - q->out == path.limit || (len && by_chance(path.lost_frames))) {
		q->lost++;
		return;
	}
	f = malloc(sizeof(*f));
	f->len = tot;
	memcpy(f->bytes, ip, hlen);
	memcpy(f->bytes + hlen, ip + hlen + at, len);
	f->bytes[2] = (uint8_t)(tot >> 8);
	f->bytes[3] = (uint8_t)tot;
	memcpy(f->bytes + 12, ip + 16, 4);
	memcpy(f->bytes + 16, ip + 12, 4);
	put_be32(f->bytes + IP_HLEN + 4, be32_at(ip + IP_HLEN + 4) + at);
	if (!last)
		f->bytes[IP_HLEN + 13] &= (uint8_t)~9u;
	q->frame[q->in++ % QUEUE_MAX] = f;
	q->longest = MAX(q->longest, (uint64_t)(q->in - q->out));
}

static bool goes_again(const struct netif_hint *h, uint32_t seq)
{
	const struct stream *s = container_of(h, const struct tcp_pcb, netif_hints)->callback_arg;

	return s->sent_any && TCP_SEQ_LT(seq, s->snd_max);
}

/* The card: cuts, and tells the stream as net/tx.c does. */
static err_t output(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	static uint8_t ip[1 << 16];
	uint32_t hlen, left;
	struct queue *q;

	pbuf_copy_partial(p, ip, p->tot_len, 0);
	hlen = IP_HLEN + (ip[IP_HLEN + 12] >> 4) * 4u;
	q = (ip[IP_HLEN + 2] << 8 | ip[IP_HLEN + 3]) == PORT ? &path.to_b : &path.to_a;
	left = p->tot_len - hlen;
	if (path.often_full && left && fake_now_ms >= path.full_until_ms &&
	    goes_again(n->hints, be32_at(ip + IP_HLEN + 4))) {
		path.was_full = !path.was_full;
		if (path.was_full)
			path.full_until_ms = fake_now_ms + FULL_MS;
	}
	if (left && fake_now_ms < path.full_until_ms)
		return ERR_MEM;
	NET_COUNT(tcp_segs_out, 1);
	if (left)
		stream_note_send(n->hints, ip + IP_HLEN, left);
	if (left && by_chance(path.lost_segments))
		return ERR_OK;
	for (uint32_t at = 0, len; at < left || !left; at += len, left += !left) {
		len = left - at < MTU - hlen ? left - at : MTU - hlen;
		queue_frame(q, ip, hlen, at, len, at + len == left);
		if (!len)
			break;
	}
	return ERR_OK;
}

static err_t set_up(struct netif *n)
{
	n->output = output;
	n->mtu = MTU;
	NETIF_SET_CHECKSUM_CTRL(n, NETIF_CHECKSUM_DISABLE_ALL);
	return ERR_OK;
}

bool net_if_tso(const struct netif *n, bool ipv6)
{
	return true;
}

struct rx {
	struct pbuf_custom pc;
	struct packet *f;
};

static void release(struct pbuf *p)
{
	struct rx *r = (struct rx *)p;

	free(r->f);
	free(r);
}

static void arrive(struct queue *q)
{
	struct packet *f;
	struct rx *r;

	if (q->in == q->out || fake_now_ms < path.stopped_until_ms)
		return;
	f = q->frame[q->out++ % QUEUE_MAX];
	q->carried++;
	r = malloc(sizeof(*r));
	r->f = f;
	r->pc.custom_free_function = release;
	ip4_input(pbuf_alloced_custom(PBUF_RAW, (u16_t)f->len, PBUF_REF, &r->pc, f->bytes,
				      (u16_t)f->len),
		  &path.nif);
}

static void frames(void)
{
	arrive(&path.to_a);
	arrive(&path.to_b);
	if (fake_now_ms == path.full_until_ms)
		streams_tx_resume();
}

/* ---- what goes over it ---- */

#define CONTENTS (105 * PAGE_SIZE) /* repeated */
#define LIMIT_MS 120000u
#define SHARED_FROM_MS 9000u
#define SHARED_TO_MS 16000u

struct flow {
	struct stream *from, *to;
	uint64_t sent, read; /* bytes */
	uint64_t shared;     /* read while both had been at it for a while */
};

static struct listener *listener;
static uint8_t contents[CONTENTS] __attribute__((aligned(PAGE_SIZE)));
static struct flow flow[2];

static int set_up_path(void **state)
{
	path.rnd = 1;
	for (size_t i = 0; i < sizeof(contents); i++)
		contents[i] = (uint8_t)(lwip_port_rand() >> 24);
	path.limit = QUEUE_MAX;
	path.bytes = 16u << 20;
	path.window = UINT64_MAX;
	fake_frames = frames;
	fake_lwip_start(&path.nif, set_up);
	return stream_listen(PORT, 2, &listener);
}

static void open_flow(struct flow *f)
{
	static const struct net_addr b = { .family = 4, .ip = { 10, 0, 0, 2 } };

	memset(f, 0, sizeof(*f));
	assert_int_equal(stream_connect(&b, PORT, 10 * NSEC_PER_SEC, &f->from), 0);
	assert_int_equal(stream_accept(listener, time_ns() + NSEC_PER_SEC, &f->to), 0);
}

/* Messages of any length, as many as go in; reads what has come. */
static void serve(struct flow *f)
{
	uint8_t buf[PAGE_SIZE];
	ptrdiff_t n;
	int err = 0;

	while (f->sent < path.bytes && f->sent - f->from->acked < path.window && !err) {
		size_t at = f->sent % sizeof(contents), most = sizeof(contents) - at;
		size_t len = lwip_port_rand() >> 17;

		err = stream_write(f->from, contents + at, MIN(len, most), time_ns());
		f->sent = f->from->queued;
		stream_flush(f->from);
	}
	while ((n = stream_read(f->to, buf, PAGE_SIZE - f->read % PAGE_SIZE, time_ns())) > 0) {
		assert_memory_equal(buf, contents + f->read % sizeof(contents), (size_t)n);
		f->read += (uint64_t)n;
	}
}

/* One stream, and 5 s later a second; every 3 s both hosts stand still for stop_ms. */
static void two_streams(uint32_t limit, uint32_t stop_ms)
{
	uint64_t start = fake_now_ms, ms = 0;

	path.limit = limit;
	path.to_b.carried = path.to_b.lost = path.to_b.longest = 0;
	open_flow(&flow[0]);
	flow[1] = (struct flow){ 0 };
	while (flow[0].read < path.bytes || flow[1].read < path.bytes) {
		ms = fake_now_ms - start;
		assert_true(ms < LIMIT_MS);
		if (!flow[1].from && ms >= 5000)
			open_flow(&flow[1]);
		if (ms % 3000 == 0)
			path.stopped_until_ms = fake_now_ms + stop_ms;
		if (ms == SHARED_FROM_MS || ms == SHARED_TO_MS)
			for (unsigned i = 0; i < 2; i++)
				flow[i].shared = flow[i].read - flow[i].shared;
		serve(&flow[0]);
		if (flow[1].from)
			serve(&flow[1]);
		fake_lwip_tick();
	}
	for (unsigned i = 0; i < 2; i++) {
		stream_close(flow[i].from);
		stream_close(flow[i].to);
	}
	for (unsigned i = 0; i < 10000; i++)
		fake_lwip_tick();
}

/* Frames that the path carried, for a hundred that it had to. */
static uint64_t carried_percent(void)
{
	return path.to_b.carried * 100 / (2 * path.bytes / (MTU - IP_HLEN - TCP_HLEN));
}

static void test_what_is_lost_goes_again_once(void **state)
{
	for (uint32_t stop_ms = 0; stop_ms <= 700; stop_ms += 350) {
		two_streams(400, stop_ms);
		assert_true(path.to_b.lost);
		assert_true(carried_percent() < 125);
	}
}

static void test_losses_by_chance(void **state)
{
	path.lost_segments = 500;
	two_streams(1000, 0);
	path.lost_segments = 0;
	path.lost_frames = 50;
	two_streams(1000, 0);
	path.lost_frames = 0;
}

/* lwIP lengthens the last segment that waits for the card, also one that is to go again. */
static void test_a_full_card(void **state)
{
	path.window = 200u << 10;
	path.lost_segments = 500;
	path.often_full = true;
	two_streams(1000, 0);
	path.often_full = false;
	path.lost_segments = 0;
	path.window = UINT64_MAX;
}

static void test_a_long_queue_is_not_filled(void **state)
{
	for (uint32_t stop_ms = 0; stop_ms <= 700; stop_ms += 350) {
		two_streams(QUEUE_MAX, stop_ms);
		assert_int_equal(path.to_b.lost, 0);
		assert_true(carried_percent() < 110);
		assert_true(path.to_b.longest < 2000);
		assert_true(flow[0].shared < 3 * flow[1].shared);
		assert_true(flow[1].shared < 3 * flow[0].shared);
	}
}

static int take_down(void **state)
{
	listener_close(listener);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_lost_goes_again_once),
		cmocka_unit_test(test_losses_by_chance),
		cmocka_unit_test(test_a_full_card),
		cmocka_unit_test(test_a_long_queue_is_not_filled),
	};

	return cmocka_run_group_tests(tests, set_up_path, take_down);
}
