/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-x on one pCPU: enabling it, which VMCS is current, invalidation, VPIDs.
 *
 * A vCPU's VMCS is active on the pCPU that the vCPU is loaded on and nowhere
 * else: it is made current there by vcpu_load and cleared by vcpu_put, so that
 * it can move. Who needs the fields of a vCPU that is not loaded opens it for
 * that long (vmcs_open, vmcs_close). A VPID is a vCPU's for life; the pCPU that
 * it comes to anew invalidates what it may hold from an earlier time.
 * [SDM 3C 25.11 "Software Use of the VMCS and Related Structures"] [SDM 3C 24.7 "Enabling and
 * Entering VMX Operation"]
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/cpu.h>
#include <tern/lock.h>
#include <tern/percpu.h>

#include "arch/x86_64/control.h"
#include "vmx.h"

#define INV_SINGLE 1ull
#define INV_ALL 2ull
#define VPIDS 65536u

static uint64_t vpid_used[VPIDS / 64] = { 1 }; /* [atom] 0 is the host's */

void vmcs_access_failed(const char *what, uint32_t field)
{
	panic("%s of field %x", what, (unsigned)field);
}

/* ---- the pCPU ---- */

/* Firmware leaves it unset, or sets and locks it; some emulators have none, and need none. */
static int unlock(void)
{
	uint64_t v;

	if (rdmsr_safe(MSR_FEATURE_CONTROL, &v))
		return 0;
	if (vmx_locked_off(v)) {
		log_error("vmx",
			  "CPU %u: VT-x is locked off in IA32_FEATURE_CONTROL, unlike on the "
			  "boot CPU: enable it in the firmware",
			  cpu_self());
		return -ENOTSUP;
	}
	if (v & FEATURE_CONTROL_LOCK)
		return 0;
	return wrmsr_safe(MSR_FEATURE_CONTROL, v | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
}

int vmx_cpu_alloc(unsigned cpu)
{
	struct vmx_cpu *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &c->vmxon)) {
		free(c);
		return -ENOMEM;
	}
	percpu[cpu].virt = c;
	return 0;
}

int vmx_cpu_on(void)
{
	struct vmx_cpu *c = this_cpu()->virt;
	uint64_t region;
	bool bad;
	int r;

	if (!c)
		return -ENOMEM;
	r = unlock();
	if (r)
		return r;
	if (!vmx_controls_fit()) {
		log_error("vmx", "CPU %u offers other VT-x features than the boot CPU", cpu_self());
		return -ENOTSUP;
	}
	region = c->vmxon.v;
	*(uint32_t *)hpa_ptr(c->vmxon) = vmx_feat.revision;
	write_cr4(read_cr4() | CR4_VMXE);
	if (guest_feat.xsave)
		guest_xsetbv(guest_feat.xcr0);
	guest_cpu_on();
	__asm__ volatile("vmxon %1" : "=@ccbe"(bad) : "m"(region) : "memory");
	if (bad) {
		write_cr4(read_cr4() & ~CR4_VMXE);
		return -EIO;
	}
	c->current = 0;
	return 0;
}

void vmx_cpu_off(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
	write_cr4(read_cr4() & ~CR4_VMXE);
}

/* ---- the current VMCS ---- */

static void make_current(uint64_t vmcs)
{
	struct vmx_cpu *c = this_cpu()->virt;
	bool bad;

	__asm__ volatile("vmptrld %1" : "=@ccbe"(bad) : "m"(vmcs) : "memory");
	if (bad)
		panic("VMPTRLD of %llx", (unsigned long long)vmcs);
	c->current = vmcs;
}

void vmcs_load(struct vmx_vcpu *s)
{
	struct vmx_cpu *c = this_cpu()->virt;

	if (c->current != s->vmcs.v)
		make_current(s->vmcs.v);
}

/* To memory, inactive, launch state clear. */
void vmcs_clear(struct vmx_vcpu *s)
{
	struct vmx_cpu *c = this_cpu()->virt;
	uint64_t vmcs = s->vmcs.v;
	bool bad;

	__asm__ volatile("vmclear %1" : "=@ccbe"(bad) : "m"(vmcs) : "memory");
	if (bad)
		panic("VMCLEAR of %llx", (unsigned long long)vmcs);
	if (c->current == vmcs)
		c->current = 0;
	s->launched = false;
}

struct vmx_hold vmcs_open(struct virt_vcpu *v)
{
	struct vmx_hold h = { .flags = irq_save() };
	struct vmx_cpu *c = this_cpu()->virt;

	if (v->cpu >= 0 && c->current == vmx_of(v)->vmcs.v) {
		irq_restore(h.flags);
		return h; /* loaded here: it stays current until it is put */
	}
	tern_assert(v->cpu < 0);
	h.opened = true;
	h.before = c->current;
	if (h.before != vmx_of(v)->vmcs.v)
		make_current(vmx_of(v)->vmcs.v);
	return h;
}

void vmcs_close(struct virt_vcpu *v, struct vmx_hold h)
{
	if (!h.opened)
		return;
	if (h.before != vmx_of(v)->vmcs.v) {
		vmcs_clear(vmx_of(v));
		if (h.before)
			make_current(h.before);
	}
	irq_restore(h.flags);
}

/* ---- invalidation ---- */

struct descriptor {
	uint64_t id, address;
};

void vmx_invept(uint64_t eptp)
{
	struct descriptor d = { eptp, 0 };
	uint64_t type = vmx_feat.invept_single ? INV_SINGLE : INV_ALL;
	bool bad;

	__asm__ volatile("invept %1, %2" : "=@ccbe"(bad) : "m"(d), "r"(type) : "memory");
	if (bad)
		panic("INVEPT of %llx", (unsigned long long)eptp);
}

void vmx_invvpid(uint16_t vpid)
{
	struct descriptor d = { vpid, 0 };
	uint64_t type = vmx_feat.invvpid_single ? INV_SINGLE : INV_ALL;
	bool bad;

	if (!vpid)
		return; /* every entry and exit invalidates */
	__asm__ volatile("invvpid %1, %2" : "=@ccbe"(bad) : "m"(d), "r"(type) : "memory");
	if (bad)
		panic("INVVPID of %u", vpid);
}

/* 0 when there is none left: such a vCPU runs without. */
uint16_t vmx_vpid_take(void)
{
	for (unsigned i = 0; vmx_feat.vpid && i < ARRAY_SIZE(vpid_used); i++) {
		uint64_t used = __atomic_load_n(&vpid_used[i], __ATOMIC_RELAXED);

		while (~used) {
			unsigned bit = (unsigned)__builtin_ctzll(~used);

			used = __atomic_fetch_or(&vpid_used[i], BIT(bit), __ATOMIC_SEQ_CST);
			if (!(used & BIT(bit)))
				return (uint16_t)(i * 64 + bit);
		}
	}
	return 0;
}

void vmx_vpid_give(uint16_t vpid)
{
	if (vpid)
		__atomic_fetch_and(&vpid_used[vpid / 64], ~BIT(vpid % 64), __ATOMIC_SEQ_CST);
}
