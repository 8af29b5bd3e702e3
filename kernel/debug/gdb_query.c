/* SPDX-License-Identifier: BSD-2-Clause */
/* Queries and vCont of the remote protocol (gdb.h). [GDB manual, "General Query Packets"] */
#include <string.h>

#include "gdb.h"

#define XML_ROOM 6144u

static bool begins(const struct gdb *g, const char *word)
{
	return !strncmp(g->packet, word, strlen(word));
}

static void supported(struct gdb *g)
{
	gdb_say(g, "PacketSize=%x;swbreak+;qXfer:features:read+;QStartNoAckMode+;vContSupported+",
		GDB_PACKET_MAX);
}

/* qXfer:features:read:target.xml:OFFSET,LENGTH */
static void description(struct gdb *g)
{
	static const char head[] = "qXfer:features:read:target.xml:";
	const char *at = g->packet + sizeof(head) - 1;
	char xml[XML_ROOM];
	size_t size = gdb_target_xml(xml, sizeof(xml)), n;
	uint64_t from, len;

	if (!begins(g, head) || !gdb_number(&at, &from) || *at++ != ',' || !gdb_number(&at, &len) ||
	    from > size) {
		gdb_say(g, "E00");
		return;
	}
	n = MIN(MIN((size_t)len, size - (size_t)from), GDB_PACKET_MAX - 1);
	g->reply[g->reply_len++] = from + n < size ? 'm' : 'l';
	memcpy(g->reply + g->reply_len, xml + from, n);
	g->reply_len += n;
}

static void thread_list(struct gdb *g)
{
	for (unsigned i = 0; i < g->target->threads; i++)
		gdb_say(g, "%c%x", i ? ',' : 'm', i + 1);
}

static void thread_name(struct gdb *g)
{
	const char *at = g->packet + strlen("qThreadExtraInfo,");
	char text[16] = "vCPU ";
	unsigned thread, n = 5;

	if (!gdb_thread(g, &at, &thread)) {
		gdb_say(g, "E01");
		return;
	}
	if (thread > 9)
		text[n++] = (char)('0' + thread / 10);
	text[n++] = (char)('0' + thread % 10);
	gdb_say_hex(g, text, n);
}

void gdb_query(struct gdb *g)
{
	if (begins(g, "qSupported"))
		supported(g);
	else if (begins(g, "qXfer:features:read:"))
		description(g);
	else if (begins(g, "qfThreadInfo"))
		thread_list(g);
	else if (begins(g, "qsThreadInfo"))
		gdb_say(g, "l");
	else if (begins(g, "qThreadExtraInfo,"))
		thread_name(g);
	else if (!strcmp(g->packet, "qC"))
		gdb_say(g, "QC%x", g->thread + 1);
	else if (begins(g, "qAttached"))
		gdb_say(g, "1");
	else if (!strcmp(g->packet, "QStartNoAckMode")) {
		g->no_ack = true;
		gdb_say(g, "OK");
	}
}

/* vCont;ACTION[:THREAD]...: a step of one, or all go. The first step counts: it is one vCPU's. */
enum gdb_next gdb_vcont(struct gdb *g)
{
	enum gdb_next next = GDB_STAY;
	const char *at;

	if (!strcmp(g->packet, "vCont?")) {
		gdb_say(g, "vCont;c;C;s;S");
		return GDB_STAY;
	}
	if (!begins(g, "vCont;"))
		return GDB_STAY;
	for (at = g->packet + 5; *at == ';';) {
		char action = at[1] | 0x20;
		bool with_signal = at[1] == 'C' || at[1] == 'S';
		unsigned thread = g->thread;
		uint64_t ignored;

		at += at[1] ? 2 : 1;
		if ((action != 'c' && action != 's') ||
		    (with_signal && !gdb_number(&at, &ignored)) ||
		    (*at == ':' && (at++, !gdb_thread(g, &at, &thread)))) {
			gdb_say(g, "E01");
			return GDB_STAY;
		}
		if (action == 's' && next != GDB_STEP) {
			g->stepped = thread;
			next = GDB_STEP;
		} else if (next == GDB_STAY) {
			next = GDB_GO;
		}
	}
	if (*at || next == GDB_STAY) {
		gdb_say(g, "E01");
		return GDB_STAY;
	}
	return next;
}
