/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that moves: a guest that writes, discards, zeroes and flushes at random, requests upon
 * requests, through the mirror of two disks that end them in any order, and the copy beside it. All
 * by a seed.
 *
 * move_begin or move_begin_with, change what is to be otherwise, copy; move_switch, assert_same;
 * move_end.
 */
#ifndef TEST_FAKE_MOVE_H
#define TEST_FAKE_MOVE_H

#include "mig/bulk.h"
#include "test/unit/mem_disk.h"

#define BLOCK 512u
#define BLOCKS 64u
#define GUESTS 12u /* requests at a time */
#define MOST 6u	   /* blocks in one */

struct guest_req {
	struct blk_req r;
	struct blk_seg seg[2];
	uint8_t buf[MOST * BLOCK];
	bool busy, scribbled;
};

struct fake_guest {
	struct guest_req req[GUESTS];
	unsigned left;		/* requests that it still makes */
	unsigned errors;	/* it was told of */
	uint8_t expect[BLOCKS]; /* what each block is full of */
	bool unknown[BLOCKS];	/* discarded, or written from a buffer that changed */
	bool differ[BLOCKS];	/* discarded */
	bool scribbles, discards, quiet;
	uint8_t next;
};

extern struct mem_disk source, target;
extern struct cbt cbt;
extern struct mirror *m;
extern struct bulk bulk;
extern struct fake_guest guest;

unsigned chance(unsigned n); /* below n */

void move_begin(uint64_t seed, enum mirror_mode mode);
/* plain: the target knows no zeroes and discards; small: its requests are half as large. */
void move_begin_with(uint64_t seed, enum mirror_mode mode, bool plain, bool small);
void move_end(void);
/* The guest asks for nothing more; what it asked for ends. */
void move_stun(void);
/* Rounds, and a last one while the guest stands still. */
void move_switch(void);
/* The disks are, but where the guest discarded, and are what it expects. */
void assert_same(void);

/* One request of the guest's, which the caller has filled in but for its end. */
void guest_submit(struct guest_req *g);
/* What its blocks are then. */
void guest_expects(const struct blk_req *r, uint8_t fill);

#endif
