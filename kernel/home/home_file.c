/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptions as files of datastores. One is never written over: a new file is written
 * beside it, NAME.vm.new, flushed, and takes its place in one transaction, so that a power cut
 * leaves the old one or the new one; what a crash leaves of the new file goes at the next mount.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>
#include <tern/page.h>

#include "home_int.h"

#define TEXT_ORDER 1u
_Static_assert(VM_DESC_BYTES_MAX == PAGE_SIZE << TEXT_ORDER, "a description's memory");

void home_file_path(const char *store, const char *name, char out[VM_HOME_PATH])
{
	snprintf(out, VM_HOME_PATH, "/ds/%s/%s/%s.vm", store, name, name);
}

void home_new_name(const char *name, char out[HOME_NEW_NAME])
{
	snprintf(out, HOME_NEW_NAME, "%s/%s.vm.new", name, name);
}

int home_store(const char *name, struct datastore **out, char *why, size_t len)
{
	*out = ds_find(name);
	if (*out)
		return 0;
	snprintf(why, len, "datastore %s is not mounted here: 'datastore list'", name);
	return -ENOENT;
}

int home_say(int err, struct datastore *ds, const char *path, char *why, size_t len)
{
	struct ds_entry e;
	const char *file;
	bool held = err == -EBUSY && !ds_path(path, &ds, &file) && !ds_stat(ds, file, &e) &&
		    e.lease == DS_LEASE_OTHER;

	if (held)
		snprintf(why, len, "%s: host '%s' runs this VM, or changes it", path, e.holder);
	else
		snprintf(why, len, "%s: %s", path, ds_error_text(err));
	return err;
}

/* ---- reading ---- */

static int read_text(struct ds_file *f, char *text, size_t *len)
{
	struct blkdev *d = ds_file_blk(f);
	uint64_t size = ds_file_size(f);

	if (size > VM_DESC_BYTES_MAX)
		return -EFBIG;
	*len = (size_t)size;
	return blk_transfer(d, BLK_READ, 0, ALIGN_UP(size, d->geo.block_bytes) / d->geo.block_bytes,
			    text);
}

static int load(struct vm_desc *d, const char *path, uint64_t *file, char *text, char *why,
		size_t len)
{
	struct datastore *ds;
	struct ds_lease lease;
	struct ds_file *f;
	const char *name;
	char what[224];
	size_t n = 0;
	int err = home_store(d->cfg.home, &ds, why, len);

	if (err)
		return err;
	err = ds_path(path, &ds, &name);
	if (!err)
		err = ds_open(ds, name, DS_OPEN_READ, &f);
	if (err)
		return home_say(err, ds, path, why, len);
	err = read_text(f, text, &n);
	ds_file_lease(f, &lease);
	*file = lease.file;
	ds_close(f);
	if (err == -EFBIG)
		snprintf(why, len, "%s: a description has up to %u bytes", path, VM_DESC_BYTES_MAX);
	else if (err)
		home_say(err, ds, path, why, len);
	if (err)
		return err;
	err = vm_desc_parse(d, text, n, what, sizeof(what));
	if (err)
		snprintf(why, len, "%s: %s", path, what);
	return err ? -EINVAL : 0;
}

int home_load_text(struct vm_desc *d, uint64_t *file, char *why, size_t len)
{
	char path[VM_HOME_PATH];
	hpa_t buf;
	int err = page_alloc(TEXT_ORDER, 0, FRAME_KERNEL, &buf);

	if (err) {
		snprintf(why, len, "the host has no memory for it");
		return err;
	}
	home_file_path(d->cfg.home, d->cfg.name, path);
	err = load(d, path, file, hpa_ptr(buf), why, len);
	page_put(buf);
	return err;
}

int home_load(struct vm_desc *d, uint64_t *file, char *why, size_t len)
{
	int err = home_load_text(d, file, why, len);

	if (!err)
		err = home_counts(d, why, len);
	return err ? err : home_refuse_unsettled(d, why, len);
}

/* ---- writing ---- */

static int from_memory(void *user, uint64_t at, size_t bytes, void *buf)
{
	memcpy(buf, (const char *)user + at, bytes);
	return 0;
}

