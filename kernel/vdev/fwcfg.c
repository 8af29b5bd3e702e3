/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fw_cfg device (fwcfg.h), by port I/O only. What it tells is made at
 * create and constant; its state is the selected item and the position in it.
 * Unknown items, and bytes past an item's end, read as zero.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fwcfg.h"
#include "q35.h"

#define FWCFG_REC_VERSION 1
#define KEY_SIGNATURE 0x00u
#define KEY_ID 0x01u
#define KEY_NB_CPUS 0x05u
#define KEY_MAX_CPUS 0x0fu
#define KEY_FILE_DIR 0x19u
#define KEY_FILE_FIRST 0x20u
#define KEY_WRITE 0x4000u /* selects the item for writing: not taken, same item */
#define ID_TRADITIONAL 1u
#define ENTRY_SIZE 64u

struct item {
	uint16_t key;
	const void *data;
	uint32_t len;
};

struct fwcfg {
	struct vdev d;
	struct io_region io;
	uint16_t key;
	uint32_t at;
	struct item item[FWCFG_FILES_MAX + 5]; /* [const] after create */
	unsigned nr_items, nr_files;
	uint32_t id;
	uint16_t cpus;
	struct e820_entry e820[Q35_E820_MAX];
	uint8_t dir[4 + FWCFG_FILES_MAX * ENTRY_SIZE];
	uint8_t loader[FWCFG_LOADER_MAX];
};

static uint8_t read_byte(struct fwcfg *f)
{
	for (unsigned i = 0; i < f->nr_items; i++) {
		const struct item *it = &f->item[i];

		if (it->key == f->key)
			return f->at < it->len ? ((const uint8_t *)it->data)[f->at++] : 0;
	}
	return 0;
}

static void io_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct fwcfg *f = container_of((struct vdev *)arg, struct fwcfg, d);

	(void)c;
	if (off == 1 && size == 1)
		*value = read_byte(f);
}

static void io_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct fwcfg *f = container_of((struct vdev *)arg, struct fwcfg, d);

	(void)c;
	if (off != 0 || size != 2)
		return;
	f->key = (uint16_t)(value & ~KEY_WRITE);
	f->at = 0;
}

static const struct io_ops fwcfg_io = { .read = io_read, .write = io_write };

static void add_item(struct fwcfg *f, uint16_t key, const void *data, uint32_t len)
{
	f->item[f->nr_items++] = (struct item){ key, data, len };
}

static void put_be(uint8_t *at, unsigned size, uint32_t v)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(v >> 8 * (size - 1 - i));
}

/* The directory: big-endian count, then size, key, reserved, name for each. */
static void add_file(struct fwcfg *f, const char *name, const void *data, uint32_t len)
{
	uint8_t *e = f->dir + 4 + f->nr_files * ENTRY_SIZE;
	uint16_t key = (uint16_t)(KEY_FILE_FIRST + f->nr_files);

	put_be(e, 4, len);
	put_be(e + 4, 2, key);
	memcpy(e + 8, name, strlen(name) + 1);
	f->nr_files++;
	put_be(f->dir, 4, f->nr_files);
	add_item(f, key, data, len);
}

static void fill(struct fwcfg *f, const struct acpi_image *acpi)
{
	unsigned n = q35_e820(f->d.vm, false, f->e820);

	f->id = ID_TRADITIONAL;
	f->cpus = (uint16_t)f->d.vm->nr_vcpus;
	add_item(f, KEY_SIGNATURE, "QEMU", 4);
	add_item(f, KEY_ID, &f->id, 4);
	add_item(f, KEY_NB_CPUS, &f->cpus, 2);
	add_item(f, KEY_MAX_CPUS, &f->cpus, 2);
	add_item(f, KEY_FILE_DIR, f->dir, sizeof(f->dir));
	add_file(f, "etc/e820", f->e820, n * (uint32_t)sizeof(f->e820[0]));
	add_file(f, "etc/table-loader", f->loader, fwcfg_loader_build(acpi, f->loader));
	add_file(f, FWCFG_TABLES_NAME, acpi->tables, acpi->len);
	add_file(f, FWCFG_RSDP_NAME, acpi->rsdp, ACPI_RSDP_SIZE);
}

static void fwcfg_reset(struct vdev *d)
{
	struct fwcfg *f = container_of(d, struct fwcfg, d);

	f->key = 0;
	f->at = 0;
}

/*
 * REC_FWCFG version 1, instance 0:
 *   0  u16  selected key
 *   2  u16  zero
 *   4  u32  position in the item
 */
static void fwcfg_save(struct vdev *d, struct rec_writer *w)
{
	struct fwcfg *f = container_of(d, struct fwcfg, d);

	rec_begin(w, REC_FWCFG, FWCFG_REC_VERSION, 0, d->instance);
	rec_u16(w, f->key);
	rec_u16(w, 0);
	rec_u32(w, f->at);
	rec_end(w);
}

static int fwcfg_parse(struct rec_reader *r, uint16_t *key, uint32_t *at)
{
	if (r->head.version != FWCFG_REC_VERSION)
		return -EBADMSG;
	*key = rec_get_u16(r);
	if (rec_get_u16(r) != 0)
		return -EBADMSG;
	*at = rec_get_u32(r); /* any: read_byte compares it */
	return rec_done(r);
}

static int fwcfg_check(struct vdev *d, struct rec_reader *r)
{
	uint16_t key;
	uint32_t at;

	(void)d;
	return fwcfg_parse(r, &key, &at);
}

static int fwcfg_load(struct vdev *d, struct rec_reader *r)
{
	struct fwcfg *f = container_of(d, struct fwcfg, d);

	return fwcfg_parse(r, &f->key, &f->at);
}

static void fwcfg_destroy(struct vdev *d)
{
	free(container_of(d, struct fwcfg, d));
}

static const struct vdev_ops fwcfg_ops = {
	.name = "fw_cfg",
	.reset = fwcfg_reset,
	.save = fwcfg_save,
	.check = fwcfg_check,
	.load = fwcfg_load,
	.destroy = fwcfg_destroy,
};

int fwcfg_create(struct vm *vm, const struct acpi_image *acpi, struct fwcfg **out)
{
	struct fwcfg *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	vdev_init(&f->d, vm, &fwcfg_ops, REC_FWCFG, REC_FWCFG, 0);
	fill(f, acpi);
	vdev_region(&f->d, &f->io, IO_PIO, FWCFG_PORT, 2, &fwcfg_io, &f->d.lock);
	*out = f;
	return 0;
}
