/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: from capability MSRs to control words, by one table: what is required,
 * what is taken where present; what is not in the table stays off. Nested
 * paging and unrestricted guest are required; A/D flags, PML, VPID, TSC scaling
 * and PAUSE-loop exits are used where present. "virt.without = pml ad" in
 * tern.conf leaves features out, for tests of what older CPUs need.
 * [SDM 3D Appendix A "VMX Capability Reporting Facility"]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/cpu.h>
#include <tern/timer.h>

#include "vmx.h"

#define MSR_VMX_BASIC 0x480u
#define BASIC_STRING_INFO BIT(54)
#define BASIC_TRUE_CONTROLS BIT(55)
#define MSR_VMX_MISC 0x485u
#define MISC_TIMER_SHIFT 0x1full
#define MSR_VMX_CR4_FIXED1 0x489u
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

static const struct {
	uint32_t msr, true_msr;
} group_msr[GROUPS] = {
	[GROUP_PIN] = { 0x481, 0x48d },	  [GROUP_PROC] = { 0x482, 0x48e },
	[GROUP_PROC2] = { 0x48b, 0x48b }, [GROUP_EXIT] = { 0x483, 0x48f },
	[GROUP_ENTRY] = { 0x484, 0x490 },
};

static const struct {
	uint8_t group, bit;
	bool required;
	const char *name; /* of wanted ones: for virt.without */
} controls[] = {
	{ GROUP_PIN, PIN_EXTERNAL_INTERRUPT, true, "exits on external interrupts" },
	{ GROUP_PIN, PIN_NMI, true, "exits on NMI" },
	{ GROUP_PIN, PIN_VIRTUAL_NMI, true, "virtual NMIs" },
	{ GROUP_PIN, PIN_TIMER, false, "timer" },
	{ GROUP_PROC, PROC_TSC_OFFSET, true, "a TSC offset" },
	{ GROUP_PROC, PROC_HLT, true, "exits on HLT" },
	{ GROUP_PROC, PROC_MWAIT, true, "exits on MWAIT" },
	{ GROUP_PROC, PROC_MONITOR, true, "exits on MONITOR" },
	{ GROUP_PROC, PROC_RDPMC, true, "exits on RDPMC" },
	{ GROUP_PROC, PROC_CR8_LOAD, true, "exits on CR8" },
	{ GROUP_PROC, PROC_CR8_STORE, true, "exits on CR8" },
	{ GROUP_PROC, PROC_IO, true, "exits on I/O" },
	{ GROUP_PROC, PROC_MSR_BITMAP, true, "MSR bitmaps" },
	{ GROUP_PROC, PROC_SECONDARY, true, "secondary controls" },
	{ GROUP_PROC2, PROC2_EPT, true, "EPT" },
	{ GROUP_PROC2, PROC2_UNRESTRICTED, true, "unrestricted guest" },
	{ GROUP_PROC2, PROC2_VPID, false, "vpid" },
	{ GROUP_PROC2, PROC2_RDTSCP, false, "rdtscp" },
	{ GROUP_PROC2, PROC2_WBINVD, false, "wbinvd" },
	{ GROUP_PROC2, PROC2_PLE, false, "ple" },
	{ GROUP_PROC2, PROC2_PML, false, "pml" },
	{ GROUP_PROC2, PROC2_TSC_SCALING, false, "tsc-scaling" },
	{ GROUP_EXIT, EXIT_SAVE_DEBUG, true, "saving of debug controls" },
	{ GROUP_EXIT, EXIT_HOST_64, true, "a 64-bit host" },
	{ GROUP_EXIT, EXIT_SAVE_PAT, true, "switching of PAT" },
	{ GROUP_EXIT, EXIT_LOAD_PAT, true, "switching of PAT" },
	{ GROUP_EXIT, EXIT_SAVE_EFER, true, "switching of EFER" },
	{ GROUP_EXIT, EXIT_LOAD_EFER, true, "switching of EFER" },
	{ GROUP_ENTRY, ENTRY_LOAD_DEBUG, true, "loading of debug controls" },
	{ GROUP_ENTRY, ENTRY_LOAD_PAT, true, "switching of PAT" },
	{ GROUP_ENTRY, ENTRY_LOAD_EFER, true, "switching of EFER" },
};

