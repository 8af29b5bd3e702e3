/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside descriptions: the table of keys, and what their readers share. */
#ifndef KERNEL_HOME_DESC_H
#define KERNEL_HOME_DESC_H

#include <tern/home.h>

/* Where a reader says what is wrong. */
struct desc_why {
	char *text;
	size_t room;
};
/* Fills why, "KEY VALUE: TEXT"; -EINVAL. */
int desc_refuse(const struct desc_why *why, const char *key, const char *value, const char *fmt,
		...) PRINTF_LIKE(4, 5);

#define DESC_SEVERAL 1u /* may stand more than once */
#define DESC_OPTION 2u	/* `vm create` has it */
#define DESC_FLAG 4u	/* there without a value, which would be "yes" */

struct desc_key {
	const char *name;
	unsigned flags; /* DESC_* */
	/* 0, or -EINVAL with why filled. */
	int (*set)(struct vm_desc *d, const struct desc_key *k, const char *value,
		   const struct desc_why *why);
	/* The value number index as text; false when there is none, or it is the default. */
	bool (*get)(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		    size_t room);
	unsigned arg; /* for set and get */
};
extern const struct desc_key desc_keys[];
extern const unsigned desc_nr_keys;
const struct desc_key *desc_find(const char *name);

/* value, with its NUL, to room bytes. -EINVAL: it is longer. */
MUST_CHECK int desc_copy(const struct desc_key *k, const char *value, char *to, size_t room,
			 const struct desc_why *why);
/* A path: "./FILE" is FILE in the VM's home. */
MUST_CHECK int desc_path_in(const struct vm_desc *d, const char *key, const char *value, char *to,
			    size_t room, const struct desc_why *why);
void desc_path_out(const struct vm_desc *d, const char *path, char *text, size_t room);
/* Cuts "FIRST,WORD,WORD" at its commas: the first word; *rest is the next, or NULL. */
char *desc_word(char *text, char **rest);

/* desc_devs.c */
int desc_disk_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		  const struct desc_why *why);
bool desc_disk_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		   size_t room);
int desc_net_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		 const struct desc_why *why);
bool desc_net_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		  size_t room);

/* desc_moves.c: arg 0 is moves-to, 1 moved-from. */
int desc_store_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		   const struct desc_why *why);
bool desc_store_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		    size_t room);
int desc_moving_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		    const struct desc_why *why);
bool desc_moving_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		     size_t room);

#endif
