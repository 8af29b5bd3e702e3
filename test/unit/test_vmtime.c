/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arithmetic of guest time at its ends: hosts of 1 MHz and 10 GHz, up for decades,
 * with both vendors' scaling ratios; TSCs that wrap; guests that write theirs. The
 * fake host's TSC is a variable, and so are its frequency and where its time began.
 */
// SOURCES: kernel/lib/muldiv.c kernel/lib/tscscale.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vm/vm_int.h"

typedef unsigned __int128 u128;

#define YEAR_S (365ull * 86400)
#define CLOCK_MSR 0x4b564d01u

static struct host {
	uint64_t tsc, base;
	uint32_t khz;
} host;
static uint8_t ram[2 * PAGE_SIZE];

static uint64_t host_tsc(void)
{
	return host.tsc;
}
#define rdtsc() host_tsc()
#include "kernel/vm/pvclock.c"
#include "kernel/vm/vmtime.c"

struct virt_caps virt_caps;

uint32_t tsc_khz(void)
{
	return host.khz;
}

uint64_t tsc_to_ns(uint64_t tsc)
{
	return mul_div64(tsc - host.base, 1000000, host.khz);
}

uint64_t wall_clock_ns(void)
{
	return 1700000000 * NSEC_PER_SEC + tsc_to_ns(host.tsc);
}

int gmem_read(struct gmem *g, gpa_t a, void *buf, size_t len)
{
	memcpy(buf, ram + a.v, len);
	return 0;
}

int gmem_write(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	memcpy(ram + a.v, buf, len);
	return 0;
}

/* ---- a VM of two vCPUs, moved by vm_time_continue ---- */

static struct pvclock clocks[2];
static struct vcpu vcpus[2];
static struct vm_run run;
static struct vm vm;

static void make(uint32_t khz)
{
	memset(&vm, 0, sizeof(vm));
	memset(&run, 0, sizeof(run));
	vm.run = &run;
	vm.nr_vcpus = 2;
	vm.tsc_khz = vm.virt.tsc_khz = khz;
	for (unsigned i = 0; i < 2; i++) {
		vcpus[i] = (struct vcpu){ .vm = &vm, .index = i, .clock = &clocks[i] };
		clocks[i] = (struct pvclock){ 0 };
		vm.vcpu[i] = &vcpus[i];
	}
	vm_time_start(&vm);
}

/* On this host now: up for so long, its time begun at some other TSC. */
static void on_host(uint32_t khz, uint64_t up_s, unsigned bits)
{
	host = (struct host){ .base = 12345, .khz = khz };
	host.tsc = host.base + up_s * khz * 1000;
	virt_caps.tsc_scaling = bits != 0;
	virt_caps.tsc_ratio_bits = bits;
}

static void pass_ns(uint64_t ns)
{
	host.tsc += mul_div64(ns, host.khz, 1000000);
}

/* What the CPU shows the guest: its ratio's low bits are cut, the product's too. */
static uint64_t hardware(unsigned bits, uint64_t offset)
{
	u128 ratio = ((u128)vm.tsc_khz << bits) / host.khz;

	return (uint64_t)((u128)host.tsc * ratio >> bits) + offset;
}

static uint64_t reader(unsigned cpu)
{
	struct clock_page p;
	u128 d;

	memcpy(&p, ram + cpu * PAGE_SIZE, sizeof(p));
	d = vcpu_guest_tsc(&vcpus[cpu]) - p.tsc_timestamp;
	d = p.shift < 0 ? d >> -p.shift : d << p.shift;
	return p.system_time + (uint64_t)(d * p.mul >> 32);
}

static const uint32_t khz[] = { 1000, 19200, 999999, 2100003, 10000000 };
static const uint64_t up_s[] = { 1, 86400, 10 * YEAR_S, 50 * YEAR_S };

static bool scalable(uint32_t guest, uint32_t there, unsigned bits)
{
	return !bits ? guest == there : guest / there < (bits == 32 ? 256 : 65536);
}