/* Said in tern.conf to be left out? */
static bool left_out(const char *name)
{
	const char *list = config_get("virt.without");
	size_t len = strlen(name);

	for (const char *p = list; p && (p = strstr(p, name)) != NULL; p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

static int refuse(char *why, size_t len, const char *format, const char *what)
{
	(void)snprintf(why, len, format, what);
	return -ENOTSUP;
}

/* Low half: bits that must be 1; high half: bits that may be 1. */
static uint64_t group_allowed(unsigned group, bool true_controls)
{
	uint64_t v;

	if (rdmsr_safe(true_controls ? group_msr[group].true_msr : group_msr[group].msr, &v))
		return 0;
	return v;
}

static int find_controls(bool true_controls, char *why, size_t len)
{
	uint64_t allowed[GROUPS];

	for (unsigned g = 0; g < GROUPS; g++) {
		allowed[g] = group_allowed(g, true_controls);
		vmx_feat.control[g] = (uint32_t)allowed[g];
	}
	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
		unsigned g = controls[i].group;
		uint32_t bit = 1u << controls[i].bit;

		if (!(allowed[g] >> 32 & bit) && controls[i].required)
			return refuse(why, len, "VT-x without %s", controls[i].name);
		if ((allowed[g] >> 32 & bit) &&
		    (controls[i].required || !left_out(controls[i].name)))
			vmx_feat.control[g] |= bit;
	}
	if (allowed[GROUP_PROC] & (BIT(PROC_CR3_LOAD) | BIT(PROC_CR3_STORE)))
		return refuse(why, len, "VT-x whose exits on CR3 %s", "cannot be turned off");
	return 0;
}

static bool have2(unsigned bit)
{
	return vmx_feat.control[GROUP_PROC2] >> bit & 1;
}

static int find_ept(char *why, size_t len)
{
	uint64_t v;

	if (rdmsr_safe(MSR_VMX_EPT_VPID, &v) || (v & EPT_REQUIRED) != EPT_REQUIRED ||
	    !(v & (EPT_INVEPT_SINGLE | EPT_INVEPT_ALL)))
		return refuse(why, len, "VT-x whose EPT lacks %s",
			      "4 levels, write-back, 2 MiB pages or INVEPT");
	vmx_feat.ept_ad = (v & EPT_AD) && !left_out("ad");
	vmx_feat.ept_1g = (v & EPT_1G) != 0;
	vmx_feat.invept_single = (v & EPT_INVEPT_SINGLE) != 0;
	vmx_feat.invvpid_single = (v & VPID_SINGLE) != 0;
	vmx_feat.vpid = have2(PROC2_VPID) && (v & VPID_INVVPID) && (v & (VPID_SINGLE | VPID_ALL));
	if (!vmx_feat.vpid)
		vmx_feat.control[GROUP_PROC2] &= ~(1u << PROC2_VPID);
	vmx_feat.pml = have2(PROC2_PML) && vmx_feat.ept_ad;
	/* Turned on with tracking, by vCPU. */
	vmx_feat.control[GROUP_PROC2] &= ~(1u << PROC2_PML);
	vmx_feat.tsc_scaling = have2(PROC2_TSC_SCALING);
	vmx_feat.ple = have2(PROC2_PLE);
	ept_format_init(&vmx_feat.ept, vmx_feat.ept_ad, vmx_feat.ept_1g);
	return 0;
}

static int find_vmx(char *why, size_t len)
{
	uint64_t basic;
	int r;

	if (!(cpuid(1, 0).ecx & CPUID_VMX) || rdmsr_safe(MSR_VMX_BASIC, &basic))
		return refuse(why, len, "the CPU has no %s", "VT-x");
	if (vmx_locked_off())
		return refuse(why, len, "VT-x is locked off in %s: enable it in the firmware",
			      "IA32_FEATURE_CONTROL");
	vmx_feat.revision = (uint32_t)basic & 0x7fffffff;
	vmx_feat.string_info = (basic & BASIC_STRING_INFO) != 0;
	r = find_controls((basic & BASIC_TRUE_CONTROLS) != 0, why, len);
	return r ? r : find_ept(why, len);
}

int vmx_probe(struct virt_caps *caps, char *why, size_t why_len)
{
	int r = find_vmx(why, why_len);

	if (r)
		return r;
	guest_probe();
	guest_feat.rdtscp = guest_feat.rdtscp && have2(PROC2_RDTSCP);
	guest_feat.efer_mask &= EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	guest_feat.cr4_mask &= rdmsr(MSR_VMX_CR4_FIXED1);
	/* Turned on by entry. */
	vmx_feat.timer = vmx_feat.control[GROUP_PIN] >> PIN_TIMER & 1;
	vmx_feat.control[GROUP_PIN] &= ~(1u << PIN_TIMER);
	vmx_feat.timer_ticks =
		(uint32_t)((uint64_t)tsc_khz() >> (rdmsr(MSR_VMX_MISC) & MISC_TIMER_SHIFT));
	vmx_feat.cr0_fixed = CR0_NE;
	vmx_feat.cr4_owned = ~(CR4_GUESTS_OWN & guest_feat.cr4_mask);
	r = vmx_msr_init();
	for (unsigned i = 0; !r && i < cpu_count(); i++)
		r = vmx_cpu_alloc(i);
	if (r)
		return refuse(why, why_len, "no memory for %s", "VT-x's control areas");
	*caps = (struct virt_caps){
		.name = "VT-x",
		.slat = &vmx_feat.ept,
		.next_rip = true,
		.tsc_scaling = vmx_feat.tsc_scaling,
		.virtual_nmi = true,
		.pause_filter = vmx_feat.ple,
		.pml = vmx_feat.pml,
		.asids = vmx_feat.vpid ? 65536 : 0,
	};
	return 0;
}
