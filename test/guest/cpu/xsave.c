/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x87, SSE and AVX registers are the guest's own: across exits, and ("move")
 * across a change of host, with the debug registers, MSRs and device registers
 * that travel as well. "move" says that it is ready and waits for a byte.
 */
#include "rt.h"
#include "vectors.h"

static struct vectors in, out;

static void fill(void)
{
	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 0; k < 4; k++)
			in.ymm[i][k] = 0x0101010101010101 * (i + 1) ^ (uint64_t)k << 60;
	for (unsigned i = 0; i < 8; i++)
		in.x87[i] = 0x3ff0000000000000 + ((uint64_t)i << 49); /* 1.0 and more */
	in.mxcsr = 0x7f80;
	in.rflags = 2;
	in.avx = 0;
	if ((cpuid(1, 0).c >> 26 & 1) && (cpuid(1, 0).c >> 28 & 1)) {
		write_cr4(read_cr4() | BIT(18));
		__asm__ volatile("xsetbv" ::"c"(0), "a"(7), "d"(0));
		in.avx = 1;
	}
}

static unsigned differs(const uint64_t *a, const uint64_t *b, unsigned n)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < n; i++)
		bad += a[i] != b[i];
	return bad;
}

static void compare(const char *sse, const char *avx, const char *x87, const char *mxcsr)
{
	unsigned low = 0, high = 0;

	for (unsigned i = 0; i < 16; i++) {
		low += differs(in.ymm[i], out.ymm[i], 2);
		high += differs(in.ymm[i] + 2, out.ymm[i] + 2, 2);
	}
	check(!low, sse, "%u words differ", (uint64_t)low);
	if (in.avx)
		check(!high, avx, "%u words differ", (uint64_t)high);
	else
		skip(avx, "not shown");
	check(!differs(in.x87, out.x87, 8), x87, "%u registers differ",
	      (uint64_t)differs(in.x87, out.x87, 8));
	check(in.mxcsr == out.mxcsr, mxcsr, "%x", (uint64_t)out.mxcsr);
}

void group_xsave(void)
{
	fill();
	vectors_keep(&in, &out, DO_EXITS);
	compare("exits-sse", "exits-avx", "exits-x87", "exits-mxcsr");
	if (!in.avx)
		return;
	check(cpuid(0xd, 0).b >= 832, "xsave-size", "%u bytes for AVX", (uint64_t)cpuid(0xd, 0).b);
	__asm__ volatile("xsetbv" ::"c"(0), "a"(3), "d"(0));
	check(cpuid(0xd, 0).b == 576, "xsave-size-sse", "%u bytes without",
	      (uint64_t)cpuid(0xd, 0).b);
	RAISES("ud-avx-off", 6, 0, "vxorps %%ymm0, %%ymm0, %%ymm0", :);
}

/* ---- move ---- */

static const struct {
	const char *name;
	uint32_t msr;
	uint64_t value;
} kept[] = {
	{ "move-star", 0xc0000081, 0x0023001000000000 },
	{ "move-lstar", 0xc0000082, 0xffffffff81234560 },
	{ "move-sfmask", 0xc0000084, 0x47700 },
	{ "move-kernel-gs", 0xc0000102, 0xffff888012345000 },
	{ "move-gs", 0xc0000101, 0x123456789000 },
	{ "move-sysenter", 0x176, 0xffffffff81000010 },
	{ "move-pat", 0x277, 0x0001040500070406 },
	{ "move-mtrr", 0x200, 0xc0000001 },
};

static volatile unsigned ticks;

static void on_tick(struct frame *f)
{
	(void)f;
	ticks++;
	apic_eoi();
}

static void before(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
		wrmsr(kept[i].msr, kept[i].value);
	write_dr0(0x1000);
	write_dr1(0x2000);
	write_dr2(0x3000);
	write_dr3(0x4000);
	write_cr2(0x5005);
	outl(0xe0, 0xdeadbeef);
	*(volatile uint32_t *)0xff000100 = 0xfeedface;
	on_vector[0x71] = on_tick;
	apic_write(APIC_TIMER_DIV, 0xb);
	apic_write(APIC_LVT_TIMER, 0x71 | 0x20000);
	apic_write(APIC_TIMER_INIT, 50000000);
}

static void after(uint64_t tsc)
{
	uint64_t now = rdtsc();

	for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
		check(rdmsr(kept[i].msr) == kept[i].value, kept[i].name, "%x", rdmsr(kept[i].msr));
	check(read_dr0() == 0x1000 && read_dr1() == 0x2000 && read_dr2() == 0x3000 &&
		      read_dr3() == 0x4000,
	      "move-debug", "%x %x %x %x", read_dr0(), read_dr1(), read_dr2(), read_dr3());
	check(read_cr2() == 0x5005, "move-cr2", "%x", read_cr2());
	check(inl(0xe0) == 0xdeadbeef, "move-latch", "%x", (uint64_t)inl(0xe0));
	check(*(volatile uint32_t *)0xff000100 == 0xfeedface, "move-registers", "%x",
	      (uint64_t) * (volatile uint32_t *)0xff000100);
	check(now > tsc, "move-tsc", "%u before, %u after", tsc, now);
	ticks = 0;
	while (ticks < 2)
		wait_irq();
	irqs_off();
	apic_write(APIC_TIMER_INIT, 0);
	check(ticks >= 2, "move-timer", "%u ticks", (uint64_t)ticks);
}

void group_move(void)
{
	uint64_t tsc;

	fill();
	before();
	tsc = rdtsc();
	say("ready\n");
	vectors_keep(&in, &out, WAIT_BYTE);
	(void)typed();
	after(tsc);
	compare("move-sse", "move-avx", "move-x87", "move-mxcsr");
}
