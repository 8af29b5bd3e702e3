/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/vmx/vmx_features.c
/*
 * From what a CPU says of itself to what is used: a fake CPU's capability MSRs. Each required one
 * missing alone is named, each one that is forced on is refused, wanted ones are taken, left out,
 * and told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/vmx/vmx.h"

struct guest_features guest_feat;
struct vmx_features vmx_feat;

static const char *without = "";
static char why[128];

bool guest_left_out(const char *name)
{
	return strcmp(without, name) == 0;
}

void guest_add_word(char *text, size_t len, const char *word)
{
	snprintf(text + strlen(text), len - strlen(text), "%s ", word);
}

/* The MSRs of a Skylake server CPU, with the true controls' ones. */
static struct {
	uint32_t index;
	uint64_t value;
} msrs[] = {
	{ 0x480, 0x00d810000000002b }, { 0x481, 0x000000ff00000016 },
	{ 0x482, 0xfff9fffe0401e172 }, { 0x483, 0x01ffffff00036dff },
	{ 0x484, 0x0003ffff000011ff }, { 0x486, 0x80000021 },
	{ 0x487, 0xffffffff },	       { 0x488, 0x2000 },
	{ 0x489, 0x3727ff },	       { 0x48b, 0x02177fff00000000 },
	{ 0x48d, 0x000000ff00000016 }, { 0x48e, 0xfff9fffe04006172 },
	{ 0x48f, 0x01ffffff00036dfb }, { 0x490, 0x0003ffff000011fb },
};

static uint64_t *msr(uint32_t index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		if (msrs[i].index == index)
			return &msrs[i].value;
	return NULL;
}

int rdmsr_safe(uint32_t index, uint64_t *v)
{
	if (!msr(index))
		return -EFAULT;
	*v = *msr(index);
	return 0;
}

static int controls(void)
{
	why[0] = 0;
	memset(&vmx_feat, 0, sizeof(vmx_feat));
	return vmx_find_controls(true, why, sizeof(why));
}

static void test_good(void **state)
{
	struct virt_caps caps = { 0 };

	assert_int_equal(controls(), 0);
	/* Within what is allowed, and nothing of what must be one is missing. */
	assert_true(vmx_controls_fit());
	assert_true(vmx_feat.chosen[GROUP_PROC2] >> PROC2_PML & 1);
	assert_false(vmx_feat.chosen[GROUP_PROC] >> PROC_CR3_LOAD & 1);
	assert_false(vmx_feat.chosen[GROUP_PROC] >> PROC_PAUSE & 1);
	vmx_describe(&caps);
	assert_non_null(strstr(caps.features, "pml"));
	assert_non_null(strstr(caps.features, "tsc-scaling"));
}

/* Without the true controls the exits on CR3 cannot be turned off. */
static void test_old_controls(void **state)
{
	memset(&vmx_feat, 0, sizeof(vmx_feat));
	assert_int_equal(vmx_find_controls(false, why, sizeof(why)), -ENOTSUP);
	assert_string_equal(why, "VT-x that cannot turn off exits on CR3");
}

