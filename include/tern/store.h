/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datastores: what files of virtual machines live on (docs/datastore.md). Several hosts
 * may have one mounted at the same time; a file is written by the host that holds its lease.
 *
 * Interface in order of use: ds_format once; ds_mount; ds_create, ds_list; ds_open, then
 * I/O through the struct blkdev of ds_file_blk; ds_close; ds_unmount. All but that I/O
 * is called in a world, which sleeps on the disk. Names of files are "VM/root.disk": parts of
 * letters, digits and "._-", separated by single slashes.
 *
 * Errors common to all: -EIO and the other errors of blkdev.h; -EBADMSG metadata is
 * damaged; -ESTALE this host may not write any more (its heartbeat failed, or another host took
 * its slot) and the datastore has to be mounted again.
 */
#ifndef TERN_STORE_H
#define TERN_STORE_H

#include <tern/blkdev.h>
#include <tern/types.h>

struct datastore;
struct ds_file;

struct ds_host {
	uint8_t id[16]; /* not zeros */
	char name[32];
};

/* This host, as datastores know it: set once at boot. */
void ds_host_set(const struct ds_host *host);
const struct ds_host *ds_host_self(void);
/* Mounts, in a world of its own, what the host's disks carry, then calls mounted there
 * ("datastores = none" in tern.conf: neither). */
void ds_start(void (*mounted)(void));

struct ds_format_options {
	char name[32]; /* of letters, digits, "._-" */
	uint32_t nr_slots, table_blocks;
	uint32_t beat_ms, lease_ms, io_timeout_ms; /* 0: the defaults */
	struct ds_host host; /* has the first slot, so it mounts at once; zeros: nobody yet */
};
/*
 * Makes an empty datastore on the whole device; whatever was there is lost. -ERANGE too
 * small, -EINVAL options out of range.
 */
MUST_CHECK int ds_format(struct blkdev *dev, const struct ds_format_options *o);
/* 0 when the device carries a datastore, whose name is then written to name; -ENOENT. */
MUST_CHECK int ds_probe(struct blkdev *dev, char name[32]);

enum ds_mount_mode {
	DS_MOUNT_WRITE,
	DS_MOUNT_READ, /* takes no slot, writes nothing; sees a state that may be moving */
};
/*
 * -ENOENT no datastore here, -EPROTO a newer version or larger sectors than it was made for,
 * -EBUSY another host uses this host's identity, -ENFILE no slot is left, -EEXIST one of this name
 * is mounted, -EMFILE 16 are.
 */
MUST_CHECK int ds_mount(struct blkdev *dev, const struct ds_host *host, enum ds_mount_mode mode,
			struct datastore **out);
/* -EBUSY while files are open. */
MUST_CHECK int ds_unmount(struct datastore *ds);

enum ds_kind { DS_KIND_PLAIN = 1, DS_KIND_FLAT, DS_KIND_THIN, DS_KIND_DELTA };

struct ds_info {
	char name[32];
	uint8_t id[16]; /* random at its making */
	uint64_t total_bytes, free_bytes;
	uint32_t files_most, slots_most, lease_ms, io_timeout_ms;
	bool writable; /* the fence is open */
};
MUST_CHECK int ds_info(struct datastore *ds, struct ds_info *out);

/*
 * What files that are to be made will take, datastore by datastore, in whole extents. One of zeros
 * is empty.
 */
#define DS_ROOM_STORES 16u
struct ds_room {
	unsigned nr;
	struct {
		struct datastore *ds;
		uint64_t bytes;
	} at[DS_ROOM_STORES];
};
void ds_room_add(struct ds_room *r, struct datastore *ds, uint64_t bytes);
/* -ENOSPC, and how much is missing; where: "", or behind a datastore's name, " there". */
MUST_CHECK int ds_room_check(const struct ds_room *r, const char *where, char *why, size_t len);