/* One move from a fresh host to this one after a blackout. */
static void one_move(uint32_t guest, uint32_t there, uint64_t up, unsigned bits, uint64_t blackout)
{
	uint64_t ticks = mul_div64(blackout, guest, 1000000);
	struct vm_time t, now;

	on_host(guest, 5, 0);
	make(guest);
	pass_ns(3 * NSEC_PER_SEC);
	vm_time_read(&vm, &t);
	on_host(there, up, bits);
	t.host_ns = tsc_to_ns(host.tsc) - blackout;
	vm_time_continue(&vm, &t);
	vm_time_read(&vm, &now);
	assert_int_equal(now.tsc, t.tsc + ticks);
	assert_int_equal(now.host_ns, t.host_ns + blackout);
	assert_true(now.ns >= t.ns && now.ns - t.ns <= blackout);
	assert_int_equal(vcpu_guest_tsc(&vcpus[0]), now.tsc);
	for (uint64_t s = 1; s < 1000000; s *= 100) {
		uint64_t was = vm_guest_ns(&vm);

		pass_ns(s * NSEC_PER_SEC);
		if (bits)
			assert_int_equal(vcpu_guest_tsc(&vcpus[1]),
					 hardware(bits, vcpus[1].v.tsc_offset));
		/* The ratio is cut at its bits, kvmclock's factor at 31: both below 2 ppm here. */
		assert_in_range(vm_guest_ns(&vm) - was, s * NSEC_PER_SEC - s * 2000 - 1000000,
				s * NSEC_PER_SEC + 1000000);
	}
}

static void moves(void **state)
{
	static const uint64_t blackouts[] = { 0, 1, 30000000, 300 * 86400 * NSEC_PER_SEC };
	static const unsigned bits[] = { 0, 32, 48 };
	unsigned done = 0;

	for (unsigned g = 0; g < ARRAY_SIZE(khz); g++)
		for (unsigned t = 0; t < ARRAY_SIZE(khz); t++)
			for (unsigned u = 0; u < ARRAY_SIZE(up_s); u++)
				for (unsigned b = 0; b < ARRAY_SIZE(bits); b++) {
					if (!scalable(khz[g], khz[t], bits[b]))
						continue;
					one_move(khz[g], khz[t], up_s[u], bits[b],
						 blackouts[u % ARRAY_SIZE(blackouts)]);
					done++;
				}
	assert_true(done > 150);
}

/* A thousand moves between an old host and a young one: no tick is lost or counted twice. */
static void chain(void **state)
{
	uint64_t blackout = 12345677, away = 98765433, ns;
	struct vm_time t;

	on_host(2100003, 1, 32);
	make(2100003);
	for (unsigned i = 0; i < 1000; i++) {
		vm_time_read(&vm, &t);
		if (i & 1)
			on_host(2100003, 3 + i, 32);
		else
			on_host(3399999, 20 * YEAR_S + i, 32);
		ns = t.ns;
		t.host_ns = tsc_to_ns(host.tsc) - blackout;
		vm_time_continue(&vm, &t);
		assert_true(vm_guest_ns(&vm) >= ns);
		pass_ns(away);
	}
	vm_time_read(&vm, &t);
	ns = 1000 * (blackout + away);
	/* Each move may cut a tick of TSC, a nanosecond of kvmclock, and one of the host's
	 * ticks in this test. */
	assert_in_range(t.ns, ns - 3000, ns + 3000);
	assert_in_range(mul_div64(t.tsc, 1000000, 2100003), ns - 3000, ns + 3000);
}

/* The host's TSC was set far ahead by its firmware, and wraps; the guest's does not notice. */
static void wrap(void **state)
{
	uint64_t ns;

	on_host(2100003, 1, 0);
	host.tsc = UINT64_MAX - 1000;
	host.base = host.tsc - 500;
	make(2100003);
	ns = vm_guest_ns(&vm);
	host.tsc += 21000030; /* 10 ms */
	assert_int_equal(vcpu_guest_tsc(&vcpus[0]), 21000030);
	assert_in_range(vm_guest_ns(&vm) - ns, 9999998, 10000000);
	assert_true(vcpu_tsc_deadline_ns(&vcpus[0], 21000030 + 2100003) > tsc_to_ns(host.tsc));
}

