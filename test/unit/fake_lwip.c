/* SPDX-License-Identifier: BSD-2-Clause */
/* lwIP's owner (fake_lwip.h). */
#include <errno.h>
#include <stdlib.h>

#include "lwip/init.h"
#include "lwip/ip4.h"
#include "lwip/timeouts.h"
#include "test/unit/fake_lwip.h"

#define HEAP_BYTES (2u << 20) /* more than lwIP's MEM_SIZE */

void *lwip_port_heap;
const char _ctype_[257]; /* lwIP's parsers of addresses, which nobody calls here */
uint64_t fake_now_ms;
void (*fake_frames)(void);

static uint8_t heap[HEAP_BYTES] __attribute__((aligned(PAGE_SIZE)));

void fake_lwip_start(struct netif *nif, netif_init_fn init)
{
	ip4_addr_t a, m, g;

	lwip_port_heap = heap;
	lwip_init();
	streams_init();
	IP4_ADDR(&a, 10, 0, 0, 1);
	IP4_ADDR(&m, 255, 255, 255, 0);
	IP4_ADDR(&g, 0, 0, 0, 0);
	if (!netif_add(nif, &a, &m, &g, NULL, init, ip4_input))
		abort();
	netif_set_default(nif);
	netif_set_up(nif);
	netif_set_link_up(nif);
}

void fake_lwip_tick(void)
{
	fake_now_ms++;
	fake_frames();
	(void)streams_run();
	sys_check_timeouts();
}

uint64_t time_ns(void)
{
	return fake_now_ms * NSEC_PER_MSEC;
}

uint32_t sys_now(void)
{
	return (uint32_t)fake_now_ms;
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	if (time_ns() >= deadline_ns)
		return -ETIMEDOUT;
	spin_unlock(l, *flags);
	fake_lwip_tick();
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
