/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calibrates the TSC and the LAPIC timer together against a reference clock.
 * Each try takes two samples some time apart. A sample is three reads close
 * together; the tightest of several is kept, because an interruption (SMI,
 * emulator, host of a nested machine) falls in between some. Of the tries the
 * one with the smallest possible error counts.
 */
#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "arch.h"
#include "lapic.h"
#include "reference.h"

#define TRIES 4u
#define SAMPLE_READS 24u
#define WINDOW_FS 25000000000000ull /* 25 ms, below a PIT's wrap of 54 ms */
#define GOOD_PPM 20u

struct sample {
	uint64_t tsc;	/* middle of the reads */
	uint64_t width; /* TSC ticks that the reads took: the sample's uncertainty */
	uint32_t ref, lapic;
};

struct result {
	uint64_t tsc_khz, lapic_khz, error_ppm;
};

static struct sample take_sample(const struct reference *r)
{
	struct sample best = { 0 };
	uint64_t best_whole = UINT64_MAX;

	for (unsigned i = 0; i < SAMPLE_READS; i++) {
		uint64_t before = rdtsc();
		uint32_t ref = r->read();
		uint64_t after = rdtsc();
		uint32_t left = apic_timer_left();
		uint64_t whole = rdtsc() - before;

		if (whole >= best_whole)
			continue;
		best_whole = whole;
		best = (struct sample){ .tsc = before + (after - before) / 2,
					.width = after - before,
					.ref = ref,
					.lapic = left };
	}
	return best;
}

static struct result one_try(const struct reference *r)
{
	struct sample a = take_sample(r), b;
	uint64_t fs;

	do
		fs = ((r->read() - a.ref) & r->mask) * r->fs_per_tick;
	while (fs < WINDOW_FS);
	b = take_sample(r);
	fs = ((b.ref - a.ref) & r->mask) * r->fs_per_tick;

	uint64_t ticks = b.tsc - a.tsc;

	/* kHz = ticks per 10^12 fs */
	return (struct result){ .tsc_khz = mul_div64(ticks, 1000000000000ull, fs),
				.lapic_khz = mul_div64(a.lapic - b.lapic, 1000000000000ull, fs),
				.error_ppm = mul_div64(a.width + b.width, 1000000, 2 * ticks) +
					     mul_div64(r->fs_per_tick, 1000000, fs) };
}

/*
 * Smaller error wins. But a try that was held up for a whole wrap of the
 * reference (the PIT's is 54 ms) comes out far too fast: then the slower one.
 */
static bool better(const struct result *a, const struct result *b)
{
	if (b->error_ppm == UINT64_MAX)
		return true;
	if (a->tsc_khz < b->tsc_khz - b->tsc_khz / 100)
		return true;
	if (a->tsc_khz > b->tsc_khz + b->tsc_khz / 100)
		return false;
	return a->error_ppm < b->error_ppm;
}

void calibrate(uint32_t *tsc_khz_out, uint32_t *lapic_khz_out)
{
	struct result best = { .error_ppm = UINT64_MAX };
	struct reference r;
	bool deadline = cpu_identity()->has_tsc_deadline;

	reference_find(&r);
	for (unsigned i = 0; i < TRIES && best.error_ppm > GOOD_PPM; i++) {
		apic_timer_run();
		struct result one = one_try(&r);

		if (better(&one, &best))
			best = one;
	}
	*tsc_khz_out = (uint32_t)best.tsc_khz;
	*lapic_khz_out = deadline ? 0 : (uint32_t)best.lapic_khz;
	log_info("clock", "TSC %llu.%03llu MHz by %s, error below %llu ppm%s; timer: %s",
		 (unsigned long long)best.tsc_khz / 1000, (unsigned long long)best.tsc_khz % 1000,
		 r.name, (unsigned long long)best.error_ppm,
		 cpu_identity()->has_invariant_tsc ? "" : " (not said to be invariant)",
		 deadline ? "TSC deadline" : "LAPIC count");
}
