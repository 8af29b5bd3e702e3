/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V for a debugger outside of the guest: INT3, and single steps by RFLAGS.TF, which
 * the kernel and the guest never see set. The instruction's exceptions are intercepted
 * during a step, because their delivery would push the flag and end the stepping; an
 * event to be delivered first goes in without it, and a self-kick ends the stay behind
 * it. [APM2 15.12 "Exception Intercepts"] [APM2 13.1.4 "Single-Stepping"]
 *
 * QEMU 7.2 tells INT3 by the intercept of software interrupts only, so both are asked for.
 */
#include <tern/cpu.h>

#include "svm.h"

#define DR6_BS BIT(14)
/* #DE #OF #BR #UD #NM #TS #NP #SS #GP #PF #MF #XM: not those that are intercepted anyway */
#define STEP_EXCEPTIONS 0x97cf1u

void svm_debug(struct virt_vcpu *v)
{
	struct vmcb *b = svm_of(v)->vmcb;

	svm_intercept(b, INTERCEPT_EXCEPTION(3), v->debug.on);
	svm_intercept(b, INTERCEPT_SWINT, v->debug.on);
	for (unsigned i = 0; i < 32; i++)
		if (STEP_EXCEPTIONS >> i & 1)
			svm_intercept(b, INTERCEPT_EXCEPTION(i), v->debug.step);
}

void svm_step_enter(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);

	s->debug_step = false;
	if (!v->debug.step)
		return;
	if (v->event.type != EV_NONE) {
		cpu_kick(cpu_self());
		return;
	}
	s->debug_step = true;
	s->debug_tf = (v->rflags & RFLAGS_TF) != 0;
	s->vmcb->s.rflags |= RFLAGS_TF;
}

void svm_step_leave(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);

	if (s->debug_step && !s->debug_tf)
		v->rflags &= ~RFLAGS_TF;
}

bool svm_step_done(struct virt_vcpu *v, struct vmexit *x)
{
	struct svm_vcpu *s = svm_of(v);

	if (!s->debug_step)
		return false;
	x->reason = EXIT_DEBUG;
	x->debug.step = true;
	if (s->debug_tf)
		return false; /* the guest's as well */
	s->vmcb->s.dr6 &= ~DR6_BS;
	return true;
}

void svm_on_break(struct virt_vcpu *v, struct vmexit *x)
{
	(void)v;
	x->debug.step = false;
}

void svm_on_exception(struct virt_vcpu *v, struct vmexit *x)
{
	struct vmcb_control *c = &svm_of(v)->vmcb->c;
	uint8_t vector = (uint8_t)(c->exit_code - VMEXIT_EXCEPTION);

	x->exception = (struct virt_event){ .type = EV_EXCEPTION, .vector = vector };
	x->exception.has_error = guest_exception_has_error(vector);
	if (x->exception.has_error)
		x->exception.error = (uint32_t)c->exit_info1;
	if (vector == 14)
		x->exception.cr2 = c->exit_info2;
}
