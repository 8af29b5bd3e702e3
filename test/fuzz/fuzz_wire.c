/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration stream as a hostile peer would write it: heads, bodies, records.
 * // SOURCES: mig/wire.c kernel/lib/rec.c
 */
#include <stdlib.h>
#include <string.h>

#include <tern/rec.h>

#include "mig/wire.h"

#define MAX_GFN (1u << 18)

/* Accepted batches name only frames inside memory, and as many as their payload has. */
static void batch(const uint8_t *body, size_t len, uint32_t payload)
{
	const struct wire_pages *p = (const void *)body;
	const wire_run *run = (const void *)(p + 1);
	uint64_t raw = 0;

	if (wire_pages_check(body, len, payload, MAX_GFN))
		return;
	for (uint32_t i = 0; i < p->raw_runs + p->zero_runs; i++) {
		if (wire_run_first(run[i]) + wire_run_count(run[i]) > MAX_GFN)
			abort();
		raw += i < p->raw_runs ? wire_run_count(run[i]) : 0;
	}
	if (raw * PAGE_SIZE != payload || raw > WIRE_BATCH_MAX)
		abort();
}

static void records(const uint8_t *body, size_t len)
{
	struct rec_reader r;
	char text[64];

	rec_reader_init(&r, body, len);
	while (rec_next(&r) == 1) {
		rec_get_str(&r, text, sizeof(text));
		(void)rec_get_u64(&r);
		if (!rec_done(&r) && r.bad)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_head h;
	uint8_t *body;
	size_t len;

	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	len = size - sizeof(h);
	if (!wire_head_check(&h, true) && h.length > wire_body_max())
		abort();
	(void)wire_head_check(&h, false);
	body = malloc(len ? len : 1);
	memcpy(body, data + sizeof(h), len);
	batch(body, len, h.payload);
	(void)wire_remain_check(body, len, MAX_GFN);
	records(body, len);
	if (len == sizeof(struct wire_text))
		(void)wire_text_check((const void *)body);
	if (len == sizeof(struct wire_hello))
		(void)wire_hello_check((const void *)body);
	free(body);
	return 0;
}
