/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: the compacted form of vector state in a guest's own memory, while
 * what is moved stays in the standard one; IA32_XSS takes nothing but 0.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>

#include "selftest.h"
#include "x86.h"

#define MSR_XSS 0xda0u
#define AREA 0x20000ull
#define VALUE 0x5a17c0deull
#define COMPACTED 0x80000000u /* of XCOMP_BV's upper half */
#define XMM0_AT 160u
#define XCOMP_AT 520u
#define COMPONENTS 3u /* x87 and SSE: every CPU's */

static void check_xss(struct tiny *t)
{
	uint64_t v = 1;

	if (virt->msr_get(&t->c.v, MSR_XSS, &v) || v || virt->msr_set(&t->c.v, MSR_XSS, 0))
		tiny_fail(t, "XSS is not 0, or does not take it");
	for (unsigned i = 0; i < 64; i++)
		if (virt->msr_set(&t->c.v, MSR_XSS, BIT(i)) != -EINVAL)
			tiny_fail(t, "XSS takes a component that is not moved");
}

static void check_moved(struct tiny *t)
{
	struct virt_state *s = memalign(64, sizeof(*s));
	uint64_t xmm0, xcomp;

	if (!s) {
		tiny_fail(t, "out of memory");
		return;
	}
	virt->state_save(&t->c.v, s);
	memcpy(&xmm0, s->xsave + XMM0_AT, sizeof(xmm0));
	memcpy(&xcomp, s->xsave + XCOMP_AT, sizeof(xcomp));
	if (xmm0 != VALUE || xcomp || s->xss)
		tiny_fail(t, "the state that moves is not in the standard form");
	free(s);
}

static void test_xsaves(struct tiny *t)
{
	struct cpuid_regs d1 = cpuid(0xd, 1);

	virt->cpuid_limit(0xd, 1, &d1);
	if (!tiny_present((d1.eax & BIT(3)) != 0, "XSAVES") || !tiny_start_long(t, guest_xsaves))
		return;
	check_xss(t);
	if (virt->set_cr(&t->c.v, 4, G_CR4_PAE | G_CR4_OSFXSR | G_CR4_OSXSAVE) ||
	    virt->set_cr(&t->c.v, VIRT_XCR0, COMPONENTS))
		tiny_fail(t, "XCR0 cannot be set");
	t->c.v.gpr[GPR_RDI] = AREA;
	t->c.v.gpr[GPR_RBX] = VALUE;
	t->c.v.gpr[GPR_RAX] = COMPONENTS;
	t->c.v.gpr[GPR_RDX] = 0;
	tiny_run(t);
	tiny_expect_out(t, 0, 0x90, (uint32_t)VALUE, "a register through XSAVES and XRSTORS");
	tiny_expect_out(t, 1, 0x90, COMPACTED, "the form of what XSAVES wrote");
	check_moved(t);
}

const struct tiny_test tiny_xsave_tests[] = {
	{ "virt-xsaves", test_xsaves },
	{ NULL, NULL },
};
