/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's network device (vnet.h): life, work of its world, migration.
 *
 * The device touches guest memory only while live: from reset or resume to
 * quiesce. Before an arriving VM is resumed its port is muted, so that no frame
 * changes memory that is still coming, and the address belongs to the source.
 * What the guest had sent before the stun still leaves from the source; what comes for it
 * during the stun is lost, as in a busy network.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "vnet.h"

#define NET_ID 1u
#define NET_CLASS 0x020000u
#define NET_QUEUE 256u
#define STATUS_LINK_UP 1u
#define DRAIN_POLL_NS (100ull * 1000)
#define ALL_FEATURES                                                                               \
	(VNET_F_CSUM | VNET_F_GUEST_CSUM | VNET_F_MTU | VNET_F_MAC | VNET_F_GUEST_TSO4 |           \
	 VNET_F_GUEST_TSO6 | VNET_F_HOST_TSO4 | VNET_F_HOST_TSO6 | VNET_F_MRG_RXBUF |              \
	 VNET_F_STATUS | VNET_F_CONTROL | VNET_F_MQ)

static void wake(void *arg)
{
	struct vnet_dev *n = arg;

	event_signal(&n->ev);
}

/* Commands are done at once, by the vCPU: its driver waits for them. */
static int kick(struct virtio *v, unsigned queue)
{
	struct vnet_dev *n = container_of(v, struct vnet_dev, v);

	if (vnet_is_control(n, queue))
		return virtio_drain(v, queue, vnet_control);
	wake(n);
	return 0;
}

/* True: the world has nothing to do. The device's mutex is held. */
static bool sent_few(struct vnet_dev *n, unsigned queue)
{
	int rc;

	if (!n->live || queue / 2 >= n->pairs || !virtio_running(&n->v, queue))
		return false;
	rc = vnet_transmit_few(n, queue / 2);
	if (rc < 0)
		virtio_broken(&n->v, queue, rc);
	return rc != 0;
}

/* While the world is at work a vCPU does not wait for it: it only says that there is more. */
static bool post(struct virtio *v, unsigned queue)
{
	struct vnet_dev *n = container_of(v, struct vnet_dev, v);
	bool done = false;

	if (queue >= v->nr_queues || vnet_is_control(n, queue))
		return false;
	if (queue % 2 && mutex_trylock(&v->d.lock)) {
		done = sent_few(n, queue);
		mutex_unlock(&v->d.lock);
	}
	if (!done)
		wake(n);
	return true;
}

void vnet_tell_port(struct vnet_dev *n)
{
	unsigned takes = 0;

	if (n->v.features & VNET_F_GUEST_CSUM)
		takes |= VPORT_CSUM;
	if (n->v.features & VNET_F_GUEST_TSO4)
		takes |= VPORT_TSO4;
	if (n->v.features & VNET_F_GUEST_TSO6)
		takes |= VPORT_TSO6;
	vport_accepts(n->port, takes);
}

static void negotiated(struct virtio *v)
{
	vnet_tell_port(container_of(v, struct vnet_dev, v));
}

static void drop_held(struct vnet_dev *n, unsigned from)
{
	for (unsigned i = from; i < VPORT_QUEUES_MAX; i++) {
		if (n->held[i])
			vframe_free(n->held[i]);
		n->held[i] = NULL;
	}
}

void vnet_use_pairs(struct vnet_dev *n, unsigned pairs)
{
	if (pairs == n->pairs)
		return;
	n->pairs = pairs;
	drop_held(n, pairs);
	vport_use_queues(n->port, pairs);
}

int vnet_set_mac(struct vnet_dev *n, const uint8_t mac[6], bool by_guest)
{
	int rc = vport_set_mac(n->port, mac, by_guest);

	if (!rc)
		memcpy(n->config.mac, mac, sizeof(n->config.mac));
	return rc;
}

/* Before any driver: one pair, no offloads, and its own address if nobody took it meanwhile. */
static void cleared(struct virtio *v)
{
	struct vnet_dev *n = container_of(v, struct vnet_dev, v);

	vnet_tell_port(n);
	vnet_use_pairs(n, 1);
	drop_held(n, 0);
	if (memcmp(n->config.mac, n->first_mac, sizeof(n->first_mac)) &&
	    vnet_set_mac(n, n->first_mac, false))
		log_warn("vdev",
			 "%s: virtio-net: its configured address is in use: it keeps the other",
			 v->d.vm->cfg.name);
}

static int one_way(struct vnet_dev *n, unsigned pair, unsigned queue,
		   int (*move)(struct vnet_dev *n, unsigned pair))
{
	int rc = n->live && virtio_running(&n->v, queue) ? move(n, pair) : 0;

	if (rc >= 0)
		return rc;
	virtio_broken(&n->v, queue, rc);
	return 0;
}

/* One burst each way for each pair; true when there may be more. */
static bool work(struct vnet_dev *n)
{
	int done = 0;

	mutex_lock(&n->v.d.lock);
	for (unsigned i = 0; i < n->pairs; i++) {
		done += one_way(n, i, VNET_TX(i), vnet_transmit);
		done += one_way(n, i, VNET_RX(i), vnet_receive);
	}
	mutex_unlock(&n->v.d.lock);
	return done > 0;
}

