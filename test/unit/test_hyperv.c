/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock of Microsoft's guests: its page and its MSR say the same at every frequency
 * and after any time, its MSRs obey their rules, its record comes back, and its leaves do
 * not disturb what a preflight reads of a table.
 */
// SOURCES: kernel/vm/hyperv.c kernel/vm/hyperv_rec.c kernel/vm/cpuid_hyperv.c
// SOURCES: kernel/vm/cpuid.c kernel/vm/cpuid_bits.c kernel/vm/cpu_model.c kernel/vm/cpuid_rec.c
// SOURCES: kernel/lib/rec.c kernel/lib/muldiv.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/hyperv.h"

#define OS_ID 0x40000000u
#define HYPERCALL 0x40000001u
#define COUNT 0x40000020u
#define PAGE 0x40000021u
#define PAGE_AT 0x1000u

static uint64_t line_tsc, ahead[2];
static uint8_t ram[3 * PAGE_SIZE];
static struct vcpu vcpus[2];
static struct vm vm;

void vm_time_read(const struct vm *m, struct vm_time *t)
{
	*t = (struct vm_time){ .tsc = line_tsc };
}

uint64_t vcpu_tsc_ahead(const struct vcpu *c)
{
	return ahead[c->index];
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	if (a.v > sizeof(ram) - len)
		return -EFAULT;
	memcpy(ram + a.v, buf, len);
	return 0;
}

static int setup(void **state)
{
	memset(ram, 0x5a, sizeof(ram));
	memset(&vm, 0, sizeof(vm));
	line_tsc = ahead[0] = ahead[1] = 0;
	vm.cfg.hyperv = true;
	vm.tsc_khz = 2100003;
	vm.nr_vcpus = 2;
	for (unsigned i = 0; i < 2; i++) {
		vcpus[i] = (struct vcpu){ .vm = &vm, .index = i };
		vm.vcpu[i] = &vcpus[i];
	}
	return hyperv_init(&vm);
}

static int teardown(void **state)
{
	hyperv_fini(&vm);
	return 0;
}

static uint64_t get(uint32_t msr)
{
	uint64_t v = 0;

	assert_int_equal(hyperv_msr_get(&vcpus[1], msr, &v), 0);
	return v;
}

static void set(uint32_t msr, uint64_t v)
{
	assert_int_equal(hyperv_msr_set(&vcpus[1], msr, v), 0);
}

static uint32_t sequence(void)
{
	uint32_t v;

	memcpy(&v, ram + PAGE_AT, sizeof(v));
	return v;
}

static uint64_t by_page(void)
{
	uint64_t scale, offset;

	memcpy(&scale, ram + PAGE_AT + 8, 8);
	memcpy(&offset, ram + PAGE_AT + 16, 8);
	return (uint64_t)((unsigned __int128)line_tsc * scale >> 64) + offset;
}

static void frequencies(void **state)
{
	static const uint32_t khz[] = { 10001, 999999, 2100003, 5432109, 10000000, UINT32_MAX };

	for (unsigned i = 0; i < ARRAY_SIZE(khz); i++) {
		vm.tsc_khz = khz[i];
		set(PAGE, PAGE_AT | 1);
		assert_int_not_equal(sequence(), 0);
		assert_int_equal(get(0x40000022), khz[i] * 1000ull);
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t want;

			line_tsc = (1ull << bit) + (1ull << bit) / 3;
			want = mul_div64(line_tsc, 10000, khz[i]);
			assert_int_equal(by_page(), get(COUNT));
			assert_in_range(get(COUNT), want ? want - 1 : 0, want);
		}
	}
	vm.tsc_khz = 10000; /* no scale: by the MSR alone */
	line_tsc = 123456;
	set(PAGE, PAGE_AT | 1);
	assert_int_equal(sequence(), 0);
	assert_int_equal(get(COUNT), 123456);
}

static void sequences(void **state)
{
	uint32_t first;

	set(PAGE, PAGE_AT | 1);
	first = sequence();
	assert_int_not_equal(first, 0);
	hyperv_refresh(&vm);
	assert_int_not_equal(sequence(), first);
	vm.hyperv->sequence = UINT32_MAX - 1;
	hyperv_refresh(&vm);
	assert_int_equal(sequence(), 1); /* neither of the two that say "no clock" */
	ahead[1] = 5;
	hyperv_refresh(&vm);
	assert_int_equal(sequence(), 0);
	ahead[1] = 0;
	hyperv_refresh(&vm);
	assert_int_equal(sequence(), 2);
	set(PAGE, 0);
	memset(ram, 0, sizeof(ram));
	hyperv_refresh(&vm);
	assert_int_equal(sequence(), 0); /* off: not written any more */
	set(PAGE, 0xffff000000000001);	 /* no RAM there */
	assert_int_equal(get(PAGE), 0xffff000000000001);
}

