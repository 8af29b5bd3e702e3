/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8259 pair of a PC: slave on the master's input 2, ports 0x20, 0xa0 and the
 * edge/level registers 0x4d0. Its output is LINT0 of the boot CPU.
 */
#include <errno.h>
#include <stdlib.h>

#include "irqchip_int.h"

#define CASCADE 2u
#define PIC_VERSION 1u
#define SPURIOUS 7u

/* The slave's output is the master's input 2; a request that the slave takes back is gone there
 * too. */
static void cascade_locked(struct pic *p)
{
	if (pic8259_pending(&p->half[1]) >= 0)
		p->half[0].irr |= 1u << CASCADE;
	else
		p->half[0].irr &= (uint8_t) ~(1u << CASCADE);
}

bool pic_output_locked(const struct pic *p)
{
	return pic8259_pending(&p->half[0]) >= 0;
}

static void changed_locked(struct pic *p)
{
	cascade_locked(p);
	if (pic_output_locked(p))
		p->chip->kick |= 1;
}

void pic_set_line_locked(struct pic *p, unsigned irq, bool level)
{
	if (irq == CASCADE)
		return;
	pic8259_set(&p->half[irq / 8], irq % 8, level);
	changed_locked(p);
}

int pic_vector_locked(const struct pic *p)
{
	int in = pic8259_pending(&p->half[0]), in2;

	if (in < 0)
		return p->half[0].base + (int)SPURIOUS;
	if (in != (int)CASCADE)
		return p->half[0].base + in;
	in2 = pic8259_pending(&p->half[1]);
	return p->half[1].base + (in2 < 0 ? (int)SPURIOUS : in2);
}

void pic_acknowledge_locked(struct pic *p)
{
	int in = pic8259_pending(&p->half[0]), in2;

	if (in < 0)
		return;
	pic8259_acknowledge(&p->half[0], (unsigned)in);
	if (in == (int)CASCADE) {
		in2 = pic8259_pending(&p->half[1]);
		if (in2 >= 0)
			pic8259_acknowledge(&p->half[1], (unsigned)in2);
	}
	changed_locked(p);
}

static struct pic *pic_of(struct vdev *d)
{
	return container_of(d, struct pic, dev);
}

static void port_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value,
		      unsigned half)
{
	struct pic *p = arg;
	unsigned long flags = chip_lock(p->chip);

	(void)c;
	(void)size;
	*value = pic8259_read(&p->half[half], (unsigned)off & 1);
	changed_locked(p);
	chip_unlock(p->chip, flags);
}

static void port_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value,
		       unsigned half)
{
	struct pic *p = arg;
	unsigned long flags = chip_lock(p->chip);

	(void)c;
	(void)size;
	pic8259_write(&p->half[half], (unsigned)off & 1, (uint8_t)value);
	changed_locked(p);
	chip_unlock(p->chip, flags);
}

static void master_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	port_read(arg, c, off, size, value, 0);
}

static void master_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	port_write(arg, c, off, size, value, 0);
}

static void slave_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	port_read(arg, c, off, size, value, 1);
}

static void slave_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	port_write(arg, c, off, size, value, 1);
}

static void elcr_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct pic *p = arg;

	(void)c;
	*value = size == 1 ? p->half[off & 1].elcr
			   : (uint64_t)p->half[1].elcr << 8 | p->half[0].elcr;
}

/* The timer, keyboard, cascade, RTC and FPU inputs are always edges. */
static void elcr_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	static const uint8_t allowed[2] = { 0xf8, 0xde };
	struct pic *p = arg;
	unsigned long flags = chip_lock(p->chip);

	(void)c;
	for (unsigned i = 0; i < size && off + i < 2; i++)
		p->half[off + i].elcr = (uint8_t)(value >> 8 * i) & allowed[off + i];
	chip_unlock(p->chip, flags);
}

static const struct io_ops master_ops = { .read = master_read, .write = master_write };
static const struct io_ops slave_ops = { .read = slave_read, .write = slave_write };
static const struct io_ops elcr_ops = { .read = elcr_read, .write = elcr_write };

/* ---- as a device ---- */

