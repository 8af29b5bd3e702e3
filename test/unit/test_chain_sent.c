/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk with snapshots goes from one datastore to another over a connection, while its guest
 * writes: both hosts' own code, on files of this machine. The chain that is made there has each
 * link's contents, size and space, and is one to go on with; what breaks off leaves nothing; what
 * the other disk lost of any link is found.
 */
// SOURCES: mig/chain.c mig/disk_copy.c mig/bulk.c mig/bulk_piece.c mig/bulk_hole.c
// SOURCES: mig/mirror.c mig/mirror_op.c
// SOURCES: mig/pace.c mig/cbt.c mig/digest.c kernel/lib/muldiv.c kernel/lib/crc32c.c
// SOURCES: mig/blk_send.c mig/blk_send_net.c mig/blk_recv.c mig/blk_recv_req.c
// SOURCES: mig/page_ring.c mig/spans.c mig/peer.c mig/wire.c
// SOURCES: kernel/vdev/vdisk.c kernel/vdev/vdisk_copy.c
// SOURCES: drivers/blkdev.c kernel/store/ds_*.c
// SOURCES: tools/terndisk/host.c tools/terndisk/filedisk.c test/unit/fake_pipe.c
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

#include <tern/timer.h>

#include "kernel/vdev/vdisk.h"
#include "mig/blk_recv.h"
#include "mig/blk_send.h"
#include "mig/chain.h"
#include "test/unit/fake_pipe.h"
#include "tools/terndisk/filedisk.h"

#define MIB (1u << 20)
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

static struct store {
	char path[32];
	struct filedisk disk;
	struct datastore *ds;
} here, there;

/* Of both: what their devices were given to write. */
static const struct blk_ops *real;
static uint64_t written_bytes;

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

static int begin(void **state)
{
	mount(&here, "here");
	mount(&there, "there");
	return 0;
}

static int end(void **state)
{
	umount(&here);
	umount(&there);
	assert_int_equal(fake_pipe_pages, 0);
	return 0;
}

static unsigned files(struct datastore *ds)
{
	struct ds_entry e;
	uint32_t cursor = 0;
	unsigned n = 0;

	while (!ds_list(ds, &cursor, &e))
		n++;
	return n;
}

static uint64_t backed(struct datastore *ds, const char *name)
{
	struct ds_entry e;

	assert_int_equal(ds_stat(ds, name, &e), 0);
	return e.backed_bytes;
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

static uint64_t first_has = 2 * MIB; /* written of the lowest */

/* d over d.two over d.one: 2, 5 and 4 MiB; two hides something of one by zeros. */
static void make_disk(enum ds_kind kind)
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

static struct {
	struct stream *near, *far;
	struct peer from, to;
	struct blk_receiver *receiver;
	struct blk_recv_disk disk;
	struct vdisk *arrives;
	struct world *reader;
} net;

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

static const struct vm_disk place = { .path = "/ds/there/n", .arriving = true };

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

static struct {
	struct ds_file *file;
	struct chain *chain;
	struct blk_sender *sender;
	struct disk_copy copy;
	void (*between)(unsigned link); /* copied, and not compared yet */
} move;

static int check(void *user, uint64_t block, uint64_t blocks, uint32_t sum)
{
	return blk_sender_check(move.sender, 0, block * 512, blocks * 512, sum);
}

static void depart(bool thin)
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

static int flush(void)
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

static int copy(void)
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
	return err ? err : flush();
}

/* It ends, sooner or later, because of this. */
static void copy_fails(int err, const char *code, const char *text)
{
	struct wire_text words;

	assert_int_not_equal(copy(), 0);
	assert_int_equal(blk_sender_error(move.sender, &words), err);
	assert_string_equal(words.code, code);
	assert_non_null(strstr(words.text, text));
}

/* Both ends; the VM is the other host's, or is not. */
static void over(bool moved)
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

/* ---- tests ---- */

static void assert_same_file(const char *a, const char *b)
{
	static uint8_t x[5 * MIB], y[5 * MIB];
	struct ds_file *f, *g;
	uint64_t blocks;

	assert_int_equal(ds_open(here.ds, a, DS_OPEN_READ, &f), 0);
	assert_int_equal(ds_open(there.ds, b, DS_OPEN_READ, &g), 0);
	assert_int_equal(ds_file_size(f), ds_file_size(g));
	blocks = ds_file_size(f) / 512;
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, 0, blocks, x), 0);
	assert_int_equal(blk_transfer(ds_file_blk(g), BLK_READ, 0, blocks, y), 0);
	assert_memory_equal(x, y, blocks * 512);
	ds_close(f);
	ds_close(g);
}

