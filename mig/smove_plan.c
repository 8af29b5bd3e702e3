/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which disks go where (smove.h): those that are named; of a whole VM those that it writes and
 * that are not there already, and its home. A file keeps its name, so that a VM's files stay
 * together; on its own datastore, where it changes its kind, it gets a new one that is free.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smove.h"

#define SECOND "-2"

struct plan {
	struct smove *s;
	char *code, *why;
	size_t code_len, why_len;
};

static int PRINTF_LIKE(4, 5) refuse(struct plan *p, int err, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(p->code, p->code_len, "%s", code);
	va_start(ap, fmt);
	vsnprintf(p->why, p->why_len, fmt, ap);
	va_end(ap);
	return err;
}

bool smove_split(const char *path, char ds[32], const char **file)
{
	const char *name = path + 4;
	size_t len = strcspn(name, "/");

	if (strncmp(path, "/ds/", 4) || len >= 32 || !name[len])
		return false;
	memcpy(ds, name, len);
	ds[len] = '\0';
	*file = name + len + 1;
	return true;
}

static void seat(struct smove *s, const char *ds)
{
	snprintf(s->seat.ds[s->seat.nr], sizeof(s->seat.ds[0]), "%s", ds);
	s->seat.nr++;
}

/*
 * 0: a file has the name that d is to have, or one of the VM's disks, which may be on its way
 * there, or is to have it too. -ENOENT: it is free. Others: it is not known.
 */
static int find_name(const struct smove *s, const struct smove_disk *d, const struct vm_config *cfg)
{
	struct datastore *at = ds_find(d->ds_name); /* NULL: unmounted just now */
	struct ds_entry e;
	const char *file;
	char of[32];

	for (unsigned i = 0; i < cfg->disks; i++)
		if (smove_split(cfg->disk[i].path, of, &file) && !strcmp(file, d->name))
			return 0;
	for (const struct smove_disk *o = s->disk; o < d; o++)
		if (!strcmp(o->ds_name, d->ds_name) && !strcmp(o->name, d->name))
			return 0;
	return at ? ds_stat(at, d->name, &e) : -ENODEV;
}

/*
 * The old file goes, so the one of the next time can have its name again. Returns the name's
 * length, as snprintf.
 */
static int beside(const struct smove *s, struct smove_disk *d, const struct vm_config *cfg,
		  const char *file)
{
	size_t len = strlen(file), end = strlen(SECOND), room = sizeof(d->name);

	if (len > end && file[len - end - 1] != '/' && !strcmp(file + len - end, SECOND)) {
		int n = snprintf(d->name, room, "%.*s", (int)(len - end), file);

		if (find_name(s, d, cfg) == -ENOENT)
			return n;
	}
	len = (size_t)snprintf(d->name, room, "%s", file);
	do
		len += (size_t)snprintf(d->name + len, room - len, SECOND);
	while (len < room && !find_name(s, d, cfg));
	return (int)len;
}

static int name_it(struct plan *p, struct smove_disk *d, const struct vm_config *cfg)
{
	const struct vm_disk *from = &cfg->disk[d->index];
	char old_ds[32] = "", path[VM_DISK_PATH_MAX];
	const char *file;
	int n;

	if (!smove_split(from->path, old_ds, &file))
		n = snprintf(d->name, sizeof(d->name), "%s/%s.disk", cfg->name, from->path);
	else if (strcmp(old_ds, d->ds_name))
		n = snprintf(d->name, sizeof(d->name), "%s", file);
	else
		n = beside(p->s, d, cfg, file);
	d->to = *from;
	if (n < (int)sizeof(d->name))
		n = snprintf(path, sizeof(path), "/ds/%s/%.*s", d->ds_name, VM_DISK_PATH_MAX - 1,
			     d->name);
	if (n >= (int)sizeof(path))
		return refuse(p, -EINVAL, "invalid", "the new path of disk %u is too long",
			      d->index);
	memcpy(d->to.path, path, sizeof(path));
	if (old_ds[0])
		seat(p->s, old_ds);
	seat(p->s, d->ds_name);
	return 0;
}

