/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What deals with a guest in trouble, from inside: `/init watchdog SECONDS` starts the
 * watchdog and feeds it for ever, and with tern.more=1 the power button shuts down.
 */
#include <fcntl.h>
#include <linux/input.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

int watchdog_feed(int seconds)
{
	int fd = open("/dev/watchdog", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, WDIOC_SETTIMEOUT, &seconds) < 0) {
		say("guest: no watchdog: %m");
		return 1;
	}
	say("watchdog %d s", seconds);
	for (;;) {
		ioctl(fd, WDIOC_KEEPALIVE, 0);
		usleep(200000);
	}
}

void power_button_start(void)
{
	struct input_event e;
	int fd;

	if (fork())
		return;
	fd = open("/dev/input/event0", O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, &e, sizeof(e)) == (ssize_t)sizeof(e)) {
		if (e.type != EV_KEY || e.code != KEY_POWER || !e.value)
			continue;
		say("guest: power button");
		power_off();
	}
	_exit(0);
}
