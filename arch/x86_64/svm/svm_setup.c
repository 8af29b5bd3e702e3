/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: what a VMCB is filled with before its first entry. Everything else is
 * the guest's state. [APM2 15.9 "Instruction Intercepts"] [APM2 Appendix B "Layout of VMCB"]
 */
#include "svm.h"

#define PAUSE_COUNT 3000u /* PAUSEs of one loop before the exit: a spin of some microseconds */
#define PAUSE_GAP 128u	  /* cycles between two; longer ones begin the count anew */

/* What leaves the guest, and why. */
static const struct {
	uint8_t what;
	const char *why;
} intercepts[] = {
	{ INTERCEPT_INTR, "host interrupts and kicks" },
	{ INTERCEPT_NMI, "host NMI" },
	{ INTERCEPT_SMI, "taken by the host" },
	{ INTERCEPT_INIT, "taken by the host" },
	{ INTERCEPT_CPUID, "shows the VM's own table" },
	{ INTERCEPT_HLT, "gives the CPU to other worlds" },
	{ INTERCEPT_INVD, "must not drop the host's dirty lines" },
	{ INTERCEPT_WBINVD, "memory is coherent: no effect needed, and slow for everybody" },
	{ INTERCEPT_IOIO, "device models" },
	{ INTERCEPT_MSR, "by the permission map" },
	{ INTERCEPT_SHUTDOWN, "triple fault" },
	{ INTERCEPT_RDPMC, "no performance counters are shown" },
	{ INTERCEPT_VMRUN, "required by VMRUN; no nesting" },
	{ INTERCEPT_VMMCALL, "hypercalls" },
	{ INTERCEPT_VMLOAD, "no nesting" },
	{ INTERCEPT_VMSAVE, "no nesting" },
	{ INTERCEPT_STGI, "no nesting" },
	{ INTERCEPT_CLGI, "would block host interrupts" },
	{ INTERCEPT_SKINIT, "would restart the machine" },
	{ INTERCEPT_INVLPGA, "would flush other guests" },
	{ INTERCEPT_MONITOR, "not shown in CPUID" },
	{ INTERCEPT_MWAIT, "not shown in CPUID; would halt the CPU" },
	{ INTERCEPT_MWAIT_ARMED, "as MWAIT" },
	{ INTERCEPT_CR_WRITE(4), "bits that CPUID does not show are a #GP" },
	{ INTERCEPT_XSETBV, "checked against the VM's components" },
	/* A guest can make the CPU raise these for ever while it delivers one: the exit breaks the
	   loop. */
	{ INTERCEPT_EXCEPTION(1), "endless #DB" },
	{ INTERCEPT_EXCEPTION(17), "endless #AC" },
	{ INTERCEPT_EXCEPTION(18), "machine checks are the host's" },
};

void svm_setup_vmcb(struct virt_vcpu *v)
{
	struct vmcb *b = svm_of(v)->vmcb;

	for (unsigned i = 0; i < ARRAY_SIZE(intercepts); i++)
		svm_intercept(b, intercepts[i].what, true);
	if (svm_feat.pause_filter) {
		svm_intercept(b, INTERCEPT_PAUSE, true);
		b->c.pause_count = PAUSE_COUNT;
		if (svm_feat.pause_threshold)
			b->c.pause_threshold = PAUSE_GAP;
	}
	b->c.iopm_pa = svm_feat.iopm.v;
	b->c.msrpm_pa = svm_feat.msrpm.v;
	b->c.np_enable = 1;
	b->c.n_cr3 = v->vm->slat->root.v;
	b->c.v_intr = V_INTR_MASKING;
}
