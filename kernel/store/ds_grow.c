/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What requests of open files leave to a world: writes that waited for the fence
 * (ds_fence.c), extents for writes to holes, and those that are given back (ds_free.c). They wait
 * here for the datastore's grower, a world, because giving an extent is a transaction, which sleeps
 * on the disk. Where the extent before is there already the file seems to be written in a row, and
 * gets some more at once. Nobody sees an extent before it is zeroed, or written whole: which the
 * writer of an unfinished file may promise (ds_file_promise), and then it gets many and they are
 * not zeroed.
 */
#include <errno.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

#define ROW_EXTENTS 4u
#define PROMISED_EXTENTS 1024u
#define MEMORY_NS (10 * NSEC_PER_SEC) /* that requests wait for memory, all of them together */
#define MEMORY_FORGET_NS MEMORY_NS    /* after that: then it is waited for anew */
#define MEMORY_AGAIN_NS (20 * NSEC_PER_MSEC)

void ds_grow_queue(struct ds_op *op)
{
	struct datastore *ds = op->file->ds;
	unsigned long flags = spin_lock(&ds->lock);

	op->next = NULL;
	if (ds->grow_first)
		ds->grow_last->next = op;
	else
		ds->grow_first = op;
	ds->grow_last = op;
	spin_unlock(&ds->lock, flags);
	event_signal(&ds->grow);
}

static struct ds_op *take(struct datastore *ds)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct ds_op *op = ds->grow_first;

	if (op)
		ds->grow_first = op->next;
	spin_unlock(&ds->lock, flags);
	return op;
}

/* How many extents from `logical` on are given, of `hole` that are missing. */
static uint32_t how_many(const struct ds_file *f, const struct ds_op *op, const struct ds_runs *r,
			 uint32_t logical, uint32_t hole)
{
	uint64_t end = (op->parent->block + op->parent->blocks) * f->blk.geo.block_bytes;
	uint32_t want = (uint32_t)((end + DS_EXTENT - 1) / DS_EXTENT) - logical;
	uint32_t last = (uint32_t)((f->size + DS_EXTENT - 1) / DS_EXTENT), physical, count;
	if (!f->below && logical && ds_runs_find(r, logical - 1, &physical, &count) && physical)
		want = MAX(want, ROW_EXTENTS);
	return MIN(MIN(want, hole), last - logical);
}

/* How many extents from `logical` on the file's writer will have written whole. */
static uint32_t promised(struct ds_file *f, const struct ds_inode *n, uint32_t logical)
{
	unsigned long flags = spin_lock(&f->lock);
	bool in = logical >= f->promise_from && logical < f->promise_to;
	uint64_t left = in ? f->promise_to - logical : 0;

	spin_unlock(&f->lock, flags);
	in = n->flags & DS_FILE_UNFINISHED && n->kind == DS_KIND_THIN;
	return in ? (uint32_t)MIN(left, PROMISED_EXTENTS) : 0;
}

static uint32_t extent_of(const struct ds_op *op)
{
	uint64_t from = op->parent->block * op->file->blk.geo.block_bytes + op->at;

	return (uint32_t)(from / DS_EXTENT);
}

/* Several that are under way find the same hole; the first of them fills it. */
static bool is_filled(struct ds_op *op)
{
	struct ds_file *f = op->file;
	unsigned long flags = spin_lock(&f->lock);
	uint32_t physical, count;
	bool found = !op->frees && !f->unsure &&
		     ds_runs_find(&f->runs, extent_of(op), &physical, &count);

	spin_unlock(&f->lock, flags);
	return found && physical;
}

