/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID shows a guest: the filter, and the parts that depend on the vCPU. */
// SOURCES: kernel/vm/cpuid.c kernel/vm/cpuid_bits.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/vm/cpuid.h"

/* A host with everything, whose parts a test takes away. */
static uint32_t lost_1_ecx, lost_7_ebx, lost_d1_eax;
static uint32_t phys_bits;
static const char *vendor;
static uint64_t host_xcr0;

static struct cpuid_regs host_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs all = { ~0u, ~0u, ~0u, ~0u }, r = { 0 };

	switch (leaf) {
	case 0:
		r.eax = 0x1f;
		memcpy(&r.ebx, vendor, 4);
		memcpy(&r.edx, vendor + 4, 4);
		memcpy(&r.ecx, vendor + 8, 4);
		return r;
	case 1:
		all.eax = 0x800f12;
		all.ecx &= ~lost_1_ecx;
		return all;
	case 7:
		all.ebx &= ~lost_7_ebx;
		return all;
	case 0xd:
		if (sub == 0)
			return (struct cpuid_regs){ (uint32_t)host_xcr0, 576, 4096,
						    (uint32_t)(host_xcr0 >> 32) };
		all.eax &= ~lost_d1_eax;
		if (sub == 1)
			return all;
		return sub == 2 ? (struct cpuid_regs){ 256, 576, 0, 0 }
				: (struct cpuid_regs){ 64 * sub, 1024 + 512 * sub, 0, 0 };
	case 0x80000000u:
		r.eax = 0x80000021u;
		return r;
	case 0x80000008u:
		all.eax = 0x3000 | phys_bits;
		return all;
	default:
		return all;
	}
}

static const struct cpuid_source host = { host_read, NULL };

static int setup(void **state)
{
	lost_1_ecx = lost_7_ebx = lost_d1_eax = 0;
	phys_bits = 48;
	vendor = "AuthenticAMD";
	host_xcr0 = 0x602e7; /* with components that Tern does not move */
	return 0;
}

static void filter(void **state)
{
	struct cpuid_table t;

	cpuid_build(&t, &host, 1);
	assert_int_equal(cpuid_find(&t, 0, 0)->r.eax, 0xd);
	assert_true(cpuid_shows(&t, 1, 0, REG_ECX, 21));	   /* x2APIC */
	assert_true(cpuid_shows(&t, 1, 0, REG_ECX, 24));	   /* TSC deadline */
	assert_true(cpuid_shows(&t, 1, 0, REG_ECX, 31));	   /* hypervisor */
	assert_false(cpuid_shows(&t, 1, 0, REG_ECX, 3));	   /* MONITOR */
	assert_false(cpuid_shows(&t, 1, 0, REG_ECX, 5));	   /* VMX */
	assert_true(cpuid_shows(&t, 1, 0, REG_ECX, 17));	   /* PCID */
	assert_true(cpuid_shows(&t, 7, 0, REG_EBX, 10));	   /* INVPCID */
	assert_false(cpuid_shows(&t, 7, 0, REG_ECX, 16));	   /* LA57 */
	assert_false(cpuid_shows(&t, 7, 0, REG_EDX, 24));	   /* AMX */
	assert_false(cpuid_shows(&t, 0x80000001u, 0, REG_ECX, 2)); /* SVM */
	assert_true(cpuid_shows(&t, 0x80000001u, 0, REG_EDX, 29)); /* long mode */
	assert_int_equal(cpuid_find(&t, 6, 0)->r.eax, 4);	   /* ARAT alone */
	assert_null(cpuid_find(&t, 0xa, 0));
	assert_null(cpuid_find(&t, 0x15, 0));
	assert_null(cpuid_find(&t, 0x80000007u, 0));
	assert_memory_equal(&cpuid_find(&t, 0x40000000u, 0)->r.ebx, "KVMK", 4);
}

