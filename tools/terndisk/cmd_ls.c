/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terndisk ls, df, lease, rm and mv.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tern/timer.h>

#include "tools/terndisk/terndisk.h"

#define DEATHS_WATCHED 2u /* as long as two hosts take to be dead, one after the other */
#define TRY_US 100000u

static const char *const leases[] = { "none", "mine", "held", "dead" };

static bool wanted(const struct ds_entry *e, const char *prefix)
{
	return !prefix || !strncmp(e->name, prefix, strlen(prefix));
}

static void print_file(const struct ds_entry *e, bool json, bool first)
{
	if (json)
		printf("%s{\"name\":\"%s\",\"kind\":\"%s\",\"size\":%" PRIu64 ",\"backed\":%" PRIu64
		       ",\"lease\":\"%s\",\"holder\":\"%s\",\"generation\":%" PRIu64
		       ",\"unfinished\":%s,\"multi_writer\":%s}",
		       first ? "" : ",", e->name, ds_kind_text(e->kind), e->size, e->backed_bytes,
		       leases[e->lease], e->holder, e->generation,
		       e->flags & DS_FILE_UNFINISHED ? "true" : "false",
		       e->flags & DS_FILE_MULTI_WRITER ? "true" : "false");
	else
		printf("%-40s %-5s %12" PRIu64 " %12" PRIu64 "%s%s%s\n", e->name,
		       ds_kind_text(e->kind), e->size, e->backed_bytes,
		       e->flags & DS_FILE_UNFINISHED ? " unfinished" : "",
		       e->flags & DS_FILE_MULTI_WRITER ? " multi-writer" : "",
		       e->lease == DS_LEASE_OTHER ? " in use" : "");
}

static int list_files(struct image *im, const char *prefix, bool json)
{
	struct ds_entry e;
	uint32_t cursor = 0;
	bool first = true;
	int err;

	while (!(err = ds_list(im->ds, &cursor, &e)))
		if (wanted(&e, prefix)) {
			print_file(&e, json, first);
			first = false;
		}
	return err == -ENOENT ? 0 : complain(im->path, "ls", err);
}

int cmd_ls(struct options *o, int argc, char **argv)
{
	struct image im;
	struct ds_info i;
	int err, status;

	if (image_mount(&im, argv[0], DS_MOUNT_READ))
		return 1;
	err = ds_info(im.ds, &i);
	if (err)
		return image_close(&im, complain(argv[0], "ls", err));
	if (o->json)
		printf("{\"name\":\"%s\",\"total\":%" PRIu64 ",\"free\":%" PRIu64 ",\"files\":[",
		       i.name, i.total_bytes, i.free_bytes);
	else
		printf("%-40s %-5s %12s %12s\n", "name", "kind", "bytes", "on disk");
	status = list_files(&im, argc > 1 ? argv[1] : NULL, o->json);
	if (o->json)
		puts("]}");
	else
		printf("%s: %" PRIu64 " of %" PRIu64 " MiB free\n", i.name, i.free_bytes >> 20,
		       i.total_bytes >> 20);
	return image_close(&im, status);
}

int cmd_df(struct options *o, int argc, char **argv)
{
	struct ds_usage u;
	struct image im;
	int err;

	(void)argc;
	if (image_mount(&im, argv[0], DS_MOUNT_READ))
		return 1;
	err = ds_usage(im.ds, &u);
	if (err)
		return image_close(&im, complain(argv[0], "df", err));
	if (o->json)
		printf("{\"total\":%" PRIu64 ",\"free\":%" PRIu64 ",\"files\":%" PRIu64
		       ",\"size\":%" PRIu64 ",\"promised\":%" PRIu64 ",\"over\":%" PRIu64 "}\n",
		       u.total_bytes, u.free_bytes, u.files, u.size_bytes, u.promised_bytes,
		       u.over_bytes);
	else
		printf("%" PRIu64 " MiB, %" PRIu64 " free; %" PRIu64 " files of %" PRIu64
		       " MiB together; their holes would take %" PRIu64 " MiB, %" PRIu64
		       " more than there are\n",
		       u.total_bytes >> 20, u.free_bytes >> 20, u.files, u.size_bytes >> 20,
		       u.promised_bytes >> 20, u.over_bytes >> 20);
	return image_close(&im, 0);
}

static void print_lease(const struct ds_entry *e, bool json, bool first)
{
	if (json)
		print_file(e, true, first);
	else if (e->lease != DS_LEASE_NONE)
		printf("%-40s generation %-6" PRIu64 " held by %s\n", e->name, e->generation,
		       e->holder);
}

/* Nobody opens another's file that is not whole: it goes, as at the next mount. */
static int try_to_take(struct datastore *ds, const char *name)
{
	struct ds_entry e;
	struct ds_file *f;
	int err = ds_stat(ds, name, &e);

	if (err)
		return err;
	if (e.flags & DS_FILE_UNFINISHED)
		return ds_remove(ds, name);
	err = ds_open(ds, name, DS_OPEN_WRITE, &f);
	if (!err)
		ds_close(f);
	return err;
}

/* Who is silent now may be alive: until it is known to be dead, and while it lives, -EBUSY. */
static int take_lease(struct datastore *ds, const char *name)
{
	struct ds_info i;
	uint64_t end_ns = time_ns();
	int err = ds_info(ds, &i);

	if (err)
		return err;
	end_ns += DEATHS_WATCHED * (i.lease_ms + i.io_timeout_ms) * NSEC_PER_MSEC;
	while ((err = try_to_take(ds, name)) == -EBUSY && time_ns() < end_ns)
		usleep(TRY_US);
	return err;
}

static int cmd_take(int argc, char **argv)
{
	struct image im;
	int err;

	if (argc < 2) {
		fputs("terndisk: lease --take: whose? it wants the file's NAME\n", stderr);
		return 2;
	}
	if (image_mount(&im, argv[0], DS_MOUNT_WRITE))
		return 1;
	err = take_lease(im.ds, argv[1]);
	return image_close(&im, err ? complain(argv[1], "lease", err) : 0);
}

int cmd_lease(struct options *o, int argc, char **argv)
{
	struct image im;
	struct ds_entry e;
	uint32_t cursor = 0;
	bool first = true;
	int err;

	if (o->take)
		return cmd_take(argc, argv);
	if (image_mount(&im, argv[0], DS_MOUNT_READ))
		return 1;
	if (o->json)
		fputs("[", stdout);
	while (!(err = ds_list(im.ds, &cursor, &e)))
		if (argc < 2 || !strcmp(e.name, argv[1])) {
			print_lease(&e, o->json, first);
			first = false;
		}
	if (o->json)
		puts("]");
	if (err == -ENOENT && argc > 1 && first)
		return image_close(&im, complain(argv[1], "lease", err));
	return image_close(&im, err == -ENOENT ? 0 : complain(argv[0], "lease", err));
}

int cmd_rm(struct options *o, int argc, char **argv)
{
	struct image im;
	int err;

	(void)o;
	(void)argc;
	if (image_mount(&im, argv[0], DS_MOUNT_WRITE))
		return 1;
	err = ds_remove(im.ds, argv[1]);
	return image_close(&im, err ? complain(argv[1], "rm", err) : 0);
}

int cmd_mv(struct options *o, int argc, char **argv)
{
	struct image im;
	int err;

	(void)o;
	(void)argc;
	if (image_mount(&im, argv[0], DS_MOUNT_WRITE))
		return 1;
	err = ds_rename(im.ds, argv[1], argv[2]);
	return image_close(&im, err ? complain(argv[1], "mv", err) : 0);
}
