/* SPDX-License-Identifier: BSD-2-Clause */
/* Self-tests: exits, event injection, windows, state in and out, vector state. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "selftest.h"

static void test_real(struct tiny *t)
{
	if (!tiny_start_real(t, guest_real))
		return;
	tiny_run(t);
	for (uint32_t i = 0; i < 3; i++)
		tiny_expect_out(t, i, 0x80, 0x5a5a0001 + i, "CPUID or OUT in real mode");
	if (t->by_reason[EXIT_HLT] != 1 || t->by_reason[EXIT_CPUID] != 3 ||
	    t->by_reason[EXIT_PIO] != 3)
		tiny_fail(t, "exits miscounted");
}

static void test_long(struct tiny *t)
{
	if (!tiny_start_long(t, guest_basic))
		return;
	t->c.v.gpr[GPR_RDI] = TINY_DEVICE;
	tiny_run(t);
	tiny_expect_out(t, 0, 0x80, 0x5a5a0001, "CPUID in long mode");
	tiny_expect_out(t, 1, 0x80, 0xbeef, "a load from a device");
	tiny_expect_out(t, 2, 0x81, 1, "the TSC runs backwards");
	if (t->mmio_writes != 1 || t->mmio_reads != 1 || t->by_reason[EXIT_MSR_READ] != 1 ||
	    t->by_reason[EXIT_MSR_WRITE] != 1 ||
	    t->by_reason[EXIT_WBINVD] > 1) /* older VT-x lets it through */
		tiny_fail(t, "exits miscounted");
}

/* ---- exits in number, and a kick ---- */

static bool until_10000(struct tiny *t, struct vmexit *x)
{
	(void)x;
	return t->by_reason[EXIT_CPUID] >= 10000;
}

static void test_exits(struct tiny *t)
{
	uint64_t start = time_ns();

	if (!tiny_start_long(t, guest_exits))
		return;
	t->on_exit = until_10000;
	tiny_run(t);
	log_info("selftest", "10000 exits in %llu us",
		 (unsigned long long)((time_ns() - start) / 1000));
}

static bool only_kicks(struct tiny *t, struct vmexit *x)
{
	if (x->reason != EXIT_NONE && x->reason != EXIT_SLAT_FAULT)
		tiny_fail(t, "a kick is not EXIT_NONE");
	return t->why != NULL;
}

static void kick_once(struct tiny *t, unsigned cpu)
{
	uint64_t before = __atomic_load_n(&t->exits, __ATOMIC_SEQ_CST), start = time_ns();

	__atomic_store_n(&t->c.v.kicked, 1, __ATOMIC_SEQ_CST);
	cpu_kick(cpu);
	while (!t->why && __atomic_load_n(&t->exits, __ATOMIC_SEQ_CST) == before) {
		if (time_ns() - start > 5 * NSEC_PER_SEC)
			tiny_fail(t, "a kicked vCPU stays in the guest");
		world_yield();
	}
}

/* From another CPU; the guest does not leave by itself for long. */
static void kicks(struct tiny *t, const char *guest, uint64_t rflags, unsigned count)
{
	unsigned cpu = cpu_self() ? 0 : 1;
	struct world *w;

	if (cpu_count() < 2 || !tiny_start_long(t, guest))
		return;
	t->c.v.rflags = rflags;
	t->on_exit = only_kicks;
	w = tiny_launch(t, (int)cpu);
	if (!w)
		return;
	world_sleep_ns(20 * NSEC_PER_MSEC);
	for (unsigned i = 0; i < count && !t->why; i++)
		kick_once(t, cpu);
	/* Not kick_once: it may have seen stop already, and then there is no further exit to wait
	 * for. */
	__atomic_store_n(&t->stop, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&t->c.v.kicked, 1, __ATOMIC_SEQ_CST);
	cpu_kick(cpu);
	world_join(w);
}

static void test_kick(struct tiny *t)
{
	kicks(t, guest_spin, TINY_IRQS_ON, 100);
}

