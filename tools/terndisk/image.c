/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images: opening and mounting one as this machine, and saying what went wrong.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/terndisk/terndisk.h"

#define MACHINE_ID "/etc/machine-id"

static const char *reason(int err)
{
	switch (-err) {
	case ENOENT:
		return "no datastore there, or no such file in it";
	case EPROTO:
		return "made by a later version, or on a disk with smaller sectors";
	case EBADMSG:
		return "its metadata is damaged: try 'terndisk check'";
	case ERANGE:
		return "too small for a datastore: it takes some MiB for itself";
	case EBUSY:
		return "in use by a host that is alive";
	case ENFILE:
		return "no slot or table entry is left";
	case ESTALE:
		return "this machine lost its place among the hosts: try again";
	case EINVAL:
		return "name, size or option out of range";
	default:
		return strerror(-err);
	}
}

int cannot_open(const char *path, int err)
{
	fprintf(stderr, "terndisk: %s: %s\n", path,
		err == -EWOULDBLOCK ? "another terndisk is at work there: wait for it"
		: err == -ETXTBSY   ? "QEMU has it open: end that first"
		: err == -ENOENT    ? "there is no such file ('mkfs --size SIZE' makes one)"
				    : strerror(-err));
	return 1;
}

int image_open(struct filedisk *d, const char *path, enum image_mode mode)
{
	int err = filedisk_open(d, path, mode != IMAGE_READ);

	if (!err && mode != IMAGE_READ) {
		err = filedisk_lock(d->fd, mode == IMAGE_ALONE);
		if (err)
			filedisk_close(d);
	}
	return err ? cannot_open(path, err) : 0;
}

int complain(const char *path, const char *what, int err)
{
	fprintf(stderr, "terndisk: %s: %s: %s\n", path, what, reason(err));
	return 1;
}

/* From the machine's identity, changed, so that it is not that of a host on this machine. */
void this_host(struct ds_host *h)
{
	char text[33] = "";
	FILE *f = fopen(MACHINE_ID, "r");
	size_t n = f ? fread(text, 1, 32, f) : 0;

	if (f)
		fclose(f);
	memset(h, 0, sizeof(*h));
	memcpy(h->id, "terndisk", 8);
	for (size_t i = 0; i < n; i++)
		h->id[8 + i % 8] = (uint8_t)(h->id[8 + i % 8] * 31 + (uint8_t)text[i]);
	memcpy(h->name, "terndisk@", 9);
	gethostname(h->name + 9, sizeof(h->name) - 10);
}

int image_mount(struct image *im, const char *path, enum ds_mount_mode mode)
{
	struct ds_host host;
	int err;

	im->path = path;
	im->ds = NULL;
	if (image_open(&im->disk, path, mode == DS_MOUNT_WRITE ? IMAGE_WRITE : IMAGE_READ))
		return 1;
	this_host(&host);
	err = ds_mount(&im->disk.dev, &host, mode, &im->ds);
	if (err) {
		filedisk_close(&im->disk);
		return complain(path, "mount", err);
	}
	return 0;
}

int image_close(struct image *im, int status)
{
	int err = ds_unmount(im->ds);

	filedisk_close(&im->disk);
	return err ? complain(im->path, "unmount", err) : status;
}
