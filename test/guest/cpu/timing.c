/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks and timers: never backwards, never early, always at last. How late one
 * is depends on the machine's load: that is not checked.
 */
#include "rt.h"

#define VECTOR 0x71
#define PIC_VECTOR 0x20
#define DEADLINE_MSR 0x6e0
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u
#define MASKED 0x10000u
#define PM_TIMER 0x608

static volatile unsigned ticks;
static volatile uint64_t at;

static void on_tick(struct frame *f)
{
	(void)f;
	ticks++;
	at = rdtsc();
	apic_eoi();
}

static void on_pic(struct frame *f)
{
	(void)f;
	ticks++;
	outb(0x20, 0x20);
}

static void wait_ticks(unsigned n)
{
	irqs_off();
	while (ticks < n) {
		wait_irq();
		irqs_off();
	}
}

static void tsc(void)
{
	uint64_t last = rdtsc(), now;
	unsigned back = 0;

	for (unsigned i = 0; i < 100000; i++, last = now) {
		now = rdtsc();
		back += now < last;
	}
	check(!back, "tsc-forward", "went back %u times", (uint64_t)back);
	last = rdtsc();
	for (unsigned i = 0; i < 1000; i++, last = now) {
		(void)cpuid(0, 0); /* exits between the two */
		now = rdtsc();
		back += now < last;
	}
	check(!back, "tsc-exits", "went back %u times", (uint64_t)back);
}

static void one_shot(void)
{
	uint32_t left;

	ticks = 0;
	apic_write(APIC_TIMER_DIV, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, VECTOR);
	apic_write(APIC_TIMER_INIT, 1000000);
	left = apic_read(APIC_TIMER_NOW);
	check(left <= 1000000, "timer-counts", "%u left", (uint64_t)left);
	wait_ticks(1);
	check(ticks == 1, "timer-one-shot", "%u ticks", (uint64_t)ticks);
	check(apic_read(APIC_TIMER_NOW) == 0, "timer-stops", "%u left",
	      (uint64_t)apic_read(APIC_TIMER_NOW));
	apic_write(APIC_LVT_TIMER, VECTOR | MASKED);
	apic_write(APIC_TIMER_INIT, 1000);
	for (unsigned i = 0; i < 1000 && apic_read(APIC_TIMER_NOW); i++)
		(void)cpuid(0, 0);
	irqs_on();
	irqs_off();
	check(ticks == 1, "timer-masked", "%u ticks", (uint64_t)ticks);
}

static void periodic(void)
{
	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR | PERIODIC);
	apic_write(APIC_TIMER_INIT, 2000000);
	wait_ticks(5);
	apic_write(APIC_TIMER_INIT, 0);
	check(ticks >= 5, "timer-periodic", "%u ticks", (uint64_t)ticks);
	irqs_on();
	irqs_off();
	ticks = 0;
	for (unsigned i = 0; i < 100; i++)
		(void)cpuid(0, 0);
	irqs_on();
	irqs_off();
	check(!ticks, "timer-ended", "%u ticks", (uint64_t)ticks);
}

static void deadline(void)
{
	uint64_t when;

	if (!(cpuid(1, 0).c >> 24 & 1)) {
		check(false, "timer-deadline", "CPUID does not show it");
		return;
	}
	ticks = 0;
	apic_write(APIC_LVT_TIMER, VECTOR | DEADLINE);
	__asm__ volatile("mfence" ::: "memory");
	when = rdtsc() + 5000000;
	wrmsr(DEADLINE_MSR, when);
	check(rdmsr(DEADLINE_MSR) == when || ticks || rdtsc() > when, "deadline-armed", "reads %x",
	      rdmsr(DEADLINE_MSR));
	wait_ticks(1);
	check(at >= when, "timer-deadline", "%u ticks early", when - at);
	check(rdmsr(DEADLINE_MSR) == 0, "deadline-cleared", "reads %x", rdmsr(DEADLINE_MSR));
	ticks = 0;
	wrmsr(DEADLINE_MSR, 1); /* long past */
	wait_ticks(1);
	check(ticks == 1, "deadline-past", "%u ticks", (uint64_t)ticks);
	apic_write(APIC_LVT_TIMER, VECTOR | MASKED);
}

static void pic_init(uint8_t base)
{
	outb(0x20, 0x11);
	outb(0x21, base);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0x21, 0xfe); /* line 0 alone */
}

static void pit(void)
{
	unsigned first, second;

	ticks = 0;
	on_vector[PIC_VECTOR] = on_pic;
	pic_init(PIC_VECTOR);
	apic_write(0x35, 0x700); /* LINT0: ExtINT */
	outb(0x43, 0x34);	 /* channel 0, rate generator */
	outb(0x40, 0x00);
	outb(0x40, 0x10); /* 4096: 291 a second */
	wait_ticks(3);
	outb(0x21, 0xff);
	check(ticks >= 3, "pit-pic", "%u ticks", (uint64_t)ticks);
	outb(0x43, 0x00);
	first = inb(0x40);
	first |= (unsigned)inb(0x40) << 8;
	outb(0x43, 0x00);
	second = inb(0x40);
	second |= (unsigned)inb(0x40) << 8;
	check(first <= 4096 && second <= 4096, "pit-count", "%u, %u", (uint64_t)first,
	      (uint64_t)second);
	apic_write(0x35, MASKED);
}

static void pm_timer(void)
{
	uint32_t first = inl(PM_TIMER), now = first;
	uint64_t start = rdtsc();

	while (now == first && rdtsc() - start < 10000000000)
		now = inl(PM_TIMER);
	check(((now - first) & 0xffffff) - 1 < 0x800000, "pm-timer", "%x, then %x", (uint64_t)first,
	      (uint64_t)now);
}

void group_time(void)
{
	on_vector[VECTOR] = on_tick;
	tsc();
	one_shot();
	periodic();
	deadline();
	pit();
	pm_timer();
}
