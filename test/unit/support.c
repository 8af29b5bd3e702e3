/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What code under test takes from the kernel's base, as weak symbols: a test that
 * links the real file, or brings its own fake, gets that one instead. Tests run in
 * one thread, so a lock only checks that it is taken and released in turn, an event is
 * a flag, and nobody waits in a queue. Pages are the C library's, with garbage in them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/page.h>
#include <tern/world.h>

#define WEAK __attribute__((weak))

WEAK void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

WEAK void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	(void)level;
	(void)room;
	(void)fmt;
}

/* Nothing is set in tern.conf. */
WEAK const char *config_get(const char *key)
{
	(void)key;
	return NULL;
}

WEAK int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

	(void)owner;
	if (!p)
		abort();
	memset(p, (flags & PAGE_ZERO) ? 0 : 0xa5, PAGE_SIZE << order);
	*out = ptr_hpa(p);
	return 0;
}

WEAK void page_put(hpa_t block)
{
	free(hpa_ptr(block));
}

WEAK int page_promise(uint64_t bytes)
{
	(void)bytes;
	return 0;
}

WEAK void page_unpromise(uint64_t bytes)
{
	(void)bytes;
}

static void expect(bool ok, const char *what)
{
	if (!ok)
		panic("support: %s", what);
}

WEAK void spin_init(struct spinlock *l, enum lock_level level, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint16_t)level, name);
}

WEAK unsigned long spin_lock(struct spinlock *l)
{
	expect(l->word == 0, "a lock is taken twice");
	l->word = 1;
	return 0;
}

WEAK void spin_unlock(struct spinlock *l, unsigned long flags)
{
	(void)flags;
	expect(l->word == 1, "a lock that is not held is released");
	l->word = 0;
}

WEAK bool spin_held(const struct spinlock *l)
{
	return l->word != 0;
}

WEAK void mutex_init(struct mutex *m, enum lock_level level, const char *name)
{
	*m = (struct mutex){ .level = (uint16_t)level };
	spin_init(&m->guard, level, name);
}

WEAK bool mutex_held(const struct mutex *m)
{
	return m->owner != NULL;
}

WEAK bool mutex_trylock(struct mutex *m)
{
	if (mutex_held(m))
		return false;
	m->owner = (struct world *)m;
	return true;
}

WEAK void mutex_lock(struct mutex *m)
{
	expect(mutex_trylock(m), "a mutex is taken twice");
}

WEAK void mutex_unlock(struct mutex *m)
{
	expect(mutex_held(m), "a mutex that is not held is released");
	m->owner = NULL;
}

WEAK void waitq_init(struct waitq *q, const char *name)
{
	(void)name;
	memset(q, 0, sizeof(*q));
}

WEAK void waitq_wake_one(struct waitq *q)
{
	(void)q;
}

WEAK void waitq_wake_all(struct waitq *q)
{
	(void)q;
}

WEAK void event_init(struct event *e, const char *name)
{
	(void)name;
	e->set = 0;
}

WEAK void event_signal(struct event *e)
{
	e->set = 1;
}
