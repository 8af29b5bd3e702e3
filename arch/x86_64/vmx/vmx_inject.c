/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: events into the guest. v->event goes to the entry's event field; when
 * an exit cut a delivery short, the IDT-vectoring field holds it and v->event is
 * set again, so that the next entry repeats it.
 *
 * NMI: the CPU keeps the block of a virtual NMI from delivery to IRET; where an
 * IRET faulted half way it has already been lifted and is set again.
 * [SDM 3C 27.6 "Event Injection"] [SDM 3C 28.2.4 "Information for VM Exits During Event Delivery"]
 */
#include "arch/x86_64/mce.h"
#include "vmx.h"

#define DR6_STATUS (BIT(13) | BIT(14) | 0xfull) /* BD, BS, B3..B0: the qualification's bits */

static uint64_t encode(const struct virt_event *e, bool real_mode)
{
	static const uint8_t type[] = {
		[EV_IRQ] = EVENT_TYPE_INTR,
		[EV_NMI] = EVENT_TYPE_NMI,
		[EV_EXCEPTION] = EVENT_TYPE_EXCEPTION,
		[EV_SOFT_INT] = EVENT_TYPE_SOFT,
	};
	uint64_t v = EVENT_VALID | e->vector | (uint64_t)type[e->type] << EVENT_TYPE_SHIFT;

	if (e->type == EV_EXCEPTION && e->has_error && !real_mode)
		v |= EVENT_HAS_ERROR;
	return v;
}

/* DR6 is the guest's while its vCPU is loaded. */
static void set_dr6(uint64_t bits)
{
	uint64_t dr6;

	__asm__ volatile("mov %%db6, %0" : "=r"(dr6));
	__asm__ volatile("mov %0, %%db6" ::"r"(dr6 | bits));
}

void vmx_event_enter(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	const struct virt_event *e = &v->event;
	uint64_t info;

	s->injected = *e;
	if (e->type == EV_NONE)
		return; /* the CPU has cleared the valid bit at the last exit */
	info = encode(e, !(vmcs_read(GUEST_CR0) & CR0_PE));
	vmcs_write(ENTRY_EVENT, info);
	if (info & EVENT_HAS_ERROR)
		vmcs_write(ENTRY_EVENT_ERROR, e->error);
	if (e->type == EV_SOFT_INT)
		vmcs_write(ENTRY_INSN_LEN, e->insn_len);
	if (e->type == EV_EXCEPTION && e->vector == 14)
		s->cr2 = e->cr2;
	if (e->type == EV_EXCEPTION && e->vector == 1)
		set_dr6(e->cr2);
	/* The shadow ends with the delivery; left in, entry would want a pending single-step. */
	s->blocking &= ~(uint32_t)(BLOCKED_STI | BLOCKED_MOV_SS);
	if (e->type == EV_NMI)
		s->blocking &= ~(uint32_t)BLOCKED_NMI; /* delivery sets it */
}

/* A software interrupt or breakpoint of the guest's own is simply executed again. */
static void decode_interrupted(struct virt_vcpu *v, uint64_t info)
{
	struct vmx_vcpu *s = vmx_of(v);
	struct virt_event *e = &v->event;

	e->vector = (uint8_t)(info & EVENT_VECTOR);
	switch ((unsigned)(info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK) {
	case EVENT_TYPE_INTR:
		e->type = EV_IRQ;
		break;
	case EVENT_TYPE_NMI:
		e->type = EV_NMI;
		break;
	case EVENT_TYPE_EXCEPTION:
		e->type = EV_EXCEPTION;
		e->has_error = guest_exception_has_error(e->vector);
		if (info & EVENT_HAS_ERROR)
			e->error = (uint32_t)vmcs_read(EXIT_VECTORING_ERROR);
		e->cr2 = e->vector == 14 ? s->cr2 : 0;
		break;
	case EVENT_TYPE_SOFT:
		if (s->injected.type == EV_SOFT_INT)
			*e = s->injected;
		break;
	default:
		break;
	}
}

/* Is this the exit of an IRET that faulted after it had ended the block of NMI? */
static bool iret_cut_short(void)
{
	uint64_t info;

	switch (vmcs_read(EXIT_REASON)) {
	case REASON_EPT_VIOLATION:
	case REASON_PML_FULL:
		return (vmcs_read(EXIT_QUALIFICATION) & EVENT_NMI_UNBLOCKED) != 0;
	case REASON_EXCEPTION:
		info = vmcs_read(EXIT_EVENT);
		return ((info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK) == EVENT_TYPE_EXCEPTION &&
		       (info & EVENT_VECTOR) != 8 && (info & EVENT_NMI_UNBLOCKED);
	default:
		return false;
	}
}

void vmx_event_leave(struct virt_vcpu *v)
{
	uint64_t info = vmcs_read(EXIT_VECTORING);

	v->event = (struct virt_event){ .type = EV_NONE };
	if (info & EVENT_VALID)
		decode_interrupted(v, info);
	else if (iret_cut_short())
		vmx_of(v)->blocking |= BLOCKED_NMI;
}

void vmx_irq_window(struct virt_vcpu *v, bool want)
{
	struct vmx_hold h = vmcs_open(v);

	vmcs_set_bit(VMCS_PROC, PROC_IRQ_WINDOW, want);
	vmcs_close(v, h);
}

void vmx_nmi_window(struct virt_vcpu *v, bool want)
{
	struct vmx_hold h = vmcs_open(v);

	vmcs_set_bit(VMCS_PROC, PROC_NMI_WINDOW, want);
	vmcs_close(v, h);
}

static void raise_again(struct virt_vcpu *v, uint8_t vector, bool has_error)
{
	v->event = (struct virt_event){ .type = EV_EXCEPTION,
					.vector = vector,
					.has_error = has_error };
}

/* The CPU left DR6 as it was: the qualification has what it would have set. */
static void on_debug(struct virt_vcpu *v, uint64_t info)
{
	uint64_t dr6, hit = vmcs_read(EXIT_QUALIFICATION) & DR6_STATUS;

	__asm__ volatile("mov %%db6, %0" : "=r"(dr6));
	dr6 = (dr6 & ~0xfull) | hit;
	__asm__ volatile("mov %0, %%db6" ::"r"(dr6));
	if (((info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK) == EVENT_TYPE_PRIVILEGED)
		v->rip += vmcs_read(EXIT_INSN_LEN); /* INT1 is a trap, its exit is before it */
	raise_again(v, 1, false);
}

/* Host NMI and machine check are the host's; #DB and #AC only broke a loop in delivery. */
void vmx_on_exception(struct virt_vcpu *v, struct vmexit *x)
{
	uint64_t info = vmcs_read(EXIT_EVENT);
	unsigned vector = (unsigned)(info & EVENT_VECTOR);

	if (((info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK) == EVENT_TYPE_NMI)
		__asm__ volatile("int $2" ::: "memory");
	else if (vector == 18)
		mce_check("in a guest");
	else if (vmx_debug_exception(v, x, info))
		return;
	else if (vector == 1)
		on_debug(v, info);
	else if (vector == 17)
		raise_again(v, 17, true);
	else
		vmx_fail_exit(x, "an exception that nobody asked for");
}
