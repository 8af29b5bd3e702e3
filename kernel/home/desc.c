/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptions of VMs as text (docs/vm-file.md): lines into keys and values, and back. What a
 * key means is in desc_keys.c, desc_devs.c and desc_moves.c, its reader beside its writer, so that
 * what one writes the other takes. The text comes from outside: nothing in it is believed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lib/text.h"

#include "desc.h"

#define LINE_MAX 1280u /* the command line of a kernel, and its key */

int desc_refuse(const struct desc_why *why, const char *key, const char *value, const char *fmt,
		...)
{
	va_list ap;
	int n = snprintf(why->text, why->room, "%s %.60s: ", key, value);

	if (n < 0 || (size_t)n >= why->room)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(why->text + n, why->room - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

const struct desc_key *desc_find(const char *name)
{
	for (unsigned i = 0; i < desc_nr_keys; i++)
		if (!strcmp(desc_keys[i].name, name))
			return &desc_keys[i];
	return NULL;
}

const char *vm_desc_key(unsigned index, bool *option, bool *flag)
{
	if (index >= desc_nr_keys)
		return NULL;
	*option = desc_keys[index].flags & DESC_OPTION;
	*flag = desc_keys[index].flags & DESC_FLAG;
	return desc_keys[index].name;
}

void vm_desc_init(struct vm_desc *d)
{
	*d = (struct vm_desc){ .cfg = { .mem_bytes = 256ull << 20, .vcpus = 1 } };
	d->cfg.on[VM_WATCHDOG] = VM_RESET;
}

int vm_desc_set(struct vm_desc *d, const char *key, const char *value, char *why, size_t why_len)
{
	const struct desc_why w = { .text = why, .room = why_len };
	const struct desc_key *k = desc_find(key);
	uint64_t bit;
	int err;

	if (!k) {
		snprintf(why, why_len, "%.32s: there is no such key",
			 text_printable(key) ? key : "...");
		return -ENOENT;
	}
	bit = BIT(k - desc_keys);
	if (!text_printable(value)) /* first: what refuses a value repeats it */
		return desc_refuse(&w, key, "...", "control characters are not allowed");
	if ((d->seen & bit) && !(k->flags & DESC_SEVERAL))
		return desc_refuse(&w, key, value, "the key stands twice");
	err = k->set(d, k, value, &w);
	if (!err)
		d->seen |= bit;
	return err;
}

/* ---- reading ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Without blanks at both ends; cuts the text. */
static char *trim(char *text)
{
	size_t n;

	while (is_blank(*text))
		text++;
	n = strlen(text);
	while (n && is_blank(text[n - 1]))
		text[--n] = '\0';
	return text;
}

static int read_line(struct vm_desc *d, char *line, char *why, size_t why_len)
{
	char *equals;

	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	equals = strchr(line, '=');
	if (!equals) {
		snprintf(why, why_len, "it is not KEY = VALUE");
		return -EINVAL;
	}
	*equals = '\0';
	return vm_desc_set(d, trim(line), trim(equals + 1), why, why_len);
}

/* One line's text; its length with the newline, or -EINVAL. */
static int take_line(const char *text, size_t len, char line[LINE_MAX])
{
	const char *end = memchr(text, '\n', len);
	size_t n = end ? (size_t)(end - text) : len;

	if (n >= LINE_MAX || memchr(text, '\0', n))
		return -EINVAL;
	memcpy(line, text, n);
	line[n] = '\0';
	return (int)(n + (end ? 1 : 0));
}

int vm_desc_parse(struct vm_desc *d, const char *text, size_t len, char *why, size_t why_len)
{
	char line[LINE_MAX], what[160];
	unsigned number = 0;

	for (size_t at = 0; at < len;) {
		int n = take_line(text + at, len - at, line), err = n < 0 ? n : 0;

		number++;
		if (n < 0)
			snprintf(what, sizeof(what), "it is too long, or no text");
		else
			err = read_line(d, line, what, sizeof(what));
		if (err) {
			snprintf(why, why_len, "line %u: %s", number, what);
			return -EINVAL;
		}
		at += (size_t)n;
	}
	return vm_desc_check(d, why, why_len);
}

/* ---- writing ---- */

int vm_desc_write(const struct vm_desc *d, char *text, size_t room)
{
	char value[LINE_MAX];
	size_t at = 0;

	for (unsigned i = 0; i < desc_nr_keys; i++) {
		const struct desc_key *k = &desc_keys[i];
		unsigned most = k->flags & DESC_SEVERAL ? UINT32_MAX : 1;

		for (unsigned n = 0; n < most && k->get(d, k, n, value, sizeof(value)); n++) {
			int len = snprintf(text + at, room - at, "%s = %s\n", k->name, value);

			if (len < 0 || (size_t)len >= room - at)
				return -ENOSPC;
			at += (size_t)len;
		}
	}
	return (int)at;
}
