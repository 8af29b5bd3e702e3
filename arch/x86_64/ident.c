/* SPDX-License-Identifier: BSD-2-Clause */
/* Who this CPU is, by CPUID; read once on the boot CPU. [SDM 2A "CPUID"; APM3 appendix E] */
#include <tern/cpu.h>

#include <string.h>

#include "arch.h"

static struct cpu_id id; /* [const] after ident_init */

static void read_vendor(void)
{
	struct cpuid_regs r = cpuid(0, 0);

	id.max_leaf = r.eax;
	memcpy(id.vendor, &r.ebx, 4);
	memcpy(id.vendor + 4, &r.edx, 4);
	memcpy(id.vendor + 8, &r.ecx, 4);
}

static void read_family(uint32_t eax)
{
	uint32_t base_family = eax >> 8 & 15, base_model = eax >> 4 & 15;

	id.stepping = eax & 15;
	id.family = base_family;
	id.model = base_model;
	if (base_family == 15)
		id.family += eax >> 20 & 0xff;
	if (base_family == 15 || base_family == 6)
		id.model |= (eax >> 16 & 15) << 4;
}

static void read_brand(void)
{
	uint32_t words[12];

	if (id.max_ext_leaf < 0x80000004)
		return;
	for (unsigned i = 0; i < 3; i++) {
		struct cpuid_regs r = cpuid(0x80000002 + i, 0);

		words[i * 4] = r.eax;
		words[i * 4 + 1] = r.ebx;
		words[i * 4 + 2] = r.ecx;
		words[i * 4 + 3] = r.edx;
	}
	memcpy(id.brand, words, sizeof(words));
}

static void read_extended(void)
{
	id.max_ext_leaf = cpuid(0x80000000, 0).eax;
	id.phys_bits = 36;
	id.virt_bits = 48;
	if (id.max_ext_leaf >= 0x80000001)
		id.has_1g_pages = (cpuid(0x80000001, 0).edx & BIT(26)) != 0;
	if (id.max_ext_leaf >= 0x80000007)
		id.has_invariant_tsc = (cpuid(0x80000007, 0).edx & BIT(8)) != 0;
	if (id.max_ext_leaf >= 0x80000008) {
		uint32_t eax = cpuid(0x80000008, 0).eax;

		id.phys_bits = eax & 0xff;
		id.virt_bits = eax >> 8 & 0xff;
	}
}

void ident_init(void)
{
	read_vendor();
	struct cpuid_regs r = cpuid(1, 0);

	read_family(r.eax);
	id.has_x2apic = (r.ecx & BIT(21)) != 0;
	id.has_tsc_deadline = (r.ecx & BIT(24)) != 0;
	id.has_xsave = (r.ecx & BIT(26)) != 0;
	id.has_hypervisor = (r.ecx & BIT(31)) != 0;
	read_extended();
	read_brand();
}

const struct cpu_id *cpu_identity(void)
{
	return &id;
}
