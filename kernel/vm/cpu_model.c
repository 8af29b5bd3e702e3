/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processor models and CPUID tables (cpumodel.h). A model answers CPUID like a
 * host that has just that, so what a guest is shown by it is built by cpuid.c's
 * one set of rules; and a table that was built gives its model back.
 */
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

const struct cpuid_word cpuid_words[CPU_WORDS] = {
	{ 1, 0, REG_ECX },	     { 1, 0, REG_EDX },		  { 6, 0, REG_EAX },
	{ 7, 0, REG_EBX },	     { 7, 0, REG_ECX },		  { 7, 0, REG_EDX },
	{ 7, 1, REG_EAX },	     { 0xd, 1, REG_EAX },	  { 0x40000001u, 0, REG_EAX },
	{ 0x80000001u, 0, REG_ECX }, { 0x80000001u, 0, REG_EDX }, { 0x80000007u, 0, REG_EDX },
	{ 0x80000008u, 0, REG_EBX },
};

struct source {
	const struct cpu_model *m;
	const struct cpuid_source *display;
};

static uint32_t *reg_of(struct cpuid_regs *r, unsigned reg)
{
	uint32_t *const at[4] = { &r->eax, &r->ebx, &r->ecx, &r->edx };

	return at[reg & 3];
}

static struct cpuid_regs vendor_regs(const struct cpu_model *m, uint32_t eax)
{
	struct cpuid_regs r = { .eax = eax };

	memcpy(&r.ebx, m->vendor, 4);
	memcpy(&r.edx, m->vendor + 4, 4);
	memcpy(&r.ecx, m->vendor + 8, 4);
	return r;
}

static struct cpuid_regs xsave_regs(const struct cpu_model *m, uint32_t sub)
{
	struct cpuid_regs r = { 0 };

	if (sub == 0) {
		r.eax = (uint32_t)m->xcr0;
		r.edx = (uint32_t)(m->xcr0 >> 32);
	} else if (sub >= 2 && sub < CPU_XCOMPS) {
		r.eax = m->comp[sub].size;
		r.ebx = m->comp[sub].offset;
	}
	return r;
}

/* What the leaf has beside feature words. */
static struct cpuid_regs plain_regs(const struct source *s, uint32_t leaf, uint32_t sub)
{
	const struct cpu_model *m = s->m;
	struct cpuid_regs shown = s->display->read(s->display->ctx, leaf, sub);

	switch (leaf) {
	case 0:
		return vendor_regs(m, 0xd);
	case 1:
		return (struct cpuid_regs){ m->signature, (uint32_t)m->line << 8, 0, 0 };
	case 0xd:
		return xsave_regs(m, sub);
	case 0x80000000u:
		shown.eax = m->max_ext;
		return shown;
	case 0x80000001u: /* one vendor repeats the signature here, the other has zero */
		return (struct cpuid_regs){ shown.eax ? m->signature : 0, 0, 0, 0 };
	case 0x80000008u:
		return (struct cpuid_regs){ (uint32_t)m->virt_bits << 8 | m->phys_bits, 0, 0, 0 };
	default:
		if (leaf >= 0x80000002u && leaf <= 0x80000006u)
			return shown;
		return (struct cpuid_regs){ 0 };
	}
}

static struct cpuid_regs model_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	const struct source *s = ctx;
	struct cpuid_regs r = plain_regs(s, leaf, sub);

	for (unsigned i = 0; i < CPU_WORDS; i++)
		if (cpuid_words[i].leaf == leaf && cpuid_words[i].sub == sub)
			*reg_of(&r, cpuid_words[i].reg) |= s->m->word[i];
	return r;
}

void cpuid_build_model(struct cpuid_table *t, const struct cpu_model *m,
		       const struct cpuid_source *display, unsigned nr_vcpus)
{
	struct source s = { m, display };
	struct cpuid_source source = { model_read, &s };

	cpuid_build(t, &source, nr_vcpus);
}

