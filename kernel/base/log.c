/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: a ring of whole lines, each written once, in its final form.
 *
 * A line is formatted on the caller's stack, copied into the ring under the
 * lock and then written to the console, outside the lock, when its level is
 * important enough. seq counts lines since boot; slot = seq modulo LINES.
 */
#include <stdio.h>
#include <string.h>

#include <tern/lock.h>
#include <tern/log.h>
#include <tern/timer.h>

#define LINES 1024u
#define LINE_MAX_LEN 192u

static struct {
	struct spinlock lock; /* guards next and text */
	uint64_t next;	      /* seq of the next line */
	char text[LINES][LINE_MAX_LEN];
} ring = { .lock = SPINLOCK_INIT(LOCK_LOG, "log") };

static enum log_level console_level = LOG_INFO; /* [atom] */

static const char level_name[][6] = { "error", "warn ", "info ", "debug" };

static void store(const char *line)
{
	unsigned long flags = spin_lock(&ring.lock);

	memcpy(ring.text[ring.next % LINES], line, LINE_MAX_LEN);
	ring.next++;
	spin_unlock(&ring.lock, flags);
}

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	char line[LINE_MAX_LEN + 1] = { 0 };
	uint64_t us = time_ns() / NSEC_PER_USEC;
	va_list ap;
	int n;

	n = snprintf(line, LINE_MAX_LEN, "[%5llu.%06llu] %s %s: ", (unsigned long long)us / 1000000,
		     (unsigned long long)us % 1000000, level_name[level], room);
	va_start(ap, fmt);
	(void)vsnprintf(line + n, LINE_MAX_LEN - (size_t)n, fmt, ap);
	va_end(ap);
	store(line);
	if (level > console_level)
		return;
	n = (int)strlen(line);
	line[n] = '\n';
	console_write(line, (size_t)n + 1);
}

void log_set_console_level(enum log_level level)
{
	console_level = level;
}

bool log_read(uint64_t *seq, char *text, size_t len)
{
	unsigned long flags = spin_lock(&ring.lock);
	bool found;

	if (ring.next > LINES && *seq < ring.next - LINES)
		*seq = ring.next - LINES; /* older ones are gone */
	found = *seq < ring.next;
	if (found && len) {
		strncpy(text, ring.text[*seq % LINES], len - 1);
		text[len - 1] = 0;
		(*seq)++;
	}
	spin_unlock(&ring.lock, flags);
	return found && len;
}
