/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of network cards: drivers register at boot, the net room takes them after. */
#include <stdio.h>

#include <tern/log.h>
#include <tern/nic.h>

#define NIC_MAX 8u

static struct nic *nics[NIC_MAX]; /* [const] once the drivers are attached */
static unsigned nr_nics;

void nic_register(struct nic *n)
{
	if (nr_nics == NIC_MAX) {
		log_warn("nic", "more than %u cards: one is not used", NIC_MAX);
		return;
	}
	snprintf(n->name, sizeof(n->name), "nic%u", nr_nics);
	nics[nr_nics++] = n;
	log_info("nic", "%s: %s %02x:%02x:%02x:%02x:%02x:%02x mtu %u%s%s%s", n->name, n->driver,
		 n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5], n->mtu_max,
		 (n->caps & NIC_CAP_TX_CSUM) ? " csum" : "", (n->caps & NIC_CAP_TSO4) ? " tso" : "",
		 (n->caps & NIC_CAP_LRO) ? " lro" : "");
}

struct nic *nic_at(unsigned index)
{
	return index < nr_nics ? nics[index] : NULL;
}
