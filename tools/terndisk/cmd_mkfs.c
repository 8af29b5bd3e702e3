/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terndisk mkfs and check.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/terndisk/terndisk.h"

#define LOOK_BYTES                                                                                 \
	(128u << 10) /* partition tables, file systems and datastores say so in there              \
		      */

static int make_file(const char *path, uint64_t size, bool force)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (force ? 0 : O_EXCL), 0666);
	int err = fd < 0 ? -errno : filedisk_lock(fd, true);

	if (!err && ftruncate(fd, (off_t)size))
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err == -EEXIST)
		fprintf(stderr, "terndisk: %s exists: leave --size out, or add --force\n", path);
	else if (err)
		cannot_open(path, err);
	return err ? 1 : 0;
}

static bool looks_used(struct filedisk *d)
{
	uint8_t buf[LOOK_BYTES];
	ssize_t n = pread(d->fd, buf, sizeof(buf), 0);

	for (ssize_t i = 0; i < n; i++)
		if (buf[i])
			return true;
	return false;
}

static void fill_options(const struct options *o, struct ds_format_options *f)
{
	*f = (struct ds_format_options){ .nr_slots = o->slots,
					 .table_blocks = o->table_blocks,
					 .beat_ms = o->beat_ms,
					 .lease_ms = o->lease_ms,
					 .io_timeout_ms = o->io_timeout_ms };
	snprintf(f->name, sizeof(f->name), "%s", o->name);
	this_host(&f->host);
}

int cmd_mkfs(struct options *o, int argc, char **argv)
{
	struct ds_format_options f;
	struct filedisk d;
	int err;

	(void)argc;
	if (!o->name || strlen(o->name) >= sizeof(f.name)) {
		fputs("terndisk: mkfs needs --name NAME, of at most 31 characters\n", stderr);
		return 2;
	}
	if (o->size && make_file(argv[0], o->size, o->force))
		return 1;
	if (image_open(&d, argv[0], IMAGE_ALONE))
		return 1;
	if (!o->force && looks_used(&d)) {
		fprintf(stderr, "terndisk: %s is not empty: --force destroys what is there\n",
			argv[0]);
		err = 1;
	} else {
		fill_options(o, &f);
		err = ds_format(&d.dev, &f);
		err = err ? complain(argv[0], "mkfs", err) : 0;
	}
	filedisk_close(&d);
	return err;
}

static void say(struct ds_check *c, const char *text)
{
	(void)c;
	puts(text);
}

int cmd_check(struct options *o, int argc, char **argv)
{
	struct ds_check c = { .repair = o->repair, .say = say };
	struct filedisk d;
	int err;

	(void)argc;
	if (image_open(&d, argv[0], o->repair ? IMAGE_ALONE : IMAGE_READ))
		return 1;
	err = ds_check(&d.dev, &c);
	filedisk_close(&d);
	if (err)
		return complain(argv[0], "check", err);
	printf("%u found, %u mended\n", c.found, c.mended);
	return c.found > c.mended;
}
