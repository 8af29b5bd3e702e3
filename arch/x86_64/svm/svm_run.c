/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: run(), the way into the guest and back.
 *
 * Invariants
 *  - in_guest is set before slat->gen is read, with a full barrier between: who
 *    bumps gen and then sees in_guest clear knows that the next entry flushes;
 *    who sees it set kicks and waits for flushed_gen.
 *  - in_guest is set before kicked is read, so a kick is seen either here or as
 *    an interrupt that ends the guest at once.
 *  - flushed_gen is published when no guest instruction can run any more before
 *    the flush that VMRUN does.
 */
#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/percpu.h>

#include "svm.h"

static void flush_if_behind(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	uint64_t gen = __atomic_load_n(&v->vm->slat->gen, __ATOMIC_SEQ_CST);
	bool flush = svm_asid_take(s) || s->flush || gen != v->flushed_gen;

	s->vmcb->c.tlb_control = TLB_FLUSH_NONE;
	if (!flush)
		return;
	s->vmcb->c.tlb_control = svm_feat.flush_by_asid ? TLB_FLUSH_ASID : TLB_FLUSH_ALL;
	s->flush = false;
	v->flushes++;
	__atomic_store_n(&v->flushed_gen, gen, __ATOMIC_SEQ_CST);
}

static void registers_in(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb *b = s->vmcb;

	if (v->rip != s->exit_rip)
		b->c.int_shadow = 0; /* the kernel stepped over the instruction in the shadow */
	b->s.rip = v->rip;
	b->s.rflags = v->rflags;
	b->s.rax = v->gpr[GPR_RAX];
	b->s.rsp = v->gpr[GPR_RSP];
	svm_apic_enter(v);
	b->c.tsc_offset = v->tsc_offset;
	b->c.clean = 0;
}

static void registers_out(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	struct vmcb *b = s->vmcb;

	if ((uint32_t)b->c.exit_code == VMEXIT_INVALID)
		return; /* nothing has run; QEMU 7.2 puts the host's RIP there */
	v->rip = s->exit_rip = b->s.rip;
	v->rflags = b->s.rflags;
	v->gpr[GPR_RAX] = b->s.rax;
	v->gpr[GPR_RSP] = b->s.rsp;
	svm_apic_leave(v);
}

/*
 * The guest runs with its own XCR0. It is read back because QEMU 7.2 has no
 * XSETBV intercept: a guest changes it without an exit there.
 */
static void enter_with_xcr0(struct virt_vcpu *v)
{
	struct svm_vcpu *s = svm_of(v);
	struct svm_cpu *c = this_cpu()->virt;
	bool own = guest_feat.xsave;

	if (own && s->xcr0 != guest_feat.xcr0)
		guest_xsetbv(s->xcr0);
	/* VMRUN loads CR2 from the VMCB; Bochs 2.7 does not, and nobody here needs the host's. */
	__asm__ volatile("mov %0, %%cr2" ::"r"(s->vmcb->s.cr2));
	svm_enter(v->gpr, ptr_hpa(s->vmcb).v, c->host.v);
	if (!own)
		return;
	if (s->vmcb->s.cr4 & CR4_OSXSAVE)
		s->xcr0 = guest_xgetbv();
	if (s->xcr0 != guest_feat.xcr0)
		guest_xsetbv(guest_feat.xcr0);
}

static void go(struct virt_vcpu *v, struct vmexit *x)
{
	flush_if_behind(v);
	registers_in(v);
	svm_event_enter(v);
	svm_nmi_enter(v);
	svm_step_enter(v);
	enter_with_xcr0(v);
	registers_out(v);
	svm_step_leave(v);
	svm_exit(v, x);
}

void svm_run(struct virt_vcpu *v, struct vmexit *x)
{
	guest_run(v, x, go);
}
