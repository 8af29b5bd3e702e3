/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves to control registers that exit: what the architecture refuses is a #GP and
 * never reaches the backend, all else does.
 */
// SOURCES: kernel/vm/exit_cr.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/vm/vm_int.h"

#define CR0_LONG (G_CR0_PG | G_CR0_PE | G_CR0_ET | G_CR0_NE)

static struct cpuid_table table;
static struct virt_mode now;
static struct vm vm = { .cpuid = &table };
static struct vcpu vcpu = { .vm = &vm };
static unsigned faults, sets;
static uint64_t taken;

static void fake_mode(struct virt_vcpu *v, struct virt_mode *m)
{
	*m = now;
}

static int fake_set_cr(struct virt_vcpu *v, unsigned cr, uint64_t value)
{
	sets++;
	taken = value;
	return 0;
}

static const struct virt_ops fake_ops = { .mode = fake_mode, .set_cr = fake_set_cr };
const struct virt_ops *virt = &fake_ops;

void vcpu_raise(struct vcpu *c, uint8_t vector, bool has_error, uint32_t error)
{
	faults += vector == EXC_GP && has_error && !error;
}

void vcpu_raise_event(struct vcpu *c, const struct virt_event *e)
{
	fail();
}

void vcpu_skip(struct vcpu *c, struct vmexit *x, uint8_t known)
{
}

enum exit_next vcpu_fail(struct vcpu *c, const char *fmt, ...)
{
	fail();
	return NEXT_FAIL;
}

int linear_decode(struct vcpu *c, const struct vmexit *x, const struct virt_mode *m, struct insn *i,
		  struct virt_event *fault)
{
	fail();
	return -EINVAL;
}

void gpr_set(struct vcpu *c, unsigned reg, unsigned size, bool high_byte, uint64_t value)
{
	fail();
}

/* A host that has PCID, or not. */
static struct cpuid_regs host_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs all = { ~0u, ~0u, ~0u, ~0u };

	if (leaf == 0 || leaf == 0x80000000u)
		return (struct cpuid_regs){ leaf + 0xd, 0, 0, 0 };
	if (leaf == 1 && !*(const bool *)ctx)
		all.ecx &= ~(1u << 17);
	if (leaf == 0xd)
		return (struct cpuid_regs){ 7, 0, 0, 0 };
	return all;
}

static void show(bool pcid)
{
	const struct cpuid_source host = { host_read, &pcid };

	cpuid_build(&table, &host, 1);
}

static void long_mode(void)
{
	now = (struct virt_mode){
		.cr0 = CR0_LONG, .cr3 = 0x5000, .cr4 = G_CR4_PAE, .efer = G_EFER_LME | G_EFER_LMA
	};
	now.seg[SEG_CS].attr = 0xa9b;
	faults = sets = 0;
	show(true);
}

static bool takes(unsigned cr, uint64_t value)
{
	struct vmexit x = { .reason = EXIT_CR_ACCESS, .insn_len = 3 };
	unsigned had = faults, was = sets;

	x.cr.cr = (uint8_t)cr;
	x.cr.write = x.cr.gpr_valid = true;
	x.cr.gpr = GPR_RAX;
	vcpu.v.gpr[GPR_RAX] = value;
	assert_int_equal(exit_cr(&vcpu, &x), NEXT_RESUME);
	assert_int_equal(faults - had + (sets - was), 1); /* one of the two */
	return sets > was;
}

static void pcide(void **state)
{
	long_mode();
	assert_true(takes(4, G_CR4_PAE | G_CR4_PCIDE));
	now.cr3 = 0x5001; /* another PCID than 0 */
	assert_false(takes(4, G_CR4_PAE | G_CR4_PCIDE));
	now.cr4 |= G_CR4_PCIDE; /* it stays set, or goes */
	assert_true(takes(4, G_CR4_PAE | G_CR4_PCIDE | G_CR4_PGE));
	assert_true(takes(4, G_CR4_PAE));
	long_mode();
	show(false);
	assert_false(takes(4, G_CR4_PAE | G_CR4_PCIDE));
}

static void pcide_outside_long_mode(void **state)
{
	long_mode();
	now.efer = 0;
	now.seg[SEG_CS].attr = 0xc9b;
	assert_true(takes(4, G_CR4_PAE));
	assert_false(takes(4, G_CR4_PAE | G_CR4_PCIDE));
	now.cr0 &= ~G_CR0_PG;
	now.efer = G_EFER_LME; /* asked for, but there is no paging yet */
	assert_false(takes(4, G_CR4_PAE | G_CR4_PCIDE));
}

static void paging_stays_on(void **state)
{
	long_mode();
	now.seg[SEG_CS].attr = 0xc9b; /* compatibility mode may turn it off */
	assert_true(takes(0, CR0_LONG & ~G_CR0_PG));
	now.cr4 |= G_CR4_PCIDE;
	assert_false(takes(0, CR0_LONG & ~G_CR0_PG));
	assert_true(takes(0, CR0_LONG | G_CR0_WP));
}

static void no_flush(void **state)
{
	long_mode();
	assert_true(takes(3, 0x7000));
	assert_false(takes(3, 0x7000 | CR3_NO_FLUSH));
	now.cr4 |= G_CR4_PCIDE;
	assert_true(takes(3, 0x7003 | CR3_NO_FLUSH));
	assert_int_equal(taken, 0x7003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcide),
		cmocka_unit_test(pcide_outside_long_mode),
		cmocka_unit_test(paging_stays_on),
		cmocka_unit_test(no_flush),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
