/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: the harness. A tiny VM has 16 MiB, one vCPU and no device; its
 * page tables map 4 GiB one to one. Code is at TINY_CODE, the GDT at 0x1000.
 */
#include <errno.h>
#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>

#include <tern/selftest.h>

#include "selftest.h"

#define GDT 0x1000ull
#define GDT_LIMIT 0x1fu /* null, 64-bit code, data, 32-bit code */
#define PML4 0x2000ull
#define PDPT 0x3000ull
#define PDS 0x4000ull
#define PTE_TABLE 7ull
#define PTE_LARGE 0x87ull

void tiny_fail(struct tiny *t, const char *why)
{
	if (!t->why)
		t->why = why;
}

static void put64(struct tiny *t, uint64_t gpa, uint64_t v)
{
	if (gmem_write(t->vm.mem, GPA(gpa), &v, sizeof(v)))
		tiny_fail(t, "guest memory cannot be written");
}

static void write_tables(struct tiny *t)
{
	put64(t, PML4, PDPT | PTE_TABLE);
	for (uint64_t i = 0; i < 4; i++) {
		put64(t, PDPT + 8 * i, (PDS + i * PAGE_SIZE) | PTE_TABLE);
		for (uint64_t k = 0; k < 512; k++)
			put64(t, PDS + i * PAGE_SIZE + 8 * k, (i << 30) | (k << 21) | PTE_LARGE);
	}
	put64(t, GDT + 8, 0x00af9b000000ffffull);
	put64(t, GDT + 16, 0x00cf93000000ffffull);
	put64(t, GDT + 24, 0x00cf9b000000ffffull);
	if (gmem_write(t->vm.mem, GPA(TINY_CODE), guest_code,
		       (size_t)(guest_code_end - guest_code)))
		tiny_fail(t, "guest code cannot be written");
}

void tiny_set_gate(struct tiny *t, unsigned vector, const char *handler)
{
	uint64_t a = TINY_CODE + (uint64_t)(handler - guest_code);

	put64(t, TINY_IDT + 16 * vector,
	      (a & 0xffff) | 8ull << 16 | 0x8eull << 40 | (a >> 16 & 0xffff) << 48);
	put64(t, TINY_IDT + 16 * vector + 8, a >> 32);
}

bool tiny_expect_out(struct tiny *t, unsigned i, uint16_t port, uint32_t value, const char *why)
{
	bool ok = i < t->outs && t->out[i].port == port && t->out[i].value == value;

	if (!ok) {
		log_error("selftest", "out %u of %u: port %x value %x, not %x %x", i, t->outs,
			  t->out[i].port, t->out[i].value, port, value);
		tiny_fail(t, why);
	}
	return ok;
}

bool tiny_create(struct tiny *t)
{
	memset(t, 0, sizeof(*t));
	if (gmem_create(TINY_RAM, 0, virt_caps.slat, &t->vm.mem)) {
		tiny_fail(t, "no memory for a guest");
		return false;
	}
	t->vm.virt.slat = gmem_slat(t->vm.mem);
	t->vm.virt.xcr0_mask = 7;
	t->vm.nr_vcpus = 1;
	t->vm.vcpu[0] = &t->c;
	t->c.vm = &t->vm;
	t->c.v.vm = &t->vm.virt;
	if (virt->vm_init(&t->vm.virt) || virt->vcpu_init(&t->c.v)) {
		tiny_fail(t, "the backend has no memory for a vCPU");
		gmem_put(t->vm.mem);
		return false;
	}
	write_tables(t);
	return !t->why;
}

void tiny_destroy(struct tiny *t)
{
	virt->vcpu_fini(&t->c.v);
	virt->vm_fini(&t->vm.virt);
	gmem_put(t->vm.mem);
}

static bool start(struct tiny *t, struct virt_state *s, const char *entry)
{
	int r;

	s->rip = TINY_CODE + (uint64_t)(entry - guest_code);
	s->gpr[GPR_RSP] = TINY_STACK;
	r = virt->state_load(&t->c.v, s);
	free(s);
	if (r)
		tiny_fail(t, "a good state was refused");
	t->outs = 0;
	return !r;
}

