/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of migrations on a datastore (journal.h, layout in docs/ownership.md). A file has two
 * places; a note goes to the one that is not the latest, so the latest stays whole until the
 * new one is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "journal.h"
#include "kernel/lib/crc32c.h"

#define MAGIC 0x4c4a5254u /* "TRJL" in memory order */
#define VERSION 1u
#define PLACE_BYTES 4096u
#define PLACES 2u
#define PLACE_FILES 8u
#define SIDE_SOURCE 1u
#define SIDE_DESTINATION 2u
#define DIRECTORY "migrations/"
#define ARRIVAL "-in" /* of the destination's: both sides may have theirs on one datastore */
#define NAME_BYTES (sizeof(DIRECTORY) + 2 * WIRE_ID_BYTES + sizeof(ARRIVAL))

struct place {
	uint32_t magic;		/* 0 */
	uint32_t crc;		/* 4 CRC32C of all 4096 bytes with this as zero */
	uint32_t version;	/* 8 */
	uint32_t step;		/* 12 enum journal_step */
	uint64_t sequence;	/* 16 grows with each note */
	uint8_t id[16];		/* 24 of the migration */
	uint8_t uuid[16];	/* 40 of the VM */
	uint8_t host[16];	/* 56 whose record it is, as datastores know it */
	char vm[32];		/* 72 */
	uint8_t family;		/* 104 of the other host's address: 4 or 6 */
	uint8_t zero0[7];	/* 105 */
	uint8_t ip[16];		/* 112 */
	uint32_t disks;		/* 128 */
	uint32_t side;		/* 132 1: source, 2: destination */
	char disk[8][128];	/* 136 */
	uint64_t file[8];	/* 1160 identities of the files */
	char more_disk[8][128]; /* 1224 those from the ninth on */
	uint64_t more_file[8];	/* 2248 */
	uint8_t zero2[PLACE_BYTES - 2312];
};
_Static_assert(sizeof(struct place) == PLACE_BYTES, "record of a migration");
_Static_assert(offsetof(struct place, vm) == 72 && offsetof(struct place, disk) == 136 &&
		       offsetof(struct place, file) == 1160 &&
		       offsetof(struct place, more_disk) == 1224 &&
		       offsetof(struct place, more_file) == 2248,
	       "record of a migration");
_Static_assert(JOURNAL_FILES_MAX == 2 * PLACE_FILES && VM_DISK_PATH_MAX == 128 && VM_NAME_MAX == 32,
	       "record of a migration");

struct journal {
	struct datastore *ds;
	struct ds_file *file;
	char name[NAME_BYTES];
	uint64_t sequence;
	struct place *place; /* the latest */
};

static uint32_t crc_of(struct place *p)
{
	uint32_t kept = p->crc, crc;

	p->crc = 0;
	crc = crc32c(0, p, sizeof(*p));
	p->crc = kept;
	return crc;
}

static void name_of(const uint8_t id[WIRE_ID_BYTES], bool incoming, char name[NAME_BYTES])
{
	strcpy(name, DIRECTORY);
	for (unsigned i = 0; i < WIRE_ID_BYTES; i++)
		snprintf(name + sizeof(DIRECTORY) - 1 + (size_t)2 * i, 3, "%02x", id[i]);
	if (incoming)
		strcat(name, ARRIVAL);
}

/* ---- one place ---- */

static int transfer(struct journal *j, enum blk_op op, unsigned place, void *buf)
{
	struct blkdev *d = ds_file_blk(j->file);
	uint64_t blocks = PLACE_BYTES / d->geo.block_bytes;

	return blk_transfer(d, op, place * blocks, blocks, buf);
}

static int flush(struct journal *j)
{
	struct blk_req r = { .op = BLK_FLUSH };

	return blk_wait(ds_file_blk(j->file), &r);
}

static bool text_ok(const char *text, size_t len)
{
	return text[0] && memchr(text, 0, len);
}

static char *path_at(struct place *p, unsigned i)
{
	return i < PLACE_FILES ? p->disk[i] : p->more_disk[i - PLACE_FILES];
}

static uint64_t *file_at(struct place *p, unsigned i)
{
	return i < PLACE_FILES ? &p->file[i] : &p->more_file[i - PLACE_FILES];
}

