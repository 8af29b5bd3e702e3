/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The remote protocol without a host: packets whole, damaged, escaped; what each command
 * does and answers, by what GDB's manual shows; the target description against the
 * registers' places.
 */
// SOURCES: kernel/debug/gdb_packet.c kernel/debug/gdb_cmd.c kernel/debug/gdb_query.c
// SOURCES: kernel/debug/gdb_regs.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/debug/gdb.h"

#define BASE 0xffffffff81000000ull

static struct gdb g;
static struct virt_state cpu[2];
static uint8_t memory[8192]; /* at BASE */
static uint64_t breaks[4];
static unsigned nr_breaks;

static int read_regs(void *arg, unsigned thread, uint8_t regs[GDB_REGS_BYTES])
{
	gdb_regs_get(regs, &cpu[thread]);
	return 0;
}

static int write_regs(void *arg, unsigned thread, const uint8_t regs[GDB_REGS_BYTES])
{
	gdb_regs_set(&cpu[thread], regs);
	return 0;
}

static bool there(uint64_t at, size_t len)
{
	return at >= BASE && at - BASE <= sizeof(memory) && len <= sizeof(memory) - (at - BASE);
}

static int read_memory(void *arg, unsigned thread, uint64_t at, void *buf, size_t len)
{
	if (!there(at, len))
		return -14;
	memcpy(buf, memory + (at - BASE), len);
	return 0;
}

static int write_memory(void *arg, unsigned thread, uint64_t at, const void *buf, size_t len)
{
	if (!there(at, len))
		return -14;
	memcpy(memory + (at - BASE), buf, len);
	return 0;
}

static int set_break(void *arg, unsigned thread, uint64_t at, bool on)
{
	if (!there(at, 1))
		return -14;
	if (on)
		breaks[nr_breaks++] = at;
	else
		nr_breaks--;
	return 0;
}

static const struct gdb_target target = {
	.threads = 2,
	.read_regs = read_regs,
	.write_regs = write_regs,
	.read_memory = read_memory,
	.write_memory = write_memory,
	.set_break = set_break,
};

static int begin(void **state)
{
	gdb_init(&g, &target);
	memset(cpu, 0, sizeof(cpu));
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)i;
	nr_breaks = 0;
	return 0;
}

static enum gdb_event feed(const char *bytes, size_t len)
{
	enum gdb_event e = GDB_NOTHING;

	for (size_t i = 0; i < len; i++)
		e = gdb_feed(&g, (uint8_t)bytes[i]);
	return e;
}

/* One command, framed; what comes next. The reply is in g.reply, ended by a NUL. */
static enum gdb_next run(const char *text, size_t len)
{
	static char frame[GDB_FRAME_MAX];
	struct gdb out = { .reply_len = len };
	enum gdb_next next;

	memcpy(out.reply, text, len);
	assert_int_equal(feed(frame, gdb_frame(&out, frame)), GDB_PACKET);
	assert_int_equal(g.len, len);
	next = gdb_command(&g);
	g.reply[g.reply_len] = '\0';
	return next;
}

static void answers(const char *command, const char *reply)
{
	assert_int_equal(run(command, strlen(command)), GDB_STAY);
	assert_string_equal(g.reply, reply);
}

static void packets(void **state)
{
	char long_one[GDB_PACKET_MAX + 20];

	assert_int_equal(feed("+$qC#b4", 7), GDB_PACKET);
	assert_string_equal(g.packet, "qC");
	assert_int_equal(feed("$qC#b5", 6), GDB_DAMAGED);
	assert_int_equal(feed("$qC#z", 5), GDB_DAMAGED);
	assert_int_equal(feed("z\x03", 2), GDB_INTERRUPT);
	assert_int_equal(feed("$a\x03#64", 6), GDB_PACKET); /* within a packet it is a byte */
	assert_int_equal(feed("$cut$qC#b4", 10), GDB_PACKET);
	assert_int_equal(g.len, 2);
	memset(long_one, 'a', sizeof(long_one));
	long_one[0] = '$';
	(void)feed(long_one, sizeof(long_one));
	assert_int_equal(feed("#00", 3), GDB_DAMAGED);
	assert_int_equal(feed("$qC#b4", 6), GDB_PACKET);
}

static void escapes_both_ways(void **state)
{
	char frame[GDB_FRAME_MAX];

	g.reply_len = 0;
	gdb_say(&g, "a}#$*");
	assert_int_equal(gdb_frame(&g, frame), 13);
	assert_memory_equal(frame, "$a}]}\x03}\x04}\n#", 11);
	assert_int_equal(feed(frame, 13), GDB_PACKET);
	assert_string_equal(g.packet, "a}#$*");
}