static void reset(struct vdev *d)
{
	struct pic *p = pic_of(d);
	unsigned long flags = chip_lock(p->chip);

	/* Masked until somebody initializes it: the lines of a PC at rest must not interrupt. */
	for (unsigned i = 0; i < 2; i++)
		p->half[i] =
			(struct pic8259){ .lines = p->half[i].lines, .imr = 0xff, .lowest = 7 };
	chip_unlock(p->chip, flags);
}

static void save(struct vdev *d, struct rec_writer *w)
{
	struct pic *p = pic_of(d);
	struct pic8259 half[2];
	unsigned long flags = chip_lock(p->chip);

	half[0] = p->half[0];
	half[1] = p->half[1];
	chip_unlock(p->chip, flags);
	rec_begin(w, REC_PIC, PIC_VERSION, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct pic8259 *c = &half[i];
		uint8_t flag = (uint8_t)(c->icw4 | c->auto_eoi << 1 | c->rotate_auto << 2 |
					 c->read_isr << 3 | c->poll << 4 | c->special_mask << 5 |
					 c->special_nested << 6);

		rec_u8(w, c->irr);
		rec_u8(w, c->imr);
		rec_u8(w, c->isr);
		rec_u8(w, c->lines);
		rec_u8(w, c->elcr);
		rec_u8(w, c->base);
		rec_u8(w, (uint8_t)(c->init_step << 4 | c->lowest));
		rec_u8(w, flag);
	}
	rec_end(w);
}

static int parse(struct rec_reader *r, struct pic8259 half[2])
{
	if (r->head.version != PIC_VERSION)
		return -EBADMSG;
	for (unsigned i = 0; i < 2; i++) {
		struct pic8259 *c = &half[i];
		uint8_t packed, flag;

		c->irr = rec_get_u8(r);
		c->imr = rec_get_u8(r);
		c->isr = rec_get_u8(r);
		c->lines = rec_get_u8(r);
		c->elcr = rec_get_u8(r);
		c->base = rec_get_u8(r);
		packed = rec_get_u8(r);
		flag = rec_get_u8(r);
		c->lowest = packed & 7;
		c->init_step = packed >> 4;
		c->icw4 = flag & 1;
		c->auto_eoi = flag >> 1 & 1;
		c->rotate_auto = flag >> 2 & 1;
		c->read_isr = flag >> 3 & 1;
		c->poll = flag >> 4 & 1;
		c->special_mask = flag >> 5 & 1;
		c->special_nested = flag >> 6 & 1;
		if ((c->base & 7) || (packed & 8) || c->init_step > 4 || c->init_step == 1 ||
		    flag >> 7)
			return -EBADMSG;
	}
	return rec_done(r);
}

static int check(struct vdev *d, struct rec_reader *r)
{
	struct pic8259 half[2];

	(void)d;
	return parse(r, half);
}

static int load(struct vdev *d, struct rec_reader *r)
{
	struct pic *p = pic_of(d);
	struct pic8259 half[2];
	unsigned long flags;

	if (parse(r, half))
		return -EBADMSG;
	flags = chip_lock(p->chip);
	p->half[0] = half[0];
	p->half[1] = half[1];
	chip_unlock(p->chip, flags);
	return 0;
}

static void destroy(struct vdev *d)
{
	free(pic_of(d));
}

static const struct vdev_ops ops = {
	.name = "pic",
	.reset = reset,
	.save = save,
	.check = check,
	.load = load,
	.destroy = destroy,
};

int pic_create(struct irqchip *chip)
{
	struct pic *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->chip = chip;
	chip->pic = p;
	vdev_init(&p->dev, chip->vm, &ops, REC_PIC, REC_PIC, 0);
	reset(&p->dev);
	vdev_region(&p->dev, &p->region[0], IO_PIO, 0x20, 2, &master_ops, NULL);
	vdev_region(&p->dev, &p->region[1], IO_PIO, 0xa0, 2, &slave_ops, NULL);
	vdev_region(&p->dev, &p->region[2], IO_PIO, 0x4d0, 2, &elcr_ops, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(p->region); i++)
		p->region[i].arg = p;
	return 0;
}
