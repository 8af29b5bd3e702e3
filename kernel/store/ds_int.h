/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the datastore's files. From the disk up: ds_block.c (sums), ds_slot.c (slots,
 * heartbeat, fence), ds_lock.c (the cluster lock), ds_log.c (transactions), ds_map.c (extents),
 * ds_table.c and ds_inode.c (files), ds_lease.c, ds_hand.c, ds_file.c and ds_io.c (open files),
 * ds_mount.c.
 *
 * A transaction belongs to one world of one host at a time: ds_begin waits for the host's turn,
 * then for the cluster lock. Only between ds_begin and ds_commit or ds_abort may
 * metadata be read or written.
 */
#ifndef STORE_DS_INT_H
#define STORE_DS_INT_H

#include <tern/lock.h>
#include <tern/store.h>
#include <tern/world.h>

#include "kernel/store/ds_format.h"

#define DS_OP_POOL 64u
#define DS_DEPTH_MAX 32u /* files one below the other */

/* One user at a time, who may sleep on the disk meanwhile (which holders of a mutex may not). */
struct ds_turn {
	struct spinlock guard;
	struct waitq free;
	bool taken; /* [guard] */
};
void ds_turn_init(struct ds_turn *t, const char *name);
void ds_turn_take(struct ds_turn *t);
void ds_turn_end(struct ds_turn *t);

/* What this host has seen of another's slot. */
struct ds_seen {
	uint64_t incarnation, beat;
	uint64_t since_ns; /* end of the first read that found these two */
	uint32_t state;	   /* enum ds_slot_state */
	bool dead;
};

struct datastore {
	struct blkdev *dev;    /* [const] */
	struct ds_super super; /* [const] */
	enum ds_mount_mode mode;
	struct ds_host host; /* [const] */
	uint32_t slot;	     /* [const] ours, DS_NONE for readers */

	struct spinlock lock;
	uint64_t fence_ns;		   /* [lock] writes are handed over before this */
	uint64_t epoch;			   /* [lock] grows when the fence opens after it was shut */
	bool lost;			   /* [lock] another host has our slot */
	struct ds_seen seen[DS_MAX_SLOTS]; /* [lock] */
	struct ds_file *files;		   /* [lock] open ones */

	struct ds_turn slot_turn; /* whoever writes our slot */
	struct ds_slot *mine;	  /* [slot_turn] as it is on disk; a block of memory */
	uint8_t *slot_buf;	  /* [slot_turn] a block */
	uint8_t *slots_beat;	  /* [own] the heartbeat's copy of all slots */

	struct world *beater;
	int beat_error;	   /* [own] of the last heartbeat */
	struct event stop; /* ends the heartbeat */

	struct ds_turn turn; /* the transaction's; guards what follows */
	uint64_t txn_epoch;  /* in which the cluster lock was taken */
	uint8_t *slots;	     /* all slots as last read by the lock */
	uint8_t *zeros;	     /* [const] a block, for devices that write no zeroes by themselves */
	uint8_t *record;     /* the log record being made: descriptor, then blocks */
	uint32_t nr_dirty;   /* blocks in it */
	uint64_t sequence;   /* of the last record known */
	uint8_t **cache;     /* blocks from root_block on, or NULL each */
	uint64_t nr_cache;
	uint32_t rotor; /* where the map is searched next */
	bool failed;	/* a commit broke off: the log is read again first */

	struct world *grower; /* gives extents to holes that are written (ds_grow.c) */
	struct event grow;
	struct ds_op *grow_first, *grow_last; /* [lock] */
	struct ds_op *held;		      /* [lock] writes that wait for the fence to open */
	uint64_t memory_until_ns; /* [own] that the grower waits for memory, 0: it has some */
	bool stopping;		  /* [atom] */
};

/* ---- ds_block.c ---- */
void *ds_block_alloc(unsigned blocks); /* zeroed; free() */
/* Fills the head and sums; bytes is what is checked. */
void ds_seal(const struct datastore *ds, void *block, enum ds_magic magic, uint64_t at,
	     uint64_t sequence, size_t bytes);
bool ds_sealed(const struct datastore *ds, const void *block, enum ds_magic magic, uint64_t at,
	       size_t bytes);
MUST_CHECK int ds_read_blocks(struct datastore *ds, uint64_t at, uint64_t blocks, void *buf);
/* Behind the fence: -ESTALE. */
MUST_CHECK int ds_write_blocks(struct datastore *ds, uint64_t epoch, uint64_t at, uint64_t blocks,
			       void *buf);
MUST_CHECK int ds_flush(struct datastore *ds);
/*
 * True while a write may be handed to the device by who was entitled in that epoch. Whoever's fence
 * was shut may have lost everything meanwhile: the cluster lock, leases. Any context.
 */
