/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests at boot: worlds, wake-ups across CPUs, timers, cross calls, memory.
 * Each test returns NULL or what went wrong. They use the faces only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/page.h>
#include <tern/timer.h>
#include <tern/world.h>

#include <tern/selftest.h>

#define WORLDS 12u
#define TURNS 2000u
#define WAKES 150u
#define PATIENCE_NS (20 * NSEC_PER_SEC)

/* ---- worlds: counting under a mutex, with yields ---- */

static struct mutex count_lock;
static uint64_t counted; /* count_lock */

static void counter(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		uint64_t seen;

		mutex_lock(&count_lock);
		seen = counted;
		if (i % 16 == 0)
			world_yield();
		counted = seen + 1;
		mutex_unlock(&count_lock);
		if (i % 7 == 0)
			world_yield();
	}
}

static const char *test_sched(void)
{
	struct world *w[WORLDS];
	struct world_opts o = { .name = "selftest" };

	mutex_init(&count_lock, LOCK_VM, "selftest");
	counted = 0;
	for (unsigned i = 0; i < WORLDS; i++) {
		o.prio = (enum world_prio)(i % WORLD_PRIOS);
		o.cpu = i % 4 == 3 ? (int)(i % cpu_count()) : -1;
		if (world_create(&w[i], &o, counter, NULL))
			return "no memory for worlds";
	}
	for (unsigned i = 0; i < WORLDS; i++)
		world_join(w[i]);
	return counted == WORLDS * TURNS ? NULL : "the mutex lost counts";
}

/* ---- wake-ups: ping-pong between worlds on all pairs of CPUs ---- */

struct pair {
	struct event ping, pong;
	int cpu;
	bool lost;
};

static void ponger(void *arg)
{
	struct pair *p = arg;

	for (unsigned i = 0; i < WAKES && !p->lost; i++) {
		if (event_wait(&p->ping, time_ns() + PATIENCE_NS))
			p->lost = true;
		event_signal(&p->pong);
	}
}

static void pinger(void *arg)
{
	struct pair *p = arg;

	for (unsigned i = 0; i < WAKES && !p->lost; i++) {
		event_signal(&p->ping);
		if (event_wait(&p->pong, time_ns() + PATIENCE_NS))
			p->lost = true;
	}
}

static const char *ping_pong(int a, int b)
{
	struct world_opts o = { .name = "selftest ping", .prio = WORLD_NORMAL, .cpu = a };
	struct world *ping, *pong;
	struct pair p = { .lost = false };

	event_init(&p.ping, "ping");
	event_init(&p.pong, "pong");
	if (world_create(&ping, &o, pinger, &p))
		return "no memory for worlds";
	o.cpu = b;
	if (world_create(&pong, &o, ponger, &p))
		return "no memory for worlds";
	world_join(ping);
	world_join(pong);
	return p.lost ? "a wake-up was lost" : NULL;
}

static const char *test_wake(void)
{
	for (int a = -1; a < (int)cpu_count(); a++)
		for (int b = -1; b < (int)cpu_count(); b++) {
			const char *why = ping_pong(a, b);

			if (why)
				return why;
		}
	return NULL;
}

/* ---- timers ---- */

static struct timer chain;
static struct event chain_end;
static unsigned chain_left;

static void chain_link(struct timer *t)
{
	if (--chain_left)
		timer_arm(t, t->deadline_ns + 100 * NSEC_PER_USEC);
	else
		event_signal(&chain_end);
}

static const char *test_chain(void)
{
	uint64_t start = time_ns();

	event_init(&chain_end, "chain");
	timer_setup(&chain, chain_link);
	chain_left = 50;
	timer_arm(&chain, start + 100 * NSEC_PER_USEC);
	if (event_wait(&chain_end, start + PATIENCE_NS))
		return "a timer that arms itself stopped";
	if (time_ns() - start < 5 * NSEC_PER_MSEC)
		return "a timer fired early";
	return NULL;
}

