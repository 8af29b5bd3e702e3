/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The allocation map: one bit an extent. A search goes on where the last one ended,
 * so that files grow in long runs; in a transaction, as all changes of metadata.
 */
#include <errno.h>

#include "kernel/store/ds_int.h"

static bool is_used(const struct ds_map *m, uint32_t bit)
{
	return m->bits[bit / 8] >> (bit % 8) & 1;
}

static uint32_t bits_in(const struct datastore *ds, uint32_t map)
{
	uint64_t left = ds->super.nr_extents - (uint64_t)map * DS_MAP_EXTENTS;

	return (uint32_t)MIN(left, DS_MAP_EXTENTS);
}

/* The first run of free extents at or behind *bit; 0 when there is none, else its length. */
static uint32_t find_free(const struct ds_map *m, uint32_t *bit, uint32_t end, uint32_t want)
{
	uint32_t n = 0;

	while (*bit < end && is_used(m, *bit))
		*bit += *bit % 8 == 0 && m->bits[*bit / 8] == 0xff ? 8 : 1;
	while (n < want && *bit + n < end && !is_used(m, *bit + n))
		n++;
	return *bit < end ? n : 0;
}

static int mark(struct datastore *ds, uint32_t first, uint32_t count, bool used)
{
	uint32_t map = first / DS_MAP_EXTENTS;
	struct ds_root *root;
	struct ds_map *m;
	int err;

	root = ds_edit(ds, ds->super.root_block, DS_MAGIC_ROOT, &err);
	m = err ? NULL : ds_edit(ds, ds->super.map_block + map, DS_MAGIC_MAP, &err);
	if (!m)
		return err;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t bit = first % DS_MAP_EXTENTS + i;

		if (is_used(m, bit) == used)
			return -EBADMSG; /* a file has what is free, or is given what is not */
		m->bits[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	if (used && root->free_extents < count)
		return -EBADMSG;
	root->free_extents += used ? -(uint64_t)count : count;
	return 0;
}

/* In map block `map` from bit on; got is 0 when nothing is free there. */
static int take_in(struct datastore *ds, uint32_t map, uint32_t bit, uint32_t want, uint32_t *first,
		   uint32_t *got)
{
	const struct ds_map *m;
	int err;

	m = ds_get(ds, ds->super.map_block + map, DS_MAGIC_MAP, &err);
	if (!m)
		return err;
	*got = find_free(m, &bit, bits_in(ds, map), want);
	if (!*got)
		return 0;
	*first = map * DS_MAP_EXTENTS + bit;
	if (*first < ds->super.first_extent)
		return -EBADMSG;
	return mark(ds, *first, *got, true);
}

int ds_extents_take(struct datastore *ds, uint32_t want, uint32_t *first, uint32_t *got)
{
	uint32_t start = ds->rotor < ds->super.nr_extents ? ds->rotor : 0;
	uint32_t map = start / DS_MAP_EXTENTS, bit = start % DS_MAP_EXTENTS;

	/* The map where the search begins comes again at the end, from its first bit. */
	for (uint32_t i = 0; i <= ds->super.map_blocks; i++) {
		int err = take_in(ds, map, bit, want, first, got);

		if (err)
			return err;
		if (*got) {
			ds->rotor = *first + *got;
			return 0;
		}
		map = (map + 1) % ds->super.map_blocks;
		bit = 0;
	}
	return -ENOSPC;
}

int ds_extents_give(struct datastore *ds, uint32_t first, uint32_t count)
{
	if (first < ds->super.first_extent || first >= ds->super.nr_extents ||
	    count > ds->super.nr_extents - first)
		return -EBADMSG;
	while (count) {
		uint32_t here = MIN(count, DS_MAP_EXTENTS - first % DS_MAP_EXTENTS);
		int err = mark(ds, first, here, false);

		if (err)
			return err;
		first += here;
		count -= here;
	}
	return 0;
}
