/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: the task priority. A guest moves CR8 without exits, in V_TPR, unless an
 * interrupt waits for it to fall. [APM2 15.21.1 "Physical INTR Interrupts"]
 * Nor does it while V_IRQ waits for a window: QEMU 7.2 aborts over CR8 then, and
 * firmware of guests writes it at the end of each interrupt's handler.
 */
#include "svm.h"

void svm_apic_enter(struct virt_vcpu *v)
{
	struct vmcb *b = svm_of(v)->vmcb;

	b->c.v_intr = (b->c.v_intr & ~V_TPR_MASK) | (v->cr8 & 0xf);
	svm_intercept(b, INTERCEPT_CR_WRITE(8), v->tpr_wait || b->c.v_intr & V_IRQ);
}

void svm_apic_leave(struct virt_vcpu *v)
{
	v->cr8 = svm_of(v)->vmcb->c.v_intr & 0xf;
}
