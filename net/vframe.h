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
#define VFRAME_SHARE 1024u /* frames for each port: two queues, and what is under way */

/* Where all its headers are. */
static inline uint8_t *vframe_head(const struct vframe *f)
{
	return hpa_ptr(f->tx.seg[0].addr);
}

/* vframe.c */
/* A port comes: the pool has VFRAME_SHARE frames for it as well. -ENOMEM. */
MUST_CHECK int vframe_pool_join(void);
void vframe_pool_leave(void);
struct vframe *vframe_empty(void);		  /* without pages */
void vframe_trim(struct vframe *f, uint32_t len); /* what is beyond len goes; len > 0 */
void vframe_read(const struct vframe *f, uint32_t off, void *buf, uint32_t len);
void vframe_write(struct vframe *f, uint32_t off, const void *buf, uint32_t len);
/* Its own copy of what is about to be sent; NULL without memory. */
struct vframe *vframe_copy_of(const struct nic_tx *t);

/* gso.c: pure. */
/* Fills the checksum in; the frame asks for nothing afterwards. */
void csum_fill(struct vframe *f);
/* The same for a frame whose sum a neighbour left open, or the NIC has checked but may not have
 * seen whole: its packet gets a sum that a guest can check itself. */
void csum_settle(struct vframe *f);
/* Cuts a TCP frame into a list, each with its checksums; takes f. NULL without memory. */
struct vframe *gso_cut(struct vframe *f);

#endif
