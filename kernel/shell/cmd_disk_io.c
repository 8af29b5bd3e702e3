/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk sum: the CRC-32 of a disk's contents, as zlib and gzip count it, to compare
 * with an image file. [RFC 1952 8 "Appendix: Sample CRC Code"]
 *
 * disk test: writes a pattern over a range, flushes, reads it back and compares;
 * then zeroes the range's last quarter and discards its last eighth where the disk
 * can. The eight bytes at offset x of the disk are x + seed times PATTERN, little-endian.
 * Memory is laid out in turn as one piece, as pages in reverse order, and at an odd
 * address, so that drivers meet lists that they must cut, join or copy.
 */
#include <errno.h>
#include <string.h>

#include <tern/page.h>

#include "cmd_disk.h"
#include "shell_int.h"

#define BUFFER_ORDER 9u
#define CHUNK_BYTES (1u << 20)
#define MAX_SEGS (CHUNK_BYTES / PAGE_SIZE)
#define PATTERN 0x9e3779b97f4a7c15ull
#define CRC_POLYNOMIAL 0xedb88320u

enum layout { ONE_PIECE, PAGES_REVERSED, ODD_ADDRESS, LAYOUTS };

struct range {
	uint64_t block, blocks;
};

struct io {
	struct shell *sh;
	struct cmd_target target;
	struct blkdev *d; /* the target's */
	struct range range;
	uint64_t seed;
	hpa_t page;
	char *buf; /* CHUNK_BYTES and a page more */
	uint32_t chunk_blocks;
	uint64_t wrong; /* offset of the first wrong word */
	bool differs, zeroed, discarded;
};

/* ---- options, buffer ---- */

static bool range_opt(struct shell *sh, int *argc, char **argv, const struct blkdev *d,
		      struct range *r)
{
	const char *from = shell_opt(argc, argv, "--from"), *n = shell_opt(argc, argv, "--blocks");

	*r = (struct range){ 0, d->geo.blocks };
	if (from && (parse_u64(from, &r->block) || r->block >= d->geo.blocks)) {
		shell_error(sh, "invalid", "--from %s is not a number below %llu", from,
			    (unsigned long long)d->geo.blocks);
		return false;
	}
	r->blocks = d->geo.blocks - r->block;
	if (n && (parse_u64(n, &r->blocks) || !r->blocks || r->blocks > d->geo.blocks - r->block)) {
		shell_error(sh, "invalid", "--blocks %s is not a number from 1 to %llu", n,
			    (unsigned long long)(d->geo.blocks - r->block));
		return false;
	}
	return true;
}

static bool options(struct io *io, int *argc, char **argv)
{
	const char *seed = shell_opt(argc, argv, "--seed");

	if (seed && parse_u64(seed, &io->seed)) {
		shell_error(io->sh, "invalid", "--seed %s is not a number", seed);
		return false;
	}
	if (!range_opt(io->sh, argc, argv, io->d, &io->range))
		return false;
	if (*argc > 2) {
		shell_error(io->sh, "usage", "unexpected: %s", argv[2]);
		return false;
	}
	return true;
}

static bool io_begin(struct io *io, struct shell *sh, int *argc, char **argv, const char *writer)
{
	*io = (struct io){ .sh = sh };
	if (*argc < 2) {
		shell_error(sh, "usage", "which disk? See 'disk list'");
		return false;
	}
	if (cmd_target_open(sh, argv[1], writer, &io->target))
		return false;
	io->d = io->target.dev;
	if (!options(io, argc, argv))
		goto close;
	io->chunk_blocks = MIN(CHUNK_BYTES, io->d->geo.max_bytes) / io->d->geo.block_bytes;
	if (page_alloc(BUFFER_ORDER, 0, FRAME_KERNEL, &io->page)) {
		shell_error(sh, "no-memory", "no memory for a buffer");
		goto close;
	}
	io->buf = hpa_ptr(io->page);
	return true;
close:
	cmd_target_close(&io->target);
	return false;
}

