/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records HOME and HOME_SENT of an offer as a hostile peer would write them. What is taken can
 * be shown, and is written as it came. Of a home that is sent, what the destination agrees to
 * then is below the VM's own, once each, is counted in full, and says nothing of other moves.
 */
// SOURCES: mig/offer_home.c kernel/home/home_come.c kernel/home/home_parts.c
// SOURCES: kernel/home/desc*.c
// SOURCES: kernel/lib/rec.c kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c
// SOURCES: kernel/store/ds_room.c
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/home/home_int.h"
#include "kernel/lib/name.h"
#include "mig/offer.h"

#define FREE_BYTES (1ull << 40)
#define MOST_BYTES (1ull << 60) /* no sum of such wraps */

/* ---- the destination has one datastore, which is empty ---- */

struct datastore *ds_find(const char *name)
{
	return strcmp(name, "full") ? (struct datastore *)&home_edit_lock : NULL;
}

int ds_info(struct datastore *ds, struct ds_info *out)
{
	*out = (struct ds_info){ .free_bytes = FREE_BYTES, .writable = true };
	return 0;
}

int ds_stat(struct datastore *ds, const char *name, struct ds_entry *out)
{
	return -ENOENT;
}

struct mutex home_edit_lock;

void home_file_path(const char *store, const char *name, char out[VM_HOME_PATH])
{
	snprintf(out, VM_HOME_PATH, "/ds/%s/%s/%s.vm", store, name, name);
}

/* ---- what a check does not come to ---- */

#define NEVER(type, name, ...)                                                                     \
	type name(__VA_ARGS__)                                                                     \
	{                                                                                          \
		abort();                                                                           \
	}

NEVER(void, vm_request_reset, struct vm *vm)
NEVER(void, vm_request_off, struct vm *vm, const char *reason, bool error)
NEVER(const char *, ds_error_text, int err)
NEVER(int, ds_create, struct datastore *ds, const char *name, enum ds_kind kind, uint64_t size,
      uint32_t flags)
NEVER(int, ds_open, struct datastore *ds, const char *name, enum ds_open_mode mode,
      struct ds_file **out)
NEVER(void, ds_close, struct ds_file *f)
NEVER(int, ds_rename_held, struct ds_file *f, const char *from, const char *to)
NEVER(int, ds_remove_file, const char *path, uint64_t id)
NEVER(int, ds_finish_all, struct datastore *ds, const char *const *name, unsigned n, const char *as,
      const char *gone)
NEVER(void, ds_file_lease, const struct ds_file *f, struct ds_lease *out)
NEVER(struct blkdev *, ds_file_blk, struct ds_file *f)
NEVER(struct datastore *, ds_file_store, const struct ds_file *f)
NEVER(void, home_new_name, const char *name, char out[HOME_NEW_NAME])
NEVER(const char *, home_own_name, void)
NEVER(int, home_write_new, const struct vm_desc *d, char *why, size_t len)
NEVER(struct home *, home_find, const char *name)
NEVER(struct home *, home_add, const char *name)
NEVER(void, home_note, struct home *h, const struct vm_desc *d, uint64_t file)

/* ---- */

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void printable(const char *text, size_t room)
{
	require(memchr(text, 0, room));
	for (; *text; text++)
		require((unsigned char)*text >= ' ' && *text != 0x7f);
}

/* A record of one, as it is written. */
static void again(struct rec_writer *w, struct rec_reader *r)
{
	require(!rec_finish(w));
	rec_reader_init(r, w->buf, w->len);
	require(rec_next(r) == 1);
}

static void home(struct rec_reader *r)
{
	struct home_id h = { .store = "" }, back = { .store = "" };
	struct vm_config cfg = { .mem_bytes = 0 };
	struct rec_reader second;
	struct rec_writer w;

	if (offer_home_check(r, &cfg, &h))
		return;
	printable(h.store, sizeof(h.store));
	require(h.store[0] && !strcmp(cfg.home, h.store) && h.lease.file);
	rec_writer_init(&w);
	offer_home_save(&h, &w);
	again(&w, &second);
	require(!offer_home_check(&second, &cfg, &back) && !memcmp(&h, &back, sizeof(h)));
	rec_writer_fini(&w);
}

/* By a VM that is what its description says, so that more than the description is looked at. */
static void agree(const struct home_sent *s)
{
	static struct vm_desc d;
	struct ds_room room = { 0 };
	char why[160] = "";
	uint64_t bytes = 0;

	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	memcpy(d.cfg.home, s->store, sizeof(d.cfg.home));
	if (vm_desc_parse(&d, s->text, strlen(s->text), why, sizeof(why)))
		d.cfg.kernel[0] = '\0';
	why[0] = '\0';
	if (home_sent_check(&d.cfg, s, why, sizeof(why))) {
		require(why[0]);
		printable(why, sizeof(why));
		return;
	}
	require(!d.moves_to[0] && !d.moved_from[0] && !d.moving.host[0]);
	for (unsigned i = 0; i < s->files; i++) {
		const char *name = s->file[i].name;

		require(!strncmp(name, "g/", 2) && strncmp(name, "g/g.vm", 6));
		require(strlen(name) + strlen(s->store) + 5 < VM_PATH_MAX);
		for (unsigned k = 0; k < i; k++)
			require(strcmp(name, s->file[k].name));
		bytes = MIN(bytes + MIN(s->file[i].size, MOST_BYTES), MOST_BYTES);
	}
	home_sent_room(s, &room);
	require(room.nr == 1 && room.at[0].bytes >= bytes);
}

static void home_sent(struct rec_reader *r)
{
	static struct home_sent s, back;
	struct vm_config cfg = { .mem_bytes = 0 };
	struct rec_reader second;
	struct rec_writer w;

	memset(&s, 0, sizeof(s));
	memset(&back, 0, sizeof(back));
	if (offer_sent_check(r, &cfg, &s))
		return;
	require(s.files <= HOME_FILES_MAX && name_is_ok(s.store, sizeof(s.store)));
	for (unsigned i = 0; i < s.files; i++)
		printable(s.file[i].name, sizeof(s.file[i].name));
	require(memchr(s.text, 0, sizeof(s.text)));
	rec_writer_init(&w);
	offer_sent_save(&s, &w);
	again(&w, &second);
	require(!offer_sent_check(&second, &cfg, &back) && back.files == s.files &&
		!strcmp(back.store, s.store) && !strcmp(back.text, s.text));
	for (unsigned i = 0; i < s.files; i++)
		require(back.file[i].size == s.file[i].size &&
			!strcmp(back.file[i].name, s.file[i].name));
	rec_writer_fini(&w);
	agree(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct rec_reader r;

	memcpy(copy, data, size);
	rec_reader_init(&r, copy, size);
	while (rec_next(&r) == 1) {
		if (r.head.type == REC_HOME)
			home(&r);
		else if (r.head.type == REC_HOME_SENT)
			home_sent(&r);
	}
	free(copy);
	return 0;
}
