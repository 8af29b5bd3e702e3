/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V: a vCPU's life, and its moves between pCPUs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "arch/x86_64/control.h"
#include "svm.h"

int svm_vcpu_init(struct virt_vcpu *v)
{
	struct svm_vcpu *s = calloc(1, sizeof(*s));
	hpa_t vmcb, fpu;

	if (!s)
		return -ENOMEM;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &vmcb))
		goto free_s;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &fpu))
		goto put_vmcb;
	s->vmcb = hpa_ptr(vmcb);
	s->fpu = hpa_ptr(fpu);
	s->asid_cpu = -1;
	v->priv = s;
	v->cpu = -1;
	svm_setup_vmcb(v);
	svm_vcpu_reset(v);
	return 0;
put_vmcb:
	page_put(vmcb);
free_s:
	free(s);
	return -ENOMEM;
}

void svm_vcpu_fini(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);

	page_put(ptr_hpa(s->fpu));
	page_put(ptr_hpa(s->vmcb));
	free(s);
	v->priv = NULL;
}

static struct vmcb_seg real_seg(uint16_t selector, uint16_t attrib)
{
	return (struct vmcb_seg){ selector, attrib, 0xffff, 0 };
}

/* [APM2 14.1.3 "Processor Initialization State"] */
static void reset_save(struct vmcb_save *s)
{
	memset(s, 0, sizeof(*s));
	s->cs = (struct vmcb_seg){ 0xf000, 0x9b, 0xffff, 0xffff0000 };
	s->ds = s->es = s->fs = s->gs = s->ss = real_seg(0, 0x93);
	s->gdtr = s->idtr = real_seg(0, 0);
	s->ldtr = real_seg(0, 0x82);
	s->tr = real_seg(0, 0x8b);
	s->efer = EFER_SVME;
	s->cr0 = CR0_CD | CR0_NW | CR0_ET;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	s->rflags = 2;
	s->rip = 0xfff0;
	s->g_pat = 0x0007040600070406ull;
}

void svm_vcpu_reset(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	unsigned long flags = irq_save();
	bool loaded = v->cpu >= 0;

	svm_vcpu_put(v);
	reset_save(&s->vmcb->s);
	s->vmcb->c.int_shadow = 0;
	svm_irq_window(v, false);
	s->nmi_blocked = s->nmi_want = s->iret_seen = s->stepping = false;
	svm_intercept(s->vmcb, INTERCEPT_IRET, false);
	s->xcr0 = 1;
	s->msrs = (struct guest_msrs){ 0 };
	s->flush = true;
	memset(s->dr, 0, sizeof(s->dr));
	guest_fpu_reset(s->fpu);
	memset(v->gpr, 0, sizeof(v->gpr));
	v->gpr[GPR_RDX] = cpuid(1, 0).eax;
	v->rip = s->exit_rip = s->vmcb->s.rip;
	v->rflags = s->vmcb->s.rflags;
	v->cr8 = 0;
	v->event = (struct virt_event){ .type = EV_NONE };
	v->irq_ready = false;
	v->nmi_ready = true;
	if (loaded)
		svm_vcpu_load(v);
	irq_restore(flags);
}

void svm_vcpu_load(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	int self = (int)this_cpu()->index;

	if (v->cpu == self)
		return;
	tern_assert(v->cpu < 0);
	WRITE_DR(0, s->dr[0]);
	WRITE_DR(1, s->dr[1]);
	WRITE_DR(2, s->dr[2]);
	WRITE_DR(3, s->dr[3]);
	guest_msrs_load(&s->msrs);
	if (svm_feat.tsc_rate)
		wrmsr(MSR_TSC_RATIO, svm_tsc_ratio(v->vm));
	guest_fpu_load(s->fpu);
	__atomic_store_n(&v->cpu, self, __ATOMIC_RELEASE);
}

void svm_vcpu_put(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);

	if (v->cpu < 0)
		return;
	tern_assert(v->cpu == (int)this_cpu()->index);
	READ_DR(0, s->dr[0]);
	READ_DR(1, s->dr[1]);
	READ_DR(2, s->dr[2]);
	READ_DR(3, s->dr[3]);
	guest_fpu_save(s->fpu);
	__atomic_store_n(&v->cpu, -1, __ATOMIC_RELEASE);
}
