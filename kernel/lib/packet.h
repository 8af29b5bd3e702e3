/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of Ethernet, IP and TCP headers, and their byte order: for whoever looks into
 * a frame. Offsets are in the header that they are named after. [IEEE 802.3 3 "MAC frame and
 * packet specifications", RFC 791 3.1, RFC 8200 3, RFC 9293 3.1 "Header Format"]
 */
#ifndef KERNEL_LIB_PACKET_H
#define KERNEL_LIB_PACKET_H

#include <tern/types.h>

#define MAC_LEN 6u
#define ETH_HLEN 14u
#define ETH_TYPE 12u
#define ETH_IPV4 0x0800u
#define ETH_IPV6 0x86ddu
#define ETH_VLAN 0x8100u
#define ETH_SERVICE_VLAN 0x88a8u
#define ETH_ARP 0x0806u
#define ETH_RARP 0x8035u
#define VLAN_LEN 4u

#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define IP4_LEN 2u /* of the packet */
#define IP4_ID 4u
#define IP4_FRAG 6u
#define IP4_PROTO 9u
#define IP4_CSUM 10u
#define IP4_SRC 12u
#define IP4_HEADER_MIN 20u
#define IP6_LEN 4u /* of what follows the header */
#define IP6_NEXT 6u
#define IP6_HOPS 7u
#define IP6_SRC 8u
#define IP6_DST 24u
#define IP6_HEADER_LEN 40u

#define TCP_SEQ 4u
#define TCP_OFFSET 12u /* upper four bits: the header's length in units of four bytes */
#define TCP_FLAGS 13u
#define TCP_CSUM 16u
#define TCP_HEADER_MIN 20u
#define UDP_CSUM 6u
#define UDP_HEADER_LEN 8u

/* Ethernet, IP and TCP with all their options: what is cut has no more. */
#define HEADERS_MAX 256u

static inline uint32_t be16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}

static inline void put_be16(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

/* Bytes of a TCP header, as it says itself; 20 of them must be there. */
static inline unsigned tcp_header_len(const uint8_t *tcp)
{
	return (tcp[TCP_OFFSET] >> 4) * 4u;
}

#endif
