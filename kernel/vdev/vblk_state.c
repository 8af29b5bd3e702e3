/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's disk travels (vblk.h): the transport's record, and what the driver was
 * told of the disk. Nothing is in flight, and contents stay where they are.
 */
#include <errno.h>
#include <string.h>

#include "vblk.h"

#define VBLK_REC_VERSION 2

/*
 * REC_VBLK version 2, instance = PCI slot; REC_VIRTIO goes before it:
 *   0  u64  capacity in sectors of 512 bytes
 *   8  u32  logical block in bytes, a power of two from 512 to 4096
 *  12  u8   physical block = logical << this, at most 12; u8 1 read-only; u16 zero
 *  16  u32  requests a second, u32 MB a second that the guest may ask for, 0: no limit; not in
 *           version 1
 * A disk that is open here must be that large and have blocks that fit in these.
 */
void vblk_save(struct vdev *d, struct rec_writer *w)
{
	struct vblk *b = vblk_of(d);

	virtio_save(d, w);
	rec_begin(w, REC_VBLK, VBLK_REC_VERSION, 0, d->instance);
	rec_u64(w, b->config.capacity);
	rec_u32(w, b->config.blk_size);
	rec_u8(w, b->config.physical_block_exp);
	rec_u8(w, d->vm->cfg.disk[b->index].read_only);
	rec_u16(w, 0);
	rec_u32(w, d->vm->cfg.disk[b->index].limit.iops);
	rec_u32(w, d->vm->cfg.disk[b->index].limit.mbps);
	rec_end(w);
}

struct image {
	uint64_t capacity;
	uint32_t blk_size;
	uint8_t physical_block_exp;
	struct vm_disk_limit limit;
};

static bool fits(struct blkdev *blk, const struct image *m)
{
	return !blk || (blk->geo.blocks * blk->geo.block_bytes >= m->capacity * VBLK_SECTOR &&
			blk->geo.block_bytes <= m->blk_size);
}

static int parse(struct vblk *b, struct rec_reader *r, struct image *m)
{
	if (r->head.type != REC_VBLK || !r->head.version || r->head.version > VBLK_REC_VERSION)
		return -EBADMSG;
	m->limit = b->v.d.vm->cfg.disk[b->index].limit;
	m->capacity = rec_get_u64(r);
	m->blk_size = rec_get_u32(r);
	m->physical_block_exp = rec_get_u8(r);
	if (rec_get_u8(r) != b->v.d.vm->cfg.disk[b->index].read_only || rec_get_u16(r))
		return -EBADMSG;
	if (r->head.version > 1) {
		m->limit.iops = rec_get_u32(r);
		m->limit.mbps = rec_get_u32(r);
	}
	if (m->limit.iops > VM_DISK_IOPS_MAX || m->limit.mbps > VM_DISK_MBPS_MAX)
		return -EBADMSG;
	if (m->capacity > UINT64_MAX / VBLK_SECTOR || m->blk_size < VBLK_SECTOR ||
	    m->blk_size > PAGE_SIZE || m->blk_size & (m->blk_size - 1) ||
	    m->physical_block_exp > 12 || m->capacity % (m->blk_size / VBLK_SECTOR))
		return -EBADMSG;
	return fits(b->blk, m) ? rec_done(r) : -EBADMSG;
}

int vblk_check(struct vdev *d, struct rec_reader *r)
{
	struct image m;

	return r->head.type == REC_VIRTIO ? virtio_check(d, r) : parse(vblk_of(d), r, &m);
}

int vblk_load(struct vdev *d, struct rec_reader *r)
{
	struct vblk *b = vblk_of(d);
	struct image m;
	int rc;

	if (r->head.type == REC_VIRTIO)
		return virtio_load(d, r);
	rc = parse(b, r, &m);
	if (rc)
		return rc;
	b->config.capacity = m.capacity;
	b->config.blk_size = m.blk_size;
	b->config.physical_block_exp = m.physical_block_exp;
	d->vm->cfg.disk[b->index].limit = m.limit;
	return 0;
}
