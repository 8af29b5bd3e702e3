/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The e1000 driver on fake registers, with memory that can be short: restart() has it new, as a
 * card of that device ID; stop() is each test's teardown. One test program, one include.
 */
#ifndef TEST_FAKE_E1000_H
#define TEST_FAKE_E1000_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/page.h>

/* The direct map is the test's own address space. */
#define hpa_ptr(a) ((void *)(uintptr_t)(a).v)
#define ptr_hpa(p) HPA((uintptr_t)(p))

#include "drivers/e1000_rx.c"
#undef MASK
#undef RING_ORDER
#include "drivers/e1000_tx.c"
#include "drivers/e1000_filter.c"
#include "drivers/e1000_ids.c"

#define RX_MASK (E1000_RX_RING - 1)

static void *blocks[4096];
static unsigned nr_blocks, pages_put, low_pages;
static bool no_memory;
static uint64_t now_ns;

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p;

	(void)owner;
	if (no_memory)
		return -ENOMEM;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	assert_non_null(p);
	memset(p, (flags & PAGE_ZERO) ? 0 : 0xee, PAGE_SIZE << order);
	low_pages += (flags & PAGE_LOW4G) != 0;
	assert_true(nr_blocks < ARRAY_SIZE(blocks));
	blocks[nr_blocks++] = p;
	*out = HPA((uintptr_t)p);
	return 0;
}

void page_put(hpa_t block)
{
	assert_true(block.v != 0);
	pages_put++;
}

uint64_t time_ns(void)
{
	return now_ns;
}

static uint32_t regs[0x6000 / 4];
static struct e1000 dev;

static uint32_t reg(uint32_t at)
{
	return regs[at / 4];
}

static void start(uint16_t device)
{
	memset(&dev, 0, sizeof(dev));
	memset(regs, 0, sizeof(regs));
	dev.regs = (volatile uint8_t *)regs;
	dev.chip = e1000_find_chip(0x8086, device);
	assert_non_null(dev.chip);
	no_memory = false;
	assert_int_equal(e1000_tx_init(&dev), 0);
	assert_int_equal(e1000_rx_init(&dev), 0);
	pages_put = low_pages = 0;
	now_ns = 1;
}

static int stop(void **state)
{
	(void)state;
	while (nr_blocks)
		free(blocks[--nr_blocks]);
	return 0;
}

static uint32_t tx_head; /* descriptors that the chip has read */

static unsigned came;

static uint8_t payload[70000] __attribute__((aligned(4096)));

static void restart(uint16_t device)
{
	start(device);
	tx_head = came = 0;
	for (unsigned i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + i / 251);
}

#endif
