/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hosts have in common: vendor, signature, widths, highest leaves, XSAVE
 * places, features; the text of it; and the reasons for which a guest may not
 * run somewhere, in texts that fit a refusal's 160 bytes.
 */
// SOURCES: kernel/vm/cpuid.c kernel/vm/cpuid_bits.c kernel/vm/cpu_model.c kernel/vm/cpu_common.c
// SOURCES: kernel/vm/cpu_check.c kernel/vm/cpu_text.c kernel/vm/cpuid_rec.c kernel/lib/rec.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/cpuid.h"

#define WHY 160 /* WIRE_TEXT */

/* A made-up host: all features but what it lost. */
struct fake {
	const char *vendor;
	uint32_t signature, phys_bits, max_ext, lost_1_ecx, lost_7_ebx, lost_ext_ecx, lost_7_1_eax;
	uint64_t xcr0;
	uint32_t avx512_at; /* offset of component 5 */
};

static const struct fake plain = { .vendor = "AuthenticAMD",
				   .signature = 0x00800f12, /* family 23, model 1 */
				   .phys_bits = 48,
				   .max_ext = 0x80000021u,
				   .xcr0 = 0x602e7,
				   .avx512_at = 832 };

static struct cpuid_regs ext_read(const struct fake *f, uint32_t leaf)
{
	struct cpuid_regs all = { ~0u, ~0u, ~0u, ~0u };

	if (leaf == 0x80000000u)
		return (struct cpuid_regs){ f->max_ext, 0, 0, 0 };
	all.ecx &= ~f->lost_ext_ecx;
	all.eax = leaf == 0x80000008u ? 0x3000 | f->phys_bits : f->signature;
	return all;
}

static struct cpuid_regs xsave_read(const struct fake *f, uint32_t sub)
{
	if (sub == 0)
		return (struct cpuid_regs){ (uint32_t)f->xcr0, 0, 0, 0 };
	if (sub == 1)
		return (struct cpuid_regs){ ~0u, 0, 0, 0 };
	if (sub == 2)
		return (struct cpuid_regs){ 256, 576, 0, 0 };
	return (struct cpuid_regs){ 64, f->avx512_at + 64 * (sub - 5), 0, 0 };
}

static struct cpuid_regs fake_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	const struct fake *f = ctx;
	struct cpuid_regs r = { ~0u, ~0u, ~0u, ~0u };

	if (leaf == 0) {
		r.eax = 0x1f;
		memcpy(&r.ebx, f->vendor, 4);
		memcpy(&r.edx, f->vendor + 4, 4);
		memcpy(&r.ecx, f->vendor + 8, 4);
	} else if (leaf == 1) {
		r = (struct cpuid_regs){ f->signature, 8u << 8, ~f->lost_1_ecx, ~0u };
	} else if (leaf == 7 && sub == 0) {
		r.ebx = ~f->lost_7_ebx;
	} else if (leaf == 7) {
		r.eax = ~f->lost_7_1_eax;
	} else if (leaf == 0xd) {
		r = xsave_read(f, sub);
	} else if (leaf >= 0x80000000u) {
		r = ext_read(f, leaf);
	}
	return r;
}

static void model_for(const struct fake *f, unsigned vcpus, struct cpu_model *m)
{
	struct cpuid_source s = { fake_read, f };
	struct cpuid_table t;

	cpuid_build(&t, &s, vcpus);
	cpu_model_of(&t, m);
}

static struct cpu_model model(const struct fake *f)
{
	struct cpu_model m;

	model_for(f, 1, &m);
	return m;
}

static struct cpu_model common(const struct fake *f, const struct fake *g)
{
	struct cpu_model m = model(f), n = model(g);
	char why[WHY];

	assert_int_equal(cpu_model_common(&m, &n, why, sizeof(why)), 0);
	return m;
}

static bool shows(const struct cpu_model *m, uint32_t leaf, unsigned sub, enum cpuid_reg reg,
		  unsigned bit)
{
	struct cpuid_source none = { fake_read, &plain };
	struct cpuid_table t;

	cpuid_build_model(&t, m, &none, 1);
	return cpuid_shows(&t, leaf, sub, reg, bit);
}

/* Every feature of the table belongs to a word that models have. */
static void words_cover_the_table(void **state)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < CPU_WORDS; i++)
		bits += (unsigned)__builtin_popcount(cpuid_word_bits(i, ~0u));
	assert_int_equal(bits, cpuid_bits_count);
}

