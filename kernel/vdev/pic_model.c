/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One 8259A: requests, mask, service, priorities, the two command ports. Pure.
 * Inputs are edge-triggered unless their ELCR bit is set. A request of an edge
 * stays when the line falls; one of a level goes with it.
 * [Intel 8259A "Programmable Interrupt Controller", operation command words]
 */
#include "irqchip_int.h"

#define ICW1 0x10u
#define ICW1_ICW4 0x01u
#define ICW1_SINGLE 0x02u
#define ICW4_AUTO_EOI 0x02u
#define ICW4_NESTED 0x10u
#define OCW3 0x08u

/* Distance of an input from the highest priority. */
static unsigned rank(const struct pic8259 *c, unsigned input)
{
	return (input - c->lowest - 1u) & 7;
}

static int best(const struct pic8259 *c, uint8_t set)
{
	for (unsigned r = 0; r < 8; r++) {
		unsigned input = (c->lowest + 1u + r) & 7;

		if (set >> input & 1)
			return (int)input;
	}
	return -1;
}

int pic8259_pending(const struct pic8259 *c)
{
	int ask = best(c, c->irr & (uint8_t)~c->imr), served;

	if (ask < 0)
		return -1;
	served = best(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);
	if (served < 0 || rank(c, (unsigned)ask) < rank(c, (unsigned)served))
		return ask;
	if (c->special_nested && ask == served)
		return ask; /* a master may be asked again by the same slave */
	return -1;
}

void pic8259_set(struct pic8259 *c, unsigned input, bool level)
{
	uint8_t bit = (uint8_t)(1u << input);

	if (level) {
		if ((c->elcr & bit) || !(c->lines & bit))
			c->irr |= bit;
		c->lines |= bit;
	} else {
		if (c->elcr & bit)
			c->irr &= (uint8_t)~bit;
		c->lines &= (uint8_t)~bit;
	}
}

static void end(struct pic8259 *c, unsigned input, bool rotate)
{
	c->isr &= (uint8_t) ~(1u << input);
	if (rotate)
		c->lowest = (uint8_t)input;
}

void pic8259_acknowledge(struct pic8259 *c, unsigned input)
{
	uint8_t bit = (uint8_t)(1u << input);

	c->isr |= bit;
	if (!(c->elcr & bit))
		c->irr &= (uint8_t)~bit;
	if (c->auto_eoi)
		end(c, input, c->rotate_auto);
}

static void command_eoi(struct pic8259 *c, uint8_t v)
{
	unsigned input = v & 7;
	int served = best(c, c->isr);

	switch (v >> 5) {
	case 0: /* rotate in automatic EOI: off, on */
	case 4:
		c->rotate_auto = (v & 0x80) != 0;
		break;
	case 1: /* non-specific EOI, without and with rotation */
	case 5:
		if (served >= 0)
			end(c, (unsigned)served, v >> 5 == 5);
		break;
	case 3: /* specific EOI */
	case 7:
		end(c, input, v >> 5 == 7);
		break;
	case 6: /* set priority */
		c->lowest = (uint8_t)input;
		break;
	default:
		break;
	}
}

static void command(struct pic8259 *c, uint8_t v)
{
	if (v & ICW1) {
		uint8_t lines = c->lines, elcr = c->elcr, base = c->base;

		*c = (struct pic8259){
			.lines = lines, .elcr = elcr, .base = base, .lowest = 7, .init_step = 2
		};
		c->irr = lines & elcr;
		c->icw4 = (v & ICW1_ICW4) != 0;
		return;
	}
	if (!(v & OCW3)) {
		command_eoi(c, v);
		return;
	}
	if (v & 0x04)
		c->poll = true;
	if (v & 0x02)
		c->read_isr = (v & 1) != 0;
	if (v & 0x40)
		c->special_mask = (v & 0x20) != 0;
}

void pic8259_write(struct pic8259 *c, unsigned port, uint8_t v)
{
	if (!port) {
		command(c, v);
		return;
	}
	switch (c->init_step) {
	case 2:
		c->base = v & 0xf8;
		c->init_step = 3;
		break;
	case 3: /* which input has the slave: it is wired, not told */
		c->init_step = c->icw4 ? 4 : 0;
		break;
	case 4:
		c->auto_eoi = (v & ICW4_AUTO_EOI) != 0;
		c->special_nested = (v & ICW4_NESTED) != 0;
		c->init_step = 0;
		break;
	default:
		c->imr = v;
		break;
	}
}

uint8_t pic8259_read(struct pic8259 *c, unsigned port)
{
	if (c->poll) {
		int ask = pic8259_pending(c);

		c->poll = false;
		if (ask < 0)
			return 0;
		pic8259_acknowledge(c, (unsigned)ask);
		return (uint8_t)(0x80 | ask);
	}
	if (port)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}
