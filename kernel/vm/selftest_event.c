/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: event injection, windows, and events whose delivery a nested fault
 * cuts short. For the last, the pages of the IDT and of the stack are taken out
 * of the nested tables before each event, so that every delivery faults twice
 * and must be repeated without being lost, doubled or changed.
 */
#include <tern/log.h>

#include "gmem_int.h"
#include "selftest.h"

/* ---- events ---- */

static const struct virt_event events[] = {
	{ .type = EV_IRQ, .vector = 0x40 },
	{ .type = EV_EXCEPTION, .vector = 14, .has_error = true, .error = 6, .cr2 = 0x123000 },
	{ .type = EV_EXCEPTION, .vector = 13, .has_error = true, .error = 0x18 },
	{ .type = EV_NMI, .vector = 2 },
	{ .type = EV_IRQ, .vector = 0x41 },
	{ .type = EV_NMI, .vector = 2 },
};

/* At each HLT the next event. */
static bool inject_next(struct tiny *t, struct vmexit *x)
{
	unsigned n = (unsigned)t->by_reason[EXIT_HLT];

	if (x->reason != EXIT_HLT)
		return false;
	if (n > ARRAY_SIZE(events))
		return true;
	if (!t->c.v.irq_ready)
		tiny_fail(t, "a halted guest with interrupts on is not ready");
	if (!t->c.v.nmi_ready)
		tiny_fail(t, "NMI is still blocked after IRET");
	t->c.v.event = events[n - 1];
	return t->why != NULL;
}

static void set_gates(struct tiny *t)
{
	tiny_set_gate(t, 0x40, guest_on_irq);
	tiny_set_gate(t, 0x41, guest_on_irq);
	tiny_set_gate(t, 14, guest_on_fault);
	tiny_set_gate(t, 13, guest_on_fault);
	tiny_set_gate(t, 2, guest_on_nmi);
	tiny_set_gate(t, 6, guest_on_ud);
}

static void test_inject(struct tiny *t)
{
	set_gates(t);
	if (!tiny_start_long(t, guest_wait))
		return;
	t->on_exit = inject_next;
	tiny_run(t);
	tiny_expect_out(t, 0, 0x81, 0x40, "an interrupt");
	tiny_expect_out(t, 1, 0x83, 0x123000, "CR2 of a page fault");
	tiny_expect_out(t, 2, 0x82, 6, "error code of a page fault");
	tiny_expect_out(t, 4, 0x82, 0x18, "error code of #GP");
	if (!t->why && (t->outs != 8 || t->out[5].port != 0x84 || t->out[7].port != 0x84))
		tiny_fail(t, "NMI");
	/* The first delivery met an IDT that the nested tables did not map yet. */
	if (!t->delivery_faults)
		tiny_fail(t, "no event was cut short by a nested fault");
}

/* Exceptions and INT n of the guest's own, cut short by nested faults as well. */
static void test_own_events(struct tiny *t)
{
	set_gates(t);
	if (!tiny_start_long(t, guest_ud))
		return;
	tiny_run(t);
	if (t->outs != 2 || t->out[0].port != 0x85)
		tiny_fail(t, "#UD of the guest's own");
	tiny_expect_out(t, 1, 0x81, 0x40, "INT n of the guest's own");
}

static bool ask_window(struct tiny *t, struct vmexit *x)
{
	if (x->reason == EXIT_PIO && x->pio.port == 0x86) {
		if (t->c.v.irq_ready)
			tiny_fail(t, "ready with interrupts off");
		virt->irq_window(&t->c.v, true);
	}
	return t->why != NULL || x->reason == EXIT_HLT;
}

static bool window_open(struct tiny *t, struct vmexit *x)
{
	if (x->reason == EXIT_IRQ_WINDOW) {
		if (!t->c.v.irq_ready)
			tiny_fail(t, "the window is open and the guest not ready");
		t->c.v.event = events[0];
	}
	return ask_window(t, x);
}

static void test_window(struct tiny *t)
{
	set_gates(t);
	if (!tiny_start_long(t, guest_window))
		return;
	t->on_exit = window_open;
	tiny_run(t);
	tiny_expect_out(t, 1, 0x81, 0x40, "an interrupt through the window");
	if (t->by_reason[EXIT_IRQ_WINDOW] != 1)
		tiny_fail(t, "the window opened more or less than once");
}

