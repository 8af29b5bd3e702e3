/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID of a VM with Microsoft's interface: its leaves begin at 0x40000000, where its
 * guests look and nowhere else; those of kvmclock go 0x100 up, where theirs look next.
 * [TLFS "Feature and Interface Discovery"]
 */
#include <string.h>

#include "hyperv.h"

#define LEAF_BASE 0x40000000u
#define LEAF_MAX (LEAF_BASE + 5)

/* Leaf 3 EAX and EDX: which MSRs there are. */
#define HAS_TIME_REF_COUNT BIT(1)
#define HAS_HYPERCALL_MSRS BIT(5)
#define HAS_VP_INDEX BIT(6)
#define HAS_REFERENCE_TSC BIT(9)
#define HAS_FREQUENCIES BIT(11)
#define EDX_FREQUENCIES BIT(8)
#define NEVER_NOTIFY UINT32_MAX /* leaf 4 EBX: of a spinlock that is waited for */

static void add(struct cpuid_table *t, uint32_t leaf, struct cpuid_regs r)
{
	if (t->count < CPUID_ENTRIES_MAX)
		t->e[t->count++] = (struct cpuid_entry){ leaf, CPUID_ANY_SUB, r };
}

static void move_others(struct cpuid_table *t)
{
	for (uint32_t i = 0; i < t->count; i++) {
		struct cpuid_entry *e = &t->e[i];

		if (e->leaf == LEAF_BASE)
			e->r.eax += CPUID_HYPERV_STEP; /* the highest of them */
		if (e->leaf >> 28 == LEAF_BASE >> 28)
			e->leaf += CPUID_HYPERV_STEP;
	}
}

void hyperv_cpuid(struct cpuid_table *t)
{
	struct cpuid_regs r = { .eax = LEAF_MAX };

	move_others(t);
	memcpy(&r.ebx, "Micr", 4);
	memcpy(&r.ecx, "osof", 4);
	memcpy(&r.edx, "t Hv", 4);
	add(t, LEAF_BASE, r);
	r = (struct cpuid_regs){ 0 };
	memcpy(&r.eax, "Hv#1", 4);
	add(t, LEAF_BASE + 1, r);
	add(t, LEAF_BASE + 3,
	    (struct cpuid_regs){ .eax = HAS_TIME_REF_COUNT | HAS_HYPERCALL_MSRS | HAS_VP_INDEX |
					HAS_REFERENCE_TSC | HAS_FREQUENCIES,
				 .edx = EDX_FREQUENCIES });
	add(t, LEAF_BASE + 4, (struct cpuid_regs){ .ebx = NEVER_NOTIFY });
	add(t, LEAF_BASE + 5, (struct cpuid_regs){ .eax = VM_VCPUS_MAX });
}
