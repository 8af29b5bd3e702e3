/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: from #VMEXIT to a neutral exit, by table: reason, length of the
 * instruction where it has one form only, and a function for what else there
 * is to tell. Without next-RIP the lengths are those of the plain encodings;
 * compilers and kernels put no prefix on these instructions.
 * [APM2 Appendix C "SVM Intercept Exit Codes"]
 */
#include "arch/x86_64/mce.h"
#include "svm.h"

struct row {
	bool known;
	uint8_t reason; /* enum exit_reason */
	uint8_t length; /* 0: not an instruction, or unknown */
	void (*fill)(struct virt_vcpu *v, struct vmexit *x);
};

static void fill_pio(struct virt_vcpu *v, struct vmexit *x)
{
	struct vmcb *b = svm_of(v)->vmcb;
	uint64_t info = b->c.exit_info1;

	x->pio.port = (uint16_t)(info >> IOIO_PORT_SHIFT);
	x->pio.size = (uint8_t)(info >> IOIO_SIZE_SHIFT & 7);
	x->pio.in = (info & IOIO_IN) != 0;
	x->pio.string = (info & IOIO_STRING) != 0;
	x->pio.rep = (info & IOIO_REP) != 0;
	x->pio.addr_size = (uint8_t)((info >> IOIO_ADDR_SHIFT & 7) << 1);
	x->pio.seg = 0xff;
	if (svm_feat.decode_assist && x->pio.string)
		x->pio.seg = (uint8_t)(info >> IOIO_SEG_SHIFT & 7);
	x->insn_len = (uint8_t)(b->c.exit_info2 - b->s.rip); /* always given */
	if (x->pio.string)
		svm_mode(v, &x->mode);
}

static void fill_msr(struct virt_vcpu *v, struct vmexit *x)
{
	x->msr.index = (uint32_t)v->gpr[GPR_RCX];
	x->msr.value = 0;
	if (svm_of(v)->vmcb->c.exit_info1 & 1) {
		x->reason = EXIT_MSR_WRITE;
		x->msr.value = v->gpr[GPR_RDX] << 32 | (uint32_t)v->gpr[GPR_RAX];
	}
}

/* Asked for are writes of CR4 and CR8 only; 10.0 versions of QEMU report reads of any CR as CR0:
 * let the kernel decode. */
static void fill_cr(struct virt_vcpu *v, struct vmexit *x)
{
	uint32_t code = (uint32_t)svm_of(v)->vmcb->c.exit_code;
	uint64_t info = svm_of(v)->vmcb->c.exit_info1;

	x->cr.cr = code & 0xf;
	x->cr.write = code >= VMEXIT_CR_WRITE;
	x->cr.gpr_valid = svm_feat.decode_assist && (info & BIT(63));
	x->cr.gpr = info & 0xf;
	svm_mode(v, &x->mode);
}

static void fill_window(struct virt_vcpu *v, struct vmexit *x)
{
	(void)x;
	svm_irq_window(v, false);
}

static void fill_machine_check(struct virt_vcpu *v, struct vmexit *x)
{
	(void)v;
	(void)x;
	mce_check("in a guest");
}

