/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check: all metadata against one another, and what mends it. Files are the
 * truth: the map and the counters are made to agree with them; a block of the table that
 * is damaged is lost, and a file whose runs are damaged loses them. Nobody else has the
 * datastore meanwhile when it repairs, so it writes without transactions; broken off, it is run
 * again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/store/ds_int.h"

struct checker {
	struct datastore *ds;
	struct ds_check *c;
	uint8_t *used; /* a bit for each extent, as files say */
	uint8_t *seen; /* a byte for each table block: a chain has it */
	char (*names)[DS_FILE_NAME];
	uint32_t nr_names;
	uint64_t last_id;
	bool rooted; /* the root says how much of the table was ever used */
	int err;     /* of the device; the check ends */
};

PRINTF_LIKE(2, 3) static void found(struct checker *k, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->c->found++;
	if (k->c->say)
		k->c->say(k->c, text);
}

static void mend(struct checker *k, void *block, enum ds_magic magic, uint64_t at, size_t bytes)
{
	if (!k->c->repair || k->err)
		return;
	k->err = ds_put_block(k->ds, block, magic, at, bytes);
	if (!k->err)
		k->c->mended++;
}

/* ---- superblocks ---- */

static void check_super_at(struct checker *k, uint64_t at, const char *which, uint8_t *b)
{
	int err = ds_read_blocks(k->ds, at, 1, b);

	if (!err && ds_sealed(k->ds, b, DS_MAGIC_SUPER, at, DS_SECTOR) &&
	    !memcmp(b + sizeof(struct ds_head), (uint8_t *)&k->ds->super + sizeof(struct ds_head),
		    DS_SECTOR - sizeof(struct ds_head)))
		return;
	found(k, "%s is damaged", which);
	memset(b, 0, DS_BLOCK);
	memcpy(b, &k->ds->super, DS_SECTOR);
	mend(k, b, DS_MAGIC_SUPER, at, DS_SECTOR);
}

static void check_supers(struct checker *k, uint8_t *b)
{
	check_super_at(k, DS_SUPER_BLOCK, "the superblock", b);
	check_super_at(k, k->ds->super.nr_extents * DS_BLOCKS_PER_EXTENT - 1,
		       "the superblock's copy", b);
}

static void check_slots(struct checker *k, uint8_t *b)
{
	for (uint32_t i = 0; i < k->ds->super.nr_slots && !k->err; i++) {
		uint64_t at = k->ds->super.slot_block + i;

		k->err = ds_read_blocks(k->ds, at, 1, b);
		if (k->err || ds_sealed(k->ds, b, DS_MAGIC_SLOT, at, DS_SECTOR))
			continue;
		found(k, "slot %u is damaged", i);
		memset(b, 0, DS_BLOCK);
		mend(k, b, DS_MAGIC_SLOT, at, DS_SECTOR);
	}
}

/* ---- files ---- */

/* True when nobody had it. */
static bool use_extent(struct checker *k, uint32_t extent)
{
	uint8_t bit = (uint8_t)(1u << (extent % 8));
	bool fresh = !(k->used[extent / 8] & bit);

	k->used[extent / 8] |= bit;
	return fresh;
}

static void use_runs(struct checker *k, const struct ds_inode *n, const struct ds_runs *r)
{
	uint32_t doubles = 0;

	for (uint32_t i = 0; i < r->nr; i++)
		for (uint32_t e = 0; r->run[i].physical && e < r->run[i].count; e++)
			doubles += !use_extent(k, r->run[i].physical + e);
	if (doubles)
		found(k, "%s shares %u extents with other files: remove one of them", n->name,
		      doubles);
	if (r->nr && ((uint64_t)r->run[r->nr - 1].logical + r->run[r->nr - 1].count) >
			     (n->size + DS_EXTENT - 1) / DS_EXTENT)
		found(k, "%s has extents behind its end", n->name);
}

static void mark_chain(struct checker *k, const struct ds_inode *n)
{
	uint32_t next = n->next, steps = 0;

	while (next < k->ds->super.table_blocks && steps++ < DS_MAX_LOG_BLOCKS) {
		const struct ds_more *m;
		int err;

		m = ds_get(k->ds, ds_index_block(k->ds, next), DS_MAGIC_RUNS, &err);
		if (!m || m->id != n->id)
			return;
		k->seen[next] = 1;
		next = m->next;
	}
}

