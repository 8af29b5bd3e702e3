/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Worlds, scheduler, wait queues, mutexes and timers on several threads that
 * play the CPUs. A lost wake-up shows as a time-out, a stack entered twice as
 * corruption under AddressSanitizer.
 */
// ALONE: the fake CPUs are threads, and time is the real one
#include "fake_machine.h"

#include "kernel/base/console.c"

/* ---- mutex and yields ---- */

#define COUNTERS 10u
#define TURNS 1500u

static struct mutex count_lock;
static uint64_t counted;

static void counter(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		uint64_t seen;

		mutex_lock(&count_lock);
		seen = counted;
		if (i % 8 == 0)
			world_yield();
		counted = seen + 1;
		mutex_unlock(&count_lock);
		if (i % 5 == 0)
			world_yield();
	}
}

static void do_count(void)
{
	struct world *w[COUNTERS];

	mutex_init(&count_lock, LOCK_VM, "count");
	counted = 0;
	for (unsigned i = 0; i < COUNTERS; i++)
		w[i] = spawn("counter", (enum world_prio)(i % WORLD_PRIOS),
			     i % 4 == 3 ? (int)(i % cpu_count()) : -1, counter, NULL);
	for (unsigned i = 0; i < COUNTERS; i++)
		world_join(w[i]);
	check(counted == COUNTERS * TURNS, "the mutex lost counts");
}

/* ---- wake-ups against time-outs ---- */

struct pair {
	struct event ping, pong;
	uint64_t timeout_ns; /* short ones race with the signal */
	unsigned timeouts;
};

static void wait_for(struct pair *p, struct event *e)
{
	uint64_t start = time_ns();

	while (event_wait(e, time_ns() + p->timeout_ns)) {
		p->timeouts++;
		if (time_ns() - start > PATIENCE_NS) {
			check(false, "a wake-up was lost");
			return;
		}
	}
}

static void ponger(void *arg)
{
	struct pair *p = arg;

	for (unsigned i = 0; i < TURNS && !job.failed; i++) {
		wait_for(p, &p->ping);
		event_signal(&p->pong);
	}
}

static void pinger(void *arg)
{
	struct pair *p = arg;

	for (unsigned i = 0; i < TURNS && !job.failed; i++) {
		event_signal(&p->ping);
		wait_for(p, &p->pong);
	}
}

static void ping_pong(int a, int b, uint64_t timeout_ns)
{
	struct pair p = { .timeout_ns = timeout_ns };
	struct world *ping, *pong;

	event_init(&p.ping, "ping");
	event_init(&p.pong, "pong");
	ping = spawn("ping", WORLD_NORMAL, a, pinger, &p);
	pong = spawn("pong", WORLD_HIGH, b, ponger, &p);
	world_join(ping);
	world_join(pong);
}

static void do_wake(void)
{
	for (int a = -1; a < (int)cpu_count(); a++)
		for (int b = a; b < (int)cpu_count(); b++) {
			ping_pong(a, b, PATIENCE_NS);
			ping_pong(a, b, 20 * NSEC_PER_USEC);
		}
}

/* ---- a queue with an owner's lock: producers, consumers, many sleepers ---- */

static struct {
	struct spinlock lock;
	struct waitq readers;
	unsigned items, taken;
	bool closed;
} shop;

static void consumer(void *arg)
{
	unsigned long f = spin_lock(&shop.lock);

	(void)arg;
	for (;;) {
		while (!shop.items && !shop.closed)
			if (waitq_sleep(&shop.readers, &shop.lock, &f, time_ns() + PATIENCE_NS))
				check(shop.items || shop.closed, "a consumer was forgotten");
		if (!shop.items)
			break;
		shop.items--;
		shop.taken++;
		check(spin_held(&shop.lock), "waitq_sleep came back without the lock");
	}
	spin_unlock(&shop.lock, f);
}

static void producer(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		unsigned long f = spin_lock(&shop.lock);

		shop.items++;
		waitq_wake_one(&shop.readers);
		spin_unlock(&shop.lock, f);
		if (i % 3 == 0)
			world_yield();
	}
}

