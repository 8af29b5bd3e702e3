/* SPDX-License-Identifier: BSD-2-Clause */
/* A chain that is sent (chain_rig.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "test/unit/chain_rig.h"
#include "test/unit/fake_pipe.h"

#define CREDIT (2u << 20)
#define SOON_NS (60 * NSEC_PER_SEC)

/* ---- what is not there ---- */

bool world_should_yield(void)
{
	return false;
}

void world_yield(void)
{
}

void job_progress(struct mig_job *j, unsigned percent)
{
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
}

/* ---- two datastores ---- */

struct store here, there;

/* Of both: what their devices were given to write. */
static const struct blk_ops *real;
uint64_t written_bytes;

static void submit(struct blkdev *d, struct blk_req *r)
{
	if (r->op == BLK_WRITE || r->op == BLK_WRITE_ZEROES)
		written_bytes += r->blocks * d->geo.block_bytes;
	real->submit(d, r);
}

static const struct blk_ops counting = { .submit = submit };

/* What others have left. */
static void fill_device(int fd)
{
	static uint8_t left[MIB];

	memset(left, 0xa5, sizeof(left));
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(pwrite(fd, left, MIB, i * MIB), MIB);
}

static void mount(struct store *s, const char *name)
{
	static const struct ds_host host = { .id = { 1 }, .name = "a" };
	struct ds_format_options o = { .host = host };
	int fd;

	snprintf(o.name, sizeof(o.name), "%s", name);
	snprintf(s->path, sizeof(s->path), "/tmp/test_chain.XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	fill_device(fd);
	close(fd);
	assert_int_equal(filedisk_open(&s->disk, s->path, true), 0);
	unlink(s->path);
	real = s->disk.dev.ops;
	s->disk.dev.ops = &counting;
	assert_int_equal(ds_format(&s->disk.dev, &o), 0);
	assert_int_equal(ds_mount(&s->disk.dev, &host, DS_MOUNT_WRITE, &s->ds), 0);
}

static void umount(struct store *s)
{
	struct ds_check c = { 0 };

	assert_int_equal(ds_unmount(s->ds), 0);
	assert_int_equal(ds_check(&s->disk.dev, &c), 0);
	assert_int_equal(c.found, 0);
	filedisk_close(&s->disk);
}

int chain_begin(void **state)
{
	mount(&here, "here");
	mount(&there, "there");
	return 0;
}

int chain_end(void **state)
{
	umount(&here);
	umount(&there);
	assert_int_equal(fake_pipe_pages, 0);
	return 0;
}

unsigned chain_files(struct datastore *ds)
{
	struct ds_entry e;
	uint32_t cursor = 0;
	unsigned n = 0;

	while (!ds_list(ds, &cursor, &e))
		n++;
	return n;
}

static void fill(struct datastore *ds, const char *name, uint64_t at, size_t bytes, uint8_t seed)
{
	uint8_t *buf = malloc(bytes);
	struct ds_file *f;

	for (size_t i = 0; i < bytes; i++)
		buf[i] = (uint8_t)(seed + (at + i) / 512 * 7 + i);
	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, at / 512, bytes / 512, buf), 0);
	ds_close(f);
	free(buf);
}