bool ds_may_write(struct datastore *ds, uint64_t epoch);
uint64_t ds_epoch(struct datastore *ds);

/* Seals and writes one block outside of a transaction: nobody else has the datastore. */
MUST_CHECK int ds_put_block(struct datastore *ds, void *block, enum ds_magic magic, uint64_t at,
			    size_t bytes);

/* ---- ds_super.c ---- */
MUST_CHECK int ds_super_check(const struct ds_super *s, const struct blk_geometry *g);
MUST_CHECK int ds_super_read(struct datastore *ds);
/* Lays the areas out; -ERANGE too small, -EINVAL. */
MUST_CHECK int ds_super_plan(struct ds_super *s, const struct blk_geometry *g,
			     const struct ds_format_options *o);

/* ---- ds_mount.c ---- */
/* The cache and the buffers for transactions; ds_setup on a zeroed object whose dev is set. */
MUST_CHECK int ds_setup(struct datastore *ds);
void ds_teardown(struct datastore *ds);
/* ds_mount and ds_unmount without the list; no file is open at the end. */
MUST_CHECK int ds_attach(struct blkdev *dev, const struct ds_host *host, enum ds_mount_mode mode,
			 struct datastore **out);
void ds_detach(struct datastore *ds);

/* ---- ds_slot.c ---- */
struct ds_slot *ds_slot_in(uint8_t *slots, uint32_t i);
/* Reads all slots into buf and notes what is seen of each. */
MUST_CHECK int ds_slots_read(struct datastore *ds, uint8_t *buf);
/* Writes our slot after change(mine, arg), which may be NULL; renews the fence. */
MUST_CHECK int ds_slot_write(struct datastore *ds, void (*change)(struct ds_slot *s, void *arg),
			     void *arg);
/* Is the holder alive, as of the last read? */
bool ds_slot_alive(struct datastore *ds, uint32_t slot, uint64_t incarnation);
MUST_CHECK int ds_slot_claim(struct datastore *ds);
void ds_slot_release(struct datastore *ds);
/* Watches for three beats when a slot says that it is in use: -EBUSY when one moves. */
MUST_CHECK int ds_nobody_beats(struct datastore *ds);
/* One heartbeat. */
void ds_beat(struct datastore *ds);
MUST_CHECK int ds_beat_start(struct datastore *ds);
void ds_beat_stop(struct datastore *ds);

/* ---- ds_lock.c ---- */
MUST_CHECK int ds_cluster_lock(struct datastore *ds);
void ds_cluster_unlock(struct datastore *ds);

/* ---- ds_cache.c ---- */
void ds_cache_drop(struct datastore *ds, uint64_t block);
void ds_cache_drop_all(struct datastore *ds);
int ds_cache_take(struct datastore *ds, const uint8_t *record, uint32_t count);

/* ---- ds_log.c ---- */
MUST_CHECK int ds_begin(struct datastore *ds);
MUST_CHECK int ds_commit(struct datastore *ds);
void ds_abort(struct datastore *ds);
/* A block as this transaction sees it; NULL with *err set. Valid until its end. */
const void *ds_get(struct datastore *ds, uint64_t block, enum ds_magic magic, int *err);
/* The same whatever its magic. */
const void *ds_get_any(struct datastore *ds, uint64_t block, int *err);
/* The same to change; -ENOBUFS when the record is full. */
void *ds_edit(struct datastore *ds, uint64_t block, enum ds_magic magic, int *err);
/* A block to fill anew, zeros but for its magic. */
void *ds_edit_new(struct datastore *ds, uint64_t block, enum ds_magic magic, int *err);
/* How many more blocks the record takes. */
unsigned ds_room(const struct datastore *ds);
/* Applies what the log holds; at mount whatever `applied` says. */
MUST_CHECK int ds_log_recover(struct datastore *ds, bool at_mount);
/* The same in the cache alone: for who does not write. */
MUST_CHECK int ds_log_overlay(struct datastore *ds);

/* ---- ds_map.c ---- */
/* Up to want extents in a row; *got of them from *first on. -ENOSPC. */
MUST_CHECK int ds_extents_take(struct datastore *ds, uint32_t want, uint32_t *first, uint32_t *got);
MUST_CHECK int ds_extents_give(struct datastore *ds, uint32_t first, uint32_t count);