static void do_shop(void)
{
	struct world *c[4], *p[3];
	unsigned long f;

	memset(&shop, 0, sizeof(shop));
	spin_init(&shop.lock, LOCK_DRIVER, "shop");
	waitq_init(&shop.readers, "shop");
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = spawn("consumer", WORLD_NORMAL, -1, consumer, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = spawn("producer", WORLD_NORMAL, -1, producer, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		world_join(p[i]);
	f = spin_lock(&shop.lock);
	shop.closed = true;
	waitq_wake_all(&shop.readers);
	spin_unlock(&shop.lock, f);
	for (unsigned i = 0; i < ARRAY_SIZE(c); i++)
		world_join(c[i]);
	check(shop.taken == ARRAY_SIZE(p) * TURNS, "items were lost");
}

/* ---- priorities, slices, stealing on one and two CPUs ---- */

static unsigned order[3], order_len;

static void note(void *arg)
{
	order[order_len++] = (unsigned)(uintptr_t)arg;
}

static void do_prio(void)
{
	struct world *w[3];
	uint64_t start;

	order_len = 0;
	w[0] = spawn("low", WORLD_BACKGROUND, -1, note, (void *)1);
	check(!world_should_yield(), "a lower priority asked for the CPU");
	w[1] = spawn("equal", WORLD_NORMAL, -1, note, (void *)2);
	check(this_cpu()->resched, "a guest could be entered without a slice having begun");
	start = time_ns();
	while (!world_should_yield())
		check(time_ns() - start < PATIENCE_NS, "the slice never ended");
	check(time_ns() - start >= NSEC_PER_MSEC, "the slice ended at once");
	w[2] = spawn("high", WORLD_HIGH, -1, note, (void *)3);
	check(world_should_yield() && this_cpu()->resched, "a higher priority was not noticed");
	for (unsigned i = 0; i < 3; i++)
		world_join(w[i]);
	check(order[0] == 3 && order[1] == 2 && order[2] == 1, "order is not by priority");
	check(!world_should_yield(), "nobody is left to yield to");
}

static unsigned stolen_to;

static void where(void *arg)
{
	(void)arg;
	stolen_to = cpu_self();
}

static void do_steal(void)
{
	struct world *w = spawn("stolen", WORLD_NORMAL, -1, where, NULL);
	unsigned self = cpu_self();

	while (!__atomic_load_n(&w->gone, __ATOMIC_RELAXED)) /* never yields */
		cpu_pause();
	check(stolen_to != self, "an idle CPU did not take the work");
	world_join(w);
}

/* ---- wake-ups on the waker's CPU ---- */

#define RALLIES 500u

static struct event there, back;

static void partner(void *arg)
{
	(void)arg;
	world_wakes_here(true);
	for (unsigned i = 0; i < RALLIES; i++) {
		(void)event_wait(&there, NEVER_NS);
		event_signal(&back);
	}
}

static void do_rally(void)
{
	struct sched_stats before, after;
	struct world *w;

	event_init(&there, "there");
	event_init(&back, "back");
	world_wakes_here(true);
	w = spawn("partner", WORLD_NORMAL, -1, partner, NULL);
	sched_stats(&before);
	for (unsigned i = 0; i < RALLIES; i++) {
		event_signal(&there);
		(void)event_wait(&back, NEVER_NS);
	}
	sched_stats(&after);
	check(after.switches - before.switches >= RALLIES, "switches are not counted");
	check(after.kicks - before.kicks < RALLIES / 10, "each wake-up kicks another CPU");
	world_wakes_here(false);
	world_join(w);
}

/* ---- console input ---- */

static void typist(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 300; i++) {
		char c = (char)('a' + i % 26);

		console_input(&c, 1);
		if (i % 10 == 0)
			world_sleep_ns(100 * NSEC_PER_USEC);
	}
}

static void do_console(void)
{
	static char flood[3 * INPUT_SIZE];
	char buf[7];
	unsigned got = 0;
	struct world *w;
	size_t n;

	check(console_read(buf, sizeof(buf), time_ns() + NSEC_PER_MSEC) == 0, "input from nowhere");
	w = spawn("typist", WORLD_NORMAL, -1, typist, NULL);
	while (got < 300 && (n = console_read(buf, sizeof(buf), time_ns() + PATIENCE_NS)) != 0)
		for (size_t i = 0; i < n; i++)
			check(buf[i] == (char)('a' + got++ % 26), "input out of order");
	check(got == 300, "input was lost");
	world_join(w);
	console_input(flood, sizeof(flood));
	for (got = 0; (n = console_read(buf, sizeof(buf), 0)) != 0; got += (unsigned)n)
		;
	check(got == INPUT_SIZE, "too much input is not cut at the queue's size");
}

/* ---- ends of worlds ---- */

static uint32_t ended;

static void brief(void *arg)
{
	(void)arg;
	world_sleep_ns(50 * NSEC_PER_USEC);
	__atomic_fetch_add(&ended, 1, __ATOMIC_RELAXED);
}

static void do_churn(void)
{
	static const struct world_opts o = {
		.name = "detached", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = STACK
	};
	uint64_t blocks = fake_blocks;

	ended = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct world *w = spawn("joined", WORLD_NORMAL, -1, brief, NULL);

		check(world_create(NULL, &o, brief, NULL) == 0, "world_create");
		world_join(w);
	}
	while (__atomic_load_n(&ended, __ATOMIC_RELAXED) < 200 ||
	       __atomic_load_n(&fake_blocks, __ATOMIC_RELAXED) != blocks)
		world_sleep_ns(NSEC_PER_MSEC);
	check(world_list(NULL, 0) == 1, "dead worlds are listed");
}

