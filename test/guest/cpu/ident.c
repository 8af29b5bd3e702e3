/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID and model-specific registers: what is shown, hidden, kept, refused. */
#include "rt.h"

#define MSR_APIC_BASE 0x1b
#define MSR_MTRR_CAP 0xfe
#define MSR_MTRR_BASE0 0x200
#define MSR_MTRR_FIX64K 0x250
#define MSR_PAT 0x277
#define MSR_MTRR_DEF 0x2ff
#define MSR_EFER 0xc0000080
#define MSR_LSTAR 0xc0000082
#define MSR_KERNEL_GS 0xc0000102
#define MSR_TSC_AUX 0xc0000103

static const struct {
	const char *name;
	uint32_t leaf;
	uint8_t reg, bit;
} hidden[] = {
	{ "hidden-monitor", 1, 2, 3 },	       { "hidden-vmx", 1, 2, 5 },
	{ "hidden-pdcm", 1, 2, 15 },	       { "hidden-svm", 0x80000001, 2, 2 },
	{ "hidden-invtsc", 0x80000007, 3, 8 },
};

static bool shown(uint32_t leaf, unsigned reg, unsigned bit)
{
	struct cpuid r = cpuid(leaf, 0);
	uint32_t word[4] = { r.a, r.b, r.c, r.d };

	if (leaf > cpuid(leaf & 0x80000000, 0).a)
		return false;
	return word[reg] >> bit & 1;
}

static void leaves(void)
{
	struct cpuid r;

	check(shown(1, 2, 31), "cpuid-hypervisor", "the hypervisor bit is clear");
	r = cpuid(0x40000000, 0);
	check(r.b == 0x4b4d564b && r.c == 0x564b4d56 && r.d == 0x4d, "cpuid-signature", "%x %x %x",
	      (uint64_t)r.b, (uint64_t)r.c, (uint64_t)r.d);
	for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++)
		check(!shown(hidden[i].leaf, hidden[i].reg, hidden[i].bit), hidden[i].name,
		      "shown");
	check(cpuid(1, 0).b >> 24 == apic_id(), "cpuid-apic-id", "%u, not %u",
	      (uint64_t)cpuid(1, 0).b >> 24, (uint64_t)apic_id());
	if (shown(1, 2, 26)) {
		bool before = shown(1, 2, 27);

		write_cr4(read_cr4() | BIT(18));
		check(!before && shown(1, 2, 27), "cpuid-osxsave", "does not follow CR4");
		write_cr4(read_cr4() & ~BIT(18));
	}
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~BIT(11));
	check(!shown(1, 3, 9), "cpuid-apic-off", "the APIC is off, but shown");
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(11));
	check(shown(1, 3, 9), "cpuid-apic-on", "the APIC is on, but not shown");
	apic_init();
}

static void keeps(const char *name, uint32_t msr, uint64_t v)
{
	uint64_t before = rdmsr(msr), got;

	wrmsr(msr, v);
	got = rdmsr(msr);
	check(got == v, name, "wrote %x, read %x", v, got);
	wrmsr(msr, before);
}

static void refuses_write(const char *name, uint32_t msr, uint64_t v)
{
	RAISES(name, 13, 0, "wrmsr", ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static void registers(void)
{
	RAISES("msr-unknown-read", 13, 0, "rdmsr", ::"c"(0x12345678) : "rax", "rdx");
	refuses_write("msr-unknown-write", 0x12345678, 0);
	RAISES("rdpmc", 13, 0, "rdpmc", ::"c"(0x1234) : "rax", "rdx");
	keeps("msr-pat", MSR_PAT, 0x0001040506070406);
	refuses_write("msr-pat-type", MSR_PAT, 0x0207040600070406);
	keeps("msr-lstar", MSR_LSTAR, 0xffffffff81000000);
	keeps("msr-kernel-gs", MSR_KERNEL_GS, 0xffff888000001000);
	keeps("msr-mtrr-base", MSR_MTRR_BASE0, 0xc0000001);
	keeps("msr-mtrr-mask", MSR_MTRR_BASE0 + 1, 0xff0000800);
	keeps("msr-mtrr-fixed", MSR_MTRR_FIX64K, 0x0606060606060606);
	keeps("msr-mtrr-default", MSR_MTRR_DEF, 0xc06);
	refuses_write("msr-mtrr-cap", MSR_MTRR_CAP, 0);
	if (shown(0x80000001, 3, 27)) {
		uint32_t aux;

		keeps("msr-tsc-aux", MSR_TSC_AUX, 0x12345);
		wrmsr(MSR_TSC_AUX, 0x777);
		__asm__ volatile("rdtscp" : "=c"(aux)::"rax", "rdx");
		check(aux == 0x777, "rdtscp", "gives %x", (uint64_t)aux);
	}
}

static void efer(void)
{
	uint64_t v = rdmsr(MSR_EFER);

	check((v & 0xd00) == 0xd00, "efer", "is %x", v);
	wrmsr(MSR_EFER, v & ~BIT(11));
	check(!(rdmsr(MSR_EFER) & BIT(11)), "efer-nxe", "is not cleared");
	wrmsr(MSR_EFER, v);
	check(rdmsr(MSR_EFER) == v, "efer-restored", "is %x", rdmsr(MSR_EFER));
	refuses_write("efer-lme-paging", MSR_EFER, v & ~BIT(8));
	refuses_write("efer-reserved", MSR_EFER, v | BIT(40));
	if (!shown(0x80000001, 2, 2))
		refuses_write("efer-svme", MSR_EFER, v | BIT(12));
}

static void controls(void)
{
	RAISES("cr4-vmxe", 13, 0, "mov %0, %%cr4", ::"r"(read_cr4() | BIT(13)));
	if (!shown(1, 2, 17))
		RAISES("cr4-pcide", 13, 0, "mov %0, %%cr4", ::"r"(read_cr4() | BIT(17)));
	if (!shown(7, 2, 3))
		RAISES("cr4-pke", 13, 0, "mov %0, %%cr4", ::"r"(read_cr4() | BIT(22)));
	RAISES("cr4-pae", 13, 0, "mov %0, %%cr4", ::"r"(read_cr4() & ~BIT(5)));
	if (on_tcg()) {
		skip("cr8-high", "the emulator takes it");
		skip("cr0-pe", "the emulator takes it");
	} else {
		RAISES("cr8-high", 13, 0, "mov %0, %%cr8", ::"r"(16ull));
		RAISES("cr0-pe", 13, 0, "mov %0, %%cr0", ::"r"(read_cr0() & ~BIT(0)));
	}
	for (unsigned i = 0; i < 16; i++) {
		write_cr8(i);
		if (read_cr8() != i)
			check(false, "cr8", "wrote %u", (uint64_t)i);
	}
	write_cr8(0);
	if (!shown(1, 2, 26))
		return;
	RAISES("ud-xgetbv", 6, 0, "xgetbv", ::"c"(0) : "rax", "rdx");
	write_cr4(read_cr4() | BIT(18));
	RAISES("xsetbv-x87", 13, 0, "xsetbv", ::"c"(0), "a"(2), "d"(0));
	RAISES("xsetbv-ymm", 13, 0, "xsetbv", ::"c"(0), "a"(5), "d"(0));
	RAISES("xsetbv-high", 13, 0, "xsetbv", ::"c"(0), "a"(3), "d"(0x80000000));
	RAISES("xsetbv-number", 13, 0, "xsetbv", ::"c"(7), "a"(3), "d"(0));
	write_cr4(read_cr4() & ~BIT(18));
}

void group_cpuid(void)
{
	leaves();
	registers();
	efer();
	controls();
}
