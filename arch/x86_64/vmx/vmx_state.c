/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: the vCPU's state to and from its neutral form, the mode for decoding,
 * and control register writes.
 *
 * In the VMCS CR0 has NE set always, and CD and NW of the guest's are kept
 * beside in the read shadow: caches are the host's. CR4 has VMXE set, and the
 * guest does not see it. [SDM 3C 24.8 "Restrictions on VMX Operation"]
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/percpu.h>

#include "vmx.h"

#define CR0_OWNED (CR0_NE | CR0_CD | CR0_NW)
#define ATTR_P 0x80u
#define TR_BUSY_16 3u
#define TR_BUSY 11u

/* ---- segments ---- */

/* The neutral form packs type to P in bits 0-7 and AVL, L, D, G right above; VMX leaves a gap. */
static struct virt_seg seg_out(unsigned i)
{
	uint64_t access = vmcs_read(GUEST_ACCESS(i));
	struct virt_seg o = { .base = vmcs_read(GUEST_BASE(i)),
			      .limit = (uint32_t)vmcs_read(GUEST_LIMIT(i)),
			      .selector = (uint16_t)vmcs_read(GUEST_SELECTOR(i)) };

	o.attr = (uint32_t)((access & 0xff) | (access >> 4 & 0xf00));
	if ((access & ACCESS_UNUSABLE) || !(access & ATTR_P))
		o.attr = (o.attr & ~ATTR_P) | SEG_UNUSABLE;
	return o;
}

static void seg_in(unsigned i, const struct virt_seg *s)
{
	uint32_t access = (s->attr & 0xff) | (s->attr & 0xf00) << 4;

	if ((s->attr & SEG_UNUSABLE) || !(s->attr & ATTR_P))
		access = ACCESS_UNUSABLE;
	vmcs_write(GUEST_BASE(i), s->base);
	vmcs_write(GUEST_LIMIT(i), s->limit);
	vmcs_write(GUEST_SELECTOR(i), s->selector);
	vmcs_write(GUEST_ACCESS(i), access);
}

/* ---- control registers ---- */

static uint64_t cr0_out(void)
{
	return (vmcs_read(GUEST_CR0) & ~CR0_OWNED) | (vmcs_read(VMCS_CR0_SHADOW) & CR0_OWNED);
}

static void cr0_in(uint64_t v)
{
	vmcs_write(GUEST_CR0, (v & ~(CR0_CD | CR0_NW)) | vmx_feat.cr0_fixed | CR0_ET);
	vmcs_write(VMCS_CR0_SHADOW, v | CR0_ET);
}

static uint64_t cr4_out(void)
{
	return vmcs_read(GUEST_CR4) & ~CR4_VMXE;
}

static void cr4_in(uint64_t v)
{
	vmcs_write(GUEST_CR4, v | CR4_VMXE);
	vmcs_write(VMCS_CR4_SHADOW, v);
}

static void efer_in(uint64_t v)
{
	vmcs_write(GUEST_EFER, v);
	vmcs_set_bit(VMCS_ENTRY, ENTRY_IA32E, (v & EFER_LMA) != 0);
}

void vmx_mode(struct virt_vcpu *v, struct virt_mode *m)
{
	struct vmx_hold h = vmcs_open(v);

	m->cr0 = cr0_out();
	m->cr3 = vmcs_read(GUEST_CR3);
	m->cr4 = cr4_out();
	m->efer = vmcs_read(GUEST_EFER);
	m->xcr0 = vmx_of(v)->xcr0;
	for (unsigned i = 0; i < ARRAY_SIZE(m->seg); i++)
		m->seg[i] = seg_out(i);
	m->cpl = (uint8_t)(vmcs_read(GUEST_ACCESS(SEG_SS)) >> 5 & 3);
	vmcs_close(v, h);
}

/* ---- out ---- */

/* Another world's vCPU may still be leaving its CPU; then its registers come to memory in a moment.
 */
static void settle(struct virt_vcpu *v)
{
	while (__atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE) >= 0 && v->cpu != (int)cpu_self())
		cpu_pause();
}

