/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this CPU can give to guests, whatever the vendor of its virtualization:
 * bits of CR3, CR4 and EFER, components of the vector state.
 */
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/cpu.h>
#include <tern/log.h>

#include "guest.h"

/* x87, SSE, AVX, the three of AVX-512, PKRU; all fit XSAVE_AREA_MAX, AMX would not. */
#define XCR0_WANTED 0x2e7ull

struct guest_features guest_feat;

/* CR4 bits and the CPUID bit that lets a guest set each. Leaf 0: always there. */
static const struct {
	uint64_t cr4;
	uint32_t leaf;
	char reg;
	uint8_t bit;
} cr4_bits[] = {
	{ 0x7ff, 0, 0, 0 },	   /* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */
	{ BIT(11), 7, 'c', 2 },	   /* UMIP */
	{ BIT(16), 7, 'b', 0 },	   /* FSGSBASE */
	{ CR4_PCIDE, 1, 'c', 17 }, /* PCIDE */
	{ CR4_OSXSAVE, 1, 'c', 26 }, { BIT(20), 7, 'b', 7 }, /* SMEP */
	{ BIT(21), 7, 'b', 20 },			     /* SMAP */
	{ BIT(22), 7, 'c', 3 },				     /* PKE */
};

static uint64_t cr4_supported(void)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
		struct cpuid_regs r = { 0 };
		uint32_t v;

		if (cr4_bits[i].leaf && cr4_bits[i].leaf <= cpu_identity()->max_leaf)
			r = cpuid(cr4_bits[i].leaf, 0);
		v = cr4_bits[i].reg == 'b' ? r.ebx : r.ecx;
		if (!cr4_bits[i].leaf || (v >> cr4_bits[i].bit & 1))
			mask |= cr4_bits[i].cr4;
	}
	return mask;
}

static uint64_t efer_supported(void)
{
	struct cpuid_regs r = cpuid(0x80000001, 0);
	uint64_t mask = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

	if (r.edx & BIT(25))
		mask |= EFER_FFXSR;
	if (r.ecx & BIT(17))
		mask |= EFER_TCE;
	return mask;
}

uint32_t guest_xsave_size(uint64_t xcr0)
{
	uint32_t size = 576; /* legacy area and header */

	for (unsigned i = 2; i < 63; i++) {
		struct cpuid_regs r;

		if (!(xcr0 >> i & 1))
			continue;
		r = cpuid(0xd, i);
		size = MAX(size, r.ebx + r.eax);
	}
	return size;
}

/* A guest's MXCSR outside of this would fault in the host. [SDM 1 11.6.6 "Guidelines for Writing to
 * MXCSR"] */
static uint32_t mxcsr_mask(void)
{
	static uint8_t image[512] __attribute__((aligned(16)));
	uint32_t mask;

	__asm__ volatile("fxsave64 %0" : "=m"(image));
	memcpy(&mask, image + 28, sizeof(mask));
	return mask ? mask : 0xffbf;
}

/* XSAVES stores in the same way, and is not given without XSAVEC. */
static void find_compaction(void)
{
	uint32_t eax = cpuid(0xd, 1).eax;

	guest_feat.xsavec = (eax & BIT(1)) != 0;
	if (guest_feat.xsavec && (guest_feat.xcr0 & 4) && !guest_fpu_compacts(guest_fpu_xsavec) &&
	    !guest_taken_anyway("xsavec")) {
		log_info("virt", "XSAVEC misplaces AVX's state on this CPU: guests have neither "
				 "it nor XSAVES");
		guest_feat.xsavec = false;
	}
	guest_feat.xsaves = guest_feat.xsavec && (eax & BIT(3));
}

static void find_xsave(void)
{
	guest_feat.mxcsr_mask = mxcsr_mask();
	guest_feat.xsave_size = 576;
	guest_feat.xcr0 = 3;
	guest_feat.xsave = (cpuid(1, 0).ecx & BIT(26)) && cpu_identity()->max_leaf >= 0xd;
	if (!guest_feat.xsave)
		return;
	guest_feat.xcr0 = cpuid(0xd, 0).eax & XCR0_WANTED;
	/* AVX-512's three components only work together, and on top of AVX. */
	if ((guest_feat.xcr0 & 0xe4) != 0xe4)
		guest_feat.xcr0 &= ~0xe0ull;
	guest_feat.xsave_size = guest_xsave_size(guest_feat.xcr0);
	if (guest_feat.xsave_size > XSAVE_AREA_MAX) {
		guest_feat.xcr0 &= 7;
		guest_feat.xsave_size = guest_xsave_size(guest_feat.xcr0);
	}
	find_compaction();
}

/* XSAVES saves what XSS names, and guests have no supervisor component. */
void guest_cpu_on(void)
{
	if (guest_feat.xsaves)
		wrmsr(MSR_XSS, 0);
}

void guest_probe(void)
{
	guest_feat.rdtscp = (cpuid(0x80000001, 0).edx & BIT(27)) != 0;
	guest_feat.invpcid = cpu_identity()->max_leaf >= 7 && (cpuid(7, 0).ebx & BIT(10));
	guest_feat.cr4_mask = cr4_supported();
	guest_feat.efer_mask = efer_supported();
	guest_feat.cr3_mask = BIT(MIN(cpu_identity()->phys_bits, 52u)) - 1;
	find_xsave();
}

static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p && (p = strstr(p, name)) != NULL; p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

bool guest_left_out(const char *name)
{
	return listed(config_get("virt.without"), name);
}

bool guest_taken_anyway(const char *name)
{
	return listed(config_get("virt.with"), name);
}

void guest_cpuid_limit(uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
	const struct {
		uint32_t leaf, sub;
		uint32_t *reg;
		unsigned bit;
		bool has;
	} limits[] = {
		{ 0x80000001, 0, &r->edx, 27, guest_feat.rdtscp },
		{ 7, 0, &r->ecx, 22, guest_feat.rdtscp }, /* RDPID reads the same register */
		{ 1, 0, &r->ecx, 17, (guest_feat.cr4_mask & CR4_PCIDE) != 0 },
		{ 7, 0, &r->ebx, 10, guest_feat.invpcid },
		{ 0xd, 1, &r->eax, 1, guest_feat.xsavec },
		{ 0xd, 1, &r->eax, 3, guest_feat.xsaves },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++)
		if (limits[i].leaf == leaf && limits[i].sub == sub && !limits[i].has)
			*limits[i].reg &= ~(1u << limits[i].bit);
}

void guest_add_word(char *text, size_t len, const char *word)
{
	size_t n = strlen(text);

	(void)snprintf(text + n, len - n, "%s%s", n ? " " : "", word);
}
