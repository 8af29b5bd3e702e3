/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the driver for Intel's gigabit cards. One pair of rings; the net
 * room's owner world drives it through struct nic, only interrupt() runs
 * elsewhere. The table in e1000_ids.c says what each chip can do and why.
 */
#ifndef DRIVERS_E1000_H
#define DRIVERS_E1000_H

#include <tern/cpu.h>
#include <tern/nic.h>
#include <tern/page.h>
#include <tern/pci.h>

#include "drivers/e1000_regs.h"

#define E1000_TX_RING 1024u /* 3 MiB in segments of 60 KiB */
#define E1000_RX_RING 1024u
/* Bytes that one descriptor carries; the chips take 16288, in some modes less. */
#define E1000_TX_PIECE 4096u
/* Sent frames that make no progress for so long mean that the chip hangs. */
#define E1000_HANG_NS (2 * NSEC_PER_SEC)

/* struct e1000_chip.flags */
#define E1000_PCIE 1u /* 82571 and later: registers and EEPROM of the PCIe generation */
#define E1000_TSO_IPV6 2u
#define E1000_DMA_32 4u /* reaches the first 4 GiB only */

struct e1000_chip {
	uint16_t device;
	uint16_t mtu_max;
	uint8_t rx_kib; /* of the packet buffer; 0 = as the chip divides it */
	uint8_t flags;
};

/* What is remembered of a packet, at its first descriptor's place. */
struct e1000_sent {
	struct nic_tx *t;
	hpa_t bounce; /* copy below 4 GiB, or 0 */
	uint16_t last;
};

struct e1000_tx {
	struct e1000_tx_desc *desc;   /* [own] in memory of the device's */
	struct e1000_sent *sent;      /* [own] by descriptor */
	uint32_t next, clean, rung;   /* [own] to fill, to complete, as TDT says */
	uint64_t progress_ns;	      /* [own] a frame went out, or the ring was empty */
	struct e1000_tx_desc context; /* [own] as the chip has it */
};

struct e1000_rx {
	struct e1000_rx_desc *desc; /* [own] */
	hpa_t *page;		    /* [own] by descriptor, 0 = memory was short */
	uint32_t next, fill;	    /* [own] to look at, to give */
};

struct e1000 {
	struct nic nic;		       /* first: the net room's face */
	const struct e1000_chip *chip; /* [const] */
	struct pci_dev *pci;	       /* [const] */
	volatile uint8_t *regs;	       /* [const] */
	struct e1000_tx tx;
	struct e1000_rx rx;
	uint32_t link_changed; /* [atom] set by the interrupt */
	uint32_t overruns;     /* [atom] counted by the interrupt */
};

/* e1000_ids.c: NULL when the driver does not know the chip. */
const struct e1000_chip *e1000_find_chip(uint16_t vendor, uint16_t device);

/* e1000_hw.c */
/* Stops the chip and brings it to the state after power-on, all interrupts off. */
void e1000_reset(struct e1000 *d);
MUST_CHECK int e1000_read_mac(struct e1000 *d);
/* Address, filters, link, and the two rings; the chip runs afterwards. */
void e1000_start(struct e1000 *d);
void e1000_read_link(struct e1000 *d);

/* e1000_filter.c: also after each start. */
void e1000_filter(struct nic *n);

/* e1000_tx.c */
MUST_CHECK int e1000_tx_init(struct e1000 *d);
MUST_CHECK int e1000_send(struct nic *n, struct nic_tx *t);
void e1000_flush(struct nic *n);
unsigned e1000_tx_complete(struct e1000 *d);
unsigned e1000_tx_free(const struct e1000_tx *q);
bool e1000_tx_done(const struct e1000_tx *q); /* a packet is there to complete */
bool e1000_tx_hangs(struct e1000 *d);
/* After a reset: all that was queued is done, though it may not have gone out. */
void e1000_tx_drop(struct e1000 *d);

/* e1000_rx.c */
MUST_CHECK int e1000_rx_init(struct e1000 *d);
/* Hands up to budget frames to the net room; returns how many. */
unsigned e1000_rx_poll(struct e1000 *d, unsigned budget);
bool e1000_rx_ready(const struct e1000_rx *q);
void e1000_rx_fill(struct e1000 *d);
/* After a reset: every buffer belongs to the driver again, the ring begins at 0. */
void e1000_rx_rewind(struct e1000 *d);

static inline uint32_t e1000_read(const struct e1000 *d, uint32_t reg)
{
	return mmio_read32(d->regs + reg);
}

static inline void e1000_write(struct e1000 *d, uint32_t reg, uint64_t v)
{
	mmio_write32(d->regs + reg, (uint32_t)v);
}

#endif
