/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the transport header of an Ethernet frame is, and its pseudo-header's sum.
 * Pure; reads no byte past len.
 */
#ifndef NET_HEADERS_H
#define NET_HEADERS_H

#include "kernel/lib/packet.h"

struct l4 {
	bool ipv6;
	uint8_t proto;	      /* PROTO_TCP, PROTO_UDP */
	uint16_t start;	      /* of the transport header in the frame */
	uint16_t csum_offset; /* of its checksum in it */
	uint16_t hdr_len;     /* all headers up to the payload */
	uint32_t end;	      /* of the packet in the frame, as the IP header says */
};

/* Sums fold to 16 bits, ones' complement [RFC 1071]. */
static inline uint32_t fold16(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

/* TCP or UDP over IPv4 or IPv6, unfragmented, headers whole within len; else false. */
bool l4_find(const uint8_t *frame, uint32_t len, struct l4 *out);
/* Puts the folded sum of the pseudo-header, not complemented, into the checksum field. */
void l4_put_pseudo(uint8_t *frame, const struct l4 *l, uint32_t frame_len);

#endif
