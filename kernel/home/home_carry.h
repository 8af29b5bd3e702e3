/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of a home, or of disks, that change their datastore: home_carry.c is what comes before the
 * VM stands still, home_carry_end.c the switch, and how it ends.
 */
#ifndef KERNEL_HOME_HOME_CARRY_H
#define KERNEL_HOME_HOME_CARRY_H

#include <string.h>

#include "home_int.h"

struct home_carried {
	char from[VM_PATH_MAX];
	const char *name; /* in from: the same on both datastores */
	uint64_t id;	  /* of the old one */
	uint64_t bytes;	  /* the same */
	bool made;	  /* the new one */
};

struct home_carry {
	struct home *h;
	struct home_work *work;			 /* [edit lock] so that its end needs no memory */
	char from[VM_NAME_MAX], to[VM_NAME_MAX]; /* the same: the home stays */
	struct datastore *ds;			 /* to */
	unsigned parts;
	struct home_carried part[HOME_PARTS_MAX];
	char fresh[HOME_NEW_NAME];
	struct ds_file *file; /* the new description, until it is held */
	uint64_t file_id;
	struct ds_file *was; /* the old one, once it is not held any more */
	uint64_t was_id;
	bool marked;
	int doubt; /* what the switch failed with, while nobody knows whether it was done */
};

/* Else the description alone changes. */
static inline bool home_carry_goes(const struct home_carry *c)
{
	return strcmp(c->from, c->to) != 0;
}

void home_carry_free(struct home_carry *c);
/* The old description, which still counts, says where to look, or no more. */
MUST_CHECK int home_carry_mark(struct home_carry *c, const char *to, char *why, size_t why_len);

#endif
