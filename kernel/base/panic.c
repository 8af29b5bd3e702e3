/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end: one report on the console, then every CPU halts.
 *
 * Only one CPU reports; the others are stopped by NMI first. The report is
 * written without locks and without the log, so that it gets out whatever is
 * broken. symbolize() finds the function in the table that the second link put
 * into the image (tern/ksyms.h).
 */
#include <stdio.h>
#include <string.h>

#include <tern/arch.h>
#include <tern/ksyms.h>
#include <tern/log.h>
#include <tern/percpu.h>
#include <tern/timer.h>
#include <tern/world.h>

#define FRAMES_MAX 24

void symbolize(uint64_t addr, char *buf, size_t len)
{
	uint64_t off = addr - (uint64_t)__text_start;
	const struct ksym *low = __ksyms_start, *high = __ksyms_end;

	if (addr < (uint64_t)__text_start || addr >= (uint64_t)__text_end || low == high ||
	    off < low->addr_off) {
		(void)snprintf(buf, len, "?");
		return;
	}
	while (high - low > 1) {
		const struct ksym *mid = low + (high - low) / 2;

		if (mid->addr_off <= off)
			low = mid;
		else
			high = mid;
	}
	(void)snprintf(buf, len, "%.48s+%#llx", __ksyms_names + low->name_off,
		       (unsigned long long)(off - low->addr_off));
}

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		console_write(line, MIN((size_t)n, sizeof(line) - 1));
}

static void say_backtrace(void)
{
	uint64_t addrs[FRAMES_MAX];
	unsigned n = arch_backtrace(addrs, FRAMES_MAX);
	char name[64];

	say("backtrace:\n");
	for (unsigned i = 0; i < n; i++) {
		symbolize(addrs[i], name, sizeof(name));
		say("  %016llx %s\n", (unsigned long long)addrs[i], name);
	}
}

void panic(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	(void)irq_save();
	if (!arch_panic_begin())
		arch_halt();
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("\npanic: %s\ncpu %u, world %s, %llu ms after boot\n", text, cpu_self(),
	    world_name(world_self()), (unsigned long long)(time_ns() / NSEC_PER_MSEC));
	arch_dump_regs();
	say_backtrace();
	say("tern: halted\n");
	arch_halt();
}
