/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How incoming migrations ended, by their ids, for a source that asks after its job
 * has been forgotten (job.h): history_init once, history_add at a job's end,
 * history_find for a SETTLE.
 */
#ifndef MIG_HISTORY_H
#define MIG_HISTORY_H

#include "wire.h"

#define HISTORY_MAX 1024u

void history_init(void);
/* v->verdict and v->started_ns under v->id. */
void history_add(const struct wire_verdict *v);
/* Fills verdict and started_ns for v->id; false when nothing is known of it. */
bool history_find(struct wire_verdict *v);

#endif
