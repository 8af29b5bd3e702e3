/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VM is at home, or its home as it is sent, in its offer (offer.h, docs/wire.md "Records").
 * Whether the description is here too, or there is a place for it, is asked later (home_check,
 * home_sent_check).
 */
#include <errno.h>
#include <string.h>

#include "kernel/lib/name.h"
#include "kernel/lib/text.h"

#include "offer.h"

#define HOME_VERSION 1
#define SENT_VERSION 1

void offer_home_save(const struct home_id *home, struct rec_writer *w)
{
	if (!home->store[0])
		return;
	rec_begin(w, REC_HOME, HOME_VERSION, 0, 0);
	rec_bytes(w, home->ds, sizeof(home->ds));
	rec_u64(w, home->lease.file);
	rec_u64(w, home->lease.generation);
	rec_str(w, home->store);
	rec_end(w);
}

int offer_home_check(struct rec_reader *r, struct vm_config *cfg, struct home_id *home)
{
	if (r->head.version != HOME_VERSION)
		return -EBADMSG;
	rec_get_bytes(r, home->ds, sizeof(home->ds));
	home->lease.file = rec_get_u64(r);
	home->lease.generation = rec_get_u64(r);
	rec_get_str(r, home->store, sizeof(home->store));
	if (!name_is_ok(home->store, sizeof(home->store)) || !home->lease.file)
		return -EBADMSG;
	memcpy(cfg->home, home->store, sizeof(cfg->home));
	return rec_done(r);
}

void offer_sent_save(const struct home_sent *sent, struct rec_writer *w)
{
	if (!sent || !sent->store[0])
		return;
	rec_begin(w, REC_HOME_SENT, SENT_VERSION, 0, 0);
	rec_u32(w, sent->files);
	rec_u32(w, 0);
	for (unsigned i = 0; i < sent->files; i++) {
		rec_u64(w, sent->file[i].size);
		rec_str(w, sent->file[i].name);
	}
	rec_str(w, sent->store);
	rec_str(w, sent->text);
	rec_end(w);
}

int offer_sent_check(struct rec_reader *r, struct vm_config *cfg, struct home_sent *sent)
{
	uint32_t files = rec_get_u32(r);

	if (r->head.version != SENT_VERSION || rec_get_u32(r) || files > HOME_FILES_MAX)
		return -EBADMSG;
	for (sent->files = 0; sent->files < files; sent->files++) {
		struct home_file *f = &sent->file[sent->files];

		f->size = rec_get_u64(r);
		rec_get_str(r, f->name, sizeof(f->name));
		if (!f->size || !text_printable(f->name))
			return -EBADMSG;
	}
	rec_get_str(r, sent->store, sizeof(sent->store));
	rec_get_str(r, sent->text, sizeof(sent->text));
	if (!name_is_ok(sent->store, sizeof(sent->store)))
		return -EBADMSG;
	memcpy(cfg->home, sent->store, sizeof(cfg->home));
	return rec_done(r);
}
