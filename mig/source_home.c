/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The home of a VM that moves (source_disks.h, kernel/home/home_sent.c): with `--disks` it goes
 * along, its files on the stream of the disks and behind them in number, but before them in time;
 * without, the lease of its description goes, and it stays where it is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/store.h>

#include "offer.h"
#include "source_disks.h"

#define PIECE_BYTES (64u << 10)

static int plan_sent(struct source *s, char *why, size_t len)
{
	struct vm *vm = s->j->vm;
	struct source_home *k = calloc(1, sizeof(*k));

	s->going = k;
	if (!k) {
		snprintf(why, len, "no memory to send the VM's home");
		return -ENOMEM;
	}
	k->cfg = vm->cfg;
	for (unsigned i = 0; i < vm->cfg.disks; i++)
		if (s->disk[i].how == VDISK_COPIED)
			memcpy(k->cfg.disk[i].path, s->disk[i].to, sizeof(s->disk[i].to));
	memcpy(k->sent.store, s->j->req.disks.all, sizeof(k->sent.store));
	return home_send(vm, &k->cfg, &k->sent, why, len);
}

int source_home_plan(struct source *s, char *why, size_t len)
{
	bool all = s->j->req.disks.all[0], copied = offer_disks_copied(s->disk, VM_DISKS_MAX);
	struct vm *vm = s->j->vm;
	int err = home_identify(vm, !all && !copied && !s->j->self, &s->home, why, len);

	if (err || !vm->cfg.home[0])
		return err;
	if (s->j->self && (all || copied)) {
		snprintf(why, len,
			 "%s is at home on %s: on its own host its disks move with it by svmotion",
			 vm->cfg.name, vm->cfg.home);
		return -ENOTSUP;
	}
	if (s->j->self)
		return 0;
	if (all)
		return plan_sent(s, why, len);
	if (!copied)
		return 0;
	snprintf(why, len,
		 "%s is at home on %s, which no disk leaves alone for another host: add --disks "
		 "DATASTORE for the rest, or 'svmotion' it to one that both have",
		 vm->cfg.name, vm->cfg.home);
	return -ENOTSUP;
}

unsigned source_home_files(const struct source *s)
{
	return s->going ? s->going->sent.files : 0;
}

void source_home_geometry(const struct source *s, struct blk_send_geometry *g)
{
	for (unsigned i = 0; i < source_home_files(s); i++)
		g[i] = (struct blk_send_geometry){ .bytes = ALIGN_UP(s->going->sent.file[i].size,
								     WIRE_FILE_BLOCK),
						   .block_bytes = WIRE_FILE_BLOCK };
}

/* What of the home is removed here once the VM is the other host's, the description last. */
void source_home_record(const struct source *s, struct journal_record *r)
{
	struct home_info info;

	if (!s->going)
		return;
	for (unsigned i = 0; i < source_home_files(s); i++)
		r->disks += snprintf(r->disk[r->disks], sizeof(r->disk[0]), "/ds/%s/%s",
				     s->j->vm->cfg.home, s->going->sent.file[i].name) <
			    (int)sizeof(r->disk[0]); /* it was taken out of such a path */
	if (home_info(s->j->vm->cfg.name, &info))
		memcpy(r->disk[r->disks++], info.path, sizeof(info.path));
}

int source_home_leaves(struct source *s)
{
	char why[WIRE_TEXT] = "";
	struct mig_job *j = s->j;
	struct home_mark to;
	uint64_t file;
	int err;

	if (!s->going)
		return 0;
	job_mark(j, &to);
	err = home_leaves(j->vm, &to, &file, why, sizeof(why));
	if (err)
		job_error(j, ds_error_code(err), "%s; the VM goes on here", why);
	else if (j->journal)
		journal_last_file(j->journal, file);
	return err;
}

/* Whatever the blocks of either datastore are. */
static int copy_piece(struct blkdev *from, uint64_t at, uint64_t bytes, struct blkdev *to,
		      uint8_t *buf)
{
	uint32_t block = from->geo.block_bytes;
	uint64_t whole = ALIGN_UP(bytes, WIRE_FILE_BLOCK);
	int err = blk_transfer(from, BLK_READ, at / block, ALIGN_UP(bytes, block) / block, buf);

	memset(buf + bytes, 0, whole - bytes);
	return err ? err
		   : blk_transfer(to, BLK_WRITE, at / WIRE_FILE_BLOCK, whole / WIRE_FILE_BLOCK,
				  buf);
}

static int copy_one(struct source *s, const struct home_file *f, struct blkdev *to, uint8_t *buf,
		    int (*asked)(struct source *s))
{
	char path[VM_PATH_MAX + VM_NAME_MAX + 8];
	struct datastore *ds;
	struct ds_file *from;
	const char *name;
	int err;

	snprintf(path, sizeof(path), "/ds/%s/%s", s->j->vm->cfg.home, f->name);
	err = ds_path(path, &ds, &name);
	if (!err)
		err = ds_open(ds, name, DS_OPEN_READ, &from);
	if (err)
		goto out;
	if (ds_file_size(from) != f->size)
		err = -ESTALE;
	for (uint64_t at = 0; at < f->size && !err; at += PIECE_BYTES) {
		err = asked(s);
		if (!err)
			err = copy_piece(ds_file_blk(from), at,
					 MIN(f->size - at, (uint64_t)PIECE_BYTES), to, buf);
	}
	ds_close(from);
out:
	if (err && err != -ECANCELED && !s->j->link_error)
		job_error(s->j, ds_error_code(err), "%s is not sent: %s; the VM goes on here", path,
			  ds_error_text(err));
	return err;
}

int source_home_copy(struct source *s, struct blk_sender *sender, unsigned first,
		     int (*asked)(struct source *s))
{
	uint8_t *buf = source_home_files(s) ? malloc(PIECE_BYTES) : NULL;
	int err = source_home_files(s) && !buf ? -ENOMEM : 0;

	for (unsigned i = 0; i < source_home_files(s) && !err; i++)
		err = copy_one(s, &s->going->sent.file[i], blk_sender_disk(sender, first + i), buf,
			       asked);
	free(buf);
	return err;
}
