/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log and the counters: what to look at when something is slow or odd.
 */
#include <string.h>

#include <tern/blkdev.h>
#include <tern/dirty.h>
#include <tern/irq.h>
#include <tern/log.h>
#include <tern/mig.h>
#include <tern/net.h>
#include <tern/page.h>
#include <tern/vm.h>
#include <tern/world.h>

#include "cmd_vm_disk.h"
#include "shell_int.h"

static void counter(struct shell *sh, const char *name, uint64_t v)
{
	if (shell_json(sh))
		json_u64(sh, name, v);
	else
		shell_printf(sh, "  %-22s %llu\n", name, (unsigned long long)v);
}

static void section(struct shell *sh, const char *name)
{
	if (shell_json(sh))
		json_object(sh, name);
	else
		shell_printf(sh, "%s\n", name);
}

static void section_end(struct shell *sh)
{
	if (shell_json(sh))
		json_end(sh);
}

static void host_stats(struct shell *sh)
{
	struct sched_stats s;

	sched_stats(&s);
	section(sh, "host");
	counter(sh, "interrupts", irq_count());
	counter(sh, "switches", s.switches);
	counter(sh, "halts", s.halts);
	counter(sh, "kicks", s.kicks);
	section_end(sh);
}

static void memory_stats(struct shell *sh)
{
	static const char *const names[FRAME_OWNERS] = { "free", "kernel", "net",	"guest",
							 "slat", "vm",	   "migration", "boot" };
	struct page_stats p;

	page_stats(&p);
	section(sh, "memory");
	counter(sh, "total", p.total_bytes);
	counter(sh, "free", p.free_bytes);
	for (unsigned i = FRAME_KERNEL; i < FRAME_OWNERS; i++)
		counter(sh, names[i], p.owner_bytes[i]);
	section_end(sh);
}

static void pool_stats(struct shell *sh)
{
	struct net_pool p;

	section(sh, "net_pools");
	for (unsigned i = 0; net_pool_at(i, &p); i++) {
		if (!shell_json(sh)) {
			shell_printf(sh, "  %-22s %llu of %llu, at most %llu, refused %llu\n",
				     p.name, (unsigned long long)p.used, (unsigned long long)p.size,
				     (unsigned long long)p.most, (unsigned long long)p.refused);
			continue;
		}
		json_object(sh, p.name);
		json_u64(sh, "used", p.used);
		json_u64(sh, "size", p.size);
		json_u64(sh, "most", p.most);
		json_u64(sh, "refused", p.refused);
		json_end(sh);
	}
	section_end(sh);
}

static void network_stats(struct shell *sh)
{
	struct net_stats n;

	net_stats(&n);
	section(sh, "net");
	counter(sh, "tcp_segs_out", n.tcp_segs_out);
	counter(sh, "tcp_segs_in", n.tcp_segs_in);
	counter(sh, "tcp_rexmit", n.tcp_rexmit);
	counter(sh, "tx_copied_bytes", n.tx_copied_bytes);
	counter(sh, "tx_zero_copy_bytes", n.tx_zero_copy_bytes);
	counter(sh, "rx_copied_bytes", n.rx_copied_bytes);
	counter(sh, "switch_moved_bytes", n.switch_moved_bytes);
	counter(sh, "switch_copied_bytes", n.switch_copied_bytes);
	counter(sh, "queue_waits", n.queue_waits);
	counter(sh, "owner_wakes", n.owner_wakes);
	counter(sh, "pool_exhausted", n.pool_exhausted);
	section_end(sh);
}

/* Of the host's disks together; `disk list --json` has each one's. */
static void disk_stats(struct shell *sh)
{
	uint64_t requests = 0, bytes = 0;
	struct blk_stats sum = { .errors = 0 }, s;
	struct blkdev *d;

	for (unsigned i = 0; (d = blk_at(i)); i++) {
		blk_stats(d, &s);
		for (unsigned op = 0; op < BLK_OPS; op++)
			requests += s.requests[op];
		bytes += s.bytes[BLK_READ] + s.bytes[BLK_WRITE];
		sum.doorbells += s.doorbells;
		sum.interrupts += s.interrupts;
		sum.copied_bytes += s.copied_bytes;
		sum.errors += s.errors;
	}
	section(sh, "disks");
	counter(sh, "requests", requests);
	counter(sh, "bytes", bytes);
	counter(sh, "doorbells", sum.doorbells);
	counter(sh, "interrupts", sum.interrupts);
	counter(sh, "memory_copied_bytes", sum.copied_bytes);
	counter(sh, "errors", sum.errors);
	section_end(sh);
}

