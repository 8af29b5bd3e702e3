/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datastores for people: paths, kinds of files and errors in words.
 */
#include <errno.h>
#include <string.h>

#include "kernel/store/ds_int.h"

#define PREFIX "/ds/"

int ds_path(const char *path, struct datastore **ds, const char **file)
{
	char name[DS_NAME];
	const char *slash;
	size_t len;

	if (strncmp(path, PREFIX, strlen(PREFIX)))
		return -EINVAL;
	path += strlen(PREFIX);
	slash = strchr(path, '/');
	len = slash ? (size_t)(slash - path) : strlen(path);
	if (!len || len >= sizeof(name))
		return -EINVAL;
	memcpy(name, path, len);
	name[len] = 0;
	*ds = ds_find(name);
	*file = slash ? slash + 1 : path + len;
	return *ds ? 0 : -ENOENT;
}

static const struct {
	int err;
	const char *code, *text;
} words[] = {
	{ -ENOENT, "not-found", "there is no such file or datastore" },
	{ -EEXIST, "exists", "there is one of that name already" },
	{ -ENOSPC, "no-space", "the datastore is full" },
	{ -ERANGE, "no-space", "it is too small for a datastore, which takes some MiB for itself" },
	{ -EFBIG, "no-space", "the file is in too many pieces: copy it to a new one" },
	{ -EMLINK, "no-space", "there are 31 snapshots below it: merge some" },
	{ -ENFILE, "no-space", "its file table or its list of hosts is full" },
	{ -EBUSY, "busy",
	  "it is in use: by a host that is alive, or a file that stands on it; or it is not "
	  "whole" },
	{ -EMFILE, "busy", "16 datastores are mounted on this host: unmount one" },
	{ -ENOBUFS, "no-space", "it changes more at once than the datastore's log holds" },
	{ -ENODEV, "io", "the disk is gone, see 'log'" },
	{ -EALREADY, "busy", "it is being moved, with its snapshots: 'tasks' shows it" },
	{ -ESTALE, "lost", "this host may not write there any more: unmount and mount it again" },
	{ -EBADMSG, "damaged",
	  "its metadata is damaged: 'terndisk check --repair' mends what it can" },
	{ -EPROTO, "version", "it was made by a later version, or for smaller sectors" },
	{ -EROFS, "read-only", "it cannot be written" },
	{ -EINVAL, "invalid", "the name or the size is none" },
	{ -ENOTSUP, "unsupported", "nothing stands on it: 'datastore rm' removes it" },
	{ -ENOMEM, "no-memory", "the host has no memory for it" },
	{ -ETIMEDOUT, "timeout", "the disk does not answer, see 'log'" },
};

const char *ds_error_code(int err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].err == err)
			return words[i].code;
	return "io";
}

const char *ds_error_text(int err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].err == err)
			return words[i].text;
	return "the disk failed the request, see 'log'";
}

static const char *const kinds[] = { "?", "plain", "flat", "thin", "delta" };

const char *ds_kind_text(enum ds_kind kind)
{
	return kinds[(unsigned)kind < ARRAY_SIZE(kinds) ? kind : 0];
}

int ds_kind_of(const char *word, enum ds_kind *kind)
{
	for (*kind = DS_KIND_PLAIN; *kind <= DS_KIND_THIN; (*kind)++)
		if (!strcmp(word, kinds[*kind]))
			return 0;
	return -EINVAL;
}
