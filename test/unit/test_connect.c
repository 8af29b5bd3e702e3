/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making connections: which port one gets, and what is said when it cannot be had. lwIP, its
 * options and the streams are the real ones; both ends are on this host's loopback.
 */
// SOURCES: net/stream.c net/stream_list.c net/stream_rx.c net/stream_tcp.c net/stream_loss.c
// SOURCES: net/listen.c net/addr_lwip.c
// LIBS: lwip
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"
#include "net/stream_int.h"

#define PORT 8902u
#define PORTS_FROM 0xc000u
#define HEAP_BYTES (2u << 20) /* more than lwIP's MEM_SIZE */
#define LONG_NS (10 * NSEC_PER_SEC)
#define SETTLE_MS 5000u

struct net_stats net_counters;
void *lwip_port_heap;
const char _ctype_[257]; /* lwIP's parsers of addresses, which nobody calls here */

static const struct net_addr self = { .family = 4, .ip = { 127, 0, 0, 1 } };
static uint8_t heap[HEAP_BYTES] __attribute__((aligned(PAGE_SIZE)));
static struct listener *listener;
static uint64_t now_ms;
static uint32_t rnd;
static unsigned blocks; /* of pages that are not given back */

uint64_t time_ns(void)
{
	return now_ms * NSEC_PER_MSEC;
}

uint32_t sys_now(void)
{
	return (uint32_t)now_ms;
}

uint32_t lwip_port_rand(void)
{
	return rnd;
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
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

static void tick(void)
{
	now_ms++;
	netif_poll_all();
	(void)streams_run();
	sys_check_timeouts();
}

void waitq_init(struct waitq *q, const char *name)
{
}

void waitq_wake_all(struct waitq *q)
{
}

void waitq_wake_one(struct waitq *q)
{
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	if (time_ns() >= deadline_ns)
		return -ETIMEDOUT;
	spin_unlock(l, *flags);
	tick();
	*flags = spin_lock(l);
	return 0;
}

void world_wakes_here(bool on)
{
}

void world_sleep_ns(uint64_t ns)
{
}

void net_wake(void)
{
}

int net_call(int (*fn)(void *arg), void *arg)
{
	return fn(arg);
}

static int set_up(void **state)
{
	lwip_port_heap = heap;
	lwip_init();
	streams_init();
	return stream_listen(PORT, 2, &listener);
}

/* One connection and its end; the port that it had on this side. */
static int port_of_one(uint16_t *port)
{
	struct stream *from, *to;
	int err = stream_connect(&self, PORT, LONG_NS, &from);

	if (err)
		return err;
	*port = from->pcb->local_port;
	assert_int_equal(stream_accept(listener, time_ns() + LONG_NS, &to), 0);
	stream_close(from);
	stream_close(to);
	for (unsigned i = 0; i < SETTLE_MS; i++)
		tick();
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wherever_ports_begin),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