static void add_disks(struct mig_disk_figures *sum, const struct mig_disk_figures *f)
{
	sum->copied_bytes += f->copied_bytes;
	sum->skipped_bytes += f->skipped_bytes;
	sum->mirrored_bytes += f->mirrored_bytes;
	sum->requests += f->requests;
	sum->wakes += f->wakes;
	sum->memory_copied_bytes += f->memory_copied_bytes;
	sum->held += f->held;
	sum->held_ns += f->held_ns;
}

static void disk_move_stats(struct shell *sh, const struct mig_disk_figures *f)
{
	section(sh, "disk_moves");
	counter(sh, "copied_bytes", f->copied_bytes);
	counter(sh, "skipped_bytes", f->skipped_bytes);
	counter(sh, "mirrored_bytes", f->mirrored_bytes);
	counter(sh, "requests", f->requests);
	counter(sh, "wakes", f->wakes);
	counter(sh, "memory_copied_bytes", f->memory_copied_bytes);
	counter(sh, "held", f->held);
	counter(sh, "held_ns", f->held_ns);
	section_end(sh);
}

/* Of all jobs that are still known, both ways; what bases hold now is in `memory`. */
static void migration_stats(struct shell *sh)
{
	uint64_t pages = 0, deltas = 0, saved = 0;
	struct mig_disk_figures disks = { .disks = 0 };
	struct mig_status s;
	uint32_t cursor = 0;

	while (mig_next(&cursor, &s)) {
		pages += s.pages_sent;
		deltas += s.delta_pages;
		saved += s.delta_pages * PAGE_SIZE - s.delta_bytes;
		add_disks(&disks, &s.disk);
	}
	section(sh, "migration");
	counter(sh, "pages", pages);
	counter(sh, "delta_pages", deltas);
	counter(sh, "delta_saved_bytes", saved);
	section_end(sh);
	disk_move_stats(sh, &disks);
}

static void vm_stats(void *arg, struct vm *vm)
{
	struct shell *sh = arg;
	struct slat *slat = gmem_slat(vm->mem);
	struct dirty_stats d;
	uint64_t exits = 0, flushes = 0;

	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		for (unsigned r = 0; r < EXIT_REASONS; r++)
			exits += vm->vcpu[i]->stats.exits[r];
		flushes += vm->vcpu[i]->v.flushes;
	}
	dirty_stats(vm, &d);
	section(sh, vm->cfg.name);
	counter(sh, "exits", exits);
	counter(sh, "tlb_flushes", flushes);
	counter(sh, "backed_pages", gmem_backed_pages(vm->mem));
	counter(sh, "slat_pages", slat->table_pages);
	counter(sh, "slat_splits", slat->splits);
	counter(sh, "slat_merges", slat->merges);
	counter(sh, "harvests", d.harvests);
	counter(sh, "harvested_pages", d.pages);
	counter(sh, "harvest_scan_ns", d.scan_ns);
	counter(sh, "flush_wait_ns", d.flush_wait_ns);
	counter(sh, "flushes_asked", d.flushes);
	counter(sh, "flush_kicks", d.flush_kicks);
	counter(sh, "flush_acks", d.flush_acks);
	cmd_vm_disks_stats(sh, vm);
	section_end(sh);
}

static int stats_cmd(struct shell *sh, int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return shell_error(sh, "usage",
				   "stats takes no arguments; see also 'vm info', 'net info'");
	if (shell_json(sh))
		json_object(sh, NULL);
	host_stats(sh);
	memory_stats(sh);
	network_stats(sh);
	pool_stats(sh);
	disk_stats(sh);
	migration_stats(sh);
	if (shell_json(sh))
		json_object(sh, "vms");
	vm_for_each(vm_stats, sh);
	if (shell_json(sh)) {
		json_end(sh);
		json_end(sh);
	}
	return 0;
}

static int log_cmd(struct shell *sh, int argc, char **argv)
{
	const char *since = shell_opt(&argc, argv, "--since");
	uint64_t seq = 0;
	char line[256];

	if (since && parse_u64(since, &seq))
		return shell_error(sh, "invalid", "--since %s is not a line's number", since);
	if (argc > 1)
		return shell_error(sh, "usage", "log [--since N]");
	if (shell_json(sh))
		json_array(sh, NULL);
	while (log_read(&seq, line, sizeof(line))) {
		if (!shell_json(sh)) {
			shell_printf(sh, "%s\n", line);
			continue;
		}
		json_object(sh, NULL);
		json_u64(sh, "next", seq);
		json_str(sh, "line", line);
		json_end(sh);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "stats", "", "counters: host, memory, network, migrations, exits, flushes, harvests",
	  stats_cmd, NULL },
	{ "log", "[--since N]", "this host's log", log_cmd, NULL },
};

void cmd_stats_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
