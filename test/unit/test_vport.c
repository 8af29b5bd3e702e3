/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's queues and its rate: bounds in frames and in pages, each side woken, one queue
 * that is stuck leaves room for the others, what comes too fast waits and comes
 * in order, what waits too long is dropped with its reason.
 */
// SOURCES: net/vport.c net/rate.c net/flow.c kernel/lib/bucket.c net/headers.c net/vframe.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/headers.h"
#include "net/vswitch_int.h"

struct net_stats net_counters;
static struct vport port;
static unsigned owner_wakes, guest_wakes;
static uint64_t now_ns, due_ns;

void net_wake(void)
{
	owner_wakes++;
}

uint64_t time_ns(void)
{
	return now_ns;
}

void timer_setup(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	due_ns = deadline_ns;
}

bool timer_cancel(struct timer *t)
{
	return true;
}

static void guest_wake(void *arg)
{
	guest_wakes++;
}

static int open_port(void **state)
{
	memset(&port, 0, sizeof(port));
	memset(&net_counters, 0, sizeof(net_counters));
	owner_wakes = guest_wakes = 0;
	now_ns = NSEC_PER_SEC;
	due_ns = 0;
	port.wake = guest_wake;
	vport_init_queues(&port);
	rate_init(&port);
	return vframe_pool_join();
}

static int close_port(void **state)
{
	vport_drop_all(&port);
	vframe_pool_leave();
	return 0;
}

/* A UDP frame of a flow, which its port number tells. */
static struct vframe *frame(uint32_t flow, uint32_t len)
{
	uint8_t head[ETH_HLEN + IP4_HEADER_MIN + UDP_HEADER_LEN] = { 0 }, *ip = head + ETH_HLEN;
	struct vframe *f = vframe_new(MAX(len, (uint32_t)sizeof(head)));

	put_be16(head + ETH_TYPE, ETH_IPV4);
	ip[0] = 0x45;
	ip[IP4_PROTO] = PROTO_UDP;
	put_be16(ip + IP4_HEADER_MIN, flow);
	vframe_write(f, 0, head, sizeof(head));
	return f;
}

static unsigned give_all(uint32_t flow, uint32_t len)
{
	uint64_t before = port.count[VPORT_RX_FRAMES];

	for (unsigned i = 0; i < 600 && !port.count[VPORT_RX_FULL]; i++)
		vport_give(&port, frame(flow, len));
	port.count[VPORT_RX_FULL] = 0;
	return (unsigned)(port.count[VPORT_RX_FRAMES] - before);
}

static void queues_are_bounded(void **state)
{
	struct vframe *f;
	unsigned n = 0;

	assert_int_equal(give_all(1, 60), VPORT_RX_QUEUE);
	assert_int_equal(guest_wakes, 1);
	while ((f = vport_recv(&port, 0)))
		vframe_free(f);
	assert_int_equal(give_all(1, VFRAME_MAX_BYTES), VPORT_RX_PAGES / 17 + 1);
	for (; vport_room(&port); n++)
		vport_send(&port, 0, frame(1, VFRAME_MAX_BYTES));
	assert_int_equal(n, VPORT_TX_PAGES / 17 + 1);
	assert_int_equal(owner_wakes, 1);
	guest_wakes = 0;
	while ((f = vport_take_tx(&port)))
		vframe_free(f);
	assert_int_equal(guest_wakes, 1); /* it met a full queue */
}

/* A flow that goes to this one of two queues. */
static void flow_of(unsigned queue, uint32_t *flow)
{
	struct vframe *f;

	for (*flow = 1;; ++*flow) {
		bool here;

		vport_give(&port, frame(*flow, 60));
		f = vport_recv(&port, queue);
		here = f != NULL;
		if (!here)
			f = vport_recv(&port, !queue);
		vframe_free(f);
		if (here)
			return;
	}
}

static void half_for_one_of_several(void **state)
{
	uint32_t first, second;

	vport_set_queues(&port, 2);
	flow_of(0, &first);
	flow_of(1, &second);
	assert_int_equal(give_all(first, 60), VPORT_RX_QUEUE / 2);
	assert_int_equal(give_all(second, 60), VPORT_RX_QUEUE / 2);
}

