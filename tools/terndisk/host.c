/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What kernel/store and drivers/blkdev.c take from the kernel's base, on Linux: worlds
 * are threads, spinlocks spin with a yield, all sleepers share one condition, and
 * wake-ups may be spurious, as the face allows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include <tern/log.h>
#include <tern/random.h>
#include <tern/timer.h>
#include <tern/world.h>

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER; /* inside of every spinlock */
static pthread_cond_t woken;

__attribute__((constructor)) static void use_monotonic(void)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&woken, &a);
}

/* ---- time, randomness, words ---- */

uint64_t time_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

uint64_t wall_clock_s(void)
{
	return (uint64_t)time(NULL);
}

void random_bytes(void *buf, size_t len)
{
	if (getrandom(buf, len, 0) != (ssize_t)len)
		panic("no randomness");
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	va_list ap;

	(void)room;
	if (level > LOG_WARN)
		return;
	fputs("terndisk: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* ---- spinlocks ---- */

void spin_init(struct spinlock *l, enum lock_level level, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint16_t)level, name);
}

unsigned long spin_lock(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->word, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	return 0;
}

void spin_unlock(struct spinlock *l, unsigned long flags)
{
	(void)flags;
	__atomic_store_n(&l->word, 0, __ATOMIC_RELEASE);
}

/* ---- sleeping ---- */

/* guard is held. */
static int sleep_until(uint64_t deadline_ns)
{
	struct timespec t = { .tv_sec = (time_t)(deadline_ns / NSEC_PER_SEC),
			      .tv_nsec = (long)(deadline_ns % NSEC_PER_SEC) };

	if (deadline_ns == NEVER_NS)
		return -pthread_cond_wait(&woken, &guard);
	return -pthread_cond_timedwait(&woken, &guard, &t);
}

static void wake(void)
{
	pthread_mutex_lock(&guard);
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&guard);
}

void waitq_init(struct waitq *q, const char *name)
{
	spin_init(&q->guard, LOCK_WAITQ, name);
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	int err;

	(void)q;
	pthread_mutex_lock(&guard);
	spin_unlock(l, *flags);
	err = sleep_until(deadline_ns);
	pthread_mutex_unlock(&guard);
	*flags = spin_lock(l);
	return err;
}

void waitq_wake_one(struct waitq *q)
{
	(void)q;
	wake();
}

void waitq_wake_all(struct waitq *q)
{
	(void)q;
	wake();
}

void event_init(struct event *e, const char *name)
{
	waitq_init(&e->q, name);
	e->set = 0;
}

void event_signal(struct event *e)
{
	pthread_mutex_lock(&guard);
	e->set = 1;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&guard);
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	int err = 0;

	pthread_mutex_lock(&guard);
	while (!e->set && err != -ETIMEDOUT)
		err = sleep_until(deadline_ns);
	if (e->set)
		err = 0;
	e->set = 0;
	pthread_mutex_unlock(&guard);
	return err;
}

/* ---- worlds ---- */

struct world {
	pthread_t thread;
	void (*fn)(void *arg);
	void *arg;
};

static void *run(void *arg)
{
	struct world *w = arg;

	w->fn(w->arg);
	return NULL;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	struct world *w = calloc(1, sizeof(*w));

	(void)o;
	if (!w)
		return -ENOMEM;
	w->fn = fn;
	w->arg = arg;
	if (pthread_create(&w->thread, NULL, run, w)) {
		free(w);
		return -ENOMEM;
	}
	*out = w;
	return 0;
}

void world_join(struct world *w)
{
	pthread_join(w->thread, NULL);
	free(w);
}

void world_sleep_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
			      .tv_nsec = (long)(ns % NSEC_PER_SEC) };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}
