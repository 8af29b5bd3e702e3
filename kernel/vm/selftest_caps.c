/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests of what only some CPUs have: leaves of 1 GiB, a log of dirty pages
 * that overflows, TSC scaling. Where the CPU lacks it there is nothing to test,
 * and the log says so.
 */
#include <tern/cpu.h>
#include <tern/dirty.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "gmem_int.h"
#include "selftest.h"

bool tiny_present(bool has, const char *what)
{
	if (!has)
		log_info("selftest", "not on this CPU: %s", what);
	return has;
}

/* ---- 1 GiB leaves ---- */

#define GIB SIZE_1G

/* The guest's second GiB is the host's first: a store there must reach a page of the host's. */
static void store_through(struct tiny *t, uint64_t *page, uint64_t value)
{
	if (!tiny_start_long(t, guest_store))
		return;
	t->c.v.gpr[GPR_RDI] = GIB + ptr_hpa(page).v;
	t->c.v.gpr[GPR_RAX] = value;
	tiny_run(t);
	if (__atomic_load_n(page, __ATOMIC_SEQ_CST) != value)
		tiny_fail(t, "a store through the leaf did not arrive");
}

static void large_leaf(struct tiny *t, uint64_t *page)
{
	struct slat *s = gmem_slat(t->vm.mem);
	uint64_t at = GIB + ptr_hpa(page).v;
	struct slat_flush owed = { 0 };
	struct slat_leaf leaf;

	if (slat_map(s, GPA(GIB), HPA(0), GIB, SLAT_R | SLAT_W)) {
		tiny_fail(t, "a leaf of 1 GiB cannot be mapped");
		return;
	}
	store_through(t, page, 0x1234567800000001ull);
	if (!slat_lookup(s, GPA(at), &leaf) || leaf.size != GIB ||
	    (s->fmt->dirty && (!leaf.accessed || !leaf.dirty)))
		tiny_fail(t, "the leaf of 1 GiB does not show what was done");
	if (slat_split(s, GPA(at), PAGE_SIZE, &owed))
		tiny_fail(t, "a leaf of 1 GiB cannot be split");
	vm_flush(&t->vm, owed);
	store_through(t, page, 0x1234567800000002ull);
	if (!slat_lookup(s, GPA(at), &leaf) || leaf.size == GIB)
		tiny_fail(t, "the leaf of 1 GiB was not split");
}

static void test_1g(struct tiny *t)
{
	hpa_t a;

	if (!tiny_present(gmem_slat(t->vm.mem)->fmt->has_1g, "leaves of 1 GiB"))
		return;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_VM, &a)) {
		tiny_fail(t, "out of memory");
		return;
	}
	if (a.v < GIB)
		large_leaf(t, hpa_ptr(a));
	page_put(a);
}

/* ---- a log that overflows ---- */

#define LOG_FIRST 0x800000ull
#define LOG_PAGES 1900u /* the CPU's log holds 512 */

static bool write_all(struct tiny *t, uint64_t pages)
{
	if (!tiny_start_long(t, guest_touch))
		return false;
	t->c.v.gpr[GPR_RSI] = LOG_FIRST;
	t->c.v.gpr[GPR_RDI] = LOG_FIRST;
	t->c.v.gpr[GPR_RCX] = pages;
	t->c.v.gpr[GPR_RDX] = PAGE_SIZE;
	tiny_run(t);
	return !t->why;
}

/* Counts only pages of the range: the stack and so on are written as well. */
static uint64_t harvested(struct tiny *t, struct pageset *set)
{
	uint64_t n = 0;

	pageset_clear_all(set);
	if (dirty_harvest(&t->vm, set))
		tiny_fail(t, "a harvest failed");
	for (gfn_t i = 0; i < LOG_PAGES; i++)
		n += pageset_test(set, (LOG_FIRST >> PAGE_SHIFT) + i);
	return n;
}

static void overflow(struct tiny *t, struct pageset *set)
{
	uint64_t exits = t->by_reason[EXIT_NONE];

	if (!write_all(t, LOG_PAGES))
		return;
	if (virt_caps.pml && t->by_reason[EXIT_NONE] < exits + LOG_PAGES / 512)
		tiny_fail(t, "the log did not overflow");
	if (harvested(t, set) != LOG_PAGES)
		tiny_fail(t, "pages are missing from the harvest");
	if (harvested(t, set))
		tiny_fail(t, "pages were reported twice");
	/* Fewer than a log: what stands in it comes with the harvest. */
	if (write_all(t, 100) && harvested(t, set) != 100)
		tiny_fail(t, "a part of a log was not harvested");
}

static void test_log(struct tiny *t)
{
	struct pageset set;

	(void)tiny_present(virt_caps.pml, "a log of dirty pages");
	if (pageset_init(&set, gmem_max_gfn(t->vm.mem))) {
		tiny_fail(t, "out of memory");
		return;
	}
	if (write_all(t, LOG_PAGES) && !dirty_start(&t->vm)) {
		/* Leaves of 4 KiB from here on. */
		if (write_all(t, LOG_PAGES) && harvested(t, &set) == LOG_PAGES)
			overflow(t, &set);
		else
			tiny_fail(t, "pages are missing from the first harvest");
		dirty_stop(&t->vm);
	} else {
		tiny_fail(t, "tracking did not start");
	}
	pageset_fini(&set);
}

