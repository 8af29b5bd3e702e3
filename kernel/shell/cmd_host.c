/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about this machine: host info, files, worlds; and help. cmd_cpu.c has host
 * cpu, cmd_power.c its ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/acpi.h>
#include <tern/bootinfo.h>
#include <tern/cpu.h>
#include <tern/page.h>
#include <tern/timer.h>
#include <tern/virt.h>
#include <tern/world.h>

#include "shell_int.h"

static uint64_t ready_ns;

struct own_memory {
	struct page_stats pages;
	uint64_t own, guest, files;
};

/* Tern's own memory: everything but free frames, guest frames and boot files. */
static void own_memory(struct own_memory *m)
{
	page_stats(&m->pages);
	m->guest = m->pages.owner_bytes[FRAME_GUEST];
	m->files = 0;
	for (unsigned i = 0; bootfs_at(i); i++)
		m->files += ALIGN_UP(bootfs_at(i)->size, PAGE_SIZE);
	m->own = m->pages.total_bytes - m->pages.free_bytes - m->guest - m->files;
}

static const char *hostname(void)
{
	const char *name = config_get("hostname");

	return name ? name : "tern";
}

static void host_info_json(struct shell *sh, const struct own_memory *m)
{
	const struct cpu_id *id = cpu_identity();

	json_object(sh, NULL);
	json_str(sh, "hostname", hostname());
	json_u64(sh, "cpus", cpu_count());
	json_bool(sh, "acpi", !acpi_missing());
	json_str(sh, "cpu", id->brand);
	json_str(sh, "vendor", id->vendor);
	json_str(sh, "virtualization", virt ? virt_caps.name : "none");
	json_str(sh, "virtualization_features", virt_caps.features);
	json_u64(sh, "tsc_khz", tsc_khz());
	json_u64(sh, "memory_bytes", m->pages.total_bytes);
	json_u64(sh, "free_bytes", m->pages.free_bytes);
	json_u64(sh, "spare_bytes", page_spare_bytes());
	json_u64(sh, "guest_bytes", m->guest);
	json_u64(sh, "file_bytes", m->files);
	json_u64(sh, "own_bytes", m->own);
	json_u64(sh, "ready_ms", ready_ns / NSEC_PER_MSEC);
	json_u64(sh, "uptime_ms", time_ns() / NSEC_PER_MSEC);
	json_end(sh);
}

static unsigned mib(uint64_t bytes)
{
	return (unsigned)(bytes >> 20);
}

static int host_info(struct shell *sh, int argc, char **argv)
{
	const struct cpu_id *id = cpu_identity();
	struct own_memory m;

	(void)argv;
	if (argc > 1)
		return shell_error(sh, "usage", "host info takes no arguments");
	own_memory(&m);
	if (shell_json(sh)) {
		host_info_json(sh, &m);
		return 0;
	}
	shell_printf(sh, "host            %s\n", hostname());
	shell_printf(sh, "processors      %u x %s (%s)\n", cpu_count(), id->brand, id->vendor);
	if (acpi_missing())
		shell_printf(sh, "                one only: %s\n", acpi_missing());
	shell_printf(sh, "virtualization  %s%s%s\n", virt ? virt_caps.name : virt_absent_reason(),
		     virt && virt_caps.features[0] ? ": " : "", virt_caps.features);
	shell_printf(sh, "clock           TSC %u kHz\n", (unsigned)tsc_khz());
	shell_printf(sh,
		     "memory          %u MiB, free %u MiB, of it to spare %u MiB, guests %u MiB, "
		     "boot files %u MiB\n",
		     mib(m.pages.total_bytes), mib(m.pages.free_bytes), mib(page_spare_bytes()),
		     mib(m.guest), mib(m.files));
	shell_printf(sh, "own memory      %u KiB\n", (unsigned)(m.own >> 10));
	shell_printf(sh, "time to prompt  %u ms\n", (unsigned)(ready_ns / NSEC_PER_MSEC));
	shell_printf(sh, "uptime          %u s\n", (unsigned)(time_ns() / NSEC_PER_SEC));
	return 0;
}

