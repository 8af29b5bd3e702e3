/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runs of a file: from its chain of blocks into one sorted array in memory, and
 * back. What the disk says is checked before it is used: a run never points outside of the
 * extents that files may have.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/store/ds_int.h"

void ds_runs_fini(struct ds_runs *r)
{
	free(r->run);
	*r = (struct ds_runs){ .run = NULL };
}

static int room_for(struct ds_runs *r, uint32_t nr)
{
	uint32_t cap = r->cap ? r->cap : 8;
	struct ds_run *p;

	if (nr <= r->cap)
		return 0;
	while (cap < nr)
		cap *= 2;
	p = realloc(r->run, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	r->run = p;
	r->cap = cap;
	return 0;
}

/* ---- from disk ---- */

static bool run_ok(const struct datastore *ds, const struct ds_runs *r, const struct ds_run *n)
{
	const struct ds_run *last = r->nr ? &r->run[r->nr - 1] : NULL;

	bool inside = n->physical >= ds->super.first_extent &&
		      n->physical < ds->super.nr_extents - 1 &&
		      n->count <= ds->super.nr_extents - 1 - n->physical;

	return n->count && (inside || n->physical == DS_ZEROS) &&
	       n->count <= DS_NONE - n->logical &&
	       (!last || n->logical >= last->logical + last->count);
}

static int append(const struct datastore *ds, struct ds_runs *out, const struct ds_run *from,
		  uint32_t nr)
{
	int err = room_for(out, out->nr + nr);

	for (uint32_t i = 0; i < nr && !err; i++) {
		if (!run_ok(ds, out, &from[i]))
			return -EBADMSG;
		out->run[out->nr++] = from[i];
	}
	return err;
}

static const struct ds_more *more_at(struct datastore *ds, uint32_t index, uint64_t id, int *err)
{
	const struct ds_more *m;

	*err = -EBADMSG;
	if (index >= ds->super.table_blocks)
		return NULL;
	m = ds_get(ds, ds_index_block(ds, index), DS_MAGIC_RUNS, err);
	if (m && (m->id != id || m->nr_runs > DS_MORE_RUNS)) {
		*err = -EBADMSG;
		return NULL;
	}
	return m;
}

/* A chain is not longer than what a record takes, so one that bites its tail ends. */
int ds_runs_load(struct datastore *ds, const struct ds_inode *n, struct ds_runs *out)
{
	uint64_t id = n->id;
	uint32_t next = n->next, blocks = 0;
	int err;

	*out = (struct ds_runs){ .run = NULL };
	err = append(ds, out, n->run, n->nr_runs);
	while (!err && next != DS_NONE) {
		const struct ds_more *m = more_at(ds, next, id, &err);

		if (m && ++blocks >= DS_MAX_LOG_BLOCKS)
			err = -EBADMSG;
		if (!err)
			err = append(ds, out, m->run, m->nr_runs);
		next = err ? DS_NONE : m->next;
	}
	if (err)
		ds_runs_fini(out);
	return err;
}

/* ---- to disk ---- */

/* Fills the block at *index, taking one when there is none, and says where the next stands. */
static struct ds_more *next_block(struct datastore *ds, uint32_t *index, uint64_t id, int *err)
{
	struct ds_more *m = NULL;
	uint32_t behind = DS_NONE;

	if (*index == DS_NONE) {
		*err = ds_index_take(ds, index);
	} else {
		const struct ds_more *old = more_at(ds, *index, id, err);

		behind = old ? old->next : DS_NONE;
	}
	if (!*err)
		m = ds_edit_new(ds, ds_index_block(ds, *index), DS_MAGIC_RUNS, err);
	if (!m)
		return NULL;
	m->id = id;
	m->next = behind;
	return m;
}

/* The blocks from index on are not needed. */
static int cut_chain(struct datastore *ds, uint32_t index, uint64_t id)
{
	int err = 0;

	while (index != DS_NONE && !err) {
		const struct ds_more *m = more_at(ds, index, id, &err);
		uint32_t next = m ? m->next : DS_NONE;

		if (!err)
			err = ds_index_give(ds, index);
		index = next;
	}
	return err;
}

int ds_runs_store(struct datastore *ds, uint32_t index, const struct ds_runs *r)
{
	uint32_t done = MIN(r->nr, DS_FILE_RUNS), *link;
	struct ds_inode *n;
	uint64_t id;
	int err;

	n = ds_edit(ds, ds_index_block(ds, index), DS_MAGIC_FILE, &err);
	if (!n)
		return err;
	id = n->id;
	memset(n->run, 0, sizeof(n->run));
	if (done)
		memcpy(n->run, r->run, done * sizeof(*r->run));
	n->nr_runs = done;
	for (link = &n->next; done < r->nr;) {
		struct ds_more *m = next_block(ds, link, id, &err);

		if (!m)
			return err == -ENOBUFS ? -EFBIG : err;
		m->nr_runs = MIN(r->nr - done, DS_MORE_RUNS);
		memcpy(m->run, r->run + done, m->nr_runs * sizeof(*r->run));
		done += m->nr_runs;
		link = &m->next;
	}
	index = *link;
	*link = DS_NONE;
	return cut_chain(ds, index, id);
}

/* ---- in memory ---- */

/* Index of the first run that ends behind logical. */
static uint32_t position(const struct ds_runs *r, uint32_t logical)
{
	uint32_t low = 0, high = r->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (r->run[mid].logical + r->run[mid].count <= logical)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool ds_runs_find(const struct ds_runs *r, uint32_t logical, uint32_t *physical, uint32_t *count)
{
	uint32_t i = position(r, logical);
	const struct ds_run *run = i < r->nr ? &r->run[i] : NULL;

	if (!run || run->logical > logical) {
		*count = (run ? run->logical : DS_NONE) - logical;
		return false;
	}
	*physical = run->physical ? run->physical + (logical - run->logical) : DS_ZEROS;
	*count = run->count - (logical - run->logical);
	return true;
}

static bool joins(const struct ds_run *a, uint32_t logical, uint32_t physical)
{
	if (a->logical + a->count != logical)
		return false;
	return a->physical ? a->physical + a->count == physical : physical == DS_ZEROS;
}

int ds_runs_add(struct ds_runs *r, uint32_t logical, uint32_t physical, uint32_t count)
{
	uint32_t i = position(r, logical);
	struct ds_run *before = i ? &r->run[i - 1] : NULL;
	int err;

	if (before && joins(before, logical, physical)) {
		before->count += count;
		if (i < r->nr && joins(before, r->run[i].logical, r->run[i].physical)) {
			before->count += r->run[i].count;
			memmove(&r->run[i], &r->run[i + 1], (--r->nr - i) * sizeof(*r->run));
		}
		return 0;
	}
	err = room_for(r, r->nr + 1);
	if (err)
		return err;
	memmove(&r->run[i + 1], &r->run[i], (r->nr++ - i) * sizeof(*r->run));
	r->run[i] = (struct ds_run){ .logical = logical, .physical = physical, .count = count };
	return 0;
}

int ds_runs_cut_out(struct ds_runs *r, uint32_t logical, uint32_t count)
{
	uint32_t i = position(r, logical);
	struct ds_run rest = r->run[i], *run;
	int err = room_for(r, r->nr + 1);

	if (err)
		return err;
	run = &r->run[i];
	run->count = logical - run->logical;
	rest.count -= run->count + count;
	rest.physical += rest.physical ? run->count + count : 0;
	rest.logical = logical + count;
	if (run->count && rest.count) {
		memmove(run + 2, run + 1, (r->nr++ - i - 1) * sizeof(*run));
		run[1] = rest;
	} else if (rest.count) {
		*run = rest;
	} else if (!run->count) {
		memmove(run, run + 1, (--r->nr - i) * sizeof(*run));
	}
	return 0;
}

uint64_t ds_runs_extents(const struct ds_runs *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->nr; i++)
		n += r->run[i].physical ? r->run[i].count : 0;
	return n;
}
