/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 8254 counting. Nothing ticks: count and output follow from the time since the
 * count was loaded. [Intel 8254 "Programmable Interval Timer", mode definitions]
 */
#include <tern/timer.h>

#include "pit_count.h"

uint64_t pit_ticks(uint64_t ns)
{
	return mul_div64(ns, PIT_HZ, NSEC_PER_SEC);
}

uint64_t pit_ns(uint64_t ticks)
{
	return mul_div64(ticks, NSEC_PER_SEC, PIT_HZ) + 1;
}

static uint64_t elapsed(const struct pit_channel *c, uint64_t now_ns)
{
	return now_ns > c->start_ns ? pit_ticks(now_ns - c->start_ns) : 0;
}

static bool periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static uint16_t to_bcd(uint32_t v)
{
	uint32_t r = 0;

	for (unsigned i = 0; i < 4; i++, v /= 10)
		r |= v % 10 << 4 * i;
	return (uint16_t)r;
}

uint16_t pit_count(const struct pit_channel *c, uint64_t now_ns)
{
	uint64_t t = elapsed(c, now_ns);
	uint32_t wrap = c->bcd ? 10000 : 65536, left;

	if (!c->reload)
		return 0;
	if (!c->gate && c->mode != 1 && c->mode != 5)
		t = 0; /* held */
	if (c->mode == 3)
		left = c->reload - (uint32_t)(2 * t % c->reload);
	else if (c->mode == 2)
		left = c->reload - (uint32_t)(t % c->reload);
	else
		left = (uint32_t)((c->reload + (uint64_t)wrap - t % wrap) %
				  wrap); /* goes on below zero */
	left %= wrap;
	return c->bcd ? to_bcd(left) : (uint16_t)left;
}

bool pit_out(const struct pit_channel *c, uint64_t now_ns)
{
	uint64_t t = elapsed(c, now_ns);

	if (!c->reload)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
	case 1:
		return t >= c->reload;
	case 2:
		return !c->gate || t % c->reload != c->reload - 1;
	case 3:
		return !c->gate || t % c->reload < (c->reload + 1) / 2;
	default:
		return t != c->reload;
	}
}

uint64_t pit_next_rise(const struct pit_channel *c, uint64_t now_ns)
{
	uint64_t t = elapsed(c, now_ns), at;

	if (!c->reload || !c->gate)
		return NEVER_NS;
	if (periodic(c))
		at = (t / c->reload + 1) * c->reload;
	else
		at = c->reload + (c->mode >= 4);
	at = c->start_ns + pit_ns(at);
	return at > now_ns ? at : NEVER_NS;
}