static void save_vmcs(struct virt_state *o)
{
	o->cr0 = cr0_out();
	o->cr3 = vmcs_read(GUEST_CR3);
	o->cr4 = cr4_out();
	o->efer = vmcs_read(GUEST_EFER);
	o->dr7 = vmcs_read(GUEST_DR7);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		o->seg[i] = seg_out(i);
	o->gdtr.base = vmcs_read(GUEST_GDTR_BASE);
	o->gdtr.limit = (uint32_t)vmcs_read(GUEST_GDTR_LIMIT);
	o->idtr.base = vmcs_read(GUEST_IDTR_BASE);
	o->idtr.limit = (uint32_t)vmcs_read(GUEST_IDTR_LIMIT);
	o->pat = vmcs_read(GUEST_PAT);
	o->sysenter_cs = vmcs_read(GUEST_SYSENTER_CS);
	o->sysenter_esp = vmcs_read(GUEST_SYSENTER_ESP);
	o->sysenter_eip = vmcs_read(GUEST_SYSENTER_EIP);
}

static void save_rest(const struct virt_vcpu *v, struct virt_state *o)
{
	const struct vmx_vcpu *s = vmx_of(v);

	memcpy(o->gpr, v->gpr, sizeof(o->gpr));
	o->rip = v->rip;
	o->rflags = v->rflags;
	o->cr2 = s->cr2;
	o->cr8 = v->cr8;
	o->xcr0 = s->xcr0;
	memcpy(o->dr, s->dr, sizeof(o->dr));
	o->dr6 = s->dr6;
	o->star = s->live[LIVE_STAR];
	o->lstar = s->live[LIVE_LSTAR];
	o->cstar = s->live[LIVE_CSTAR];
	o->sfmask = s->live[LIVE_SFMASK];
	o->kernel_gs_base = s->live[LIVE_KERNEL_GS];
	o->tsc = vmx_guest_tsc(v);
	o->tsc_aux = s->msrs.tsc_aux;
	o->debugctl = s->msrs.debugctl;
	o->event = v->event;
	o->irq_shadow = (s->blocking & (BLOCKED_STI | BLOCKED_MOV_SS)) && v->rip == s->exit_rip;
	o->nmi_blocked = (s->blocking & BLOCKED_NMI) != 0;
	guest_fpu_export(v, s->fpu, o);
}

void vmx_state_save(struct virt_vcpu *v, struct virt_state *out)
{
	unsigned long flags;
	struct vmx_hold h;
	bool loaded;

	settle(v);
	flags = irq_save();
	loaded = v->cpu >= 0;
	vmx_vcpu_put(v);
	memset(out, 0, offsetof(struct virt_state, xsave));
	h = vmcs_open(v);
	save_vmcs(out);
	vmcs_close(v, h);
	save_rest(v, out);
	if (loaded)
		vmx_vcpu_load(v);
	irq_restore(flags);
}

/* ---- in ---- */

static void load_vmcs(const struct virt_state *in)
{
	cr0_in(in->cr0);
	vmcs_write(GUEST_CR3, in->cr3);
	cr4_in(in->cr4);
	efer_in(in->efer);
	vmcs_write(GUEST_DR7, in->dr7);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		seg_in(i, &in->seg[i]);
	vmcs_write(GUEST_GDTR_BASE, in->gdtr.base);
	vmcs_write(GUEST_GDTR_LIMIT, in->gdtr.limit);
	vmcs_write(GUEST_IDTR_BASE, in->idtr.base);
	vmcs_write(GUEST_IDTR_LIMIT, in->idtr.limit);
	vmcs_write(GUEST_PAT, in->pat);
	vmcs_write(GUEST_SYSENTER_CS, in->sysenter_cs);
	vmcs_write(GUEST_SYSENTER_ESP, in->sysenter_esp);
	vmcs_write(GUEST_SYSENTER_EIP, in->sysenter_eip);
	vmcs_write(ENTRY_EVENT, 0);
	/* A single-step trap is due where a shadow put it off. [SDM 3C 27.3.1.5] */
	vmcs_write(GUEST_PENDING_DEBUG,
		   in->irq_shadow && (in->rflags & RFLAGS_TF) ? PENDING_DEBUG_BS : 0);
	vmcs_set_bit(VMCS_PROC, PROC_IRQ_WINDOW, false);
	vmcs_set_bit(VMCS_PROC, PROC_NMI_WINDOW, false);
}

/* With interrupts off there is no shadow of STI. [SDM 3C 27.3.1.5 "Checks on Guest Non-Register
 * State"] */
static uint64_t shadow_bits(const struct virt_state *in)
{
	if (!in->irq_shadow)
		return 0;
	return in->rflags & RFLAGS_IF ? BLOCKED_STI : BLOCKED_MOV_SS;
}

