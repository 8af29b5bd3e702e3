/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: what this CPU has. Nested paging and unrestricted guest are required;
 * A/D flags, PML, VPID, TSC scaling and PAUSE-loop exits are used where present.
 * Which control bit is which, and what of it is taken, is in vmx_features.c.
 * [SDM 3D A.10 "VPID and EPT Capabilities"]
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/timer.h>

#include "vmx.h"

#define MSR_VMX_MISC 0x485u
#define MISC_TIMER_SHIFT 0x1full
#define MSR_VMX_EPT_VPID 0x48cu
#define CPUID_VMX BIT(5)

#define EPT_WALK_4 BIT(6)
#define EPT_MEMORY_WB BIT(14)
#define EPT_2M BIT(16)
#define EPT_1G BIT(17)
#define EPT_INVEPT BIT(20)
#define EPT_AD BIT(21)
#define EPT_INVEPT_SINGLE BIT(25)
#define EPT_INVEPT_ALL BIT(26)
#define VPID_INVVPID BIT(32)
#define VPID_SINGLE BIT(41)
#define VPID_ALL BIT(42)
#define EPT_REQUIRED (EPT_WALK_4 | EPT_MEMORY_WB | EPT_2M | EPT_INVEPT)

/* A guest changes these without an exit; the other bits of CR4 are the kernel's to decide. */
#define CR4_GUESTS_OWN 0x350fffull

struct vmx_features vmx_feat;

static bool have2(unsigned bit)
{
	return vmx_feat.chosen[GROUP_PROC2] >> bit & 1;
}

static int find_ept(char *why, size_t len)
{
	uint64_t v;

	if (rdmsr_safe(MSR_VMX_EPT_VPID, &v) || (v & EPT_REQUIRED) != EPT_REQUIRED ||
	    !(v & (EPT_INVEPT_SINGLE | EPT_INVEPT_ALL)))
		return vmx_refuse(why, len, "VT-x whose EPT lacks %s",
				  "4 levels, write-back, 2 MiB pages or INVEPT");
	vmx_feat.ept_ad = (v & EPT_AD) && !guest_left_out("ad");
	vmx_feat.ept_1g = (v & EPT_1G) != 0;
	vmx_feat.invept_single = (v & EPT_INVEPT_SINGLE) != 0;
	vmx_feat.invvpid_single = (v & VPID_SINGLE) != 0;
	vmx_feat.vpid = have2(PROC2_VPID) && (v & VPID_INVVPID) && (v & (VPID_SINGLE | VPID_ALL));
	if (!vmx_feat.vpid)
		vmx_feat.chosen[GROUP_PROC2] &= ~(1u << PROC2_VPID);
	vmx_feat.pml = have2(PROC2_PML) && vmx_feat.ept_ad;
	if (!vmx_feat.pml)
		vmx_feat.chosen[GROUP_PROC2] &= ~(1u << PROC2_PML);
	vmx_feat.tsc_scaling = have2(PROC2_TSC_SCALING);
	vmx_feat.ple = have2(PROC2_PLE);
	ept_format_init(&vmx_feat.ept, vmx_feat.ept_ad, vmx_feat.ept_1g);
	return 0;
}

static int find_timer(char *why, size_t len)
{
	uint64_t misc;

	if (rdmsr_safe(MSR_VMX_MISC, &misc))
		return vmx_refuse(why, len, "VT-x without %s", "IA32_VMX_MISC");
	vmx_feat.timer = vmx_feat.chosen[GROUP_PIN] >> PIN_TIMER & 1;
	vmx_feat.timer_ticks = (uint32_t)((uint64_t)tsc_khz() >> (misc & MISC_TIMER_SHIFT));
	return 0;
}

