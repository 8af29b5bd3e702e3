/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the transport header of an Ethernet frame is, and its pseudo-header's sum.
 * Pure; reads no byte past len.
 */
#ifndef NET_HEADERS_H
#define NET_HEADERS_H

#include <tern/types.h>

#define ETH_HLEN 14u
#define ETH_TYPE 12u
#define ETH_IPV4 0x0800u
#define ETH_IPV6 0x86ddu
#define ETH_VLAN 0x8100u
#define ETH_SERVICE_VLAN 0x88a8u
#define ETH_ARP 0x0806u
#define ETH_RARP 0x8035u
#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define IP6_HEADER_LEN 40u
#define IP4_LEN 2u /* in the IP header: of the packet */
#define IP6_LEN 4u /* of what follows the header */

struct l4 {
	bool ipv6;
	uint8_t proto;	      /* PROTO_TCP, PROTO_UDP */
	uint16_t start;	      /* of the transport header in the frame */
	uint16_t csum_offset; /* of its checksum in it */
	uint16_t hdr_len;     /* all headers up to the payload */
	uint32_t end;	      /* of the packet in the frame, as the IP header says */
};

static inline uint32_t be16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

static inline void put_be16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

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