struct ds_usage {
	uint64_t total_bytes, free_bytes;
	uint64_t files, size_bytes; /* what the files' sizes are together */
	uint64_t promised_bytes;    /* what their holes would take, if all were written */
	uint64_t over_bytes;	    /* so much of that is not there */
};
MUST_CHECK int ds_usage(struct datastore *ds, struct ds_usage *out);

enum ds_lease_state {
	DS_LEASE_NONE,
	DS_LEASE_MINE,
	DS_LEASE_OTHER,
	DS_LEASE_DEAD, /* its holder is gone: whoever opens the file takes it */
};
struct ds_entry {
	char name[128];
	enum ds_kind kind;
	uint32_t flags;			 /* DS_FILE_* */
	uint64_t size;			 /* bytes */
	uint64_t backed_bytes;		 /* extents times their size */
	uint64_t id, parent, generation; /* parent: 0, or of a delta */
	uint64_t created, modified;	 /* seconds since 1970 */
	enum ds_lease_state lease;
	char holder[32]; /* of the lease */
};
#define DS_FILE_MULTI_WRITER 1u
#define DS_FILE_UNFINISHED 2u /* removed at the next mount once its writer is dead */
#define DS_FILE_MERGING 4u    /* a snapshot that is being deleted: no longer what it was */
#define DS_FILE_GIVEN 8u      /* its lease was given to its holder, who has not accepted it yet */

/* Copies the entry at or after *cursor, which starts at 0 and is advanced; -ENOENT at the end. */
MUST_CHECK int ds_list(struct datastore *ds, uint32_t *cursor, struct ds_entry *out);
MUST_CHECK int ds_stat(struct datastore *ds, const char *name, struct ds_entry *out);

struct ds_host_info {
	char name[32];
	bool mounted, alive, self;
};
/* Slot after slot, -ENOENT past the last. */
MUST_CHECK int ds_host_at(struct datastore *ds, unsigned slot, struct ds_host_info *out);

/*
 * A new file, of zeros. DS_KIND_FLAT gets all of its extents, zeroed; the others are holes
 * throughout. With DS_FILE_UNFINISHED its lease is this host's and ds_finish makes it whole.
 * -EEXIST, -ENOSPC, -EINVAL the name.
 */
MUST_CHECK int ds_create(struct datastore *ds, const char *name, enum ds_kind kind, uint64_t size,
			 uint32_t flags);
/*
 * The same of a flat one that is unfinished and has in its extents whatever was there: whoever
 * makes it writes all of it before ds_finish, which does not look whether he did.
 */
MUST_CHECK int ds_create_bare(struct datastore *ds, const char *name, uint64_t size);
/*
 * What it stands on becomes whole with it. -ESTALE it is open here, and its lease is another's, or
 * was.
 */
MUST_CHECK int ds_finish(struct datastore *ds, const char *name);
/*
 * The same of several, in one transaction: all of them, or none; the last one is named `as`, if not
 * NULL, from then on, and `gone`, if not NULL, is unfinished, for ds_remove. -EEXIST something has
 * that name; -ENOBUFS too many for one transaction.
 */
MUST_CHECK int ds_finish_all(struct datastore *ds, const char *const *name, unsigned n,
			     const char *as, const char *gone);
/* -EBUSY open here or leased by a living host; -ENOENT. */
MUST_CHECK int ds_remove(struct datastore *ds, const char *name);
/* Likewise: who has a file open knows it by its name, as a VM its disks. */
MUST_CHECK int ds_rename(struct datastore *ds, const char *from, const char *to);
/* `from`, the name of f, by the one who has it open. */
MUST_CHECK int ds_rename_held(struct ds_file *f, const char *from, const char *to);
/*
 * `by`, which may be unfinished, is whole and takes name's place, in one transaction; what had
 * the name, if anything, is then `by`, unfinished, for ds_remove. Either may be open here. gone: as
 * for ds_finish_all.
 */
MUST_CHECK int ds_replace(struct datastore *ds, const char *by, const char *name, const char *gone);

