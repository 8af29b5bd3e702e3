/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can this host run a guest that was shown a given CPUID table? Every feature
 * bit of the table must be one that this host could have shown, by name; vendor,
 * address widths and XSAVE layout must fit. The first thing missing is told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

static const char *bit_name(uint32_t leaf, uint32_t sub, unsigned reg, unsigned bit)
{
	for (unsigned i = 0; i < cpuid_bits_count; i++) {
		const struct cpuid_bit *b = &cpuid_bits[i];

		if (b->leaf == leaf && b->sub == sub && b->reg == reg && b->bit == bit)
			return b->name;
	}
	return "unknown";
}

static bool has_features(uint32_t leaf, uint32_t sub, unsigned reg)
{
	for (unsigned i = 0; i < cpuid_bits_count; i++)
		if (cpuid_bits[i].leaf == leaf && cpuid_bits[i].sub == sub &&
		    cpuid_bits[i].reg == reg)
			return true;
	return false;
}

static uint32_t word(const struct cpuid_entry *e, unsigned reg)
{
	const uint32_t w[4] = { e->r.eax, e->r.ebx, e->r.ecx, e->r.edx };

	return w[reg];
}

static int check_words(const struct cpuid_entry *want, const struct cpuid_table *here, char *why,
		       size_t len)
{
	uint32_t sub = want->sub == CPUID_ANY_SUB ? 0 : want->sub;
	const struct cpuid_entry *have = cpuid_find(here, want->leaf, sub);

	for (unsigned reg = 0; reg < 4; reg++) {
		uint32_t missing;

		if (!has_features(want->leaf, sub, reg))
			continue;
		missing = word(want, reg) & ~(have ? word(have, reg) : 0);
		if (missing) {
			unsigned bit = (unsigned)__builtin_ctz(missing);

			snprintf(why, len, "this CPU cannot offer %s (CPUID %x.%x %s bit %u)",
				 bit_name(want->leaf, sub, reg, bit), (unsigned)want->leaf,
				 (unsigned)sub,
				 (const char *const[]){ "EAX", "EBX", "ECX", "EDX" }[reg], bit);
			return -ENOTSUP;
		}
	}
	return 0;
}

static int check_vendor(const struct cpuid_table *t, cpuid_source *host, char *why, size_t len)
{
	const struct cpuid_entry *e = cpuid_find(t, 0, 0);
	struct cpuid_regs h = host(0, 0);

	if (e && e->r.ebx == h.ebx && e->r.ecx == h.ecx && e->r.edx == h.edx)
		return 0;
	snprintf(why, len, "the guest runs on another vendor's CPU (%.4s%.4s%.4s)",
		 e ? (const char *)&e->r.ebx : "?", e ? (const char *)&e->r.edx : "",
		 e ? (const char *)&e->r.ecx : "");
	return -ENOTSUP;
}

static int check_xsave(const struct cpuid_table *t, const struct cpuid_table *here, char *why,
		       size_t len)
{
	uint64_t missing = cpuid_table_xcr0(t) & ~cpuid_table_xcr0(here);

	if (missing) {
		snprintf(why, len, "this CPU lacks XSAVE components 0x%llx",
			 (unsigned long long)missing);
		return -ENOTSUP;
	}
	for (uint32_t i = 0; i < t->count; i++) {
		const struct cpuid_entry *w = &t->e[i], *h;

		if (w->leaf != 0xd || w->sub < 2)
			continue;
		h = cpuid_find(here, 0xd, w->sub);
		if (!h || h->r.eax != w->r.eax || h->r.ebx != w->r.ebx) {
			snprintf(why, len, "XSAVE component %u lies elsewhere on this CPU",
				 (unsigned)w->sub);
			return -ENOTSUP;
		}
	}
	return 0;
}

static int check_width(const struct cpuid_table *t, const struct cpuid_table *here, char *why,
		       size_t len)
{
	const struct cpuid_entry *w = cpuid_find(t, 0x80000008u, 0),
				 *h = cpuid_find(here, 0x80000008u, 0);

	/* A wider host is refused too: bits above the guest's width would not fault there. */
	if (!w || !h || (w->r.eax & 0xff) == (h->r.eax & 0xff))
		return 0;
	snprintf(why, len, "physical addresses have %u bits here, %u where the guest runs",
		 h->r.eax & 0xff, w->r.eax & 0xff);
	return -ENOTSUP;
}

int cpuid_compatible(const struct cpuid_table *t, cpuid_source *host, char *why, size_t why_len)
{
	struct cpuid_table here;
	const struct cpuid_entry *one = cpuid_find(t, 1, 0);
	int err;

	cpuid_build(&here, host, one ? MAX(one->r.ebx >> 16 & 0xff, 1u) : 1);
	err = check_vendor(t, host, why, why_len);
	for (uint32_t i = 0; !err && i < t->count; i++)
		err = check_words(&t->e[i], &here, why, why_len);
	if (!err)
		err = check_xsave(t, &here, why, why_len);
	if (!err)
		err = check_width(t, &here, why, why_len);
	return err;
}
