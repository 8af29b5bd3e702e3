/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file table: an array of blocks, each a file, a file's further runs, or free.
 * A name is found by a walk over those that were ever used.
 */
#include <errno.h>
#include <string.h>

#include "kernel/store/ds_int.h"

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* No empty parts, none that begins with a dot. */
bool ds_name_ok(const char *name)
{
	char before = '/';
	size_t n = 0;

	for (; name[n]; before = name[n++]) {
		if (n + 1 >= DS_FILE_NAME || (name[n] != '/' && !name_char(name[n])))
			return false;
		if (before == '/' && (name[n] == '/' || name[n] == '.'))
			return false;
	}
	return n && before != '/';
}

static bool inode_ok(const struct ds_inode *n)
{
	return memchr(n->name, 0, sizeof(n->name)) && n->nr_runs <= DS_FILE_RUNS &&
	       n->kind >= DS_KIND_PLAIN && n->kind <= DS_KIND_DELTA && n->id && n->id < DS_ID_END;
}

bool ds_root_ok(const struct datastore *ds, const struct ds_root *root)
{
	return root->table_high <= ds->super.table_blocks && root->next_id &&
	       root->next_id <= DS_ID_END;
}

static const struct ds_root *root_of(struct datastore *ds, int *err)
{
	const struct ds_root *root = ds_get(ds, ds->super.root_block, DS_MAGIC_ROOT, err);

	if (root && !ds_root_ok(ds, root)) {
		*err = -EBADMSG;
		return NULL;
	}
	return root;
}

/* The block at index, whatever it is; NULL and *err, 0 when it is no file. */
const struct ds_inode *ds_inode_at(struct datastore *ds, uint32_t index, int *err)
{
	uint64_t block = ds_index_block(ds, index);
	const struct ds_head *h = ds_get_any(ds, block, err);

	if (!h || h->magic != DS_MAGIC_FILE)
		return NULL;
	if (!inode_ok((const struct ds_inode *)h)) {
		*err = -EBADMSG;
		return NULL;
	}
	return (const struct ds_inode *)h;
}

uint32_t ds_table_high(struct datastore *ds, int *err)
{
	const struct ds_root *root = root_of(ds, err);

	return root ? root->table_high : 0;
}

static const struct ds_inode *search(struct datastore *ds, const char *name, uint64_t id,
				     uint32_t *index, int *err)
{
	uint32_t high = ds_table_high(ds, err);

	for (uint32_t i = 0; i < high && !*err; i++) {
		const struct ds_inode *n = ds_inode_at(ds, i, err);

		if (*err == -EBADMSG)
			*err = 0; /* one damaged file does not hide the others */
		if (n && (name ? !strcmp(n->name, name) : n->id == id)) {
			*index = i;
			return n;
		}
	}
	if (!*err)
		*err = -ENOENT;
	return NULL;
}

const struct ds_inode *ds_lookup(struct datastore *ds, const char *name, uint32_t *index, int *err)
{
	return search(ds, name, 0, index, err);
}

const struct ds_inode *ds_lookup_id(struct datastore *ds, uint64_t id, uint32_t *index, int *err)
{
	return search(ds, NULL, id, index, err);
}

unsigned ds_children(struct datastore *ds, uint64_t id, uint32_t *index, int *err)
{
	uint32_t high = ds_table_high(ds, err);
	unsigned count = 0;

	for (uint32_t i = 0; i < high && !*err; i++) {
		const struct ds_inode *n = ds_inode_at(ds, i, err);

		if (*err == -EBADMSG)
			*err = 0;
		if (n && n->parent == id) {
			*index = i;
			count++;
		}
	}
	return count;
}

int ds_index_take(struct datastore *ds, uint32_t *index)
{
	struct ds_root *root;
	uint32_t high;
	int err;

	high = ds_table_high(ds, &err);
	for (uint32_t i = 0; i < high && !err; i++) {
		const struct ds_head *h = ds_get_any(ds, ds_index_block(ds, i), &err);

		if (err == -EBADMSG)
			err = 0;
		if (h && h->magic == DS_MAGIC_FREE) {
			*index = i;
			return 0;
		}
	}
	if (err)
		return err;
	if (high == ds->super.table_blocks)
		return -ENFILE;
	root = ds_edit(ds, ds->super.root_block, DS_MAGIC_ROOT, &err);
	if (!root)
		return err;
	*index = root->table_high++;
	return 0;
}

int ds_index_give(struct datastore *ds, uint32_t index)
{
	int err;

	(void)ds_edit_new(ds, ds_index_block(ds, index), DS_MAGIC_FREE, &err);
	return err;
}
