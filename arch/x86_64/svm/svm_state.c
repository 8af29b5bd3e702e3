/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: the vCPU's state to and from its neutral form, the mode for decoding,
 * and control register writes. Segment attributes are the VMCB's packing in
 * the neutral form as well; an unusable segment is one that is not present.
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/percpu.h>

#include "svm.h"

#define ATTR_P BIT(7)

static struct virt_seg seg_out(const struct vmcb_seg *s)
{
	struct virt_seg o = { .base = s->base, .limit = s->limit, .selector = s->selector };

	o.attr = s->attrib & 0xfff;
	if (!(s->attrib & ATTR_P))
		o.attr |= SEG_UNUSABLE;
	return o;
}

static struct vmcb_seg seg_in(const struct virt_seg *s)
{
	uint32_t attr = s->attr & 0xfff;

	if (s->attr & SEG_UNUSABLE)
		attr &= ~(uint32_t)ATTR_P;
	return (struct vmcb_seg){ s->selector, (uint16_t)attr, s->limit, s->base };
}

static struct virt_seg table_out(const struct vmcb_seg *s)
{
	return (struct virt_seg){ .base = s->base, .limit = s->limit };
}

static struct vmcb_seg table_in(const struct virt_seg *s)
{
	return (struct vmcb_seg){ .base = s->base, .limit = s->limit };
}

/* The VMCB's place of each neutral segment. */
static struct vmcb_seg *seg_slot(struct vmcb_save *b, unsigned i)
{
	struct vmcb_seg *const slot[SEG_COUNT] = {
		[SEG_ES] = &b->es, [SEG_CS] = &b->cs, [SEG_SS] = &b->ss,     [SEG_DS] = &b->ds,
		[SEG_FS] = &b->fs, [SEG_GS] = &b->gs, [SEG_LDTR] = &b->ldtr, [SEG_TR] = &b->tr,
	};

	return slot[i];
}

void svm_mode(struct virt_vcpu *v, struct virt_mode *m)
{
	struct vmcb_save *b = &svm_of(v)->vmcb->s;

	m->cr0 = b->cr0;
	m->cr3 = b->cr3;
	m->cr4 = b->cr4;
	m->efer = b->efer & ~EFER_SVME;
	m->xcr0 = svm_of(v)->xcr0;
	for (unsigned i = 0; i < ARRAY_SIZE(m->seg); i++)
		m->seg[i] = seg_out(seg_slot(b, i));
	m->cpl = b->cpl;
}

/* Another world's vCPU may still be leaving its CPU; then its registers come to memory in a moment.
 */
static void settle(struct virt_vcpu *v)
{
	while (__atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE) >= 0 && v->cpu != (int)cpu_self())
		cpu_pause();
}

static void save_save_area(const struct vmcb_save *b, struct virt_state *o)
{
	o->cr0 = b->cr0;
	o->cr2 = b->cr2;
	o->cr3 = b->cr3;
	o->cr4 = b->cr4;
	o->efer = b->efer & ~EFER_SVME;
	o->dr6 = b->dr6;
	o->dr7 = b->dr7;
	o->gdtr = table_out(&b->gdtr);
	o->idtr = table_out(&b->idtr);
	o->pat = b->g_pat;
	o->star = b->star;
	o->lstar = b->lstar;
	o->cstar = b->cstar;
	o->sfmask = b->sfmask;
	o->kernel_gs_base = b->kernel_gs_base;
	o->sysenter_cs = b->sysenter_cs;
	o->sysenter_esp = b->sysenter_esp;
	o->sysenter_eip = b->sysenter_eip;
}

void svm_state_save(struct virt_vcpu *v, struct virt_state *out)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb *b = s->vmcb;
	unsigned long flags;
	bool loaded;

	settle(v);
	flags = irq_save();
	loaded = v->cpu >= 0;
	svm_vcpu_put(v);
	memset(out, 0, offsetof(struct virt_state, xsave));
	memcpy(out->gpr, v->gpr, sizeof(out->gpr));
	out->rip = v->rip;
	out->rflags = v->rflags;
	out->cr8 = v->cr8;
	out->xcr0 = s->xcr0;
	memcpy(out->dr, s->dr, sizeof(out->dr));
	for (unsigned i = 0; i < SEG_COUNT; i++)
		out->seg[i] = seg_out(seg_slot(&b->s, i));
	save_save_area(&b->s, out);
	out->tsc = svm_guest_tsc(v);
	out->tsc_aux = s->msrs.tsc_aux;
	out->debugctl = s->msrs.debugctl;
	out->event = v->event;
	out->irq_shadow = (b->c.int_shadow & INT_SHADOW) && v->rip == s->exit_rip;
	out->nmi_blocked = s->nmi_blocked;
	guest_fpu_export(v, s->fpu, out);
	if (loaded)
		svm_vcpu_load(v);
	irq_restore(flags);
}

