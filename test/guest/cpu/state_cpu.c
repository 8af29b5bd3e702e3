/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A processor's state (state.h): registers, vector state, MSRs, its local APIC with an
 * interrupt in service and others waiting, its clocks.
 *
 * Processors differ: odd ones have XCR0 without AVX, with a value still in the
 * registers' upper halves; every fourth waits in HLT.
 */
#include "msrs.h"
#include "rt.h"
#include "state.h"
#include "vectors.h"

#define IN_SERVICE 0x61 /* never ended until the end */
#define BELOW 0x51	/* waits for that */
#define ABOVE 0xa1	/* waits for interrupts to be on */
#define WAKE 0xb1
#define APIC_REGS 0x40
#define APIC_LVT_PERF 0x34
#define APIC_LVT_LINT1 0x36
#define MSR_TSC 0x10
#define MSR_DEADLINE 0x6e0
#define MSR_EFER 0xc0000080
#define MSR_APIC_FIRST 0x800
#define MSR_APIC_LAST 0x8ff
#define LVT_MASKED 0x10000u
#define LVT_DEADLINE 0x40000u
#define XSAVE_HEADER 512
#define XSAVE_MAX 4096

enum { CR0, CR2, CR3, CR4, CR8, DR0, DR1, DR2, DR3, DR6, DR7, SELECTORS, GDTR, IDTR, TR, WORDS };
static const char *const word_name[WORDS] = {
	"cr0", "cr2", "cr3", "cr4",	  "cr8",  "dr0",  "dr1", "dr2",
	"dr3", "dr6", "dr7", "selectors", "gdtr", "idtr", "tr",
};

static struct cpu {
	struct vectors in, out;
	uint64_t word[WORDS], xcr0, xinuse, msr[MSRS_MAX], tsc;
	uint32_t apic[APIC_REGS], pkru;
	uint32_t xsave_size;
	uint8_t xsave[XSAVE_MAX] __attribute__((aligned(64)));
	uint8_t xsavec[XSAVE_MAX] __attribute__((aligned(64)));
	volatile uint32_t woken;
	volatile unsigned above, below, early;
} cpu_of[AP_MAX];

static volatile uint32_t watched;
static volatile unsigned watches;

static bool has(unsigned leaf, unsigned sub, unsigned reg, unsigned bit)
{
	struct cpuid r = cpuid(leaf, sub);
	const uint32_t word[4] = { r.a, r.b, r.c, r.d };

	return leaf <= cpuid(leaf & 0x80000000, 0).a && (word[reg] >> bit & 1);
}

static bool has_xsave(void)
{
	return has(1, 0, 2, 26);
}

/* All components: what is in them stays when XCR0 is made narrower. */
static uint64_t xcr0_wide(void)
{
	return cpuid(0xd, 0).a;
}

static uint64_t xcr0_of(unsigned cpu)
{
	return cpu & 1 ? xcr0_wide() & 3 : xcr0_wide();
}

/* ---- fill ---- */

static void fill_vectors(unsigned cpu)
{
	struct vectors *v = &cpu_of[cpu].in;

	for (unsigned i = 0; i < 16; i++)
		for (unsigned k = 0; k < 4; k++)
			v->ymm[i][k] = pattern(cpu, 0x100 + 4 * i + k);
	for (unsigned i = 0; i < 8; i++)
		v->x87[i] = 0x3ff0000000000000 | pattern(cpu, 0x180 + i) >> 12;
	for (unsigned i = 0; i < KEPT_GPRS; i++)
		v->gpr[i] = pattern(cpu, 0x190 + i);
	v->mxcsr = 0x1f80 | ((cpu + (uint32_t)salt) & 3) << 13;
	v->rflags = 2 | BIT(18) | (cpu & 1 ? BIT(10) | BIT(21) : 0); /* AC, DF, ID */
	v->avx = 0;
	if (!has_xsave())
		return;
	write_cr4(read_cr4() | BIT(18));
	xsetbv(xcr0_wide());
	v->avx = (xcr0_wide() & 4) != 0;
	vectors_keep(v, &cpu_of[cpu].out, DO_EXITS);
	if (xcr0_wide() & BIT(9)) {
		write_cr4(read_cr4() | BIT(22));
		__asm__ volatile("wrpkru" ::"a"((uint32_t)pattern(cpu, 0x1a0)), "c"(0), "d"(0));
	}
	xsetbv(xcr0_of(cpu));
	v->avx = v->avx && (xcr0_of(cpu) & 4);
}