static struct virt_state *reset_state(struct tiny *t)
{
	struct virt_state *s = memalign(64, sizeof(*s));

	if (!s) {
		tiny_fail(t, "no memory for a state");
		return NULL;
	}
	virt->vcpu_reset(&t->c.v);
	virt->state_save(&t->c.v, s);
	return s;
}

bool tiny_start_real(struct tiny *t, const char *entry)
{
	struct virt_state *s = reset_state(t);

	if (!s)
		return false;
	s->seg[SEG_CS].base = 0;
	s->seg[SEG_CS].selector = 0;
	return start(t, s, entry);
}

/* 32 bits, flat, without paging. */
bool tiny_start_protected(struct tiny *t, const char *entry)
{
	struct virt_state *s = reset_state(t);

	if (!s)
		return false;
	s->cr0 = 0x33; /* NE, ET, MP, PE */
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] =
			(struct virt_seg){ .limit = 0xffffffff, .selector = 0x10, .attr = 0xc93 };
	s->seg[SEG_CS] = (struct virt_seg){ .limit = 0xffffffff, .selector = 0x18, .attr = 0xc9b };
	s->gdtr = (struct virt_seg){ .base = GDT, .limit = GDT_LIMIT };
	return start(t, s, entry);
}

bool tiny_start_long(struct tiny *t, const char *entry)
{
	struct virt_state *s = reset_state(t);

	if (!s)
		return false;
	s->cr0 = 0x80000033; /* PG, NE, ET, MP, PE */
	s->cr3 = PML4;
	s->cr4 = 0x620;	 /* PAE, OSFXSR, OSXMMEXCPT */
	s->efer = 0xd00; /* LME, LMA, NXE */
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] =
			(struct virt_seg){ .limit = 0xffffffff, .selector = 0x10, .attr = 0xc93 };
	s->seg[SEG_CS] = (struct virt_seg){ .limit = 0xffffffff, .selector = 8, .attr = 0xa9b };
	s->gdtr = (struct virt_seg){ .base = GDT, .limit = GDT_LIMIT };
	s->idtr = (struct virt_seg){ .base = TINY_IDT, .limit = 0xfff };
	return start(t, s, entry);
}

/* ---- running ---- */

static void note_out(struct tiny *t, const struct vmexit *x)
{
	uint64_t mask = x->pio.size == 4 ? 0xffffffff : (1ull << 8 * x->pio.size) - 1;

	if (x->pio.in) {
		t->c.v.gpr[GPR_RAX] = (t->c.v.gpr[GPR_RAX] & ~mask) | (0x7777 & mask);
		return;
	}
	if (t->outs < TINY_OUTS) {
		t->out[t->outs].port = x->pio.port;
		t->out[t->outs].value = (uint32_t)(t->c.v.gpr[GPR_RAX] & mask);
	}
	t->outs++;
}

/* RAM is backed; the tests' device access has instructions of 7 (store) and 3 (load) bytes. */
static bool slat_fault(struct tiny *t, struct vmexit *x)
{
	if (t->c.v.event.type != EV_NONE)
		t->delivery_faults++;
	if (!gmem_fault(t->vm.mem, x->fault.gpa, x->fault.write, x->fault.fetch))
		return false;
	if (x->fault.gpa.v == TINY_DEVICE + 0x10 && x->fault.write) {
		t->mmio_writes++;
		t->c.v.rip += 7;
		return false;
	}
	if (x->fault.gpa.v == TINY_DEVICE + 0x14 && !x->fault.write) {
		t->mmio_reads++;
		t->c.v.gpr[GPR_RAX] = 0xbeef;
		t->c.v.rip += 3;
		return false;
	}
	tiny_fail(t, "a nested fault at a wrong address");
	return true;
}

