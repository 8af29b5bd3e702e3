/* SPDX-License-Identifier: BSD-2-Clause */
/* REC_CPUID: a CPUID table as a record. The body is in docs/wire.md. */
#include <errno.h>
#include <string.h>

#include "cpuid.h"

#define REC_VERSION 1u

void cpuid_table_save(const struct cpuid_table *t, struct rec_writer *w)
{
	rec_begin(w, REC_CPUID, REC_VERSION, 0, 0);
	rec_u32(w, t->count);
	rec_u32(w, 0);
	for (uint32_t i = 0; i < t->count; i++) {
		rec_u32(w, t->e[i].leaf);
		rec_u32(w, t->e[i].sub);
		rec_u32(w, t->e[i].r.eax);
		rec_u32(w, t->e[i].r.ebx);
		rec_u32(w, t->e[i].r.ecx);
		rec_u32(w, t->e[i].r.edx);
	}
	rec_end(w);
}

int cpuid_table_parse(struct rec_reader *r, struct cpuid_table *t)
{
	memset(t, 0, sizeof(*t));
	if (r->head.version != REC_VERSION)
		return -EBADMSG;
	t->count = rec_get_u32(r);
	if (rec_get_u32(r) || t->count > CPUID_ENTRIES_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < t->count; i++) {
		t->e[i].leaf = rec_get_u32(r);
		t->e[i].sub = rec_get_u32(r);
		t->e[i].r.eax = rec_get_u32(r);
		t->e[i].r.ebx = rec_get_u32(r);
		t->e[i].r.ecx = rec_get_u32(r);
		t->e[i].r.edx = rec_get_u32(r);
	}
	return rec_done(r);
}