static int find_vmx(char *why, size_t len)
{
	uint64_t basic, lock;
	int r;

	if (!(cpuid(1, 0).ecx & CPUID_VMX) || rdmsr_safe(MSR_VMX_BASIC, &basic))
		return vmx_refuse(why, len, "the CPU has no %s", "VT-x");
	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &lock) && vmx_locked_off(lock))
		return vmx_refuse(why, len, "VT-x is locked off in %s: enable it in the firmware",
				  "IA32_FEATURE_CONTROL");
	vmx_feat.revision = (uint32_t)basic & 0x7fffffff;
	vmx_feat.string_info = (basic & BASIC_STRING_INFO) != 0;
	r = vmx_find_controls((basic & BASIC_TRUE_CONTROLS) != 0, why, len);
	if (!r)
		r = find_ept(why, len);
	return r ? r : find_timer(why, len);
}

#define APICV                                                                                      \
	((1u << PROC2_X2APIC) | (1u << PROC2_APIC_REGISTERS) | (1u << PROC2_VIRTUAL_INTERRUPTS))

/*
 * Delivery by the CPU is taken whole, and needs the shadow. CPUs that have it can
 * also post interrupts. Bochs 2.7 cannot, and where a nested fault cuts such a
 * delivery short it names an event of earlier: there only "virt.with" takes it.
 */
static void find_apic(void)
{
	uint32_t have = vmx_feat.chosen[GROUP_PROC2] & APICV;

	vmx_feat.tpr_shadow = vmx_feat.chosen[GROUP_PROC] >> PROC_TPR_SHADOW & 1;
	vmx_feat.apicv = vmx_feat.tpr_shadow && have == APICV &&
			 (vmx_feat.posted || guest_taken_anyway("apicv"));
	if (!vmx_feat.apicv)
		vmx_feat.chosen[GROUP_PROC2] &= ~APICV;
}

/*
 * What a VMCS starts with: the timer is turned on by entry, the log with tracking,
 * delivery by the CPU with the guest's x2APIC mode.
 */
static void first_words(void)
{
	find_apic();
	memcpy(vmx_feat.control, vmx_feat.chosen, sizeof(vmx_feat.control));
	vmx_feat.control[GROUP_PROC2] &= ~APICV;
	if (vmx_feat.tpr_shadow)
		vmx_feat.control[GROUP_PROC] &= ~((1u << PROC_CR8_LOAD) | (1u << PROC_CR8_STORE));
	vmx_feat.control[GROUP_PIN] &= ~(1u << PIN_TIMER);
	vmx_feat.control[GROUP_PROC2] &= ~(1u << PROC2_PML);
}

int vmx_probe(struct virt_caps *caps, char *why, size_t why_len)
{
	int r = find_vmx(why, why_len);

	if (r)
		return r;
	guest_probe();
	guest_feat.rdtscp = guest_feat.rdtscp && have2(PROC2_RDTSCP);
	guest_feat.xsaves = guest_feat.xsaves && have2(PROC2_XSAVES);
	if (!guest_feat.xsaves) /* then it is no instruction in a guest */
		vmx_feat.chosen[GROUP_PROC2] &= ~(1u << PROC2_XSAVES);
	guest_feat.invpcid = guest_feat.invpcid && have2(PROC2_INVPCID);
	guest_feat.efer_mask &= EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	r = vmx_find_fixed(why, why_len);
	if (r)
		return r;
	first_words();
	vmx_feat.cr4_owned = ~(CR4_GUESTS_OWN & guest_feat.cr4_mask);
	r = vmx_msr_init();
	for (unsigned i = 0; !r && i < cpu_count(); i++)
		r = vmx_cpu_alloc(i);
	if (r)
		return vmx_refuse(why, why_len, "no memory for %s", "VT-x's control areas");
	*caps = (struct virt_caps){
		.name = "VT-x",
		.slat = &vmx_feat.ept,
		.next_rip = true,
		.tsc_scaling = vmx_feat.tsc_scaling,
		.tsc_ratio_bits = TSC_RATIO_BITS,
		.tsc_ratio_end = TSC_RATIO_END,
		.virtual_nmi = true,
		.pause_filter = vmx_feat.ple,
		.pml = vmx_feat.pml,
		.apic = vmx_feat.apicv,
		.asids = vmx_feat.vpid ? 65536 : 0,
	};
	vmx_describe(caps);
	return 0;
}