static bool settle(struct tiny *t, struct vmexit *x)
{
	switch (x->reason) {
	case EXIT_NONE:
	case EXIT_PAUSE:
	case EXIT_IRQ_WINDOW:
	case EXIT_NMI_WINDOW:
		return false;
	case EXIT_CPUID:
		t->c.v.gpr[GPR_RBX] = 0x5a5a0000 + (uint32_t)t->by_reason[EXIT_CPUID];
		break;
	case EXIT_PIO:
		note_out(t, x);
		break;
	case EXIT_SLAT_FAULT:
		return slat_fault(t, x);
	case EXIT_MSR_READ:
	case EXIT_MSR_WRITE:
	case EXIT_WBINVD:
	case EXIT_EOI:
		break;
	case EXIT_CR_ACCESS: /* MOV of RAX to it: CR8 needs a prefix */
		if (virt->set_cr(&t->c.v, x->cr.cr, t->c.v.gpr[GPR_RAX]))
			tiny_fail(t, "a move to a control register was refused");
		t->c.v.rip += x->cr.cr == 8 ? 4 : 3;
		return t->why != NULL;
	case EXIT_FAILED:
		if (t->refusal)
			return false;
		log_error("selftest", "%s (code %llx info %llx %llx)", x->fail.text,
			  (unsigned long long)x->fail.code, (unsigned long long)x->fail.info1,
			  (unsigned long long)x->fail.info2);
		tiny_fail(t, "the CPU refused the guest");
		return true;
	case EXIT_HLT:
		t->c.v.rip += x->insn_len;
		return true;
	default:
		log_error("selftest", "exit %d at rip %llx", (int)x->reason,
			  (unsigned long long)t->c.v.rip);
		tiny_fail(t, "an unexpected exit");
		return true;
	}
	t->c.v.rip += x->insn_len;
	return false;
}

static void tiny_world(void *arg)
{
	struct tiny *t = arg;
	struct vmexit x;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&t->running, 1, __ATOMIC_RELEASE);
		virt->run(&t->c.v, &x);
		t->exits++;
		t->by_reason[x.reason]++;
		if (settle(t, &x) && (!t->on_exit || x.reason != EXIT_HLT || t->why))
			break;
		if (t->on_exit && t->on_exit(t, &x))
			break;
		if (world_should_yield())
			world_yield();
	}
}

static void switch_in(void *arg)
{
	virt->vcpu_load(&((struct tiny *)arg)->c.v);
}

static void switch_out(void *arg)
{
	virt->vcpu_put(&((struct tiny *)arg)->c.v);
}

struct world *tiny_launch(struct tiny *t, int cpu)
{
	struct world_opts o = { .name = "selftest vcpu",
				.prio = WORLD_NORMAL,
				.cpu = cpu,
				.switch_in = switch_in,
				.switch_out = switch_out };
	struct world *w;

	t->stop = t->running = 0;
	if (!world_create(&w, &o, tiny_world, t))
		return w;
	tiny_fail(t, "no memory for a world");
	return NULL;
}

void tiny_run(struct tiny *t)
{
	struct world *w = t->why ? NULL : tiny_launch(t, -1);

	if (w)
		world_join(w);
}

static void run_one(struct tiny *t, const struct tiny_test *test)
{
	if (tiny_create(t)) {
		test->run(t);
		tiny_destroy(t);
	}
	selftest_report(test->name, t->why);
}

static const struct tiny_test *const suites[] = { tiny_cpu_tests,   tiny_mode_tests,
						  tiny_event_tests, tiny_dirty_tests,
						  tiny_caps_tests,  tiny_pcid_tests,
						  tiny_xsave_tests, tiny_refusal_tests };

static void run_listed(struct tiny *t, const char *list)
{
	bool all = selftest_listed(list, "virt");

	for (unsigned i = 0; i < ARRAY_SIZE(suites); i++)
		for (const struct tiny_test *test = suites[i]; test->name; test++)
			if (all || selftest_listed(list, test->name))
				run_one(t, test);
}

void virt_selftest(const char *list)
{
	struct tiny *t;

	if (!list || !strstr(list, "virt"))
		return;
	t = virt ? malloc(sizeof(*t)) : NULL;
	if (t)
		run_listed(t, list);
	else
		selftest_report("virt", virt ? "out of memory" : virt_absent_reason());
	free(t);
}
