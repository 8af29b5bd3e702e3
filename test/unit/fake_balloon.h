/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a balloon asks of guest memory, beside fake_vdev.h: frames that are given back are
 * noted, and cleared where there is memory.
 */
#ifndef TEST_UNIT_FAKE_BALLOON_H
#define TEST_UNIT_FAKE_BALLOON_H

#include <tern/pageset.h>

#define FAKE_PAGES ((256u << 20) >> PAGE_SHIFT) /* of fake_vm */

extern bool fake_given[FAKE_PAGES];
extern uint64_t fake_lent, fake_spare; /* bytes */

#endif
