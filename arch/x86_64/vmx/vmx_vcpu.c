/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: a vCPU's life, and its moves between pCPUs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/percpu.h>

#include "arch/x86_64/control.h"
#include "vmx.h"

/* ---- life ---- */

static void *page_new(bool want, bool *failed)
{
	hpa_t a;

	if (!want)
		return NULL;
	if (!page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &a))
		return hpa_ptr(a);
	*failed = true;
	return NULL;
}

static void page_free(void *p)
{
	if (p)
		page_put(ptr_hpa(p));
}

static void pages_free(struct vmx_vcpu *s)
{
	page_free(s->apic);
	page_free(s->pml);
	page_free(s->fpu);
	if (s->vmcs.v)
		page_put(s->vmcs);
}

static int pages_alloc(struct vmx_vcpu *s)
{
	bool failed = page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &s->vmcs) != 0;

	s->fpu = page_new(true, &failed);
	s->pml = page_new(vmx_feat.pml, &failed);
	s->apic = page_new(vmx_feat.tpr_shadow, &failed);
	if (!failed)
		return 0;
	pages_free(s);
	return -ENOMEM;
}

int vmx_vcpu_init(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = calloc(1, sizeof(*s));
	struct vmx_hold h;
	unsigned long flags;

	if (!s)
		return -ENOMEM;
	if (pages_alloc(s)) {
		free(s);
		return -ENOMEM;
	}
	s->vpid = vmx_vpid_take();
	s->last_cpu = -1;
	v->priv = s;
	v->cpu = -1;
	v->apic.usable = vmx_feat.apicv;
	*(uint32_t *)hpa_ptr(s->vmcs) = vmx_feat.revision;
	flags = irq_save();
	vmcs_clear(s);
	h = vmcs_open(v);
	vmx_setup_vmcs(v);
	vmcs_close(v, h);
	irq_restore(flags);
	vmx_vcpu_reset(v);
	return 0;
}

void vmx_vcpu_fini(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	tern_assert(v->cpu < 0);
	vmx_vpid_give(s->vpid);
	pages_free(s);
	free(s);
	v->priv = NULL;
}

/* [SDM 3A 10.1.1 "Processor State After Reset"] */
static const struct virt_state reset_state = {
	.seg[SEG_ES] = { .limit = 0xffff, .attr = 0x93 },
	.seg[SEG_CS] = { .base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attr = 0x9b },
	.seg[SEG_SS] = { .limit = 0xffff, .attr = 0x93 },
	.seg[SEG_DS] = { .limit = 0xffff, .attr = 0x93 },
	.seg[SEG_FS] = { .limit = 0xffff, .attr = 0x93 },
	.seg[SEG_GS] = { .limit = 0xffff, .attr = 0x93 },
	.seg[SEG_LDTR] = { .limit = 0xffff, .attr = 0x82 },
	.seg[SEG_TR] = { .limit = 0xffff, .attr = 0x8b },
	.gdtr.limit = 0xffff,
	.idtr.limit = 0xffff,
	.cr0 = CR0_CD | CR0_NW | CR0_ET,
	.dr6 = 0xffff0ff0,
	.dr7 = 0x400,
	.rflags = 2,
	.rip = 0xfff0,
	.pat = 0x0007040600070406ull,
	.xcr0 = 1,
};

void vmx_vcpu_reset(struct virt_vcpu *v)
{
	uint64_t tsc_offset = v->tsc_offset;
	unsigned long flags = irq_save();
	bool loaded = v->cpu >= 0;

	vmx_vcpu_put(v);
	vmx_put_state(v, &reset_state);
	guest_fpu_reset(vmx_of(v)->fpu);
	v->gpr[GPR_RDX] = cpuid(1, 0).eax;
	v->tsc_offset = tsc_offset; /* the TSC goes on */
	if (loaded)
		vmx_vcpu_load(v);
	irq_restore(flags);
}

/* ---- load and put ---- */

void vmx_vcpu_load(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	int self = (int)this_cpu()->index;

	if (v->cpu == self)
		return;
	tern_assert(v->cpu < 0);
	vmcs_load(s);
	vmx_setup_host();
	if (vmx_feat.tsc_scaling)
		vmcs_write(VMCS_TSC_MULTIPLIER, vmx_tsc_ratio(v->vm));
	WRITE_DR(0, s->dr[0]);
	WRITE_DR(1, s->dr[1]);
	WRITE_DR(2, s->dr[2]);
	WRITE_DR(3, s->dr[3]);
	WRITE_DR(6, s->dr6);
	vmx_live_load(s);
	guest_msrs_load(&s->msrs);
	guest_fpu_load(s->fpu);
	__atomic_store_n(&v->cpu, self, __ATOMIC_RELEASE);
}

void vmx_vcpu_put(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	if (v->cpu < 0)
		return;
	tern_assert(v->cpu == (int)this_cpu()->index);
	READ_DR(0, s->dr[0]);
	READ_DR(1, s->dr[1]);
	READ_DR(2, s->dr[2]);
	READ_DR(3, s->dr[3]);
	READ_DR(6, s->dr6);
	vmx_live_save(s);
	guest_fpu_save(s->fpu);
	vmcs_clear(s);
	__atomic_store_n(&v->cpu, -1, __ATOMIC_RELEASE);
}
