/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datastore import: a file from a web server (kernel/xfer/import.c); datastore listen: are files
 * let in that others push (kernel/xfer/push_server.c)?
 */
#include <errno.h>
#include <string.h>

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

static void show_listening(struct shell *sh)
{
	struct xfer_listening l;

	xfer_listening(&l);
	if (!shell_json(sh)) {
		shell_printf(sh,
			     "pushes are %s, TCP port %u: %u under way, %llu done, %llu failed\n",
			     l.on ? "on" : "off", XFER_PUSH_PORT, l.pushing,
			     (unsigned long long)l.files, (unsigned long long)l.failed);
		return;
	}
	json_object(sh, NULL);
	json_bool(sh, "on", l.on);
	json_u64(sh, "port", XFER_PUSH_PORT);
	json_u64(sh, "pushing", l.pushing);
	json_u64(sh, "files", l.files);
	json_u64(sh, "failed", l.failed);
	json_end(sh);
}

static int listen_cmd(struct shell *sh, int argc, char **argv)
{
	bool on = argc == 2 && !strcmp(argv[1], "on"), off = argc == 2 && !strcmp(argv[1], "off");
	int err = 0;

	if (argc != 1 && !on && !off)
		return shell_error(sh, "usage", "datastore listen [on|off]");
	if (on || off)
		err = xfer_listen(on);
	if (err)
		return shell_error(sh, net_fault(err)->code, "TCP port %u: %s", XFER_PUSH_PORT,
				   net_fault(err)->text);
	show_listening(sh);
	return 0;
}

static void offer_on_off(struct shell *sh, int argc, char **argv)
{
	(void)argv;
	if (argc == 2) {
		shell_offer(sh, "on");
		shell_offer(sh, "off");
	}
}

static const struct shell_cmd commands[] = {
	{ "datastore import", "URL /ds/NAME/FILE [--kind plain|flat|thin]",
	  "fetch a raw image by HTTP", import_cmd, cmd_ds_offer_paths },
	{ "datastore listen", "[on|off]", "let others push files here ('terndisk push')",
	  listen_cmd, offer_on_off },
};

void cmd_ds_net_register(void)
{
	shell_register(commands, ARRAY_SIZE(commands));
}
