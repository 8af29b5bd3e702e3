/* SPDX-License-Identifier: BSD-2-Clause */
/* A home that goes to another datastore (carry_fixture.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "test/unit/carry_fixture.h"

#define KERNEL_BYTES 70000u

char why[256];

static bool is_made_of(unsigned i, const char *name, uint64_t size, int what)
{
	uint8_t *buf = malloc(ALIGN_UP(size, 512));
	struct ds_file *f;
	bool same;

	assert_int_equal(ds_open(ds[i], name, DS_OPEN_READ, &f), 0);
	same = ds_file_size(f) == size;
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, 0, ALIGN_UP(size, 512) / 512, buf),
			 0);
	same = same && buf[0] == what && !memcmp(buf, buf + 1, size - 1);
	ds_close(f);
	free(buf);
	return same;
}

int carry_begin(void **state)
{
	struct vm_desc d;
	struct home *h;

	(void)stores_begin(state);
	fake_home_init();
	store_make(0, "g/vmlinuz", DS_KIND_THIN, KERNEL_BYTES, 'k');
	store_make(0, "g/root.disk", DS_KIND_THIN, CARRY_DISK_BYTES, 'r');
	assert_int_equal(ds_snapshot(ds[0], "g/root.disk", "g/root.disk.s"), 0);
	store_make(0, "g/notes", DS_KIND_THIN, 3, 'n');

	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "old");
	strcpy(d.host, "a");
	d.autostart = 3;
	assert_int_equal(vm_desc_set(&d, "kernel", "./vmlinuz", why, sizeof(why)), 0);
	assert_int_equal(vm_desc_set(&d, "disk", "./root.disk", why, sizeof(why)), 0);
	fake_vm.cfg = d.cfg;
	h = home_add("g");
	home_note(h, &d, 0);
	assert_int_equal(home_save(h, &d, why, sizeof(why)), 0);
	return 0;
}

int carry_end(void **state)
{
	stores_unmount();
	fake_home_end();
	return stores_end(state);
}

/* ---- the move, as Storage vMotion does it ---- */

int carry_asked(void *user)
{
	return *(int *)user;
}

int carry_copy_disk(void)
{
	return store_make_unfinished(1, "g/root.disk", DS_KIND_THIN, CARRY_DISK_BYTES, 'r');
}

int carry_prepare(struct home_carry **c)
{
	struct vm_disk to[VM_DISKS_MAX];
	int go_on = 0, err = home_carry_begin(&fake_vm, "new", c, why, sizeof(why));

	if (!err)
		err = home_carry_files(*c, carry_asked, &go_on, why, sizeof(why));
	if (!err)
		err = carry_copy_disk();
	memcpy(to, fake_vm.cfg.disk, sizeof(to));
	strcpy(to[0].path, "/ds/new/g/root.disk");
	return err ? err : home_carry_prepare(*c, &fake_vm, to, why, sizeof(why));
}

struct home_carry *carry_prepared(void)
{
	struct home_carry *c;

	assert_int_equal(carry_prepare(&c), 0);
	return c;
}

bool carry_holds_what_counts(void)
{
	struct ds_lease l;
	struct ds_entry e;

	ds_file_lease(home_find("g")->held, &l);
	return !ds_stat(ds[0], "g/g.vm", &e) && e.id == l.file;
}

/* An old description goes after the disks that it names, a new one before. */
int carry_move(void)
{
	const char *also[] = { "g/root.disk" };
	struct home_carry *c;
	struct ds_entry e;
	int err = carry_prepare(&c);

	if (!err)
		err = home_carry_switch(c, also, 1, NULL, why, sizeof(why));
	if (err) {
		assert_true(!c || carry_holds_what_counts());
		home_carry_end(c, false);
		(void)!ds_remove(ds[1], "g/root.disk");
		return err;
	}
	if (!ds_stat(ds[0], "g/root.disk", &e))
		(void)!ds_remove_file("/ds/old/g/root.disk", e.id);
	home_carry_end(c, true);
	return 0;
}

/* ---- what is there then ---- */

int carry_load(unsigned i, struct vm_desc *d)
{
	uint64_t file;

	vm_desc_init(d);
	strcpy(d->cfg.name, "g");
	strcpy(d->cfg.home, store[i]);
	return home_load(d, &file, why, sizeof(why));
}

bool carry_whole(unsigned i)
{
	char path[64];
	struct vm_desc d;

	if (carry_load(i, &d) || d.autostart != 3 || strcmp(d.host, "a"))
		return false;
	snprintf(path, sizeof(path), "/ds/%s/g/vmlinuz", store[i]);
	assert_string_equal(d.cfg.kernel, path);
	snprintf(path, sizeof(path), "/ds/%s/g/root.disk", store[i]);
	assert_string_equal(d.cfg.disk[0].path, path);
	assert_true(store_has(i, "g/vmlinuz") && store_has(i, "g/root.disk"));
	assert_true(is_made_of(i, "g/vmlinuz", KERNEL_BYTES, 'k'));
	assert_true(is_made_of(i, "g/root.disk", CARRY_DISK_BYTES, 'r'));
	return true;
}

void carry_boot(void)
{
	struct ds_entry e;
	struct vm_desc d;

	for (unsigned i = 0; i < 2; i++) {
		int err = carry_load(i, &d);

		if (err == -ESTALE)
			home_clear_former(&d);
		else
			assert_true(!err || err == -ENOENT);
		for (uint32_t cursor = 0; !ds_list(ds[i], &cursor, &e);)
			home_remove_left(ds[i], &e);
	}
}
