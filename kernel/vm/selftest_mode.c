/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: ways to start and to change modes, and a state in which every field
 * has a value of its own, in and out again, before and after it has run.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "selftest.h"
#include "x86.h"

/* EFER, which decides the mode, is the backend's. */
static bool keep_efer(struct tiny *t, struct vmexit *x)
{
	uint64_t value = 0;

	if (x->reason == EXIT_MSR_READ) {
		if (virt->msr_get(&t->c.v, x->msr.index, &value))
			tiny_fail(t, "EFER cannot be read");
		t->c.v.gpr[GPR_RAX] = (uint32_t)value;
		t->c.v.gpr[GPR_RDX] = value >> 32;
	} else if (x->reason == EXIT_MSR_WRITE &&
		   virt->msr_set(&t->c.v, x->msr.index, x->msr.value)) {
		tiny_fail(t, "EFER cannot be written");
	}
	return t->why != NULL || x->reason == EXIT_HLT;
}

/* Real mode to protected mode to long mode, by the guest's own doing. */
static void test_modes(struct tiny *t)
{
	struct virt_mode m;

	if (!tiny_start_real(t, guest_modes))
		return;
	t->on_exit = keep_efer;
	tiny_run(t);
	tiny_expect_out(t, 0, 0x89, 0x16, "real mode");
	tiny_expect_out(t, 1, 0x89, 0x32, "protected mode");
	tiny_expect_out(t, 2, 0x89, 0x64, "long mode");
	virt->mode(&t->c.v, &m);
	if (!(m.efer & G_EFER_LMA) || !(m.cr0 & G_CR0_PG) || !(m.seg[SEG_CS].attr & SEG_ATTR_L))
		tiny_fail(t, "the mode at the end is not long mode");
}

static void test_protected(struct tiny *t)
{
	if (!tiny_start_protected(t, guest_protected))
		return;
	tiny_run(t);
	tiny_expect_out(t, 0, 0x89, 0x5a5a0001, "CPUID in protected mode");
	tiny_expect_out(t, 1, 0x89, 0x12345678, "the stack in protected mode");
}

/* ---- a full state ---- */

static const struct virt_seg odd_segs[SEG_COUNT] = {
	[SEG_ES] = { .base = 0x1000, .limit = 0xffffffff, .selector = 0x10, .attr = 0xc93 },
	[SEG_CS] = { .limit = 0xffffffff, .selector = 8, .attr = 0xa9b },
	[SEG_SS] = { .limit = 0xffffffff, .selector = 0x10, .attr = 0xc93 },
	[SEG_DS] = { .base = 0x2000, .limit = 0xfffff, .selector = 0x18, .attr = 0x491 },
	[SEG_FS] = { .base = 0x7f0012345000, .limit = 0xffffffff, .selector = 0x10, .attr = 0xc93 },
	[SEG_GS] = { .base = 0xffff888000001000,
		     .limit = 0xffffffff,
		     .selector = 0x10,
		     .attr = 0xc93 },
	[SEG_LDTR] = { .base = 0x3000, .limit = 0xff, .selector = 0x28, .attr = 0x82 },
	[SEG_TR] = { .base = 0xfffffe0000003000, .limit = 0x67, .selector = 0x40, .attr = 0x8b },
};

static void fill_state(struct virt_state *s)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		s->gpr[i] = 0x1111111111111111ull * i + 5;
	s->gpr[GPR_RSP] = TINY_STACK;
	s->cr2 = 0xdeadbeef000;
	s->cr8 = 9;
	for (unsigned i = 0; i < 4; i++)
		s->dr[i] = 0x400000 + 0x1000 * i;
	s->dr6 = 0xffff0ff1;
	s->dr7 = 0x400;
	memcpy(s->seg, odd_segs, sizeof(odd_segs));
	s->pat = 0x0007010600070406ull;
	s->star = 0x0023001000000000ull;
	s->lstar = 0xffffffff81000000ull;
	s->cstar = 0xffffffff81000100ull;
	s->sfmask = 0x47700;
	s->kernel_gs_base = 0xffff888000002000ull;
	s->sysenter_cs = 0x10;
	s->sysenter_esp = 0xfffffe0000001000ull;
	s->sysenter_eip = 0xffffffff81000200ull;
	s->tsc = 1ull << 40;
	s->tsc_aux = 0x1234;
	for (unsigned i = 0; i < 256; i++) /* XMM0 to XMM15 */
		s->xsave[160 + i] = (uint8_t)(i * 7 + 1);
	s->xsave[512] |= 3;
}

/* MXCSR_MASK, and whether a component in its initial state counts as in use. */
static bool is_cpus_own(size_t i)
{
	size_t at = i - offsetof(struct virt_state, xsave);

	return (at >= 28 && at < 32) || at == 512;
}

/* All but time, which goes on, and what the instructions that ran have changed. */
static bool same(const struct virt_state *a, struct virt_state *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
	size_t len = offsetof(struct virt_state, xsave) + a->xsave_size;

	if (b->tsc < a->tsc)
		return false;
	b->tsc = a->tsc;
	for (size_t i = 0; i < len; i++)
		if (x[i] != y[i] && !is_cpus_own(i)) {
			log_error("selftest", "state byte %zu is %02x, was %02x", i, y[i], x[i]);
			return false;
		}
	return true;
}

static void through(struct tiny *t, struct virt_state *s, struct virt_state *again)
{
	const struct virt_event fault = {
		.type = EV_EXCEPTION, .vector = 13, .has_error = true, .error = 0x18
	};

	s->event = fault;
	s->irq_shadow = s->nmi_blocked = true;
	if (virt->state_load(&t->c.v, s)) {
		tiny_fail(t, "a full state was refused");
		return;
	}
	virt->state_save(&t->c.v, again);
	if (!same(s, again))
		tiny_fail(t, "a full state changed on its way in and out");
	if (t->c.v.irq_ready || t->c.v.nmi_ready)
		tiny_fail(t, "ready in spite of an event under delivery");
	s->event = (struct virt_event){ .type = EV_NONE };
	s->nmi_blocked = false; /* Bochs 2.7 hands a block on to the next guest on that CPU */
	if (virt->state_load(&t->c.v, s))
		tiny_fail(t, "a full state was refused");
	tiny_run(t);
	virt->state_save(&t->c.v, again);
	if (again->rip != s->rip + 2 || again->irq_shadow)
		tiny_fail(t, "NOP and HLT did not run");
	again->rip = s->rip;
	again->irq_shadow = true;
	if (!same(s, again))
		tiny_fail(t, "a full state changed while the guest ran");
}

static void test_full_state(struct tiny *t)
{
	struct virt_state *s = memalign(64, sizeof(*s)), *again = memalign(64, sizeof(*s));

	if (!s || !again || !tiny_start_long(t, guest_once)) {
		tiny_fail(t, "out of memory");
	} else {
		virt->state_save(&t->c.v, s);
		fill_state(s);
		through(t, s, again);
	}
	free(again);
	free(s);
}

const struct tiny_test tiny_mode_tests[] = {
	{ "virt-modes", test_modes },
	{ "virt-protected", test_protected },
	{ "virt-full-state", test_full_state },
	{ NULL, NULL },
};