/* The new file beside the old one, whole; what an earlier try left goes first. */
static int write_new(struct datastore *ds, const char *fresh, char *text, size_t len)
{
	const struct ds_source from = { .size = len, .read = from_memory, .user = text };
	int err = ds_import_unfinished(ds, fresh, DS_KIND_PLAIN, &from);

	if (err != -EEXIST)
		return err;
	err = ds_remove(ds, fresh);
	return err ? err : ds_import_unfinished(ds, fresh, DS_KIND_PLAIN, &from);
}

int home_write_new(const struct vm_desc *d, char *why, size_t len)
{
	char path[VM_HOME_PATH], fresh[HOME_NEW_NAME];
	struct datastore *ds;
	hpa_t buf;
	int n, err = home_store(d->cfg.home, &ds, why, len);

	if (err)
		return err;
	home_file_path(d->cfg.home, d->cfg.name, path);
	home_new_name(d->cfg.name, fresh);
	err = page_alloc(TEXT_ORDER, 0, FRAME_KERNEL, &buf);
	if (err)
		return home_say(err, ds, path, why, len);
	n = vm_desc_write(d, hpa_ptr(buf), VM_DESC_BYTES_MAX);
	err = n < 0 ? n : write_new(ds, fresh, hpa_ptr(buf), (size_t)n);
	page_put(buf);
	return err ? home_say(err, ds, path, why, len) : 0;
}

int home_is_named(struct datastore *ds, const char *name, uint64_t file)
{
	struct ds_entry e;
	int err = ds_stat(ds, name, &e);

	if (err && err != -ENOENT)
		return -EINPROGRESS;
	return !err && e.id == file ? 0 : -ENOENT;
}

int home_find_out_locked(struct home *h, char *why, size_t len)
{
	struct ds_file *was = h->held;
	char path[VM_HOME_PATH];
	struct datastore *ds;
	struct ds_lease l;
	const char *name;
	int err;

	if (!h->maybe)
		return 0;
	home_file_path(h->store, h->name, path);
	ds_file_lease(h->maybe, &l);
	err = ds_path(path, &ds, &name) ? -EINPROGRESS : home_is_named(ds, name, l.file);
	if (err == -EINPROGRESS) {
		snprintf(why, len, "%s: its datastore does not say how its last change ended",
			 path);
		return -EIO;
	}
	if (!err) {
		h->held = h->maybe;
		h->file = l.file;
		h->maybe = was;
	}
	ds_close(h->maybe);
	h->maybe = NULL;
	return 0;
}

/*
 * The new file takes the old one's place, and is held instead of it while the VM is on. Where
 * nobody can say whether it has, both are held: else another host could start the VM. Who has lost
 * the old one's lease to another host, which may be off again, does not get it back so.
 */
static int put_in_place(struct home *h, struct datastore *ds, const char *fresh, const char *name)
{
	struct ds_file *was = h->held, *f = NULL;
	struct ds_lease l = { .file = 0 };
	int named, err = was ? ds_lease_held(was) : 0;

	if (!err && was)
		err = ds_open(ds, fresh, DS_OPEN_WRITE, &f);
	if (!err)
		err = ds_replace(ds, fresh, name, NULL);
	if (!f)
		return err;
	ds_file_lease(f, &l);
	named = err ? home_is_named(ds, name, l.file) : 0;
	if (named == -EINPROGRESS) {
		h->maybe = f;
		return err;
	}
	h->held = named ? was : f;
	ds_close(named ? f : was);
	return named ? err : 0;
}

int home_save_locked(struct home *h, const struct vm_desc *d, char *why, size_t len)
{
	char path[VM_HOME_PATH], fresh[HOME_NEW_NAME];
	struct datastore *ds;
	struct ds_entry e;
	const char *name;
	int err = home_find_out_locked(h, why, len);

	if (!err)
		err = home_write_new(d, why, len);
	if (err)
		return err;
	home_file_path(d->cfg.home, d->cfg.name, path);
	home_new_name(d->cfg.name, fresh);
	err = ds_path(path, &ds, &name);
	if (!err)
		err = put_in_place(h, ds, fresh, name);
	if (!err)
		err = ds_stat(ds, name, &e);
	if (!err)
		h->file = e.id;
	if (ds_stat(ds, fresh, &e) != -ENOENT && ds_remove(ds, fresh))
		log_warn("home", "%s.new is left: it is in nobody's way", path);
	return err ? home_say(err, ds, path, why, len) : 0;
}
