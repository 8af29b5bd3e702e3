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
	json_disk_limit(sh, &i->limit);
	json_end(sh);
}

static void info_text(struct shell *sh, const struct vdisk_info *i)
{
	shell_printf(sh, "disk     %s, serial %s%s%s%s%s", i->disk->path, i->disk->serial,
		     i->disk->read_only ? ", read-only" : "", i->disk->mode ? ", " : "",
		     i->disk->mode ? vm_disk_mode_name(i->disk->mode) : "",
		     i->open ? "" : ", closed");
	if (i->limit.iops)
		shell_printf(sh, ", at most %u requests/s", i->limit.iops);
	if (i->limit.mbps)
		shell_printf(sh, ", at most %u MB/s", i->limit.mbps);
	shell_printf(sh, "\n");
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
			info_text(sh, &i);
	}
	if (shell_json(sh))
		json_end(sh);
}

static const char *const latencies[] = { "read", "write", "flush" };

/* Steps as they are counted: under 16 us, under 32 us and so on. */
static void latency_json(struct shell *sh, const struct vdisk_latency *l, const char *name)
{
	json_object(sh, name);
	json_u64(sh, "count", l->count);
	json_u64(sh, "total_ns", l->total_ns);
	json_u64(sh, "max_ns", l->max_ns);
	json_array(sh, "steps");
	for (unsigned i = 0; i < VDISK_STEPS; i++)
		json_u64(sh, NULL, l->step[i]);
	json_end(sh);
	json_end(sh);
}

static void latency_text(struct shell *sh, const struct vdisk_latency *l, const char *name)
{
	shell_printf(sh, "    %s: mean %llu us, longest %llu us;", name,
		     (unsigned long long)(l->total_ns / l->count / 1000),
		     (unsigned long long)(l->max_ns / 1000));
	for (unsigned i = 0; i < VDISK_STEPS; i++)
		if (l->step[i])
			shell_printf(
				sh, " %s%llu us %llu", i < VDISK_STEPS - 1 ? "<" : ">=",
				(unsigned long long)((VDISK_STEP_NS << MIN(i, VDISK_STEPS - 2)) /
						     1000),
				(unsigned long long)l->step[i]);
	shell_printf(sh, "\n");
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
	json_u64(sh, "held", s->held);
	json_u64(sh, "held_ns", s->held_ns);
	for (unsigned op = 0; op < ARRAY_SIZE(latencies); op++)
		latency_json(sh, &s->of[op], latencies[op]);
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
	if (s->held)
		shell_printf(sh, "    held by its limit: %llu requests, for %llu ms\n",
			     (unsigned long long)s->held,
			     (unsigned long long)(s->held_ns / 1000000));
	for (unsigned op = 0; op < ARRAY_SIZE(latencies); op++)
		if (s->of[op].count)
			latency_text(sh, &s->of[op], latencies[op]);
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
