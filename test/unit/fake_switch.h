/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One port of a switch for tests of the guest's network device: what it sends is
 * kept, what it is to receive is queued by the test.
 */
#ifndef TEST_UNIT_FAKE_SWITCH_H
#define TEST_UNIT_FAKE_SWITCH_H

#include <tern/world.h>

#include "net/count.h"
#include "net/vframe.h"

struct fake_port {
	struct vframe *sent, *waiting[VPORT_QUEUES_MAX];
	int room;
	unsigned accepts, announced, wakes;
	bool muted;
	uint8_t mac[6], first_mac[6];
	struct vport_rules rules;
	unsigned queues, queues_max;
	uint64_t count[VPORT_COUNTERS];
	unsigned nr_addrs;
	struct net_addr addr[VPORT_ADDRS];
};
extern struct fake_port fake_port;

void fake_switch_clear(void);
void fake_arrive(struct vframe *f); /* for the first queue */
void fake_arrive_at(unsigned queue, struct vframe *f);
struct vframe *fake_departed(void);

#endif
