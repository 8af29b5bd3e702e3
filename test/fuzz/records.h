/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer's input as records: u8 type, u8 instance, u16 length, body; a length beyond
 * the end means all that is left. What type and instance stand for is the fuzzer's.
 */
#ifndef TEST_FUZZ_RECORDS_H
#define TEST_FUZZ_RECORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RECORD_HEAD 4u

struct record {
	uint8_t type, instance;
	uint16_t len;
	const uint8_t *body;
};

static inline void records_each(const uint8_t *data, size_t size,
				void (*fn)(void *arg, const struct record *r), void *arg)
{
	while (size >= RECORD_HEAD) {
		struct record r = { .type = data[0], .instance = data[1] };

		memcpy(&r.len, data + 2, 2);
		data += RECORD_HEAD;
		size -= RECORD_HEAD;
		if (r.len > size)
			r.len = (uint16_t)size;
		r.body = data;
		fn(arg, &r);
		data += r.len;
		size -= r.len;
	}
}

#endif
