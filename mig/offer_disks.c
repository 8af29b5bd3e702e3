/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's disks in its offer (offer.h, docs/wire.md "Records"): which they are, and how
 * each comes along. Who reads it believes nothing; whether the disks are here is asked later
 * (vdisks_check).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "offer.h"
#include "wire.h"

#define DISKS_VERSION 3
#define DISKS_VERSION_CHAINS 2 /* without their space */
#define DISKS_VERSION_PLAIN 1  /* without snapshots */
#define DISK_READ_ONLY 1u
#define DISK_LEASED 2u
#define DISK_INDEPENDENT 4u
#define DISK_THIN 8u  /* of a copied one */
#define DISK_BARE 16u /* the same, not thin: all of it will be written */
#define DISK_FLAGS (DISK_READ_ONLY | DISK_LEASED | DISK_INDEPENDENT | DISK_THIN | DISK_BARE)

static uint32_t flags_of(const struct vm_disk *d, const struct vdisk_id *id)
{
	return (d->read_only ? DISK_READ_ONLY : 0) | (id->leased ? DISK_LEASED : 0) |
	       (d->mode == VM_DISK_INDEPENDENT ? DISK_INDEPENDENT : 0) |
	       (id->thin ? DISK_THIN : 0) | (id->bare ? DISK_BARE : 0);
}

static bool any_chain(const struct vdisk_id *disk, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (disk[i].chain)
			return true;
	return false;
}

/* The least that has all of it: older hosts know no later ones. */
static uint16_t record_version(const struct vdisk_id *disk, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (disk[i].space)
			return DISKS_VERSION;
	return any_chain(disk, nr) ? DISKS_VERSION_CHAINS : DISKS_VERSION_PLAIN;
}

static void chain_save(const struct vdisk_chain *c, struct rec_writer *w)
{
	rec_u32(w, c ? c->nr : 0);
	rec_u32(w, 0);
	for (unsigned i = 0; c && i < c->nr; i++) {
		rec_u64(w, c->link[i].size);
		rec_str(w, c->link[i].name);
	}
}

void offer_disks_save(const struct vm_config *cfg, const struct vdisk_id *disk,
		      struct rec_writer *w)
{
	uint16_t version = record_version(disk, cfg->disks);

	if (!cfg->disks)
		return;
	rec_begin(w, REC_DISKS, version, 0, 0);
	rec_u32(w, cfg->disks);
	rec_u32(w, 0);
	for (unsigned i = 0; i < cfg->disks; i++) {
		rec_u32(w, disk[i].how);
		rec_u32(w, flags_of(&cfg->disk[i], &disk[i]));
		rec_bytes(w, disk[i].ds, sizeof(disk[i].ds));
		rec_u64(w, disk[i].file);
		rec_u64(w, disk[i].size);
		rec_u64(w, disk[i].generation);
		rec_str(w, disk[i].how == VDISK_COPIED ? disk[i].to : cfg->disk[i].path);
		rec_str(w, cfg->disk[i].serial);
		if (version >= DISKS_VERSION_CHAINS)
			chain_save(disk[i].chain, w);
		if (version >= DISKS_VERSION)
			rec_u64(w, disk[i].space);
	}
	rec_end(w);
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* What goes with how: a copied disk is written, by nobody else, and is nowhere yet. */
static bool goes_together(const struct vdisk_id *id, uint32_t flags)
{
	static const uint8_t nowhere[sizeof(id->ds)];

	if (flags & ~DISK_FLAGS || (flags & DISK_READ_ONLY && flags & DISK_LEASED) ||
	    (flags & DISK_THIN && flags & DISK_BARE))
		return false;
	if (id->how == VDISK_SHARED)
		return !(flags & (DISK_THIN | DISK_BARE));
	return id->how == VDISK_COPIED && !(flags & (DISK_READ_ONLY | DISK_LEASED)) && !id->file &&
	       !id->generation && !memcmp(id->ds, nowhere, sizeof(nowhere)) && id->size &&
	       id->size % WIRE_SECTOR == 0;
}

static int chain_check(struct rec_reader *r, struct vdisk_id *id)
{
	uint32_t nr = rec_get_u32(r);
	struct vdisk_chain *c;

	if (rec_get_u32(r) || nr > VDISK_LINKS_MAX || (nr && id->how != VDISK_COPIED))
		return -EBADMSG;
	if (!nr)
		return 0;
	c = id->chain = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (c->nr = 0; c->nr < nr; c->nr++) {
		struct vdisk_link *l = &c->link[c->nr];

		l->size = rec_get_u64(r);
		rec_get_str(r, l->name, sizeof(l->name));
		if (!l->size || l->size % WIRE_SECTOR || !l->name[0] || !is_plain(l->name))
			return -EBADMSG;
	}
	return 0;
}

/* Behind what version 1 has of a disk. */
static int more_check(struct rec_reader *r, struct vdisk_id *id)
{
	int err = r->head.version >= DISKS_VERSION_CHAINS ? chain_check(r, id) : 0;

	if (err || r->head.version < DISKS_VERSION)
		return err;
	id->space = rec_get_u64(r);
	return id->space && id->how != VDISK_COPIED ? -EBADMSG : 0;
}

static int disk_check(struct rec_reader *r, struct vm_disk *d, struct vdisk_id *id)
{
	uint32_t how = rec_get_u32(r), flags = rec_get_u32(r);

	id->how = (enum vdisk_how)how;
	d->read_only = flags & DISK_READ_ONLY;
	d->mode = flags & DISK_INDEPENDENT ? VM_DISK_INDEPENDENT : VM_DISK_NORMAL;
	id->leased = flags & DISK_LEASED;
	id->thin = flags & DISK_THIN;
	id->bare = flags & DISK_BARE;
	d->arriving = how == VDISK_COPIED;
	rec_get_bytes(r, id->ds, sizeof(id->ds));
	id->file = rec_get_u64(r);
	id->size = rec_get_u64(r);
	id->generation = rec_get_u64(r);
	rec_get_str(r, d->path, sizeof(d->path));
	rec_get_str(r, d->serial, sizeof(d->serial));
	if (!goes_together(id, flags))
		return -EBADMSG;
	if (d->path[0] != '/' || !is_plain(d->path) || !is_plain(d->serial))
		return -EBADMSG;
	return more_check(r, id);
}

int offer_disks_check(struct rec_reader *r, struct vm_config *cfg, struct vdisk_id *disk)
{
	uint32_t count = rec_get_u32(r);
	int err = 0;

	if (!r->head.version || r->head.version > DISKS_VERSION || rec_get_u32(r) || !count ||
	    count > VM_DISKS_MAX)
		return -EBADMSG;
	for (cfg->disks = 0; cfg->disks < count && !err; cfg->disks++)
		err = disk_check(r, &cfg->disk[cfg->disks], &disk[cfg->disks]);
	return err ? err : rec_done(r);
}

bool offer_disks_copied(const struct vdisk_id *disk, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (disk[i].how == VDISK_COPIED)
			return true;
	return false;
}

void offer_disks_fini(struct vdisk_id *disk)
{
	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		free(disk[i].chain);
		disk[i].chain = NULL;
	}
}
