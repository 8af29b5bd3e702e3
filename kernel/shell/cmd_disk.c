/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk list, read: the host's block devices. disk sum and test are in
 * cmd_disk_io.c, disk bench in cmd_disk_bench.c. No command writes to a disk but
 * "disk test" and "disk bench --write", which want to be told --force.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <tern/page.h>

#include "cmd_disk.h"
#include "cmd_ds.h"
#include "shell_int.h"

#define READ_BLOCKS_MAX 8u
#define DUMP_WIDTH 16u
#define BUFFER_ORDER 3u
#define LOOK_ORDER 5u
#define LOOK_BYTES (PAGE_SIZE << LOOK_ORDER)
_Static_assert((PAGE_SIZE << BUFFER_ORDER) == READ_BLOCKS_MAX * 4096u, "the largest blocks fit");

struct blkdev *cmd_find_disk(struct shell *sh, const char *name)
{
	struct blkdev *d = blk_find(name);

	if (!d)
		shell_error(sh, "not-found", "no disk '%s': see 'disk list'", name);
	return d;
}

static int open_file(struct shell *sh, const char *path, bool write, struct cmd_target *t)
{
	struct datastore *ds;
	const char *file;
	int err;

	if (cmd_ds_path(sh, path, &ds, &file))
		return 1;
	err = ds_open(ds, file, write ? DS_OPEN_WRITE : DS_OPEN_READ, &t->file);
	if (err)
		return cmd_ds_error(sh, path, err);
	t->dev = ds_file_blk(t->file);
	snprintf(t->dev->name, sizeof(t->dev->name), "%s", file);
	return 0;
}

int cmd_claim_disk(struct shell *sh, struct blkdev *d, const char *command)
{
	char who[BLK_OWNER];

	if (!blk_claim(d, command, true))
		return 0;
	blk_owner(d, who);
	return shell_error(sh, "busy", "%s is in use: by %s", d->name, who);
}

int cmd_target_open(struct shell *sh, const char *name, const char *writer, struct cmd_target *t)
{
	*t = (struct cmd_target){ .dev = NULL };
	if (name[0] == '/')
		return open_file(sh, name, writer != NULL, t);
	t->dev = cmd_find_disk(sh, name);
	if (!t->dev)
		return 1;
	if (writer && cmd_claim_disk(sh, t->dev, writer))
		return 1;
	t->claimed = writer != NULL;
	return 0;
}

void cmd_target_close(struct cmd_target *t)
{
	if (t->file)
		ds_close(t->file);
	if (t->claimed)
		blk_disclaim(t->dev);
}

int cmd_disk_error(struct shell *sh, const struct blkdev *d, int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return shell_error(sh, "timeout", "%s does not answer, see 'log'", d->name);
	case -ENOTSUP:
		return shell_error(sh, "unsupported", "%s cannot do this", d->name);
	case -EROFS:
		return shell_error(sh, "read-only", "%s cannot be written", d->name);
	case -EINVAL:
		return shell_error(sh, "invalid", "%s refuses the request as out of range",
				   d->name);
	case -ESTALE:
	case -ENOSPC:
		return cmd_ds_error(sh, d->name, err);
	default:
		return shell_error(sh, "io", "%s failed the request, see 'log'", d->name);
	}
}

void cmd_offer_disks(struct shell *sh, int argc, char **argv)
{
	struct blkdev *d;

	(void)argv;
	for (unsigned i = 0; argc == 2 && (d = blk_at(i)); i++)
		shell_offer(sh, d->name);
}

bool cmd_disk_is_empty(struct blkdev *d)
{
	uint64_t bytes = MIN(LOOK_BYTES, d->geo.blocks * d->geo.block_bytes);
	bool empty = false;
	hpa_t buf;

	if (page_alloc(LOOK_ORDER, 0, FRAME_KERNEL, &buf))
		return false;
	if (!blk_transfer(d, BLK_READ, 0, bytes / d->geo.block_bytes, hpa_ptr(buf))) {
		uint64_t pages = bytes / PAGE_SIZE, i = 0;

		while (i < pages && page_is_zero((uint8_t *)hpa_ptr(buf) + i * PAGE_SIZE))
			i++;
		empty = i == pages;
	}
	page_put(buf);
	return empty;
}

/* ---- disk list ---- */

static void list_json(struct shell *sh, struct blkdev *d)
{
	struct blk_stats s;

	blk_stats(d, &s);
	json_object(sh, NULL);
	json_str(sh, "name", d->name);
	json_str(sh, "driver", d->driver);
	json_str(sh, "model", d->model);
	json_str(sh, "serial", d->serial);
	json_u64(sh, "bytes", d->geo.blocks * d->geo.block_bytes);
	json_u64(sh, "block_bytes", d->geo.block_bytes);
	json_u64(sh, "physical_bytes", d->geo.physical_bytes);
	json_bool(sh, "cache", d->geo.volatile_cache);
	json_bool(sh, "read_only", d->geo.read_only);
	json_u64(sh, "depth", d->geo.queue_depth);
	json_u64(sh, "reads", s.requests[BLK_READ]);
	json_u64(sh, "writes", s.requests[BLK_WRITE]);
	json_u64(sh, "flushes", s.requests[BLK_FLUSH]);
	json_u64(sh, "discards", s.requests[BLK_DISCARD]);
	json_u64(sh, "zeroes", s.requests[BLK_WRITE_ZEROES]);
	json_u64(sh, "read_bytes", s.bytes[BLK_READ]);
	json_u64(sh, "written_bytes", s.bytes[BLK_WRITE]);
	json_u64(sh, "errors", s.errors);
	json_u64(sh, "retries", s.retries);
	json_u64(sh, "timeouts", s.timeouts);
	json_u64(sh, "resets", s.resets);
	json_u64(sh, "lost_interrupts", s.lost);
	json_u64(sh, "doorbells", s.doorbells);
	json_u64(sh, "interrupts", s.interrupts);
	json_u64(sh, "memory_copied_bytes", s.copied_bytes);
	json_end(sh);
}

