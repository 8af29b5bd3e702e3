/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chip as a whole: reset, its address, its link, start. After a reset nothing
 * is taken for granted: not every chip clears its ring registers then, and not
 * every one reads its address out of the EEPROM by itself.
 * [8254x 14 "General Initialization and Reset Operation"]
 */
#include <errno.h>
#include <string.h>

#include <tern/timer.h>
#include <tern/world.h>

#include "drivers/e1000.h"

#define RESET_NS (25 * NSEC_PER_MSEC) /* the EEPROM's contents are read meanwhile */
#define MASTER_WAITS 800u	      /* of 100 us [82574 "Master Disable"] */
#define MASTER_WAIT_NS (100 * NSEC_PER_USEC)
#define POLLS 200u
#define POLL_NS (10 * NSEC_PER_USEC)
#define INTERRUPT_DISTANCE 195u /* 50 us: at most 20,000 a second */

/* False when reg did not show the bit in time. */
static bool wait_for(const struct e1000 *d, uint32_t reg, uint64_t bit)
{
	for (unsigned i = 0; i < POLLS; i++) {
		if (e1000_read(d, reg) & bit)
			return true;
		delay_ns(POLL_NS);
	}
	return false;
}

/* A PCIe part must not be reset while its requests are under way. */
static void stop_requests(struct e1000 *d)
{
	e1000_write(d, E1000_CTRL, e1000_read(d, E1000_CTRL) | CTRL_MASTER_OFF);
	for (unsigned i = 0; i < MASTER_WAITS; i++) {
		if (!(e1000_read(d, E1000_STATUS) & STATUS_MASTER))
			return;
		delay_ns(MASTER_WAIT_NS);
	}
}

void e1000_reset(struct e1000 *d)
{
	e1000_write(d, E1000_IMC, UINT32_MAX);
	e1000_write(d, E1000_RCTL, 0);
	e1000_write(d, E1000_TCTL, 0);
	if (d->chip->flags & E1000_PCIE)
		stop_requests(d);
	if (d->chip->rx_kib) /* takes effect with the reset, and outlives it */
		e1000_write(d, E1000_PBA, d->chip->rx_kib);
	e1000_write(d, E1000_CTRL, e1000_read(d, E1000_CTRL) | CTRL_RESET);
	world_sleep_ns(RESET_NS);
	e1000_write(d, E1000_IMC, UINT32_MAX);
	(void)e1000_read(d, E1000_ICR);
}

/* [8254x 13.4.4 "EEPROM Read Register"]; PCIe parts moved two fields of it. */
static int read_eeprom(struct e1000 *d, unsigned word, uint16_t *out)
{
	bool pcie = d->chip->flags & E1000_PCIE;

	e1000_write(d, E1000_EERD, EERD_START | (uint64_t)word << (pcie ? 2 : 8));
	if (!wait_for(d, E1000_EERD, pcie ? BIT(1) : BIT(4)))
		return -EIO;
	*out = (uint16_t)(e1000_read(d, E1000_EERD) >> EERD_DATA_SHIFT);
	return 0;
}

static bool usable(const uint8_t *mac)
{
	static const uint8_t none[6];

	return !(mac[0] & 1) && memcmp(mac, none, 6) != 0;
}

/* The receive address where the chip has loaded it (a second port's differs from the EEPROM's),
 * else the EEPROM's first three words. */
int e1000_read_mac(struct e1000 *d)
{
	uint32_t low = e1000_read(d, E1000_RAL), high = e1000_read(d, E1000_RAH);
	uint8_t *mac = d->nic.mac;

	memcpy(mac, &low, 4);
	memcpy(mac + 4, &high, 2);
	if ((high & RAH_VALID) && usable(mac))
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		uint16_t word;
		int err = read_eeprom(d, i, &word);

		if (err)
			return err;
		memcpy(mac + 2 * i, &word, 2);
	}
	return usable(mac) ? 0 : -EIO;
}