/* ---- ds_table.c ---- */
bool ds_name_ok(const char *name);
/* The file's block; NULL with *err set, -ENOENT when there is none. */
const struct ds_inode *ds_lookup(struct datastore *ds, const char *name, uint32_t *index, int *err);
const struct ds_inode *ds_lookup_id(struct datastore *ds, uint64_t id, uint32_t *index, int *err);
/* NULL with *err 0 when the block there is no file. */
const struct ds_inode *ds_inode_at(struct datastore *ds, uint32_t index, int *err);
/* Does it say what a root can say? */
bool ds_root_ok(const struct datastore *ds, const struct ds_root *root);
/* Blocks of the table that were ever used. */
uint32_t ds_table_high(struct datastore *ds, int *err);
/* A block that is free, -ENFILE; the caller fills it in this transaction. */
/* Files whose parent is id; *index of the last one. */
unsigned ds_children(struct datastore *ds, uint64_t id, uint32_t *index, int *err);
MUST_CHECK int ds_index_take(struct datastore *ds, uint32_t *index);
MUST_CHECK int ds_index_give(struct datastore *ds, uint32_t index);
static inline uint64_t ds_index_block(const struct datastore *ds, uint32_t index)
{
	return ds->super.table_block + index;
}

/* ---- ds_inode.c ---- */
struct ds_runs {
	struct ds_run *run;
	uint32_t nr, cap;
};
void ds_runs_fini(struct ds_runs *r);
/* All runs of a file, checked: ascending, inside the datastore, apart. */
MUST_CHECK int ds_runs_load(struct datastore *ds, const struct ds_inode *n, struct ds_runs *out);
/* Writes them, with as many further blocks as they need. */
MUST_CHECK int ds_runs_store(struct datastore *ds, uint32_t index, const struct ds_runs *r);
/* Adds one; joins neighbours. -ENOMEM, -EFBIG. */
MUST_CHECK int ds_runs_add(struct ds_runs *r, uint32_t logical, uint32_t physical, uint32_t count);
/* Takes extents that one run covers out of it: a hole. -ENOMEM, -EFBIG. */
MUST_CHECK int ds_runs_cut_out(struct ds_runs *r, uint32_t logical, uint32_t count);
/*
 * Where a file's extent is: true and how many follow in a row, *physical is DS_ZEROS where zeros
 * hide what is below; false and how long the hole is.
 */
bool ds_runs_find(const struct ds_runs *r, uint32_t logical, uint32_t *physical, uint32_t *count);
uint64_t ds_runs_extents(const struct ds_runs *r);

/* ---- ds_space.c ---- */
MUST_CHECK int ds_zero_blocks(struct datastore *ds, uint64_t epoch, uint64_t at, uint64_t blocks);
MUST_CHECK int ds_zero_extents(struct datastore *ds, uint64_t epoch, uint32_t first,
			       uint32_t count);
/*
 * In a transaction: gives extents to up to count extents of a hole at logical, *filled of
 * them. With f they are zeroed or filled from f's parent before, without the caller does it
 * before they can be read. The runs are changed in memory and in the record.
 */
MUST_CHECK int ds_fill_hole(struct datastore *ds, uint32_t index, struct ds_runs *r,
			    uint32_t logical, uint32_t count, struct ds_file *f, uint32_t *filled);
/*
 * In a transaction: frees what the file has from extent keep on, as much as the record takes.
 * -EAGAIN: some is done; commit and call again.
 */
MUST_CHECK int ds_cut(struct datastore *ds, uint32_t index, struct ds_runs *r, uint32_t keep);

/* Blocks of a record for so many runs, and for extents in a row that are freed, at most. */
uint32_t ds_room_for(uint32_t nr_runs, uint32_t extents);

/* ---- ds_lease.c ---- */
enum ds_lease_state ds_lease_of(struct datastore *ds, const struct ds_inode *n);
/* 0, or -EBUSY when a living host that is not this one has it. */
MUST_CHECK int ds_lease_free(struct datastore *ds, const struct ds_inode *n);
void ds_lease_take(struct datastore *ds, struct ds_inode *n);
void ds_lease_drop(struct ds_inode *n);
void ds_describe(struct datastore *ds, const struct ds_inode *n, const struct ds_runs *r,
		 struct ds_entry *out);

/* ---- ds_make.c, ds_dir.c ---- */
/* In a transaction: a new file's block, without a lease unless it is unfinished. */
struct ds_inode *ds_inode_new(struct datastore *ds, const char *name, enum ds_kind kind,
			      uint64_t size, uint32_t flags, uint32_t *index, int *err);
/* A file that no other host writes, to change in the transaction that is open. */
struct ds_inode *ds_edit_free(struct datastore *ds, const char *name, uint32_t *index, int *err);
/* One that is being edited is nobody's any more: for ds_remove, or the next mount. */
void ds_debris(struct datastore *ds, struct ds_inode *n);
/* The same of this one; NULL: of none. */
MUST_CHECK int ds_edit_gone(struct datastore *ds, const char *name);

/* ---- ds_snap.c ---- */
/* Files from this one down, itself included. */
unsigned ds_depth(struct datastore *ds, const struct ds_inode *n);

