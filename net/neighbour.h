/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Neighbours: which IP address a frame says is its sender's, and the frames that
 * tell others where an address is. Pure; reads no byte past len.
 */
#ifndef NET_NEIGHBOUR_H
#define NET_NEIGHBOUR_H

#include <tern/net.h>

#define NEIGHBOUR_FRAME_MAX 86u

/* ARP [RFC 826], and neighbour solicitation and advertisement [RFC 4861 4.3, 4.4]. */
bool neighbour_seen(const uint8_t *frame, uint32_t len, struct net_addr *out);

/* Each builds a whole broadcast or multicast frame from this address; bytes. */
uint32_t neighbour_rarp(uint8_t out[NEIGHBOUR_FRAME_MAX], const uint8_t mac[6]);
/* Gratuitous ARP [RFC 5227 3 "Announcing an Address"], or unsolicited advertisement [RFC 4861
 * 7.2.6 "Sending Unsolicited Neighbor Advertisements"]. */
uint32_t neighbour_here(uint8_t out[NEIGHBOUR_FRAME_MAX], const uint8_t mac[6],
			const struct net_addr *addr);

#endif