static const char *test_timer(void)
{
	uint64_t start = time_ns(), took;
	struct event never;

	world_sleep_ns(20 * NSEC_PER_MSEC);
	took = time_ns() - start;
	if (took < 20 * NSEC_PER_MSEC || took > 2 * NSEC_PER_SEC)
		return "a sleep of 20 ms was off";
	event_init(&never, "never");
	if (event_wait(&never, time_ns() + 5 * NSEC_PER_MSEC) != -ETIMEDOUT)
		return "an event came by itself";
	timer_setup(&chain, chain_link);
	chain_left = 2;
	timer_arm(&chain, time_ns() + 10 * NSEC_PER_MSEC);
	if (!timer_cancel(&chain) || timer_cancel(&chain))
		return "cancel is wrong about what was armed";
	world_sleep_ns(15 * NSEC_PER_MSEC);
	if (chain_left != 2)
		return "a cancelled timer fired";
	return test_chain();
}

/* ---- clock and cross calls ---- */

static void note_cpu(void *arg)
{
	*(unsigned *)arg = cpu_self();
}

static void note_time(void *arg)
{
	*(uint64_t *)arg = time_ns();
}

static const char *test_calls(void)
{
	for (unsigned round = 0; round < 50; round++)
		for (unsigned i = 0; i < cpu_count(); i++) {
			unsigned where = MAX_CPUS;
			uint64_t before = time_ns(), there = 0;

			cpu_call(i, note_cpu, &where);
			if (where != i)
				return "a cross call ran elsewhere";
			cpu_call(i, note_time, &there);
			if (there < before || there > time_ns())
				return "clocks of two CPUs disagree";
		}
	return NULL;
}

/* ---- memory ---- */

static const char *test_page(void)
{
	struct page_stats before, after;
	hpa_t block[ORDER_2M + 1];

	page_stats(&before);
	for (unsigned o = 0; o <= ORDER_2M; o++) {
		if (page_alloc(o, PAGE_ZERO, FRAME_KERNEL, &block[o]))
			return "out of memory";
		if (block[o].v & ((PAGE_SIZE << o) - 1))
			return "a block is not aligned";
		if (!page_is_zero(hpa_ptr(HPA(block[o].v + (PAGE_SIZE << o) - PAGE_SIZE))))
			return "a cleared block is not clear";
		memset(hpa_ptr(block[o]), 0x5a, PAGE_SIZE << o);
	}
	for (unsigned o = 0; o <= ORDER_2M; o++)
		page_put(block[o]);
	page_stats(&after);
	return before.free_bytes == after.free_bytes ? NULL : "memory leaked";
}

static const char *test_heap(void)
{
	char *p[64];

	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = malloc(i * 997 + 1);
		if (!p[i])
			return "out of memory";
		memset(p[i], (int)i, i * 997 + 1);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		if (p[i][0] != (char)i || p[i][i * 997] != (char)i)
			return "an allocation was overwritten";
		free(p[i]);
	}
	return NULL;
}

static const struct {
	const char *name;
	const char *(*run)(void);
} tests[] = {
	{ "page", test_page }, { "heap", test_heap },	{ "sched", test_sched },
	{ "wake", test_wake }, { "timer", test_timer }, { "calls", test_calls },
};

/* Is name one of the comma-separated words of list? */
bool selftest_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; (p = strstr(p, name)) != NULL; p += len) {
		char before = p == list ? ',' : p[-1], after = p[len];

		if ((before == ',' || before == ' ') && (after == ',' || after == ' ' || !after))
			return true;
	}
	return false;
}

void selftest_report(const char *name, const char *why)
{
	char line[120];

	(void)snprintf(line, sizeof(line), "selftest: %s %s%s%s\n", why ? "FAILED" : "ok", name,
		       why ? ": " : "", why ? why : "");
	console_write(line, strlen(line));
}

void selftest_run(const char *list)
{
	if (!list)
		return;
	if (selftest_listed(list, "panic"))
		panic("asked for by selftest");
	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
		if (selftest_listed(list, tests[i].name) || selftest_listed(list, "all"))
			selftest_report(tests[i].name, tests[i].run());
}
