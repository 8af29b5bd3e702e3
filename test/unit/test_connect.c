/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making connections: which port one gets, and what is said when it cannot be had. lwIP, its
 * options and the streams are the real ones, the card and the clock are the test's. Both ends are
 * in one stack: on its way a packet's two addresses change places.
 */
// SOURCES: net/stream.c net/stream_list.c net/stream_rx.c net/stream_tcp.c net/stream_loss.c
// SOURCES: net/listen.c net/addr_lwip.c net/fault.c net/stats.c test/unit/fake_lwip.c
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
#define PORTS_FROM 0xc000u
#define LONG_NS (10 * NSEC_PER_SEC)
#define SETTLE_MS 5000u
#define FULL_MS 50u
#define RING 64u

static const struct net_addr peer = { .family = 4, .ip = { 10, 0, 0, 2 } };
static struct listener *listener;
static uint32_t rnd;
static unsigned blocks; /* of pages that are not given back */
static bool no_pages;
static uint64_t full_until_ms; /* the card's ring */
static struct netif card;
static struct pbuf *under_way[RING];
static unsigned sent, arrived;

uint32_t lwip_port_rand(void)
{
	return rnd;
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	if (no_pages)
		return -ENOMEM;
	*out = ptr_hpa(aligned_alloc(PAGE_SIZE, PAGE_SIZE << order));
	blocks++;
	return 0;
}

void page_get(hpa_t block)
{
}

void page_put(hpa_t block)
{
	free(hpa_ptr(block));
	blocks--;
}

bool net_if_tso(const struct netif *n, bool ipv6)
{
	return false;
}

uint64_t net_rx_held(void)
{
	return 0;
}

static err_t output(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	uint8_t *ip = copy->payload, source[4];

	if (fake_now_ms < full_until_ms || sent - arrived == RING) {
		pbuf_free(copy);
		return ERR_MEM;
	}
	memcpy(source, ip + 12, 4);
	memcpy(ip + 12, ip + 16, 4);
	memcpy(ip + 16, source, 4);
	under_way[sent++ % RING] = copy;
	return ERR_OK;
}

static err_t set_up_card(struct netif *n)
{
	n->output = output;
	n->mtu = 1500;
	NETIF_SET_CHECKSUM_CTRL(n, NETIF_CHECKSUM_DISABLE_ALL);
	return ERR_OK;
}

static void frames(void)
{
	if (fake_now_ms == full_until_ms)
		streams_tx_resume();
	if (arrived != sent)
		ip4_input(under_way[arrived++ % RING], &card);
}

static int set_up(void **state)
{
	fake_frames = frames;
	fake_lwip_start(&card, set_up_card);
	return stream_listen(PORT, 2, &listener);
}

static void settle(void)
{
	for (unsigned i = 0; i < SETTLE_MS; i++)
		fake_lwip_tick();
}

/* One connection and its end; the port that it had on this side. */
static int port_of_one(uint16_t *port)
{
	struct stream *from, *to;
	int err = stream_connect(&peer, PORT, LONG_NS, &from);

	if (err)
		return err;
	*port = from->pcb->local_port;
	assert_int_equal(stream_accept(listener, time_ns() + LONG_NS, &to), 0);
	stream_close(from);
	stream_close(to);
	settle();
	return 0;
}

/* lwIP begins at random; each place is a good one, the last before the end too. */
static void test_wherever_ports_begin(void **state)
{
	static const uint32_t begin[] = { 0, 1, 0x3ffd, 0x3ffe, 0x3fff, 0x8000, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_SIZE(begin); i++) {
		uint16_t port = 0, next = 0;

		rnd = begin[i];
		tcp_init();
		assert_int_equal(port_of_one(&port), 0);
		assert_int_equal(port_of_one(&next), 0);
		assert_true(port >= PORTS_FROM && next >= PORTS_FROM && port != next);
	}
}

static struct net_pool connections(void)
{
	struct net_pool p;

	for (unsigned i = 0; net_pool_at(i, &p); i++)
		if (!strcmp(p.name, "connections"))
			return p;
	fail_msg("there is no pool of connections");
	return p;
}

/* What the card has no room for goes when it has, not when TCP would send it again. */
static void test_a_full_card_is_waited_for(void **state)
{
	struct stream *from, *to;

	full_until_ms = fake_now_ms + FULL_MS;
	assert_int_equal(stream_connect(&peer, PORT, LONG_NS, &from), 0);
	assert_true(fake_now_ms - full_until_ms < FULL_MS);
	assert_int_equal(stream_accept(listener, time_ns() + LONG_NS, &to), 0);
	stream_close(from);
	stream_close(to);
	settle();
}

/* What ran out has its name, and its counter; nothing is left of what failed. */
static void test_all_connections_are_in_use(void **state)
{
	struct tcp_pcb *all[MEMP_NUM_TCP_PCB];
	struct net_pool before = connections(), p;
	unsigned had = blocks, n = 0;
	struct listener *more;
	struct stream *s;
	uint16_t port;

	assert_int_equal(before.size, MEMP_NUM_TCP_PCB);
	while (n < ARRAY_SIZE(all) && (all[n] = tcp_new()))
		n++;
	assert_int_equal(stream_connect(&peer, PORT, LONG_NS, &s), -ENOBUFS);
	assert_int_equal(stream_listen(PORT + 1, 1, &more), -ENOBUFS);
	p = connections();
	assert_int_equal(p.used, p.size);
	assert_int_equal(p.most, p.size);
	assert_true(p.refused >= before.refused + 2);
	assert_int_equal(blocks, had);
	while (n)
		tcp_abort(all[--n]);
	assert_int_equal(connections().used, before.used);
	assert_int_equal(port_of_one(&port), 0);
}

static void test_no_memory_is_the_hosts(void **state)
{
	struct stream *s;
	uint16_t port;

	no_pages = true;
	assert_int_equal(stream_connect(&peer, PORT, LONG_NS, &s), -ENOMEM);
	no_pages = false;
	assert_int_equal(port_of_one(&port), 0);
}

static void test_nobody_listens(void **state)
{
	struct stream *s;

	assert_int_equal(stream_connect(&peer, PORT + 1, LONG_NS, &s), -ECONNREFUSED);
	assert_false(net_fault(-ECONNREFUSED)->here);
}

static void test_each_error_has_words(void **state)
{
	static const int here[] = { -ENOMEM, -ENOBUFS, -ENETDOWN, -EADDRINUSE };

	for (unsigned i = 0; i < ARRAY_SIZE(here); i++) {
		assert_int_equal(net_fault(here[i])->err, here[i]);
		assert_true(net_fault(here[i])->here);
	}
	assert_string_not_equal(net_fault(-ENOMEM)->text, net_fault(-ENOBUFS)->text);
	assert_string_equal(net_fault(-EDOM)->code, "failed");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wherever_ports_begin),
		cmocka_unit_test(test_a_full_card_is_waited_for),
		cmocka_unit_test(test_all_connections_are_in_use),
		cmocka_unit_test(test_no_memory_is_the_hosts),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_each_error_has_words),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