/* After the last word about it: a file's name goes with it. */
static void io_end(struct io *io)
{
	page_put(io->page);
	cmd_target_close(&io->target);
}

/* ---- disk sum ---- */

static uint32_t crc32_more(uint32_t crc, const uint8_t *b, size_t len)
{
	static uint32_t table[256];

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		uint32_t v = i;

		for (unsigned bit = 0; bit < 8; bit++)
			v = v >> 1 ^ ((v & 1) ? CRC_POLYNOMIAL : 0);
		table[i] = v;
	}
	crc = ~crc;
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *b++) & 0xff];
	return ~crc;
}

static int sum_range(struct io *io, uint32_t *crc)
{
	uint32_t block_bytes = io->d->geo.block_bytes;
	int err = 0;

	*crc = 0;
	for (uint64_t done = 0; !err && done < io->range.blocks;) {
		uint64_t n = MIN(io->range.blocks - done, io->chunk_blocks);

		if (shell_interrupted(io->sh))
			return -EINTR;
		err = blk_transfer(io->d, BLK_READ, io->range.block + done, n, io->buf);
		if (!err)
			*crc = crc32_more(*crc, (uint8_t *)io->buf, (size_t)n * block_bytes);
		done += n;
	}
	return err;
}

static int sum_report(struct io *io, uint32_t crc)
{
	struct shell *sh = io->sh;

	if (!shell_json(sh)) {
		shell_printf(sh, "%08x\n", (unsigned)crc);
		return 0;
	}
	json_object(sh, NULL);
	json_str(sh, "disk", io->d->name);
	json_u64(sh, "block", io->range.block);
	json_u64(sh, "blocks", io->range.blocks);
	json_u64(sh, "crc32", crc);
	json_end(sh);
	return 0;
}

int cmd_disk_sum(struct shell *sh, int argc, char **argv)
{
	struct io io;
	uint32_t crc;
	int err;

	if (!io_begin(&io, sh, &argc, argv, NULL))
		return 1;
	err = sum_range(&io, &crc);
	if (err == -EINTR)
		err = shell_error(sh, "canceled", "interrupted");
	else if (err)
		err = cmd_disk_error(sh, io.d, err);
	else
		err = sum_report(&io, crc);
	io_end(&io);
	return err;
}

/* ---- disk test ---- */

static uint32_t lay_out(const struct io *io, enum layout how, uint32_t bytes, struct blk_seg *segs)
{
	uint32_t n = 0;

	if (how != PAGES_REVERSED || (bytes + PAGE_MASK) / PAGE_SIZE > io->d->geo.max_segs) {
		segs[0] = (struct blk_seg){ HPA(io->page.v + (how == ODD_ADDRESS)), bytes };
		return 1;
	}
	for (uint32_t at = 0; at < bytes; at += (uint32_t)PAGE_SIZE, n++)
		segs[n] = (struct blk_seg){
			.addr = HPA(io->page.v + CHUNK_BYTES - (uint64_t)(n + 1) * PAGE_SIZE),
			.len = (uint32_t)MIN(PAGE_SIZE, bytes - at),
		};
	return n;
}

/* Fills a chunk's memory, or compares it; zeroes instead of the pattern where asked. */
static void each_word(struct io *io, const struct blk_req *r, bool fill, bool zeroes)
{
	uint64_t offset = r->block * io->d->geo.block_bytes, word;

	for (uint32_t i = 0; i < r->nr_segs; i++) {
		char *at = hpa_ptr(r->segs[i].addr), *end = at + r->segs[i].len;

		for (; at < end; at += sizeof(word), offset += sizeof(word)) {
			uint64_t want = zeroes ? 0 : (offset + io->seed) * PATTERN;

			if (fill) {
				memcpy(at, &want, sizeof(want));
				continue;
			}
			memcpy(&word, at, sizeof(word));
			if (word != want && !io->differs) {
				io->differs = true;
				io->wrong = offset;
			}
		}
	}
}

