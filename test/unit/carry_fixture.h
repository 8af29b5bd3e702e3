/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of homes that go to another datastore share: the VM g, off and at home on "old"
 * with a kernel and a disk that has a snapshot, beside a file that is not its own; its move to
 * "new", as Storage vMotion does it; and what is there then.
 */
#ifndef TEST_CARRY_FIXTURE_H
#define TEST_CARRY_FIXTURE_H

#include "kernel/home/home_int.h"
#include "test/unit/fake_home.h"
#include "test/unit/two_stores.h"

#define CARRY_DISK_BYTES (1u << 20)

extern char why[256];

int carry_begin(void **state);
int carry_end(void **state);

/* Is the move to go on? What user points at says so. */
int carry_asked(void *user);
int carry_copy_disk(void);
/* Up to the switch. Also after an error the caller ends it. */
int carry_prepare(struct home_carry **c);
struct home_carry *carry_prepared(void);
/* All of it. After an error nothing is left of it, and who starts the VM elsewhere is refused. */
int carry_move(void);
/* This host has the lease of the description that has the name on "old". */
bool carry_holds_what_counts(void);

/* The description on that datastore; -ENOENT, -ESTALE: it does not count. */
int carry_load(unsigned i, struct vm_desc *d);
/* It counts there, and all that it names is there and right. */
bool carry_whole(unsigned i);
/* What home_boot does with what it finds. */
void carry_boot(void);

#endif
