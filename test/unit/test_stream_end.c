/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream's end: whoever closes it gives it to the owner world, which may be at work
 * on it at that moment, on another CPU. It is freed once, and not before the closer has
 * let go of it: the two run in threads of their own here, under ASan.
 * // SOURCES: net/stream.c net/stream_list.c
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/stream_int.h"

#define ROUNDS 10000u
#define LONG_ENOUGH 2000u

struct net_stats net_counters;
static uint32_t made, freed, over;

void page_get(hpa_t block)
{
}

void page_put(hpa_t block)
{
	free(hpa_ptr(block));
	freed++;
}

/* The base's, for threads. */
unsigned long spin_lock(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	return 0;
}

void spin_unlock(struct spinlock *l, unsigned long flags)
{
	__atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	return -1;
}

void world_wakes_here(bool on)
{
}

void net_wake(void)
{
}

int net_call(int (*fn)(void *arg), void *arg)
{
	return fn(arg);
}

void stream_rx_release(struct stream *s)
{
}

/* As stream_tcp.c serves one whose connection is gone; at work long enough to meet the close. */
void stream_service(struct stream *s)
{
	for (unsigned i = 0; i < LONG_ENOUGH && !(stream_flags(s) & S_CLOSE); i++)
		;
	if (stream_flags(s) & S_CLOSE)
		stream_free(s);
}

static void *owner(void *arg)
{
	while (!STREAM_LOAD(over))
		streams_run();
	streams_run();
	return NULL;
}

static void test_closing_while_the_owner_serves(void **state)
{
	pthread_t thread;

	streams_init();
	assert_int_equal(pthread_create(&thread, NULL, owner, NULL), 0);
	for (made = 0; made < ROUNDS; made++) {
		struct stream *s = stream_new();

		assert_non_null(s);
		stream_post(s);
		while (STREAM_LOAD(s->posted)) /* the owner has begun */
			sched_yield();
		stream_close(s);
	}
	STREAM_STORE(over, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(freed, made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closing_while_the_owner_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
