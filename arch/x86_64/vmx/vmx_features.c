/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: from capability MSRs to control words, by one table: what is required,
 * what is taken where present, what must not be forced on; the rest stays off.
 * "virt.without = pml ad" in tern.conf leaves wanted features out, for tests of
 * what older CPUs need. Pure but for RDMSR.
 * [SDM 3D Appendix A "VMX Capability Reporting Facility"]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/cpu.h>

#include "vmx.h"

#define MSR_VMX_CR0_FIXED0 0x486u
#define MSR_VMX_CR0_FIXED1 0x487u
#define MSR_VMX_CR4_FIXED0 0x488u
#define MSR_VMX_CR4_FIXED1 0x489u
#define CR0_GUESTS 0xe005003full /* bits that a guest may have: any of them must be free */

static const struct {
	uint32_t msr, true_msr;
} group_msr[GROUPS] = {
	[GROUP_PIN] = { 0x481, 0x48d },	  [GROUP_PROC] = { 0x482, 0x48e },
	[GROUP_PROC2] = { 0x48b, 0x48b }, [GROUP_EXIT] = { 0x483, 0x48f },
	[GROUP_ENTRY] = { 0x484, 0x490 },
};

/* Reserved bits that are 1, but for the exits on CR3, which are in the table. */
static const uint32_t reserved_ones[GROUPS] = { 0x16, 0x04006172, 0, 0x36dff, 0x11ff };

enum need { REQUIRED, WANTED, ABSENT };
static const struct {
	uint8_t group, bit, need;
	const char *name; /* of wanted ones: for virt.without */
} controls[] = {
	{ GROUP_PIN, PIN_EXTERNAL_INTERRUPT, REQUIRED, "exits on external interrupts" },
	{ GROUP_PIN, PIN_NMI, REQUIRED, "exits on NMI" },
	{ GROUP_PIN, PIN_VIRTUAL_NMI, REQUIRED, "virtual NMIs" },
	{ GROUP_PIN, PIN_TIMER, WANTED, "timer" },
	{ GROUP_PROC, PROC_TSC_OFFSET, REQUIRED, "a TSC offset" },
	{ GROUP_PROC, PROC_HLT, REQUIRED, "exits on HLT" },
	{ GROUP_PROC, PROC_MWAIT, REQUIRED, "exits on MWAIT" },
	{ GROUP_PROC, PROC_MONITOR, REQUIRED, "exits on MONITOR" },
	{ GROUP_PROC, PROC_RDPMC, REQUIRED, "exits on RDPMC" },
	{ GROUP_PROC, PROC_INVLPG, ABSENT, "exits on INVLPG" },
	{ GROUP_PROC, PROC_RDTSC, ABSENT, "exits on RDTSC" },
	{ GROUP_PROC, PROC_CR3_LOAD, ABSENT, "exits on CR3" },
	{ GROUP_PROC, PROC_CR3_STORE, ABSENT, "exits on CR3" },
	{ GROUP_PROC, PROC_MOV_DR, ABSENT, "exits on debug registers" },
	{ GROUP_PROC, PROC_TRAP_FLAG, ABSENT, "an exit after each instruction" },
	{ GROUP_PROC, PROC_PAUSE, ABSENT, "exits on PAUSE" },
	{ GROUP_PROC, PROC_CR8_LOAD, REQUIRED, "exits on CR8" },
	{ GROUP_PROC, PROC_CR8_STORE, REQUIRED, "exits on CR8" },
	{ GROUP_PROC, PROC_TPR_SHADOW, WANTED, "tpr-shadow" },
	{ GROUP_PROC, PROC_IO, REQUIRED, "exits on I/O" },
	{ GROUP_PROC, PROC_MSR_BITMAP, REQUIRED, "MSR bitmaps" },
	{ GROUP_PROC, PROC_SECONDARY, REQUIRED, "secondary controls" },
	{ GROUP_PROC2, PROC2_EPT, REQUIRED, "EPT" },
	{ GROUP_PROC2, PROC2_UNRESTRICTED, REQUIRED, "unrestricted guest" },
	{ GROUP_PROC2, PROC2_VPID, WANTED, "vpid" },
	{ GROUP_PROC2, PROC2_RDTSCP, WANTED, "rdtscp" },
	{ GROUP_PROC2, PROC2_WBINVD, WANTED, "wbinvd" },
	{ GROUP_PROC2, PROC2_X2APIC, WANTED, "apicv" },
	{ GROUP_PROC2, PROC2_APIC_REGISTERS, WANTED, "apicv" },
	{ GROUP_PROC2, PROC2_VIRTUAL_INTERRUPTS, WANTED, "apicv" },
	{ GROUP_PROC2, PROC2_PLE, WANTED, "ple" },
	{ GROUP_PROC2, PROC2_INVPCID, WANTED, "invpcid" },
	{ GROUP_PROC2, PROC2_PML, WANTED, "pml" },
	{ GROUP_PROC2, PROC2_XSAVES, WANTED, "xsaves" },
	{ GROUP_PROC2, PROC2_TSC_SCALING, WANTED, "tsc-scaling" },
	{ GROUP_EXIT, EXIT_SAVE_DEBUG, REQUIRED, "saving of debug controls" },
	{ GROUP_EXIT, EXIT_HOST_64, REQUIRED, "a 64-bit host" },
	{ GROUP_EXIT, EXIT_SAVE_PAT, REQUIRED, "switching of PAT" },
	{ GROUP_EXIT, EXIT_LOAD_PAT, REQUIRED, "switching of PAT" },
	{ GROUP_EXIT, EXIT_SAVE_EFER, REQUIRED, "switching of EFER" },
	{ GROUP_EXIT, EXIT_LOAD_EFER, REQUIRED, "switching of EFER" },
	{ GROUP_ENTRY, ENTRY_LOAD_DEBUG, REQUIRED, "loading of debug controls" },
	{ GROUP_ENTRY, ENTRY_LOAD_PAT, REQUIRED, "switching of PAT" },
	{ GROUP_ENTRY, ENTRY_LOAD_EFER, REQUIRED, "switching of EFER" },
};

