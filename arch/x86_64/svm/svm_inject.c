/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: events into the guest. v->event goes to EVENTINJ at entry; when an
 * exit cut a delivery short, EXITINTINFO holds it and v->event is set again, so
 * that the next entry repeats it. Interrupts are never queued in V_IRQ: that
 * serves only as the interrupt window.
 *
 * NMI: blocked from injection until the handler's IRET has been executed, which
 * an IRET intercept tells. When another NMI waits, that IRET is single-stepped,
 * as is the instruction in an interrupt shadow; behind an event under delivery
 * a self-kick makes the guest leave at once.
 * [APM2 15.20 "Event Injection"] [APM2 15.7.2 "Intercepts During IDT Interrupt Delivery"]
 */
#include <tern/cpu.h>

#include "svm.h"

#define DR6_BS BIT(14)
#define DR6_CAUSES (BIT(15) | DR6_BS | BIT(13) | 0xfull)

static uint64_t encode(const struct virt_event *e)
{
	static const uint8_t type[] = {
		[EV_IRQ] = EVENT_TYPE_INTR,
		[EV_NMI] = EVENT_TYPE_NMI,
		[EV_EXCEPTION] = EVENT_TYPE_EXCEPTION,
		[EV_SOFT_INT] = EVENT_TYPE_SOFT,
	};
	uint64_t v = EVENT_VALID | e->vector | (uint64_t)type[e->type] << EVENT_TYPE_SHIFT;

	if (e->type == EV_EXCEPTION && e->has_error)
		v |= EVENT_HAS_ERROR | (uint64_t)e->error << 32;
	return v;
}

void svm_event_enter(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb *b = s->vmcb;

	s->injected = v->event;
	b->c.event_inj = 0;
	if (v->event.type == EV_NONE)
		return;
	b->c.event_inj = encode(&v->event);
	if (v->event.type == EV_EXCEPTION && v->event.vector == 14)
		b->s.cr2 = v->event.cr2;
	if (v->event.type == EV_EXCEPTION && v->event.vector == 1)
		b->s.dr6 |= v->event.cr2;
	if (v->event.type == EV_SOFT_INT)
		b->s.rip += v->event.insn_len; /* pushed as return address */
	if (v->event.type == EV_NMI) {
		s->nmi_blocked = true;
		s->nmi_want = false; /* it is here; who has one more asks again */
		svm_intercept(b, INTERCEPT_IRET, true);
	}
}

/* A software interrupt or breakpoint of the guest's own is simply executed again. */
static void decode_interrupted(struct virt_vcpu *v, uint64_t info)
{
	struct svm_vcpu *s = svm_of(v);
	struct virt_event *e = &v->event;
	unsigned type = (unsigned)(info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK;

	e->vector = (uint8_t)(info & EVENT_VECTOR);
	switch (type) {
	case EVENT_TYPE_INTR:
		e->type = EV_IRQ;
		break;
	case EVENT_TYPE_NMI:
		e->type = EV_NMI;
		break;
	case EVENT_TYPE_EXCEPTION:
		if ((e->vector == 3 || e->vector == 4) && s->injected.type != EV_EXCEPTION)
			return;
		e->type = EV_EXCEPTION;
		e->has_error = (info & EVENT_HAS_ERROR) != 0;
		e->error = (uint32_t)(info >> 32);
		e->cr2 = e->vector == 14 ? s->vmcb->s.cr2 : 0;
		break;
	case EVENT_TYPE_SOFT:
		if (s->injected.type == EV_SOFT_INT) {
			*e = s->injected;
			v->rip = s->exit_rip = s->vmcb->s.rip - e->insn_len;
		}
		break;
	default:
		break;
	}
}

void svm_event_leave(struct virt_vcpu *v)
{
	uint64_t info = svm_of(v)->vmcb->c.exit_int_info;

	v->event = (struct virt_event){ .type = EV_NONE };
	if (info & EVENT_VALID)
		decode_interrupted(v, info);
}

void svm_irq_window(struct virt_vcpu *v, bool want)
{
	struct vmcb *b = svm_of(v)->vmcb;
	uint64_t bits = V_IRQ | V_IGN_TPR | 0xffull << V_INTR_VECTOR_SHIFT;

	b->c.v_intr &= ~bits;
	if (want)
		b->c.v_intr |= V_IRQ | V_IGN_TPR;
	svm_intercept(b, INTERCEPT_VINTR, want);
}

void svm_nmi_window(struct virt_vcpu *v, bool want)
{
	svm_of(v)->nmi_want = want;
}

/* The handler's IRET is about to run: the block ends when it is through, not before. */
void svm_on_iret(struct virt_vcpu *v, struct vmexit *x)
{
	struct svm_vcpu *s = svm_of(v);

	(void)x;
	svm_intercept(s->vmcb, INTERCEPT_IRET, false);
	s->iret_seen = true;
	s->iret_rip = v->rip;
}

void svm_nmi_enter(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb *b = s->vmcb;

	s->stepping = false;
	if (!s->nmi_want || (s->nmi_blocked && !s->iret_seen))
		return;
	if (v->event.type != EV_NONE) {
		cpu_kick(cpu_self());
	} else if (s->iret_seen || (b->c.int_shadow & INT_SHADOW)) {
		s->stepping = true;
		s->guest_tf = (b->s.rflags & RFLAGS_TF) != 0;
		b->s.rflags |= RFLAGS_TF;
	}
}

void svm_nmi_leave(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	bool through_iret = s->iret_seen && v->rip != s->iret_rip;

	if (through_iret)
		s->iret_seen = s->nmi_blocked = false;
	if (s->stepping && !through_iret && !s->guest_tf) /* IRET took RFLAGS from the stack */
		v->rflags &= ~RFLAGS_TF;
}

static void raise_again(struct virt_vcpu *v, uint8_t vector, bool has_error)
{
	v->event = (struct virt_event){ .type = EV_EXCEPTION,
					.vector = vector,
					.has_error = has_error };
}

/* The VMCB's DR6 tells the cause; Bochs 2.7 leaves it as it was: then it is the single step. */
static void explain(struct virt_vcpu *v)
{
	struct vmcb *b = svm_of(v)->vmcb;

	if ((v->rflags & RFLAGS_TF) && !(b->s.dr6 & DR6_CAUSES))
		b->s.dr6 |= DR6_BS;
}

void svm_on_debug(struct virt_vcpu *v, struct vmexit *x)
{
	struct svm_vcpu *s = svm_of(v);

	if (svm_step_done(v, x))
		return;
	if (!s->stepping) {
		explain(v);
		raise_again(v, 1, false);
		return;
	}
	if (v->rflags & RFLAGS_TF)
		raise_again(v, 1, false); /* the guest steps itself */
	else
		s->vmcb->s.dr6 &= ~DR6_BS;
	x->reason = EXIT_NMI_WINDOW;
}

void svm_on_alignment(struct virt_vcpu *v, struct vmexit *x)
{
	(void)x;
	raise_again(v, 17, true);
}