static bool is_apic(uint32_t msr)
{
	return msr >= MSR_APIC_FIRST && msr <= MSR_APIC_LAST;
}

/* Each keeps its two outermost changed bits, or what it takes of these. */
static void fill_msrs(unsigned cpu)
{
	for (unsigned i = 0; i < nr_msrs; i++) {
		uint64_t bits = msrs[i].bits, v, low, high;

		if (!bits || msrs[i].index == MSR_EFER || is_apic(msrs[i].index))
			continue;
		for (unsigned n = cpu + (unsigned)salt - 1; n && bits & (bits - 1); n--)
			bits &= bits - 1;
		low = bits & -bits;
		for (bits = msrs[i].bits; bits & (bits - 1); bits &= bits - 1)
			;
		high = bits;
		v = rdmsr(msrs[i].index);
		if (cpu) /* a trap is the first processor's alone: one bit is known to be good */
			wrmsr(msrs[i].index, v ^ low);
		else if (!msr_try_write(msrs[i].index, v ^ (low | high)))
			wrmsr(msrs[i].index, v ^ low);
	}
}

static void fill_controls(unsigned cpu)
{
	__asm__ volatile("mov %0, %%fs; mov %1, %%gs" ::"r"((uint32_t)SEL_DATA),
			 "r"(cpu & 1 ? (uint32_t)SEL_USER_DATA : 0u));
	write_cr0(read_cr0() | BIT(5) | (cpu & 1 ? 0 : BIT(18)));
	write_cr4(read_cr4() | BIT(3) | (cpu & 1 ? BIT(7) : BIT(8)) |
		  (has(7, 0, 1, 0) ? BIT(16) : 0));
	write_cr3(read_cr3() | (cpu & 1 ? 8 : 0x10));
	write_cr2(pattern(cpu, 1));
	write_cr8(1 + cpu % 3);
	write_dr0((uint64_t)&watched);
	write_dr1(pattern(cpu, 2) >> 17);
	write_dr2(~(pattern(cpu, 3) >> 17));
	write_dr3(pattern(cpu, 4) >> 17);
	write_dr6(0xffff0ff0 | BIT(1 + cpu % 3));
	/* DR0: writes of four bytes; DR3: reads and writes of eight, not on. Not armed in QEMU 7.2:
	 * VMRUN loads DR7 and lets its list of watchpoints be, until it crashes over one. */
	write_dr7(0x400 | (cpu || on_tcg() ? 0u : 1u) | 0xdull << 16 | 0xbull << 28);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | (cpu & 1));
	wrmsr(MSR_TSC, rdtsc() + ((uint64_t)cpu << 40));
}

static void on_below(struct frame *f)
{
	(void)f;
	cpu_of[apic_id()].below++;
	apic_eoi();
}

static void on_above(struct frame *f)
{
	(void)f;
	cpu_of[apic_id()].above++;
	apic_eoi();
}

static void on_served(struct frame *f)
{
	(void)f;
}

static void on_wake(struct frame *f)
{
	(void)f;
	cpu_of[apic_id()].woken = 1;
	apic_eoi();
}

/* Its word is written by the interrupt that wakes it: none is left over afterwards. */
static bool halts(unsigned cpu)
{
	return cpu % 4 == 2;
}

void state_cpu_release(unsigned cpu)
{
	if (halts(cpu))
		apic_ipi(cpu, ICR_FIXED | WAKE);
}