int vmx_refuse(char *why, size_t len, const char *format, const char *what)
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

/* A bit that is forced on, and neither ours nor harmless. */
static int refuse_forced(unsigned g, uint32_t forced, char *why, size_t len)
{
	char bit[48];

	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++)
		if (controls[i].group == g && (forced >> controls[i].bit & 1))
			return vmx_refuse(why, len, "VT-x that cannot turn off %s",
					  controls[i].name);
	(void)snprintf(bit, sizeof(bit), "bit %u of control group %u", __builtin_ctz(forced), g);
	return vmx_refuse(why, len, "VT-x that cannot turn off %s", bit);
}

int vmx_find_controls(bool true_controls, char *why, size_t len)
{
	uint64_t allowed[GROUPS];
	uint32_t forced[GROUPS];

	for (unsigned g = 0; g < GROUPS; g++) {
		allowed[g] = group_allowed(g, true_controls);
		vmx_feat.chosen[g] = (uint32_t)allowed[g];
		forced[g] = (uint32_t)allowed[g] & ~reserved_ones[g];
	}
	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
		unsigned g = controls[i].group;
		uint32_t bit = 1u << controls[i].bit;
		bool have = allowed[g] >> 32 & bit, must = controls[i].need == REQUIRED;

		if (!have && must)
			return vmx_refuse(why, len, "VT-x without %s", controls[i].name);
		if (controls[i].need == ABSENT)
			continue;
		forced[g] &= ~bit;
		if (have && (must || !guest_left_out(controls[i].name)))
			vmx_feat.chosen[g] |= bit;
	}
	vmx_feat.posted = allowed[GROUP_PIN] >> (32 + PIN_POSTED) & 1;
	for (unsigned g = 0; g < GROUPS; g++)
		if (forced[g])
			return refuse_forced(g, forced[g], why, len);
	return 0;
}

/*
 * Bits of CR0 and CR4 that VMX fixes. Unrestricted guest frees PE and PG; NE and
 * VMXE are hidden from guests by the read shadows, others could not be.
 * [SDM 3D A.7 "VMX-Fixed Bits in CR0"]
 */
int vmx_find_fixed(char *why, size_t len)
{
	uint64_t cr0[2], cr4[2];

	if (rdmsr_safe(MSR_VMX_CR0_FIXED0, &cr0[0]) || rdmsr_safe(MSR_VMX_CR0_FIXED1, &cr0[1]) ||
	    rdmsr_safe(MSR_VMX_CR4_FIXED0, &cr4[0]) || rdmsr_safe(MSR_VMX_CR4_FIXED1, &cr4[1]))
		return vmx_refuse(why, len, "VT-x without %s",
				  "the MSRs of fixed CR0 and CR4 bits");
	if ((cr0[0] & ~(CR0_NE | CR0_PE | CR0_PG)) || (~cr0[1] & CR0_GUESTS))
		return vmx_refuse(why, len, "VT-x that fixes more of %s", "CR0 than NE, PE and PG");
	if (cr4[0] & ~CR4_VMXE)
		return vmx_refuse(why, len, "VT-x that fixes more of %s", "CR4 than VMXE");
	vmx_feat.cr0_fixed = cr0[0] & CR0_NE;
	guest_feat.cr4_mask &= cr4[1];
	return 0;
}

/* This CPU takes the words that were chosen on the boot CPU? */
bool vmx_controls_fit(void)
{
	uint64_t basic, v;

	if (rdmsr_safe(MSR_VMX_BASIC, &basic))
		return false;
	for (unsigned g = 0; g < GROUPS; g++) {
		v = group_allowed(g, (basic & BASIC_TRUE_CONTROLS) != 0);
		if ((vmx_feat.chosen[g] & ~(v >> 32)) || ((uint32_t)v & ~vmx_feat.chosen[g]))
			return false;
	}
	return true;
}

/* The wanted features that are in use. */
void vmx_describe(struct virt_caps *caps)
{
	const char *last = "";

	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++) {
		if (controls[i].need != WANTED || !strcmp(controls[i].name, last) ||
		    !(vmx_feat.chosen[controls[i].group] >> controls[i].bit & 1))
			continue;
		last = controls[i].name; /* some features are several bits */
		guest_add_word(caps->features, sizeof(caps->features), last);
	}
	if (vmx_feat.ept_ad)
		guest_add_word(caps->features, sizeof(caps->features), "ad");
	if (vmx_feat.ept_1g)
		guest_add_word(caps->features, sizeof(caps->features), "1g");
	log_debug("vmx", "controls: pin %x proc %x proc2 %x exit %x entry %x",
		  vmx_feat.control[GROUP_PIN], vmx_feat.control[GROUP_PROC],
		  vmx_feat.control[GROUP_PROC2], vmx_feat.control[GROUP_EXIT],
		  vmx_feat.control[GROUP_ENTRY]);
}
