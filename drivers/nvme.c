/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NVMe controllers on PCI: found, started, their namespaces registered as disks. An
 * interrupt for each I/O queue where MSI-X gives so many, else one for all.
 * Namespaces with metadata, or blocks that are not of 512 to 4096 bytes, are named in
 * the log and left alone.
 *
 * Probing runs in a world.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "drivers/nvme.h"

/* [NVMe 1.4 2.1.5 "Offset 09h: CC - Class Code"] */
#define CLASS_STORAGE 0x01u
#define SUBCLASS_NVM 0x08u
#define PROG_NVME 0x02u

/* What one command may take, so that none is late for its size alone. */
#define ZEROES_BLOCKS 0x10000u
#define ZEROES_BYTES (16u << 20)
#define DISCARD_BYTES (256u << 20)

static unsigned nr_controllers;

/* ---- namespaces ---- */

static struct blk_geometry geometry(const struct nvme *c, const struct nvme_ns_identity *id)
{
	uint32_t bytes = id->block_bytes;

	return (struct blk_geometry){
		.blocks = id->blocks,
		.block_bytes = bytes,
		.physical_bytes = id->physical_bytes,
		.max_segs = NVME_MAX_SEGS,
		.max_bytes = c->id.max_bytes,
		.max_discard_blocks = c->id.dataset ? DISCARD_BYTES / bytes : 0,
		.max_zeroes_blocks = c->id.zeroes ? MIN(ZEROES_BLOCKS, ZEROES_BYTES / bytes) : 0,
		.queue_depth = c->nr_queues * (c->entries - 1u),
		.dma_align = 4,
		.dma_limit = UINT64_MAX,
		.dma_pages = true,
		.volatile_cache = c->id.volatile_cache,
		.read_only = id->read_only,
	};
}

/* Namespaces of one controller differ by what follows its serial number. */
static void name_namespace(struct nvme_ns *ns)
{
	const struct nvme_identity *id = &ns->c->id;

	memcpy(ns->blk.model, id->model, sizeof(id->model));
	if (ns->nsid == 1)
		memcpy(ns->blk.serial, id->serial, sizeof(id->serial));
	else
		snprintf(ns->blk.serial, sizeof(ns->blk.serial), "%s:%u", id->serial,
			 (unsigned)ns->nsid);
}

static void add_namespace(struct nvme *c, uint32_t nsid)
{
	struct nvme_ns_identity id;
	struct nvme_ns *ns;
	const char *why;

	if (nvme_admin_identify(c, NVME_IDENTIFY_NS, nsid))
		return;
	if (nvme_parse_ns((const uint8_t *)c->admin.page, &id, &why)) {
		log_warn("nvme", "%s: namespace %u is not used: %s", c->name, nsid, why);
		return;
	}
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return;
	ns->c = c;
	ns->nsid = nsid;
	ns->blk.ops = &nvme_blk_ops;
	ns->blk.driver = "nvme";
	ns->blk.geo = geometry(c, &id);
	name_namespace(ns);
	if (blk_register(&ns->blk)) {
		free(ns);
		return;
	}
	ns->next = c->ns;
	c->ns = ns;
}

/*
 * The next active one, 0 when there is none. Controllers before 1.1 have no list:
 * all numbers are looked at. [NVMe 1.4 5.15.2.3 "Active Namespace ID list"]
 */
static uint32_t next_namespace(struct nvme *c, uint32_t after)
{
	uint32_t nsid = 0;

	if (nvme_admin_identify(c, NVME_IDENTIFY_LIST, after))
		return after < c->id.namespaces ? after + 1 : 0;
	memcpy(&nsid, c->admin.page, sizeof(nsid));
	return nsid > after ? nsid : 0;
}

static void find_namespaces(struct nvme *c)
{
	uint32_t nsid = 0;

	for (unsigned n = 0; n < BLK_MAX_DEVICES && (nsid = next_namespace(c, nsid)) != 0; n++)
		add_namespace(c, nsid);
}

/* ---- interrupts ---- */

static void interrupt(void *ctrl)
{
	struct nvme *c = ctrl;

	nvme_admin_poll(c);
	for (unsigned i = 0; c->one_vector && i < c->nr_queues; i++)
		nvme_queue_poll(&c->queue[i]);
}

static void queue_interrupt(void *queue)
{
	nvme_queue_poll(queue);
}

/* The controller's; of all its queues unless each has its own. */
static int attach_interrupt(struct nvme *c)
{
	enum pci_irq_kind kind;
	int err = pci_irq_attach(c->pci, 0, -1, interrupt, c, "nvme", &kind);

	c->one_vector = kind != PCI_IRQ_MSIX || pci_msix_count(c->pci) < 2;
	return err;
}

