/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: from VM exit to a neutral exit, by table: reason, whether the CPU gives
 * an instruction's length with it, and a function for what else there is to
 * tell. [SDM 3D Appendix C "VMX Basic Exit Reasons"] [SDM 3C 28.2 "Recording VM-Exit Information"]
 */
#include <tern/cpu.h>

#include "vmx.h"

#define CR_TYPE_WRITE 0u
#define CR_TYPE_READ 1u

struct row {
	bool known;
	uint8_t reason; /* enum exit_reason */
	bool insn;	/* an instruction ended here: its length is valid */
	void (*fill)(struct virt_vcpu *v, struct vmexit *x);
};

static void fill_pio(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t q = vmcs_read(EXIT_QUALIFICATION);
	uint64_t info;

	x->pio.port = (uint16_t)(q >> IO_PORT_SHIFT);
	x->pio.size = (uint8_t)((q & IO_SIZE) + 1);
	x->pio.in = (q & IO_IN) != 0;
	x->pio.string = (q & IO_STRING) != 0;
	x->pio.rep = (q & IO_REP) != 0;
	x->pio.addr_size = 0;
	x->pio.seg = 0xff;
	if (!x->pio.string)
		return;
	if (vmx_feat.string_info) {
		info = vmcs_read(EXIT_INSN_INFO);
		x->pio.addr_size = (uint8_t)(2u << (info >> INFO_ADDR_SHIFT & 7));
		if (!x->pio.in)
			x->pio.seg = (uint8_t)(info >> INFO_SEG_SHIFT & 7);
	}
	vmx_mode(v, &x->mode);
}

static void fill_rdmsr(struct virt_vcpu *v, struct vmexit *x)
{
	x->msr.index = (uint32_t)v->gpr[GPR_RCX];
	x->msr.value = 0;
}

static void fill_wrmsr(struct virt_vcpu *v, struct vmexit *x)
{
	x->msr.index = (uint32_t)v->gpr[GPR_RCX];
	x->msr.value = v->gpr[GPR_RDX] << 32 | (uint32_t)v->gpr[GPR_RAX];
}

/* CLTS and LMSW change only bits of CR0 that the guest owns: they do not come here. */
static void fill_cr(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t q = vmcs_read(EXIT_QUALIFICATION);
	unsigned type = (unsigned)(q >> 4 & 3);

	if (type != CR_TYPE_WRITE && type != CR_TYPE_READ) {
		vmx_fail_exit(x, "CLTS or LMSW");
		return;
	}
	x->cr.cr = q & 0xf;
	x->cr.write = type == CR_TYPE_WRITE;
	x->cr.gpr = (uint8_t)(q >> 8 & 0xf);
	x->cr.gpr_valid = true;
	vmx_mode(v, &x->mode);
}

static void fill_irq_window(struct virt_vcpu *v, struct vmexit *x)
{
	(void)x;
	vmx_irq_window(v, false);
}

static void fill_nmi_window(struct virt_vcpu *v, struct vmexit *x)
{
	(void)x;
	vmx_nmi_window(v, false);
}

static void fill_violation(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t q = vmcs_read(EXIT_QUALIFICATION);

	x->fault.gpa = GPA(vmcs_read(EXIT_GUEST_PHYSICAL));
	x->fault.gva_valid = (q & EPT_VIOLATION_GVA) != 0;
	x->fault.gva = x->fault.gva_valid ? vmcs_read(EXIT_GUEST_LINEAR) : 0;
	x->fault.write = (q & EPT_VIOLATION_WRITE) != 0;
	x->fault.fetch = (q & EPT_VIOLATION_FETCH) != 0;
	x->fault.present = (q & EPT_VIOLATION_PRESENT) != 0;
	x->fault.walk = x->fault.gva_valid && !(q & EPT_VIOLATION_FINAL);
	vmx_mode(v, &x->mode);
}

static void fill_misconfig(struct virt_vcpu *v, struct vmexit *x)
{
	(void)v;
	vmx_fail_exit(x, "an EPT entry that the CPU does not take");
}

static void fill_task_switch(struct virt_vcpu *v, struct vmexit *x)
{
	(void)v;
	vmx_fail_exit(x, "a hardware task switch");
}