/* One NMI at the first HLT; another one while its handler runs has to wait for the IRET. */
static bool nmi_in_nmi(struct tiny *t, struct vmexit *x)
{
	const struct virt_event nmi = { .type = EV_NMI, .vector = 2 };

	/* The first one behind an interrupt that is delivered at the same entry. */
	if (x->reason == EXIT_HLT && t->by_reason[EXIT_HLT] == 1) {
		t->c.v.event = events[0];
		virt->nmi_window(&t->c.v, true);
		return false;
	}
	if (!t->outs && t->by_reason[EXIT_HLT] == 1 && t->c.v.nmi_ready) {
		virt->nmi_window(&t->c.v, false);
		t->c.v.event = nmi;
	}
	if (x->reason == EXIT_PIO && t->outs == 1) {
		if (t->c.v.nmi_ready)
			tiny_fail(t, "NMI is not blocked in its handler");
		virt->nmi_window(&t->c.v, true);
	}
	if (x->reason == EXIT_NMI_WINDOW) {
		if (!t->c.v.nmi_ready)
			tiny_fail(t, "the NMI window is open and the guest not ready");
		virt->nmi_window(&t->c.v, false);
		t->c.v.event = nmi;
	}
	return t->why != NULL || t->by_reason[EXIT_HLT] == 2;
}

static void test_nmi(struct tiny *t)
{
	uint64_t windows;

	set_gates(t);
	if (!tiny_start_long(t, guest_wait))
		return;
	t->on_exit = nmi_in_nmi;
	tiny_run(t);
	windows = t->by_reason[EXIT_NMI_WINDOW];
	/* Whether the first comes by a window too depends on what else exits before its turn. */
	if (t->outs != 3 || t->out[2].port != 0x81 || !windows || windows > 2)
		tiny_fail(t, "the second NMI was lost or came twice");
	if (t->c.v.rflags & 0x100)
		tiny_fail(t, "single-step is left on");
}

/* ---- deliveries cut short ---- */

#define STACK_PAGE (TINY_STACK - PAGE_SIZE)

static void hide(struct tiny *t, uint64_t gpa)
{
	struct slat_flush owed = { 0 };

	if (slat_unmap(gmem_slat(t->vm.mem), GPA(gpa), PAGE_SIZE, &owed))
		tiny_fail(t, "out of memory");
	vm_flush(&t->vm, owed);
}

static void hide_both(struct tiny *t)
{
	hide(t, TINY_IDT);
	hide(t, STACK_PAGE);
}

static const struct virt_event cut[] = {
	{ .type = EV_IRQ, .vector = 0x40 },
	{ .type = EV_EXCEPTION, .vector = 14, .has_error = true, .error = 6, .cr2 = 0x123000 },
	{ .type = EV_NMI, .vector = 2 },
	{ .type = EV_SOFT_INT, .vector = 0x41, .insn_len = 2 },
	{ .type = EV_EXCEPTION, .vector = 6 },
	{ .type = EV_NMI, .vector = 2 },
};

/* At each HLT the next event; none may have been delivered without faults. */
static bool inject_cut(struct tiny *t, struct vmexit *x)
{
	unsigned n = (unsigned)t->by_reason[EXIT_HLT];

	if (x->reason != EXIT_HLT)
		return t->why != NULL;
	if (t->delivery_faults < 2 * (n - 1))
		tiny_fail(t, "a delivery was not cut short");
	if (n > ARRAY_SIZE(cut))
		return true;
	hide_both(t);
	t->c.v.event = cut[n - 1];
	return t->why != NULL;
}

static void test_cut_injected(struct tiny *t)
{
	static const uint16_t ports[] = { 0x81, 0x83, 0x82, 0x84, 0x81, 0x85, 0x84 };

	set_gates(t);
	if (!tiny_start_long(t, guest_wait))
		return;
	t->on_exit = inject_cut;
	tiny_run(t);
	if (t->outs != ARRAY_SIZE(ports))
		tiny_fail(t, "an event was lost or came twice");
	for (unsigned i = 0; !t->why && i < ARRAY_SIZE(ports); i++)
		if (t->out[i].port != ports[i])
			tiny_fail(t, "events came in another order");
	tiny_expect_out(t, 1, 0x83, 0x123000, "CR2 after the repeat");
	tiny_expect_out(t, 2, 0x82, 6, "the error code after the repeat");
}

static bool hide_at_mark(struct tiny *t, struct vmexit *x)
{
	if (x->reason == EXIT_PIO && x->pio.port == 0x88)
		hide_both(t);
	if (t->by_reason[EXIT_SLAT_FAULT] > 100)
		tiny_fail(t, "a delivery is repeated without an end");
	return t->why != NULL || x->reason == EXIT_HLT;
}

