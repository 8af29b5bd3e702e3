/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x for a debugger outside of the guest: INT3, and single steps by RFLAGS.TF, which
 * the kernel and the guest never see set. The instruction's exceptions are intercepted
 * during a step, because their delivery would push the flag and end the stepping; an
 * event to be delivered first goes in without it, and a self-kick ends the stay behind
 * it. The monitor trap flag would do the same, but an emulator says that it has it and does not.
 * [SDM 3C 26.6.3 "Exception Bitmap"] [SDM 3B 18.3.1.4 "Single-Step Exception Condition"]
 */
#include <tern/cpu.h>

#include "vmx.h"

#define DR6_BS BIT(14)
/* #DE #OF #BR #UD #NM #TS #NP #SS #GP #PF #MF #XM: not those that are intercepted anyway */
#define STEP_EXCEPTIONS 0x97cf1u

void vmx_debug(struct virt_vcpu *v)
{
	struct vmx_hold h = vmcs_open(v);
	uint64_t mask = VMX_EXCEPTIONS;

	if (v->debug.on)
		mask |= BIT(3);
	if (v->debug.step)
		mask |= STEP_EXCEPTIONS;
	vmcs_write(VMCS_EXCEPTIONS, mask);
	vmcs_close(v, h);
}

/* A shadow with TF set would want a pending trap as well: it ends with this instruction anyway. */
void vmx_step_enter(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	s->debug_step = false;
	if (!v->debug.step)
		return;
	if (v->event.type != EV_NONE) {
		cpu_kick(cpu_self());
		return;
	}
	s->debug_step = true;
	s->debug_tf = (v->rflags & RFLAGS_TF) != 0;
	s->blocking &= ~(uint32_t)(BLOCKED_STI | BLOCKED_MOV_SS);
}

void vmx_step_leave(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	if (s->debug_step && !s->debug_tf)
		v->rflags &= ~RFLAGS_TF;
}

bool vmx_debug_exception(struct virt_vcpu *v, struct vmexit *x, uint64_t info)
{
	struct vmx_vcpu *s = vmx_of(v);
	uint8_t vector = (uint8_t)(info & EVENT_VECTOR);

	if (vector == 1 && s->debug_step && (vmcs_read(EXIT_QUALIFICATION) & DR6_BS)) {
		x->reason = EXIT_DEBUG;
		x->debug.step = true;
		return !s->debug_tf;
	}
	if (vector == 3) {
		x->reason = EXIT_DEBUG;
		x->debug.step = false;
		return true;
	}
	if (!v->debug.step || !(STEP_EXCEPTIONS >> vector & 1))
		return false;
	x->reason = EXIT_EXCEPTION;
	x->exception = (struct virt_event){ .type = EV_EXCEPTION, .vector = vector };
	x->exception.has_error = guest_exception_has_error(vector);
	if (info & EVENT_HAS_ERROR)
		x->exception.error = (uint32_t)vmcs_read(EXIT_EVENT_ERROR);
	if (vector == 14)
		x->exception.cr2 = vmcs_read(EXIT_QUALIFICATION);
	return true;
}
