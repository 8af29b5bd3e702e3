/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which frames the card takes: its own address and the guests', by its receive address
 * registers; when there are more than these, every unicast frame. Groups are all taken
 * (e1000_hw.c). [8254x 13.5.2 "Receive Address Low"]
 */
#include <string.h>

#include "drivers/e1000.h"

static void set_receive_address(struct e1000 *d, unsigned n, const uint8_t *mac)
{
	uint32_t low = 0, high = 0;

	if (mac) {
		memcpy(&low, mac, 4);
		memcpy(&high, mac + 4, 2);
		high |= RAH_VALID;
	}
	e1000_write(d, E1000_RAL + n * RA_STEP, low);
	e1000_write(d, E1000_RAH + n * RA_STEP, high);
}

/* Its own address first, then the guests' [8254x 13.5.2 "Receive Address Low"]. */
static void set_addresses(struct e1000 *d)
{
	set_receive_address(d, 0, d->nic.mac);
	for (unsigned n = 1; n < RA_COUNT; n++)
		set_receive_address(d, n, n <= d->nic.nr_also ? d->nic.also[n - 1] : NULL);
}

void e1000_filter(struct nic *n)
{
	struct e1000 *d = (struct e1000 *)n;
	uint32_t control = e1000_read(d, E1000_RCTL) & ~(uint32_t)RCTL_ALL_UNICAST;

	set_addresses(d);
	e1000_write(d, E1000_RCTL, control | (n->nr_also < RA_COUNT ? 0 : RCTL_ALL_UNICAST));
}