/* One pass over a range: written with the pattern, or read and compared. */
static int pass(struct io *io, struct range range, enum blk_op op, bool zeroes)
{
	struct blk_seg segs[MAX_SEGS];
	unsigned turn = op == BLK_READ; /* another layout than the write's */
	int err = 0;

	for (uint64_t done = 0; !err && !io->differs && done < range.blocks; turn++) {
		uint64_t n = MIN(range.blocks - done, io->chunk_blocks);
		uint32_t bytes = (uint32_t)n * io->d->geo.block_bytes;
		struct blk_req r = { .op = op, .block = range.block + done, .blocks = n };

		r.segs = segs;
		r.nr_segs = lay_out(io, turn % LAYOUTS, bytes, segs);
		if (shell_interrupted(io->sh))
			return -EINTR;
		if (op == BLK_WRITE)
			each_word(io, &r, true, zeroes);
		err = blk_wait(io->d, &r);
		if (!err && op == BLK_READ)
			each_word(io, &r, false, zeroes);
		done += n;
	}
	return err;
}

static int flush(struct io *io)
{
	struct blk_req r = { .op = BLK_FLUSH };

	return blk_wait(io->d, &r);
}

static int simple_op(struct io *io, struct range range, enum blk_op op, uint64_t most)
{
	int err = 0;

	for (uint64_t done = 0, n; !err && done < range.blocks; done += n) {
		struct blk_req r = { .op = op, .block = range.block + done };

		n = MIN(range.blocks - done, most);
		r.blocks = n;
		err = blk_wait(io->d, &r);
	}
	return err;
}

/* The last blocks of the range, a part of it. */
static struct range tail(const struct io *io, uint64_t part)
{
	uint64_t n = io->range.blocks / part;

	return (struct range){ io->range.block + io->range.blocks - n, n };
}

static int test_range(struct io *io)
{
	const struct blk_geometry *g = &io->d->geo;
	struct range quarter = tail(io, 4), eighth = tail(io, 8);
	int err = pass(io, io->range, BLK_WRITE, false);

	if (!err)
		err = flush(io);
	if (!err)
		err = pass(io, io->range, BLK_READ, false);
	io->zeroed = g->max_zeroes_blocks && quarter.blocks;
	if (!err && !io->differs && io->zeroed) {
		err = simple_op(io, quarter, BLK_WRITE_ZEROES, g->max_zeroes_blocks);
		if (!err)
			err = pass(io, quarter, BLK_READ, true);
	}
	io->discarded = g->max_discard_blocks && eighth.blocks;
	if (!err && !io->differs && io->discarded)
		err = simple_op(io, eighth, BLK_DISCARD, g->max_discard_blocks);
	return err ? err : flush(io);
}

static void test_report(struct io *io)
{
	struct shell *sh = io->sh;

	if (!shell_json(sh)) {
		shell_printf(sh, "%s: %llu blocks written, flushed and read back: all right\n",
			     io->d->name, (unsigned long long)io->range.blocks);
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "disk", io->d->name);
	json_u64(sh, "block", io->range.block);
	json_u64(sh, "blocks", io->range.blocks);
	json_bool(sh, "zeroed", io->zeroed);
	json_bool(sh, "discarded", io->discarded);
	json_end(sh);
}

static int test_verdict(struct io *io, int err)
{
	if (err == -EINTR)
		return shell_error(io->sh, "canceled", "interrupted");
	if (err)
		return cmd_disk_error(io->sh, io->d, err);
	if (io->differs)
		return shell_error(io->sh, "miscompare", "%s: wrong data at byte %llu", io->d->name,
				   (unsigned long long)io->wrong);
	test_report(io);
	return 0;
}

int cmd_disk_test(struct shell *sh, int argc, char **argv)
{
	bool force = shell_flag(&argc, argv, "--force");
	struct io io;
	int err;

	if (!io_begin(&io, sh, &argc, argv, "disk test"))
		return 1;
	if (force)
		err = test_verdict(&io, test_range(&io));
	else
		err = shell_error(sh, "refused",
				  "this destroys what is on %s (%s): say --force if it may go",
				  io.d->name, io.d->model);
	io_end(&io);
	return err;
}
