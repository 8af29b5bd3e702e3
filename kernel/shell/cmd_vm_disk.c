/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks of VMs: what `vm info` and `stats` say of them.
 */
#include <tern/home.h>
#include <tern/vdev.h>

#include "cmd_vm_disk.h"
#include "shell_int.h"

static void info_json(struct shell *sh, const struct vdisk_info *i)
{
	json_object(sh, NULL);
	json_str(sh, "path", i->disk->path);
	json_str(sh, "serial", i->disk->serial);
	json_bool(sh, "read_only", i->disk->read_only);
	json_str(sh, "mode", vm_disk_mode_name(i->disk->mode));
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
			shell_printf(sh, "disk     %s, serial %s%s%s%s%s\n", i.disk->path,
				     i.disk->serial, i.disk->read_only ? ", read-only" : "",
				     i.disk->mode ? ", " : "",
				     i.disk->mode ? vm_disk_mode_name(i.disk->mode) : "",
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