/* Where a new file's contents come from, in a world; read is asked in order, from 0 to size. */
struct ds_source {
	uint64_t size;
	/* Exactly so many bytes to buf, or the error that ds_import ends with. */
	int (*read)(void *user, uint64_t at, size_t bytes, void *buf);
	void *user;
};
/*
 * A new file with these contents, durable, or none: one that breaks off is removed. Zeros stay
 * holes where the kind has holes. The errors of ds_create and ds_open.
 */
MUST_CHECK int ds_import(struct datastore *ds, const char *name, enum ds_kind kind,
			 const struct ds_source *from);
/* The same, but for ds_finish: until then it is unfinished, and this host's. */
MUST_CHECK int ds_import_unfinished(struct datastore *ds, const char *name, enum ds_kind kind,
				    const struct ds_source *from);
bool ds_all_zero(const void *buf, size_t bytes);

enum ds_open_mode {
	DS_OPEN_READ,  /* whoever writes it, if anybody */
	DS_OPEN_WRITE, /* takes the lease: -EBUSY while a living host has it */
	DS_OPEN_SHARED /* a multi-writer file */
};
/* One that is unfinished is opened to be written, by the host that makes it: for others -EBUSY. */
MUST_CHECK int ds_open(struct datastore *ds, const char *name, enum ds_open_mode mode,
		       struct ds_file **out);
/* Gives the lease up. Nothing is in flight. */
void ds_close(struct ds_file *f);
/*
 * The file as a device: blocks of the datastore's sector size. Writes to holes allocate;
 * -ENOSPC then fails the write alone. Valid until ds_close.
 */
struct blkdev *ds_file_blk(struct ds_file *f);
uint64_t ds_file_size(const struct ds_file *f);
struct datastore *ds_file_store(const struct ds_file *f);
/*
 * Before the unfinished file is finished the caller writes all of [from, to), bytes: so a hole
 * there gets many extents at once, and they are not zeroed. One range at a time; an empty one:
 * none, as after a discard.
 */
void ds_file_promise(struct ds_file *f, uint64_t from, uint64_t to);
/*
 * What an open file itself has at byte `at`, and *bytes how many from there on, up to its end, are
 * alike. Right until the next write to them.
 */
enum ds_own {
	DS_OWN_NOTHING, /* it shows the file that it is a delta over, or zeros without one */
	DS_OWN_EXTENTS,
	DS_OWN_ZEROS, /* zeros, which hide what is below and take no space */
};
enum ds_own ds_file_own(struct ds_file *f, uint64_t at, uint64_t *bytes);
/*
 * Grows or shrinks; what is beyond the old end is zeros, and a hole until it is written. Old and
 * new size are multiples of 4096: else -EINVAL.
 */
MUST_CHECK int ds_resize(struct ds_file *f, uint64_t size);

/*
 * Snapshots: name becomes a delta over what it was, which is kept as `as`; also while it is
 * open here. Revert: name shows the snapshot again, what was written since is lost; nobody
 * has it open. Delete: what name needs of the snapshot becomes name's, without a copy.
 * -EBUSY leased elsewhere, open as they may not be, or with several deltas upon it; -ENOTSUP
 * deleting one that nothing stands on: ds_remove.
 */
MUST_CHECK int ds_snapshot(struct datastore *ds, const char *name, const char *as);
/* Several files, at one moment: all of them, or none and *failed says which could not. */
struct ds_snap {
	struct datastore *ds;
	const char *name, *as;
	bool part;	      /* of a chain that is being made: both stay unfinished */
	struct ds_file *held; /* ds_snapshot_all's own */
};
MUST_CHECK int ds_snapshot_all(struct ds_snap *s, unsigned n, unsigned *failed);
MUST_CHECK int ds_snapshot_revert(struct datastore *ds, const char *name, const char *snap);
MUST_CHECK int ds_snapshot_delete(struct datastore *ds, const char *snap);

