/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID: the VM's table (cpuid.c) with this vCPU's own fields. */
#include "vm_int.h"

#define MSR_APIC_BASE 0x1bu
#define APIC_BASE_ENABLED BIT(11)

static bool apic_off(struct vcpu *c)
{
	uint64_t base;

	return !vcpu_msr_read(c, MSR_APIC_BASE, &base) && !(base & APIC_BASE_ENABLED);
}

enum exit_next exit_cpuid(struct vcpu *c, struct vmexit *x)
{
	uint32_t leaf = (uint32_t)c->v.gpr[GPR_RAX], sub = (uint32_t)c->v.gpr[GPR_RCX];
	struct cpuid_vcpu self = { .apic_id = c->index };
	struct cpuid_regs r;

	if (leaf == 1 || leaf == 0xd) {
		struct virt_mode m = { 0 };

		virt->mode(&c->v, &m);
		self.cr4 = m.cr4;
		self.xcr0 = m.xcr0;
		self.apic_off = apic_off(c);
	}
	r = cpuid_read(c->vm->cpuid, leaf, sub, &self);
	c->v.gpr[GPR_RAX] = r.eax;
	c->v.gpr[GPR_RBX] = r.ebx;
	c->v.gpr[GPR_RCX] = r.ecx;
	c->v.gpr[GPR_RDX] = r.edx;
	vcpu_skip(c, x, 2);
	return NEXT_RESUME;
}
