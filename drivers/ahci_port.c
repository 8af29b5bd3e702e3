/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port of an AHCI adapter: its engine and its link, and the disk at it identified
 * and registered. All here runs in a world, with the port's interrupts off or ignored.
 * [AHCI 1.3.1 10.1.2 "System Software Specific Initialization"], [10.4.2 "Port Reset"]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/page.h>

#include "drivers/ahci.h"

#define POLL_NS NSEC_PER_MSEC
#define STOP_LIMIT_NS (500 * NSEC_PER_MSEC)  /* with no reset to follow */
#define RESET_HOLD_NS (1100 * NSEC_PER_USEC) /* at least a millisecond */
#define READY_LIMIT_NS (10 * NSEC_PER_SEC)   /* at boot: a disk that spins up */
#define IDENTIFY_LIMIT_NS (5 * NSEC_PER_SEC)
#define RECEIVED_AT 1024u /* behind the command list, in one page */
#define TABLES_ORDER 4u
_Static_assert(sizeof(struct ahci_header) * AHCI_SLOTS == RECEIVED_AT, "command list");
_Static_assert(sizeof(struct ahci_table) * AHCI_SLOTS == PAGE_SIZE << TABLES_ORDER, "tables");

/* True when the masked bits of reg have the value in time. */
static bool await(const struct ahci_port *p, unsigned reg, uint32_t mask, uint32_t value,
		  uint64_t limit_ns)
{
	uint64_t end = time_ns() + limit_ns;

	while ((ahci_read(p, reg) & mask) != value) {
		if (time_ns() >= end)
			return false;
		world_sleep_ns(POLL_NS);
	}
	return true;
}

static void change(struct ahci_port *p, unsigned reg, uint32_t clear, uint32_t set)
{
	ahci_write(p, reg, (ahci_read(p, reg) & ~clear) | set);
}

bool ahci_stop(struct ahci_port *p, uint64_t limit_ns)
{
	change(p, AHCI_PORT_CMD, AHCI_CMD_START, 0);
	return await(p, AHCI_PORT_CMD, AHCI_CMD_RUNNING, 0, limit_ns);
}

void ahci_start(struct ahci_port *p)
{
	ahci_write(p, AHCI_PORT_SERR, UINT32_MAX);
	ahci_write(p, AHCI_PORT_IS, UINT32_MAX);
	change(p, AHCI_PORT_CMD, 0, AHCI_CMD_START);
}

static bool reset_within(struct ahci_port *p, uint64_t limit_ns)
{
	if (!ahci_stop(p, AHCI_STOP_NS))
		log_warn("ahci", "%s: the engine stops by the reset only", p->name);
	change(p, AHCI_PORT_SCTL, AHCI_DETECTION, AHCI_DET_RESET);
	world_sleep_ns(RESET_HOLD_NS);
	change(p, AHCI_PORT_SCTL, AHCI_DETECTION, 0);
	if (!await(p, AHCI_PORT_SSTS, AHCI_DETECTION, AHCI_DET_LINK_UP, AHCI_LINK_NS))
		return false;
	ahci_write(p, AHCI_PORT_SERR, UINT32_MAX);
	return await(p, AHCI_PORT_TFD, IDE_STATUS_BSY | IDE_STATUS_DRQ, 0, limit_ns);
}

bool ahci_comreset(struct ahci_port *p)
{
	return reset_within(p, AHCI_READY_NS);
}

bool ahci_poll(struct ahci_port *p, const struct ahci_task *t, uint32_t bytes, uint64_t limit_ns)
{
	struct ahci_table *table = &p->tables[0];

	ahci_build_fis(table->fis, t);
	table->prd[0] = (struct ahci_prd){ .addr = ptr_hpa(p->bounce).v, .len = bytes - 1 };
	p->list[0] = (struct ahci_header){ .flags = AHCI_FIS_BYTES / 4,
					   .prds = 1,
					   .table = ptr_hpa(table).v };
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ahci_write(p, AHCI_PORT_CI, 1);
	return await(p, AHCI_PORT_CI, 1, 0, limit_ns) &&
	       !(ahci_read(p, AHCI_PORT_TFD) & (IDE_STATUS_ERR | IDE_STATUS_DF));
}

/* ---- bringing up ---- */

/* What firmware left: no link, no disk. One that waits to be spun up is given the time. */
static bool has_link(struct ahci_port *p, bool staggered)
{
	if (staggered && !(ahci_read(p, AHCI_PORT_CMD) & AHCI_CMD_SPIN_UP)) {
		change(p, AHCI_PORT_CMD, 0, AHCI_CMD_SPIN_UP | AHCI_CMD_POWER);
		return await(p, AHCI_PORT_SSTS, AHCI_DETECTION, AHCI_DET_LINK_UP, AHCI_LINK_NS);
	}
	return (ahci_read(p, AHCI_PORT_SSTS) & AHCI_DETECTION) != AHCI_DET_NONE;
}

static void *pages(const struct ahci_port *p, unsigned order)
{
	unsigned flags = PAGE_ZERO | (p->dma_limit <= 1ull << 32 ? PAGE_LOW4G : 0);
	hpa_t a;

	return page_alloc(order, flags, FRAME_KERNEL, &a) ? NULL : hpa_ptr(a);
}

static int take_memory(struct ahci_port *p)
{
	p->list = pages(p, ORDER_4K);
	p->tables = pages(p, TABLES_ORDER);
	p->bounce = pages(p, AHCI_BOUNCE_ORDER);
	p->zeroes = pages(p, AHCI_ZEROES_ORDER);
	return p->list && p->tables && p->bounce && p->zeroes ? 0 : -ENOMEM;
}