/* ---- timers: arm, re-arm and cancel from several CPUs ---- */

static struct timer shared_timer;
static uint32_t fired;

static void fire(struct timer *t)
{
	(void)t;
	__atomic_fetch_add(&fired, 1, __ATOMIC_RELAXED);
}

static void armer(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < TURNS; i++) {
		timer_arm(&shared_timer, time_ns() + (i % 3) * 20 * NSEC_PER_USEC);
		if (i % 4 == 0)
			(void)timer_cancel(&shared_timer);
		world_yield();
	}
}

static void do_timer(void)
{
	struct world *w[3];
	uint64_t start = time_ns();

	world_sleep_ns(3 * NSEC_PER_MSEC);
	check(time_ns() - start >= 3 * NSEC_PER_MSEC, "a sleep was short");
	timer_setup(&shared_timer, fire);
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		w[i] = spawn("armer", WORLD_NORMAL, -1, armer, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		world_join(w[i]);
	(void)timer_cancel(&shared_timer);
	check(shared_timer.cpu == -1, "a cancelled timer is queued");
	fired = 0;
	timer_arm(&shared_timer, time_ns() + NSEC_PER_MSEC);
	world_sleep_ns(5 * NSEC_PER_MSEC);
	check(fired == 1, "a timer did not fire once");
}

/* ---- */

ON(test_count_1, 1, do_count)
ON(test_count_4, 4, do_count)
ON(test_wake_1, 1, do_wake)
ON(test_wake_3, 3, do_wake)
ON(test_shop_1, 1, do_shop)
ON(test_shop_4, 4, do_shop)
ON(test_prio, 1, do_prio)
ON(test_steal, 2, do_steal)
ON(test_rally, 2, do_rally)
ON(test_console, 2, do_console)
ON(test_churn, 3, do_churn)
ON(test_timer_1, 1, do_timer)
ON(test_timer_3, 3, do_timer)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count_1), cmocka_unit_test(test_count_4),
		cmocka_unit_test(test_wake_1),	cmocka_unit_test(test_wake_3),
		cmocka_unit_test(test_shop_1),	cmocka_unit_test(test_shop_4),
		cmocka_unit_test(test_prio),	cmocka_unit_test(test_steal),
		cmocka_unit_test(test_rally),	cmocka_unit_test(test_console),
		cmocka_unit_test(test_churn),	cmocka_unit_test(test_timer_1),
		cmocka_unit_test(test_timer_3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
