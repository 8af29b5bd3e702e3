/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PVH kernel as anybody may have put it on the volume. What is taken lies inside
 * the file, is loaded between 1 MiB and 4 GiB, and is entered where it was loaded.
 */
// SOURCES: kernel/vdev/pvh.c kernel/lib/elf.c kernel/lib/elf_note.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/pvh.h"

static void check(const struct pvh *p, size_t size)
{
	bool inside = false;

	for (unsigned i = 0; i < p->parts; i++) {
		const struct pvh_part *q = &p->part[i];

		if (q->from > size || q->len > size - q->from || q->len > q->mem_len)
			abort();
		if (q->to < 0x100000 || q->to + q->mem_len > 1ull << 32)
			abort();
		if (q->to < p->start || q->to + q->mem_len > p->end)
			abort();
		inside = inside || (p->entry >= q->to && p->entry - q->to < q->mem_len);
	}
	if (!inside)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1); /* a heap block of the very size, under ASan */
	struct pvh p;
	char why[96] = "";

	memcpy(file, data, size);
	if (!pvh_parse(file, size, &p, why, sizeof(why)))
		check(&p, size);
	else if (strncmp(why, "kernel: ", 8))
		abort();
	free(file);
	return 0;
}
