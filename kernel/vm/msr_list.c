/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MSRs that guests have; what is not here is unknown to them. Most are kept by
 * the kernel as values, which travel in the vCPU's record by index: each with its
 * reset value, the bits that a write may change, and why it is there. The others
 * are kept by the CPU's backend, the LAPIC or the clock, and travel with those; they
 * are listed so that a test inside a guest can say that none was forgotten.
 * [SDM 4 "Model-Specific Registers"] [APM2 A "MSR Cross-Reference"]
 */
#include <errno.h>

#include "vm_int.h"

struct msr_def {
	uint32_t index;
	uint64_t reset;
	uint64_t writable; /* a write that changes another bit is a #GP */
	uint64_t ignored;  /* bits that a write may set without effect */
	const char *why;
};

#define MTRR_VAR 8u
#define PHYS_MASK 0x000ffffffffff000ull

#define VAR(n)                                                                                     \
	{ 0x200 + 2 * (n), 0, PHYS_MASK | 0xff, 0, "MTRR base" },                                  \
	{                                                                                          \
		0x201 + 2 * (n), 0, PHYS_MASK | BIT(11), 0, "MTRR mask"                            \
	}
#define PERF(n)                                                                                    \
	{ 0xc0010000 + (n), 0, 0, ~0ull,                                                           \
	  "event select: every AMD CPU has four, these count not" },                               \
	{                                                                                          \
		0xc0010004 + (n), 0, 0, ~0ull, "its counter"                                       \
	}
#define FIX(index)                                                                                 \
	{                                                                                          \
		index, 0, ~0ull, 0, "fixed MTRR"                                                   \
	}

static const struct msr_def msr_list[] = {
	{ 0x17, 0, 0, 0, "PLATFORM_ID: read by firmware before it looks for microcode" },
	{ 0x8b, 0, 0, ~0ull, "microcode revision: none; a write before the read selects it" },
	{ 0xfe, 0x500 | MTRR_VAR, 0, 0, "MTRRCAP: WC, fixed, 8 variable ranges" },
	{ 0x179, 0, 0, 0, "MCG_CAP: no machine-check banks" },
	{ 0x17a, 0, 0, ~0ull, "MCG_STATUS" },
	{ 0x1a0, 1, 0, ~0ull, "MISC_ENABLE: fast strings; read by firmware whatever the vendor" },
	{ 0x2ff, 0, 0xcff, 0, "MTRR default type" },
	FIX(0x250),
	FIX(0x258),
	FIX(0x259),
	FIX(0x268),
	FIX(0x269),
	FIX(0x26a),
	FIX(0x26b),
	FIX(0x26c),
	FIX(0x26d),
	FIX(0x26e),
	FIX(0x26f),
	VAR(0),
	VAR(1),
	VAR(2),
	VAR(3),
	VAR(4),
	VAR(5),
	VAR(6),
	VAR(7),
	PERF(0),
	PERF(1),
	PERF(2),
	PERF(3),
	{ 0xc0010010, 0, BIT(18) | BIT(19) | BIT(20) | BIT(21) | BIT(22), 0,
	  "SYSCFG: MTRR extensions" },
	{ 0xc0010015, BIT(24), 0, ~0ull, "HWCR: TSC counts at a fixed rate" },
	{ 0xc001001a, 0, 0, ~0ull, "TOP_MEM" },
	{ 0xc001001d, 0, 0, ~0ull, "TOP_MEM2" },
	{ 0xc001001f, 0, 0, ~0ull, "NB_CFG: read for the APIC ID's shape" },
	{ 0xc0010055, 0, 0, ~0ull, "INT_PENDING_MSG: no C1E" },
	{ 0xc0010064, 0, 0, 0, "P-state 0: frequency is the host's affair" },
	{ 0xc0011020, 0, 0, ~0ull, "LS_CFG: errata are the host's affair" },
	{ 0xc0011022, 0, 0, ~0ull, "DC_CFG: as LS_CFG" },
	{ 0xc0011023, 0, 0, ~0ull, "BU_CFG: as LS_CFG" },
	{ 0xc0011029, BIT(1), 0, ~0ull, "DE_CFG: LFENCE serializes" },
	{ 0xc001102a, 0, 0, ~0ull, "BU_CFG2: as LS_CFG" },
};
_Static_assert(ARRAY_SIZE(msr_list) <= MSR_KEPT_MAX, "room for values");