/* [8254x 13.4.5 "MDI Control Register"] */
static bool phy_access(struct e1000 *d, uint32_t command)
{
	e1000_write(d, E1000_MDIC, command | MDIC_PHY_1);
	return wait_for(d, E1000_MDIC, MDIC_READY) && !(e1000_read(d, E1000_MDIC) & MDIC_ERROR);
}

/* The EEPROM may leave the PHY without power. */
static void wake_phy(struct e1000 *d)
{
	if (phy_access(d, MDIC_READ | PHY_CONTROL << MDIC_REG_SHIFT) &&
	    (e1000_read(d, E1000_MDIC) & PHY_CONTROL_POWER_DOWN))
		(void)phy_access(d, MDIC_WRITE | PHY_CONTROL << MDIC_REG_SHIFT |
					    PHY_CONTROL_NEGOTIATE | PHY_CONTROL_RESTART);
}

void e1000_read_link(struct e1000 *d)
{
	static const uint16_t mbit[] = { 10, 100, 1000, 1000 };
	uint32_t status = e1000_read(d, E1000_STATUS);

	d->nic.link_up = status & STATUS_LINK_UP;
	d->nic.speed_mbit = mbit[status >> STATUS_SPEED_SHIFT & STATUS_SPEED_MASK];
}

/* [8254x 14.5 "Transmit Initialization"] */
static void start_tx(struct e1000 *d)
{
	uint64_t ring = ptr_hpa(d->tx.desc).v;

	e1000_write(d, E1000_TDBAL, ring);
	e1000_write(d, E1000_TDBAH, ring >> 32);
	e1000_write(d, E1000_TDLEN, E1000_TX_RING * sizeof(*d->tx.desc));
	e1000_write(d, E1000_TDH, 0);
	e1000_write(d, E1000_TDT, 0);
	e1000_write(d, E1000_TIDV, 0);
	e1000_write(d, E1000_TIPG, TIPG_COPPER);
	if (d->chip->flags & E1000_PCIE)
		e1000_write(d, E1000_TXDCTL, e1000_read(d, E1000_TXDCTL) | TXDCTL_COUNT);
	e1000_write(d, E1000_TCTL, TCTL_ENABLE | TCTL_PAD | TCTL_COLLISIONS | TCTL_DISTANCE);
}

/*
 * [8254x 14.4 "Receive Initialization"]. Groups are all taken: neither lwIP nor guests join
 * them at the card. Addresses: e1000_filter.c.
 */
static void start_rx(struct e1000 *d)
{
	uint64_t ring = ptr_hpa(d->rx.desc).v, control;

	e1000_write(d, E1000_RDBAL, ring);
	e1000_write(d, E1000_RDBAH, ring >> 32);
	e1000_write(d, E1000_RDLEN, E1000_RX_RING * sizeof(*d->rx.desc));
	e1000_write(d, E1000_RDH, 0);
	e1000_write(d, E1000_RDT, 0);
	e1000_write(d, E1000_RDTR, 0);
	e1000_write(d, E1000_RXCSUM, RXCSUM_IP | RXCSUM_TCP_UDP);
	control = RCTL_ENABLE | RCTL_ALL_MULTICAST | RCTL_BROADCAST | RCTL_4K_BUFFERS |
		  RCTL_STRIP_CRC;
	if (d->nic.mtu_max > 1500)
		control |= RCTL_LONG;
	e1000_write(d, E1000_RCTL, control);
	e1000_filter(&d->nic);
	e1000_rx_fill(d);
}

void e1000_start(struct e1000 *d)
{
	uint64_t control = e1000_read(d, E1000_CTRL);

	control &= ~(CTRL_MASTER_OFF | CTRL_LINK_RESET | CTRL_FORCE_SPEED | CTRL_FORCE_DUPLEX |
		     CTRL_VLAN | CTRL_PHY_RESET);
	e1000_write(d, E1000_CTRL, control | CTRL_LINK_UP | CTRL_AUTO_SPEED);
	wake_phy(d);
	e1000_write(d, E1000_ITR, INTERRUPT_DISTANCE);
	start_tx(d);
	start_rx(d);
	e1000_read_link(d);
}