/* Never early; late by no more than what a tick of either clock is. */
static void deadlines(void **state)
{
	static const uint64_t delta[] = { 1, 2, 999, 2100003, 1ull << 40, 1ull << 50 };
	static const unsigned bits[] = { 32, 48 };

	for (unsigned g = 0; g < ARRAY_SIZE(khz); g++)
		for (unsigned t = 0; t < ARRAY_SIZE(khz); t++)
			for (unsigned i = 0; i < ARRAY_SIZE(delta) * 2; i++) {
				uint64_t want, ns, late;
				u128 slack;

				if (!scalable(khz[g], khz[t], bits[i & 1]))
					continue;
				on_host(khz[t], 10 * YEAR_S, bits[i & 1]);
				make(khz[g]);
				vcpus[0].v.tsc_offset -= 1ull << 63; /* the guest wrote it */
				want = vcpu_guest_tsc(&vcpus[0]) + delta[i / 2];
				ns = vcpu_tsc_deadline_ns(&vcpus[0], want);
				host.tsc = host.base + mul_div64(ns, host.khz, 1000000);
				while (tsc_to_ns(host.tsc) < ns)
					host.tsc++;
				late = vcpu_guest_tsc(&vcpus[0]) - want;
				slack = (u128)(khz[g] / khz[t] + khz[g] / 1000000 + 2) * 4;
				if ((u128)delta[i / 2] * khz[t] / khz[g] >= FAR_TSC) {
					assert_true((int64_t)late < 0); /* far: it asks again */
					continue;
				}
				assert_true(late <= slack);
				assert_int_equal(vcpu_tsc_deadline_ns(&vcpus[0], want), 0);
			}
	on_host(1000, 1, 0);
	make(1000);
	assert_true(vcpu_tsc_deadline_ns(&vcpus[0], INT64_MAX) < NEVER_NS); /* asks again */
}

/* Each vCPU's page gives the same time, to the nanosecond, whatever its guest wrote to its TSC. */
static void written_tscs(void **state)
{
	static const uint64_t value[] = { 0, 1, 1ull << 40, UINT64_MAX - 1000, 1ull << 63 };

	for (unsigned i = 0; i < ARRAY_SIZE(value); i++) {
		on_host(2100003, 86400, 0);
		make(2100003);
		pass_ns(5 * NSEC_PER_SEC);
		vcpus[i & 1].v.tsc_offset += value[i] - vcpu_guest_tsc(&vcpus[i & 1]);
		assert_int_equal(vcpu_guest_tsc(&vcpus[i & 1]), value[i]);
		for (unsigned c = 0; c < 2; c++)
			assert_int_equal(pvclock_msr_set(&vcpus[c], CLOCK_MSR,
							 c * PAGE_SIZE | SYSTEM_ON),
					 0);
		for (unsigned s = 0; s < 3; s++) {
			assert_int_equal(reader(0), vm_guest_ns(&vm));
			assert_int_equal(reader(1), vm_guest_ns(&vm));
			pass_ns(86400 * NSEC_PER_SEC);
		}
	}
}

/* Whenever a guest asks, by whatever vCPU: it began at the same moment of the day. */
static void wall(void **state)
{
	uint32_t first[2], again[2];

	on_host(2100003, 3, 0);
	make(2100003);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(pvclock_msr_set(&vcpus[i & 1], 0x4b564d00, 0x10), 0);
		memcpy(i ? again : first, ram + 0x14, sizeof(first));
		if (i) /* to the rounding of the two clocks */
			assert_in_range(again[1] - first[1] + 10, 0, 20);
		assert_int_equal(first[0], 1700000003);
		pass_ns(7777777777);
	}
}

static void ratios(void **state)
{
	struct tsc_ratio one = tsc_ratio_of(2100003, 2100003, 48), r;

	assert_int_equal(one.ratio, 1ull << 48);
	assert_int_equal(tsc_scale(one, UINT64_MAX), UINT64_MAX);
	r = tsc_ratio_of(10000000, 1000,
			 32); /* 10000: more than AMD-V's register has, refused before */
	assert_int_equal(r.ratio, 10000ull << 32);
	assert_int_equal(tsc_unscale(r, UINT64_MAX), UINT64_MAX / 10000 + 1);
	r = tsc_ratio_of(1000, 10000000, 32);
	assert_int_equal(tsc_unscale(r, UINT64_MAX), UINT64_MAX);
	r = tsc_ratio_of(UINT32_MAX, 1, 48);
	assert_int_equal(r.ratio, UINT64_MAX); /* saturates */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves),	cmocka_unit_test(chain),
		cmocka_unit_test(wrap),		cmocka_unit_test(deadlines),
		cmocka_unit_test(written_tscs), cmocka_unit_test(ratios),
		cmocka_unit_test(wall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
