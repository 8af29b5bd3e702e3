/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: entries that the CPU refused, in words. A failed instruction is our
 * own error, a refused guest state mostly the guest's or a migration's.
 * [SDM 3C 31.4 "VM Instruction Error Numbers"] [SDM 3C 27.8 "VM-Entry Failures During or After
 * Loading Guest State"]
 */
#include <stdio.h>

#include "arch/x86_64/mce.h"
#include "vmx.h"

static const char *const instruction_errors[] = {
	[1] = "VMCALL executed in VMX root operation",
	[2] = "VMCLEAR with invalid physical address",
	[3] = "VMCLEAR with VMXON pointer",
	[4] = "VMLAUNCH with VMCS that is not clear",
	[5] = "VMRESUME with VMCS that is not launched",
	[6] = "VMRESUME after VMXOFF",
	[7] = "invalid control fields",
	[8] = "invalid host-state fields",
	[9] = "VMPTRLD with invalid physical address",
	[10] = "VMPTRLD with VMXON pointer",
	[11] = "VMPTRLD with wrong VMCS revision",
	[12] = "access to a VMCS field that is not there",
	[13] = "VMWRITE to a read-only field",
	[15] = "VMXON in VMX root operation",
	[16] = "invalid executive VMCS pointer",
	[17] = "executive VMCS that is not launched",
	[18] = "executive VMCS pointer is not the VMXON pointer",
	[19] = "VMCALL with VMCS that is not clear",
	[20] = "VMCALL with invalid exit controls",
	[22] = "VMCALL with wrong MSEG revision",
	[23] = "VMXOFF under dual-monitor treatment",
	[24] = "VMCALL with invalid SMM features",
	[25] = "invalid execution controls in executive VMCS",
	[26] = "events blocked by MOV SS",
	[28] = "invalid operand to INVEPT or INVVPID",
};

static const char *const guest_state_details[] = {
	[2] = "guest state: loading the PDPTEs",
	[3] = "guest state: NMI with events blocked by STI",
	[4] = "guest state: VMCS link pointer",
};

static void fill(struct vmexit *x, uint64_t code, uint64_t info1, uint64_t info2, const char *text)
{
	x->reason = EXIT_FAILED;
	x->insn_len = x->insn_bytes = 0;
	x->fail.code = code;
	x->fail.info1 = info1;
	x->fail.info2 = info2;
	(void)snprintf(x->fail.text, sizeof(x->fail.text), "%s", text);
}

void vmx_fail_exit(struct vmexit *x, const char *text)
{
	fill(x, vmcs_read(EXIT_REASON), vmcs_read(EXIT_QUALIFICATION),
	     vmcs_read(EXIT_GUEST_PHYSICAL), text);
}

static const char *guest_state_text(uint64_t qualification)
{
	if (qualification < ARRAY_SIZE(guest_state_details) && guest_state_details[qualification])
		return guest_state_details[qualification];
	return "VM entry refused the guest state";
}

const char *vmx_entry_text(uint64_t reason, uint64_t qualification)
{
	switch (reason & 0xffff) {
	case REASON_GUEST_STATE:
		return guest_state_text(qualification);
	case REASON_MSR_LOADING:
		return "VM entry could not load an MSR";
	case REASON_MACHINE_CHECK:
		return "machine check during VM entry";
	default:
		return "VM entry failed";
	}
}

const char *vmx_instruction_text(uint64_t error)
{
	if (error < ARRAY_SIZE(instruction_errors) && instruction_errors[error])
		return instruction_errors[error];
	return "unknown VM instruction error";
}

/*
 * An exit whose reason says that the entry failed: the guest has not run. A VMCS
 * that was to be launched is still not; clearing it makes that so for both kinds.
 */
void vmx_fail_entry(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t reason = vmcs_read(EXIT_REASON), qualification = vmcs_read(EXIT_QUALIFICATION);

	if ((reason & 0xffff) == REASON_MACHINE_CHECK)
		mce_check("at VM entry");
	fill(x, reason, qualification, vmcs_read(GUEST_RIP), vmx_entry_text(reason, qualification));
	vmcs_write(ENTRY_EVENT, 0); /* or it would be delivered by the next entry */
	vmcs_clear(vmx_of(v));
	vmcs_load(vmx_of(v));
}

void vmx_fail_instruction(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t error = vmcs_read(VM_INSTRUCTION_ERROR);

	(void)v;
	vmcs_write(ENTRY_EVENT, 0);
	fill(x, error, 0, 0, vmx_instruction_text(error));
}