/* Indexed by exit code; what is not here is not intercepted. */
static const struct row rows[] = {
	[VMEXIT_CR_READ] = { true, EXIT_CR_ACCESS, 0, fill_cr },
	[VMEXIT_EXCEPTION + 0] = { true, EXIT_EXCEPTION, 0, svm_on_exception },
	[VMEXIT_EXCEPTION + 1] = { true, EXIT_NONE, 0, svm_on_debug },
	[VMEXIT_EXCEPTION + 3] = { true, EXIT_DEBUG, 0, svm_on_break },
	[VMEXIT_EXCEPTION + 4 ... VMEXIT_EXCEPTION + 7] = { true, EXIT_EXCEPTION, 0,
							    svm_on_exception },
	[VMEXIT_EXCEPTION + 10 ... VMEXIT_EXCEPTION + 16] = { true, EXIT_EXCEPTION, 0,
							      svm_on_exception },
	[VMEXIT_EXCEPTION + 17] = { true, EXIT_NONE, 0, svm_on_alignment },
	[VMEXIT_EXCEPTION + 19] = { true, EXIT_EXCEPTION, 0, svm_on_exception },
	[VMEXIT_SWINT] = { true, EXIT_DEBUG, 0, svm_on_break },
	[VMEXIT_EXCEPTION + 18] = { true, EXIT_NONE, 0, fill_machine_check },
	[VMEXIT_INTR] = { true, EXIT_NONE, 0, NULL },
	[VMEXIT_NMI] = { true, EXIT_NONE, 0, NULL },
	[VMEXIT_SMI] = { true, EXIT_NONE, 0, NULL },
	[VMEXIT_INIT] = { true, EXIT_NONE, 0, NULL },
	[VMEXIT_VINTR] = { true, EXIT_IRQ_WINDOW, 0, fill_window },
	[VMEXIT_RDPMC] = { true, EXIT_REFUSED, 2, NULL },
	[VMEXIT_CPUID] = { true, EXIT_CPUID, 2, NULL },
	[VMEXIT_IRET] = { true, EXIT_NONE, 0, svm_on_iret },
	[VMEXIT_INVD] = { true, EXIT_WBINVD, 2, NULL },
	[VMEXIT_PAUSE] = { true, EXIT_PAUSE, 2, NULL },
	[VMEXIT_HLT] = { true, EXIT_HLT, 1, NULL },
	[VMEXIT_INVLPGA] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_IOIO] = { true, EXIT_PIO, 0, fill_pio },
	[VMEXIT_MSR] = { true, EXIT_MSR_READ, 2, fill_msr },
	[VMEXIT_SHUTDOWN] = { true, EXIT_TRIPLE_FAULT, 0, NULL },
	[VMEXIT_VMRUN] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_VMMCALL] = { true, EXIT_HYPERCALL, 3, NULL },
	[VMEXIT_VMLOAD] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_VMSAVE] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_STGI] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_CLGI] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_SKINIT] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_WBINVD] = { true, EXIT_WBINVD, 2, NULL },
	[VMEXIT_MONITOR] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_MWAIT] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_MWAIT_ARMED] = { true, EXIT_UNDEFINED, 3, NULL },
	[VMEXIT_XSETBV] = { true, EXIT_XSETBV, 3, NULL },
};

static void fill_npf(struct virt_vcpu *v, struct vmexit *x)
{
	struct vmcb_control *c = &svm_of(v)->vmcb->c;
	uint64_t info = c->exit_info1;

	if (info & NPF_RESERVED) {
		svm_fail_exit(v, x, "reserved bit set in a nested page table");
		return;
	}
	x->reason = EXIT_SLAT_FAULT;
	x->fault.gpa = GPA(c->exit_info2);
	x->fault.gva = 0;
	x->fault.gva_valid = false;
	x->fault.present = (info & NPF_PRESENT) != 0;
	x->fault.write = (info & NPF_WRITE) != 0;
	x->fault.fetch = (info & NPF_FETCH) != 0;
	x->fault.walk = (info & NPF_WALK) != 0;
	if (svm_feat.decode_assist) {
		x->insn_bytes = MIN(c->insn_bytes, (uint8_t)sizeof(x->insn));
		__builtin_memcpy(x->insn, c->insn, sizeof(x->insn));
	}
	svm_mode(v, &x->mode);
}

static void fill_row(struct virt_vcpu *v, struct vmexit *x, const struct row *row)
{
	struct vmcb *b = svm_of(v)->vmcb;

	x->reason = row->reason;
	x->insn_len = row->length;
	if (row->length && svm_feat.next_rip && b->c.next_rip)
		x->insn_len = (uint8_t)(b->c.next_rip - b->s.rip);
	if (row->fill)
		row->fill(v, x);
}

/*
 * Would an interrupt be taken at the next entry? An intercepted instruction
 * ends the shadow it stood in when the kernel steps over it.
 */
static void readiness(struct virt_vcpu *v, const struct vmexit *x)
{
	struct svm_vcpu *s = svm_of(v);
	bool shadow = (s->vmcb->c.int_shadow & INT_SHADOW) && !x->insn_len;
	bool free = v->event.type == EV_NONE;

	v->irq_ready = free && !shadow && (v->rflags & RFLAGS_IF);
	v->nmi_ready = free && !shadow && !s->nmi_blocked;
}

void svm_exit(struct virt_vcpu *v, struct vmexit *x)
{
	uint32_t code = (uint32_t)svm_of(v)->vmcb->c.exit_code;

	x->insn_len = x->insn_bytes = 0;
	svm_event_leave(v);
	svm_nmi_leave(v);
	if (code == VMEXIT_NPF)
		fill_npf(v, x);
	else if (code == VMEXIT_INVALID)
		svm_fail_entry(v, x);
	else if (code < ARRAY_SIZE(rows) && rows[code].known)
		fill_row(v, x, &rows[code]);
	else if (code < 2 * VMEXIT_CR_WRITE)
		fill_row(v, x, &rows[VMEXIT_CR_READ]);
	else
		svm_fail_exit(v, x, "exit that nobody asked for");
	readiness(v, x);
}
