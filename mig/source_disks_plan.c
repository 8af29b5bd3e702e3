/* SPDX-License-Identifier: BSD-2-Clause */
/* Which disks go to the destination with their VM, and where (source_disks.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/store.h>

#include "smove.h"
#include "source_disks.h"

static bool is_on(const struct vm_disk *d, const char *ds)
{
	const char *file;
	char here[32];

	return smove_split(d->path, here, &file) && !strcmp(here, ds);
}

/* On this host itself one that is on its datastore already stays. */
static const char *target_of(const struct mig_job *j, const struct vm_disk *d, unsigned i)
{
	const struct mig_disks *r = &j->req.disks;

	if (r->to[i][0])
		return r->to[i];
	if (d->read_only || d->mode == VM_DISK_NONPERSISTENT || (j->self && is_on(d, r->all)))
		return "";
	return r->all;
}

/* A file keeps its name; a whole disk becomes one of the VM's. */
static bool path_there(const struct vm_config *cfg, unsigned i, const char *ds,
		       char to[VM_DISK_PATH_MAX])
{
	const char *file;
	char here[32];
	int n;

	if (smove_split(cfg->disk[i].path, here, &file))
		n = snprintf(to, VM_DISK_PATH_MAX, "/ds/%s/%s", ds, file);
	else
		n = snprintf(to, VM_DISK_PATH_MAX, "/ds/%s/%s/%s.disk", ds, cfg->name,
			     cfg->disk[i].path);
	return n < VM_DISK_PATH_MAX;
}

static bool is_flat(const struct vm_disk *d)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;

	return !ds_path(d->path, &ds, &name) && !ds_stat(ds, name, &e) && e.kind == DS_KIND_FLAT;
}

static int check_disk(struct mig_job *j, const struct vm_config *cfg, unsigned i, const char *ds)
{
	if (i >= cfg->disks)
		job_error(j, "invalid", "%s has no disk %u: 'vm info' lists them", cfg->name, i);
	else if (j->self && is_on(&cfg->disk[i], ds))
		job_error(j, "invalid", "disk %u is on %s already: name another datastore", i, ds);
	else if (j->self && cfg->home[0])
		job_error(j, "unsupported",
			  "%s is at home on %s: on its own host 'svmotion' moves its disks",
			  cfg->name, cfg->home);
	else
		return 0;
	return -EINVAL;
}

int source_disks_plan(struct source *s)
{
	const struct vm_config *cfg = &s->j->vm->cfg;
	const struct mig_disks *r = &s->j->req.disks;

	if (r->verify && s->j->version < WIRE_VERSION_CHECKS) {
		job_error(s->j, "version",
			  "the destination speaks protocol %u and compares no disks: update it, or "
			  "leave --verify out",
			  s->j->version);
		return -ENOTSUP;
	}
	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		const char *ds = i < cfg->disks ? target_of(s->j, &cfg->disk[i], i) : r->to[i];
		int err = ds[0] ? check_disk(s->j, cfg, i, ds) : 0;

		if (err)
			return err;
		if (!ds[0])
			continue;
		s->disk[i].how = VDISK_COPIED;
		s->disk[i].thin = r->kind == MIG_DISK_THIN ||
				  (r->kind == MIG_DISK_KEEP && !is_flat(&cfg->disk[i]));
		if (!path_there(cfg, i, ds, s->disk[i].to)) {
			job_error(s->j, "invalid", "the new path of disk %u is too long", i);
			return -EINVAL;
		}
	}
	return 0;
}
