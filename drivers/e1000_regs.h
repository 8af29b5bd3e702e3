/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers and descriptors of Intel's gigabit cards from the 82540 to the 82583,
 * as far as the driver uses them. Sources: "PCI/PCI-X Family of Gigabit Ethernet
 * Controllers Software Developer's Manual" [8254x] and the "82574 GbE Controller
 * Family Datasheet" [82574]; where both agree, the first is named.
 */
#ifndef DRIVERS_E1000_REGS_H
#define DRIVERS_E1000_REGS_H

#include <tern/types.h>

/* [8254x 13.4 "Main Register Descriptions"] */
#define E1000_CTRL 0x0000u
#define CTRL_MASTER_OFF BIT(2) /* PCIe only */
#define CTRL_LINK_RESET BIT(3) /* must be 0 for copper */
#define CTRL_AUTO_SPEED BIT(5)
#define CTRL_LINK_UP BIT(6)
#define CTRL_FORCE_SPEED BIT(11)
#define CTRL_FORCE_DUPLEX BIT(12)
#define CTRL_RESET BIT(26)
#define CTRL_VLAN BIT(30)
#define CTRL_PHY_RESET BIT(31)
#define E1000_STATUS 0x0008u
#define STATUS_LINK_UP BIT(1)
#define STATUS_SPEED_SHIFT 6
#define STATUS_SPEED_MASK 3u
#define STATUS_MASTER BIT(19) /* PCIe: requests are outstanding */
#define E1000_EERD 0x0014u
#define EERD_START BIT(0)
#define EERD_DATA_SHIFT 16
#define E1000_MDIC 0x0020u
#define MDIC_REG_SHIFT 16
#define MDIC_PHY_1 (1u << 21)
#define MDIC_WRITE (1u << 26)
#define MDIC_READ (2u << 26)
#define MDIC_READY BIT(28)
#define MDIC_ERROR BIT(30)
#define E1000_ICR 0x00c0u /* reading clears */
#define E1000_ITR 0x00c4u /* least distance of interrupts, 256 ns */
#define E1000_IMS 0x00d0u
#define E1000_IMC 0x00d8u
#define E1000_RCTL 0x0100u
#define RCTL_ENABLE BIT(1)
#define RCTL_ALL_UNICAST BIT(3)
#define RCTL_ALL_MULTICAST BIT(4)
#define RCTL_LONG BIT(5)
#define RCTL_BROADCAST BIT(15)
#define RCTL_4K_BUFFERS (BIT(25) | 3u << 16)
#define RCTL_STRIP_CRC BIT(26)
#define E1000_TCTL 0x0400u
#define TCTL_ENABLE BIT(1)
#define TCTL_PAD BIT(3)
#define TCTL_COLLISIONS (15u << 4)
#define TCTL_DISTANCE (64u << 12) /* full duplex */
#define E1000_TIPG 0x0410u
#define TIPG_COPPER (8u | 8u << 10 | 6u << 20)
#define E1000_PBA 0x1000u /* KiB of the packet buffer that receive */
#define E1000_RDBAL 0x2800u
#define E1000_RDBAH 0x2804u
#define E1000_RDLEN 0x2808u
#define E1000_RDH 0x2810u
#define E1000_RDT 0x2818u
#define E1000_RDTR 0x2820u
#define E1000_TDBAL 0x3800u
#define E1000_TDBAH 0x3804u
#define E1000_TDLEN 0x3808u
#define E1000_TDH 0x3810u
#define E1000_TDT 0x3818u
#define E1000_TIDV 0x3820u
#define E1000_TXDCTL 0x3828u
#define TXDCTL_COUNT BIT(22) /* [82574 "Transmit Descriptor Control"]: must be set */
#define E1000_RXCSUM 0x5000u
#define RXCSUM_IP BIT(8)
#define RXCSUM_TCP_UDP BIT(9)
#define E1000_RAL 0x5400u
#define E1000_RAH 0x5404u
#define RAH_VALID BIT(31)
#define RA_STEP 8u   /* bytes from one receive address to the next */
#define RA_COUNT 15u /* of the smallest chip: the 82574 has 15, others 16 */

/* Interrupt causes. [8254x 13.4.17 "Interrupt Cause Read Register"] */
#define ICR_TX_DONE BIT(0)
#define ICR_LINK BIT(2)
#define ICR_RX_OVERRUN BIT(6)
#define ICR_RX BIT(7)

/* [IEEE 802.3 22.2.4.1 "Control register (Register 0)"] */
#define PHY_CONTROL 0u
#define PHY_CONTROL_RESTART 0x0200u
#define PHY_CONTROL_POWER_DOWN 0x0800u
#define PHY_CONTROL_NEGOTIATE 0x1000u

/* [8254x 3.2.3 "Receive Descriptor Format"] */
struct e1000_rx_desc {
	uint64_t addr;	   /* 0 */
	uint16_t len;	   /* 8 */
	uint16_t checksum; /* 10 */
	uint8_t status;	   /* 12 */
	uint8_t errors;	   /* 13 */
	uint16_t special;  /* 14 */
};
_Static_assert(sizeof(struct e1000_rx_desc) == 16, "receive descriptor");
_Static_assert(offsetof(struct e1000_rx_desc, status) == 12, "receive descriptor");
#define RXD_DONE 0x01u
#define RXD_END 0x02u
#define RXD_NO_CHECKSUM 0x04u
#define RXD_TCP_CHECKED 0x20u
#define RXD_BAD_CHECKSUM 0x20u /* errors: the TCP or UDP checksum */
#define RXD_BAD_FRAME 0x97u    /* errors: CRC, symbol, sequence, carrier, data */

/*
 * One layout for the three kinds [8254x 3.3 "Packet Transmission"]: in a context
 * descriptor addr holds the offsets, and option the header's length and the MSS.
 */
struct e1000_tx_desc {
	uint64_t addr;	 /* 0 */
	uint32_t cmd;	 /* 8: length and command */
	uint32_t option; /* 12: status in bits 0 to 3 */
};
_Static_assert(sizeof(struct e1000_tx_desc) == 16, "transmit descriptor");
#define TXD_END BIT(24)
#define TXD_INSERT_CRC BIT(25)
#define TXD_SEGMENT BIT(26)
#define TXD_REPORT BIT(27)
#define TXD_EXTENDED BIT(29)
#define TXD_DATA BIT(20)   /* with EXTENDED: data; without: context */
#define TXD_DONE BIT(0)	   /* option */
#define TXD_IP_SUM BIT(8)  /* option */
#define TXD_TCP_SUM BIT(9) /* option */
#define TXC_TCP BIT(24)	   /* context's command */
#define TXC_IPV4 BIT(25)   /* context's command */
/* Context's offsets, of the IP header's sum and, 32 bits further, of TCP's. */
#define TXC_FIELD_SHIFT 8
#define TXC_STOP_SHIFT 16
#define TXC_TCP_SHIFT 32
#define TXC_HDRLEN_SHIFT 8 /* context's option */
#define TXC_MSS_SHIFT 16

#endif
