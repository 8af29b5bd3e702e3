/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datastore import: a file from a web server (kernel/xfer/import.c).
 */
#include <tern/timer.h>
#include <tern/xfer.h>

#include "cmd_ds.h"
#include "shell_int.h"

#define SHOW_NS (NSEC_PER_SEC / 2)

struct watch {
	struct shell *sh;
	uint64_t begun_ns, shown_ns;
};

static uint64_t mb_per_s(const struct watch *w, uint64_t bytes)
{
	return bytes * 1000 / MAX(time_ns() - w->begun_ns, 1ull);
}

static void show(struct watch *w, uint64_t done, uint64_t total)
{
	shell_progress(w->sh, "%3llu %%  %llu of %llu MiB  %llu MB/s",
		       (unsigned long long)(done / MAX(total / 100, 1ull)),
		       (unsigned long long)(done >> 20), (unsigned long long)(total >> 20),
		       (unsigned long long)mb_per_s(w, done));
	w->shown_ns = time_ns();
}

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
	struct watch *w = arg;
	bool due = time_ns() - w->shown_ns >= SHOW_NS || done == total;

	if (total && due && !shell_json(w->sh))
		show(w, done, total);
	return !shell_interrupted(w->sh);
}

static void imported(struct shell *sh, const struct xfer_import *i, const struct watch *w)
{
	uint64_t ns = time_ns() - w->begun_ns;

	if (!shell_json(sh)) {
		shell_printf(sh, "%llu bytes in %llu ms, %llu MB/s\n", (unsigned long long)i->bytes,
			     (unsigned long long)(ns / NSEC_PER_MSEC),
			     (unsigned long long)mb_per_s(w, i->bytes));
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "name", i->name);
	json_u64(sh, "bytes", i->bytes);
	json_u64(sh, "ns", ns);
	json_end(sh);
}

static int import_cmd(struct shell *sh, int argc, char **argv)
{
	const char *word = shell_opt(&argc, argv, "--kind");
	struct watch w = { .sh = sh, .begun_ns = time_ns() };
	struct xfer_import i = { .resolve = cmd_resolve_host, .go_on = go_on, .arg = &w };

	if (argc != 3)
		return shell_error(sh, "usage",
				   "datastore import URL /ds/NAME/FILE "
				   "[--kind plain|flat|thin]");
	if (cmd_ds_kind(sh, word, &i.kind) || cmd_ds_path(sh, argv[2], &i.ds, &i.name))
		return 1;
	i.url = argv[1];
	if (xfer_import(&i))
		return shell_error(sh, i.fault.code, "%s", i.fault.text);
	imported(sh, &i, &w);
	return 0;
}

static const struct shell_cmd commands[] = {
	{ "datastore import", "URL /ds/NAME/FILE [--kind plain|flat|thin]",
	  "fetch a raw image by HTTP", import_cmd, cmd_ds_offer_paths },
};

void cmd_ds_net_register(void)
{
	shell_register(commands, ARRAY_SIZE(commands));
}