/* A bit that no row of the table names is never shown; one has one row. */
static void only_listed(void **state)
{
	struct cpuid_table t;

	cpuid_build(&t, &host, 2);
	for (unsigned i = 0; i < cpuid_bits_count; i++) {
		const struct cpuid_bit *b = &cpuid_bits[i];

		for (unsigned k = 0; k < i; k++)
			assert_false(b->leaf == cpuid_bits[k].leaf && b->sub == cpuid_bits[k].sub &&
				     b->reg == cpuid_bits[k].reg && b->bit == cpuid_bits[k].bit);
		if (b->action == BIT_HIDE)
			assert_false(cpuid_shows(&t, b->leaf, b->sub, b->reg, b->bit));
		assert_true(b->why[0] != '\0');
	}
	assert_false(cpuid_shows(&t, 7, 0, REG_EDX, 0));
}

static void without_avx(void **state)
{
	struct cpuid_table t;

	host_xcr0 = 3;
	cpuid_build(&t, &host, 1);
	assert_true(cpuid_shows(&t, 1, 0, REG_ECX, 26));
	assert_false(cpuid_shows(&t, 1, 0, REG_ECX, 28));
	assert_false(cpuid_shows(&t, 7, 0, REG_EBX, 5));
	assert_false(cpuid_shows(&t, 7, 0, REG_EBX, 16));
	assert_int_equal(cpuid_table_xcr0(&t), 3);
}

/* Leaf 0xd.1 EBX: what XCR0 has on, without gaps; 0 where nothing writes that form. */
static void compacted(void **state)
{
	struct cpuid_vcpu v = { .xcr0 = 0xe7 };
	struct cpuid_table t;

	cpuid_build(&t, &host, 1);
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).eax, 0xf);
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).ebx, 576 + 256 + 64 * (5 + 6 + 7));
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).ecx, 0); /* no supervisor component */
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).edx, 0);
	v.xcr0 = 3;
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).ebx, 576);
	lost_d1_eax = 0xe;
	cpuid_build(&t, &host, 1);
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).eax, 1);
	assert_int_equal(cpuid_read(&t, 0xd, 1, &v).ebx, 0);
}

static void without_xsave(void **state)
{
	struct cpuid_table t;

	lost_1_ecx = 1u << 26;
	cpuid_build(&t, &host, 1);
	assert_int_equal(cpuid_find(&t, 0, 0)->r.eax, 0xb);
	assert_false(cpuid_shows(&t, 1, 0, REG_ECX, 28));
	assert_null(cpuid_find(&t, 0xd, 0));
}

static void per_vcpu(void **state)
{
	struct cpuid_vcpu v = { .apic_id = 3, .cr4 = BIT(18), .xcr0 = 7 };
	struct cpuid_table t;
	struct cpuid_regs r;

	cpuid_build(&t, &host, 4);
	r = cpuid_read(&t, 1, 0, &v);
	assert_int_equal(r.ebx >> 24, 3);
	assert_int_equal(r.ebx >> 16 & 0xff, 4);
	assert_true(r.ecx >> 27 & 1);
	assert_true(r.edx >> 28 & 1);
	r = cpuid_read(&t, 0xb, 1, &v);
	assert_int_equal(r.eax, 2);
	assert_int_equal(r.ebx, 4);
	assert_int_equal(r.edx, 3);
	r = cpuid_read(&t, 0xb, 2, &v);
	assert_int_equal(r.ecx, 2);
	assert_int_equal(r.edx, 3);
	r = cpuid_read(&t, 0xd, 0, &v);
	assert_int_equal(r.eax, 0xe7);
	assert_int_equal(r.ebx, 576 + 256);
	assert_int_equal(r.ecx, 1024 + 512 * 7 + 64 * 7);
	v.xcr0 = 3;
	assert_int_equal(cpuid_read(&t, 0xd, 0, &v).ebx, 576);
	v.cr4 = 0;
	assert_false(cpuid_read(&t, 1, 0, &v).ecx >> 27 & 1);
	r = cpuid_read(&t, 0x12345, 0, &v);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(filter, setup),
		cmocka_unit_test_setup(only_listed, setup),
		cmocka_unit_test_setup(without_avx, setup),
		cmocka_unit_test_setup(without_xsave, setup),
		cmocka_unit_test_setup(compacted, setup),
		cmocka_unit_test_setup(per_vcpu, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