/* A table gives its model back, and a model its table: number of vCPUs aside. */
static void model_and_table(void **state)
{
	struct cpu_model one, four, again;
	struct cpuid_source s = { fake_read, &plain };
	struct cpuid_table t, u;

	model_for(&plain, 1, &one);
	model_for(&plain, 4, &four);
	assert_memory_equal(&one, &four, sizeof(one));
	cpuid_build(&t, &s, 4);
	cpuid_build_model(&u, &one, &s, 4);
	assert_memory_equal(&t, &u, sizeof(t));
	again = one;
	cpu_model_normalize(&again);
	assert_memory_equal(&one, &again, sizeof(one));
}

static void common_features(void **state)
{
	struct fake other = plain;
	struct cpu_model m;

	other.lost_7_ebx = 1u << 5 | 1u << 9;
	m = common(&plain, &other);
	assert_false(shows(&m, 7, 0, REG_EBX, 5));
	assert_false(shows(&m, 7, 0, REG_EBX, 9));
	assert_true(shows(&m, 7, 0, REG_EBX, 8));
	assert_true(shows(&m, 1, 0, REG_ECX, 31)); /* provided everywhere */
	assert_true(shows(&m, 1, 0, REG_ECX, 24));
	assert_int_equal(cpu_model_features(&m),
			 cpu_model_features(&(struct cpu_model){ 0 }) + cpu_model_features(&m));
}

static void common_is_symmetric(void **state)
{
	struct fake other = plain;
	struct cpu_model m, n;

	other.signature = 0x00060fb1; /* family 15, model 107 */
	other.phys_bits = 40;
	other.lost_1_ecx = 1u << 12;
	other.lost_7_ebx = 1u << 29;
	other.xcr0 = 7;
	m = common(&plain, &other);
	n = common(&other, &plain);
	assert_memory_equal(&m, &n, sizeof(m));
}

static void common_signature(void **state)
{
	struct fake older = plain;
	struct cpu_model m;

	older.signature = 0x00060fb1;
	m = common(&plain, &older);
	assert_int_equal(cpu_model_family(&m), 15);
	assert_int_equal(cpu_model_number(&m), 107);
	older.signature = 0x00800f11; /* the same but for the stepping */
	m = common(&plain, &older);
	assert_int_equal(m.signature, 0x00800f11);
}

static void common_widths_and_leaves(void **state)
{
	struct fake other = plain;
	struct cpu_model m;

	other.phys_bits = 40;
	assert_int_equal(common(&plain, &other).phys_bits, 40);
	other.max_ext = 0x80000004u;
	m = common(&plain, &other);
	assert_int_equal(m.max_ext, 0x80000004u);
	assert_false(shows(&m, 0x80000008u, 0, REG_EBX, 0)); /* clzero: the leaf is not there */
	assert_true(shows(&m, 0x80000001u, 0, REG_EDX, 29));
}

static void common_xsave(void **state)
{
	struct fake other = plain;
	struct cpuid_source s = { fake_read, &plain };
	struct cpuid_table t;
	struct cpu_model m;

	other.xcr0 = 7;
	m = common(&plain, &other);
	assert_int_equal(m.xcr0, 7);
	assert_false(shows(&m, 7, 0, REG_EBX, 16)); /* avx512f goes with its state */
	assert_true(shows(&m, 7, 0, REG_EBX, 5));
	cpuid_build_model(&t, &m, &s, 1);
	assert_int_equal(cpuid_xsave_size(&t, m.xcr0), 576 + 256);
	assert_int_equal(cpuid_find(&t, 0xd, 0)->r.ecx, 576 + 256);
	assert_null(cpuid_find(&t, 0xd, 5));

	other.xcr0 = plain.xcr0;
	other.avx512_at = 1024; /* there, but elsewhere */
	m = common(&plain, &other);
	assert_int_equal(m.xcr0, 7);
	other.lost_1_ecx = 1u << 26;
	m = common(&plain, &other);
	assert_int_equal(m.xcr0, 0);
	assert_false(shows(&m, 1, 0, REG_ECX, 28));
}

static void vendors_do_not_mix(void **state)
{
	struct fake other = plain;
	struct cpu_model m = model(&plain), before = m, n;
	char why[WHY];

	other.vendor = "GenuineIntel";
	n = model(&other);
	assert_int_equal(cpu_model_common(&m, &n, why, sizeof(why)), -ENOTSUP);
	assert_non_null(strstr(why, "AuthenticAMD and GenuineIntel"));
	assert_memory_equal(&m, &before, sizeof(m));
	assert_int_equal(cpu_model_check(&m, &n, true, "here", why, sizeof(why)), -ENOTSUP);
	assert_non_null(strstr(why, "GenuineIntel"));
	assert_non_null(strstr(why, "vendors"));
}

/* ---- reasons ---- */

static char why[WHY];

