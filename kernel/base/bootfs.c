/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that the loader brought, and tern.conf.
 *
 * The table and the configuration's text are copied, because the loader's
 * memory goes back to the allocator; the files' contents stay where they are.
 * tern.conf has one "key = value" a line; "#" begins a comment; the last of
 * several lines with the same key counts. Text past 8 KiB is not read.
 */
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>
#include <tern/page.h>

#include "base.h"

#define CONFIG_SIZE 8192u
#define CONFIG_KEYS 128u

static struct boot_file files[BOOT_MAX_FILES];
static unsigned file_count;

static char text[CONFIG_SIZE];
static struct {
	const char *key, *value;
} entries[CONFIG_KEYS];
static unsigned entry_count;

static char *trim(char *s)
{
	char *end;

	while (*s == ' ' || *s == '\t' || *s == '\r')
		s++;
	end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		*--end = 0;
	return s;
}

static void parse_line(char *line)
{
	char *comment = strchr(line, '#'), *equals;

	if (comment)
		*comment = 0;
	equals = strchr(line, '=');
	if (!equals) {
		if (*trim(line))
			log_warn("config", "line without \"=\": %s", trim(line));
		return;
	}
	*equals = 0;
	if (entry_count == CONFIG_KEYS) {
		log_warn("config", "too many keys: %s is ignored", trim(line));
		return;
	}
	entries[entry_count].key = trim(line);
	entries[entry_count].value = trim(equals + 1);
	entry_count++;
}

static void parse(char *s)
{
	while (s) {
		char *end = strchr(s, '\n');

		if (end)
			*end++ = 0;
		parse_line(s);
		s = end;
	}
}

void bootfs_init(const struct bootinfo *bi)
{
	uint64_t size = MIN(bi->config_size, CONFIG_SIZE - 1);

	file_count = MIN(bi->file_count, BOOT_MAX_FILES);
	memcpy(files, bi->files, file_count * sizeof(files[0]));
	for (unsigned i = 0; i < file_count; i++)
		files[i].name[BOOT_NAME_MAX - 1] = 0;
	entry_count = 0;
	if (!bi->config_start)
		return;
	memcpy(text, hpa_ptr(HPA(bi->config_start)), size);
	text[size] = 0;
	if (size < bi->config_size)
		log_warn("config", "only the first %u bytes of tern.conf are read",
			 CONFIG_SIZE - 1);
	parse(text);
}

const struct boot_file *bootfs_find(const char *name)
{
	for (unsigned i = 0; i < file_count; i++)
		if (!strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

const struct boot_file *bootfs_at(unsigned index)
{
	return index < file_count ? &files[index] : NULL;
}

const char *config_get(const char *key)
{
	for (unsigned i = entry_count; i-- > 0;)
		if (!strcmp(entries[i].key, key))
			return entries[i].value;
	return NULL;
}

const char *config_key_at(unsigned index)
{
	return index < entry_count ? entries[index].key : NULL;
}