static void rules(void **state)
{
	uint64_t v;

	set(HYPERCALL, PAGE_AT | 1);
	assert_int_equal(get(HYPERCALL), PAGE_AT); /* nobody has said who it is */
	set(OS_ID, 77);
	assert_int_equal(hyperv_msr_set(&vcpus[0], HYPERCALL, 0xffff000000001), -EINVAL);
	set(HYPERCALL, PAGE_AT | 3);
	assert_int_equal(ram[PAGE_AT], 0xb8);
	set(HYPERCALL, 0);
	assert_int_equal(get(HYPERCALL), PAGE_AT | 3); /* locked */
	set(OS_ID, 0);
	assert_int_equal(get(HYPERCALL), PAGE_AT | 2);
	for (uint32_t msr = 0x40000000; msr < 0x40000200; msr++) {
		bool known = msr <= 0x40000002 || (msr >= COUNT && msr <= 0x40000023);
		bool fixed = known && msr != OS_ID && msr != HYPERCALL && msr != PAGE;

		assert_int_equal(hyperv_msr_get(&vcpus[0], msr, &v), known ? 0 : -ENOENT);
		if (!known || fixed)
			assert_int_equal(hyperv_msr_set(&vcpus[0], msr, 0),
					 fixed ? -EINVAL : -ENOENT);
	}
	hyperv_reset(&vm);
	assert_int_equal(get(OS_ID) | get(HYPERCALL) | get(PAGE), 0);
	hyperv_fini(&vm);
	assert_int_equal(hyperv_msr_get(&vcpus[0], COUNT, &v), -ENOENT);
	assert_int_equal(hyperv_msr_set(&vcpus[0], OS_ID, 1), -ENOENT);
}

/* What check says of the record after one byte of its body was set. */
static int check_with(size_t at, uint8_t value)
{
	struct rec_writer w;
	struct rec_reader r;
	int rc;

	rec_writer_init(&w);
	vm_hyperv_save(&vm, &w);
	assert_int_equal(rec_finish(&w), 0);
	if (at)
		w.buf[sizeof(struct rec_header) + at] = value;
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	rc = hyperv_check(&vm, &r);
	rec_writer_fini(&w);
	return rc;
}

static void record(void **state)
{
	struct rec_writer w;
	struct rec_reader r;

	set(OS_ID, 0x8100000000000000);
	set(HYPERCALL, 0x2001);
	set(PAGE, PAGE_AT | 1);
	rec_writer_init(&w);
	vm_hyperv_save(&vm, &w);
	assert_int_equal(rec_finish(&w), 0);
	hyperv_fini(&vm);
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(hyperv_check(&vm, &r), -EBADMSG); /* a VM that has it not */
	assert_int_equal(hyperv_init(&vm), 0);
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(hyperv_load(&vm, &r), 0);
	assert_int_equal(get(OS_ID), 0x8100000000000000);
	assert_int_equal(get(HYPERCALL), 0x2001);
	assert_int_equal(get(PAGE), PAGE_AT | 1);
	rec_writer_fini(&w);
	assert_int_equal(check_with(0, 0), 0);
	assert_int_equal(check_with(28, 1), -EBADMSG); /* reserved */
	vm.hyperv->guest_os_id = 0;
	assert_int_equal(check_with(0, 0), -EBADMSG); /* calls enabled for nobody */
}

static struct cpuid_regs host_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	if (leaf == 0 || leaf == 0x80000000u)
		return (struct cpuid_regs){ leaf + 0xd, 1, 2, 3 };
	return (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u };
}

static void leaves(void **state)
{
	static const struct cpuid_source host = { host_read, NULL };
	struct cpu_model plain, with;
	struct cpuid_table t;
	uint32_t count;

	cpuid_build(&t, &host, 2);
	count = t.count;
	cpu_model_of(&t, &plain);
	hyperv_cpuid(&t);
	cpu_model_of(&t, &with);
	assert_memory_equal(&plain, &with, sizeof(plain));
	assert_int_equal(t.count, count + 5);
	assert_int_equal(cpuid_find(&t, 0x40000000, 0)->r.eax, 0x40000005);
	assert_int_equal(cpuid_find(&t, 0x40000100, 0)->r.eax, 0x40000101);
	assert_memory_equal(&cpuid_find(&t, 0x40000100, 0)->r.ebx, "KVMK", 4);
	assert_true(cpuid_find(&t, 0x40000101, 0)->r.eax & 1);
	assert_null(cpuid_find(&t, 0x40000006, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frequencies, setup, teardown),
		cmocka_unit_test_setup_teardown(sequences, setup, teardown),
		cmocka_unit_test_setup_teardown(rules, setup, teardown),
		cmocka_unit_test_setup_teardown(record, setup, teardown),
		cmocka_unit_test(leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
