/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The test guest's first process: sets up and starts the mode asked for. Run once
 * more, from its shell, `/init fill MIB` uses so much memory, and frees it,
 * `/init watchdog SECONDS` feeds the watchdog, `/init disk` writes and reads a disk (disk.c),
 * and `/init vectors` keeps vector registers (vectors.c).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

static int run_tool(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "fill"))
		return churn_once(strtoull(argv[2], NULL, 0)) ? 1 : 0;
	if (argc == 3 && !strcmp(argv[1], "watchdog"))
		return watchdog_feed(atoi(argv[2]));
	if (argc >= 5 && argc <= 7 && !strcmp(argv[1], "disk"))
		return disk_tool(argc - 2, argv + 2);
	if (argc == 2 && !strcmp(argv[1], "vectors"))
		return vectors_keep();
	say("guest: /init: no such tool");
	return 1;
}

int main(int argc, char **argv)
{
	const char *mode;

	/* The first process has what the kernel did not know of its command line: nokaslr. */
	if (getpid() != 1)
		return run_tool(argc, argv);
	setup_early();
	say("guest: init");
	setup_modules();
	net_start();
	if (param("tern.more", 0))
		power_button_start();
	if (param("tern.churn", 0))
		churn_start((uint64_t)param("tern.churn", 0));
	if (param("tern.vectors", 0))
		vectors_start();
	mode = param_text("tern.mode", "shell");
	say("guest: ready mode=%s", mode);
	if (!strcmp(mode, "dirty"))
		run_dirty();
	else if (!strcmp(mode, "pageseq"))
		run_pageseq();
	else if (!strcmp(mode, "off"))
		power_off();
	else
		run_shell();
	for (;;)
		pause();
}
