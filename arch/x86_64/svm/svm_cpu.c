/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V on one pCPU: enabling it, the host state that VMRUN does not keep, and
 * ASIDs. Each pCPU hands out its own ASIDs; when they run out a new generation
 * begins, and every vCPU takes a new one at its next entry there. An ASID is
 * flushed when it is taken, so nothing of its former owner survives.
 * [APM2 15.16 "TLB Control"] [APM2 15.30.4 "VM_HSAVE_PA MSR"]
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/cpu.h>
#include <tern/percpu.h>

#include "arch/x86_64/control.h"
#include "svm.h"

#define CR4_OSFXSR (BIT(9) | BIT(10)) /* and OSXMMEXCPT */

int svm_cpu_alloc(unsigned cpu)
{
	struct svm_cpu *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &c->hsave))
		goto free_cpu;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &c->host))
		goto put_hsave;
	percpu[cpu].virt = c;
	return 0;
put_hsave:
	page_put(c->hsave);
free_cpu:
	free(c);
	return -ENOMEM;
}

int svm_cpu_on(void)
{
	struct svm_cpu *c = this_cpu()->virt;
	uint64_t cr4 = read_cr4() | CR4_OSFXSR;

	if (!c)
		return -ENOMEM;
	if (guest_feat.xsave)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	if (guest_feat.xsave)
		guest_xsetbv(guest_feat.xcr0);
	guest_cpu_on();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, c->hsave.v);
	/* FS, GS, TR, LDTR, KernelGSBase, STAR, SYSENTER of the host do not change after this. */
	__asm__ volatile("vmsave %%rax" ::"a"(c->host.v) : "memory");
	c->asid_gen = 1;
	c->asid_next = 1;
	return 0;
}

void svm_cpu_off(void)
{
	wrmsr(MSR_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

bool svm_asid_take(struct svm_vcpu *s)
{
	struct svm_cpu *c = this_cpu()->virt;

	if (s->asid_gen == c->asid_gen && s->asid_cpu == (int)this_cpu()->index)
		return false;
	if (c->asid_next >= svm_feat.asids) {
		c->asid_next = 1;
		c->asid_gen++;
	}
	s->vmcb->c.asid = c->asid_next++;
	s->asid_gen = c->asid_gen;
	s->asid_cpu = (int)this_cpu()->index;
	return true;
}