static bool fits(const struct fake *guest, const struct fake *host, bool baseline)
{
	struct cpu_model want, have = model(host);

	model_for(guest, 4, &want);
	memset(why, '#', sizeof(why));
	if (!cpu_model_check(&want, &have, baseline, "the destination", why, sizeof(why)))
		return true;
	assert_non_null(memchr(why, 0, sizeof(why)));
	return false;
}

static void assert_why(const char *text)
{
	if (!strstr(why, text))
		fail_msg("'%s' is not in '%s'", text, why);
}

static void reason_names_the_bits(void **state)
{
	struct fake other = plain;

	assert_true(fits(&plain, &other, false));
	other.lost_7_ebx = 1u << 5;
	other.lost_1_ecx = 1u << 12;
	assert_false(fits(&plain, &other, false));
	assert_string_equal(why, "the destination lacks fma (leaf 1 ECX bit 12), avx2 (leaf 7 EBX "
				 "bit 5); create the VM with --cpu baseline of both hosts");
	assert_true(fits(&other, &plain, false)); /* the other way nothing is missing */
	other = plain;
	other.lost_ext_ecx = 1u << 6;
	assert_false(fits(&plain, &other, false));
	assert_why("sse4a (leaf 0x80000001 ECX bit 6)");
	other = plain;
	other.lost_7_1_eax = 1u << 4;
	assert_false(fits(&plain, &other, false));
	assert_why("avx-vnni (leaf 7.1 EAX bit 4)");
}

static void many_reasons_fit(void **state)
{
	struct fake other = plain;

	other.lost_7_ebx = ~0u;
	other.lost_1_ecx = ~(1u << 26);
	assert_false(fits(&plain, &other, false));
	assert_why(
		"the destination lacks sse3 (leaf 1 ECX bit 0), pclmulqdq (leaf 1 ECX bit 1) and ");
	assert_why(" more; create the VM with --cpu baseline of both hosts");
	other.signature = 0x00060fb1;
	other.phys_bits = 40;
	other.xcr0 = 3;
	assert_false(fits(&plain, &other, false));
	assert_why("is of family 15, not 23; has 40-bit physical addresses, not 48; ");
	assert_int_equal(strnlen(why, sizeof(why)) < sizeof(why), 1);
}

static void widths(void **state)
{
	struct fake other = plain;

	other.phys_bits = 40;
	assert_false(fits(&plain, &other, false));
	assert_why("40-bit physical addresses, not 48");
	assert_false(fits(&plain, &other, true)); /* the guest may place things above */
	assert_false(fits(&other, &plain, false));
	assert_true(fits(&other, &plain, true));
}

static void families(void **state)
{
	struct fake other = plain;

	other.signature = 0x00060fb1;
	assert_false(fits(&other, &plain, false));
	assert_why("family 23, not 15");
	assert_true(fits(&other, &plain, true)); /* shown by intention */
}

static void xsave_reasons(void **state)
{
	struct fake other = plain;

	other.xcr0 = 7;
	assert_false(fits(&plain, &other, false));
	assert_why("lacks XSAVE components 0xe0");
	other.xcr0 = plain.xcr0;
	other.avx512_at = 1024;
	assert_false(fits(&plain, &other, false));
	assert_why("XSAVE component 5 elsewhere");
}

/* A guest of the common set runs on every host of it. */
static void baseline_runs_everywhere(void **state)
{
	struct fake other = plain;
	struct cpu_model m, here;

	other.signature = 0x00060fb1;
	other.phys_bits = 40;
	other.lost_1_ecx = 1u << 12;
	other.lost_7_ebx = 1u << 5;
	other.xcr0 = 7;
	m = common(&plain, &other);
	here = model(&plain);
	assert_int_equal(cpu_model_check(&m, &here, true, "a", why, sizeof(why)), 0);
	here = model(&other);
	assert_int_equal(cpu_model_check(&m, &here, true, "b", why, sizeof(why)), 0);
}

/* What a stream claims that is hidden everywhere is missing here. */
static void hidden_bits_are_missed(void **state)
{
	struct cpu_model want = model(&plain), have = want;

	for (unsigned i = 0; i < CPU_WORDS; i++)
		if (cpuid_words[i].leaf == 7 && cpuid_words[i].sub == 0 &&
		    cpuid_words[i].reg == REG_ECX)
			want.word[i] |= 1u << 16 | 1u << 31;
	assert_int_equal(cpu_model_check(&want, &have, false, "it", why, sizeof(why)), -ENOTSUP);
	assert_why("la57 (leaf 7 ECX bit 16), unknown (leaf 7 ECX bit 31)");
}

/* ---- text ---- */

