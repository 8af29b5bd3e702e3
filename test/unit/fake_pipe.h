/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection between two threads of a test: the stream face (tern/stream.h) on two bounded
 * queues of bytes, and pages with counted references, on the host's threads
 * (tools/terndisk/host.c).
 */
#ifndef TEST_UNIT_FAKE_PIPE_H
#define TEST_UNIT_FAKE_PIPE_H

#include <tern/page.h>
#include <tern/stream.h>

/* Both ends of a new connection; each is closed by stream_close. */
void fake_pipe(struct stream **a, struct stream **b);
/* Nothing more goes through in either direction; what is under way is lost. */
void fake_pipe_cut(struct stream *s);
extern uint32_t fake_pipe_pages; /* [atom] blocks of pages that are not free */

#endif
