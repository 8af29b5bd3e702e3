/* SPDX-License-Identifier: BSD-2-Clause */
/* When interrupts are taken: masks, shadows, priorities; NMI and its block. */
#include "rt.h"

#define LOW_VECTOR 0x51
#define HIGH_VECTOR 0x61
#define APIC_BASE 0x1b
#define X2_SELF_IPI 0x83f

static volatile unsigned taken;
static volatile uint64_t taken_rip, first_vector;

static void on_irq(struct frame *f)
{
	if (!taken)
		first_vector = f->vector;
	taken++;
	taken_rip = f->rip;
	apic_eoi();
}

static void send(unsigned vector)
{
	apic_ipi(apic_id(), ICR_FIXED | ICR_SELF | vector);
}

static void expect(unsigned n, const char *name)
{
	check(taken == n, name, "%u taken", (uint64_t)taken);
	taken = 0;
}

static void masked(void)
{
	irqs_off();
	send(LOW_VECTOR);
	for (unsigned i = 0; i < 1000; i++)
		(void)cpuid(0, 0);
	expect(0, "irq-masked");
	irqs_on();
	expect(1, "irq-unmasked");
	send(LOW_VECTOR);
	__asm__ volatile("nop");
	expect(1, "irq-self");
	irqs_off();
	send(LOW_VECTOR);
	send(LOW_VECTOR);
	irqs_on();
	expect(1, "irq-once");
}

/* The instruction behind STI comes first. */
static void sti_shadow(void)
{
	extern const char behind_sti[];

	irqs_off();
	send(LOW_VECTOR);
	__asm__ volatile("sti; nop\n\t.global behind_sti\nbehind_sti: nop; nop" ::: "memory");
	check(taken_rip == (uint64_t)behind_sti, "sti-shadow", "taken at %x", taken_rip);
	taken = 0;
	irqs_off();
	send(LOW_VECTOR);
	__asm__ volatile("sti; cli; nop; nop" ::: "memory");
	expect(0, "sti-cli");
	wait_irq();
	expect(1, "sti-hlt");
	/* An instruction that exits stands in the shadow. */
	irqs_off();
	send(LOW_VECTOR);
	__asm__ volatile("sti\n\tin $0xe0, %%eax\n\t.global behind_in\nbehind_in: nop; nop" ::
				 : "rax", "memory");
	{
		extern const char behind_in[];

		check(taken_rip == (uint64_t)behind_in, "sti-shadow-exit", "taken at %x",
		      taken_rip);
	}
	taken = 0;
}

static void priorities(void)
{
	irqs_off();
	send(LOW_VECTOR);
	send(HIGH_VECTOR);
	irqs_on();
	check(first_vector == HIGH_VECTOR, "irq-priority", "first was %x", first_vector);
	expect(2, "irq-both");
	write_cr8(LOW_VECTOR >> 4);
	send(LOW_VECTOR);
	__asm__ volatile("nop");
	expect(0, "tpr-holds");
	check(apic_read(APIC_TPR) == (LOW_VECTOR & 0xf0), "tpr-cr8", "TPR is %x",
	      (uint64_t)apic_read(APIC_TPR));
	send(HIGH_VECTOR);
	__asm__ volatile("nop");
	expect(1, "tpr-lets-higher");
	write_cr8(0);
	__asm__ volatile("nop");
	expect(1, "tpr-lowered");
	/* As handlers of firmware do at their end, with the next interrupt there already. */
	irqs_off();
	send(LOW_VECTOR);
	(void)cpuid(0, 0);
	write_cr8(0);
	expect(0, "cr8-masked");
	irqs_on();
	expect(1, "cr8-then-irq");
}

static unsigned depth, deepest;

static void on_nested(struct frame *f)
{
	(void)f;
	taken++;
	if (++depth > deepest)
		deepest = depth;
	if (taken == 1) {
		send(LOW_VECTOR); /* in service: waits for the EOI */
		irqs_on();
		check(taken == 1, "in-service-holds", "%u taken", (uint64_t)taken);
		irqs_off();
	}
	apic_eoi();
	depth--;
}

static void nested(void)
{
	on_vector[LOW_VECTOR] = on_nested;
	send(LOW_VECTOR);
	__asm__ volatile("nop; nop");
	expect(2, "eoi-releases");
	check(deepest == 1, "eoi-depth", "handlers were nested %u deep", (uint64_t)deepest);
	on_vector[LOW_VECTOR] = on_irq;
}

static void on_nmi(struct frame *f)
{
	(void)f;
	taken++;
	if (taken > 1)
		return;
	apic_ipi(apic_id(), ICR_NMI);
	apic_ipi(apic_id(), ICR_NMI); /* only one is kept */
	for (unsigned i = 0; i < 100; i++)
		(void)cpuid(0, 0);
	check(taken == 1, "nmi-blocked", "%u taken", (uint64_t)taken);
}

static void on_nmi_plain(struct frame *f)
{
	(void)f;
	taken++;
}

static void nmi(void)
{
	on_vector[2] = on_nmi_plain;
	irqs_off();
	apic_ipi(apic_id(), ICR_NMI);
	__asm__ volatile("nop");
	expect(1, "nmi");
	on_vector[2] = on_nmi;
	apic_ipi(apic_id(), ICR_NMI);
	for (unsigned i = 0; i < 100; i++)
		(void)cpuid(0, 0);
	expect(2, "nmi-after-iret");
	on_vector[2] = on_nmi_plain;
	apic_ipi(apic_id(), ICR_NMI);
	for (unsigned i = 0; i < 100; i++)
		(void)cpuid(0, 0);
	expect(1, "nmi-again");
}

static void x2apic(void)
{
	if (!(cpuid(1, 0).c >> 21 & 1)) {
		check(false, "x2apic", "CPUID does not show it");
		return;
	}
	irqs_on();
	wrmsr(APIC_BASE, rdmsr(APIC_BASE) | BIT(10));
	send(LOW_VECTOR);
	__asm__ volatile("nop");
	expect(1, "x2apic-icr");
	wrmsr(X2_SELF_IPI, LOW_VECTOR);
	__asm__ volatile("nop");
	expect(1, "x2apic-self-ipi");
	RAISES("x2apic-self-ipi-high", 13, 0, "wrmsr", ::"c"(X2_SELF_IPI), "a"(0x100), "d"(0));
	irqs_off();
	wrmsr(APIC_BASE, rdmsr(APIC_BASE) & ~(BIT(10) | BIT(11)));
	wrmsr(APIC_BASE, rdmsr(APIC_BASE) | BIT(11));
	apic_init();
}

void group_interrupts(void)
{
	on_vector[LOW_VECTOR] = on_vector[HIGH_VECTOR] = on_irq;
	masked();
	sti_shadow();
	priorities();
	nested();
	nmi();
	x2apic();
}
