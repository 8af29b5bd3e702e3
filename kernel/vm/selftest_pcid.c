/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: two address spaces under PCIDs of their own, gone to and back
 * without a flush; CR3 and CR4 on their way out and in.
 */
#include <malloc.h>
#include <stdlib.h>

#include <tern/cpu.h>

#include "selftest.h"
#include "x86.h"

#define PCID_PML4 0x20000ull
#define PCID_PDPT 0x21000ull
#define PCID_PD 0x22000ull
#define PCID_AT 0x800000ull    /* what the two spaces differ in */
#define PCID_OTHER 0xa00000ull /* what the second has there, at first */
#define PCID_THIRD 0xc00000ull
#define PD_LARGE 0x87ull
#define PD_ENTRY(linear) (PCID_PD + 8 * ((linear) >> 21))
#define SPACE_1 0x2000ull /* the harness's own tables */

static void put(struct tiny *t, uint64_t gpa, uint64_t v)
{
	if (gmem_write(t->vm.mem, GPA(gpa), &v, sizeof(v)))
		tiny_fail(t, "guest memory cannot be written");
}

static void second_space(struct tiny *t)
{
	put(t, PCID_PML4, PCID_PDPT | 7);
	put(t, PCID_PDPT, PCID_PD | 7);
	for (uint64_t at = 0; at < TINY_RAM; at += SIZE_2M)
		put(t, PD_ENTRY(at), at | PD_LARGE);
	put(t, PD_ENTRY(PCID_AT), PCID_OTHER | PD_LARGE);
	put(t, PCID_AT, 0x11);
	put(t, PCID_OTHER, 0x22);
	put(t, PCID_THIRD, 0x33);
}

/* It is what the guest is in the middle of that moves, PCID and all. */
static void pcid_in_state(struct tiny *t)
{
	struct virt_state *s = memalign(64, sizeof(*s));

	if (!s) {
		tiny_fail(t, "out of memory");
		return;
	}
	virt->state_save(&t->c.v, s);
	if (s->cr3 != PCID_PML4 + 2 || !(s->cr4 & G_CR4_PCIDE) || virt->state_load(&t->c.v, s))
		tiny_fail(t, "a state with a PCID is not saved or not taken");
	free(s);
}

static void test_pcid(struct tiny *t)
{
	struct cpuid_regs one = cpuid(1, 0), seven = cpuid(7, 0);

	virt->cpuid_limit(1, 0, &one);
	virt->cpuid_limit(7, 0, &seven);
	if (!tiny_present((one.ecx & BIT(17)) && (seven.ebx & BIT(10)), "PCID and INVPCID"))
		return;
	second_space(t);
	if (!tiny_start_long(t, guest_pcid))
		return;
	t->c.v.gpr[GPR_RBX] = SPACE_1;
	t->c.v.gpr[GPR_RBP] = PCID_PML4;
	t->c.v.gpr[GPR_R8] = PD_ENTRY(PCID_AT);
	t->c.v.gpr[GPR_R8 + 1] = PCID_THIRD | PD_LARGE;
	t->c.v.gpr[GPR_R8 + 2] = PCID_AT;
	tiny_run(t);
	tiny_expect_out(t, 0, 0x8e, 0x11, "memory with PCID 1");
	tiny_expect_out(t, 1, 0x8e, 0x22, "memory with PCID 2");
	tiny_expect_out(t, 2, 0x8e, 0x11, "memory with PCID 1 again");
	tiny_expect_out(t, 3, 0x8f, SPACE_1 + 1, "CR3 with a PCID");
	tiny_expect_out(t, 4, 0x8f, 0, "CR3 without its bit 63");
	tiny_expect_out(t, 5, 0x8e, 0x33, "memory after INVPCID");
	pcid_in_state(t);
}

const struct tiny_test tiny_pcid_tests[] = {
	{ "virt-pcid", test_pcid },
	{ NULL, NULL },
};
