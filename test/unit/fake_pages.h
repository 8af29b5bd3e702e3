/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What guest memory stands on, for its tests: a page allocator whose 2 MiB blocks
 * can be made to run out and whose frames hold garbage when handed out, a flush
 * that only notes, a CPU that walks the tables and stores.
 */
#ifndef TEST_UNIT_FAKE_PAGES_H
#define TEST_UNIT_FAKE_PAGES_H

#include <tern/gmem.h>

extern const struct slat_format fake_npt;
extern uint64_t fake_pages_out;	       /* allocated, of 4 KiB */
extern bool fake_no_large;	       /* no blocks of 2 MiB */
extern uint64_t fake_host_free;	       /* bytes, as page_stats tells them */
extern const char *fake_dirty_setting; /* of tern.conf */
extern struct pageset *const *fake_cpu_log;
extern uint64_t fake_flushed; /* generation */

/* The guest stores, by nested page fault where there is no leaf. */
void fake_guest_store(struct gmem *g, uint64_t gpa, uint8_t v);

#endif