/* Indexed by exit reason; what is not here is not asked for. */
static const struct row rows[REASONS] = {
	[REASON_EXCEPTION] = { true, EXIT_NONE, false, vmx_on_exception },
	[REASON_EXTERNAL] = { true, EXIT_NONE, false, NULL },
	[REASON_TRIPLE_FAULT] = { true, EXIT_TRIPLE_FAULT, false, NULL },
	[REASON_INIT] = { true, EXIT_NONE, false, NULL },
	[REASON_SIPI] = { true, EXIT_NONE, false, NULL },
	[REASON_IRQ_WINDOW] = { true, EXIT_IRQ_WINDOW, false, fill_irq_window },
	[REASON_NMI_WINDOW] = { true, EXIT_NMI_WINDOW, false, fill_nmi_window },
	[REASON_TASK_SWITCH] = { true, EXIT_FAILED, false, fill_task_switch },
	[REASON_CPUID] = { true, EXIT_CPUID, true, NULL },
	[REASON_GETSEC] = { true, EXIT_UNDEFINED, true, NULL },
	[REASON_HLT] = { true, EXIT_HLT, true, NULL },
	[REASON_INVD] = { true, EXIT_WBINVD, true, NULL },
	[REASON_RDPMC] = { true, EXIT_REFUSED, true, NULL },
	[REASON_VMCALL] = { true, EXIT_HYPERCALL, true, NULL },
	[REASON_VMCLEAR... REASON_VMXON] = { true, EXIT_UNDEFINED, true, NULL },
	[REASON_CR] = { true, EXIT_CR_ACCESS, true, fill_cr },
	[REASON_IO] = { true, EXIT_PIO, true, fill_pio },
	[REASON_RDMSR] = { true, EXIT_MSR_READ, true, fill_rdmsr },
	[REASON_WRMSR] = { true, EXIT_MSR_WRITE, true, fill_wrmsr },
	[REASON_MWAIT] = { true, EXIT_UNDEFINED, true, NULL },
	[REASON_MONITOR] = { true, EXIT_UNDEFINED, true, NULL },
	[REASON_PAUSE] = { true, EXIT_PAUSE, true, NULL },
	[REASON_EPT_VIOLATION] = { true, EXIT_SLAT_FAULT, false, fill_violation },
	[REASON_EPT_MISCONFIG] = { true, EXIT_FAILED, false, fill_misconfig },
	[REASON_TPR] = { true, EXIT_NONE, false, NULL }, /* the kernel looks again */
	[REASON_EOI] = { true, EXIT_EOI, false, vmx_on_eoi },
	/* A self-IPI of an illegal vector: it has no effect. */
	[REASON_APIC_WRITE] = { true, EXIT_NONE, false, NULL },
	[REASON_INVEPT] = { true, EXIT_UNDEFINED, true, NULL },
	[REASON_TIMER] = { true, EXIT_NONE, false, NULL },
	[REASON_INVVPID] = { true, EXIT_UNDEFINED, true, NULL },
	[REASON_WBINVD] = { true, EXIT_WBINVD, true, NULL },
	[REASON_XSETBV] = { true, EXIT_XSETBV, true, NULL },
	[REASON_PML_FULL] = { true, EXIT_NONE, false, NULL }, /* emptied at every exit */
};

/*
 * Would an interrupt be taken at the next entry? An instruction that exited
 * ends the shadow it stood in when the kernel steps over it.
 */
static void readiness(struct virt_vcpu *v, const struct vmexit *x)
{
	struct vmx_vcpu *s = vmx_of(v);
	bool shadow = (s->blocking & (BLOCKED_STI | BLOCKED_MOV_SS)) && !x->insn_len;
	bool free = v->event.type == EV_NONE;

	v->irq_ready = free && !shadow && (v->rflags & RFLAGS_IF);
	v->nmi_ready = free && !shadow && !(s->blocking & BLOCKED_NMI);
}

void vmx_exit(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t reason = vmcs_read(EXIT_REASON);
	const struct row *row;

	x->insn_len = x->insn_bytes = 0;
	if (reason & REASON_FAILED_ENTRY) {
		vmx_fail_entry(v, x);
		return;
	}
	vmx_event_leave(v);
	row = reason < REASONS ? &rows[reason] : NULL;
	if (row && row->known) {
		x->reason = row->reason;
		if (row->insn)
			x->insn_len = (uint8_t)vmcs_read(EXIT_INSN_LEN);
		if (row->fill)
			row->fill(v, x);
	} else {
		vmx_fail_exit(x, "exit that nobody asked for");
	}
	readiness(v, x);
}