static bool whole(struct place *p)
{
	if (p->magic != MAGIC || p->crc != crc_of(p) || p->version != VERSION)
		return false;
	if (p->step < JOURNAL_NOTHING || p->step >= JOURNAL_STEPS || p->disks > JOURNAL_FILES_MAX ||
	    (p->side != SIDE_SOURCE && p->side != SIDE_DESTINATION) ||
	    !text_ok(p->vm, sizeof(p->vm)))
		return false;
	for (uint32_t i = 0; i < p->disks; i++)
		if (!text_ok(path_at(p, i), sizeof(p->disk[0])))
			return false;
	return true;
}

int journal_note(struct journal *j, enum journal_step step)
{
	int err;

	j->place->step = step;
	j->place->sequence = j->sequence + 1;
	j->place->crc = crc_of(j->place);
	err = transfer(j, BLK_WRITE, (unsigned)(j->place->sequence % PLACES), j->place);
	if (!err)
		err = flush(j);
	if (!err)
		j->sequence++;
	return err;
}

void journal_last_file(struct journal *j, uint64_t file)
{
	if (j->place->disks)
		*file_at(j->place, j->place->disks - 1) = file;
}

static int find_file(const char *path, uint64_t *file)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;
	int err = ds_path(path, &ds, &name);

	if (!err)
		err = ds_stat(ds, name, &e);
	*file = err ? 0 : e.id;
	return err;
}

int journal_note_files(struct journal *j, uint32_t nr)
{
	bool other = false;

	for (uint32_t i = 0; i < MIN(nr, j->place->disks); i++) {
		uint64_t file, *noted = file_at(j->place, i);
		int err = find_file(path_at(j->place, i), &file);

		if (err)
			return err;
		other |= file != *noted;
		*noted = file;
	}
	return other ? journal_note(j, (enum journal_step)j->place->step) : 0;
}

/* ---- life ---- */

static void put(struct journal *j)
{
	if (j->file)
		ds_close(j->file);
	free(j->place);
	free(j);
}

/* Opened, with memory for a place that a device reaches. */
static int open_named(struct datastore *ds, const char *name, struct journal **out)
{
	struct journal *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return -ENOMEM;
	j->ds = ds;
	snprintf(j->name, sizeof(j->name), "%s", name);
	j->place = calloc(1, sizeof(*j->place));
	err = j->place ? ds_open(ds, name, DS_OPEN_WRITE, &j->file) : -ENOMEM;
	if (err) {
		j->file = NULL;
		put(j);
		return err;
	}
	*out = j;
	return 0;
}

uint64_t journal_file(const char *path)
{
	uint64_t file;

	return find_file(path, &file) ? 0 : file;
}

int journal_create(struct datastore *ds, const struct journal_record *first, struct journal **out)
{
	char name[NAME_BYTES];
	struct journal *j;
	struct place *p;
	int err;

	name_of(first->id, first->incoming, name);
	err = ds_create(ds, name, DS_KIND_FLAT, (uint64_t)PLACES * PLACE_BYTES,
			DS_FILE_UNFINISHED); /* until there is a note in it */
	if (err)
		return err;
	err = open_named(ds, name, &j);
	if (err)
		goto remove;
	p = j->place;
	p->magic = MAGIC;
	p->version = VERSION;
	memcpy(p->id, first->id, sizeof(p->id));
	memcpy(p->uuid, first->uuid, sizeof(p->uuid));
	memcpy(p->host, ds_host_self()->id, sizeof(p->host));
	memcpy(p->vm, first->vm, sizeof(p->vm));
	p->family = first->peer.family;
	memcpy(p->ip, first->peer.ip, sizeof(p->ip));
	p->side = first->incoming ? SIDE_DESTINATION : SIDE_SOURCE;
	p->disks = first->disks;
	for (uint32_t i = 0; i < first->disks; i++) {
		memcpy(path_at(p, i), first->disk[i], sizeof(first->disk[i]));
		*file_at(p, i) = first->file[i] ? first->file[i] : journal_file(first->disk[i]);
	}
	err = journal_note(j, first->step);
	if (!err)
		err = ds_finish(ds, name);
	if (err)
		goto close;
	*out = j;
	return 0;
close:
	put(j);
remove:
	if (ds_remove(ds, name))
		log_warn("mig", "an empty record stays on the datastore: %s", name);
	return err;
}

const char *journal_name(const struct journal *j)
{
	return j->name;
}

void journal_keep(struct journal *j)
{
	put(j);
}

bool journal_end(struct journal *j)
{
	struct datastore *ds = j->ds;
	bool says = !journal_note(j, JOURNAL_SETTLED);
	char name[NAME_BYTES];
	int err;

	memcpy(name, j->name, sizeof(name));
	put(j);
	err = ds_remove(ds, name);
	if (err)
		log_warn("mig", "a record that is settled stays on the datastore: %s: %s", name,
			 ds_error_text(err));
	return says || !err;
}