static void test_required(void **state)
{
	static const struct {
		uint32_t index;
		unsigned bit;
		const char *text;
	} cases[] = {
		{ 0x48d, PIN_EXTERNAL_INTERRUPT, "VT-x without exits on external interrupts" },
		{ 0x48d, PIN_VIRTUAL_NMI, "VT-x without virtual NMIs" },
		{ 0x48e, PROC_MSR_BITMAP, "VT-x without MSR bitmaps" },
		{ 0x48b, PROC2_EPT, "VT-x without EPT" },
		{ 0x48b, PROC2_UNRESTRICTED, "VT-x without unrestricted guest" },
		{ 0x48f, EXIT_HOST_64, "VT-x without a 64-bit host" },
		{ 0x490, ENTRY_LOAD_EFER, "VT-x without switching of EFER" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t *m = msr(cases[i].index), was = *m;

		*m &= ~BIT(32 + cases[i].bit);
		assert_int_equal(controls(), -ENOTSUP);
		assert_string_equal(why, cases[i].text);
		*m = was;
	}
	assert_int_equal(controls(), 0);
}

static void test_forced(void **state)
{
	uint64_t *m = msr(0x48e), was = *m;

	*m |= BIT(PROC_RDTSC);
	assert_int_equal(controls(), -ENOTSUP);
	assert_string_equal(why, "VT-x that cannot turn off exits on RDTSC");
	*m = was;
	m = msr(0x48b);
	was = *m;
	*m |= BIT(22); /* not in the table at all */
	assert_int_equal(controls(), -ENOTSUP);
	assert_string_equal(why, "VT-x that cannot turn off bit 22 of control group 2");
	*m = was;
}

static void test_wanted(void **state)
{
	uint64_t *m = msr(0x48b), was = *m;

	*m &= ~(BIT(32 + PROC2_PML) | BIT(32 + PROC2_VPID));
	assert_int_equal(controls(), 0);
	assert_false(vmx_feat.chosen[GROUP_PROC2] >> PROC2_PML & 1);
	assert_false(vmx_feat.chosen[GROUP_PROC2] >> PROC2_VPID & 1);
	*m = was;
	without = "pml";
	assert_int_equal(controls(), 0);
	assert_false(vmx_feat.chosen[GROUP_PROC2] >> PROC2_PML & 1);
	assert_true(vmx_feat.chosen[GROUP_PROC2] >> PROC2_VPID & 1);
	without = "";
}

/* A second CPU that offers less, or forces more, than the words chosen on the first. */
static void test_second_cpu(void **state)
{
	uint64_t *m = msr(0x48b), was = *m;

	assert_int_equal(controls(), 0);
	*m &= ~BIT(32 + PROC2_TSC_SCALING);
	assert_false(vmx_controls_fit());
	*m = was;
	m = msr(0x48e);
	was = *m;
	*m |= BIT(PROC_INVLPG);
	assert_false(vmx_controls_fit());
	*m = was;
	assert_true(vmx_controls_fit());
}

static void test_fixed(void **state)
{
	guest_feat.cr4_mask = ~0ull;
	assert_int_equal(vmx_find_fixed(why, sizeof(why)), 0);
	assert_int_equal(guest_feat.cr4_mask, 0x3727ff);
	assert_int_equal(vmx_feat.cr0_fixed, CR0_NE);
	*msr(0x486) |= BIT(16); /* WP */
	assert_int_equal(vmx_find_fixed(why, sizeof(why)), -ENOTSUP);
	assert_non_null(strstr(why, "CR0"));
	*msr(0x486) &= ~BIT(16);
	*msr(0x487) &= ~BIT(18); /* AM must be 0 */
	assert_int_equal(vmx_find_fixed(why, sizeof(why)), -ENOTSUP);
	*msr(0x487) |= BIT(18);
	*msr(0x488) |= BIT(5);
	assert_int_equal(vmx_find_fixed(why, sizeof(why)), -ENOTSUP);
	assert_string_equal(why, "VT-x that fixes more of CR4 than VMXE");
	*msr(0x488) &= ~BIT(5);
}

/* IA32_FEATURE_CONTROL: unset, set and locked, locked off. */
static void test_lock(void **state)
{
	assert_false(vmx_locked_off(0));
	assert_false(vmx_locked_off(FEATURE_CONTROL_VMX));
	assert_false(vmx_locked_off(FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX));
	assert_true(vmx_locked_off(FEATURE_CONTROL_LOCK));
	assert_true(vmx_locked_off(FEATURE_CONTROL_LOCK | BIT(1))); /* inside SMX only */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	 cmocka_unit_test(test_old_controls),
		cmocka_unit_test(test_required), cmocka_unit_test(test_forced),
		cmocka_unit_test(test_wanted),	 cmocka_unit_test(test_second_cpu),
		cmocka_unit_test(test_fixed),	 cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
