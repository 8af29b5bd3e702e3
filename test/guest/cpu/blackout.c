/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers whose time comes while the VM stands still: "blackout", for a VM made with
 * --hyperv, which tells the TSC's frequency. A TSC deadline five seconds ahead and the
 * PIT at 100 Hz are set; the payload says that it is ready and looks at its TSC until a
 * byte comes. The longest time without a look is the blackout, in which the deadline was.
 */
#include "rt.h"

#define DEADLINE_VECTOR 0x72
#define PIC_VECTOR 0x20
#define DEADLINE_MSR 0x6e0
#define TSC_FREQUENCY 0x40000022
#define DEADLINE_MODE 0x40000u
#define MASKED 0x10000u
#define LINT0 0x35
#define EXT_INT 0x700u
#define PIT_COUNT 11932 /* 10 ms */
#define PM_TIMER 0x608
#define PM_HZ 3579545u
#define PM_MASK 0xffffffu
#define NOTED 4096

static volatile unsigned fired, ticks;
static volatile uint64_t fired_at, tick_at[NOTED];

static void on_deadline(struct frame *f)
{
	(void)f;
	fired_at = rdtsc();
	fired++;
	apic_eoi();
}

static void on_tick(struct frame *f)
{
	(void)f;
	tick_at[ticks % NOTED] = rdtsc();
	ticks++;
	outb(0x20, 0x20);
}

static void start_pit(void)
{
	on_vector[PIC_VECTOR] = on_tick;
	outb(0x20, 0x11);
	outb(0x21, PIC_VECTOR);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0x21, 0xfe); /* line 0 alone */
	apic_write(LINT0, EXT_INT);
	outb(0x43, 0x34); /* channel 0, rate generator */
	outb(0x40, PIT_COUNT & 0xff);
	outb(0x40, PIT_COUNT >> 8);
}

/* Ticks from the blackout's beginning to a period and a half after its end. */
static unsigned ticks_after(uint64_t from, uint64_t to)
{
	unsigned n = 0, noted = ticks < NOTED ? ticks : NOTED;

	for (unsigned i = 0; i < noted; i++)
		n += tick_at[i] > from && tick_at[i] <= to;
	return n;
}

/* The time without a look goes to *from and *to. */
static void look_at_clock(uint64_t *from, uint64_t *to)
{
	uint64_t last = rdtsc(), now;

	*from = *to = last;
	while (!typed()) {
		now = rdtsc();
		if (now - last > *to - *from) {
			*from = last;
			*to = now;
		}
		last = now;
	}
}

void group_blackout(void)
{
	uint64_t hz = rdmsr(TSC_FREQUENCY), start, when, from, to, want;
	uint32_t pm, off;
	unsigned n;

	on_vector[DEADLINE_VECTOR] = on_deadline;
	start_pit();
	apic_write(APIC_LVT_TIMER, DEADLINE_VECTOR | DEADLINE_MODE);
	__asm__ volatile("mfence" ::: "memory");
	pm = inl(PM_TIMER);
	start = rdtsc();
	when = start + 5 * hz;
	wrmsr(DEADLINE_MSR, when);
	say("ready\n");
	irqs_on();
	look_at_clock(&from, &to);
	check(from < when && when < to, "blackout-in", "deadline %u, away from %u to %u", when,
	      from, to);
	check(fired == 1 && fired_at >= when, "blackout-deadline", "%u times, at %u",
	      (uint64_t)fired, fired_at);
	n = ticks_after(from, to + hz * 15 / 1000);
	check(n >= 1 && n <= 3, "blackout-pit", "%u ticks at once after %u ms", (uint64_t)n,
	      (to - from) / (hz / 1000));
	n = ticks;
	while (ticks < n + 3)
		wait_irq();
	irqs_off();
	check(fired == 1, "blackout-once", "%u times", (uint64_t)fired);
	want = (rdtsc() - start) / (hz / 1000) * PM_HZ / 1000;
	off = (uint32_t)(inl(PM_TIMER) - pm - want + PM_HZ / 10) & PM_MASK;
	check(off < PM_HZ / 5, "blackout-pm-timer", "%u ticks off, less a tenth of a second",
	      (uint64_t)off);
	apic_write(LINT0, MASKED);
	apic_write(APIC_LVT_TIMER, MASKED);
}