static void fill_apic(unsigned cpu)
{
	apic_write(APIC_TIMER_DIV, cpu & 1 ? 0xa : 0x9); /* by 128, by 64 */
	apic_write(APIC_LVT_PERF, LVT_MASKED | (0x40 + cpu));
	apic_write(APIC_LVT_LINT1, LVT_MASKED | 0x400);
	if (cpu & 1 && has(1, 0, 2, 24)) {
		apic_write(APIC_LVT_TIMER, LVT_DEADLINE | 0x71);
		__asm__ volatile("mfence");
		wrmsr(MSR_DEADLINE, rdtsc() + (1ull << 44));
	} else {
		apic_write(APIC_LVT_TIMER, LVT_MASKED | 0x71);
		apic_write(APIC_TIMER_INIT, 0xfffffff0);
	}
	on_vector[IN_SERVICE] = on_served;
	on_vector[BELOW] = on_below;
	on_vector[ABOVE] = on_above;
	on_vector[WAKE] = on_wake;
	apic_ipi(apic_id(), ICR_FIXED | IN_SERVICE);
	irqs_on();
	irqs_off();
	apic_ipi(apic_id(), ICR_FIXED | BELOW);
	if (!halts(cpu))
		apic_ipi(apic_id(), ICR_FIXED | ABOVE);
}

static void on_watch(struct frame *f)
{
	(void)f;
	watches++;
}

void state_cpu_fill(unsigned cpu)
{
	on_vector[1] = on_watch;
	fill_vectors(cpu);
	fill_msrs(cpu);
	fill_controls(cpu);
	fill_apic(cpu);
	if (!cpu) {
		watched = 1; /* fires, if it does, once before and once after */
		write_dr6(0xffff0ff0 | BIT(2));
	}
}

/* ---- hold and look ---- */

void state_cpu_hold(unsigned cpu, const volatile uint32_t *word)
{
	struct cpu *s = &cpu_of[cpu];

	s->woken = 0;
	s->in.word = halts(cpu) ? &s->woken : word;
	vectors_keep(&s->in, &s->out, !word ? WAIT_BYTE : halts(cpu) ? WAIT_HALT : WAIT_WORD);
}

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void look_tables(struct cpu *s)
{
	struct table_register t;
	uint16_t sel[8];

	__asm__ volatile("sgdt %0" : "=m"(t));
	s->word[GDTR] = t.base << 16 | t.limit;
	__asm__ volatile("sidt %0" : "=m"(t));
	s->word[IDTR] = t.base << 16 | t.limit;
	__asm__ volatile("mov %%es, %0; mov %%cs, %1; mov %%ss, %2; mov %%ds, %3"
			 : "=m"(sel[0]), "=m"(sel[1]), "=m"(sel[2]), "=m"(sel[3]));
	__asm__ volatile("mov %%fs, %0; mov %%gs, %1; sldt %2; str %3"
			 : "=m"(sel[4]), "=m"(sel[5]), "=m"(sel[6]), "=m"(sel[7]));
	s->word[SELECTORS] = 0;
	for (unsigned i = 0; i < 7; i++)
		s->word[SELECTORS] = s->word[SELECTORS] << 8 | sel[i];
	s->word[TR] = sel[7];
}

static void look_controls(struct cpu *s)
{
	s->word[CR0] = read_cr0();
	s->word[CR2] = read_cr2();
	s->word[CR3] = read_cr3();
	s->word[CR4] = read_cr4();
	s->word[CR8] = read_cr8();
	s->word[DR0] = read_dr0();
	s->word[DR1] = read_dr1();
	s->word[DR2] = read_dr2();
	s->word[DR3] = read_dr3();
	s->word[DR6] = read_dr6();
	s->word[DR7] = read_dr7();
}

/* The whole vector state, in both formats, as it lies in memory. */
static void look_xsave(struct cpu *s)
{
	uint64_t wide = xcr0_wide();

	if (!has_xsave())
		return;
	s->xcr0 = xgetbv(0);
	xsetbv(wide);
	s->xsave_size = cpuid(0xd, 0).b;
	__asm__ volatile("xsave64 %0" : "+m"(s->xsave) : "a"(~0u), "d"(~0u));
	if (has(0xd, 1, 0, 1))
		__asm__ volatile("xsavec64 %0" : "+m"(s->xsavec) : "a"(~0u), "d"(~0u));
	if (has(0xd, 1, 0, 2))
		s->xinuse = xgetbv(1);
	xsetbv(s->xcr0);
}

