/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvmclock, the clock page that stock kernels know: system time =
 * base + ((TSC - base TSC) << shift) * mul >> 32. The page is written when the
 * guest sets its MSR or its TSC and after a pause; its version is odd while it changes.
 * [the layout is that of the Xen and KVM public interface; Linux
 * Documentation/virt/kvm/x86/msr.rst]
 */
#include <errno.h>
#include <string.h>

#include "vm_int.h"

#define MSR_WALL_OLD 0x11u
#define MSR_SYSTEM_OLD 0x12u
#define MSR_WALL 0x4b564d00u
#define MSR_SYSTEM 0x4b564d01u
#define SYSTEM_ON 1u

#define FLAG_STABLE 1u	/* all vCPUs' pages agree: no lock in the guest's reader */
#define FLAG_STOPPED 2u /* the guest was held: watchdogs look away once */

struct clock_page {
	uint32_t version;	/* 0 odd while it changes */
	uint32_t pad0;		/* 4 */
	uint64_t tsc_timestamp; /* 8 */
	uint64_t system_time;	/* 16 ns */
	uint32_t mul;		/* 24 */
	int8_t shift;		/* 28 */
	uint8_t flags;		/* 29 */
	uint8_t pad1[2];	/* 30 */
};
_Static_assert(sizeof(struct clock_page) == 32, "kvmclock page");

struct wall_page {
	uint32_t version;
	uint32_t sec; /* since 1970 at guest time 0 */
	uint32_t nsec;
};

/* mul and shift so that 1e6 * 2^32 / kHz fits 32 bits as exactly as it can. */
struct pvclock_scale pvclock_scale(uint32_t khz)
{
	uint64_t hz = (uint64_t)(khz ? khz : 1) * 1000;
	struct pvclock_scale s = { 0, 0 };

	while (hz > 2 * NSEC_PER_SEC) {
		hz >>= 1;
		s.shift--;
	}
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		s.shift++;
	}
	/* hz in (1e9, 2e9]: the quotient is below 2^32. From the unshifted frequency, to lose no
	 * bit. */
	if (s.shift <= 0)
		s.mul = (uint32_t)mul_div64(NSEC_PER_SEC << (unsigned)-s.shift, 1ull << 32,
					    (uint64_t)(khz ? khz : 1) * 1000);
	else
		s.mul = (uint32_t)mul_div64(NSEC_PER_SEC, 1ull << 32, hz);
	return s;
}

uint64_t pvclock_ns(struct pvclock_scale s, uint64_t delta)
{
	delta = s.shift < 0 ? delta >> (unsigned)-s.shift : delta << (unsigned)s.shift;
	return (uint64_t)((unsigned __int128)delta * s.mul >> 32);
}

static gpa_t page_of(const struct vcpu *c)
{
	return GPA(c->clock->system_msr & ~3ull);
}

/*
 * The guest's reader takes the contents only between two equal, even versions,
 * so the new contents go in three ordered stores. A page outside of RAM is the
 * guest's own loss.
 */
void pvclock_update(struct vcpu *c)
{
	struct pvclock_scale s = pvclock_scale(c->vm->tsc_khz);
	struct clock_page p = { .tsc_timestamp = c->vm->run->base_tsc + vcpu_tsc_ahead(c),
				.system_time = c->vm->run->base_ns,
				.mul = s.mul,
				.shift = s.shift,
				.flags = (uint8_t)(FLAG_STABLE |
						   (c->clock->stopped ? FLAG_STOPPED : 0)) };
	struct gmem *g = c->vm->mem;
	gpa_t at = page_of(c);
	uint32_t version = 0;

	if (!(c->clock->system_msr & SYSTEM_ON) || gmem_read(g, at, &version, sizeof(version)))
		return;
	c->clock->stopped = false;
	version = (version | 1) + 2; /* odd, and not the one it was */
	p.version = version;
	if (gmem_write(g, at, &version, sizeof(version)))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (gmem_write(g, at, &p, sizeof(p)))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	version++;
	if (gmem_write(g, at, &version, sizeof(version)))
		return;
}

static void write_wall(struct vcpu *c)
{
	uint64_t wall = wall_clock_ns(), guest = vm_guest_ns(c->vm);
	uint64_t boot = wall > guest ? wall - guest : 0;
	struct wall_page p = { .sec = (uint32_t)(boot / NSEC_PER_SEC),
			       .nsec = (uint32_t)(boot % NSEC_PER_SEC) };
	struct gmem *g = c->vm->mem;
	gpa_t at = GPA(c->clock->wall_msr & ~3ull);
	uint32_t version = 0;

	if (gmem_read(g, at, &version, sizeof(version)))
		return;
	p.version =
		(version | 1) + 1; /* even: this vCPU waits in its WRMSR, nobody reads meanwhile */
	if (gmem_write(g, at, &p, sizeof(p)))
		return;
}

int pvclock_msr_get(struct vcpu *c, uint32_t index, uint64_t *value)
{
	switch (index) {
	case MSR_SYSTEM:
	case MSR_SYSTEM_OLD:
		*value = c->clock->system_msr;
		return 0;
	case MSR_WALL:
	case MSR_WALL_OLD:
		*value = c->clock->wall_msr;
		return 0;
	default:
		return -ENOENT;
	}
}

int pvclock_msr_set(struct vcpu *c, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_SYSTEM:
	case MSR_SYSTEM_OLD:
		c->clock->system_msr = value;
		pvclock_update(c);
		return 0;
	case MSR_WALL:
	case MSR_WALL_OLD:
		c->clock->wall_msr = value;
		write_wall(c);
		return 0;
	default:
		return -ENOENT;
	}
}
