/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: entries that the CPU refuses are told in words, with nothing of
 * the guest done; mended, the same vCPU goes on. No state that the backend's own
 * check takes is refused by every CPU, so the vCPU is spoiled behind it.
 */
#include <string.h>

#include <tern/log.h>

#include "selftest.h"

#define NO_EXCEPTION 40u
#define RFLAGS_ALWAYS 2ull /* a bit that is always 1 */
#define MARKS 100u	   /* that guest_vector makes on its way */

static void spoil_flags(struct virt_vcpu *v)
{
	v->rflags &= ~RFLAGS_ALWAYS;
}

static void spoil_event(struct virt_vcpu *v)
{
	v->event = (struct virt_event){ .type = EV_EXCEPTION, .vector = NO_EXCEPTION };
}

static const struct {
	void (*spoil)(struct virt_vcpu *v);
	const char *what;
} cases[] = {
	{ spoil_flags, "refusal of reserved flags" },
	{ spoil_event, "refusal of an exception that does not exist" },
};

static unsigned refusals;
static uint64_t rip;

/* Mends what both cases spoil. */
static bool mend(struct tiny *t, struct vmexit *x)
{
	if (x->reason != EXIT_FAILED)
		return t->why != NULL || x->reason == EXIT_HLT;
	refusals++;
	log_info("selftest", "refused: %s", x->fail.text);
	if (!x->fail.text[0])
		tiny_fail(t, "a refusal without words");
	if (t->outs || t->c.v.rip != rip)
		tiny_fail(t, "the guest ran, though it was refused");
	if (refusals > 1)
		tiny_fail(t, "a mended vCPU was refused");
	t->c.v.rflags |= RFLAGS_ALWAYS;
	t->c.v.event = (struct virt_event){ .type = EV_NONE };
	return t->why != NULL;
}

static void refuse(struct tiny *t, unsigned i)
{
	uint64_t halts = t->by_reason[EXIT_HLT];

	tiny_set_gate(t, NO_EXCEPTION, guest_on_irq); /* where a CPU delivers it all the same */
	if (!tiny_start_long(t, guest_vector))
		return;
	t->on_exit = mend;
	t->refusal = true;
	refusals = 0;
	rip = t->c.v.rip;
	cases[i].spoil(&t->c.v);
	tiny_run(t);
	(void)tiny_present(refusals != 0, cases[i].what);
	if (t->outs < MARKS || t->by_reason[EXIT_HLT] != halts + 1)
		tiny_fail(t, "the guest did not go on to its end");
	if (refusals && t->outs != MARKS)
		tiny_fail(t, "what was refused was delivered later");
}

static void test_refusal(struct tiny *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases) && !t->why; i++)
		refuse(t, i);
}

const struct tiny_test tiny_refusal_tests[] = {
	{ "virt-refusal", test_refusal },
	{ NULL, NULL },
};
