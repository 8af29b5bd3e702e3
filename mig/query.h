/* SPDX-License-Identifier: BSD-2-Clause */
/* A host's answer to QUERY: its records (query_rec.c) and who asks and answers (query.c). */
#ifndef MIG_QUERY_H
#define MIG_QUERY_H

#include <tern/mig.h>
#include <tern/rec.h>

#include "peer.h"

struct query {
	struct mig_host *out;
	char *code;
	size_t code_len;
	char *why;
	size_t why_len;
};

/* REC_HOST and REC_CPUID. */
void query_save(const struct mig_host *h, struct rec_writer *w);
/* 0, or -EBADMSG. */
MUST_CHECK int query_read(const void *buf, size_t len, struct mig_host *out);
/* Tells a peer that asked. */
MUST_CHECK int query_answer(struct peer *p);

#endif