/*
 * For whoever copies a file that is open for writing with what it stands on: from keep on no
 * snapshot of it is taken, or the last one deleted (-EALREADY), until it is let go, or closed.
 * Earlier ones, and going back to one, are -EBUSY as long as it is open.
 */
void ds_file_keep_chain(struct ds_file *f, bool keep);

/*
 * A delta upon parent, which nobody writes then: unfinished and leased by this host, so it is gone
 * with this host at the latest. -EBUSY parent is being written, -EEXIST, -EMLINK.
 */
MUST_CHECK int ds_delta(struct datastore *ds, const char *name, const char *parent);

/*
 * A lease goes to another host (docs/ownership.md): it is given by who has it, then either
 * accepted there or taken back here. Each is one transaction, so one of the two comes first and
 * the other finds it.
 */
struct ds_lease {
	uint64_t file, generation;
};
void ds_file_lease(const struct ds_file *f, struct ds_lease *out);
/* Was it opened with one? */
bool ds_file_leased(const struct ds_file *f);
/*
 * Names another mounted host, by identity, as holder; from the call on this host writes
 * no more to the file, whatever the result. -ENOENT that host is not alive here.
 */
MUST_CHECK int ds_lease_give(struct ds_file *f, const uint8_t host[16]);
/*
 * 0: the file is written here again, also when it was never given. -ESTALE: it is another's for
 * good. Other errors: nobody knows; the call may be repeated.
 */
MUST_CHECK int ds_lease_take_back(struct ds_file *f);
/*
 * May a file that was opened for writing be written now? 0; -ESTALE its lease is another's, or was;
 * other errors: the datastore does not say. Costs nothing while the fence is open.
 */
MUST_CHECK int ds_lease_held(struct ds_file *f);
/*
 * Opens for writing what was given to this host. The lease is its holder's of before, as that
 * told it. -EAGAIN: not given yet, and the holder lives. -ESTALE: it will not be: taken back, or
 * somebody else's, or the holder is dead. Other errors: as above.
 */
MUST_CHECK int ds_lease_accept(struct datastore *ds, const struct ds_lease *before,
			       struct ds_file **out);
/* Who holds it now; fills what ds_stat does. By file identity. */
MUST_CHECK int ds_stat_id(struct datastore *ds, uint64_t id, struct ds_entry *out);

/* ---- mounted datastores by name, for commands ---- */

/* "/ds/NAME/FILE", "/ds/NAME" or "/ds/NAME/": the datastore and the rest; -EINVAL, -ENOENT not
 * mounted. */
MUST_CHECK int ds_path(const char *path, struct datastore **ds, const char **file);
/*
 * Removes what has the path, if it is this file still (else -ENOENT), and then what it stood on,
 * the uppermost first, down to one on which another file stands or which is in use. Once begun it
 * is debris, all of it. And as ds_remove.
 */
MUST_CHECK int ds_remove_file(const char *path, uint64_t id);
/* What an error of this face means to people: "no-space", and a sentence. */
const char *ds_error_code(int err);
const char *ds_error_text(int err);
/* "thin", and back: of those that a new file can be; -EINVAL. */
const char *ds_kind_text(enum ds_kind kind);
MUST_CHECK int ds_kind_of(const char *word, enum ds_kind *kind);

struct datastore *ds_at(unsigned index); /* NULL past the end */
struct datastore *ds_find(const char *name);
struct blkdev *ds_device(struct datastore *ds);

/* ---- check ---- */

struct ds_check {
	bool repair;
	/* A line for each finding; may be NULL. */
	void (*say)(struct ds_check *c, const char *text);
	void *user;
	unsigned found, mended;
};
/*
 * Compares all metadata with one another. To repair, no host may have it mounted: it is
 * watched for three beats when a slot says so, -EBUSY. 0 also when findings were counted.
 */
MUST_CHECK int ds_check(struct blkdev *dev, struct ds_check *c);

#endif