/* As many queues as have an interrupt. */
static unsigned attach_queues(struct nvme *c, unsigned count)
{
	enum pci_irq_kind kind;

	for (unsigned i = 0; i < count && !c->one_vector; i++)
		if (pci_irq_attach(c->pci, i + 1, (int)i, queue_interrupt, &c->queue[i], c->name,
				   &kind)) {
			if (i)
				return i;
			c->one_vector = true;
		}
	return count;
}

/* ---- controllers ---- */

static int take_memory(struct nvme *c)
{
	hpa_t page, bounce;
	int err = nvme_ring_alloc(&c->admin.ring, 0, NVME_ADMIN_DEPTH);

	if (err)
		return err;
	err = page_alloc(ORDER_4K, PAGE_ZERO, FRAME_KERNEL, &page);
	if (err)
		goto free_ring;
	err = page_alloc(NVME_BOUNCE_ORDER, 0, FRAME_KERNEL, &bounce);
	if (err)
		goto put_page;
	c->admin.page = hpa_ptr(page);
	c->bounce = hpa_ptr(bounce);
	spin_init(&c->admin.lock, LOCK_DRIVER, "nvme admin");
	event_init(&c->admin.came, "nvme admin");
	return 0;

put_page:
	page_put(page);
free_ring:
	nvme_ring_free(&c->admin.ring);
	return err;
}

/* As many as CPUs, doorbells and vectors allow. */
static unsigned wanted_queues(const struct nvme *c)
{
	uint64_t bells = (c->pci->bar_size[0] - NVME_BELLS) / c->bell_bytes / 2;
	unsigned vectors = c->one_vector ? MAX_CPUS : pci_msix_count(c->pci) - 1;

	return MIN(MIN(cpu_count(), vectors), (unsigned)MIN(bells - 1, MAX_CPUS));
}

static int make_queues(struct nvme *c)
{
	unsigned count = wanted_queues(c), made = 0;
	int err = nvme_ctrl_ask_queues(c, &count);

	if (err)
		return err;
	c->queue = calloc(count, sizeof(*c->queue));
	if (!c->queue)
		return -ENOMEM;
	while (made < count && !nvme_queue_init(&c->queue[made], c, (uint16_t)(made + 1)))
		made++;
	if (!made)
		return -ENOMEM;
	c->nr_queues = attach_queues(c, made);
	return nvme_ctrl_make_queues(c);
}

static int start(struct nvme *c)
{
	int err = attach_interrupt(c);

	if (!err)
		err = nvme_ctrl_start(c);
	if (!err)
		err = nvme_admin_identify(c, NVME_IDENTIFY_CTRL, 0);
	if (err)
		return err;
	nvme_parse_ctrl((const uint8_t *)c->admin.page, &c->id);
	err = make_queues(c);
	if (!err)
		err = nvme_recover_start(c);
	if (err)
		return err;
	log_info("nvme", "%s: %s, %u queues of %u, %s", c->name, c->id.model, c->nr_queues,
		 c->entries, c->one_vector ? "one interrupt" : "an interrupt each");
	find_namespaces(c);
	return 0;
}

/* Firmware may have left it running. */
static int open_controller(struct nvme *c, const char **why)
{
	int err;

	*why = "no registers";
	if (c->pci->bar_size[0] < NVME_REGISTER_BYTES)
		return -ENODEV;
	c->regs = pci_map_bar(c->pci, 0);
	if (!c->regs)
		return -ENODEV;
	err = nvme_ctrl_open(c, why);
	if (err)
		return err;
	*why = "it does not stop";
	err = nvme_ctrl_stop(c, c->ready_ns);
	if (err)
		return err;
	*why = "no memory";
	return take_memory(c);
}

/* From its first interrupt on a controller stays for good, used or not. */
static int probe(struct pci_dev *pci)
{
	const char *why = "it does not start";
	struct nvme *c;
	int err;

	if (pci->class_code != CLASS_STORAGE || pci->subclass != SUBCLASS_NVM ||
	    pci->prog_if != PROG_NVME)
		return -ENODEV;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->pci = pci;
	snprintf(c->name, sizeof(c->name), "nvme%u", nr_controllers++);
	err = open_controller(c, &why);
	if (err) {
		log_warn("nvme", "%02x:%02x.%u is not used: %s", pci->bus, pci->dev, pci->fn, why);
		free(c);
		return -ENODEV;
	}
	pci_enable_master(pci);
	err = start(c);
	if (err)
		log_warn("nvme", "%02x:%02x.%u is not used: it does not start (%d)", pci->bus,
			 pci->dev, pci->fn, err);
	return 0;
}

const struct pci_driver nvme_driver = { .name = "nvme", .probe = probe };
