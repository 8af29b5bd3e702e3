/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of HOST (query.h). Pure code; test/fuzz/fuzz_query.c feeds it. */
#include <errno.h>
#include <string.h>

#include "query.h"

#define HOST_VERSION 1

void query_save(const struct mig_host *h, struct rec_writer *w)
{
	rec_begin(w, REC_HOST, HOST_VERSION, 0, 0);
	rec_str(w, h->name);
	rec_u64(w, h->free_bytes);
	rec_u32(w, h->tsc_khz);
	rec_u32(w, 0);
	rec_end(w);
	cpu_model_save(&h->cpu, w);
}

static int host_read(struct rec_reader *r, struct mig_host *out)
{
	if (r->head.version != HOST_VERSION)
		return -EBADMSG;
	rec_get_str(r, out->name, sizeof(out->name));
	out->free_bytes = rec_get_u64(r);
	out->tsc_khz = rec_get_u32(r);
	if (rec_get_u32(r))
		return -EBADMSG;
	for (const char *p = out->name; *p; p++)
		if (*p < ' ' || *p > '~') /* it is shown on the console */
			return -EBADMSG;
	return rec_done(r);
}

int query_read(const void *buf, size_t len, struct mig_host *out)
{
	bool host = false, cpu = false;
	struct rec_reader r;
	int err;

	memset(out, 0, sizeof(*out));
	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		if (r.head.type == REC_HOST && !host) {
			err = host_read(&r, out);
			host = true;
		} else if (r.head.type == REC_CPUID && !cpu) {
			err = cpu_model_load(&r, &out->cpu);
			cpu = true;
		} else {
			err = r.head.flags & REC_OPTIONAL ? 0 : -EBADMSG;
		}
		if (err)
			return err;
	}
	return err || !host || !cpu ? -EBADMSG : 0;
}