static void registers(void **state)
{
	unsigned at, bytes, end = 0;
	char want[40];

	cpu[1].gpr[GPR_RBX] = 0x1122334455667788;
	cpu[1].rip = BASE + 0x10;
	cpu[1].rflags = 0x202;
	cpu[1].cr3 = 0x1000;
	for (unsigned i = 0; gdb_reg_place(i, &at, &bytes); i++) {
		assert_int_equal(at, end);
		end += bytes;
	}
	assert_int_equal(end, GDB_REGS_BYTES);
	answers("Hg2", "OK");
	answers("p1", "8877665544332211");
	answers("p10", "10000081ffffffff");
	answers("p11", "02020000");
	answers("p2c", "0010000000000000");
	answers("p30", "E14");
	answers("P1=0100000000000000", "OK");
	assert_int_equal(cpu[1].gpr[GPR_RBX], 1);
	answers("P2c=0020000000000000", "OK");
	assert_int_equal(cpu[1].cr3, 0x1000); /* control registers are shown, not written */
	answers("P1=01", "E14");
	answers("P1=0x00000000000000", "E14");
	assert_int_equal(run("g", 1), GDB_STAY);
	assert_int_equal(g.reply_len, 2 * GDB_REGS_BYTES);
	snprintf(want, sizeof(want), "%.16s", g.reply + 16);
	assert_string_equal(want, "0100000000000000");
	answers("G00", "E14");
}

static void memory_and_breakpoints(void **state)
{
	answers("mffffffff81000001,3", "010203");
	answers("mffffffff81001fff,2", "ff"); /* what there is of it */
	answers("m0,4", "E14");
	answers("mffffffff81000000,10000", "E14");
	answers("mffffffffffffffff,2", "E14");
	answers("m", "E14");
	answers("Mffffffff81000001,2:aabb", "OK");
	assert_int_equal(memory[2], 0xbb);
	answers("Mffffffff81000001,2:aab", "E14");
	assert_int_equal(run("Xffffffff81000004,2:#}", 22), GDB_STAY);
	assert_string_equal(g.reply, "OK");
	assert_memory_equal(memory + 4, "#}", 2);
	answers("Xffffffff81000004,0:", "OK");
	answers("Z0,ffffffff81000010,1", "OK");
	assert_int_equal(breaks[0], BASE + 0x10);
	answers("z0,ffffffff81000010,1", "OK");
	assert_int_equal(nr_breaks, 0);
	answers("Z0,10,1", "E14");
	answers("Z2,ffffffff81000010,8", ""); /* not offered: gdb steps instead */
}

static void threads(void **state)
{
	answers("qfThreadInfo", "m1,2");
	answers("qsThreadInfo", "l");
	answers("qC", "QC1");
	answers("Hg2", "OK");
	answers("qC", "QC2");
	answers("Hg0", "OK");
	answers("Hg3", "E14");
	answers("Hc-1", "OK");
	answers("T2", "OK");
	answers("T3", "E14");
	answers("qThreadExtraInfo,2", "764350552031");
}

static void goes_and_steps(void **state)
{
	answers("?", "T05thread:1;");
	gdb_stopped(&g, 1, GDB_SIGTRAP, true);
	g.reply[g.reply_len] = '\0';
	assert_string_equal(g.reply, "T05swbreak:;thread:2;");
	assert_int_equal(run("c", 1), GDB_GO);
	assert_int_equal(run("s", 1), GDB_STEP);
	assert_int_equal(g.stepped, 1);
	answers("vCont?", "vCont;c;C;s;S");
	assert_int_equal(run("vCont;c", 7), GDB_GO);
	assert_int_equal(run("vCont;s:1;c", 11), GDB_STEP);
	assert_int_equal(g.stepped, 0);
	assert_int_equal(run("vCont;c:2;s:1", 13), GDB_STEP);
	assert_int_equal(run("vCont;C05;c", 11), GDB_GO);
	answers("vCont;t", "E01");
	answers("vCont;", "E01");
	answers("vCont;s:9", "E01");
	answers("vMustReplyEmpty", "");
	assert_int_equal(run("D", 1), GDB_DETACH);
	assert_int_equal(run("k", 1), GDB_END);
}

static void description_is_whole(void **state)
{
	char xml[8192] = "";
	char command[80];
	unsigned count = 0;
	size_t n = 0;

	answers("qAttached", "1");
	do {
		snprintf(command, sizeof(command), "qXfer:features:read:target.xml:%zx,200", n);
		assert_int_equal(run(command, strlen(command)), GDB_STAY);
		assert_true(g.reply[0] == 'm' || g.reply[0] == 'l');
		assert_true(n + g.reply_len < sizeof(xml));
		memcpy(xml + n, g.reply + 1, g.reply_len - 1);
		n += g.reply_len - 1;
	} while (g.reply[0] == 'm');
	for (const char *at = xml; (at = strstr(at, "<reg ")); at++)
		count++;
	assert_int_equal(count, GDB_REGS_COUNT);
	assert_string_equal(xml + n - 9, "</target>");
	answers("qXfer:features:read:target.xml:ffff,10", "E00");
	assert_int_equal(run("qSupported:swbreak+", 19), GDB_STAY);
	assert_non_null(strstr(g.reply, "swbreak+"));
	answers("QStartNoAckMode", "OK");
	assert_true(g.no_ack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(packets, begin),
		cmocka_unit_test_setup(escapes_both_ways, begin),
		cmocka_unit_test_setup(registers, begin),
		cmocka_unit_test_setup(memory_and_breakpoints, begin),
		cmocka_unit_test_setup(threads, begin),
		cmocka_unit_test_setup(goes_and_steps, begin),
		cmocka_unit_test_setup(description_is_whole, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