static void a_reply_comes_to_the_queue_that_sent(void **state)
{
	for (uint32_t flow = 1; flow < 50; flow++) {
		unsigned queue = flow % 4;
		struct vframe *f = frame(flow, 60);

		vport_set_queues(&port, 4);
		vport_send(&port, queue, f);
		assert_ptr_equal(vport_take_tx(&port), f);
		vport_note_flow(&port, f);
		vport_give(&port, f);
		assert_ptr_equal(vport_recv(&port, queue), f);
		vframe_free(f);
	}
}

/* What waits in a queue that is turned off is given back. */
static void fewer_queues(void **state)
{
	uint32_t second;

	vport_set_queues(&port, 2);
	flow_of(1, &second);
	vport_give(&port, frame(second, 60));
	assert_int_equal(port.rx_n, 1);
	vport_set_queues(&port, 1);
	assert_int_equal(port.rx_n, 0);
	assert_int_equal(port.rx_pages, 0);
	vport_give(&port, frame(second, 60));
	assert_int_equal(port.rx[0].n, 1);
}

/* One turn of the owner after the other, each when it is due. */
static unsigned received_until(uint64_t end_ns)
{
	struct vframe *f;
	unsigned n = 0;

	for (;;) {
		due_ns = UINT64_MAX;
		(void)rate_run(&port);
		while ((f = vport_recv(&port, 0))) {
			assert_int_equal(f->len, 1000 + n);
			vframe_free(f);
			n++;
		}
		if (due_ns >= end_ns)
			return n;
		assert_true(due_ns > now_ns);
		now_ns = due_ns;
	}
}

static void too_fast_waits_and_keeps_its_order(void **state)
{
	port.rules.rate_mbit = 8; /* a byte in a microsecond: 4 ms of them at once */
	for (unsigned i = 0; i < 50; i++)
		rate_give(&port, frame(1, 1000 + i));
	assert_int_equal(port.rx[0].n, 4);
	assert_int_equal(port.late.n, 46);
	assert_int_equal(received_until(now_ns + 100 * NSEC_PER_MSEC), 50);
	assert_in_range(now_ns, NSEC_PER_SEC + 40 * NSEC_PER_MSEC,
			NSEC_PER_SEC + 52 * NSEC_PER_MSEC);
	assert_int_equal(port.count[VPORT_RX_OVER_RATE], 0);
}

static void much_too_fast_is_dropped(void **state)
{
	port.rules.rate_mbit = 1;
	for (unsigned i = 0; i < 1000; i++)
		rate_give(&port, frame(1, 1000));
	assert_int_equal(port.late.n, VPORT_LATE_QUEUE);
	assert_int_equal(port.count[VPORT_RX_OVER_RATE],
			 1000 - VPORT_LATE_QUEUE - port.count[VPORT_RX_FRAMES]);
	port.rules.rate_mbit = 0;
	(void)rate_run(&port);
	assert_int_equal(port.late.n, 0);
}

static void a_sender_waits_but_at_a_stun(void **state)
{
	port.rules.rate_mbit = 1;
	vport_send(&port, 0, frame(1, 60));
	assert_true(rate_may_send(&port));
	rate_sent(&port, 65000);
	assert_false(rate_may_send(&port));
	(void)rate_run(&port);
	assert_int_equal(due_ns, now_ns + 65000ull * 8000 - RATE_DEPTH_NS);
	port.hurried = 1;
	assert_true(rate_may_send(&port));
}

static void copies_and_moves_are_summed_for_the_host(void **state)
{
	vport_count(&port, VPORT_COPIED_BYTES, 300);
	vport_count(&port, VPORT_TX_BYTES, 200);
	vport_give(&port, frame(1, 100));
	assert_int_equal(net_counters.switch_copied_bytes, 300);
	assert_int_equal(net_counters.switch_moved_bytes, 300);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_port, close_port)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(queues_are_bounded),
		TEST(half_for_one_of_several),
		TEST(a_reply_comes_to_the_queue_that_sent),
		TEST(fewer_queues),
		TEST(too_fast_waits_and_keeps_its_order),
		TEST(much_too_fast_is_dropped),
		TEST(a_sender_waits_but_at_a_stun),
		TEST(copies_and_moves_are_summed_for_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
