/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a CPU baseline as anybody may have written it into tern.conf. What
 * is taken can be given to a guest: only bits that guests may have, and the text
 * of it is taken again and means the same.
 */
// SOURCES: kernel/vm/cpuid.c kernel/vm/cpuid_bits.c kernel/vm/cpu_model.c kernel/vm/cpu_common.c
// SOURCES: kernel/vm/cpu_check.c kernel/vm/cpu_text.c kernel/vm/cpuid_rec.c kernel/lib/rec.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vm/cpuid.h"

#define HIDDEN (1u << BIT_HIDE | 1u << BIT_FILL)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), again[CPU_TEXT_MAX], why[64];
	struct cpu_model m, back;

	memcpy(text, data, size);
	text[size] = 0;
	if (!cpu_model_parse(text, &m, why, sizeof(why))) {
		for (unsigned i = 0; i < CPU_WORDS; i++)
			if (m.word[i] & cpuid_word_bits(i, HIDDEN))
				abort();
		if ((m.xcr0 & ~XCR0_KNOWN) || cpu_model_check(&m, &m, true, "it", why, sizeof(why)))
			abort();
		cpu_model_text(&m, again, sizeof(again));
		if (cpu_model_parse(again, &back, why, sizeof(why)) || memcmp(&m, &back, sizeof(m)))
			abort();
	} else if (strncmp(why, "CPU baseline: ", 14)) {
		abort();
	}
	free(text);
	return 0;
}
