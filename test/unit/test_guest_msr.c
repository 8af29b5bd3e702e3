/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's MSRs that are kept beside its vCPU: what they take, and where they are absent. */
// SOURCES: arch/x86_64/guest_msr.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/guest.h"

struct guest_features guest_feat;
static const struct virt_vcpu vcpu = { .cpu = -1 };
static struct guest_msrs msrs;

static int fresh(void **state)
{
	guest_feat = (struct guest_features){ .rdtscp = true, .xsaves = true };
	memset(&msrs, 0, sizeof(msrs));
	return 0;
}

static uint64_t get(uint32_t index)
{
	uint64_t v = ~0ull;

	assert_int_equal(guest_msr_get(&msrs, index, &v), 0);
	return v;
}

static void test_kept(void **state)
{
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_TSC_AUX, 0xffffffff), 0);
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_DEBUGCTL, 0x3f), 0);
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_TSC_AUX, BIT(32)), -EINVAL);
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_DEBUGCTL, BIT(6)), -EINVAL);
	assert_int_equal(get(MSR_TSC_AUX), 0xffffffff);
	assert_int_equal(get(MSR_DEBUGCTL), 0x3f);
}

static void test_xss(void **state)
{
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_XSS, 0), 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_XSS, BIT(i)), -EINVAL);
	assert_int_equal(get(MSR_XSS), 0);
}

static void test_absent(void **state)
{
	uint64_t v;

	guest_feat.rdtscp = guest_feat.xsaves = false;
	assert_int_equal(guest_msr_get(&msrs, MSR_TSC_AUX, &v), -ENOENT);
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_TSC_AUX, 0), -ENOENT);
	assert_int_equal(guest_msr_get(&msrs, MSR_XSS, &v), -ENOENT);
	assert_int_equal(guest_msr_set(&vcpu, &msrs, MSR_XSS, 0), -ENOENT);
	assert_int_equal(guest_msr_get(&msrs, MSR_EFER, &v), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_kept, fresh),
		cmocka_unit_test_setup(test_xss, fresh),
		cmocka_unit_test_setup(test_absent, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
