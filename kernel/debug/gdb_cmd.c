/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands of the remote protocol (gdb.h): registers, memory, breakpoints, threads. An
 * unknown one gets the empty reply, which says so. [GDB manual, "Packets"]
 */
#include <string.h>

#include "gdb.h"

/* Errors have a number that gdb shows and does not read. */
static void fail(struct gdb *g)
{
	gdb_say(g, "E14");
}

static void ok_or_fail(struct gdb *g, int err)
{
	if (err)
		fail(g);
	else
		gdb_say(g, "OK");
}

void gdb_stopped(struct gdb *g, unsigned thread, unsigned signal, bool at_break)
{
	g->thread = thread;
	g->reply_len = 0;
	gdb_say(g, "T%02x%sthread:%x;", signal, at_break ? "swbreak:;" : "", thread + 1);
}

static void all_registers(struct gdb *g, bool write)
{
	uint8_t regs[GDB_REGS_BYTES];
	const struct gdb_target *t = g->target;

	if (write) {
		if (g->len - 1 != 2 * sizeof(regs) || !gdb_bytes(g->packet + 1, regs, sizeof(regs)))
			fail(g);
		else
			ok_or_fail(g, t->write_regs(t->arg, g->thread, regs));
	} else if (t->read_regs(t->arg, g->thread, regs)) {
		fail(g);
	} else {
		gdb_say_hex(g, regs, sizeof(regs));
	}
}

/* p N, P N=VALUE */
static void one_register(struct gdb *g, bool write)
{
	const struct gdb_target *t = g->target;
	const char *at = g->packet + 1;
	uint8_t regs[GDB_REGS_BYTES];
	unsigned place, bytes;
	uint64_t n;

	if (!gdb_number(&at, &n) || n >= GDB_REGS_COUNT ||
	    !gdb_reg_place((unsigned)n, &place, &bytes) || t->read_regs(t->arg, g->thread, regs)) {
		fail(g);
		return;
	}
	if (!write)
		gdb_say_hex(g, regs + place, bytes);
	else if (*at != '=' || strlen(at + 1) != 2 * bytes ||
		 !gdb_bytes(at + 1, regs + place, bytes))
		fail(g);
	else
		ok_or_fail(g, t->write_regs(t->arg, g->thread, regs));
}

/* ADDR,LENGTH at *at; false: they are not there, or ask for too much. */
static bool range(const char **at, uint64_t *addr, size_t *len, char behind)
{
	uint64_t n;

	if (!gdb_number(at, addr) || *(*at)++ != ',' || !gdb_number(at, &n) || **at != behind ||
	    n > GDB_MEMORY_MAX || *addr + n < *addr)
		return false;
	*len = (size_t)n;
	*at += behind != '\0';
	return true;
}

/* What can be read of it: gdb asks for pages and takes less. */
static void read_memory(struct gdb *g)
{
	const struct gdb_target *t = g->target;
	uint8_t buf[GDB_MEMORY_MAX];
	const char *at = g->packet + 1;
	uint64_t addr;
	size_t len;

	if (!range(&at, &addr, &len, '\0'))
		len = 0;
	else if (t->read_memory(t->arg, g->thread, addr, buf, len)) {
		size_t page = PAGE_SIZE - (addr & PAGE_MASK);

		len = page < len && !t->read_memory(t->arg, g->thread, addr, buf, page) ? page : 0;
	}
	if (len)
		gdb_say_hex(g, buf, len);
	else
		fail(g);
}

/* M ADDR,LEN:HEX, X ADDR,LEN:BYTES; of no length: can it be done? */
static void write_memory(struct gdb *g, bool binary)
{
	const struct gdb_target *t = g->target;
	uint8_t buf[GDB_MEMORY_MAX];
	const char *at = g->packet + 1;
	uint64_t addr;
	size_t len, left;

	if (!range(&at, &addr, &len, ':')) {
		fail(g);
		return;
	}
	left = g->len - (size_t)(at - g->packet);
	if (binary && left == len)
		memcpy(buf, at, len);
	else if (binary || left != 2 * len || !gdb_bytes(at, buf, len)) {
		fail(g);
		return;
	}
	ok_or_fail(g, len ? t->write_memory(t->arg, g->thread, addr, buf, len) : 0);
}

/* Z0,ADDR,KIND and z0: software breakpoints. Others are not offered. */
static void breakpoint(struct gdb *g, bool on)
{
	const struct gdb_target *t = g->target;
	const char *at = g->packet + 3;
	uint64_t addr;

	if (g->packet[1] != '0' || g->packet[2] != ',') {
		g->replied = true;
		return;
	}
	if (!gdb_number(&at, &addr))
		fail(g);
	else
		ok_or_fail(g, t->set_break(t->arg, g->thread, addr, on));
}

/* Hg: whose registers and memory. Hc is vCont's business. */
static void choose_thread(struct gdb *g)
{
	const char *at = g->packet + 2;
	unsigned thread;

	if ((g->packet[1] != 'g' && g->packet[1] != 'c') || !gdb_thread(g, &at, &thread)) {
		fail(g);
		return;
	}
	if (g->packet[1] == 'g')
		g->thread = thread;
	gdb_say(g, "OK");
}

static void is_thread_alive(struct gdb *g)
{
	const char *at = g->packet + 1;
	unsigned thread;

	ok_or_fail(g, !gdb_thread(g, &at, &thread));
}

/* c and s take an address to go on from, which gdb does not use. */
static enum gdb_next resume(struct gdb *g, bool step)
{
	if (g->len > 1) {
		fail(g);
		return GDB_STAY;
	}
	g->stepped = g->thread;
	return step ? GDB_STEP : GDB_GO;
}

enum gdb_next gdb_command(struct gdb *g)
{
	g->reply_len = 0;
	g->replied = true;
	switch (g->packet[0]) {
	case '?':
		gdb_stopped(g, g->thread, GDB_SIGTRAP, false);
		break;
	case 'g':
	case 'G':
		all_registers(g, g->packet[0] == 'G');
		break;
	case 'p':
	case 'P':
		one_register(g, g->packet[0] == 'P');
		break;
	case 'm':
		read_memory(g);
		break;
	case 'M':
	case 'X':
		write_memory(g, g->packet[0] == 'X');
		break;
	case 'Z':
	case 'z':
		breakpoint(g, g->packet[0] == 'Z');
		break;
	case 'H':
		choose_thread(g);
		break;
	case 'T':
		is_thread_alive(g);
		break;
	case 'q':
	case 'Q':
		gdb_query(g);
		break;
	case 'v':
		return gdb_vcont(g);
	case 'c':
	case 's':
		return resume(g, g->packet[0] == 's');
	case 'D':
		gdb_say(g, "OK");
		return GDB_DETACH;
	case 'k': /* a debugger that is killed kills no VM */
		return GDB_END;
	default:
		break;
	}
	return GDB_STAY;
}
