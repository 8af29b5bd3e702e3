/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets of the remote protocol (gdb.h): $CONTENTS#SUM, where SUM is the contents' bytes
 * added up; '}' escapes. [GDB manual, "Overview" of the remote protocol]
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gdb.h"

#define INTERRUPT 3u
#define ESCAPE 0x7du
#define ESCAPED 0x20u

static const char digit[] = "0123456789abcdef";

void gdb_init(struct gdb *g, const struct gdb_target *t)
{
	memset(g, 0, sizeof(*g));
	g->target = t;
}

static int hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void keep(struct gdb *g, uint8_t byte)
{
	if (g->len <= GDB_PACKET_MAX) /* one more than fits: too long, damaged */
		g->packet[g->len++] = (char)byte;
}

static enum gdb_event end(struct gdb *g, int low)
{
	bool good = low >= 0 && (g->sum_told | low) == g->sum && g->len <= GDB_PACKET_MAX;

	g->state = GDB_IDLE;
	if (!good)
		return GDB_DAMAGED;
	g->packet[g->len] = '\0';
	return GDB_PACKET;
}

static enum gdb_event idle(struct gdb *g, uint8_t byte)
{
	if (byte == INTERRUPT)
		return GDB_INTERRUPT;
	if (byte == '$') {
		g->state = GDB_BODY;
		g->len = 0;
		g->sum = 0;
	}
	return GDB_NOTHING; /* acknowledgements: TCP has lost nothing */
}

enum gdb_event gdb_feed(struct gdb *g, uint8_t byte)
{
	int d;

	switch (g->state) {
	case GDB_BODY:
		if (byte == '#') {
			g->state = GDB_SUM1;
			return GDB_NOTHING;
		}
		if (byte == '$') /* the one before was cut short */
			return idle(g, byte);
		g->sum = (uint8_t)(g->sum + byte);
		if (byte == ESCAPE)
			g->state = GDB_ESCAPE;
		else
			keep(g, byte);
		return GDB_NOTHING;
	case GDB_ESCAPE:
		g->sum = (uint8_t)(g->sum + byte);
		keep(g, byte ^ ESCAPED);
		g->state = GDB_BODY;
		return GDB_NOTHING;
	case GDB_SUM1:
		d = hex(byte);
		g->sum_told = (uint8_t)((d & 0xf) << 4);
		g->state = GDB_SUM2;
		return d < 0 ? end(g, -1) : GDB_NOTHING;
	case GDB_SUM2:
		return end(g, hex(byte));
	default:
		return idle(g, byte);
	}
}

size_t gdb_frame(const struct gdb *g, char out[GDB_FRAME_MAX])
{
	uint8_t sum = 0;
	size_t n = 0;

	out[n++] = '$';
	for (size_t i = 0; i < g->reply_len; i++) {
		char c = g->reply[i];

		if (c == '$' || c == '#' || c == '}' || c == '*') {
			out[n++] = (char)ESCAPE;
			sum = (uint8_t)(sum + ESCAPE);
			c ^= ESCAPED;
		}
		out[n++] = c;
		sum = (uint8_t)(sum + (uint8_t)c);
	}
	out[n++] = '#';
	out[n++] = digit[sum >> 4];
	out[n++] = digit[sum & 0xf];
	return n;
}

void gdb_say(struct gdb *g, const char *fmt, ...)
{
	size_t room = sizeof(g->reply) - g->reply_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(g->reply + g->reply_len, room, fmt, ap);
	va_end(ap);
	g->reply_len += MIN((size_t)MAX(n, 0), room - 1);
	g->replied = true;
}

void gdb_say_hex(struct gdb *g, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len && g->reply_len + 2 <= GDB_PACKET_MAX; i++) {
		g->reply[g->reply_len++] = digit[b[i] >> 4];
		g->reply[g->reply_len++] = digit[b[i] & 0xf];
	}
	g->replied = true;
}

bool gdb_number(const char **at, uint64_t *v)
{
	unsigned n = 0;
	int d;

	for (*v = 0; (d = hex((uint8_t) * *at)) >= 0; n++, (*at)++)
		*v = *v << 4 | (unsigned)d;
	return n && n <= 16;
}

bool gdb_bytes(const char *from, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int high = hex((uint8_t)from[2 * i]);
		int low = high < 0 ? -1 : hex((uint8_t)from[2 * i + 1]);

		if (low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool gdb_thread(struct gdb *g, const char **at, unsigned *thread)
{
	uint64_t n;

	if (!strncmp(*at, "-1", 2)) {
		*at += 2;
		*thread = g->thread;
		return true;
	}
	if (!gdb_number(at, &n) || n > g->target->threads)
		return false;
	*thread = n ? (unsigned)n - 1 : g->thread;
	return true;
}