static void drop_runs(struct checker *k, const struct ds_inode *n, uint32_t index, uint8_t *b)
{
	struct ds_inode *fixed = (struct ds_inode *)b;

	found(k, "%s: its runs are damaged, its contents are lost", n->name);
	memcpy(b, n, DS_BLOCK);
	memset(fixed->run, 0, sizeof(fixed->run));
	fixed->nr_runs = 0;
	fixed->next = DS_NONE;
	mend(k, b, DS_MAGIC_FILE, ds_index_block(k->ds, index), DS_BLOCK);
}

/* Whether the chain below it ends, too. */
static bool has_parent(struct checker *k, const struct ds_inode *n)
{
	for (unsigned depth = 0; n && n->parent; depth++) {
		uint32_t index;
		int err;

		if (depth == DS_DEPTH_MAX)
			return false;
		n = ds_lookup_id(k->ds, n->parent, &index, &err);
	}
	return n;
}

static void check_file(struct checker *k, const struct ds_inode *n, uint32_t index, uint8_t *b)
{
	struct ds_runs r;
	int err = ds_runs_load(k->ds, n, &r);

	if (n->parent && !has_parent(k, n))
		found(k, "%s: what its holes show is gone", n->name);
	if (!ds_name_ok(n->name))
		found(k, "the file at %u has a name that is none", index);
	memcpy(k->names[k->nr_names++], n->name, DS_FILE_NAME);
	k->last_id = MAX(k->last_id, n->id);
	if (err == -EBADMSG) {
		drop_runs(k, n, index, b);
	} else if (err) {
		k->err = err;
	} else {
		mark_chain(k, n);
		use_runs(k, n, &r);
		ds_runs_fini(&r);
	}
}

static void free_block(struct checker *k, uint32_t index, uint8_t *b)
{
	memset(b, 0, DS_BLOCK);
	mend(k, b, DS_MAGIC_FREE, ds_index_block(k->ds, index), DS_BLOCK);
}

