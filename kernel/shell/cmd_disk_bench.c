/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk bench: what a disk or a file does under a load (disk_load.h), reading unless it
 * is told to write over it. Its options are those that fio has: size of a request, how
 * many in flight, sequential or random.
 */
#include <tern/timer.h>

#include "cmd_disk.h"
#include "disk_load.h"
#include "shell_int.h"

#define SECONDS_DEFAULT 5u
#define SECONDS_MAX 60u
#define DEPTH_MAX 128u
#define SIZE_DEFAULT (64u << 10)
#define SIZE_MAX_BYTES (1u << 20)

static void report(struct shell *sh, const struct disk_load *l, const struct disk_load_result *r)
{
	uint64_t bytes = r->requests * l->bytes, us = MAX(r->ns / NSEC_PER_USEC, 1ull);
	uint64_t centi_mb = bytes * 100 / us, iops = r->requests * 1000000 / us;
	uint64_t avg_ns = r->requests ? r->sum_ns / r->requests : 0;

	if (!shell_json(sh)) {
		shell_printf(sh, "%llu %s of %llu bytes, %llu in flight, in %llu ms\n",
			     (unsigned long long)r->requests, l->write ? "writes" : "reads",
			     (unsigned long long)l->bytes, (unsigned long long)l->depth,
			     (unsigned long long)(r->ns / NSEC_PER_MSEC));
		shell_printf(sh,
			     "%llu.%02llu MB/s, %llu requests/s, latency avg %llu max %llu us\n",
			     (unsigned long long)(centi_mb / 100),
			     (unsigned long long)(centi_mb % 100), (unsigned long long)iops,
			     (unsigned long long)(avg_ns / NSEC_PER_USEC),
			     (unsigned long long)(r->max_ns / NSEC_PER_USEC));
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "disk", l->d->name);
	json_bool(sh, "write", l->write);
	json_u64(sh, "requests", r->requests);
	json_u64(sh, "size", l->bytes);
	json_u64(sh, "depth", l->depth);
	json_u64(sh, "bytes", bytes);
	json_u64(sh, "ns", r->ns);
	json_u64(sh, "mb_per_s", centi_mb / 100);
	json_u64(sh, "requests_per_s", iops);
	json_u64(sh, "avg_ns", avg_ns);
	json_u64(sh, "max_ns", r->max_ns);
	json_end(sh);
}

static bool options(struct shell *sh, int *argc, char **argv, struct disk_load *l)
{
	const char *seconds = shell_opt(argc, argv, "--seconds");
	const char *size = shell_opt(argc, argv, "--size");
	const char *depth = shell_opt(argc, argv, "--depth");

	l->random = shell_flag(argc, argv, "--random");
	l->write = shell_flag(argc, argv, "--write");
	if (seconds && (parse_u64(seconds, &l->seconds) || !l->seconds || l->seconds > SECONDS_MAX))
		shell_error(sh, "invalid", "--seconds %s is not a number from 1 to %u", seconds,
			    SECONDS_MAX);
	else if (depth && (parse_u64(depth, &l->depth) || !l->depth || l->depth > DEPTH_MAX))
		shell_error(sh, "invalid", "--depth %s is not a number from 1 to %u", depth,
			    DEPTH_MAX);
	else if (size && parse_size(size, &l->bytes))
		shell_error(sh, "invalid", "--size %s is not a size", size);
	else if (*argc != 2)
		shell_error(sh, "usage", "disk bench DISK [options]; see --help");
	else
		return true;
	return false;
}

static bool size_fits(struct shell *sh, const struct disk_load *l)
{
	const struct blk_geometry *g = &l->d->geo;
	uint64_t most = MIN((uint64_t)SIZE_MAX_BYTES, g->blocks * g->block_bytes);

	if (l->bytes && l->bytes % g->block_bytes == 0 && l->bytes <= most)
		return true;
	shell_error(sh, "invalid", "--size must be a multiple of %u, at most %llu", g->block_bytes,
		    (unsigned long long)most);
	return false;
}

static int bench(struct shell *sh, const struct disk_load *l)
{
	struct disk_load_result r;

	if (!size_fits(sh, l))
		return 1;
	if (disk_load_run(sh, l, &r))
		return shell_error(sh, "no-memory", "no memory for the buffers");
	if (r.err)
		return cmd_disk_error(sh, l->d, r.err);
	report(sh, l, &r);
	return 0;
}

int cmd_disk_bench(struct shell *sh, int argc, char **argv)
{
	struct disk_load l = { .seconds = SECONDS_DEFAULT, .bytes = SIZE_DEFAULT, .depth = 1 };
	bool force = shell_flag(&argc, argv, "--force");
	struct cmd_target t;
	int err;

	if (!options(sh, &argc, argv, &l))
		return 1;
	if (l.write && !force)
		return shell_error(sh, "refused",
				   "this destroys what is on %s: say --force if it may go",
				   argv[1]);
	if (cmd_target_open(sh, argv[1], l.write ? "disk bench" : NULL, &t))
		return 1;
	l.d = t.dev;
	err = bench(sh, &l);
	cmd_target_close(&t);
	return err;
}