static void run(void *arg)
{
	struct vnet_dev *n = arg;
	unsigned busy_turns = 0;

	world_wakes_here(true);
	while (!__atomic_load_n(&n->ending, __ATOMIC_ACQUIRE)) {
		if (!work(n)) {
			busy_turns = 0;
			(void)event_wait(&n->ev, NEVER_NS);
			continue;
		}
		if (busy_turns++)
			world_share(); /* work goes on: the guest runs beside it */
		if (world_should_yield())
			world_yield();
	}
}

static const struct virtio_ops net_ops = {
	.name = "virtio-net",
	.id = NET_ID,
	.class = NET_CLASS,
	.nr_queues = VNET_QUEUES,
	.queue_size = NET_QUEUE,
	.features = ALL_FEATURES,
	.config_len = sizeof(struct vnet_config),
	.kick = kick,
	.post = post,
	.negotiated = negotiated,
	.reset = cleared,
};

static void go_live(struct vnet_dev *n)
{
	mutex_lock(&n->v.d.lock);
	n->live = true;
	mutex_unlock(&n->v.d.lock);
	vport_mute(n->port, false);
	wake(n);
}

static void net_reset(struct vdev *d)
{
	mutex_lock(&d->lock); /* its world may be at work: afterwards no queue is on */
	virtio_reset(d);
	mutex_unlock(&d->lock);
	go_live(vnet_of(d));
}

static int net_quiesce(struct vdev *d, uint64_t deadline_ns)
{
	struct vnet_dev *n = vnet_of(d);

	mutex_lock(&d->lock);
	n->live = false;
	mutex_unlock(&d->lock);
	vport_hurry(n->port);
	while (!vport_sent_all(n->port)) {
		if (time_ns() > deadline_ns) {
			go_live(n);
			return -ETIMEDOUT;
		}
		world_sleep_ns(DRAIN_POLL_NS);
	}
	vport_mute(n->port, true);
	return virtio_quiesce(d, deadline_ns);
}

static void net_resume(struct vdev *d)
{
	virtio_resume(d);
	go_live(vnet_of(d));
	vport_announce(vnet_of(d)->port);
}

static void net_destroy(struct vdev *d)
{
	struct vnet_dev *n = vnet_of(d);

	if (n->world) {
		__atomic_store_n(&n->ending, 1, __ATOMIC_RELEASE);
		wake(n);
		world_join(n->world);
	}
	drop_held(n, 0);
	vport_close(n->port);
	free(n);
}

static const struct vdev_ops net_vdev = {
	.name = "virtio-net",
	.reset = net_reset,
	.quiesce = net_quiesce,
	.resume = net_resume,
	.save = vnet_save,
	.check = vnet_check,
	.load = vnet_load,
	.destroy = net_destroy,
};

static int start_world(struct vnet_dev *n)
{
	struct world_opts o = { .prio = WORLD_NORMAL, .cpu = -1 };
	char name[32];

	snprintf(name, sizeof(name), "%.20s/net%u", n->v.d.vm->cfg.name, n->v.d.instance);
	o.name = name;
	return world_create(&n->world, &o, run, n);
}

static int open_port(struct vnet_dev *n, struct vm *vm, const struct vm_nic *nic)
{
	struct vport_config c = {
		.network = nic->network,
		.owner = vm->cfg.name,
		.index = (unsigned)(nic - vm->cfg.nic),
		.queues = MAX(nic->queues, 1u),
		.rules = { .rate_mbit = nic->rate_mbit, .any_source = nic->any_source },
		.wake = wake,
		.arg = n,
	};

	memcpy(c.mac, nic->mac, sizeof(c.mac));
	return vport_open(&c, &n->port);
}

static void init_config(struct vnet_dev *n, const struct vm_nic *nic)
{
	memcpy(n->first_mac, nic->mac, sizeof(n->first_mac));
	memcpy(n->config.mac, nic->mac, sizeof(n->config.mac));
	n->config.status = STATUS_LINK_UP;
	n->config.max_pairs = MAX(nic->queues, 1u);
	n->config.mtu = (uint16_t)vport_mtu(n->port);
	n->pairs = 1;
	n->v.nr_queues = (uint16_t)(2u * n->config.max_pairs + (nic->queues ? 1u : 0));
	n->v.withheld = (nic->queues ? 0 : VNET_F_CONTROL) | (nic->queues > 1 ? 0 : VNET_F_MQ);
}

int vnet_create(struct vm *vm, struct pci_bus *bus, unsigned slot, const struct vm_nic *nic)
{
	struct vnet_dev *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return -ENOMEM;
	event_init(&n->ev, "vnet");
	rc = open_port(n, vm, nic);
	if (rc) {
		free(n);
		return rc;
	}
	init_config(n, nic);
	virtio_create(&n->v, vm, bus, slot, &net_ops, &net_vdev, REC_VNET);
	n->v.config = &n->config;
	return start_world(n); /* the device is on the VM's list: whoever ends that ends it */
}