static int add(struct plan *p, const struct vm_config *cfg, unsigned index, const char *to)
{
	struct smove_disk *d = &p->s->disk[p->s->nr++];
	const struct vm_disk *from = &cfg->disk[index];

	if (!ds_find(to))
		return refuse(p, -ENOENT, "not-found",
			      "no datastore '%s' is mounted here: 'datastore list'", to);
	if (from->read_only)
		return refuse(p, -ENOTSUP, "unsupported",
			      "disk %u is only read, others may be reading it: it stays", index);
	if (from->mode != VM_DISK_NORMAL && from->mode != VM_DISK_INDEPENDENT)
		return refuse(p, -ENOTSUP, "unsupported", "disk %u is not persistent: it stays",
			      index);
	d->s = p->s;
	d->index = index;
	snprintf(d->ds_name, sizeof(d->ds_name), "%s", to);
	return name_it(p, d, cfg);
}

/* Of a whole VM: is this one to go? */
static bool goes_along(const struct vm_disk *d, const char *all, enum mig_disk_kind kind)
{
	const char *file;
	char ds[32];

	if (!all[0] || d->read_only || d->mode == VM_DISK_NONPERSISTENT)
		return false;
	return kind != MIG_DISK_KEEP || !smove_split(d->path, ds, &file) || strcmp(ds, all) != 0;
}

/* A disk that is named goes, or it is an error. */
static int plan_one(struct plan *p, const struct vm_config *cfg, unsigned i)
{
	const struct mig_disks *r = &p->s->j->req.disks;
	const char *file;
	char ds[32];

	if (!r->to[i][0])
		return goes_along(&cfg->disk[i], r->all, r->kind) ? add(p, cfg, i, r->all) : 0;
	if (i >= cfg->disks)
		return refuse(p, -EINVAL, "invalid", "%s has no disk %u: 'vm info' lists them",
			      cfg->name, i);
	if (r->kind == MIG_DISK_KEEP && smove_split(cfg->disk[i].path, ds, &file) &&
	    !strcmp(ds, r->to[i]))
		return refuse(p, -EINVAL, "invalid", "disk %u is on %s already", i, ds);
	return add(p, cfg, i, r->to[i]);
}

/* A whole VM goes with its home. */
static int plan_home(struct plan *p, const struct vm_config *cfg)
{
	const char *to = p->s->j->req.disks.all;

	p->s->home_goes = to[0] && cfg->home[0] && strcmp(to, cfg->home) != 0;
	if (!p->s->home_goes)
		return 0;
	if (!ds_find(to))
		return refuse(p, -ENOENT, "not-found",
			      "no datastore '%s' is mounted here: 'datastore list'", to);
	seat(p->s, cfg->home);
	seat(p->s, to);
	return 0;
}

static int refuse_nothing(struct plan *p, const struct vm_config *cfg)
{
	if (!cfg->disks)
		return refuse(p, -EINVAL, "invalid", "%s has no disks: nothing would move",
			      cfg->name);
	return refuse(p, -EINVAL, "invalid",
		      "nothing would move: what %s writes is on %s already, what it only reads, or "
		      "forgets, stays",
		      cfg->name, p->s->j->req.disks.all);
}

int smove_plan(struct smove *s, const struct vm_config *cfg, char *code, size_t code_len, char *why,
	       size_t why_len)
{
	struct plan p = { s, code, why, code_len, why_len };
	int err = 0;

	for (unsigned i = 0; i < VM_DISKS_MAX && !err; i++)
		if (i < cfg->disks || s->j->req.disks.to[i][0])
			err = plan_one(&p, cfg, i);
	if (!err)
		err = plan_home(&p, cfg);
	return err || s->nr || s->home_goes ? err : refuse_nothing(&p, cfg);
}

/* What else is changed of a disk meanwhile, as its limits, stays so. */
void smove_new_disks(const struct smove *s, struct vm_disk disk[VM_DISKS_MAX])
{
	memcpy(disk, s->j->vm->cfg.disk, VM_DISKS_MAX * sizeof(*disk));
	for (unsigned i = 0; i < s->nr; i++) {
		const struct smove_disk *d = &s->disk[i];

		memcpy(disk[d->index].path, d->to.path, sizeof(d->to.path));
	}
}

int smove_new_config(const struct smove *s, struct vm_config *cfg)
{
	*cfg = s->j->vm->cfg;
	smove_new_disks(s, cfg->disk);
	return s->home ? home_carry_config(s->home, cfg) : 0;
}