/* #GP, #PF and #UD of the guest's own. */
static void test_cut_own(struct tiny *t)
{
	set_gates(t);
	tiny_set_gate(t, 13, guest_on_own);
	tiny_set_gate(t, 14, guest_on_own);
	if (!tiny_start_long(t, guest_own_faults))
		return;
	t->on_exit = hide_at_mark;
	tiny_run(t);
	tiny_expect_out(t, 2, 0x82, 0x28, "the error code of a #GP");
	tiny_expect_out(t, 4, 0x83, 0x3000, "CR2 of a page fault");
	tiny_expect_out(t, 5, 0x82, 0, "the error code of a page fault");
	if (!t->why && (t->outs != 8 || t->out[7].port != 0x85))
		tiny_fail(t, "#UD, or an event came twice");
	if (t->delivery_faults < 6)
		tiny_fail(t, "a delivery was not cut short");
}

/* INT n is executed again instead. Bochs' AMD-V reports the event before it in its place. */
static void test_cut_int(struct tiny *t)
{
	set_gates(t);
	if (!tiny_start_long(t, guest_own_int))
		return;
	t->on_exit = hide_at_mark;
	tiny_run(t);
	tiny_expect_out(t, 1, 0x81, 0x40, "INT n");
	if (!t->why && t->outs != 2)
		tiny_fail(t, "INT n came twice");
	if (t->by_reason[EXIT_SLAT_FAULT] < 2)
		tiny_fail(t, "no delivery was cut short");
}

/*
 * The IRET of an NMI handler that faults half way does not end the block: the
 * second NMI must wait until it is through.
 */
static bool cut_iret(struct tiny *t, struct vmexit *x)
{
	const struct virt_event nmi = { .type = EV_NMI, .vector = 2 };

	if (x->reason == EXIT_HLT && t->by_reason[EXIT_HLT] <= 2)
		t->c.v.event = nmi;
	if (x->reason == EXIT_PIO)
		hide(t, STACK_PAGE);
	if (x->reason == EXIT_SLAT_FAULT &&
	    x->fault.gpa.v >> PAGE_SHIFT == STACK_PAGE >> PAGE_SHIFT &&
	    t->c.v.event.type == EV_NONE) {
		t->mmio_reads++;
		if (t->c.v.nmi_ready)
			tiny_fail(t, "an IRET that faulted ended the block of NMI");
	}
	return t->why != NULL || (x->reason == EXIT_HLT && t->by_reason[EXIT_HLT] == 3);
}

static void test_cut_iret(struct tiny *t)
{
	set_gates(t);
	if (!tiny_start_long(t, guest_wait))
		return;
	t->on_exit = cut_iret;
	tiny_run(t);
	if (t->outs != 2 || !t->mmio_reads)
		tiny_fail(t, "no IRET was cut short");
	if (!t->why && !t->c.v.nmi_ready)
		tiny_fail(t, "NMI is blocked for good");
}

/* One trap an instruction; QEMU gives none behind STI, real CPUs do. */
static void test_step(struct tiny *t)
{
	static const uint32_t at[] = { 1, 3, 4, 5, 13, 14 };
	unsigned behind_sti = 0;

	tiny_set_gate(t, 1, guest_on_step);
	if (!tiny_start_long(t, guest_step))
		return;
	tiny_run(t);
	for (unsigned i = 0; i < ARRAY_SIZE(at) && !t->why; i++) {
		if (i == 1 && t->out[1].value == 2)
			behind_sti = 1;
		tiny_expect_out(t, i + behind_sti, 0x8b, at[i], "a trap is missing");
	}
	if (!t->why && t->outs != ARRAY_SIZE(at) + behind_sti)
		tiny_fail(t, "a trap too many");
	/* Bochs' AMD-V tells no cause, and the last trap finds RFLAGS.TF clear already. */
	if (t->c.v.gpr[13] + 1 < t->outs)
		tiny_fail(t, "DR6.BS is not set at each trap");
}

const struct tiny_test tiny_event_tests[] = {
	{ "virt-inject", test_inject },
	{ "virt-own-events", test_own_events },
	{ "virt-window", test_window },
	{ "virt-nmi", test_nmi },
	{ "virt-cut-injected", test_cut_injected },
	{ "virt-cut-own", test_cut_own },
	{ "virt-cut-int", test_cut_int },
	{ "virt-cut-iret", test_cut_iret },
	{ "virt-step", test_step },
	{ NULL, NULL },
};
