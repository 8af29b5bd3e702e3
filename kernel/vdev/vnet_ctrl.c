/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the driver commands (vnet.h): how many pairs of queues it uses, its address, and
 * what it would like to hear. A command that this device has not, or may not obey, is
 * answered with an error; one that is no command at all stops the device.
 *
 * Which frames come is said by the configuration: the port's address and every group. So
 * groups may be asked for, all frames may not, and there is no filter of VLANs, whose
 * tags guests never see. [virtio 1.2 5.1.6.5 "Control Virtqueue"]
 */
#include <errno.h>
#include <string.h>

#include "kernel/lib/packet.h"
#include "vnet.h"

#define ACK_OK 0u
#define ACK_ERR 1u

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_MQ = 4 };
enum { RX_PROMISC = 0, RX_ALLMULTI = 1 };
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
enum { MQ_PAIRS_SET = 0 };

#define ARGS sizeof(struct head) /* what follows it */

struct head {
	uint8_t class;
	uint8_t cmd;
};

bool vnet_is_control(const struct vnet_dev *n, unsigned queue)
{
	/* Without MQ it follows the first pair, however many the device has [5.1.2]. */
	unsigned at = n->v.features & VNET_F_MQ ? 2u * n->config.max_pairs : 2u;

	return n->v.features & VNET_F_CTRL_VQ && queue == at;
}

/* Arguments at offset off; -EPROTO when the command is too short for them. */
static int args(struct vnet_dev *n, const struct virtq_chain *c, uint64_t off, void *buf,
		size_t len)
{
	return virtq_get(c, n->v.d.vm->mem, ARGS + off, buf, len);
}

static int rx_mode(struct vnet_dev *n, const struct virtq_chain *c, uint8_t cmd)
{
	uint8_t on;
	int rc = args(n, c, 0, &on, sizeof(on));

	if (rc)
		return rc;
	if (cmd == RX_PROMISC)
		return on ? -EPERM : 0;
	return cmd == RX_ALLMULTI ? 0 : -ENOTSUP;
}

/* More than anybody has: each is looked at in turn, and the chain may show one buffer many times.
 */
#define UNICAST_MAX 64u

/* Two lists, each after its length: single addresses, of which only its own comes, and groups. */
static int mac_table(struct vnet_dev *n, const struct virtq_chain *c)
{
	uint64_t at = sizeof(uint32_t);
	uint8_t mac[MAC_LEN];
	uint32_t count;
	int rc = args(n, c, 0, &count, sizeof(count));

	if (!rc && count > UNICAST_MAX)
		return -EPERM;
	for (uint32_t i = 0; i < count && !rc; i++, at += MAC_LEN) {
		rc = args(n, c, at, mac, sizeof(mac));
		if (!rc && memcmp(mac, n->config.mac, MAC_LEN))
			return -EPERM;
	}
	if (!rc)
		rc = args(n, c, at, &count, sizeof(count));
	return rc								    ? rc
	       : at + sizeof(count) + (uint64_t)count * MAC_LEN > c->out_len - ARGS ? -EPROTO
										    : 0;
}

static int mac_command(struct vnet_dev *n, const struct virtq_chain *c, uint8_t cmd)
{
	uint8_t mac[MAC_LEN];
	int rc;

	if (cmd == MAC_TABLE_SET && n->v.features & VNET_F_CTRL_RX)
		return mac_table(n, c);
	if (cmd != MAC_ADDR_SET || !(n->v.features & VNET_F_CTRL_MAC_ADDR))
		return -ENOTSUP;
	rc = args(n, c, 0, mac, sizeof(mac));
	return rc ? rc : vnet_set_mac(n, mac, true);
}

static int mq_command(struct vnet_dev *n, const struct virtq_chain *c, uint8_t cmd)
{
	uint16_t pairs;
	int rc;

	if (cmd != MQ_PAIRS_SET || !(n->v.features & VNET_F_MQ))
		return -ENOTSUP;
	rc = args(n, c, 0, &pairs, sizeof(pairs));
	if (rc)
		return rc;
	if (!pairs || pairs > n->config.max_pairs)
		return -EINVAL;
	vnet_use_pairs(n, pairs);
	event_signal(&n->ev); /* frames may wait in a queue that was off */
	return 0;
}

static int obey(struct vnet_dev *n, const struct virtq_chain *c, const struct head *h)
{
	switch (h->class) {
	case CLASS_RX:
		return n->v.features & VNET_F_CTRL_RX ? rx_mode(n, c, h->cmd) : -ENOTSUP;
	case CLASS_MAC:
		return mac_command(n, c, h->cmd);
	case CLASS_MQ:
		return mq_command(n, c, h->cmd);
	default:
		return -ENOTSUP;
	}
}

int64_t vnet_control(struct virtio *v, struct virtq_chain *c)
{
	struct vnet_dev *n = container_of(v, struct vnet_dev, v);
	struct head h;
	uint8_t ack;
	int rc;

	if (!c->in_len)
		return -EPROTO;
	rc = virtq_get(c, v->d.vm->mem, 0, &h, sizeof(h));
	if (!rc)
		rc = obey(n, c, &h);
	if (rc == -EPROTO || rc == -EFAULT)
		return rc;
	ack = rc ? ACK_ERR : ACK_OK;
	rc = virtq_put(c, v->d.vm->mem, 0, &ack, sizeof(ack));
	return rc ? rc : (int64_t)sizeof(ack);
}