static void text_comes_back(void **state)
{
	struct fake other = plain;
	struct cpu_model m = model(&plain), back;
	char text[CPU_TEXT_MAX], again[CPU_TEXT_MAX];

	for (int i = 0; i < 3; i++) {
		cpu_model_text(&m, text, sizeof(text));
		assert_true(strlen(text) < sizeof(text) - 1);
		assert_int_equal(cpu_model_parse(text, &back, why, sizeof(why)), 0);
		assert_memory_equal(&m, &back, sizeof(m));
		cpu_model_text(&back, again, sizeof(again));
		assert_string_equal(text, again);
		other.xcr0 = i ? 0 : 7;
		other.lost_1_ecx = i ? 1u << 26 : 0;
		m = model(&other);
	}
}

static void text_golden(void **state)
{
	struct fake small = plain;
	struct cpu_model m;
	char text[CPU_TEXT_MAX];

	small.xcr0 = 7;
	small.max_ext = 0x80000008u;
	m = model(&small);
	cpu_model_text(&m, text, sizeof(text));
	assert_string_equal(text,
			    "1/AuthenticAMD/sig:800f12/ext:80000008/bits:30.30/line:8/xcr0:7/"
			    "x2:100@240/1.0.c:76da3203/1.0.d:f8ba97f/7.0.b:219c27e9/7.0.c:18400704/"
			    "7.0.d:4010/7.1.a:1c10/d.1.a:f/80000001.0.c:2109f1/"
			    "80000001.0.d:edd3a97f/80000008.0.b:5");
}

static void text_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "begins with" },
		{ "2/AuthenticAMD", "begins with" },
		{ "1/AMD/sig:1", "12 characters" },
		{ "1/AuthenticAMD", "are needed" },
		{ "1/AuthenticAMD/", "unknown field" },
		{ "1/AuthenticAMD/sig", "unknown field" },
		{ "1/AuthenticAMD/nonsense:1", "unknown field nonsense" },
		{ "1/AuthenticAMD/sig:", "not a number" },
		{ "1/AuthenticAMD/sig:11111111111111111", "not a number" },
		{ "1/AuthenticAMD/sig:1g", "not a number" },
		{ "1/AuthenticAMD/sig:1.2", "too much" },
		{ "1/AuthenticAMD/sig:1/sig:1", "twice sig" },
		{ "1/AuthenticAMD/sig:100000000", "no guest" },
		{ "1/AuthenticAMD/bits:30", "two numbers" },
		{ "1/AuthenticAMD/bits:40.30", "no guest" },
		{ "1/AuthenticAMD/x9:1@2", "unknown field" },
		{ "1/AuthenticAMD/x2:100@1", "no guest" },
		{ "1/AuthenticAMD/x2:100@fffffffffffffff0", "no guest" },
		{ "1/AuthenticAMD/xcr0:100", "no guest" },
		{ "1/AuthenticAMD/7.0.b:4000", "no guest" }, /* mpx is hidden */
		{ "1/AuthenticAMD/sig:1/ext:80000008/bits:30.30/line:8/xcr0:7", "XSAVE" },
		{ "1/AuthenticAMD/sig:1/ext:80000008/bits:30.30/line:8/xcr0:3/x2:100@240",
		  "XSAVE" },
	};
	struct cpu_model m;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(cpu_model_parse(bad[i].text, &m, why, sizeof(why)), -EINVAL);
		assert_why(bad[i].why);
	}
}

static void record_comes_back(void **state)
{
	struct cpu_model m = model(&plain), back;
	struct rec_reader r;
	struct rec_writer w;

	rec_writer_init(&w);
	cpu_model_save(&m, &w);
	assert_int_equal(rec_finish(&w), 0);
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(cpu_model_load(&r, &back), 0);
	assert_memory_equal(&m, &back, sizeof(m));
	rec_writer_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_cover_the_table),
		cmocka_unit_test(model_and_table),
		cmocka_unit_test(common_features),
		cmocka_unit_test(common_is_symmetric),
		cmocka_unit_test(common_signature),
		cmocka_unit_test(common_widths_and_leaves),
		cmocka_unit_test(common_xsave),
		cmocka_unit_test(vendors_do_not_mix),
		cmocka_unit_test(reason_names_the_bits),
		cmocka_unit_test(many_reasons_fit),
		cmocka_unit_test(widths),
		cmocka_unit_test(families),
		cmocka_unit_test(xsave_reasons),
		cmocka_unit_test(baseline_runs_everywhere),
		cmocka_unit_test(hidden_bits_are_missed),
		cmocka_unit_test(text_comes_back),
		cmocka_unit_test(text_golden),
		cmocka_unit_test(text_refused),
		cmocka_unit_test(record_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
