/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two datastores, "old" and "new", each on a disk in memory, as host "a" has mounted them; and
 * what is on them when their host crashes at some write of either, or when a disk fails.
 *
 * stores_begin and stores_end around each test; between them any is mounted and unmounted at will.
 * Whenever one is unmounted its metadata must agree.
 */
#ifndef TEST_TWO_STORES_H
#define TEST_TWO_STORES_H

#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"

#define STORE_BYTES (12u << 20)

extern const char *const store[2]; /* their names */
extern struct fake_disk disk[2];
extern struct datastore *ds[2]; /* NULL: not mounted */

int stores_begin(void **state); /* both empty, and mounted */
int stores_end(void **state);

void store_mount(unsigned i);
void store_unmount(unsigned i);
void stores_mount(void); /* both */
void stores_unmount(void);

/* A file of that name that is whole. */
bool store_has(unsigned i, const char *name);
unsigned store_count(unsigned i); /* files, whole or not */
/* A file full of `fill`. */
void store_make(unsigned i, const char *name, enum ds_kind kind, uint64_t size, uint8_t fill);
MUST_CHECK int store_make_unfinished(unsigned i, const char *name, enum ds_kind kind, uint64_t size,
				     uint8_t fill);

/* What is on them, which are not mounted: noted, and put back as often as one likes. */
void stores_keep(void);
void stores_put_back(void);

/* Zeros that a process and those that it forks have in common. */
void *stores_shared(size_t bytes);
/*
 * move() in processes of their own, which mount both and crash at the first write of any disk, at
 * the second, and so on, until one does not write so often. After each crash both are mounted for
 * look(), and are then as before.
 */
void stores_crash(int (*move)(void), void (*look)(void));

/*
 * A disk's requests go to another function from now on, which passes on what it likes. NULL: all
 * are the disk's again.
 */
void store_meddle(unsigned i, const struct blk_ops *ops);
void store_submit(struct blkdev *dev, struct blk_req *r); /* as the disk itself */
bool store_is_write(const struct blk_req *r);
/* Is it the one before which so many writes went? Once. */
void stores_strike_after(unsigned writes);
bool stores_strike(const struct blk_req *r);
bool stores_struck(void); /* it came */

#endif