static void load_save_area(struct vmcb_save *b, const struct virt_state *in)
{
	b->cr0 = in->cr0 | CR0_ET;
	b->cr2 = in->cr2;
	b->cr3 = in->cr3;
	b->cr4 = in->cr4;
	b->efer = in->efer | EFER_SVME;
	b->dr6 = in->dr6;
	b->dr7 = in->dr7;
	b->gdtr = table_in(&in->gdtr);
	b->idtr = table_in(&in->idtr);
	b->g_pat = in->pat;
	b->star = in->star;
	b->lstar = in->lstar;
	b->cstar = in->cstar;
	b->sfmask = in->sfmask;
	b->kernel_gs_base = in->kernel_gs_base;
	b->sysenter_cs = in->sysenter_cs;
	b->sysenter_esp = in->sysenter_esp;
	b->sysenter_eip = in->sysenter_eip;
	/* The CPU takes the privilege level from SS; QEMU ignores this field, hardware does not. */
	b->cpl = (uint8_t)(in->seg[SEG_SS].attr >> 5 & 3);
}

static void load_rest(struct virt_vcpu *v, const struct virt_state *in)
{
	struct svm_vcpu *s = svm_of(v);

	memcpy(v->gpr, in->gpr, sizeof(v->gpr));
	v->rip = s->exit_rip = in->rip;
	v->rflags = in->rflags;
	v->cr8 = in->cr8;
	v->event = in->event;
	v->irq_ready = v->event.type == EV_NONE && !in->irq_shadow && (in->rflags & RFLAGS_IF);
	v->nmi_ready = v->event.type == EV_NONE && !in->irq_shadow && !in->nmi_blocked;
	svm_irq_window(v, false);
	svm_msr_set(v, MSR_TSC, in->tsc);
	memcpy(s->dr, in->dr, sizeof(s->dr));
	s->xcr0 = in->xcr0;
	s->msrs.tsc_aux = in->tsc_aux;
	s->msrs.debugctl = in->debugctl;
	s->nmi_blocked = in->nmi_blocked;
	s->nmi_want = s->iret_seen = s->stepping = false;
	svm_intercept(s->vmcb, INTERCEPT_IRET, in->nmi_blocked);
	s->vmcb->c.int_shadow = in->irq_shadow ? INT_SHADOW : 0;
	s->flush = true;
	guest_fpu_import(s->fpu, in);
}

int svm_state_load(struct virt_vcpu *v, const struct virt_state *in)
{
	struct vmcb_save *b = &svm_of(v)->vmcb->s;
	unsigned long flags;
	bool loaded;

	if (guest_state_check(v->vm->xcr0_mask, in))
		return -EINVAL;
	settle(v);
	flags = irq_save();
	loaded = v->cpu >= 0;
	svm_vcpu_put(v);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		*seg_slot(b, i) = seg_in(&in->seg[i]);
	load_save_area(b, in);
	load_rest(v, in);
	if (loaded)
		svm_vcpu_load(v);
	irq_restore(flags);
	return 0;
}

int svm_set_cr(struct virt_vcpu *v, unsigned cr, uint64_t value)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb_save *b = &s->vmcb->s;
	uint64_t cr0 = cr == 0 ? value : b->cr0, cr3 = cr == 3 ? value : b->cr3;
	uint64_t cr4 = cr == 4 ? value : b->cr4, efer = guest_efer(b->efer, cr0);

	if (cr == 8) {
		if (value > 15)
			return -EINVAL;
		v->cr8 = value;
		return 0;
	}
	if (cr == VIRT_XCR0) {
		if (!guest_feat.xsave || !guest_xcr0_ok(v->vm->xcr0_mask, value))
			return -EINVAL;
		s->xcr0 = value;
		return 0;
	}
	if (cr == 2) {
		b->cr2 = value;
		return 0;
	}
	if ((cr != 0 && cr != 3 && cr != 4) || !guest_cr_ok(cr0, cr3, cr4, efer & ~EFER_SVME))
		return -EINVAL;
	b->cr0 = cr0 | CR0_ET;
	b->cr3 = cr3;
	b->cr4 = cr4;
	b->efer = efer;
	s->flush = true;
	return 0;
}