static int host_files(struct shell *sh, int argc, char **argv)
{
	const struct boot_file *f;

	(void)argv;
	if (argc > 1)
		return shell_error(sh, "usage", "host files takes no arguments");
	if (shell_json(sh))
		json_array(sh, NULL);
	for (unsigned i = 0; (f = bootfs_at(i)); i++) {
		if (!shell_json(sh)) {
			shell_printf(sh, "%10llu  %s\n", (unsigned long long)f->size, f->name);
			continue;
		}
		json_object(sh, NULL);
		json_str(sh, "name", f->name);
		json_u64(sh, "bytes", f->size);
		json_end(sh);
	}
	if (shell_json(sh))
		json_end(sh);
	return 0;
}

#define WORLDS_MAX 256

static int host_worlds(struct shell *sh, int argc, char **argv)
{
	struct world_info *w = calloc(WORLDS_MAX, sizeof(*w));
	unsigned n;

	(void)argv;
	if (argc > 1) {
		free(w);
		return shell_error(sh, "usage", "host worlds takes no arguments");
	}
	if (!w)
		return shell_error(sh, "no-memory", "no memory for the list");
	n = MIN(world_list(w, WORLDS_MAX), WORLDS_MAX);
	if (shell_json(sh))
		json_array(sh, NULL);
	else
		shell_printf(sh, "%-24s %3s %10s %10s  %s\n", "world", "cpu", "run ms", "switches",
			     "state");
	for (unsigned i = 0; i < n; i++) {
		if (!shell_json(sh)) {
			shell_printf(sh, "%-24s %3d %10llu %10llu  %s\n", w[i].name, w[i].cpu,
				     (unsigned long long)(w[i].run_ns / NSEC_PER_MSEC),
				     (unsigned long long)w[i].switches, w[i].state);
			continue;
		}
		json_object(sh, NULL);
		json_str(sh, "name", w[i].name);
		json_i64(sh, "cpu", w[i].cpu);
		json_u64(sh, "run_ns", w[i].run_ns);
		json_u64(sh, "ready_ns", w[i].ready_ns);
		json_u64(sh, "switches", w[i].switches);
		json_str(sh, "state", w[i].state);
		json_end(sh);
	}
	if (shell_json(sh))
		json_end(sh);
	free(w);
	return 0;
}

/* The words as one, as paths of commands are written; false when no path is that long. */
static bool join_words(char *to, size_t cap, int count, char **words)
{
	size_t n = 0;

	to[0] = '\0';
	for (int i = 0; i < count; i++) {
		if (n + strlen(words[i]) + 2 > cap)
			return false;
		n += (size_t)snprintf(to + n, cap - n, "%s%s", i ? " " : "", words[i]);
	}
	return true;
}

static bool any_command(const char *start)
{
	const struct shell_cmd *c;

	for (unsigned i = 0; (c = shell_cmd_at(i)); i++)
		if (!strncmp(c->path, start, strlen(start)))
			return true;
	return false;
}

static int help(struct shell *sh, int argc, char **argv)
{
	const struct shell_cmd *c;
	char start[64];
	size_t n;

	if (!join_words(start, sizeof(start), argc - 1, argv + 1) || !any_command(start))
		return shell_error(sh, "unknown-command", "no command starts with '%s%s'", argv[1],
				   argc > 2 ? " ..." : "");
	n = strlen(start);
	if (shell_json(sh))
		json_array(sh, NULL);
	for (unsigned i = 0; (c = shell_cmd_at(i)); i++) {
		if (strncmp(c->path, start, n))
			continue;
		if (shell_json(sh)) {
			json_object(sh, NULL);
			json_str(sh, "command", c->path);
			json_str(sh, "usage", c->usage);
			json_str(sh, "help", c->help);
			json_end(sh);
		} else if (n) {
			shell_printf(sh, "%s%s%s\n    %s\n", c->path, c->usage[0] ? " " : "",
				     c->usage, c->help);
		} else {
			shell_printf(sh, "%-18s %s\n", c->path, c->help);
		}
	}
	if (shell_json(sh))
		json_end(sh);
	else if (!n)
		shell_printf(sh, "help WORD shows how to use what starts with WORD; --json works "
				 "everywhere\n");
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "help", "[WORD]...", "list the commands, or show how to use some", help, NULL },
	{ "host info", "", "this machine: processors, memory, time to prompt", host_info, NULL },
	{ "host files", "", "files found under /boot/ at start", host_files, NULL },
	{ "host worlds", "", "kernel threads and the time they used", host_worlds, NULL },
};

void cmd_host_register(void)
{
	ready_ns = time_ns();
	shell_register(cmds, ARRAY_SIZE(cmds));
}