static const struct vm_msr elsewhere[] = {
	{ 0x10, 0x10, "clock", "TSC" },
	{ 0x11, 0x12, "clock", "kvmclock, by its old numbers" },
	{ 0x1b, 0x1b, "APIC", "APIC_BASE" },
	{ 0x174, 0x176, "CPU", "SYSENTER's" },
	{ 0x1d9, 0x1d9, "CPU", "DEBUGCTL: kept, without effect" },
	{ 0x277, 0x277, "CPU", "PAT" },
	{ 0x6e0, 0x6e0, "APIC", "TSC_DEADLINE" },
	{ 0x800, 0x83f, "APIC", "its registers, in x2APIC mode" },
	{ 0xda0, 0xda0, "CPU", "XSS: none of its components is offered" },
	{ 0x40000000, 0x40000002, "clock", "Hyper-V's interface, with --hyperv" },
	{ 0x40000020, 0x40000023, "clock", "Hyper-V's clock, likewise" },
	{ 0x4b564d00, 0x4b564d01, "clock", "kvmclock" },
	{ 0x4b564d04, 0x4b564d04, "APIC", "the word for an EOI without an exit" },
	{ 0xc0000080, 0xc0000080, "CPU", "EFER" },
	{ 0xc0000081, 0xc0000084, "CPU", "SYSCALL's" },
	{ 0xc0000100, 0xc0000102, "CPU", "bases of FS and GS" },
	{ 0xc0000103, 0xc0000103, "CPU", "TSC_AUX" },
};

static int find(uint32_t index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msr_list); i++)
		if (msr_list[i].index == index)
			return (int)i;
	return -1;
}

void msr_list_reset(struct vcpu_msrs *m)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msr_list); i++)
		m->value[i] = msr_list[i].reset;
}

int msr_list_get(const struct vcpu_msrs *m, uint32_t index, uint64_t *value)
{
	int i = find(index);

	if (i < 0)
		return -ENOENT;
	*value = m->value[i];
	return 0;
}

/* Which bytes of an MTRR are memory types, a bit each. */
static unsigned type_bytes(uint32_t index)
{
	if (index >= 0x250 && index <= 0x26f)
		return 0xff;
	return index == 0x2ff || (index >= 0x200 && index < 0x200 + 2 * MTRR_VAR && index % 2 == 0);
}

/* 0 uncached, 1 write-combining, 4 write-through, 5 write-protected, 6 write-back.
 * [SDM 3A "MTRR Memory Types and Their Properties"] */
static bool types_ok(const struct msr_def *d, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++) {
		uint64_t type = value >> (8 * i) & 0xff;

		if ((type_bytes(d->index) >> i & 1) && (type > 6 || type == 2 || type == 3))
			return false;
	}
	return true;
}

int msr_list_set(struct vcpu_msrs *m, uint32_t index, uint64_t value)
{
	int i = find(index);
	const struct msr_def *d;

	if (i < 0)
		return -ENOENT;
	d = &msr_list[i];
	if (((value ^ m->value[i]) & ~(d->writable | d->ignored)) || !types_ok(d, value))
		return -EINVAL;
	m->value[i] = (m->value[i] & ~d->writable) | (value & d->writable);
	return 0;
}

int msr_list_check(uint32_t index, uint64_t value)
{
	int i = find(index);
	const struct msr_def *d;

	if (i < 0)
		return -ENOENT;
	d = &msr_list[i];
	return ((value ^ d->reset) & ~d->writable) || !types_ok(d, value) ? -EINVAL : 0;
}

unsigned msr_list_count(void)
{
	return ARRAY_SIZE(msr_list);
}

uint32_t msr_list_index(unsigned i)
{
	return msr_list[i].index;
}

bool vm_msr_at(unsigned i, struct vm_msr *out)
{
	if (i < ARRAY_SIZE(msr_list)) {
		*out = (struct vm_msr){ msr_list[i].index, msr_list[i].index, "kernel",
					msr_list[i].why };
		return true;
	}
	i -= (unsigned)ARRAY_SIZE(msr_list);
	if (i < ARRAY_SIZE(elsewhere))
		*out = elsewhere[i];
	return i < ARRAY_SIZE(elsewhere);
}
