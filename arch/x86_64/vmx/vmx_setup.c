/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: what a VMCS is filled with before its first entry, and the host's part
 * at each move to another pCPU. Everything else is the guest's state.
 * [SDM 3C 25.5 "Host-State Area"] [SDM 3C 25.6 "VM-Execution Control Fields"]
 */
#include <tern/cpu.h>
#include <tern/percpu.h>

#include "arch/x86_64/arch.h"
#include "vmx.h"

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x18
#define PML_LAST 511u
#define PLE_GAP 128u	 /* cycles between PAUSEs of one loop */
#define PLE_WINDOW 4096u /* cycles of spinning before the exit */
#define CR0_OWNED (CR0_NE | CR0_CD | CR0_NW)

struct table_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void write_controls(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	uint32_t proc2 = vmx_feat.control[GROUP_PROC2];

	if (!s->vpid)
		proc2 &= ~(1u << PROC2_VPID);
	vmcs_write(VMCS_PIN, vmx_feat.control[GROUP_PIN]);
	vmcs_write(VMCS_PROC, vmx_feat.control[GROUP_PROC]);
	vmcs_write(VMCS_PROC2, proc2);
	vmcs_write(VMCS_EXIT, vmx_feat.control[GROUP_EXIT]);
	vmcs_write(VMCS_ENTRY, vmx_feat.control[GROUP_ENTRY]);
	vmcs_write(VMCS_EXCEPTIONS, VMX_EXCEPTIONS);
	vmcs_write(VMCS_PF_MASK, 0);
	vmcs_write(VMCS_PF_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGETS, 0);
	vmcs_write(VMCS_EXIT_MSR_STORES, 0);
	vmcs_write(VMCS_EXIT_MSR_LOADS, 0);
	vmcs_write(VMCS_ENTRY_MSR_LOADS, 0);
	vmcs_write(VMCS_CR0_MASK, CR0_OWNED);
	vmcs_write(VMCS_CR4_MASK, vmx_feat.cr4_owned);
	vmcs_write(VMCS_MSR_BITMAP, vmx_feat.msr_bitmap.v);
	vmcs_write(VMCS_EPTP, ept_pointer(v->vm->slat));
	if (s->apic) {
		vmcs_write(VMCS_VIRTUAL_APIC, ptr_hpa(s->apic).v);
		vmcs_write(VMCS_TPR_THRESHOLD, 0);
	}
	if (s->vpid)
		vmcs_write(VMCS_VPID, s->vpid);
	if (guest_feat.xsaves)
		vmcs_write(VMCS_XSS_EXITS, 0); /* XSS is 0: there is nothing to exit for */
	if (vmx_feat.ple) {
		vmcs_write(VMCS_PLE_GAP, PLE_GAP);
		vmcs_write(VMCS_PLE_WINDOW, PLE_WINDOW);
	}
	if (s->pml) {
		vmcs_write(VMCS_PML_ADDRESS, ptr_hpa(s->pml).v);
		vmcs_write(GUEST_PML_INDEX, PML_LAST);
	}
}

/* What never changes of guest and host. */
static void write_constants(void)
{
	vmcs_write(GUEST_LINK, ~0ull);
	vmcs_write(GUEST_DEBUGCTL, 0);
	vmcs_write(GUEST_ACTIVITY, 0);
	vmcs_write(HOST_CS, SEL_CODE);
	vmcs_write(HOST_SS, SEL_DATA);
	vmcs_write(HOST_DS, SEL_DATA);
	vmcs_write(HOST_ES, SEL_DATA);
	vmcs_write(HOST_FS, 0);
	vmcs_write(HOST_GS, 0);
	vmcs_write(HOST_TR, SEL_TSS);
	vmcs_write(HOST_FS_BASE, 0);
	vmcs_write(HOST_SYSENTER_CS, 0);
	vmcs_write(HOST_SYSENTER_ESP, 0);
	vmcs_write(HOST_SYSENTER_EIP, 0);
	vmcs_write(HOST_RIP, (uint64_t)vmx_exit_point);
}

void vmx_setup_vmcs(struct virt_vcpu *v)
{
	write_controls(v);
	write_constants();
}

#define READ_CR(n)                                                                                 \
	({                                                                                         \
		uint64_t cr_;                                                                      \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(cr_));                                \
		cr_;                                                                               \
	})

/* What differs between pCPUs of the host's. */
void vmx_setup_host(void)
{
	struct table_ptr gdtr, idtr;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	__asm__ volatile("sidt %0" : "=m"(idtr));
	vmcs_write(HOST_CR0, READ_CR(0));
	vmcs_write(HOST_CR3, READ_CR(3));
	vmcs_write(HOST_CR4, READ_CR(4));
	vmcs_write(HOST_EFER, rdmsr(MSR_EFER));
	vmcs_write(HOST_PAT, rdmsr(MSR_PAT));
	vmcs_write(HOST_GS_BASE, (uint64_t)this_cpu());
	vmcs_write(HOST_TR_BASE, (uint64_t)&this_cpu()->arch->tss);
	vmcs_write(HOST_GDTR_BASE, gdtr.base);
	vmcs_write(HOST_IDTR_BASE, idtr.base);
}