/* Zeros that hide something take no space there either. */
static void assert_same_chain(void)
{
	uint64_t space = backed(here.ds, "d") + backed(here.ds, "d.two") + backed(here.ds, "d.one");

	assert_int_equal(files(there.ds), 3);
	assert_in_range(backed(there.ds, "n") + backed(there.ds, "n.two") +
				backed(there.ds, "n.one"),
			space - 2 * MIB, space + MIB);
	assert_same_file("d.one", "n.one");
	assert_same_file("d.two", "n.two");
	assert_same_file("d", "n");
}

static void arrives(enum ds_kind kind)
{
	make_disk(kind);
	depart(kind == DS_KIND_THIN);
	assert_int_equal(copy(), 0);
	assert_true(blk_receiver_close(net.receiver));
	assert_int_equal(vdisk_copy_finish(net.arrives), 0);
	assert_int_equal(move.copy.bulk.done, (2 + 5 + 4) * MIB / 512);
	over(true);
	assert_same_chain();
	assert_int_equal(ds_snapshot(there.ds, "n", "n.three"), 0);
	assert_int_equal(ds_snapshot_delete(there.ds, "n.two"), 0);
	assert_same_file("d.one", "n.one");
	assert_same_file("d", "n");
	assert_int_equal(ds_snapshot_revert(there.ds, "n", "n.one"), 0);
	assert_same_file("d.one", "n");
}

static void thin(void **state)
{
	arrives(DS_KIND_THIN);
}

static void flat(void **state)
{
	struct ds_entry e;

	arrives(DS_KIND_FLAT);
	assert_int_equal(ds_stat(there.ds, "n.one", &e), 0);
	assert_int_equal(e.kind, DS_KIND_FLAT);
}

static uint64_t made_bytes, first_bytes;

static void note_written(unsigned link)
{
	assert_int_equal(flush(), 0);
	if (link == 0)
		first_bytes = written_bytes - made_bytes;
}

/* Made flat of one with holes: each byte is written once, and what was there is nowhere. */
static void flat_of_thin(void **state)
{
	uint64_t metadata;

	first_has = MIB + 4096;
	make_disk(DS_KIND_THIN);
	first_has = 2 * MIB;
	metadata = written_bytes;
	made_bytes = written_bytes;
	depart(false);
	metadata = written_bytes - metadata;
	move.between = note_written;
	assert_int_equal(copy(), 0);
	assert_in_range(first_bytes, 2 * MIB, 2 * MIB + metadata + MIB / 4);
	assert_true(metadata < MIB / 2);
	assert_true(blk_receiver_close(net.receiver));
	assert_int_equal(vdisk_copy_finish(net.arrives), 0);
	over(true);
	assert_same_file("d.one", "n.one");
	assert_same_file("d.two", "n.two");
	assert_same_file("d", "n");
}

/* At any link, and when all is there but the end: nothing stays there, all is here. */
static unsigned last_link;

static void cut(unsigned link)
{
	if (link == last_link)
		fake_pipe_cut(net.near);
}

static void what_breaks_off_leaves_nothing(void **state)
{
	make_disk(DS_KIND_THIN);
	for (last_link = 0; last_link < 3; last_link++) {
		depart(true);
		move.between = cut;
		if (last_link < 2)
			copy_fails(-ECONNRESET, "", "");
		else
			assert_int_equal(copy(), 0);
		over(false);
		assert_int_equal(files(there.ds), 0);
	}
	assert_int_equal(files(here.ds), 3);
	depart(true);
	assert_int_equal(copy(), 0);
	assert_int_equal(vdisk_copy_finish(net.arrives), 0); /* complete, and not wanted any more */
	over(false);
	assert_int_equal(files(there.ds), 0);
}

/* It was free when it was asked for. */
static void take_name(unsigned link)
{
	if (link == 1)
		assert_int_equal(ds_create(there.ds, "n.two", DS_KIND_THIN, MIB, 0), 0);
}

static void a_name_that_is_taken(void **state)
{
	make_disk(DS_KIND_THIN);
	depart(true);
	move.between = take_name;
	copy_fails(-ECONNABORTED, "exists",
		   "disk 0 there: the name of one of its snapshots is taken");
	over(false);
	assert_int_equal(files(there.ds), 1);
}

static void lose_a_bit(unsigned link)
{
	uint64_t block = link == 1 ? 4 * MIB / 512 + 3 : 3 * MIB / 2 / 512;
	uint8_t buf[512];

	if (link != last_link)
		return;
	assert_int_equal(flush(), 0);
	assert_int_equal(blk_transfer(net.disk.dev, BLK_READ, block, 1, buf), 0);
	buf[100] ^= 4;
	assert_int_equal(blk_transfer(net.disk.dev, BLK_WRITE, block, 1, buf), 0);
}

static void what_is_lost_of_a_snapshot_is_found(void **state)
{
	make_disk(DS_KIND_THIN);
	for (last_link = 0; last_link < 2; last_link++) {
		depart(true);
		move.between = lose_a_bit;
		copy_fails(-ECONNABORTED, "differs", "disk 0 there is not what was written");
		over(false);
	}
}

