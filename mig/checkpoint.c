/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checkpoints (checkpoint.h). Completeness is checked against the skeleton's own
 * records: each record that this host's freshly made VM would save, and that is
 * not optional, must come exactly once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/vdev.h>

#include "checkpoint.h"

void checkpoint_save(struct vm *vm, struct rec_writer *w)
{
	vm_cpu_save(vm, w);
	vdevs_save(vm, w);
}

static bool is_cpu_record(uint16_t type)
{
	return type == REC_CPUID || type == REC_VCPU || type == REC_XSAVE || type == REC_TIME ||
	       type == REC_HYPERV;
}

/* How often a record of this type and instance is in the stream. */
static unsigned occurrences(const void *buf, size_t len, const struct rec_header *h)
{
	struct rec_reader r;
	unsigned n = 0;

	rec_reader_init(&r, buf, len);
	while (rec_next(&r) == 1)
		n += r.head.type == h->type && r.head.instance == h->instance;
	return n;
}

static int check_complete(struct vm *vm, const void *buf, size_t len, char *why, size_t why_len)
{
	struct rec_writer own;
	struct rec_reader r;
	int err;

	rec_writer_init(&own);
	checkpoint_save(vm, &own);
	err = rec_finish(&own);
	rec_reader_init(&r, own.buf, own.len);
	while (!err && rec_next(&r) == 1) {
		if (r.head.flags & REC_OPTIONAL || occurrences(buf, len, &r.head) == 1)
			continue;
		snprintf(why, why_len, "record type %u instance %u is missing or comes twice",
			 (unsigned)r.head.type, (unsigned)r.head.instance);
		err = -EBADMSG;
	}
	rec_writer_fini(&own);
	return err;
}

int checkpoint_check(struct vm *vm, const void *buf, size_t len, char *why, size_t why_len)
{
	struct rec_reader r;
	int err;

	why[0] = '\0';
	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		err = is_cpu_record(r.head.type) ? vm_cpu_check(vm, &r, why, why_len)
						 : vdevs_check(vm, &r);
		if (err == -ENOENT && r.head.flags & REC_OPTIONAL)
			continue;
		if (err) {
			if (!why[0])
				snprintf(why, why_len, "record type %u instance %u is refused (%d)",
					 (unsigned)r.head.type, (unsigned)r.head.instance, err);
			return -EBADMSG;
		}
	}
	if (err)
		return err;
	return check_complete(vm, buf, len, why, why_len);
}

int checkpoint_load(struct vm *vm, const void *buf, size_t len, int64_t clock_delta_ns)
{
	struct rec_reader r;
	int err;

	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		err = is_cpu_record(r.head.type) ? vm_cpu_load(vm, &r, clock_delta_ns)
						 : vdevs_load(vm, &r);
		if (err && !(err == -ENOENT && r.head.flags & REC_OPTIONAL))
			return err;
	}
	return err;
}
