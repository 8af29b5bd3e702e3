/* SPDX-License-Identifier: BSD-2-Clause */
/* A processor's state (state.h) as it looks from inside, and how it is said. */
#include "state.h"
#include "state_cpu.h"

#define XSAVE_HEADER 512

static const char *const word_name[WORDS] = {
	"cr0", "cr2", "cr3", "cr4",	  "cr8",  "dr0",  "dr1", "dr2",
	"dr3", "dr6", "dr7", "selectors", "gdtr", "idtr", "tr",
};

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
