/* SPDX-License-Identifier: BSD-2-Clause */
/* The controller, clock and events of fake_nvme.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "drivers/pci_int.h"
#include "fake_nvme.h"

#define QUEUES 4u
#define BELL_BYTES 16u /* a stride of 2 */

struct fake_queue {
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	uint32_t entries, head, tail, phase;
};

static uint8_t regs[0x2000] __attribute__((aligned(4096)));
static struct fake_queue queue[QUEUES];
static struct pci_dev pci;
static void *pages[64];
static unsigned nr_pages;

struct nvme fake_ctrl;
struct nvme_ns fake_ns;
uint64_t fake_now_ns;
unsigned fake_cpu;
struct fake_cmd fake_seen[4096];
unsigned fake_nr_seen, fake_nr_started, fake_nr_aborts;
bool fake_answers, fake_aborts, fake_deaf, fake_will_not_stop, fake_will_not_start, fake_master;
void (*fake_before_stop)(void);

/* ---- what the driver takes ---- */

uint64_t time_ns(void)
{
	return fake_now_ns += 100;
}

void world_sleep_ns(uint64_t ns)
{
	fake_now_ns += ns;
	fake_nvme_step();
}

void timer_setup(struct timer *t, void (*fn)(struct timer *))
{
	*t = (struct timer){ .fn = fn, .cpu = -1, .deadline_ns = NEVER_NS };
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
	t->deadline_ns = deadline_ns;
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	fail_msg("nothing here sleeps");
	return 0;
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	bool was;

	fake_nvme_step();
	was = e->set;
	e->set = 0;
	if (!was)
		fake_now_ns = MAX(fake_now_ns, deadline_ns);
	return was ? 0 : -ETIMEDOUT;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	return 0;
}

unsigned cpu_self(void)
{
	return fake_cpu;
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

	memset(p, (flags & PAGE_ZERO) ? 0 : 0xee, PAGE_SIZE << order);
	assert_true(nr_pages < ARRAY_SIZE(pages));
	pages[nr_pages++] = p;
	*out = ptr_hpa(p);
	return 0;
}

void page_put(hpa_t block)
{
	fail_msg("no memory is given back");
}

uint16_t pci_read16(const struct pci_dev *d, unsigned off)
{
	return fake_master ? PCI_COMMAND_MASTER : 0;
}

void pci_write16(const struct pci_dev *d, unsigned off, uint16_t v)
{
	fake_master = v & PCI_COMMAND_MASTER;
}

void pci_enable_master(struct pci_dev *d)
{
	fake_master = true;
}

/* ---- the controller ---- */

static uint32_t *reg(unsigned off)
{
	return (uint32_t *)(regs + off);
}

static void *mem(unsigned off)
{
	uint64_t a;

	memcpy(&a, regs + off, sizeof(a));
	return hpa_ptr(HPA(a));
}

uint32_t fake_nvme_bell(uint16_t q, bool completion)
{
	return *reg(NVME_BELLS + (2u * q + completion) * BELL_BYTES);
}

static void answer(uint16_t id, uint16_t cid, uint16_t status, uint32_t result)
{
	struct fake_queue *q = &queue[id];

	assert_true(fake_master);
	q->cq[q->tail] = (struct nvme_cqe){ .result = result,
					    .cid = cid,
					    .status = (uint16_t)(status << 1 | q->phase) };
	if (++q->tail == q->entries) {
		q->tail = 0;
		q->phase ^= 1;
	}
}

void fake_nvme_answer(uint16_t q, uint16_t cid, uint16_t status)
{
	answer(q, cid, status, 0);
}

static uint32_t admin(const struct nvme_sqe *e)
{
	struct fake_queue *q = &queue[e->cdw10 % QUEUES]; /* of creations */

	switch (e->opcode) {
	case NVME_SET_FEATURES:
		return 2u << 16 | 2u; /* three of each */
	case NVME_CREATE_CQ:
		*q = (struct fake_queue){ .cq = hpa_ptr(HPA(e->prp1)),
					  .entries = (e->cdw10 >> 16) + 1,
					  .phase = 1 };
		return 0;
	case NVME_CREATE_SQ:
		q->sq = hpa_ptr(HPA(e->prp1));
		return 0;
	case NVME_ABORT:
		fake_nr_aborts++;
		if (fake_aborts)
			answer((uint16_t)e->cdw10, (uint16_t)(e->cdw10 >> 16), NVME_SC_ABORTED, 0);
		return !fake_aborts;
	default:
		fail_msg("admin command %02x", e->opcode);
		return 0;
	}
}

