/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network cards: four functions a driver implements, one callback it makes.
 * The net room's owner world calls send and poll; the interrupt handler only
 * calls notify.
 */
#ifndef TERN_NIC_H
#define TERN_NIC_H

#include <tern/types.h>

#define NIC_MAX_SEGS 24
#define NIC_MAX_ALSO 64

#define NIC_CAP_TX_CSUM 1u
#define NIC_CAP_RX_CSUM 2u
#define NIC_CAP_TSO4 4u
#define NIC_CAP_TSO6 8u
#define NIC_CAP_LRO 16u /* may give received packets larger than the MTU */

struct nic_seg {
	hpa_t addr;
	uint32_t len;
};

/*
 * A packet to send; owned by the driver from send until done is called (in poll).
 * With csum the checksum field already holds the sum of the pseudo-header, full
 * length included, not complemented: what virtio and Linux call "partial".
 */
struct nic_tx {
	struct nic_seg seg[NIC_MAX_SEGS];
	uint16_t nr_segs;
	bool csum; /* fill in the checksum at csum_start + csum_offset */
	uint16_t csum_start, csum_offset;
	uint16_t gso_size; /* TCP payload per wire segment, 0 = no segmentation */
	uint16_t hdr_len;  /* bytes of headers before the TCP payload */
	bool ipv6;
	void (*done)(struct nic_tx *t);
};

struct nic;

/*
 * A received frame. Its data is valid until the callback returns, unless that
 * sets taken: then the net room owns one page reference for each segment (each
 * lies in a page of its own) and drops it with page_put; the driver refills.
 */
struct nic_rx {
	struct nic_seg seg[NIC_MAX_SEGS];
	uint16_t nr_segs;
	uint32_t len;
	bool csum_ok;
	bool taken;
};

struct nic_ops {
	int (*send)(struct nic *n, struct nic_tx *t); /* 0 or -EAGAIN when the ring is full */
	void (*flush)(struct nic *n);		      /* rings the doorbell for what send queued */
	/* Completes sends, hands received frames to n->rx; returns how much was done. */
	unsigned (*poll)(struct nic *n, unsigned budget);
	/* Asks for a notify at the next event; true when something is there already (poll again).
	 */
	bool (*arm)(struct nic *n);
	/* n->also has changed. NULL: the card gives every frame it hears anyway. */
	void (*filter)(struct nic *n);
};

struct nic {
	const struct nic_ops *ops;
	const char *driver; /* "virtio-net" */
	char name[16];	    /* "nic0" */
	uint8_t mac[6];
	uint16_t mtu_max;
	uint32_t caps;
	unsigned queues;
	bool link_up;
	uint64_t speed_mbit; /* 0 = not known */
	/* Set by the net room before the first poll. */
	void (*notify)(struct nic *n); /* from the interrupt handler */
	void (*rx)(struct nic *n, struct nic_rx *f);
	void *net; /* net room's */
	/* Further addresses whose frames are wanted, guests'; more than fit: all are. */
	uint8_t also[NIC_MAX_ALSO][6];
	unsigned nr_also;
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes, rx_dropped, tx_stalls, copies;
};

/* Registered by drivers; the net room takes them. */
void nic_register(struct nic *n);
struct nic *nic_at(unsigned index);

#endif
