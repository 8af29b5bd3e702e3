/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: what this CPU has. Nested paging is required; next-RIP, decode
 * assists, flush by ASID, TSC ratio and pause filter are used where present.
 * [APM2 15.4 "Enabling SVM"] [APM3 E.4.9 "Function 8000_000Ah: SVM Features"]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/cpu.h>

#include "svm.h"

#define VM_CR_SVMDIS BIT(4)

/* x87, SSE, AVX, the three of AVX-512, PKRU; all fit XSAVE_AREA_MAX, AMX would not. */
#define XCR0_WANTED 0x2e7ull

struct svm_features svm_feat;

/* CR4 bits and the CPUID bit that lets a guest set each. Leaf 0: always there. */
static const struct {
	uint64_t cr4;
	uint32_t leaf;
	char reg;
	uint8_t bit;
} cr4_bits[] = {
	{ 0x7ff, 0, 0, 0 },	 /* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */
	{ BIT(11), 7, 'c', 2 },	 /* UMIP */
	{ BIT(16), 7, 'b', 0 },	 /* FSGSBASE */
	{ BIT(17), 1, 'c', 17 }, /* PCIDE */
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

uint32_t svm_xsave_size(uint64_t xcr0)
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

static void find_xsave(void)
{
	svm_feat.mxcsr_mask = mxcsr_mask();
	svm_feat.xsave_size = 576;
	svm_feat.xcr0 = 3;
	svm_feat.xsave = (cpuid(1, 0).ecx & BIT(26)) && cpu_identity()->max_leaf >= 0xd;
	if (!svm_feat.xsave)
		return;
	svm_feat.xcr0 = cpuid(0xd, 0).eax & XCR0_WANTED;
	/* AVX-512's three components only work together, and on top of AVX. */
	if ((svm_feat.xcr0 & 0xe4) != 0xe4)
		svm_feat.xcr0 &= ~0xe0ull;
	svm_feat.xsave_size = svm_xsave_size(svm_feat.xcr0);
	if (svm_feat.xsave_size > XSAVE_AREA_MAX) {
		svm_feat.xcr0 &= 7;
		svm_feat.xsave_size = svm_xsave_size(svm_feat.xcr0);
	}
}

static int refuse(char *why, size_t len, const char *text)
{
	(void)snprintf(why, len, "%s", text);
	return -ENOTSUP;
}

static int find_svm(char *why, size_t len)
{
	struct cpuid_regs r;
	uint64_t vm_cr;

	if (cpu_identity()->max_ext_leaf < 0x8000000a || !(cpuid(0x80000001, 0).ecx & BIT(2)))
		return refuse(why, len, "the CPU has no AMD-V");
	if (!rdmsr_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
		return refuse(why, len, "VM_CR.SVMDIS is set: enable SVM in the firmware");
	r = cpuid(0x8000000a, 0);
	if (!(r.edx & BIT(0)))
		return refuse(why, len, "AMD-V without nested paging");
	if (r.ebx < 2)
		return refuse(why, len, "AMD-V without ASIDs for guests");
	svm_feat.asids = r.ebx;
	svm_feat.next_rip = (r.edx & BIT(3)) != 0;
	svm_feat.tsc_rate = (r.edx & BIT(4)) != 0;
	svm_feat.flush_by_asid = (r.edx & BIT(6)) != 0;
	svm_feat.decode_assist = (r.edx & BIT(7)) != 0;
	svm_feat.pause_filter = (r.edx & BIT(10)) != 0;
	return 0;
}

int svm_probe(struct virt_caps *caps, char *why, size_t why_len)
{
	int r = find_svm(why, why_len);

	if (r)
		return r;
	svm_feat.rdtscp = (cpuid(0x80000001, 0).edx & BIT(27)) != 0;
	svm_feat.cr4_mask = cr4_supported();
	svm_feat.efer_mask = efer_supported();
	svm_feat.cr3_mask = BIT(MIN(cpu_identity()->phys_bits, 52u)) - 1;
	find_xsave();
	r = svm_msr_init();
	for (unsigned i = 0; !r && i < cpu_count(); i++)
		r = svm_cpu_alloc(i);
	if (r)
		return refuse(why, why_len, "no memory for AMD-V's control areas");
	*caps = (struct virt_caps){
		.name = "AMD-V",
		.slat = cpu_identity()->has_1g_pages ? &npt_format_1g : &npt_format,
		.next_rip = svm_feat.next_rip,
		.decode_assist = svm_feat.decode_assist,
		.flush_by_asid = svm_feat.flush_by_asid,
		.tsc_scaling = svm_feat.tsc_rate,
		.pause_filter = svm_feat.pause_filter,
		.asids = svm_feat.asids,
	};
	return 0;
}
