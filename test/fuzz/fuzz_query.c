/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host's answer to QUERY as a hostile peer would write it. What is taken can be
 * shown, intersected with this host's model, and written as text that parses.
 */
// SOURCES: mig/query_rec.c kernel/vm/cpuid.c kernel/vm/cpuid_bits.c kernel/vm/cpu_model.c
// SOURCES: kernel/vm/cpu_common.c kernel/vm/cpu_check.c kernel/vm/cpu_text.c
// SOURCES: kernel/vm/cpuid_rec.c kernel/lib/rec.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vm/cpuid.h"
#include "mig/query.h"

static void printable(const char *text, size_t len)
{
	if (!memchr(text, 0, len))
		abort();
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct cpu_model mine = { 0 };
	struct mig_host h;
	char text[CPU_TEXT_MAX], why[160];

	memcpy(copy, data, size);
	if (!query_read(copy, size, &h)) {
		printable(h.name, sizeof(h.name));
		memcpy(mine.vendor, h.cpu.vendor, sizeof(mine.vendor));
		memset(mine.word, 0xff, sizeof(mine.word));
		mine.xcr0 = XCR0_KNOWN;
		if (cpu_model_check(&h.cpu, &mine, false, "it", why, sizeof(why)))
			printable(why, sizeof(why));
		if (cpu_model_common(&mine, &h.cpu, why, sizeof(why)))
			abort();
		cpu_model_text(&mine, text, sizeof(text));
		printable(text, sizeof(text));
	}
	free(copy);
	return 0;
}
