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

struct svm_features svm_feat;

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
	guest_probe();
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
