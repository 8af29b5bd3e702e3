/* SPDX-License-Identifier: BSD-2-Clause */
/* Spans of bytes (spans.h). */
#include <errno.h>
#include <string.h>

#include "spans.h"

/* The first that ends at or behind this byte. */
static unsigned first_at(const struct spans *s, uint64_t byte)
{
	unsigned i = 0;

	while (i < s->nr && s->at[i].to < byte)
		i++;
	return i;
}

int spans_add(struct spans *s, uint64_t from, uint64_t to)
{
	unsigned first = first_at(s, from), behind = first;

	if (from >= to)
		return 0;
	for (; behind < s->nr && s->at[behind].from <= to; behind++) {
		from = MIN(from, s->at[behind].from);
		to = MAX(to, s->at[behind].to);
	}
	if (first == behind && s->nr == SPANS_MAX)
		return -E2BIG;
	memmove(&s->at[first + 1], &s->at[behind], (s->nr - behind) * sizeof(s->at[0]));
	s->nr = s->nr + 1 - (behind - first);
	s->at[first].from = from;
	s->at[first].to = to;
	return 0;
}

bool spans_have(const struct spans *s, uint64_t from, uint64_t to)
{
	unsigned i = first_at(s, to);

	return from >= to || (i < s->nr && s->at[i].from <= from);
}