/* What no honest source sends: too many, too few, of a disk that has none. */
static void not_as_it_was_offered(void **state)
{
	make_disk(DS_KIND_THIN);
	depart(true);
	assert_int_equal(blk_sender_snapshot(move.sender, 0), 0);
	assert_int_equal(flush(), 0);
	assert_true(blk_receiver_close(net.receiver));
	assert_int_equal(vdisk_copy_finish(net.arrives), -ENODATA);
	over(false);
	depart(true);
	for (unsigned i = 0; i < 3; i++)
		(void)!blk_sender_snapshot(move.sender, 0);
	assert_int_equal(flush(), -ECONNABORTED);
	assert_false(blk_receiver_close(net.receiver));
	over(false);
	depart(true);
	net.disk.snapshot = NULL;
	assert_int_equal(blk_sender_snapshot(move.sender, 0), 0);
	assert_int_not_equal(blk_sender_flush(move.sender, time_ns() + NSEC_PER_SEC / 10), 0);
	over(false);
	assert_int_equal(files(there.ds), 0);
}

/* Asked before anything is made. */
static void names_that_are_there(void **state)
{
	struct vdisk_chain as = { .nr = 1, .link = { { "n.one", 4 * MIB } } };
	struct vdisk_id id = { .how = VDISK_COPIED, .thin = true, .size = MIB, .chain = &as };
	char why[160];

	assert_int_equal(vdisk_copy_check(&place, &id, why, sizeof(why)), 0);
	assert_int_equal(ds_create(there.ds, "n.one", DS_KIND_THIN, MIB, 0), 0);
	assert_int_equal(vdisk_copy_check(&place, &id, why, sizeof(why)), -EEXIST);
	assert_string_equal(why, "/ds/there/n: a snapshot of it is to be n.one, which the "
				 "destination has");
}

/* All of its snapshots; of a source that does not say, what is taken at once. */
static void room_for_all(void **state)
{
	struct vdisk_chain as = { .nr = 1, .link = { { "n.one", 4 * MIB } } };
	struct vdisk_id id = { .how = VDISK_COPIED, .thin = true, .size = MIB, .chain = &as };
	struct ds_room room = { 0 };

	vdisk_copy_room(&place, &id, &room);
	assert_int_equal(room.at[0].bytes, 0);
	id.thin = false;
	vdisk_copy_room(&place, &id, &room);
	assert_int_equal(room.at[0].bytes, 4 * MIB);
	id.thin = true;
	id.space = 33 * MIB;
	vdisk_copy_room(&place, &id, &room);
	assert_ptr_equal(room.at[0].ds, there.ds);
	assert_int_equal(room.at[0].bytes, 37 * MIB);
}

/* What the copy takes there is what was said of it. */
static void space_is_told(void **state)
{
	struct ds_info before, after;

	for (unsigned flat = 0; flat < 2; flat++) {
		uint64_t takes, used;

		make_disk(DS_KIND_THIN);
		assert_int_equal(ds_info(there.ds, &before), 0);
		depart(!flat);
		takes = chain_space(move.chain, flat, 4 * MIB, 0);
		assert_int_equal(copy(), 0);
		assert_int_equal(ds_info(there.ds, &after), 0);
		used = before.free_bytes - after.free_bytes;
		assert_in_range(used, takes, takes + 2 * MIB); /* the guest wrote some */
		over(false);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(ds_remove(here.ds, i == 0   ? "d"
							    : i == 1 ? "d.two"
								     : "d.one"),
					 0);
	}
}

/* Not even here, where it was made: what it shows may be other files'. */
static void a_vm_opens_no_disk_that_is_not_whole(void **state)
{
	struct vm_disk d = { .path = "/ds/there/n" };
	struct vdisk *v;
	char why[256];

	assert_int_equal(ds_create_bare(there.ds, "n", MIB), 0);
	for (unsigned ro = 0; ro < 2; ro++) {
		d.read_only = ro;
		assert_int_equal(vdisk_open("g", 0, &d, &v, why, sizeof(why)), -EBUSY);
		assert_non_null(strstr(why, "/ds/there/n is not whole"));
	}
	assert_int_equal(ds_finish(there.ds, "n"), 0);
	assert_int_equal(vdisk_open("g", 0, &d, &v, why, sizeof(why)), 0);
	vdisk_close(v);
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(thin),
		test(flat),
		test(flat_of_thin),
		test(what_breaks_off_leaves_nothing),
		test(a_name_that_is_taken),
		test(what_is_lost_of_a_snapshot_is_found),
		test(not_as_it_was_offered),
		test(a_vm_opens_no_disk_that_is_not_whole),
		test(names_that_are_there),
		test(room_for_all),
		test(space_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
