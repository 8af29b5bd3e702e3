/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time. One clock for the host, time_ns(): nanoseconds since boot, monotonic on
 * all CPUs, from the TSC where it is usable. Timers fire their callback in
 * interrupt context, on the CPU that armed them, at or after the deadline.
 */
#ifndef TERN_TIMER_H
#define TERN_TIMER_H

#include <tern/types.h>

uint64_t time_ns(void);
/* How long ago that was. It is read before the clock is, so whoever notes it anew meanwhile, on
 * another CPU, is not ahead of it. */
static inline uint64_t time_since_ns(uint64_t then_ns)
{
	uint64_t now = time_ns();

	return now - MIN(now, then_ns);
}
uint32_t tsc_khz(void);
/* TSC value <-> time_ns() value; exact to the calibrated frequency. */
uint64_t tsc_to_ns(uint64_t tsc);
uint64_t ns_to_tsc(uint64_t ns);
/* 64x64/64 multiply-divide without overflow in between. */
uint64_t mul_div64(uint64_t a, uint64_t b, uint64_t div);
/*
 * A guest's TSC as a CPU with TSC scaling makes it of the host's: times a ratio with
 * so many bits behind the point, what is below one cut off, modulo 2^64. Software
 * that counts along cuts off in the same place: after a year of uptime the exact product
 * is milliseconds ahead of one by a ratio of 32 bits.
 */
struct tsc_ratio {
	uint64_t ratio;
	unsigned bits;
};
/* Of frequencies; 1 exactly when they are equal. Saturates where the CPU's register ends. */
struct tsc_ratio tsc_ratio_of(uint32_t guest_khz, uint32_t host_khz, unsigned bits);
uint64_t tsc_scale(struct tsc_ratio r, uint64_t host_tsc);
/* So many host ticks that the guest's TSC rises by delta or a little more; saturating. */
uint64_t tsc_unscale(struct tsc_ratio r, uint64_t delta);
void delay_ns(uint64_t ns); /* busy; early boot and microseconds only */
/* Wall clock now, from the RTC read at boot: seconds since 1970 (UTC), 0 when unknown. */
uint64_t wall_clock_s(void);
/* The same in nanoseconds: as steady as time_ns(), as right as the RTC. */
uint64_t wall_clock_ns(void);

struct timer {
	uint64_t deadline_ns;
	void (*fn)(struct timer *t);
	struct timer *next, *prev;
	int cpu; /* queue it is on, -1 when not armed */
};

void timer_setup(struct timer *t, void (*fn)(struct timer *));
/* Arms or re-arms; any context. */
void timer_arm(struct timer *t, uint64_t deadline_ns);
/* True when it was armed. After return the callback does not run on any CPU. Not from the callback
 * itself. */
bool timer_cancel(struct timer *t);

#endif
