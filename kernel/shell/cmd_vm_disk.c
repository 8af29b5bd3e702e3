/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of VMs: `vm create`'s --disk options, and what `vm info` and `stats` say of them.
 */
#include <stdio.h>
#include <string.h>

#include <tern/vdev.h>

#include "cmd_vm_disk.h"
#include "shell_int.h"

#define DISK_TEXT_MAX 192
#define SERIAL_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

/* ---- --disk ---- */

static bool serial_ok(const char *text)
{
	size_t n = strspn(text, SERIAL_CHARS);

	return n && !text[n] && n < VM_SERIAL_MAX;
}

/* One word behind the path. */
static bool disk_word(struct shell *sh, const char *word, struct vm_disk *d)
{
	static const char serial[] = "serial=";
	const char *value = word + sizeof(serial) - 1;

	if (!strcmp(word, "ro")) {
		d->read_only = true;
		return true;
	}
	if (strncmp(word, serial, sizeof(serial) - 1) || !serial_ok(value)) {
		shell_error(sh, "invalid",
			    "--disk: '%s' is not ro or serial=TEXT, of up to %u letters, digits, "
			    "- _ .",
			    word, VM_SERIAL_MAX - 1);
		return false;
	}
	strcpy(d->serial, value);
	return true;
}

static bool disk_option(struct shell *sh, const char *text, struct vm_disk *d)
{
	size_t len = strcspn(text, ",");
	char words[DISK_TEXT_MAX], *next;

	if (!len || len >= sizeof(d->path) || strlen(text) >= sizeof(words)) {
		shell_error(sh, "invalid",
			    "--disk %s: it is /ds/DATASTORE/FILE or diskN, up to %u characters",
			    text, (unsigned)sizeof(d->path) - 1);
		return false;
	}
	strcpy(words, text);
	memcpy(d->path, text, len);
	for (char *word = words[len] ? words + len + 1 : NULL; word; word = next) {
		next = strchr(word, ',');
		if (next)
			*next++ = '\0';
		if (!disk_word(sh, word, d))
			return false;
	}
	return true;
}

bool cmd_vm_disks(struct shell *sh, int *argc, char **argv, struct vm_config *cfg)
{
	const char *text;

	while ((text = shell_opt(argc, argv, "--disk")) != NULL) {
		if (cfg->disks == VM_DISKS_MAX) {
			shell_error(sh, "invalid", "more than %u of --disk", VM_DISKS_MAX);
			return false;
		}
		if (!disk_option(sh, text, &cfg->disk[cfg->disks]))
			return false;
		cfg->disks++;
	}
	return true;
}

/* ---- vm info, stats ---- */

static void info_json(struct shell *sh, const struct vdisk_info *i)
{
	json_object(sh, NULL);
	json_str(sh, "path", i->disk->path);
	json_str(sh, "serial", i->disk->serial);
	json_bool(sh, "read_only", i->disk->read_only);
	json_bool(sh, "open", i->open);
	json_u64(sh, "bytes", i->bytes);
	json_u64(sh, "queues", i->queues);
	json_end(sh);
}

void cmd_vm_disks_info(struct shell *sh, struct vm *vm)
{
	struct vdisk_info i;

	if (shell_json(sh))
		json_array(sh, "disks");
	for (unsigned n = 0; vdisk_at(vm, n, &i); n++) {
		if (shell_json(sh))
			info_json(sh, &i);
		else
			shell_printf(sh, "disk     %s, serial %s%s%s\n", i.disk->path,
				     i.disk->serial, i.disk->read_only ? ", read-only" : "",
				     i.open ? "" : ", closed");
	}
	if (shell_json(sh))
		json_end(sh);
}

static void stats_json(struct shell *sh, const struct vdisk_info *i)
{
	const struct vdisk_stats *s = &i->stats;

	json_object(sh, NULL);
	json_str(sh, "path", i->disk->path);
	json_u64(sh, "reads", s->requests[BLK_READ]);
	json_u64(sh, "writes", s->requests[BLK_WRITE]);
	json_u64(sh, "flushes", s->requests[BLK_FLUSH]);
	json_u64(sh, "discards", s->requests[BLK_DISCARD]);
	json_u64(sh, "zeroes", s->requests[BLK_WRITE_ZEROES]);
	json_u64(sh, "read_bytes", s->bytes[BLK_READ]);
	json_u64(sh, "written_bytes", s->bytes[BLK_WRITE]);
	json_u64(sh, "errors", s->errors);
	json_u64(sh, "busy_ns", s->busy_ns);
	json_u64(sh, "in_flight", i->in_flight);
	json_end(sh);
}

static void stats_text(struct shell *sh, unsigned n, const struct vdisk_info *i)
{
	const struct vdisk_stats *s = &i->stats;
	uint64_t all = 0;

	for (unsigned op = 0; op < BLK_OPS; op++)
		all += s->requests[op];
	shell_printf(sh,
		     "  disk %u: reads %llu (%llu MiB), writes %llu (%llu MiB), flushes %llu, "
		     "errors %llu, mean %llu us\n",
		     n, (unsigned long long)s->requests[BLK_READ],
		     (unsigned long long)(s->bytes[BLK_READ] >> 20),
		     (unsigned long long)s->requests[BLK_WRITE],
		     (unsigned long long)(s->bytes[BLK_WRITE] >> 20),
		     (unsigned long long)s->requests[BLK_FLUSH], (unsigned long long)s->errors,
		     (unsigned long long)(all ? s->busy_ns / all / 1000 : 0));
}

void cmd_vm_disks_stats(struct shell *sh, struct vm *vm)
{
	struct vdisk_info i;

	if (shell_json(sh))
		json_array(sh, "disks");
	for (unsigned n = 0; vdisk_at(vm, n, &i); n++) {
		if (shell_json(sh))
			stats_json(sh, &i);
		else
			stats_text(sh, n, &i);
	}
	if (shell_json(sh))
		json_end(sh);
}
