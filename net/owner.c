/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner world: the only one that runs lwIP and the NICs. It takes frames,
 * then calls of other worlds, then streams with work, then timers (last, so that
 * an ACK that has arrived is seen before a time-out that it settles), rings the
 * doorbells, and sleeps until an interrupt, a request or lwIP's next time-out.
 * Without connections that is three times a second (ages of ARP and ND entries,
 * DHCP).
 *
 * net_call() is bounded: when NET_MAX_CALLS wait, callers sleep for room.
 */
#include <errno.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "lwip/init.h"
#include "lwip/timeouts.h"
#include "net/net_int.h"
#include "net/stream_int.h"
#include "net/vswitch_int.h"

#define NET_MAX_CALLS 64u
#define POLL_BUDGET 64u
#define BUSY_MAX_NS (10 * NSEC_PER_MSEC)
#define REST_NS NSEC_PER_MSEC
#define OWNER_STACK (32u << 10)
#define HEAP_ORDER 8u
_Static_assert(MEM_SIZE + 256 <= (PAGE_SIZE << HEAP_ORDER), "lwIP's heap fits its block");

struct call {
	int (*fn)(void *arg);
	void *arg;
	int result;
	struct event done;
	struct call *next;
};

static struct {
	struct spinlock lock;	   /* guards first, last, nr */
	struct call *first, *last; /* [lock] */
	unsigned nr;		   /* [lock] */
	struct waitq room;
	struct event ev;
	struct world *world; /* [const] */
} owner;

void net_wake(void)
{
	event_signal(&owner.ev);
}

bool net_is_owner(void)
{
	return world_self() == owner.world;
}

static void enqueue(struct call *c)
{
	unsigned long flags = spin_lock(&owner.lock);

	while (owner.nr >= NET_MAX_CALLS) {
		NET_COUNT(queue_waits, 1);
		(void)waitq_sleep(&owner.room, &owner.lock, &flags, NEVER_NS);
	}
	if (owner.last)
		owner.last->next = c;
	else
		owner.first = c;
	owner.last = c;
	owner.nr++;
	spin_unlock(&owner.lock, flags);
}

int net_call(int (*fn)(void *arg), void *arg)
{
	struct call c = { .fn = fn, .arg = arg };

	if (!owner.world)
		return -ENETDOWN;
	if (net_is_owner())
		return fn(arg);
	event_init(&c.done, "net call");
	enqueue(&c);
	net_wake();
	(void)event_wait(&c.done, NEVER_NS);
	return c.result;
}

static struct call *dequeue(void)
{
	unsigned long flags = spin_lock(&owner.lock);
	struct call *c = owner.first;

	if (c) {
		owner.first = c->next;
		if (!owner.first)
			owner.last = NULL;
		owner.nr--;
	}
	spin_unlock(&owner.lock, flags);
	return c;
}

static unsigned run_calls(void)
{
	unsigned done = 0;
	struct call *c;

	while (done < NET_MAX_CALLS && (c = dequeue())) {
		c->result = c->fn(c->arg);
		event_signal(&c->done); /* c is gone after this */
		waitq_wake_one(&owner.room);
		done++;
	}
	return done;
}

/* Packets to ourselves wait in lwIP until polled. */
static bool loopback_pending(void)
{
	struct netif *n;

	NETIF_FOREACH(n)
	if (n->loop_first)
		return true;
	return false;
}

/* Most turns find one burst and the next one nothing: whom it wakes runs when the owner sleeps. */
static unsigned turn(void)
{
	unsigned frames = net_ifs_poll(POLL_BUDGET), done = frames;

	if (loopback_pending()) {
		net_rx_loopback();
		done++;
	}
	done += run_calls();
	done += streams_run();
	done += vswitch_run();
	if (frames < POLL_BUDGET)
		sys_check_timeouts();
	net_ifs_flush();
	return done;
}

/*
 * The owner's priority is above that of guests and readers: a flood must not keep
 * this CPU from them for good. Returns since when it has been busy.
 */
static uint64_t stay_busy(uint64_t since_ns)
{
	if (world_should_yield())
		world_yield();
	if (time_ns() - since_ns < BUSY_MAX_NS)
		return since_ns;
	world_sleep_ns(REST_NS);
	return time_ns();
}

static void owner_run(void *arg)
{
	uint64_t since_ns = time_ns();
	unsigned busy_turns = 0;

	(void)arg;
	world_wakes_here(true);
	for (;;) {
		uint32_t ms;

		if (turn() || loopback_pending() || net_ifs_arm()) {
			if (busy_turns++)
				world_share(); /* work goes on: readers run beside it */
			since_ns = stay_busy(since_ns);
			continue;
		}
		busy_turns = 0;
		ms = sys_timeouts_sleeptime();
		(void)event_wait(&owner.ev, ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE
						    ? NEVER_NS
						    : time_ns() + ms * NSEC_PER_MSEC);
		NET_COUNT(owner_wakes, 1);
		since_ns = time_ns();
	}
}

int net_owner_start(void)
{
	static const struct world_opts opts = {
		.name = "net", .prio = WORLD_HIGH, .cpu = -1, .stack_size = OWNER_STACK
	};

	return world_create(&owner.world, &opts, owner_run, NULL);
}

void net_init(void)
{
	hpa_t heap;

	spin_init(&owner.lock, LOCK_NET, "net calls");
	waitq_init(&owner.room, "net room");
	event_init(&owner.ev, "net");
	streams_init();
	if (page_alloc(HEAP_ORDER, 0, FRAME_NET, &heap) || net_rx_init()) {
		log_error("net", "no memory for buffers: the network stays down");
		return;
	}
	lwip_port_heap = hpa_ptr(heap);
	lwip_init();
	if (net_ifs_init() || net_ping_init()) {
		log_error("net", "set-up failed: the network stays down");
		return;
	}
	networks_init();
	if (net_owner_start()) {
		log_error("net", "set-up failed: the network stays down");
		return;
	}
	if (net_bench_start())
		log_warn("net", "the bench server did not start");
}
