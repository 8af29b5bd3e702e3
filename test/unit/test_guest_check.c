/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/guest_check.c arch/x86_64/guest_fpu.c
/*
 * May a CPU be entered with this state? Each field that VM entry or a restore in
 * the host would choke on is broken alone, in a state that is good otherwise.
 */
#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/guest.h"

struct guest_features guest_feat = {
	.xsave = true,
	.xcr0 = 0x2e7,
	.xsave_size = 2696,
	.mxcsr_mask = 0xffff,
	.cr4_mask = 0x3707ff | CR4_PCIDE,
	.efer_mask = 0xd01 | EFER_FFXSR,
	.cr3_mask = BIT(40) - 1,
};

static const uint32_t component_end[10] = { 512, 512, 832, 0, 0, 1152, 1664, 2688, 0, 2696 };

uint32_t guest_xsave_size(uint64_t xcr0)
{
	uint32_t size = 576;

	for (unsigned i = 0; i < 10; i++)
		if (xcr0 >> i & 1)
			size = MAX(size, component_end[i]);
	return size;
}

static struct virt_state good;

/* A 64-bit kernel in the middle of things. */
static void setup(void)
{
	struct virt_state *s = &good;

	memset(s, 0, sizeof(*s));
	s->rip = 0xffffffff81000000ull;
	s->rflags = 0x246;
	s->cr0 = 0x80050033;
	s->cr3 = 0x2a10000;
	s->cr4 = 0x7006f0 & guest_feat.cr4_mask;
	s->efer = 0xd01;
	s->xcr0 = 7;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	for (unsigned i = 0; i < SEG_COUNT; i++)
		s->seg[i] = (struct virt_seg){ .limit = 0xffffffff, .attr = 0xc93 };
	s->seg[SEG_CS].attr = 0xa9b;
	s->seg[SEG_TR].attr = 0x8b;
	s->seg[SEG_LDTR].attr = SEG_UNUSABLE;
	s->gdtr.limit = s->idtr.limit = 0xfff;
	s->gdtr.base = s->idtr.base = 0xfffffe0000000000ull;
	s->pat = 0x0007040600070406ull;
	s->xsave_size = 832;
	s->xsave[512] = 7;
	s->xsave[24] = 0x80;
	s->xsave[25] = 0x1f;
}

static int check(const struct virt_state *s)
{
	return guest_state_check(7, s);
}

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct virt_state s = good;                                                        \
		change;                                                                            \
		if (check(&s) != -EINVAL)                                                          \
			fail_msg("taken: %s", #change);                                            \
	} while (0)
