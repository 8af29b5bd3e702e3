/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: bytes out to every sink, bytes in from any driver to the shell.
 *
 * Output of one call is not mixed with another's. Sinks are called in the order in
 * which they were added, so that a fast one need not wait for a slow one. A sink is called under
 * the console's lock with interrupts off and must not block for long; in a panic no lock is taken.
 * Input that nobody reads in time is dropped.
 */
#include <errno.h>

#include <tern/arch.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/world.h>

#define INPUT_SIZE 1024u

static struct {
	struct spinlock lock; /* guards output and the list */
	struct console_sink *first;
} out = { .lock = SPINLOCK_INIT(LOCK_CONSOLE, "console") };

static struct {
	struct waitq q;	     /* q.guard guards the rest */
	uint32_t head, tail; /* free running */
	char bytes[INPUT_SIZE];
} in = { .q.guard = SPINLOCK_INIT(LOCK_WAITQ, "console input") };

void console_add(struct console_sink *s)
{
	unsigned long flags = spin_lock(&out.lock);
	struct console_sink **end = &out.first;

	while (*end)
		end = &(*end)->next;
	s->next = NULL;
	*end = s;
	spin_unlock(&out.lock, flags);
}

static void write_all(const char *text, size_t len)
{
	for (struct console_sink *s = out.first; s; s = s->next)
		s->write(s, text, len);
}

void console_write(const char *text, size_t len)
{
	unsigned long flags;

	if (arch_in_panic()) {
		write_all(text, len);
		return;
	}
	flags = spin_lock(&out.lock);
	write_all(text, len);
	spin_unlock(&out.lock, flags);
}

void console_input(const char *bytes, size_t len)
{
	unsigned long flags = spin_lock(&in.q.guard);

	for (size_t i = 0; i < len && in.tail - in.head < INPUT_SIZE; i++)
		in.bytes[in.tail++ % INPUT_SIZE] = bytes[i];
	spin_unlock(&in.q.guard, flags);
	waitq_wake_one(&in.q);
}

size_t console_read(char *buf, size_t len, uint64_t deadline_ns)
{
	unsigned long flags = spin_lock(&in.q.guard);
	size_t n = 0;
	int r = 0;

	while (in.head == in.tail && r != -ETIMEDOUT)
		r = waitq_sleep(&in.q, &in.q.guard, &flags, deadline_ns);
	while (n < len && in.head != in.tail)
		buf[n++] = in.bytes[in.head++ % INPUT_SIZE];
	spin_unlock(&in.q.guard, flags);
	return n;
}