void state_cpu_look(unsigned cpu)
{
	struct cpu *s = &cpu_of[cpu];

	look_xsave(s);
	look_controls(s);
	look_tables(s);
	for (unsigned i = 0; i < nr_msrs; i++)
		s->msr[i] = is_apic(msrs[i].index) ? 0 : rdmsr(msrs[i].index);
	for (unsigned i = APIC_ID; i < APIC_REGS; i++)
		s->apic[i] = i == APIC_EOI ? 0 : apic_try_read(i);
	s->tsc = rdtsc();
}

/* ---- say ---- */

static void say_words(unsigned cpu, const char *what, const uint64_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		say("v cpu%u.%s%u %x\n", (uint64_t)cpu, what, (uint64_t)i, v[i]);
}

static void say_xsave(unsigned cpu, const char *what, const uint8_t *area, unsigned size)
{
	for (unsigned i = 0; i + 8 <= size; i += 8) {
		uint64_t v = *(const uint64_t *)(const void *)(area + i);

		if (v)
			say("v cpu%u.%s.%x %x\n", (uint64_t)cpu, what, (uint64_t)i, v);
	}
}

static void say_msrs(unsigned cpu)
{
	for (unsigned i = 0; i < nr_msrs; i++) {
		uint32_t m = msrs[i].index;

		if (m == MSR_TSC || is_apic(m))
			continue;
		say("v cpu%u.msr.%x %x\n", (uint64_t)cpu, (uint64_t)m, cpu_of[cpu].msr[i]);
	}
}

void state_cpu_say(unsigned cpu)
{
	const struct cpu *s = &cpu_of[cpu];

	for (unsigned i = 0; i < WORDS; i++)
		say("v cpu%u.%s %x\n", (uint64_t)cpu, word_name[i], s->word[i]);
	say_words(cpu, "gpr", s->out.gpr, KEPT_GPRS);
	say("v cpu%u.rflags %x\n", (uint64_t)cpu, s->out.rflags & ~0x8d5ull);
	say_words(cpu, "st", s->out.x87, 8);
	say("v cpu%u.xmm %x\n", (uint64_t)cpu, s->out.ymm[15][1]);
	say("v cpu%u.mxcsr %x\n", (uint64_t)cpu, (uint64_t)s->out.mxcsr);
	say("v cpu%u.xcr0 %x\n", (uint64_t)cpu, s->xcr0);
	say("v cpu%u.xinuse %x\n", (uint64_t)cpu, s->xinuse);
	say_xsave(cpu, "xsave", s->xsave, s->xsave_size);
	say_xsave(cpu, "xsavec", s->xsavec + XSAVE_HEADER, 64);
	say_msrs(cpu);
	for (unsigned i = APIC_ID; i < APIC_REGS; i++)
		if (i != APIC_TIMER_NOW && s->apic[i])
			say("v cpu%u.apic.%x %x\n", (uint64_t)cpu, (uint64_t)i,
			    (uint64_t)s->apic[i]);
	say("c cpu%u.tsc %u\n", (uint64_t)cpu, s->tsc);
	if (s->apic[APIC_TIMER_NOW])
		say("c cpu%u.timer %u\n", (uint64_t)cpu, (uint64_t)s->apic[APIC_TIMER_NOW]);
}

/* ---- end ---- */

void state_watch_end(void)
{
	if (on_tcg()) {
		skip("state-watch", "the emulator does not look at DR7 in guests");
		return;
	}
	watched = 2;
	check(watches == 2, "state-watch", "it fired %u times", (uint64_t)watches);
}

void state_cpu_end(unsigned cpu)
{
	struct cpu *s = &cpu_of[cpu];

	write_dr7(0x400);
	/* Not by CR8: QEMU 7.2 aborts over that while a virtual interrupt waits. */
	apic_write(APIC_TPR, 0);
	irqs_on();
	irqs_off();
	s->early = s->below;
	apic_eoi();
	irqs_on();
	irqs_off();
}

void state_cpu_check(unsigned cpu)
{
	const struct cpu *s = &cpu_of[cpu];

	check(s->above == !halts(cpu) && !s->early && s->below == 1, "state-waiting",
	      "processor %u: %u above, %u below, %u of them too early", (uint64_t)cpu,
	      (uint64_t)s->above, (uint64_t)s->below, (uint64_t)s->early);
}
