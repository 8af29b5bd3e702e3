/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm balloon`: what a guest keeps of its memory, and how much it is to keep.
 */
#include <tern/timer.h>
#include <tern/vdev.h>

#include "shell_int.h"

#define WHY_MAX 160
#define STATS_WAIT_NS NSEC_PER_SEC
#define STATS_POLL_NS (10 * NSEC_PER_MSEC)

static const char *const stat_name[BALLOON_STATS] = {
	[BALLOON_SWAP_IN] = "swap_in_bytes",	 [BALLOON_SWAP_OUT] = "swap_out_bytes",
	[BALLOON_MAJOR_FAULTS] = "major_faults", [BALLOON_MINOR_FAULTS] = "minor_faults",
	[BALLOON_FREE] = "free_bytes",		 [BALLOON_TOTAL] = "total_bytes",
	[BALLOON_AVAILABLE] = "available_bytes", [BALLOON_CACHES] = "cache_bytes",
	[BALLOON_HUGE_ALLOCATED] = "huge_pages", [BALLOON_HUGE_FAILED] = "huge_pages_failed",
};

/* Newer statistics than those that are there, if the guest answers. */
static void refresh(struct vm *vm, struct balloon_info *b)
{
	uint64_t asked = time_ns();

	if (balloon_ask_stats(vm)) {
		do {
			world_sleep_ns(STATS_POLL_NS);
			balloon_info(vm, b);
		} while (b->stats_ns < asked && time_ns() < asked + STATS_WAIT_NS);
	}
	balloon_info(vm, b);
}

static void show_json(struct shell *sh, struct vm *vm, const struct balloon_info *b)
{
	json_object(sh, NULL);
	json_str(sh, "vm", vm->cfg.name);
	json_bool(sh, "driver", b->driver);
	json_bool(sh, "reports_free_pages", b->reports);
	json_u64(sh, "mem_bytes", vm->cfg.mem_bytes);
	json_u64(sh, "target_bytes", b->target_bytes);
	json_u64(sh, "actual_bytes", b->actual_bytes);
	json_u64(sh, "backed_bytes", gmem_backed_pages(vm->mem) * PAGE_SIZE);
	json_u64(sh, "lent_bytes", gmem_lent_bytes(vm->mem));
	json_u64(sh, "pages_ballooned", b->ballooned);
	json_u64(sh, "pages_reported", b->reported);
	if (b->stats_ns)
		json_u64(sh, "stats_age_ms", (time_ns() - b->stats_ns) / NSEC_PER_MSEC);
	json_object(sh, "stats");
	for (unsigned i = 0; i < BALLOON_STATS; i++)
		if (b->stats_known >> i & 1)
			json_u64(sh, stat_name[i], b->stat[i]);
	json_end(sh);
	json_end(sh);
}

static unsigned mib(uint64_t bytes)
{
	return (unsigned)(bytes >> 20);
}

static void show_plain(struct shell *sh, struct vm *vm, const struct balloon_info *b)
{
	if (!b->driver)
		shell_printf(sh, "its kernel has no balloon driver, or has not started it yet\n");
	shell_printf(sh, "memory   %u MiB, to keep %u MiB, keeps %u MiB, %u MiB backed\n",
		     mib(vm->cfg.mem_bytes), mib(b->target_bytes), mib(b->actual_bytes),
		     (unsigned)(gmem_backed_pages(vm->mem) >> 8));
	shell_printf(sh, "given    %u MiB by the balloon, %u MiB as free pages%s; %u MiB lent\n",
		     (unsigned)(b->ballooned >> 8), (unsigned)(b->reported >> 8),
		     b->reports ? "" : " (which it does not report)",
		     mib(gmem_lent_bytes(vm->mem)));
	if (b->stats_known >> BALLOON_FREE & 1)
		shell_printf(sh, "guest    %u of %u MiB free, %u MiB available, %u MiB caches\n",
			     mib(b->stat[BALLOON_FREE]), mib(b->stat[BALLOON_TOTAL]),
			     mib(b->stat[BALLOON_AVAILABLE]), mib(b->stat[BALLOON_CACHES]));
}

static int set_target(struct shell *sh, struct vm *vm, const char *text)
{
	char why[WHY_MAX] = "";
	uint64_t bytes;
	int err;

	if (parse_size(text, &bytes))
		return shell_error(sh, "invalid", "%s is not a size (like 128M)", text);
	err = balloon_set(vm, bytes, why, sizeof(why));
	return err ? shell_error(sh, cmd_vm_code(err), "%s: %s", vm->cfg.name, why) : 0;
}

static int vm_balloon_cmd(struct shell *sh, int argc, char **argv)
{
	struct balloon_info b;
	struct vm *vm = cmd_find_vm(sh, argc == 3 ? 2 : argc, argv);
	int err = 0;

	if (!vm)
		return 1;
	if (argc == 3)
		err = set_target(sh, vm, argv[2]);
	if (!err) {
		refresh(vm, &b);
		if (shell_json(sh))
			show_json(sh, vm, &b);
		else
			show_plain(sh, vm, &b);
	}
	vm_put(vm);
	return err;
}

static const struct shell_cmd cmds[] = {
	{ "vm balloon", "NAME [SIZE]",
	  "what a guest keeps of its memory; SIZE: how much it is to keep", vm_balloon_cmd,
	  cmd_offer_vms },
};

void cmd_vm_balloon_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