/* ---- a TSC of another frequency ---- */

static uint64_t host_tsc[2];

static bool note_tsc(struct tiny *t, struct vmexit *x)
{
	if (x->reason == EXIT_PIO && t->outs <= 2)
		host_tsc[t->outs - 1] = rdtsc();
	return t->why != NULL || x->reason == EXIT_HLT;
}

/* Half of the host's: over a million instructions the ratio is within 2 in 100. */
static void test_tsc(struct tiny *t)
{
	uint64_t guest, host;

	if (!tiny_present(virt_caps.tsc_scaling, "TSC scaling"))
		return;
	t->vm.virt.tsc_khz = tsc_khz() / 2;
	if (!tiny_start_long(t, guest_tsc))
		return;
	t->on_exit = note_tsc;
	tiny_run(t);
	guest = (t->out[1].value - t->out[0].value) & 0xffffffff;
	host = host_tsc[1] - host_tsc[0];
	log_info("selftest", "%llu guest ticks in %llu of the host's", (unsigned long long)guest,
		 (unsigned long long)host);
	if (t->outs != 2 || 2 * guest < host - host / 50 || 2 * guest > host + host / 50)
		tiny_fail(t, "the guest's TSC does not run at its own frequency");
}

/* ---- the task priority, and interrupts that the CPU delivers ---- */

static bool note_tpr(struct tiny *t, struct vmexit *x)
{
	/* An interrupt of class 5 waits; the CPU must tell when it need not wait any more. */
	if (x->reason == EXIT_PIO && t->outs == 1)
		t->c.v.tpr_wait = 5;
	else if (t->c.v.tpr_wait && t->c.v.cr8 < 5)
		t->c.v.tpr_wait = 0, t->mmio_reads++;
	return t->why != NULL || x->reason == EXIT_HLT;
}

static void test_tpr(struct tiny *t)
{
	uint64_t before;

	if (!tiny_start_long(t, guest_tpr))
		return;
	t->on_exit = note_tpr;
	tiny_run(t);
	before = t->by_reason[EXIT_CR_ACCESS];
	tiny_expect_out(t, 0, 0x8d, 7, "CR8 as it was written");
	tiny_expect_out(t, 1, 0x8d, 2, "CR8 as it was written last");
	if (t->mmio_reads != 1)
		tiny_fail(t, "the guest lowered its task priority and nobody was told");
	if (before > 1 && before < 200)
		tiny_fail(t, "CR8 exits now and then");
	log_info("selftest", "%llu exits for 201 moves to CR8", (unsigned long long)before);
}

static void set_vector(uint32_t bank[8], unsigned vector)
{
	bank[vector / 32] |= 1u << vector % 32;
}

static void check_delivered(struct tiny *t)
{
	/* The higher class first; the last waits for the task priority. */
	static const uint32_t order[] = { 0x52, 0x41, 0x43, 0x65, 0x52 };

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		tiny_expect_out(t, i, i == 3 ? 0x8d : 0x8c, order[i], "interrupts and their order");
	if (t->outs != ARRAY_SIZE(order))
		tiny_fail(t, "an interrupt was lost or came twice");
	if (t->by_reason[EXIT_EOI] != 1)
		tiny_fail(t, "EOI of a level-triggered vector was not told once");
	if (t->by_reason[EXIT_MSR_WRITE] || t->by_reason[EXIT_MSR_READ])
		tiny_fail(t, "an access to the APIC exited");
	for (unsigned i = 0; i < 8; i++)
		if (t->c.v.apic.irr[i] || t->c.v.apic.isr[i])
			tiny_fail(t, "IRR or ISR is not empty at the end");
}

/* IDT and stack are mapped before: Bochs 2.7 confuses deliveries that are cut short. */
static bool touch_idt(struct tiny *t)
{
	if (!tiny_start_long(t, guest_touch))
		return false;
	t->c.v.gpr[GPR_RSI] = TINY_STACK - 8;
	t->c.v.gpr[GPR_RDI] = TINY_IDT;
	t->c.v.gpr[GPR_RCX] = 1;
	tiny_run(t);
	return !t->why;
}

static void test_apic(struct tiny *t)
{
	struct virt_apic *a = &t->c.v.apic;

	if (!tiny_present(a->usable, "delivery of interrupts") || !touch_idt(t))
		return;
	tiny_set_gate(t, 0x41, guest_on_41);
	tiny_set_gate(t, 0x43, guest_on_43);
	tiny_set_gate(t, 0x52, guest_on_52);
	if (!tiny_start_long(t, guest_apic))
		return;
	a->on = true;
	set_vector(a->irr, 0x41);
	set_vector(a->irr, 0x52);
	set_vector(a->level, 0x41);
	tiny_run(t);
	check_delivered(t);
}

const struct tiny_test tiny_caps_tests[] = {
	{ "virt-1g-leaf", test_1g },	  { "virt-log-overflow", test_log },
	{ "virt-tsc-scaling", test_tsc }, { "virt-tpr", test_tpr },
	{ "virt-apic", test_apic },	  { NULL, NULL },
};
