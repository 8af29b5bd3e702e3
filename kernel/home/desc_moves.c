/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What descriptions say of moves that are not over (docs/ownership.md), each NAME,ID: of a home
 * that changes its datastore the other one and its identity; of a VM that moves between hosts the
 * other one's address and the move's id. Without ID that is not said.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lib/name.h"

#include "desc.h"

#define ID_BYTES 16u
#define VALUE_MAX (VM_MOVING_MAX + 2 * ID_BYTES + 2)

_Static_assert(sizeof(((struct vm_desc *)0)->moves_to_id) == ID_BYTES &&
		       sizeof(((struct home_mark *)0)->id) == ID_BYTES,
	       "identities in descriptions");
_Static_assert(VM_NAME_MAX <= VM_MOVING_MAX, "a datastore's name fits a value's memory");

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_id(const char *text, uint8_t id[ID_BYTES])
{
	if (strlen(text) != (size_t)2 * ID_BYTES)
		return false;
	for (unsigned i = 0; i < ID_BYTES; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* Cuts a copy of value into its name and the ID, if it has one. */
static bool take(const char *value, char copy[VALUE_MAX], uint8_t id[ID_BYTES])
{
	char *rest;

	if (strlen(value) >= VALUE_MAX)
		return false;
	snprintf(copy, VALUE_MAX, "%s", value);
	desc_word(copy, &rest);
	return !rest || read_id(rest, id);
}

static bool put(const char *name, const uint8_t id[ID_BYTES], char *text, size_t room)
{
	int n = snprintf(text, room, "%s,", name);

	for (unsigned i = 0; i < ID_BYTES; i++)
		n += snprintf(text + n, room - (size_t)n, "%02x", id[i]);
	return *name;
}

int desc_store_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		   const struct desc_why *why)
{
	char name[VALUE_MAX];

	if (!take(value, name, k->arg ? d->moved_from_id : d->moves_to_id) ||
	    !name_is_ok(name, sizeof(d->moves_to)))
		return desc_refuse(why, k->name, value, "it is no datastore's name");
	return desc_copy(k, name, k->arg ? d->moved_from : d->moves_to, sizeof(d->moves_to), why);
}

bool desc_store_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		    size_t room)
{
	(void)index;
	return put(k->arg ? d->moved_from : d->moves_to, k->arg ? d->moved_from_id : d->moves_to_id,
		   text, room);
}

/* An address, or a host's name. */
int desc_moving_set(struct vm_desc *d, const struct desc_key *k, const char *value,
		    const struct desc_why *why)
{
	char host[VALUE_MAX];

	if (!take(value, host, d->moving.id) || !host[0] ||
	    host[strspn(host, "0123456789abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ.:-_%")])
		return desc_refuse(why, k->name, value, "it is no host");
	return desc_copy(k, host, d->moving.host, sizeof(d->moving.host), why);
}

bool desc_moving_get(const struct vm_desc *d, const struct desc_key *k, unsigned index, char *text,
		     size_t room)
{
	(void)k, (void)index;
	return put(d->moving.host, d->moving.id, text, room);
}
