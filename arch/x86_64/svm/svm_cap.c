/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: what this CPU has. Which bit is which, and what of it is taken, is in
 * svm_features.c. [APM2 15.4 "Enabling SVM"]
 */
#include <tern/cpu.h>

#include "svm.h"

#define VM_CR_SVMDIS BIT(4)

struct svm_features svm_feat;

static int find_svm(char *why, size_t len)
{
	struct cpuid_regs r;
	uint64_t vm_cr;

	if (cpu_identity()->max_ext_leaf < 0x8000000a || !(cpuid(0x80000001, 0).ecx & BIT(2)))
		return svm_refuse(why, len, "the CPU has no %s", "AMD-V");
	if (!rdmsr_safe(MSR_VM_CR, &vm_cr) && (vm_cr & VM_CR_SVMDIS))
		return svm_refuse(why, len, "%s is set: enable SVM in the firmware",
				  "VM_CR.SVMDIS");
	r = cpuid(0x8000000a, 0);
	if (r.ebx < 2)
		return svm_refuse(why, len, "AMD-V without %s", "ASIDs for guests");
	svm_feat.asids = r.ebx;
	return svm_find_features(r.edx, why, len);
}

int svm_probe(struct virt_caps *caps, char *why, size_t why_len)
{
	int r = find_svm(why, why_len);

	if (r)
		return r;
	guest_probe();
	r = svm_msr_init();
	for (unsigned i = 0; !r && i < cpu_count(); i++)
		r = svm_cpu_alloc(i);
	if (r)
		return svm_refuse(why, why_len, "no memory for %s", "AMD-V's control areas");
	*caps = (struct virt_caps){
		.name = "AMD-V",
		.slat = cpu_identity()->has_1g_pages ? &npt_format_1g : &npt_format,
		.next_rip = svm_feat.next_rip,
		.decode_assist = svm_feat.decode_assist,
		.flush_by_asid = svm_feat.flush_by_asid,
		.tsc_scaling = svm_feat.tsc_rate,
		.tsc_ratio_bits = TSC_RATIO_BITS,
		.tsc_ratio_end = TSC_RATIO_END,
		.pause_filter = svm_feat.pause_filter,
		.asids = svm_feat.asids,
	};
	svm_describe(caps);
	return 0;
}
