/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A processor's state (state.h) is filled and held: registers, vector state, MSRs, its
 * local APIC with an interrupt in service and others waiting. At the end these come.
 *
 * Processors differ: odd ones have XCR0 without AVX, with a value still in the
 * registers' upper halves; every fourth waits in HLT.
 */
#include "state.h"
#include "state_cpu.h"

#define IN_SERVICE 0x61 /* never ended until the end */
#define BELOW 0x51	/* waits for that */
#define ABOVE 0xa1	/* waits for interrupts to be on */
#define WAKE 0xb1
#define APIC_LVT_PERF 0x34
#define APIC_LVT_LINT1 0x36
#define MSR_DEADLINE 0x6e0
#define MSR_EFER 0xc0000080
#define LVT_MASKED 0x10000u
#define LVT_DEADLINE 0x40000u

struct cpu cpu_of[AP_MAX];

static volatile uint32_t watched;
static volatile unsigned watches;

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

/* ---- hold ---- */

void state_cpu_hold(unsigned cpu, const volatile uint32_t *word)
{
	struct cpu *s = &cpu_of[cpu];

	s->woken = 0;
	s->in.word = halts(cpu) ? &s->woken : word;
	vectors_keep(&s->in, &s->out, !word ? WAIT_BYTE : halts(cpu) ? WAIT_HALT : WAIT_WORD);
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
	write_cr8(0);
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