static void take(uint16_t id, const struct nvme_sqe *e)
{
	if (id == 0) {
		answer(0, e->cid, 0, admin(e));
		return;
	}
	assert_true(fake_nr_seen < ARRAY_SIZE(fake_seen));
	fake_seen[fake_nr_seen++] = (struct fake_cmd){ id, *e };
	if (fake_answers)
		answer(id, e->cid, 0, 0);
}

static void start(void)
{
	uint32_t entries = (*reg(NVME_AQA) & 0xfff) + 1;

	memset(queue, 0, sizeof(queue));
	memset(regs + NVME_BELLS, 0, 0x1000);
	queue[0] = (struct fake_queue){
		.sq = mem(NVME_ASQ), .cq = mem(NVME_ACQ), .entries = entries, .phase = 1
	};
	fake_nr_seen = 0;
	fake_nr_started++;
	*reg(NVME_CSTS) = NVME_CSTS_RDY;
}

void fake_nvme_step(void)
{
	bool enabled = *reg(NVME_CC) & NVME_CC_EN, ready = *reg(NVME_CSTS) & NVME_CSTS_RDY;

	if (*reg(NVME_CSTS) == NVME_CSTS_GONE)
		return;
	if (enabled && !ready && !fake_will_not_start)
		start();
	if (!enabled && ready && !fake_will_not_stop) {
		if (fake_before_stop)
			fake_before_stop();
		*reg(NVME_CSTS) = 0;
	}
	for (uint16_t id = 0; id < QUEUES && *reg(NVME_CSTS) && enabled && !fake_deaf; id++)
		while (queue[id].sq && queue[id].head != fake_nvme_bell(id, false)) {
			struct nvme_sqe e = queue[id].sq[queue[id].head];

			queue[id].head = (queue[id].head + 1) % queue[id].entries;
			take(id, &e);
		}
}

/* ---- tests' side ---- */

void fake_nvme_setup(unsigned queues, uint16_t entries)
{
	struct nvme *c = &fake_ctrl;
	const char *why;
	hpa_t bounce;

	memset(c, 0, sizeof(*c));
	memset(regs, 0, sizeof(regs));
	fake_answers = fake_aborts = fake_deaf = fake_will_not_stop = fake_will_not_start = false;
	fake_before_stop = NULL;
	fake_cpu = fake_nr_aborts = fake_nr_started = 0;
	fake_master = true;
	*reg(NVME_CAP) = 4u << 24 | (entries - 1u); /* ready within 2 s */
	*reg(NVME_CAP + 4) = 1u << 5 | 2u;
	c->regs = regs;
	c->pci = &pci;
	assert_int_equal(nvme_ctrl_open(c, &why), 0);
	assert_int_equal(nvme_ring_alloc(&c->admin.ring, 0, NVME_ADMIN_DEPTH), 0);
	assert_int_equal(page_alloc(NVME_BOUNCE_ORDER, 0, FRAME_KERNEL, &bounce), 0);
	c->bounce = hpa_ptr(bounce);
	spin_init(&c->admin.lock, LOCK_DRIVER, "admin");
	event_init(&c->admin.came, "admin");
	c->queue = calloc(queues, sizeof(*c->queue));
	for (unsigned i = 0; i < queues; i++)
		assert_int_equal(nvme_queue_init(&c->queue[i], c, (uint16_t)(i + 1)), 0);
	c->nr_queues = queues;
	assert_int_equal(nvme_ctrl_start(c), 0);
	assert_int_equal(nvme_ctrl_make_queues(c), 0);
	assert_int_equal(nvme_recover_start(c), 0);
	fake_ns = (struct nvme_ns){ .c = c, .nsid = 7 };
	fake_ns.blk.ops = &nvme_blk_ops;
	fake_ns.blk.geo = (struct blk_geometry){ .blocks = 1 << 20,
						 .block_bytes = 512,
						 .max_segs = NVME_MAX_SEGS,
						 .max_bytes = NVME_MAX_BYTES,
						 .max_discard_blocks = 1 << 16,
						 .max_zeroes_blocks = 1 << 16,
						 .volatile_cache = true };
	c->ns = &fake_ns;
	blk_setup(&fake_ns.blk);
}

void fake_nvme_teardown(void)
{
	free(fake_ctrl.queue);
	while (nr_pages)
		free(pages[--nr_pages]);
}

void fake_nvme_pass(uint64_t ns)
{
	struct nvme *c = &fake_ctrl;
	uint64_t end = fake_now_ns + ns;

	while (fake_now_ns < end) {
		fake_now_ns += NVME_TICK_NS / 4;
		fake_nvme_step();
		if (c->ticking && fake_now_ns >= c->tick.deadline_ns)
			c->tick.fn(&c->tick);
		if (c->trouble.set) {
			c->trouble.set = 0;
			nvme_recover(c);
		}
	}
}
