/* SPDX-License-Identifier: BSD-2-Clause */
/* The test guest's first process: sets up and starts the mode asked for. */
#include <string.h>
#include <unistd.h>

#include "guest.h"

int main(void)
{
	const char *mode;

	setup_early();
	say("guest: init");
	setup_modules();
	net_start();
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
