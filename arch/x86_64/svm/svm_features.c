/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: from feature bits to what is used, by one table: what is required and
 * what is taken where present. "virt.without = next-rip" in tern.conf leaves
 * wanted features out, for tests of what other CPUs need.
 * [APM3 E.4.9 "Function 8000_000Ah: SVM Features"]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "svm.h"

static const struct {
	uint8_t bit; /* of EDX */
	const char *name;
	bool *used; /* NULL: required */
} features[] = {
	{ 0, "nested paging", NULL },
	{ 3, "next-rip", &svm_feat.next_rip },
	{ 4, "tsc-ratio", &svm_feat.tsc_rate },
	{ 6, "flush-by-asid", &svm_feat.flush_by_asid },
	{ 7, "decode", &svm_feat.decode_assist },
	{ 10, "pause-filter", &svm_feat.pause_filter },
	{ 12, "pause-threshold", &svm_feat.pause_threshold },
};

int svm_refuse(char *why, size_t len, const char *format, const char *what)
{
	(void)snprintf(why, len, format, what);
	return -ENOTSUP;
}

int svm_find_features(uint32_t edx, char *why, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
		bool have = edx >> features[i].bit & 1;

		if (features[i].used)
			*features[i].used = have && !guest_left_out(features[i].name);
		else if (!have)
			return svm_refuse(why, len, "AMD-V without %s", features[i].name);
	}
	return 0;
}

void svm_describe(struct virt_caps *caps)
{
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		if (features[i].used && *features[i].used)
			guest_add_word(caps->features, sizeof(caps->features), features[i].name);
	if (caps->slat->has_1g)
		guest_add_word(caps->features, sizeof(caps->features), "1g");
}