static void check_table(struct checker *k, uint32_t high, uint8_t *b)
{
	for (uint32_t i = 0; i < high && !k->err; i++) {
		const struct ds_inode *n;
		int err;

		n = ds_inode_at(k->ds, i, &err);
		if (n)
			check_file(k, n, i, b);
		else if (err == -EBADMSG) {
			if (k->rooted)
				found(k, "table block %u is damaged", i);
			free_block(k, i, b);
		} else {
			k->err = err;
		}
	}
	for (uint32_t i = 0; i < high && !k->err; i++) {
		const struct ds_head *h;
		int err;

		h = ds_get_any(k->ds, ds_index_block(k->ds, i), &err);
		if (h && h->magic != DS_MAGIC_FILE && h->magic != DS_MAGIC_FREE && !k->seen[i]) {
			found(k, "table block %u belongs to no file", i);
			free_block(k, i, b);
		}
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void check_names(struct checker *k)
{
	qsort(k->names, k->nr_names, sizeof(*k->names), by_name);
	for (uint32_t i = 1; i < k->nr_names; i++)
		if (!strcmp(k->names[i - 1], k->names[i]))
			found(k, "two files have the name %s", k->names[i]);
}

/* ---- map and counters ---- */

static void use_system(struct checker *k)
{
	for (uint32_t i = 0; i < k->ds->super.first_extent; i++)
		(void)use_extent(k, i);
	(void)use_extent(k, (uint32_t)(k->ds->super.nr_extents - 1));
}

static unsigned bits_of(uint8_t v)
{
	return (unsigned)__builtin_popcount(v);
}

static void check_map(struct checker *k, uint32_t map, uint8_t *b)
{
	uint64_t at = k->ds->super.map_block + map, first = (uint64_t)map * DS_MAP_EXTENTS;
	uint32_t bytes = (uint32_t)MIN(DS_MAP_BYTES, (k->ds->super.nr_extents - first + 7) / 8);
	const uint8_t *right = k->used + first / 8;
	unsigned lost = 0, open = 0;
	const struct ds_map *m;
	int err;

	m = ds_get(k->ds, at, DS_MAGIC_MAP, &err);
	if (err && err != -EBADMSG) {
		k->err = err;
		return;
	}
	for (uint32_t i = 0; m && i < bytes; i++) {
		lost += bits_of(m->bits[i] & (uint8_t)~right[i]);
		open += bits_of(right[i] & (uint8_t)~m->bits[i]);
	}
	if (m && !lost && !open)
		return;
	if (!m)
		found(k, "map block %u is damaged", map);
	if (open)
		found(k, "map block %u: %u extents of files are marked as free", map, open);
	if (lost)
		found(k, "map block %u: %u extents belong to no file", map, lost);
	memset(b, 0, DS_BLOCK);
	((struct ds_map *)b)->first = first;
	memcpy(((struct ds_map *)b)->bits, right, bytes);
	mend(k, b, DS_MAGIC_MAP, at, DS_BLOCK);
}

static uint64_t count_free(const struct checker *k)
{
	uint64_t n = k->ds->super.nr_extents;

	for (uint64_t i = 0; i < k->ds->super.nr_extents; i += 8)
		n -= bits_of(k->used[i / 8]);
	return n;
}

static void check_root(struct checker *k, const struct ds_root *root, uint8_t *b)
{
	struct ds_root right = { .free_extents = count_free(k),
				 .next_id = k->last_id + 1,
				 .table_high = k->ds->super.table_blocks };

	if (root && root->free_extents != right.free_extents)
		found(k, "%llu extents are counted as free, %llu are",
		      (unsigned long long)root->free_extents,
		      (unsigned long long)right.free_extents);
	if (root && root->next_id <= k->last_id)
		found(k, "the next file's identity is taken");
	if (root && root->free_extents == right.free_extents && root->next_id > k->last_id)
		return;
	if (root) {
		right.table_high = root->table_high;
		right.next_id = MAX(right.next_id, root->next_id);
	} else {
		found(k, "the root is damaged");
	}
	memcpy(b, &right, sizeof(right));
	mend(k, b, DS_MAGIC_ROOT, k->ds->super.root_block, DS_BLOCK);
}

/* ---- all of it ---- */

static void check_all(struct checker *k, uint8_t *b)
{
	const struct ds_super *s = &k->ds->super;
	const struct ds_root *root;
	uint32_t high;
	int err;

	check_supers(k, b);
	check_slots(k, b);
	use_system(k);
	root = ds_get(k->ds, s->root_block, DS_MAGIC_ROOT, &err);
	if (root && !ds_root_ok(k->ds, root))
		root = NULL;
	k->rooted = root;
	high = root ? root->table_high : s->table_blocks;
	check_table(k, high, b);
	check_names(k);
	for (uint32_t i = 0; i < s->map_blocks && !k->err; i++)
		check_map(k, i, b);
	if (!k->err)
		check_root(k, root, b);
}

static int check_open(struct checker *k)
{
	struct datastore *ds = k->ds;
	int err = ds_super_read(ds);

	if (!err)
		err = ds_setup(ds);
	if (err)
		return err;
	k->used = calloc(1, ds->super.nr_extents / 8 + 1);
	k->seen = calloc(1, ds->super.table_blocks);
	k->names = calloc(ds->super.table_blocks, sizeof(*k->names));
	if (!k->used || !k->seen || !k->names)
		return -ENOMEM;
	ds->fence_ns = NEVER_NS;
	err = k->c->repair ? ds_nobody_beats(ds) : 0;
	if (err)
		return err;
	return k->c->repair ? ds_log_recover(ds, true) : ds_log_overlay(ds);
}

/* Its records are in place: whoever applied them once more would undo what was mended. */
static void empty_log(struct checker *k, uint8_t *b)
{
	const struct ds_super *s = &k->ds->super;

	for (unsigned i = 0; i < 2 && !k->err; i++) {
		memset(b, 0, DS_BLOCK);
		k->err = ds_put_block(k->ds, b, DS_MAGIC_LOG,
				      s->log_block + (uint64_t)i * s->log_blocks, DS_BLOCK);
	}
}

int ds_check(struct blkdev *dev, struct ds_check *c)
{
	struct checker k = { .ds = calloc(1, sizeof(*k.ds)), .c = c };
	uint8_t *b = ds_block_alloc(1);

	c->found = c->mended = 0;
	if (!k.ds || !b) {
		free(k.ds);
		free(b);
		return -ENOMEM;
	}
	k.ds->dev = dev;
	k.ds->mode = c->repair ? DS_MOUNT_WRITE : DS_MOUNT_READ;
	k.err = check_open(&k);
	if (!k.err)
		check_all(&k, b);
	if (!k.err && c->mended) {
		empty_log(&k, b);
		if (!k.err)
			k.err = ds_flush(k.ds);
	}
	free(k.used);
	free(k.seen);
	free(k.names);
	free(b);
	ds_teardown(k.ds);
	return k.err;
}
