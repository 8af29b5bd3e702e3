/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A multiboot 1 payload as whoever fills the boot volume may have written it.
 * What is accepted lies within the file, below 4 GiB, and has its entry in it.
 * // SOURCES: kernel/vdev/multiboot.c kernel/lib/elf.c
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/multiboot.h"

#define BELOW BIT(32)

static void check(const struct multiboot *m, size_t size)
{
	bool entered = false;

	if (!m->parts || m->parts > MULTIBOOT_PARTS_MAX || m->end > BELOW)
		abort();
	for (unsigned i = 0; i < m->parts; i++) {
		const struct multiboot_part *p = &m->part[i];

		if (p->from > size || p->len > size - p->from || p->mem_len < p->len ||
		    p->to >= BELOW || p->mem_len > BELOW - p->to || p->to + p->mem_len > m->end)
			abort();
		entered |= m->entry >= p->to && m->entry - p->to < p->mem_len;
	}
	if (!entered)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct multiboot m;
	uint8_t *file = malloc(size ? size : 1);
	char why[64];

	if (!file)
		return 0;
	memcpy(file, data, size);
	if (!multiboot_parse(file, size, &m, why, sizeof(why)))
		check(&m, size);
	else if (!memchr(why, 0, sizeof(why)) || !why[0])
		abort();
	free(file);
	return 0;
}