uint32_t cpuid_word_bits(unsigned i, unsigned actions)
{
	uint32_t bits = 0;

	for (unsigned k = 0; k < cpuid_bits_count; k++) {
		const struct cpuid_bit *b = &cpuid_bits[k];

		if (b->leaf == cpuid_words[i].leaf && b->sub == cpuid_words[i].sub &&
		    b->reg == cpuid_words[i].reg && (actions >> b->action & 1))
			bits |= 1u << b->bit;
	}
	return bits;
}

static void read_words(const struct cpuid_table *t, struct cpu_model *m)
{
	for (unsigned i = 0; i < CPU_WORDS; i++) {
		const struct cpuid_entry *e =
			cpuid_find_shown(t, cpuid_words[i].leaf, cpuid_words[i].sub);
		struct cpuid_regs r = { 0 };

		if (e)
			r = e->r;
		m->word[i] = *reg_of(&r, cpuid_words[i].reg) & ~cpuid_word_bits(i, 1u << BIT_FILL);
	}
}

static void read_xsave(const struct cpuid_table *t, struct cpu_model *m)
{
	m->xcr0 = cpuid_table_xcr0(t);
	for (unsigned i = 2; i < CPU_XCOMPS; i++) {
		const struct cpuid_entry *e = m->xcr0 >> i & 1 ? cpuid_find(t, 0xd, i) : NULL;

		if (!e)
			continue;
		m->comp[i].size = e->r.eax;
		m->comp[i].offset = e->r.ebx;
	}
}

void cpu_model_of(const struct cpuid_table *t, struct cpu_model *m)
{
	const struct cpuid_entry *e = cpuid_find(t, 0, 0);

	memset(m, 0, sizeof(*m));
	m->phys_bits = 36;
	m->virt_bits = 48;
	if (e) {
		memcpy(m->vendor, &e->r.ebx, 4);
		memcpy(m->vendor + 4, &e->r.edx, 4);
		memcpy(m->vendor + 8, &e->r.ecx, 4);
	}
	e = cpuid_find(t, 1, 0);
	if (e) {
		m->signature = e->r.eax;
		m->line = (uint8_t)(e->r.ebx >> 8);
	}
	e = cpuid_find(t, 0x80000000u, 0);
	if (e)
		m->max_ext = e->r.eax;
	e = cpuid_find(t, 0x80000008u, 0);
	if (e) {
		m->phys_bits = (uint8_t)e->r.eax;
		m->virt_bits = (uint8_t)(e->r.eax >> 8);
	}
	/* A peer's table names the vendor: it must be fit for a log. */
	for (unsigned i = 0; i < sizeof(m->vendor) - 1; i++)
		if (m->vendor[i] < ' ' || m->vendor[i] > '~' || m->vendor[i] == '/')
			m->vendor[i] = '?';
	read_words(t, m);
	read_xsave(t, m);
}

static struct cpuid_regs no_display(const void *ctx, uint32_t leaf, uint32_t sub)
{
	(void)ctx;
	(void)leaf;
	(void)sub;
	return (struct cpuid_regs){ 0 };
}

void cpu_model_normalize(struct cpu_model *m)
{
	static const struct cpuid_source nothing = { no_display, NULL };
	struct cpuid_table t;

	cpuid_build_model(&t, m, &nothing, 1);
	cpu_model_of(&t, m);
}

/* [SDM 2A "CPUID", "Version Information"] */
unsigned cpu_model_family(const struct cpu_model *m)
{
	unsigned base = m->signature >> 8 & 15;

	return base == 15 ? base + (m->signature >> 20 & 0xff) : base;
}

unsigned cpu_model_number(const struct cpu_model *m)
{
	unsigned base = m->signature >> 8 & 15, number = m->signature >> 4 & 15;

	return base == 15 || base == 6 ? number | (m->signature >> 16 & 15) << 4 : number;
}

void cpu_model_save(const struct cpu_model *m, struct rec_writer *w)
{
	static const struct cpuid_source nothing = { no_display, NULL };
	struct cpuid_table t;

	cpuid_build_model(&t, m, &nothing, 1);
	cpuid_table_save(&t, w);
}

int cpu_model_load(struct rec_reader *r, struct cpu_model *m)
{
	struct cpuid_table t;
	int err = cpuid_table_parse(r, &t);

	if (!err)
		cpu_model_of(&t, m);
	return err;
}
