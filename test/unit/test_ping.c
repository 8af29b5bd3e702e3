/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long an echo request may take, on a network that has no room for it, or no answer.
 */
// SOURCES: net/ping.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/timer.h>

#include "lwip/inet_chksum.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/raw.h"
#include "net/net_int.h"

#define TRY_NS NSEC_PER_SEC
#define RTT_NS NSEC_PER_MSEC

static uint64_t now_ns, room_ns; /* when there is room */
static bool answers;
static unsigned sent;
static struct raw_pcb pcb4, pcb6;
static struct netif nif = { .mtu = 1500 };
static struct pbuf packet;
static uint8_t bytes[64]; /* an IPv4 header, which arrives; from there on what was sent */

/* ---- the rooms around ---- */

const ip_addr_t ip6_addr_any;

uint64_t time_ns(void)
{
	return now_ns;
}

void world_sleep_ns(uint64_t ns)
{
	now_ns += ns;
}

void event_init(struct event *e, const char *name)
{
}

void event_signal(struct event *e)
{
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	packet.payload = bytes;
	bytes[0] = 0x45;
	bytes[IP_HLEN] = 0; /* echo reply [RFC 792] */
	if (answers && now_ns + RTT_NS < deadline_ns) {
		now_ns += RTT_NS;
		assert_int_equal(pcb4.recv(NULL, &pcb4, &packet, NULL), 1);
		return 0;
	}
	now_ns = MAX(now_ns, deadline_ns);
	return -ETIMEDOUT;
}

int net_call(int (*fn)(void *arg), void *arg)
{
	return fn(arg);
}

int net_silent(const struct net_addr *to)
{
	return -ETIMEDOUT;
}

int net_err(err_t e)
{
	return e == ERR_OK ? 0 : -ENOBUFS;
}

void net_addr_to_lwip(const struct net_addr *a, ip_addr_t *out)
{
	*out = (ip_addr_t)IPADDR4_INIT_BYTES(10, 0, 0, 2);
}

uint32_t lwip_port_rand(void)
{
	return 4;
}

u16_t inet_chksum(const void *data, u16_t len)
{
	return 0;
}

struct netif *ip4_route(const ip4_addr_t *to)
{
	return &nif;
}

struct netif *ip6_route(const ip6_addr_t *from, const ip6_addr_t *to)
{
	return &nif;
}

struct pbuf *pbuf_alloc(pbuf_layer l, u16_t len, pbuf_type type)
{
	packet.payload = bytes + IP_HLEN;
	return &packet;
}

u8_t pbuf_free(struct pbuf *p)
{
	return 1;
}

u16_t pbuf_copy_partial(const struct pbuf *p, void *to, u16_t len, u16_t offset)
{
	memcpy(to, (const uint8_t *)p->payload + offset, len);
	return len;
}

struct raw_pcb *raw_new_ip_type(u8_t type, u8_t proto)
{
	return type == IPADDR_TYPE_V4 ? &pcb4 : &pcb6;
}

void raw_recv(struct raw_pcb *pcb, raw_recv_fn recv, void *arg)
{
	pcb->recv = recv;
}

err_t raw_sendto(struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *to)
{
	if (now_ns < room_ns)
		return ERR_MEM;
	sent++;
	return ERR_OK;
}

/* ---- the tests ---- */

static int try(uint64_t *rtt_ns)
{
	static const struct net_addr to = { .family = 4 };

	now_ns = 0;
	sent = 0;
	return net_ping(&to, 8, TRY_NS, rtt_ns);
}

static void an_answer(void **state)
{
	uint64_t rtt_ns = 0;

	answers = true;
	room_ns = 0;
	assert_int_equal(try(&rtt_ns), 0);
	assert_int_equal(rtt_ns, RTT_NS);
}

/* The wait for room is not of the round trip, but of the time. */
static void a_full_ring(void **state)
{
	uint64_t rtt_ns = 0;

	answers = true;
	room_ns = TRY_NS / 4;
	assert_int_equal(try(&rtt_ns), 0);
	assert_int_equal(rtt_ns, RTT_NS);
	answers = false;
	assert_int_equal(try(&rtt_ns), -ETIMEDOUT);
	assert_int_equal(sent, 1);
	assert_int_equal(now_ns, TRY_NS);
}

/* It is said that there was no room, not that nobody answered. */
static void never_room(void **state)
{
	uint64_t rtt_ns = 0;

	answers = true;
	room_ns = TRY_NS - 1;
	assert_int_equal(try(&rtt_ns), -ENOBUFS);
	assert_int_equal(sent, 0);
	assert_in_range(now_ns, TRY_NS / 4, TRY_NS / 2);
	room_ns = 0; /* nothing of it is left */
	assert_int_equal(try(&rtt_ns), 0);
}

static int begin(void **state)
{
	return net_ping_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer),
		cmocka_unit_test(a_full_ring),
		cmocka_unit_test(never_room),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