#define TAKEN(change)                                                                              \
	do {                                                                                       \
		struct virt_state s = good;                                                        \
		change;                                                                            \
		if (check(&s))                                                                     \
			fail_msg("refused: %s", #change);                                          \
	} while (0)

static void test_control(void **state)
{
	setup();
	assert_int_equal(check(&good), 0);
	REFUSED(s.cr0 |= BIT(32));
	REFUSED(s.cr0 &= ~CR0_PE);
	REFUSED(s.cr0 |= CR0_NW);
	REFUSED(s.cr0 |= BIT(10));
	TAKEN(s.cr0 |= CR0_NW | CR0_CD);
	REFUSED(s.cr4 |= BIT(13));
	REFUSED(s.cr4 |= BIT(63));
	REFUSED(s.cr4 &= ~CR4_PAE);
	REFUSED(s.cr3 |= BIT(40));
	REFUSED(s.cr3 |= BIT(63));
	TAKEN((s.cr4 |= CR4_PCIDE, s.cr3 |= 0xfff));
	REFUSED((s.cr3 |= BIT(63), s.cr4 |= CR4_PCIDE));
	REFUSED((s.cr4 |= CR4_PCIDE, s.cr0 = 0x10, s.efer = 0, s.rip = 0xfff0,
		 s.seg[SEG_CS].attr = 0x9b));
	REFUSED(s.efer |= BIT(12));
	REFUSED(s.efer |= BIT(1));
	REFUSED(s.efer &= ~EFER_LMA);
	REFUSED(s.efer &= ~EFER_LME);
	REFUSED(s.cr8 = 16);
	TAKEN(s.cr8 = 15);
	REFUSED(s.xcr0 = 6);
	REFUSED(s.xcr0 = 5);
	REFUSED(s.xcr0 = 0x207);
	REFUSED(s.xcr0 = 0xe7);
	TAKEN(s.xcr0 = 3);
	REFUSED(s.dr6 |= BIT(32));
	REFUSED(s.dr7 |= BIT(63));
	REFUSED(s.dr6 |= BIT(12));
	REFUSED(s.dr6 = 0);
	REFUSED(s.dr6 &= ~BIT(20));
	TAKEN(s.dr6 = 0xfffe07f0 | 0xe00f);
	REFUSED(s.dr7 = 0);
	REFUSED(s.dr7 |= BIT(12));
	REFUSED(s.dr7 |= BIT(15));
	TAKEN(s.dr7 = 0xffff2fff);
	REFUSED(s.debugctl = BIT(14));
	(void)state;
}

static void test_flow(void **state)
{
	setup();
	REFUSED(s.rip = BIT(47));
	REFUSED(s.rip = 0x1234567800000000ull);
	REFUSED(s.rflags &= ~2ull);
	REFUSED(s.rflags |= BIT(3));
	REFUSED(s.rflags |= BIT(40));
	REFUSED(s.rflags |= RFLAGS_VM);
	REFUSED(s.seg[SEG_CS].attr |= 0x400);
	REFUSED(s.seg[SEG_CS].attr &= ~0x80u);
	REFUSED(s.seg[SEG_CS].attr |= SEG_UNUSABLE);
	REFUSED(s.seg[SEG_CS].attr &= ~8u);
	REFUSED(s.seg[SEG_DS].attr |= BIT(20));
	REFUSED(s.seg[SEG_GS].base = BIT(60));
	REFUSED(s.gdtr.limit = 0x10000);
	REFUSED(s.idtr.base = BIT(50));
	/* Compatibility mode: the address has 32 bits. */
	REFUSED(s.seg[SEG_CS].attr = 0xc9b);
	TAKEN((s.seg[SEG_CS].attr = 0xc9b, s.rip = 0xfffffff0));
	/* Real mode. */
	TAKEN((s.cr0 = 0x10, s.efer = 0, s.rip = 0xfff0, s.seg[SEG_CS].attr = 0x9b));
	(void)state;
}

static void test_registers(void **state)
{
	setup();
	REFUSED(s.lstar = BIT(47));
	REFUSED(s.cstar = BIT(62));
	REFUSED(s.kernel_gs_base = BIT(55));
	REFUSED(s.sysenter_eip = BIT(55));
	REFUSED(s.sysenter_esp = BIT(55));
	REFUSED(s.pat = 2);
	REFUSED(s.pat = 0xff00000000000000ull);
	REFUSED(s.tsc_aux = BIT(32));
	REFUSED(s.sfmask = BIT(32));
	REFUSED(s.sysenter_cs = BIT(40));
	TAKEN(s.star = ~0ull);
	REFUSED(s.spec_ctrl = 1);
	REFUSED(s.xss = 1);
	REFUSED(s.nr_msrs = 1);
	REFUSED(s.nr_msrs = UINT32_MAX);
	(void)state;
}

static void test_vector(void **state)
{
	setup();
	REFUSED(s.xsave_size = 0);
	REFUSED(s.xsave_size = 575);
	REFUSED(s.xsave_size = 831);
	REFUSED(s.xsave_size = XSAVE_AREA_MAX + 1);
	REFUSED(s.xsave_size = UINT32_MAX);
	TAKEN(s.xsave_size = XSAVE_AREA_MAX);
	TAKEN((s.xsave_size = 576, s.xsave[512] = 3));
	REFUSED(s.xsave[513] = 2);    /* PKRU, which the VM has not */
	REFUSED(s.xsave[519] = 0x80); /* compacted */
	for (unsigned i = 520; i < 576; i++)
		REFUSED(s.xsave[i] = 1);
	REFUSED(s.xsave[26] = 1);
	(void)state;
}

static void test_events(void **state)
{
	static const bool error[32] = {
		[8] = true,  [10] = true, [11] = true, [12] = true,
		[13] = true, [14] = true, [17] = true, [21] = true,
	};

	setup();
	for (unsigned v = 0; v < 256; v++) {
		struct virt_state s = good;

		s.event = (struct virt_event){ .type = EV_EXCEPTION, .vector = (uint8_t)v };
		s.event.has_error = v < 32 && error[v];
		assert_int_equal(check(&s), v < 32 && v != 2 ? 0 : -EINVAL);
		s.event.has_error = !s.event.has_error;
		assert_int_equal(check(&s), -EINVAL);
		s.event = (struct virt_event){ .type = EV_NMI, .vector = (uint8_t)v };
		assert_int_equal(check(&s), v == 2 ? 0 : -EINVAL);
		s.event.type = (uint8_t)(EV_SOFT_INT + 1 + v);
		if (s.event.type > EV_SOFT_INT)
			assert_int_equal(check(&s), -EINVAL);
	}
	TAKEN(s.event = ((struct virt_event){ .type = EV_IRQ, .vector = 0x40 }));
	REFUSED((s.event = (struct virt_event){ .type = EV_IRQ, .vector = 0x40 },
		 s.rflags &= ~RFLAGS_IF));
	REFUSED(s.event = ((struct virt_event){ .type = EV_SOFT_INT, .vector = 0x80 }));
	REFUSED(s.event = ((struct virt_event){ .type = EV_SOFT_INT, .insn_len = 16 }));
	TAKEN(s.event =
		      ((struct virt_event){ .type = EV_SOFT_INT, .vector = 0x80, .insn_len = 2 }));
	(void)state;
}

/* ---- XSAVEC on trial ---- */

static void put_at(uint8_t *area, size_t at)
{
	for (size_t i = 0; i < 2; i++)
		memcpy(area + at + 8 * i, &(uint64_t){ GUEST_FPU_PROBE }, 8);
}

static void by_the_manual(uint8_t *area)
{
	put_at(area, 576);
}

static void behind_sse(uint8_t *area)
{
	put_at(area, 160 + 256);
}

static void half_of_it(uint8_t *area)
{
	put_at(area, 568);
}

static void not_at_all(uint8_t *area)
{
}

static void test_compaction(void **state)
{
	assert_true(guest_fpu_compacts(by_the_manual));
	assert_false(guest_fpu_compacts(behind_sse));
	assert_false(guest_fpu_compacts(half_of_it));
	assert_false(guest_fpu_compacts(not_at_all));
}

/* The instruction itself, where there is one: this CPU is trusted. */
static void test_compaction_here(void **state)
{
	uint32_t eax, ebx, ecx, edx;

	if (!__builtin_cpu_supports("avx") || !__get_cpuid_count(0xd, 1, &eax, &ebx, &ecx, &edx) ||
	    !(eax & BIT(1)))
		skip();
	assert_true(guest_fpu_compacts(guest_fpu_xsavec));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control),		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_registers),	cmocka_unit_test(test_vector),
		cmocka_unit_test(test_events),		cmocka_unit_test(test_compaction),
		cmocka_unit_test(test_compaction_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