static void load_rest(struct virt_vcpu *v, const struct virt_state *in)
{
	struct vmx_vcpu *s = vmx_of(v);

	memcpy(v->gpr, in->gpr, sizeof(v->gpr));
	v->rip = s->exit_rip = in->rip;
	v->rflags = in->rflags;
	v->cr8 = in->cr8;
	v->event = in->event;
	v->irq_ready = v->event.type == EV_NONE && !in->irq_shadow && (in->rflags & RFLAGS_IF);
	v->nmi_ready = v->event.type == EV_NONE && !in->irq_shadow && !in->nmi_blocked;
	s->cr2 = in->cr2;
	s->xcr0 = in->xcr0;
	memcpy(s->dr, in->dr, sizeof(s->dr));
	s->dr6 = in->dr6;
	s->live[LIVE_STAR] = in->star;
	s->live[LIVE_LSTAR] = in->lstar;
	s->live[LIVE_CSTAR] = in->cstar;
	s->live[LIVE_SFMASK] = in->sfmask;
	s->live[LIVE_KERNEL_GS] = in->kernel_gs_base;
	s->msrs.tsc_aux = in->tsc_aux;
	s->msrs.debugctl = in->debugctl;
	s->blocking = (uint32_t)(shadow_bits(in) | (in->nmi_blocked ? BLOCKED_NMI : 0));
	s->flush = s->pdptes_stale = true;
	(void)vmx_msr_set(v, MSR_TSC, in->tsc);
}

/* The vCPU is not loaded, and the state is sound; vector state is the caller's. */
void vmx_put_state(struct virt_vcpu *v, const struct virt_state *in)
{
	struct vmx_hold h = vmcs_open(v);

	load_vmcs(in);
	vmcs_close(v, h);
	load_rest(v, in);
}

/* VMX wants a task register; the neutral check does not. */
static bool task_ok(const struct virt_state *in)
{
	const struct virt_seg *tr = &in->seg[SEG_TR];
	unsigned type = tr->attr & 0x1f;

	if ((tr->attr & SEG_UNUSABLE) || !(tr->attr & ATTR_P))
		return false;
	return type == TR_BUSY || (type == TR_BUSY_16 && !(in->efer & EFER_LMA));
}

int vmx_state_check(uint64_t xcr0_mask, const struct virt_state *in)
{
	return guest_state_check(xcr0_mask, in) || !task_ok(in) ? -EINVAL : 0;
}

int vmx_state_load(struct virt_vcpu *v, const struct virt_state *in)
{
	unsigned long flags;
	bool loaded;

	if (vmx_state_check(v->vm->xcr0_mask, in))
		return -EINVAL;
	settle(v);
	flags = irq_save();
	loaded = v->cpu >= 0;
	vmx_vcpu_put(v);
	vmx_put_state(v, in);
	guest_fpu_import(vmx_of(v)->fpu, in);
	if (loaded)
		vmx_vcpu_load(v);
	irq_restore(flags);
	return 0;
}

/* ---- set_cr ---- */

static int set_paging(struct virt_vcpu *v, unsigned cr, uint64_t value)
{
	struct vmx_hold h = vmcs_open(v);
	uint64_t cr0 = cr == 0 ? value : cr0_out();
	uint64_t cr3 = cr == 3 ? value : vmcs_read(GUEST_CR3);
	uint64_t cr4 = cr == 4 ? value : cr4_out();
	uint64_t efer = guest_efer(vmcs_read(GUEST_EFER), cr0);
	bool ok = guest_cr_ok(cr0, cr3, cr4, efer);

	if (ok) {
		cr0_in(cr0);
		vmcs_write(GUEST_CR3, cr3);
		cr4_in(cr4);
		efer_in(efer);
		vmx_of(v)->flush = vmx_of(v)->pdptes_stale = true;
	}
	vmcs_close(v, h);
	return ok ? 0 : -EINVAL;
}

int vmx_set_cr(struct virt_vcpu *v, unsigned cr, uint64_t value)
{
	switch (cr) {
	case 0:
	case 3:
	case 4:
		return set_paging(v, cr, value);
	case 2:
		vmx_of(v)->cr2 = value;
		return 0;
	case 8:
		if (value > 15)
			return -EINVAL;
		v->cr8 = value;
		return 0;
	case VIRT_XCR0:
		if (!guest_feat.xsave || !guest_xcr0_ok(v->vm->xcr0_mask, value))
			return -EINVAL;
		vmx_of(v)->xcr0 = value;
		return 0;
	default:
		return -EINVAL;
	}
}
