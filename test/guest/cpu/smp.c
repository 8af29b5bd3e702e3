/* SPDX-License-Identifier: BSD-2-Clause */
/* Several processors: start, locks, IPIs, one clock, one memory. */
#include "rt.h"

#define VECTOR 0x81
#define ROUNDS 2000u
#define PING_ROUNDS 1000u
#define PATIENCE 20000000000ull /* TSC ticks */

static volatile uint32_t lock, held, wrong, counter, ipis, nmis;
static volatile uint64_t clock;
static volatile uint32_t seen_id[AP_MAX + 1];

static void take(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		while (lock)
			__asm__ volatile("pause");
}

static void give(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

/* Under the lock: alone, and the clock has not gone back since anybody looked. */
static void work(unsigned cpu)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now;

		take();
		wrong += held++ != 0;
		now = rdtsc();
		wrong += now < clock ? 0x10000u : 0;
		clock = now;
		counter++;
		if (i % 64 == 0)
			outb(0xe0, (uint8_t)i); /* an exit with the lock held */
		held--;
		give();
	}
	seen_id[cpu] = apic_id();
}

static void on_ipi(struct frame *f)
{
	(void)f;
	__atomic_fetch_add(&ipis, 1, __ATOMIC_SEQ_CST);
	apic_eoi();
}

static void on_nmi(struct frame *f)
{
	(void)f;
	__atomic_fetch_add(&nmis, 1, __ATOMIC_SEQ_CST);
}

static void answer(unsigned cpu)
{
	(void)cpu;
	while (ipis < PING_ROUNDS * (cpus() - 1)) {
		irqs_on();
		irqs_off();
	}
}

static void sleep_till_end(unsigned cpu)
{
	(void)cpu;
	for (unsigned i = 0; i < 20; i++) {
		wait_irq();
		irqs_off();
	}
}

static void pings(void)
{
	unsigned others = cpus() - 1;

	on_others(answer);
	for (unsigned i = 1; i <= PING_ROUNDS; i++) {
		uint64_t start = rdtsc();

		apic_ipi(0, ICR_OTHERS | ICR_FIXED | VECTOR);
		while (ipis < i * others && rdtsc() - start < PATIENCE)
			__asm__ volatile("pause");
		if (ipis < i * others)
			break;
	}
	check(ipis == PING_ROUNDS * others, "smp-ipi", "%u of %u", (uint64_t)ipis,
	      (uint64_t)PING_ROUNDS * others);
	wait_others();
	on_others(sleep_till_end);
	for (uint64_t start = rdtsc(); others_busy() && rdtsc() - start < PATIENCE;) {
		apic_ipi(0, ICR_OTHERS | ICR_FIXED | VECTOR); /* in HLT or on the way there */
		for (unsigned i = 0; i < 1000; i++)
			__asm__ volatile("pause");
	}
	check(!others_busy(), "smp-halt", "%u still sleep", (uint64_t)others_busy());
}

void group_smp(void)
{
	unsigned n = cpus();

	check(n > 1 && n <= AP_MAX, "smp-count", "fw_cfg has %u", (uint64_t)n);
	if (n < 2 || n > AP_MAX || !cpus_start()) {
		check(false, "smp-start", "not all came");
		return;
	}
	check(true, "smp-start", "");
	on_vector[VECTOR] = on_ipi;
	on_vector[2] = on_nmi;
	on_others(work);
	work(0);
	wait_others();
	check(!wrong, "smp-lock", "%x: not alone, and 65536 times clock went back",
	      (uint64_t)wrong);
	check(counter == ROUNDS * n, "smp-memory", "%u of %u", (uint64_t)counter,
	      (uint64_t)ROUNDS * n);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			check(seen_id[i] != seen_id[k], "smp-id", "%u twice", (uint64_t)seen_id[i]);
	pings();
	apic_ipi(0, ICR_OTHERS | ICR_NMI);
	for (uint64_t start = rdtsc(); nmis < n - 1 && rdtsc() - start < PATIENCE;)
		__asm__ volatile("pause");
	check(nmis == n - 1, "smp-nmi", "%u of %u", (uint64_t)nmis, (uint64_t)n - 1);
}

static volatile uint64_t spun[AP_MAX + 1];
static volatile uint32_t spun_enough;

static void spin(unsigned cpu)
{
	while (!spun_enough)
		spun[cpu]++;
}

/* Nobody leaves the guest by itself, and still all get turns. */
void group_turns(void)
{
	uint64_t start = rdtsc(), seen[AP_MAX + 1] = { 0 };
	unsigned got = 0, n = cpus();

	check(cpus_start(), "smp-start", "not all came");
	on_others(spin);
	for (unsigned round = 0; round < 10; round++)
		for (unsigned i = 1; i < n; i++) {
			while (spun[i] == seen[i] && rdtsc() - start < PATIENCE)
				__asm__ volatile("pause");
			got += spun[i] != seen[i];
			seen[i] = spun[i];
		}
	spun_enough = 1;
	check(got == 10 * (n - 1), "smp-turns", "%u of %u", (uint64_t)got, 10ull * (n - 1));
	wait_others();
}
