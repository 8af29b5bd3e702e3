/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a guest may not run somewhere, as one sentence that fits a small buffer:
 * the short reasons first, then the missing features by name, as many as there is room
 * for with the rest counted, and at last what would help. Pure code.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

#define REMEDY_HOST "; create the VM with --cpu baseline of both hosts"
#define REMEDY_BASELINE "; its baseline was computed without this host"
#define REST_ROOM 16u /* of " and 416 more" */

struct sentence {
	char *buf;
	size_t len, at;	  /* at <= len - 1 */
	unsigned reasons; /* so far */
};

static void say(struct sentence *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct sentence *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->buf + s->at, s->len - s->at, fmt, ap);
	va_end(ap);
	s->at = MIN(s->at + (size_t)MAX(n, 0), s->len - 1);
}

static void next_reason(struct sentence *s)
{
	if (s->reasons++)
		say(s, "; ");
}

static void check_family(struct sentence *s, const struct cpu_model *want,
			 const struct cpu_model *have)
{
	if (cpu_model_family(want) == cpu_model_family(have))
		return;
	next_reason(s);
	say(s, "is of family %u, not %u", cpu_model_family(have), cpu_model_family(want));
}

/*
 * A guest may place things up to the width it was shown. A wider host is refused
 * too, but for a baseline: bits above the guest's width would not fault there.
 */
static void check_width(struct sentence *s, const struct cpu_model *want,
			const struct cpu_model *have, bool baseline)
{
	if (want->phys_bits == have->phys_bits || (baseline && want->phys_bits < have->phys_bits))
		return;
	next_reason(s);
	say(s, "has %u-bit physical addresses, not %u", have->phys_bits, want->phys_bits);
}

static void check_xsave(struct sentence *s, const struct cpu_model *want,
			const struct cpu_model *have)
{
	uint64_t missing = want->xcr0 & ~have->xcr0;

	if (missing) {
		next_reason(s);
		say(s, "lacks XSAVE components 0x%llx", (unsigned long long)missing);
	}
	for (unsigned i = 2; i < CPU_XCOMPS; i++) {
		if (!(want->xcr0 & have->xcr0 & BIT(i)) ||
		    (want->comp[i].size == have->comp[i].size &&
		     want->comp[i].offset == have->comp[i].offset))
			continue;
		next_reason(s);
		say(s, "has XSAVE component %u elsewhere", i);
	}
}

static void check_features(struct sentence *s, const struct cpu_model *want,
			   const struct cpu_model *have, size_t reserve)
{
	struct cpu_bit at = { 0 };
	unsigned named = 0, left = 0;

	while (cpu_model_next_missing(want, have, &at)) {
		char text[CPU_FEATURE_MAX];

		cpu_bit_text(&at, text, sizeof(text));
		if (left || s->at + strlen(text) + 10 + reserve + REST_ROOM > s->len) {
			left++;
			continue;
		}
		if (!named++)
			next_reason(s);
		say(s, "%s%s", named == 1 ? "lacks " : ", ", text);
	}
	if (left && named)
		say(s, " and %u more", left);
	else if (left) {
		next_reason(s);
		say(s, "lacks %u features", left);
	}
}

int cpu_model_check(const struct cpu_model *want, const struct cpu_model *have, bool baseline,
		    const char *who, char *why, size_t why_len)
{
	struct sentence s = { .buf = why, .len = why_len };
	const char *remedy = baseline ? REMEDY_BASELINE : REMEDY_HOST;

	if (strcmp(want->vendor, have->vendor)) {
		snprintf(why, why_len,
			 "%s has a CPU of %s, the guest one of %s: no VM moves between "
			 "vendors",
			 who, have->vendor, want->vendor);
		return -ENOTSUP;
	}
	say(&s, "%s ", who);
	if (!baseline)
		check_family(&s, want, have);
	check_width(&s, want, have, baseline);
	check_xsave(&s, want, have);
	check_features(&s, want, have, strlen(remedy));
	if (!s.reasons) {
		why[0] = '\0';
		return 0;
	}
	say(&s, "%s", remedy);
	return -ENOTSUP;
}
