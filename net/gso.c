/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In software what a NIC or a guest does not do itself: filling in a checksum,
 * and cutting a large TCP frame. The checksum field of a frame that asks for one
 * holds the folded sum of the pseudo-header, full length included (tern/nic.h).
 *
 * Cutting: every piece gets the headers with its own lengths, sequence number,
 * IP identification and sums; FIN and PSH go with the last piece only, CWR with the
 * first [RFC 3168 6.1.2 "The TCP Sender"].
 */
#include <string.h>

#include "net/headers.h"
#include "net/vframe.h"

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

static void add32(uint8_t *b, uint32_t n)
{
	uint32_t v = (be16(b) << 16 | be16(b + 2)) + n;

	put_be16(b, v >> 16);
	put_be16(b + 2, v);
}

/* Ones' complement sum of the frame's bytes from off to its end [RFC 1071]. */
static uint32_t sum_from(const struct vframe *f, uint32_t off)
{
	struct vframe_walk w = vframe_walk(f, off, f->len);
	uint64_t sum = 0;
	bool odd = false;

	while (vframe_step(&w)) {
		uint32_t i = 0;

		for (; i < w.len && odd; odd = false)
			sum += w.bytes[i++];
		for (; i + 1 < w.len; i += 2)
			sum += be16(w.bytes + i);
		if (i < w.len) {
			sum += (uint32_t)w.bytes[i] << 8;
			odd = true;
		}
	}
	return fold16(sum);
}

bool csum_fill(struct vframe *f)
{
	uint32_t at = (uint32_t)f->tx.csum_start + f->tx.csum_offset, sum;
	uint8_t field[2];

	if (!f->tx.csum)
		return false;
	f->tx.csum = false;
	sum = ~sum_from(f, f->tx.csum_start) & 0xffffu;
	put_be16(field, sum ? sum : 0xffffu); /* 0 means none in UDP, and is the same sum in TCP */
	vframe_write(f, at, field, sizeof(field));
	return true;
}

/* What pads a short frame on the wire is no part of its packet: it goes. */
bool csum_settle(struct vframe *f)
{
	uint8_t *head = vframe_head(f);
	struct l4 l;

	if (!f->tx.csum && f->csum_ok && l4_find(head, f->tx.seg[0].len, &l) &&
	    l.end >= l.hdr_len && l.end <= f->len) {
		vframe_trim(f, l.end);
		l4_put_pseudo(head, &l, f->len);
		f->tx.csum = true;
		f->tx.csum_start = l.start;
		f->tx.csum_offset = l.csum_offset;
	}
	return csum_fill(f);
}

static void fix_ip(uint8_t *h, const struct nic_tx *t, uint32_t frame_len, uint32_t index)
{
	uint8_t *ip = h + ETH_HLEN;
	uint64_t sum = 0;

	if (t->ipv6) {
		put_be16(ip + IP6_LEN, frame_len - ETH_HLEN - IP6_HEADER_LEN);
		return;
	}
	put_be16(ip + IP4_LEN, frame_len - ETH_HLEN);
	put_be16(ip + IP4_ID, be16(ip + IP4_ID) + index);
	put_be16(ip + IP4_CSUM, 0);
	for (unsigned i = 0; i < (ip[0] & 15u) * 4; i += 2)
		sum += be16(ip + i);
	put_be16(ip + IP4_CSUM, ~fold16(sum));
}

/* One piece: headers h of the whole, payload bytes [at, at + len) of f. */
static struct vframe *piece(const struct vframe *f, const uint8_t *h, uint32_t at, uint32_t len)
{
	const struct nic_tx *t = &f->tx;
	struct vframe_walk w = vframe_walk(f, t->hdr_len + at, len);
	uint32_t hdr = t->hdr_len, total = hdr + len;
	bool last = at + len == f->len - hdr;
	uint8_t mine[HEADERS_MAX] = { 0 }, *tcp = mine + t->csum_start;
	struct vframe *p = vframe_new(total);

	if (!p)
		return NULL;
	memcpy(mine, h, hdr);
	fix_ip(mine, t, total, at / t->gso_size);
	add32(tcp + TCP_SEQ, at);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (at)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	/* The pseudo-header's sum had the whole's length: take it out, put this one's in. */
	put_be16(tcp + TCP_CSUM,
		 fold16((uint64_t)be16(tcp + TCP_CSUM) +
			(~fold16(f->len - t->csum_start) & 0xffffu) + total - t->csum_start));
	vframe_write(p, 0, mine, hdr);
	for (uint32_t to = hdr; vframe_step(&w); to += w.len)
		vframe_write(p, to, w.bytes, w.len);
	p->tx.csum = true;
	p->tx.csum_start = t->csum_start;
	p->tx.csum_offset = TCP_CSUM;
	(void)csum_fill(p);
	p->csum_ok = true;
	return p;
}

struct vframe *gso_cut(struct vframe *f)
{
	struct vframe *first = NULL, **end = &first;
	uint32_t hdr = f->tx.hdr_len, payload = f->len - hdr;
	uint8_t h[HEADERS_MAX];

	vframe_read(f, 0, h, hdr);
	for (uint32_t at = 0; at < payload; at += f->tx.gso_size) {
		*end = piece(f, h, at, MIN(payload - at, (uint32_t)f->tx.gso_size));
		if (!*end)
			break; /* the rest is lost, as on a wire */
		(*end)->next = NULL;
		end = &(*end)->next;
	}
	vframe_free(f);
	return first;
}
