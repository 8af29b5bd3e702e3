/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows and queues: both directions of a flow have one hash, flows spread over the queues,
 * and a reply goes where the guest sent from.
 */
// SOURCES: net/flow.c net/headers.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "net/flow.h"
#include "net/headers.h"

#define V4_LEN (ETH_HLEN + IP4_HEADER_MIN + TCP_HEADER_MIN)
#define V6_LEN (ETH_HLEN + IP6_HEADER_LEN + UDP_HEADER_LEN)

static uint32_t tcp4(uint8_t from, uint32_t from_port, uint8_t to, uint32_t to_port, bool fragment)
{
	uint8_t f[V4_LEN] = { 0 }, *ip = f + ETH_HLEN, *tcp = ip + IP4_HEADER_MIN;

	put_be16(f + ETH_TYPE, ETH_IPV4);
	ip[0] = 0x45;
	put_be16(ip + IP4_FRAG, fragment ? 0x2000 : 0);
	ip[IP4_PROTO] = PROTO_TCP;
	ip[IP4_SRC] = ip[IP4_SRC + 4] = 10;
	ip[IP4_SRC + 3] = from;
	ip[IP4_SRC + 7] = to;
	put_be16(tcp, from_port);
	put_be16(tcp + 2, to_port);
	tcp[TCP_OFFSET] = 0x50;
	return flow_hash(f, sizeof(f));
}

static uint32_t udp6(uint8_t from, uint32_t from_port, uint8_t to, uint32_t to_port)
{
	uint8_t f[V6_LEN] = { 0 }, *ip = f + ETH_HLEN, *udp = ip + IP6_HEADER_LEN;

	put_be16(f + ETH_TYPE, ETH_IPV6);
	ip[IP6_NEXT] = PROTO_UDP;
	ip[IP6_SRC + 15] = from;
	ip[IP6_DST + 15] = to;
	put_be16(udp, from_port);
	put_be16(udp + 2, to_port);
	return flow_hash(f, sizeof(f));
}

static void both_directions_are_one_flow(void **state)
{
	assert_int_equal(tcp4(1, 5000, 2, 80, false), tcp4(2, 80, 1, 5000, false));
	assert_int_equal(udp6(1, 5000, 2, 80), udp6(2, 80, 1, 5000));
	assert_int_not_equal(tcp4(1, 5000, 2, 80, false), tcp4(1, 80, 2, 5000, false));
	assert_int_not_equal(tcp4(1, 5000, 2, 80, false), tcp4(1, 5001, 2, 80, false));
}

/* Only the first fragment has ports, so none is looked at. */
static void fragments_go_by_address(void **state)
{
	assert_int_equal(tcp4(1, 5000, 2, 80, true), tcp4(1, 7, 2, 9, true));
	assert_int_not_equal(tcp4(1, 0, 2, 0, true), tcp4(1, 0, 3, 0, true));
}

static void what_is_not_ip_or_not_whole_has_none(void **state)
{
	uint8_t f[V6_LEN] = { 0 };

	for (uint32_t len = 0; len < sizeof(f); len++)
		assert_int_equal(flow_hash(f, len), 0);
	put_be16(f + ETH_TYPE, ETH_IPV6);
	for (uint32_t len = 0; len < ETH_HLEN + IP6_HEADER_LEN; len++)
		assert_int_equal(flow_hash(f, len), 0);
}

static void flows_spread(void **state)
{
	static struct flow_table t;

	for (unsigned queues = 1; queues <= 8; queues++) {
		unsigned hits[8] = { 0 };

		for (uint32_t port = 0; port < 1600; port++)
			hits[flow_queue(&t, tcp4(1, 32768 + port, 2, 80, false), queues)]++;
		for (unsigned q = 0; q < queues; q++)
			assert_in_range(hits[q], 1600 / queues * 3 / 4, 1600 / queues * 5 / 4);
	}
}

static void a_reply_goes_where_it_was_sent_from(void **state)
{
	static struct flow_table t;
	uint32_t h = tcp4(1, 5000, 2, 80, false), other = tcp4(1, 5001, 2, 80, false);
	unsigned by_hash = flow_queue(&t, h, 4), sent = (by_hash + 1) % 4;

	flow_sent(&t, h, sent);
	assert_int_equal(flow_queue(&t, h, 4), sent);
	assert_int_equal(flow_queue(&t, other, 4), (other >> 16) % 4);
	flow_sent(&t, h, 3);
	assert_int_equal(flow_queue(&t, h, 4), 3);
	assert_true(flow_queue(&t, h, 2) < 2); /* that queue is off now */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_one_flow),
		cmocka_unit_test(fragments_go_by_address),
		cmocka_unit_test(what_is_not_ip_or_not_whole_has_none),
		cmocka_unit_test(flows_spread),
		cmocka_unit_test(a_reply_goes_where_it_was_sent_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