/* The guest's own IF must not matter. Bochs' AMD-V gets this wrong: the guest ends by itself, with
 * a HLT. */
static void test_kick_masked(struct tiny *t)
{
	kicks(t, guest_spin_some, 2, 10);
}

/* ---- state ---- */

static void refuse(struct tiny *t, struct virt_state *s, const char *why)
{
	if (virt->state_load(&t->c.v, s) != -EINVAL)
		tiny_fail(t, why);
	virt->state_save(&t->c.v, s);
}

static void test_state(struct tiny *t)
{
	struct virt_state *s = memalign(64, sizeof(*s)), *again = memalign(64, sizeof(*s));

	if (!s || !again || !tiny_start_long(t, guest_basic)) {
		tiny_fail(t, "out of memory");
		goto out;
	}
	virt->state_save(&t->c.v, s);
	if (virt->state_load(&t->c.v, s))
		tiny_fail(t, "its own state was refused");
	virt->state_save(&t->c.v, again);
	if (again->tsc < s->tsc)
		tiny_fail(t, "the guest TSC went back");
	again->tsc = s->tsc;
	if (memcmp(s, again, offsetof(struct virt_state, xsave) + s->xsave_size))
		tiny_fail(t, "a state changed on its way in and out");
	s->rip = 0x8000000000000000ull;
	refuse(t, s, "a rip that is not canonical was taken");
	s->cr0 |= 1ull << 40;
	refuse(t, s, "CR0 above 32 bits was taken");
	s->cr4 = 0;
	refuse(t, s, "long mode without PAE was taken");
	s->efer |= 0x1000;
	refuse(t, s, "a reserved EFER bit was taken");
	s->xsave[512 + 8] = 1;
	refuse(t, s, "a compacted XSAVE header was taken");
	s->xsave[27] = 0xff;
	refuse(t, s, "reserved MXCSR bits were taken");
	s->event = (struct virt_event){ .type = 77 };
	refuse(t, s, "an event of no type was taken");
	s->seg[SEG_FS].base = 0x1234567800000000ull;
	refuse(t, s, "a segment base that is not canonical was taken");
	s->xcr0 = 4;
	refuse(t, s, "XCR0 without x87 was taken");
out:
	free(again);
	free(s);
}

/* Two vCPUs take turns on one CPU, each with a value of its own in XMM0. */
static bool take_turns(struct tiny *t, struct vmexit *x)
{
	if (x->reason == EXIT_PIO)
		world_yield();
	return x->reason == EXIT_HLT || t->why != NULL;
}

static void test_vector(struct tiny *t)
{
	struct tiny *other = malloc(sizeof(*other));
	struct world *a, *b;

	if (!other || !tiny_create(other)) {
		tiny_fail(t, "out of memory");
		free(other);
		return;
	}
	t->on_exit = other->on_exit = take_turns;
	if (tiny_start_long(t, guest_vector) && tiny_start_long(other, guest_vector)) {
		t->c.v.gpr[GPR_RAX] = 0x1111222233334444ull;
		other->c.v.gpr[GPR_RAX] = 0x5555666677778888ull;
		a = tiny_launch(t, 0);
		b = tiny_launch(other, 0);
		if (a)
			world_join(a);
		if (b)
			world_join(b);
		if (other->why)
			tiny_fail(t, other->why);
		if (t->outs != 100 || other->outs != 100)
			tiny_fail(t, "vector registers did not survive a switch");
	}
	tiny_destroy(other);
	free(other);
}

const struct tiny_test tiny_cpu_tests[] = {
	{ "virt-real", test_real },
	{ "virt-long", test_long },
	{ "virt-exits", test_exits },
	{ "virt-kick", test_kick },
	{ "virt-kick-masked", test_kick_masked },
	{ "virt-state", test_state },
	{ "virt-vector", test_vector },
	{ NULL, NULL },
};
