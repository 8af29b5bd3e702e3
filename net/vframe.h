/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames inside of the switch: vframe.c makes, fills and copies them, gso.c does what
 * a NIC or a guest cannot do itself. Neither knows lwIP or ports.
 */
#ifndef NET_VFRAME_H
#define NET_VFRAME_H

#include <tern/page.h>
#include <tern/vswitch.h>

#define VFRAME_HEADROOM 64u
/* For each port, enough for its queues and what is under way; and once what cards have in hand. */
#define VFRAME_SHARE 1024u /* frames */
#define VFRAME_PAGES 2048u /* pages of these */
#define VFRAME_PAGES_CARDS 2048u

/* Where all its headers are. */
static inline uint8_t *vframe_head(const struct vframe *f)
{
	return hpa_ptr(f->tx.seg[0].addr);
}

/* vframe.c */
/* A port comes: the pool has a share for it as well. -ENOMEM: host memory is promised to others. */
MUST_CHECK int vframe_pool_join(void);
void vframe_pool_leave(void);
/* Without pages, for so many: they count as the pool's until it is freed. */
struct vframe *vframe_empty(unsigned pages);
void vframe_trim(struct vframe *f, uint32_t len); /* what is beyond len goes; len > 0 */
void vframe_read(const struct vframe *f, uint32_t off, void *buf, uint32_t len);
void vframe_write(struct vframe *f, uint32_t off, const void *buf, uint32_t len);
/* Its own copy of what is about to be sent; NULL without memory. */
struct vframe *vframe_copy_of(const struct nic_tx *t);

/* gso.c: pure. */
/* Fills the checksum in; the frame asks for nothing afterwards. False: it did not ask. */
bool csum_fill(struct vframe *f);
/* The same for a frame whose sum a neighbour left open, or the NIC has checked but may not have
 * seen whole: its packet gets a sum that a guest can check itself. False: nothing to sum. */
bool csum_settle(struct vframe *f);
/* Cuts a TCP frame into a list, each with its checksums; takes f. NULL without memory. */
struct vframe *gso_cut(struct vframe *f);

#endif
