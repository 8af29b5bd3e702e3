/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What two processors have in common, and what one lacks of the other
 * (cpumodel.h). The common signature is the lower one: newer processors have what
 * older ones have, so a guest expects less of it. Pure code.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

/* Family, model and stepping as one number in their order. */
static uint32_t rank(const struct cpu_model *m)
{
	return cpu_model_family(m) << 16 | cpu_model_number(m) << 4 | (m->signature & 15);
}

static void common_xsave(struct cpu_model *m, const struct cpu_model *with)
{
	m->xcr0 &= with->xcr0;
	for (unsigned i = 2; i < CPU_XCOMPS; i++)
		if (m->comp[i].size != with->comp[i].size ||
		    m->comp[i].offset != with->comp[i].offset)
			m->xcr0 &= ~BIT(i); /* lies elsewhere there: no guest may have it */
	for (unsigned i = 2; i < CPU_XCOMPS; i++)
		if (!(m->xcr0 >> i & 1))
			m->comp[i].size = m->comp[i].offset = 0;
}

int cpu_model_common(struct cpu_model *m, const struct cpu_model *with, char *why, size_t why_len)
{
	if (strcmp(m->vendor, with->vendor)) {
		snprintf(why, why_len, "%s and %s have no common set: no VM moves between vendors",
			 m->vendor, with->vendor);
		return -ENOTSUP;
	}
	if (rank(with) < rank(m))
		m->signature = with->signature;
	m->phys_bits = MIN(m->phys_bits, with->phys_bits);
	m->virt_bits = MIN(m->virt_bits, with->virt_bits);
	m->line = MIN(m->line, with->line);
	m->max_ext = MIN(m->max_ext, with->max_ext);
	common_xsave(m, with);
	for (unsigned i = 0; i < CPU_WORDS; i++)
		m->word[i] &= with->word[i];
	cpu_model_normalize(m);
	return 0;
}

void cpu_model_add(struct cpu_model *m, const struct cpu_model *with)
{
	for (unsigned i = 0; i < CPU_WORDS; i++)
		m->word[i] |= with->word[i];
}

bool cpu_model_next_missing(const struct cpu_model *want, const struct cpu_model *have,
			    struct cpu_bit *at)
{
	for (unsigned n = at->next; n < CPU_WORDS * 32; n++) {
		unsigned i = n / 32, bit = n % 32;

		if (!((want->word[i] & ~have->word[i]) >> bit & 1))
			continue;
		*at = (struct cpu_bit){ .next = n + 1,
					.leaf = cpuid_words[i].leaf,
					.sub = cpuid_words[i].sub,
					.reg = cpuid_words[i].reg,
					.bit = (uint8_t)bit };
		return true;
	}
	return false;
}

unsigned cpu_model_features(const struct cpu_model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CPU_WORDS; i++)
		n += (unsigned)__builtin_popcount(m->word[i]);
	return n;
}

const char *cpu_bit_name(const struct cpu_bit *at)
{
	for (unsigned i = 0; i < cpuid_bits_count; i++) {
		const struct cpuid_bit *b = &cpuid_bits[i];

		if (b->leaf == at->leaf && b->sub == at->sub && b->reg == at->reg &&
		    b->bit == at->bit)
			return b->name;
	}
	return "unknown";
}

void cpu_bit_text(const struct cpu_bit *b, char *buf, size_t len)
{
	static const char *const reg[4] = { "EAX", "EBX", "ECX", "EDX" };
	char sub[12] = "";

	if (b->sub)
		snprintf(sub, sizeof(sub), ".%u", (unsigned)b->sub);
	snprintf(buf, len, b->leaf < 10 ? "%s (leaf %x%s %s bit %u)" : "%s (leaf 0x%x%s %s bit %u)",
		 cpu_bit_name(b), (unsigned)b->leaf, sub, reg[b->reg & 3], b->bit);
}