static int fill(struct ds_op *op, struct ds_runs *r)
{
	struct ds_file *f = op->file;
	uint32_t logical = extent_of(op), physical, count, filled, whole;
	const struct ds_inode *n;
	int err;

	n = ds_inode_at(f->ds, f->index, &err);
	if (!n || n->id != f->id || n->generation != f->generation)
		return err ? err : -EIO;
	err = ds_runs_load(f->ds, n, r);
	if (err || (ds_runs_find(r, logical, &physical, &count) && physical))
		return err; /* a write before this one filled it */
	whole = promised(f, n, logical);
	if (whole)
		return ds_fill_hole(f->ds, f->index, r, logical, MIN(whole, count), NULL, &filled);
	return ds_fill_hole(f->ds, f->index, r, logical, how_many(f, op, r, logical, count), f,
			    &filled);
}

static int grow(struct ds_op *op)
{
	struct ds_file *f = op->file;
	struct ds_runs fresh = { .run = NULL }, old;
	unsigned long flags;
	int err = ds_begin(f->ds);

	if (err)
		return err;
	err = fill(op, &fresh);
	if (err)
		ds_abort(f->ds);
	else
		err = ds_commit(f->ds);
	if (!err) {
		flags = spin_lock(&f->lock);
		old = f->runs;
		f->runs = fresh;
		spin_unlock(&f->lock, flags);
		fresh = old;
	}
	ds_runs_fini(&fresh);
	return err;
}

static int serve(struct ds_op *op)
{
	return op->frees ? ds_free(op) : grow(op);
}

/*
 * The first that finds no memory begins a spell; it lasts until one finds some, or for as long as
 * it is remembered: there may have been plenty meanwhile, and nobody who asked.
 */
static bool memory_is_over(struct ds_op *op)
{
	struct datastore *ds = op->file->ds;
	uint64_t now_ns = time_ns(), until_ns = ds->memory_until_ns;

	if (!until_ns || now_ns >= until_ns + MEMORY_FORGET_NS) {
		ds->memory_until_ns = now_ns + MEMORY_NS;
		log_warn("store", "%s: no memory: requests of %s wait for it", ds->super.name,
			 op->file->name);
	}
	return now_ns >= ds->memory_until_ns;
}

/* What was held while the fence was shut, if it is open again. */
static void after_fence(struct datastore *ds)
{
	ds_revalidate(ds);
	ds_held_go(ds);
}

/*
 * A transaction takes memory, and want of it mostly passes: a guest that has its write failed for
 * it may give its file system up. All that wait here wait behind the first, so they have one time
 * together; when it is over each has one try for a while, or until one finds memory, whatever else
 * becomes of it. Nor does what needs no memory wait for it.
 */
static int serve_patiently(struct ds_op *op)
{
	struct datastore *ds = op->file->ds;
	int err = serve(op);

	while (err == -ENOMEM && !memory_is_over(op)) {
		world_sleep_ns(MEMORY_AGAIN_NS);
		after_fence(ds);
		err = serve(op);
	}
	if (err != -ENOMEM)
		ds->memory_until_ns = 0;
	return err;
}

void ds_grow_run(struct datastore *ds)
{
	struct ds_op *op;

	after_fence(ds);
	while ((op = take(ds))) {
		int err = is_filled(op) ? 0 : serve_patiently(op);

		op->frees = false;
		if (err == -ESTALE)
			ds_hold(op);
		else if (err)
			ds_io_end(op, err);
		else
			ds_io_go_on(op);
	}
}

static void grow_world(void *arg)
{
	struct datastore *ds = arg;

	while (!__atomic_load_n(&ds->stopping, __ATOMIC_ACQUIRE)) {
		(void)event_wait(&ds->grow, NEVER_NS);
		ds_grow_run(ds);
	}
}

int ds_grow_start(struct datastore *ds)
{
	static const struct world_opts opts = { .name = "ds grow",
						.prio = WORLD_NORMAL,
						.cpu = -1 };

	event_init(&ds->grow, "ds grow");
	return world_create(&ds->grower, &opts, grow_world, ds);
}

void ds_grow_stop(struct datastore *ds)
{
	__atomic_store_n(&ds->stopping, true, __ATOMIC_RELEASE);
	event_signal(&ds->grow);
	world_join(ds->grower);
}