static void list_text(struct shell *sh, const struct blkdev *d)
{
	char block[24];

	snprintf(block, sizeof(block), "%u/%u", d->geo.block_bytes, d->geo.physical_bytes);
	shell_printf(sh, "%-8s %-10s %8llu  %-9s %-6s %-24s %s\n", d->name, d->driver,
		     (unsigned long long)(d->geo.blocks * d->geo.block_bytes >> 20), block,
		     d->geo.read_only	     ? "ro"
		     : d->geo.volatile_cache ? "write"
					     : "none",
		     d->model, d->serial);
}

static int disk_list(struct shell *sh, int argc, char **argv)
{
	struct blkdev *d;

	(void)argv;
	if (argc != 1)
		return shell_error(sh, "usage", "disk list takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	else if (!blk_at(0))
		shell_printf(sh, "no disk\n");
	else
		shell_printf(sh, "%-8s %-10s %8s  %-9s %-6s %-24s %s\n", "disk", "driver", "MiB",
			     "block", "cache", "model", "serial");
	for (unsigned i = 0; (d = blk_at(i)); i++) {
		if (shell_json(sh))
			list_json(sh, d);
		else
			list_text(sh, d);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

/* ---- disk read ---- */

static void dump_line(struct shell *sh, uint64_t at, const uint8_t *b)
{
	char text[DUMP_WIDTH + 1] = { 0 }, hex[DUMP_WIDTH * 3 + 1];

	for (unsigned i = 0; i < DUMP_WIDTH; i++) {
		snprintf(hex + i * 3, 4, "%02x ", b[i]);
		text[i] = b[i] >= ' ' && b[i] <= '~' ? (char)b[i] : '.';
	}
	shell_printf(sh, "%012llx  %s |%s|\n", (unsigned long long)at, hex, text);
}

static void read_json(struct shell *sh, const struct blkdev *d, uint64_t block, const uint8_t *b,
		      size_t len)
{
	char *hex = malloc(len * 2 + 1);

	if (!hex) {
		shell_error(sh, "no-memory", "no memory for the answer");
		return;
	}
	for (size_t i = 0; i < len; i++)
		snprintf(hex + i * 2, 3, "%02x", b[i]);
	json_object(sh, NULL);
	json_str(sh, "disk", d->name);
	json_u64(sh, "block", block);
	json_u64(sh, "bytes", len);
	json_strn(sh, "hex", hex, len * 2);
	json_end(sh);
	free(hex);
}

static int read_blocks(struct shell *sh, struct blkdev *d, uint64_t block, uint64_t count)
{
	size_t len = (size_t)count * d->geo.block_bytes;
	uint8_t *buf;
	hpa_t page;
	int err;

	if (page_alloc(BUFFER_ORDER, 0, FRAME_KERNEL, &page))
		return shell_error(sh, "no-memory", "no memory for a buffer");
	buf = hpa_ptr(page);
	err = blk_transfer(d, BLK_READ, block, count, buf);
	if (err)
		cmd_disk_error(sh, d, err);
	else if (shell_json(sh))
		read_json(sh, d, block, buf, len);
	else
		for (size_t i = 0; i < len; i += DUMP_WIDTH)
			dump_line(sh, block * d->geo.block_bytes + i, buf + i);
	page_put(page);
	return err ? 1 : 0;
}

static int disk_read(struct shell *sh, int argc, char **argv)
{
	struct blkdev *d;
	uint64_t block, count = 1;

	if (argc < 3 || argc > 4)
		return shell_error(sh, "usage", "disk read DISK BLOCK [COUNT]");
	d = cmd_find_disk(sh, argv[1]);
	if (!d)
		return 1;
	if (parse_u64(argv[2], &block) || block >= d->geo.blocks)
		return shell_error(sh, "invalid", "BLOCK %s is not a number below %llu", argv[2],
				   (unsigned long long)d->geo.blocks);
	if (argc == 4 && (parse_u64(argv[3], &count) || !count || count > READ_BLOCKS_MAX))
		return shell_error(sh, "invalid", "COUNT %s is not a number from 1 to %u", argv[3],
				   READ_BLOCKS_MAX);
	if (count > d->geo.blocks - block)
		return shell_error(sh, "invalid", "%s has no %llu blocks from %llu on", d->name,
				   (unsigned long long)count, (unsigned long long)block);
	return read_blocks(sh, d, block, count);
}

static const struct shell_cmd cmds[] = {
	{ "disk list", "", "this host's disks", disk_list, NULL },
	{ "disk read", "DISK BLOCK [COUNT]", "shows up to 8 blocks", disk_read, cmd_offer_disks },
	{ "disk sum", "DISK|/ds/NAME/FILE [--from BLOCK] [--blocks N]",
	  "CRC-32 of the contents of a disk or a file", cmd_disk_sum, cmd_offer_disks },
	{ "disk bench",
	  "DISK|/ds/NAME/FILE [--seconds N] [--size BYTES] [--depth N] [--random] [--write "
	  "--force]",
	  "reads, or writes over it: MB/s, requests a second, latency", cmd_disk_bench,
	  cmd_offer_disks },
	{ "disk test", "DISK|/ds/NAME/FILE --force [--from BLOCK] [--blocks N] [--seed N]",
	  "overwrites a disk or a range of it, and checks what it reads back", cmd_disk_test,
	  cmd_offer_disks },
};

void cmd_disk_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
