/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every mode needs first: file systems, ttyS0 as standard input and
 * output, the kernel modules listed in /lib/modules/order (tern.more=1: and
 * in /lib/modules/more), and parameters of the form `name=value` from the kernel's command line.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static char cmdline[2048];

static void read_cmdline(void)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, cmdline, sizeof(cmdline) - 1);
	close(fd);
	cmdline[n > 0 ? n : 0] = '\0';
}

/* The console may not be ttyS0 (or may be absent); the tests read ttyS0. */
static void open_console(void)
{
	int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

void setup_early(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	open_console();
	read_cmdline();
}

static void load_module(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/lib/modules/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
		say("guest: module %s not loaded: %m", name);
	if (fd >= 0)
		close(fd);
}

static void load_list(const char *path)
{
	FILE *order = fopen(path, "re");
	char name[96];

	if (!order)
		return;
	while (fscanf(order, "%95s", name) == 1)
		load_module(name);
	fclose(order);
}

void setup_modules(void)
{
	if (param("tern.modules", 1) == 0)
		return;
	load_list("/lib/modules/order");
	if (param("tern.more", 0))
		load_list("/lib/modules/more");
}

/* The value of NAME as a string of its own, or ABSENT. */
const char *param_text(const char *name, const char *absent)
{
	static char value[128];
	size_t len = strlen(name);
	const char *p = cmdline;

	while ((p = strstr(p, name))) {
		if ((p == cmdline || p[-1] == ' ') && p[len] == '=') {
			size_t n = strcspn(p + len + 1, " \n");

			if (n >= sizeof(value))
				n = sizeof(value) - 1;
			memcpy(value, p + len + 1, n);
			value[n] = '\0';
			return value;
		}
		p += len;
	}
	return absent;
}

long param(const char *name, long absent)
{
	const char *text = param_text(name, NULL);

	return text ? strtol(text, NULL, 0) : absent;
}

/* One line, written at once, so that lines of threads never mix. */
void say(const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(1, line, (size_t)n) < 0)
		return;
}

/* A range of our own, touched, never merged into huge pages. */
unsigned char *range_alloc(uint64_t mib)
{
	size_t bytes = (size_t)mib << 20;
	unsigned char *range;

	range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (range == MAP_FAILED) {
		say("guest: no memory for %llu MiB", (unsigned long long)mib);
		for (;;)
			pause();
	}
	madvise(range, bytes, MADV_NOHUGEPAGE);
	return range;
}

void power_off(void)
{
	say("guest: off");
	sync();
	reboot(RB_POWER_OFF);
}

void run_shell(void)
{
	char *const argv[] = { "busybox", "setsid", "cttyhack", "sh", NULL };
	char *const env[] = { "PATH=/bin", "HOME=/", "TERM=vt100", "PS1=guest# ", NULL };

	execve("/bin/busybox", argv, env);
	say("guest: no shell: %m");
}