static void give_memory(struct ahci_port *p)
{
	void *const blocks[] = { p->list, p->tables, p->bounce, p->zeroes };

	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++)
		if (blocks[i])
			page_put(ptr_hpa(blocks[i]));
}

static void write_address(struct ahci_port *p, unsigned reg, const void *memory)
{
	ahci_write(p, reg, (uint32_t)ptr_hpa(memory).v);
	ahci_write(p, reg + 4, (uint32_t)(ptr_hpa(memory).v >> 32));
}

/* The port's engines leave firmware's memory and take ours; stopped: it is not touched. */
static bool stop_all(struct ahci_port *p)
{
	bool stopped = ahci_stop(p, STOP_LIMIT_NS);

	change(p, AHCI_PORT_CMD, AHCI_CMD_RECEIVE, 0);
	return stopped && await(p, AHCI_PORT_CMD, AHCI_CMD_RECEIVING, 0, STOP_LIMIT_NS);
}

static bool bring_up(struct ahci_port *p)
{
	write_address(p, AHCI_PORT_LIST, p->list);
	write_address(p, AHCI_PORT_RECEIVED, (char *)p->list + RECEIVED_AT);
	ahci_write(p, AHCI_PORT_IE, 0);
	change(p, AHCI_PORT_CMD, 0, AHCI_CMD_RECEIVE | AHCI_CMD_SPIN_UP | AHCI_CMD_POWER);
	if (!reset_within(p, READY_LIMIT_NS))
		return false;
	ahci_start(p);
	return true;
}

static struct blk_geometry geometry(const struct ahci_port *p)
{
	const struct ide_identity *id = &p->id;
	uint32_t trim_blocks = MIN(id->trim_blocks, AHCI_MAX_BYTES / IDE_TRIM_BLOCK_BYTES);

	return (struct blk_geometry){
		.blocks = id->blocks,
		.block_bytes = id->block_bytes,
		.physical_bytes = id->physical_bytes,
		.max_segs = AHCI_MAX_PRDS,
		.max_bytes = AHCI_MAX_BYTES,
		.max_discard_blocks = id->trim ? (uint64_t)trim_blocks * IDE_TRIM_BLOCK_REACH : 0,
		.max_zeroes_blocks = AHCI_MAX_BYTES / id->block_bytes,
		.queue_depth = p->nr_slots,
		.dma_align = 2,
		.dma_limit = p->dma_limit,
		.volatile_cache = id->write_cache,
	};
}

/* NULL: the disk can be used; else why not. */
static const char *identify(struct ahci_port *p)
{
	struct ahci_task t = { .command = ATA_IDENTIFY };
	uint16_t word[256];
	const char *why;

	if (ahci_read(p, AHCI_PORT_SIG) != AHCI_SIG_ATA)
		return "not an ATA disk";
	if (!ahci_poll(p, &t, sizeof(word), IDENTIFY_LIMIT_NS))
		return "it does not say what it is";
	memcpy(word, p->bounce, sizeof(word));
	if (ide_parse_identify(word, &p->id, &why))
		return why;
	return p->id.lba48 ? NULL : "no 48-bit addresses";
}

static int start_disk(struct ahci_port *p)
{
	int err = ahci_recover_start(p);

	if (err)
		return err;
	p->nr_slots = MIN(p->nr_slots, p->id.queue_depth);
	p->blk.ops = &ahci_blk_ops;
	p->blk.driver = "ahci";
	memcpy(p->blk.model, p->id.model, sizeof(p->id.model));
	memcpy(p->blk.serial, p->id.serial, sizeof(p->id.serial));
	p->blk.geo = geometry(p);
	p->state = AHCI_RUNNING;
	ahci_write(p, AHCI_PORT_IS, UINT32_MAX);
	ahci_write(p, AHCI_PORT_IE, AHCI_INT_DEVICE | AHCI_INT_ERRORS);
	return 0;
}

/* NULL: it is in use; else why not. */
static const char *set_up(struct ahci_port *p)
{
	const char *why;

	if (!stop_all(p))
		return "firmware's commands do not end";
	if (take_memory(p))
		return "no memory";
	if (!bring_up(p))
		return "no answer to a reset";
	why = identify(p);
	if (!why && start_disk(p))
		why = "no memory";
	return why;
}

void ahci_find_port(volatile uint8_t *hba, unsigned adapter, unsigned n, struct ahci_port **out)
{
	uint32_t cap = mmio_read32(hba + AHCI_CAP);
	struct ahci_port *p = calloc(1, sizeof(*p));
	const char *why;

	if (!p)
		return;
	p->regs = hba + AHCI_PORT(n);
	p->nr_slots = (cap & AHCI_CAP_NCQ) ? AHCI_CAP_SLOTS(cap) : 1;
	p->dma_limit = (cap & AHCI_CAP_64BIT) ? UINT64_MAX : 1ull << 32;
	snprintf(p->name, sizeof(p->name), "ahci%u.%u", adapter, n);
	spin_init(&p->lock, LOCK_DRIVER, "ahci");
	if (!has_link(p, cap & AHCI_CAP_STAGGERED)) {
		free(p);
		return;
	}
	why = set_up(p);
	if (!why) {
		*out = p;
		return;
	}
	log_info("ahci", "%s (%s) is not used: %s", p->name, p->id.model, why);
	if (stop_all(p)) { /* else the adapter may write there still */
		give_memory(p);
		free(p);
	}
}