/* ---- after a crash ---- */

/* The later of the two places that is whole. */
static int read_latest(struct journal *j)
{
	struct place *p = calloc(1, sizeof(*p));
	int err = p ? 0 : -ENOMEM;

	for (unsigned i = 0; !err && i < PLACES; i++) {
		err = transfer(j, BLK_READ, i, p);
		if (!err && whole(p) && p->sequence > j->sequence) {
			*j->place = *p;
			j->sequence = p->sequence;
		}
	}
	free(p);
	return err || j->sequence ? err : -EBADMSG;
}

static void fill(struct place *p, struct journal_record *r)
{
	*r = (struct journal_record){ .step = (enum journal_step)p->step,
				      .incoming = p->side == SIDE_DESTINATION,
				      .disks = p->disks };
	memcpy(r->id, p->id, sizeof(r->id));
	memcpy(r->uuid, p->uuid, sizeof(r->uuid));
	memcpy(r->vm, p->vm, sizeof(r->vm));
	r->peer.family = p->family;
	memcpy(r->peer.ip, p->ip, sizeof(r->peer.ip));
	for (uint32_t i = 0; i < r->disks; i++) {
		memcpy(r->disk[i], path_at(p, i), sizeof(r->disk[i]));
		r->file[i] = *file_at(p, i);
	}
}

const char *journal_last(struct journal *j)
{
	uint32_t nr = j->place->disks;

	return nr ? path_at(j->place, nr - 1) : NULL;
}

static bool is_own(const struct journal *j)
{
	return !memcmp(j->place->host, ds_host_self()->id, sizeof(j->place->host));
}

/* Opened, with its latest note. */
static int open_latest(struct datastore *ds, const char *name, struct journal **out)
{
	int err = open_named(ds, name, out);

	if (!err)
		err = read_latest(*out);
	if (err && err != -EBUSY && err != -ENOENT)
		log_warn("mig", "record %s of a migration cannot be read: %s", name,
			 ds_error_text(err));
	return err;
}

/* Nothing of it can be used: it says so, and stays. */
static int look_at(struct datastore *ds, const char *name,
		   void (*fn)(const struct journal_record *r, struct journal *j, void *arg),
		   void *arg)
{
	struct journal_record *r = calloc(1, sizeof(*r));
	struct journal *j = NULL;
	int err = r ? open_latest(ds, name, &j) : -ENOMEM;

	if (!err && is_own(j)) {
		fill(j->place, r);
		fn(r, j, arg); /* which has it now */
		j = NULL;
	}
	if (j)
		put(j);
	free(r);
	return err == -ENOMEM ? err : 0;
}

/* Nobody else's of that name: both hosts may have the datastore. */
static void forget_on(struct datastore *ds, const char *name, struct journal_record *r,
		      bool (*may)(const struct journal_record *r))
{
	struct journal *j = NULL;

	if (!open_latest(ds, name, &j) && is_own(j)) {
		fill(j->place, r);
		if (may(r)) {
			journal_end(j);
			j = NULL;
		}
	}
	if (j)
		put(j);
}

void journal_forget(const uint8_t id[WIRE_ID_BYTES], bool (*may)(const struct journal_record *r))
{
	struct journal_record *r = malloc(sizeof(*r));
	char name[NAME_BYTES];
	struct datastore *ds;

	name_of(id, true, name);
	for (unsigned i = 0; r && (ds = ds_at(i)); i++)
		forget_on(ds, name, r, may);
	free(r);
}

static bool is_record(const char *name, bool incoming)
{
	size_t len = strlen(name), tail = sizeof(ARRIVAL) - 1;

	return !strncmp(name, DIRECTORY, sizeof(DIRECTORY) - 1) &&
	       (len > tail && !strcmp(name + len - tail, ARRIVAL)) == incoming;
}

int journal_scan(struct datastore *ds, bool incoming,
		 void (*fn)(const struct journal_record *r, struct journal *j, void *arg),
		 void *arg)
{
	struct ds_entry *e = calloc(1, sizeof(*e));
	uint32_t cursor = 0;
	int err = e ? 0 : -ENOMEM;

	while (!err && !(err = ds_list(ds, &cursor, e)))
		if (is_record(e->name, incoming))
			err = look_at(ds, e->name, fn, arg);
	free(e);
	return err == -ENOENT ? 0 : err;
}