/* ---- ds_file.c, ds_open.c, ds_io.c, ds_grow.c ---- */
struct ds_op {
	struct blk_req child; /* the piece at the device */
	struct blk_req *parent;
	struct ds_file *file;
	uint64_t at;	/* bytes of the parent that are done */
	unsigned phase; /* of the piece at the device */
	bool frees;	/* it waits to give extents back, or for what the table says of them */
	bool keeps;	/* it tried, and does not */
	uint32_t nr_segs;
	struct blk_seg *segs; /* the piece's part of the parent's list */
	struct ds_op *next;
};

struct ds_file {
	struct blkdev blk;
	struct datastore *ds;
	struct ds_file *next; /* [ds->lock] */
	unsigned refs;	      /* [ds->lock] its opener's, and of those who change it meanwhile */
	struct ds_turn turn;  /* who changes or closes it; taken before the transaction's */
	bool closed;	      /* [turn] off the list: who waited for the turn lets go */
	bool kept;	      /* [turn] what it stands on stays as it is */
	/* [turn, ds->lock, own while quiesced] the parent, which holes show, or NULL */
	struct ds_file *below;
	char name[DS_FILE_NAME];
	uint64_t id, generation;
	uint32_t index;
	enum ds_open_mode mode;
	uint64_t size;
	struct spinlock lock;
	struct ds_runs runs;		   /* [lock] */
	bool given;			   /* [lock] the lease is another's: writes fail */
	uint64_t promise_from, promise_to; /* [lock] extents that are written whole */
	uint64_t epoch;			   /* [lock] in which its lease was last known to be ours */
	bool frees;	      /* [own while quiesced] extents that are discarded are given back */
	bool unsure;	      /* [lock] giving some back broke off: runs may lack them */
	unsigned phase;	      /* [lock] 0 or 1: another one when runs have gone */
	uint32_t pieces[2];   /* [lock] at the device, by the phase in which they found their run */
	struct waitq drained; /* those of a phase have ended */
	struct ds_op *op_free;			/* [lock] */
	struct blk_req *waiting, *waiting_last; /* [lock] for an op */
	struct ds_op *ops;
	struct blk_seg *segs;
};

bool ds_is_open(struct datastore *ds, uint64_t id);
/* The one that is open for writing here, or NULL. */
struct ds_file *ds_open_writer(struct datastore *ds, uint64_t id);
/* How many have it open here. */
unsigned ds_opens(struct datastore *ds, uint64_t id);
/*
 * The file with this identity that is open for writing here, or the one right above it; with its
 * turn taken, so that it is not closed before ds_writer_release. NULL.
 */
struct ds_file *ds_writer_hold(struct datastore *ds, uint64_t id, bool above);
void ds_writer_release(struct ds_file *f);
struct ds_file *ds_file_new(struct datastore *ds, enum ds_open_mode mode);
void ds_file_free(struct ds_file *f); /* one that was never on the list */
void ds_file_put(struct ds_file *f);
void ds_file_enlist(struct ds_file *f);
void ds_file_forget(struct ds_file *f);
/* Off the list with all below it, which go; f's turn is taken, f is its opener's to release. */
void ds_file_end(struct ds_file *f);
/* In a transaction: the file's block, to change, if the lease is still ours as it was taken. */
struct ds_inode *ds_edit_mine(struct ds_file *f, int *err);
/* Size and runs that requests see from now on; none is in flight. r is taken over. */
void ds_file_show(struct ds_file *f, uint64_t size, struct ds_runs *r);
/* Nobody knows any more which extents are its: it is written no more. */
void ds_file_doubt(struct ds_file *f);
/* In a transaction: what the block says of it, and the files below it. */
MUST_CHECK int ds_file_fill(struct ds_file *f, const struct ds_inode *n, unsigned depth);
void ds_io_init(struct ds_file *f);
void ds_io_go_on(struct ds_op *op);
void ds_io_end(struct ds_op *op, int status);
void ds_grow_queue(struct ds_op *op);
/* ds_free.c. Gives whole extents back; does it now, in a world, and moves op->at on. */
bool ds_op_frees(const struct ds_op *op);
uint32_t ds_op_whole_end(const struct ds_op *op);
MUST_CHECK int ds_free(struct ds_op *op);
void ds_grow_run(struct datastore *ds); /* all that waits */
/* Until ds_held_go: the fence is shut. */
void ds_hold(struct ds_op *op);
void ds_held_go(struct datastore *ds);
void ds_held_fail(struct datastore *ds, int err);
/* After a shut fence: which files are still ours. In a world. */
void ds_revalidate(struct datastore *ds);
MUST_CHECK int ds_grow_start(struct datastore *ds);
void ds_grow_stop(struct datastore *ds);

#endif