static void resize(const char *name, uint64_t bytes)
{
	struct ds_file *f;

	assert_int_equal(ds_open(here.ds, name, DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_resize(f, bytes), 0);
	ds_close(f);
}

uint64_t first_has = 2 * MIB; /* written of the lowest */

void chain_make(enum ds_kind kind)
{
	struct blk_req zeroes = {
		.op = BLK_WRITE_ZEROES, .block = 2048, .blocks = 2048, .unmap = true
	};
	struct ds_file *f;

	assert_int_equal(ds_create(here.ds, "d", kind, 2 * MIB, 0), 0);
	fill(here.ds, "d", 0, first_has, 1);
	assert_int_equal(ds_snapshot(here.ds, "d", "d.one"), 0);
	resize("d", 5 * MIB);
	fill(here.ds, "d", 4 * MIB, 8192, 2);
	assert_int_equal(ds_open(here.ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(blk_wait(ds_file_blk(f), &zeroes), 0);
	ds_close(f);
	assert_int_equal(ds_snapshot(here.ds, "d", "d.two"), 0);
	resize("d", 4 * MIB);
	fill(here.ds, "d", 4096, 4096, 3);
}

/* ---- the destination ---- */

struct chain_net net;

static void reader_world(void *arg)
{
	struct wire_blocks body, b;
	struct wire_head h;
	void *p;
	int err;

	do {
		err = peer_recv(&net.to, &h, &body, sizeof(body), &p, time_ns() + SOON_NS);
		if (!err && h.type == WIRE_ALIVE) {
			blk_receiver_alive(net.receiver);
			continue;
		}
		if (!err)
			err = wire_blocks_read(p, h.length, WIRE_VERSION, &b);
		if (!err)
			err = blk_receiver_take(net.receiver, &b);
	} while (!err);
}

static int snapshot(void *disk)
{
	return vdisk_next_snapshot(disk);
}

const struct vm_disk place = { .path = "/ds/there/n", .arriving = true };

static void await(struct vdisk_chain *as, bool thin)
{
	struct vdisk_id id = {
		.how = VDISK_COPIED, .thin = thin, .bare = !thin, .size = 4 * MIB, .chain = as
	};
	struct world_opts o = { .name = "test" };
	char why[160];

	assert_int_equal(vdisk_copy_await("g", 0, &place, &id, &net.arrives, why, sizeof(why)), 0);
	net.disk = (struct blk_recv_disk){ .dev = vdisk_blk(net.arrives),
					   .bare = vdisk_is_bare(net.arrives),
					   .snapshot = snapshot,
					   .user = net.arrives };
	fake_pipe(&net.near, &net.far);
	peer_init(&net.from, net.near, false);
	peer_init(&net.to, net.far, true);
	assert_int_equal(blk_receiver_new(&net.to, &net.disk, 1, CREDIT, &net.receiver), 0);
	assert_int_equal(world_create(&net.reader, &o, reader_world, NULL), 0);
}

/* ---- the source ---- */

struct chain_move move;

static int check(void *user, uint64_t block, uint64_t blocks, uint32_t sum)
{
	return blk_sender_check(move.sender, 0, block * 512, blocks * 512, sum);
}

void chain_depart(bool thin)
{
	struct blk_send_geometry g = { .block_bytes = 512 };

	memset(&move, 0, sizeof(move));
	assert_int_equal(ds_open(here.ds, "d", DS_OPEN_WRITE, &move.file), 0);
	ds_file_keep_chain(move.file, true);
	assert_int_equal(chain_read(here.ds, "d", "n", false, &move.chain), 0);
	await(&move.chain->as, thin);
	g.bytes = move.chain->most_bytes;
	assert_int_equal(blk_sender_new(&net.from, WIRE_VERSION, &g, 1, CREDIT, &move.sender), 0);
	assert_int_equal(disk_copy_init(&move.copy, move.file, ds_file_blk(move.file),
					blk_sender_disk(move.sender, 0), MIRROR_BOTH),
			 0);
	if (!thin)
		disk_copy_bare(&move.copy);
	assert_int_equal(disk_copy_digest(&move.copy), 0);
	move.copy.digest.check = check;
	pace_init(&move.copy.bulk.pace, &move.copy.guest, 0);
}

int chain_flush(void)
{
	return blk_sender_flush(move.sender, time_ns() + SOON_NS);
}

static void guest_writes(uint64_t at, uint8_t seed)
{
	uint8_t buf[4096];

	memset(buf, seed, sizeof(buf));
	assert_int_equal(blk_transfer(&move.copy.m->front, BLK_WRITE, at / 512, 8, buf), 0);
}

static int next(void *user, unsigned link)
{
	uint64_t at;
	int err;

	if (move.between)
		move.between(link);
	guest_writes(3 * MIB + link * 8192, 90); /* in no snapshot */
	err = digest_verify(&move.copy.digest, &at);
	return err ? err : blk_sender_snapshot(move.sender, 0);
}

int chain_send(void)
{
	uint64_t at;
	int err = chain_copy(move.chain, &move.copy, next, NULL);

	if (!err)
		err = bulk_linear(&move.copy.bulk);
	if (!err)
		err = bulk_marked(&move.copy.bulk);
	if (!err)
		guest_writes(2 * MIB + 8192, 91);
	if (!err)
		err = digest_verify(&move.copy.digest, &at);
	return err ? err : chain_flush();
}

void chain_over(bool moved)
{
	disk_copy_fini(&move.copy);
	blk_sender_free(move.sender);
	stream_abort(net.far);
	world_join(net.reader);
	blk_receiver_free(net.receiver);
	stream_close(net.near);
	stream_close(net.far);
	if (moved)
		vdisk_copy_set(net.arrives, false, false);
	vdisk_close(net.arrives);
	free(move.chain);
	ds_close(move.file);
}
