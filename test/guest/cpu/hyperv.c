/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock of Microsoft's guests, in a VM made with --hyperv: leaves, MSRs, the page,
 * and ("hyperv-move") the page across a move. Says that it is ready and waits for a byte.
 */
#include "rt.h"

#define GUEST_OS_ID 0x40000000
#define HYPERCALL 0x40000001
#define VP_INDEX 0x40000002
#define REF_COUNT 0x40000020
#define REFERENCE_TSC 0x40000021
#define TSC_FREQUENCY 0x40000022
#define APIC_FREQUENCY 0x40000023
#define MSR_TSC 0x10
#define OUR_ID 0x8100000000000000ull /* open source */
#define VECTOR_GP 13

static volatile struct {
	uint32_t sequence, zero;
	uint64_t scale;
	int64_t offset;
} page __attribute__((aligned(4096)));
static uint8_t calls[4096] __attribute__((aligned(4096)));

/* As guests do it; 0: the page says that it has no clock. */
static uint64_t by_page(void)
{
	uint32_t sequence;
	uint64_t ref;

	do {
		sequence = page.sequence;
		ref = (uint64_t)((unsigned __int128)rdtsc() * page.scale >> 64) +
		      (uint64_t)page.offset;
	} while (sequence != page.sequence);
	return sequence ? ref : 0;
}

static bool text_is(uint32_t v, const char *four)
{
	for (unsigned i = 0; i < 4; i++)
		if ((char)(v >> 8 * i) != four[i])
			return false;
	return true;
}

static void leaves(void)
{
	struct cpuid r = cpuid(0x40000000, 0), up = cpuid(0x40000100, 0);

	check(r.a == 0x40000005 && text_is(r.b, "Micr") && text_is(r.c, "osof") &&
		      text_is(r.d, "t Hv"),
	      "hyperv-vendor", "%x %x %x %x", (uint64_t)r.a, (uint64_t)r.b, (uint64_t)r.c,
	      (uint64_t)r.d);
	check(text_is(cpuid(0x40000001, 0).a, "Hv#1"), "hyperv-interface", "%x",
	      (uint64_t)cpuid(0x40000001, 0).a);
	r = cpuid(0x40000003, 0);
	check(r.a == 0xa62 && r.d == 0x100, "hyperv-features", "%x %x", (uint64_t)r.a,
	      (uint64_t)r.d);
	check(up.a == 0x40000101 && text_is(up.b, "KVMK") && cpuid(0x40000101, 0).a & 1,
	      "hyperv-kvm-above", "%x %x", (uint64_t)up.a, (uint64_t)up.b);
}

static uint64_t call(void)
{
	uint64_t result = 0;

	__asm__ volatile("call *%1"
			 : "+a"(result)
			 : "r"(calls), "c"(0x8ull), "d"(0ull)
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}

static void hypercalls(void)
{
	wrmsr(HYPERCALL, (uintptr_t)calls | 1);
	check(!(rdmsr(HYPERCALL) & 1), "hypercall-no-id", "%x", rdmsr(HYPERCALL));
	wrmsr(GUEST_OS_ID, OUR_ID);
	check(rdmsr(GUEST_OS_ID) == OUR_ID, "hyperv-id", "%x", rdmsr(GUEST_OS_ID));
	RAISES("hypercall-outside", VECTOR_GP, 0, "wrmsr", ::"c"(HYPERCALL), "a"(1), "d"(0xffff0)
	       : "memory");
	wrmsr(HYPERCALL, (uintptr_t)calls | 1);
	check((rdmsr(HYPERCALL) & 1) && call() == 2, "hypercall-none", "%x", call());
	wrmsr(GUEST_OS_ID, 0);
	check(!(rdmsr(HYPERCALL) & 1), "hypercall-off", "%x", rdmsr(HYPERCALL));
	wrmsr(GUEST_OS_ID, OUR_ID);
}

static void numbers(void)
{
	uint64_t hz = rdmsr(TSC_FREQUENCY), start = rdtsc(), ref = rdmsr(REF_COUNT), want;

	check(rdmsr(VP_INDEX) == 0, "hyperv-index", "%u", rdmsr(VP_INDEX));
	check(rdmsr(APIC_FREQUENCY) == 1000000000, "hyperv-apic-hz", "%u", rdmsr(APIC_FREQUENCY));
	RAISES("ref-count-write", VECTOR_GP, 0, "wrmsr", ::"c"(REF_COUNT), "a"(0), "d"(0)
	       : "memory");
	RAISES("frequency-write", VECTOR_GP, 0, "wrmsr", ::"c"(TSC_FREQUENCY), "a"(0), "d"(0)
	       : "memory");
	RAISES("hyperv-synic", VECTOR_GP, 0, "rdmsr", : : "c"(0x40000080) : "rax", "rdx");
	while (rdtsc() - start < hz / 10)
		;
	ref = rdmsr(REF_COUNT) - ref;
	want = (rdtsc() - start) / (hz / 10000000);
	check(ref >= 990000 && ref <= want + want / 100, "ref-count-rate", "%u in %u ticks", ref,
	      rdtsc() - start);
}

static void tsc_page(void)
{
	uint64_t before, between, after, wrong = 0;

	wrmsr(REFERENCE_TSC, (uintptr_t)&page | 1);
	check(page.sequence && page.sequence != ~0u, "page-sequence", "%x",
	      (uint64_t)page.sequence);
	for (unsigned i = 0; i < 1000; i++) {
		before = rdmsr(REF_COUNT);
		between = by_page();
		after = rdmsr(REF_COUNT);
		wrong += before > between || between > after;
	}
	check(!wrong, "page-as-msr", "%u of 1000 do not lie between two readings of the MSR",
	      wrong);
}

/* One TSC set apart: the page has nothing to say any more, the MSR goes on. */
static void tsc_written(void)
{
	uint64_t ref = rdmsr(REF_COUNT), now;

	wrmsr(MSR_TSC, 12345);
	check(rdtsc() - 12345 < 1000000000, "tsc-written", "%u", rdtsc());
	check(!page.sequence && !by_page(), "page-invalid", "%x", (uint64_t)page.sequence);
	now = rdmsr(REF_COUNT);
	check(now > ref && now - ref < 10000000, "ref-count-goes-on", "%u, then %u", ref, now);
}

void group_hyperv(void)
{
	leaves();
	hypercalls();
	numbers();
	tsc_page();
	tsc_written();
}

void group_hyperv_move(void)
{
	uint64_t last, now, back = 0;
	uint32_t sequence;

	wrmsr(GUEST_OS_ID, OUR_ID);
	wrmsr(HYPERCALL, (uintptr_t)calls | 1);
	wrmsr(REFERENCE_TSC, (uintptr_t)&page | 1);
	sequence = page.sequence;
	last = by_page();
	say("ready\n");
	while (!typed()) {
		now = by_page();
		back += now < last;
		last = now;
	}
	check(!back, "page-forward", "went back %u times", back);
	check(page.sequence && page.sequence != sequence, "page-new-sequence", "%u, then %u",
	      (uint64_t)sequence, (uint64_t)page.sequence);
	check(rdmsr(REFERENCE_TSC) == ((uintptr_t)&page | 1) && rdmsr(GUEST_OS_ID) == OUR_ID &&
		      rdmsr(HYPERCALL) == ((uintptr_t)calls | 1),
	      "hyperv-msrs", "%x %x %x", rdmsr(REFERENCE_TSC), rdmsr(GUEST_OS_ID),
	      rdmsr(HYPERCALL));
	check(call() == 2, "hypercall-moved", "%x", call());
	numbers();
	tsc_page();
}
