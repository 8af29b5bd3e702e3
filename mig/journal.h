/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a host knew of a migration when it crashed: a file on one of its own datastores, for
 * moves in which no disk is shared, so that no lease can say who owns the VM
 * (docs/ownership.md). Each step is durable before the host acts on it.
 *
 * Interface in order of use: journal_create while the guest still runs; journal_note at each
 * step; journal_end when nothing is in doubt any more. At the mount of a datastore
 * journal_scan tells what an earlier life left behind.
 *
 * A note is written beside the one before it, so a power cut leaves one of the two.
 */
#ifndef MIG_JOURNAL_H
#define MIG_JOURNAL_H

#include <tern/net.h>
#include <tern/store.h>
#include <tern/vm.h>

#include "wire.h"

enum journal_step {
	JOURNAL_NOTHING = 1, /* files may have been made, nothing is decided */
	JOURNAL_GO,	     /* source: GO is decided; the VM may be the other host's */
	JOURNAL_OWNS,	     /* destination: it is this host's, and may have run */
	JOURNAL_SETTLED,     /* nothing is in doubt any more: the file could not be removed */
	JOURNAL_GONE,	     /* destination: its copy was complete, and will never run */
	JOURNAL_STEPS
};

#define JOURNAL_FILES_MAX 16u

struct journal_record {
	uint8_t id[WIRE_ID_BYTES]; /* of the migration */
	uint8_t uuid[16];	   /* of the VM */
	char vm[VM_NAME_MAX];
	struct net_addr peer; /* of no family: there is none, it is a Storage vMotion */
	bool incoming;	      /* this host is the destination */
	enum journal_step step;
	uint32_t disks;
	/* Of this side, that the move is about: disks, and files of a home that goes along. */
	char disk[JOURNAL_FILES_MAX][VM_DISK_PATH_MAX];
	uint64_t file[JOURNAL_FILES_MAX]; /* identity there; 0 for journal_create: by the path */
};

struct journal;

/* The identity of the file that has this path now; 0: none. */
uint64_t journal_file(const char *path);
/* -ENOSPC and the other errors of the store. */
MUST_CHECK int journal_create(struct datastore *ds, const struct journal_record *first,
			      struct journal **out);
/* Durable when it returns 0; otherwise the step before is what a crash would find. */
MUST_CHECK int journal_note(struct journal *j, enum journal_step step);
/* The last of its files was written anew, and is this one: it is so with the next note. */
void journal_last_file(struct journal *j, uint64_t file);
/*
 * The first nr of its files are others by now, as a snapshot puts another one in a file's place:
 * notes which, if any. Nobody else gives these paths to files meanwhile.
 */
MUST_CHECK int journal_note_files(struct journal *j, uint32_t nr);
/* The file, on the datastore that it was created on. */
const char *journal_name(const struct journal *j);
/* Removes the file, or what is left of it says JOURNAL_SETTLED. False: neither could be done. */
bool journal_end(struct journal *j);
/* Ends the use of it here, and leaves the file. */
void journal_keep(struct journal *j);
/*
 * Ends the destination's of that migration, wherever it is, if nobody uses it and `may` says so of
 * what it records.
 */
void journal_forget(const uint8_t id[WIRE_ID_BYTES], bool (*may)(const struct journal_record *r));
/* The path of the last of its files; NULL: it names none. */
const char *journal_last(struct journal *j);

/*
 * Calls fn for every record of one side that this host left on the datastore, with the journal
 * open; fn ends or keeps it. The other side's are not opened: they may be forgotten meanwhile. A
 * record that is damaged is logged and left alone. Records of other hosts are not touched. 0, or
 * the store's error.
 */
MUST_CHECK int journal_scan(struct datastore *ds, bool incoming,
			    void (*fn)(const struct journal_record *r, struct journal *j,
				       void *arg),
			    void *arg);

#endif
