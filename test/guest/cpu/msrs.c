/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which model-specific registers are there, and which of their bits keep what is
 * written: found by trying each bit of each register of the architectural ranges
 * by itself, so that reserved ones are left alone. What is found is said, one
 * "msr INDEX BITS" a line, to be held against the host's own list.
 */
#include "msrs.h"
#include "rt.h"

struct msr msrs[MSRS_MAX];
unsigned nr_msrs;

static const struct {
	uint32_t first, last;
} ranges[] = {
	{ 0, 0x2fff },		    /* both vendors */
	{ 0x40000000, 0x400001ff }, /* Hyper-V's */
	{ 0x4b564d00, 0x4b564dff }, /* KVM's */
	{ 0xc0000000, 0xc0001fff }, /* both */
	{ 0xc0010000, 0xc0011fff }, /* AMD's */
};

/* Bits that are not tried, and why not. */
static const struct {
	uint32_t first, last;
	uint64_t bits;
} left_alone[] = {
	{ 0x10, 0x10, ~0ull },			/* TSC: runs */
	{ 0x11, 0x12, ~0x3fffull },		/* kvmclock writes at this address */
	{ 0x4b564d00, 0x4b564d01, ~0x3fffull }, /* likewise, by its new numbers */
	{ 0x4b564d04, 0x4b564d04, ~0xfffull },	/* the APIC, for EOI without an exit */
	{ 0x1b, 0x1b, ~0ull },			/* APIC_BASE: the APIC's mode */
	{ 0x6e0, 0x6e0, ~0ull },		/* TSC_DEADLINE: a timer */
	{ 0x800, 0x8ff, ~0ull },		/* the APIC: apic_try_read */
	/* Emulators keep in these what no CPU does: addresses that are not canonical, high bits. */
	{ 0x175, 0x176, ~0ull << 47 },
	{ 0xc0000082, 0xc0000083, ~0ull << 47 },
	{ 0xc0000084, 0xc0000084, ~0ull << 32 },
	{ 0xc0000100, 0xc0000102, ~0ull << 47 },
};

static uint64_t untried(uint32_t index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(left_alone); i++)
		if (index >= left_alone[i].first && index <= left_alone[i].last)
			return left_alone[i].bits;
	return 0;
}

bool msr_try_read(uint32_t index, uint64_t *v)
{
	uint32_t lo = 0, hi = 0;

	TRY("rdmsr", : "+a"(lo), "+d"(hi) : "c"(index));
	*v = (uint64_t)hi << 32 | lo;
	return !trap.count;
}

bool msr_try_write(uint32_t index, uint64_t v)
{
	TRY("wrmsr", ::"c"(index), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
	return !trap.count;
}

static uint64_t kept_bits(uint32_t index, uint64_t was)
{
	uint64_t bits = 0, not_these = untried(index);

	for (unsigned b = 0; b < 64; b++) {
		if ((not_these & BIT(b)) || !msr_try_write(index, was ^ BIT(b)))
			continue;
		bits |= (rdmsr(index) ^ was) & BIT(b);
		wrmsr(index, was);
	}
	return bits;
}

void msrs_find(void)
{
	uint64_t v;

	nr_msrs = 0;
	for (unsigned r = 0; r < ARRAY_SIZE(ranges); r++)
		for (uint32_t i = ranges[r].first; i <= ranges[r].last; i++) {
			if (!msr_try_read(i, &v) || nr_msrs == MSRS_MAX)
				continue;
			msrs[nr_msrs++] = (struct msr){ i, kept_bits(i, v) };
		}
}

void group_msrs(void)
{
	msrs_find();
	for (unsigned i = 0; i < nr_msrs; i++)
		say("msr %x %x\n", (uint64_t)msrs[i].index, msrs[i].bits);
	check(nr_msrs && nr_msrs < MSRS_MAX, "msrs", "%u", (uint64_t)nr_msrs);
}
