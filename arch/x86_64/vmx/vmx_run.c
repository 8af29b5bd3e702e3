/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x: run().
 *
 * Invariants
 *  - in_guest is set before slat->gen is read, with a full barrier between: who
 *    bumps gen and then sees in_guest clear knows that the next entry flushes;
 *    who sees it set kicks and waits for flushed_gen.
 *  - in_guest is set before kicked is read, so a kick is seen either here or as
 *    an interrupt that ends the guest at once.
 *  - flushed_gen is published after INVEPT on this pCPU, and the log of dirty
 *    pages (PML) is emptied before in_guest is cleared or gen read again: who
 *    has seen a flush acknowledged has all that was logged before it.
 */
#include <tern/cpu.h>
#include <tern/pageset.h>
#include <tern/percpu.h>

#include "vmx.h"

#define PML_ENTRIES 512u

static void flush_if_behind(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	uint64_t gen = __atomic_load_n(&v->vm->slat->gen, __ATOMIC_SEQ_CST);
	bool moved = s->last_cpu != v->cpu, behind = moved || gen != v->flushed_gen;

	if (s->flush || moved)
		vmx_invvpid(s->vpid);
	if (behind)
		vmx_invept(ept_pointer(v->vm->slat));
	if (!behind && !s->flush)
		return;
	s->flush = false;
	s->last_cpu = v->cpu;
	v->flushes++;
	__atomic_store_n(&v->flushed_gen, gen, __ATOMIC_SEQ_CST);
}

/* Moves what the CPU has logged of written pages to the VM's log. */
static void empty_pml(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	struct pageset *log = __atomic_load_n(&v->vm->log, __ATOMIC_SEQ_CST);
	unsigned next =
		(unsigned)(vmcs_read(GUEST_PML_INDEX) + 1) & 0xffff; /* index 0xffff: full */

	for (unsigned i = next; log && i < PML_ENTRIES; i++)
		(void)pageset_mark(log, s->pml[i] >> PAGE_SHIFT);
	if (next < PML_ENTRIES)
		vmcs_write(GUEST_PML_INDEX, PML_ENTRIES - 1);
}

static void switch_pml(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	bool want = __atomic_load_n(&v->vm->log, __ATOMIC_SEQ_CST) != NULL;

	if (!s->pml || want == s->pml_on)
		return;
	vmcs_set_bit(VMCS_PROC2, PROC2_PML, want);
	s->pml_on = want;
}

/*
 * Bochs 2.7 lets no interrupt end a guest that was entered with IF clear until
 * the guest changes IF itself: such a stay is bounded to a millisecond.
 */
static void switch_timer(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	bool want = vmx_feat.timer && !(v->rflags & RFLAGS_IF);

	if (want == s->timer_on)
		return;
	vmcs_set_bit(VMCS_PIN, PIN_TIMER, want);
	if (want)
		vmcs_write(GUEST_TIMER, vmx_feat.timer_ticks);
	s->timer_on = want;
}

/*
 * PAE paging takes its four PDPTEs from the VMCS: after a change from outside
 * they are read from guest memory. False: that page has to be mapped first.
 */
static bool take_pdptes(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	struct slat_leaf leaf;
	const uint64_t *table;
	uint64_t at;

	if (!s->pdptes_stale)
		return true;
	if ((vmcs_read(GUEST_CR0) & CR0_PG) && (vmcs_read(GUEST_CR4) & CR4_PAE) &&
	    !(vmcs_read(GUEST_EFER) & EFER_LMA)) {
		at = vmcs_read(GUEST_CR3) & 0xffffffe0ull;
		if (!slat_lookup(v->vm->slat, GPA(at), &leaf))
			return false;
		table = hpa_ptr(HPA(leaf.hpa.v + (at - leaf.gpa.v)));
		for (unsigned i = 0; i < 4; i++)
			vmcs_write(GUEST_PDPTE(i), table[i]);
	}
	s->pdptes_stale = false;
	return true;
}

static void ask_for_pdptes(struct virt_vcpu *v, struct vmexit *x)
{
	*x = (struct vmexit){ .reason = EXIT_SLAT_FAULT };
	x->fault.gpa = GPA(vmcs_read(GUEST_CR3) & 0xffffffe0ull);
	x->fault.walk = true;
	vmx_mode(v, &x->mode);
}

static void registers_in(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	if (v->rip != s->exit_rip) /* the kernel stepped over the instruction in the shadow */
		s->blocking &= ~(uint32_t)(BLOCKED_STI | BLOCKED_MOV_SS);
	vmcs_write(GUEST_INTERRUPTIBILITY, s->blocking);
	vmcs_write(GUEST_RIP, v->rip);
	vmcs_write(GUEST_RFLAGS, v->rflags | (s->debug_step ? RFLAGS_TF : 0));
	vmcs_write(GUEST_RSP, v->gpr[GPR_RSP]);
	vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
}

static void registers_out(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);

	v->rip = s->exit_rip = vmcs_read(GUEST_RIP);
	v->rflags = vmcs_read(GUEST_RFLAGS);
	v->gpr[GPR_RSP] = vmcs_read(GUEST_RSP);
	s->blocking = (uint32_t)vmcs_read(GUEST_INTERRUPTIBILITY);
	s->launched = true;
}

/* The guest runs with its own XCR0 and CR2, which the VMCS does not hold. */
static int enter(struct virt_vcpu *v)
{
	struct vmx_vcpu *s = vmx_of(v);
	bool switch_xcr0 = guest_feat.xsave && s->xcr0 != guest_feat.xcr0;
	int r;

	if (switch_xcr0)
		guest_xsetbv(s->xcr0);
	__asm__ volatile("mov %0, %%cr2" ::"r"(s->cr2));
	r = vmx_enter(v->gpr, s->launched);
	__asm__ volatile("mov %%cr2, %0" : "=r"(s->cr2));
	if (switch_xcr0)
		guest_xsetbv(guest_feat.xcr0);
	return r;
}

static void go(struct virt_vcpu *v, struct vmexit *x)
{
	if (!take_pdptes(v)) {
		ask_for_pdptes(v, x);
		return;
	}
	flush_if_behind(v);
	switch_pml(v);
	switch_timer(v);
	vmx_event_enter(v);
	vmx_step_enter(v);
	vmx_apic_enter(v);
	registers_in(v);
	if (enter(v)) {
		vmx_fail_instruction(v, x);
		return;
	}
	registers_out(v);
	vmx_step_leave(v);
	vmx_apic_leave(v);
	if (vmx_of(v)->pml_on)
		empty_pml(v);
	vmx_exit(v, x);
}

void vmx_run(struct virt_vcpu *v, struct vmexit *x)
{
	guest_run(v, x, go);
}
