/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of datastores share: a disk in memory with a datastore on it that host
 * "a" has mounted, files with contents that say where they belong, a second host, and
 * disks as power cuts leave them.
 */
#ifndef TEST_DS_FIXTURE_H
#define TEST_DS_FIXTURE_H

#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"

#define DISK_BYTES (24u << 20)

extern struct fake_disk disk;
extern struct datastore *ds; /* as host a has it */
extern const struct ds_host host_a, host_b;
extern const struct ds_format_options options;

/* Before and after each test; after it the metadata must agree. */
int dsf_fresh(void **state);
int dsf_end(void **state);
#define test(f) cmocka_unit_test_setup_teardown(f, dsf_fresh, dsf_end)

void dsf_unmount(void);
void dsf_again(void);		   /* unmounts and mounts */
unsigned dsf_findings(void);	   /* of the check */
struct datastore *dsf_other(void); /* as host b has it: ds_detach */

/* Bytes that depend on seed and place. */
void dsf_fill(uint8_t *buf, size_t bytes, uint64_t seed);
/* The file is opened for it; at and bytes are multiples of 512. */
int dsf_write(const char *name, uint64_t at, size_t bytes, uint64_t seed);
bool dsf_has(const char *name, uint64_t at, size_t bytes, uint64_t seed); /* seed 0: zeros */
uint64_t dsf_free_bytes(void);
uint64_t dsf_backed(const char *name); /* MiB */

uint8_t *dsf_copy_of(const uint8_t *image); /* free() */
/*
 * Of what was recorded since start: every prefix, cut at every sector; or so many samples, with
 * all up to the last flush and some writes, or sectors of them, of what came after. Each is
 * checked, mounted, held against agrees() with ds as it is there, and checked again.
 */
void dsf_check_prefixes(const uint8_t *start, bool (*agrees)(void));
void dsf_check_reordered(const uint8_t *start, bool (*agrees)(void), unsigned samples);
/*
 * The same, of what came after each flush: for each write all but this one, and this one alone. So
 * no order among writes that has no flush between them goes unseen.
 */
void dsf_check_directed(const uint8_t *start, bool (*agrees)(void));

#endif
