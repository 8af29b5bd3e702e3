/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The multiboot2 way in, for machines and emulators with a BIOS and GRUB:
 *
 *   multiboot2 /boot/tern.mb2
 *   module2 --nounzip /tern/kernel.elf kernel.elf
 *   module2 --nounzip /tern.conf tern.conf
 *   module2 --nounzip /boot/NAME /boot/NAME      ... files for guests
 *
 * GRUB loads this loader and the modules; it does what boot/efi does from
 * there on. Errors go to COM1, with which GRUB, too, speaks in such set-ups.
 */
#include "mb2.h"

#define COM1 0x3f8
#define LSR_EMPTY 0x20u

static void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static void print(const char *s)
{
	for (; *s; s++) {
		for (int i = 0; i < 100000 && !(in8(COM1 + 5) & LSR_EMPTY); i++)
			;
		out8(COM1, (uint8_t)*s);
	}
}

void mb2_fail(const char *what)
{
	print("tern: error: ");
	print(what);
	print("\r\ntern: Tern was not started\r\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

const struct mb2_tag *mb2_first(uint64_t info)
{
	const struct mb2_tag *t = (const void *)(info + 8);

	return t->type == MB2_END ? NULL : t;
}

const struct mb2_tag *mb2_next(const struct mb2_tag *t)
{
	return mb2_first((uint64_t)t + ALIGN_UP((uint64_t)t->size, 8ull) - 8);
}

static bool same(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

static void add_file(struct bootinfo *bi, const struct mb2_module *m)
{
	struct boot_file *f = &bi->files[bi->file_count];
	unsigned n = 0;

	if (bi->file_count == BOOT_MAX_FILES)
		mb2_fail("more modules than there is room for");
	while (m->cmdline[n] && n < BOOT_NAME_MAX - 1) {
		f->name[n] = m->cmdline[n];
		n++;
	}
	if (m->cmdline[n])
		mb2_fail("a module's name is too long");
	f->start = m->start;
	f->size = m->end - m->start;
	bi->file_count++;
}

static void take_module(struct bootinfo *bi, const struct mb2_module *m, struct blob *kernel)
{
	if (same(m->cmdline, "kernel.elf")) {
		kernel->start = m->start;
		kernel->size = m->end - m->start;
	} else if (same(m->cmdline, "tern.conf")) {
		bi->config_start = m->start;
		bi->config_size = m->end - m->start;
	} else {
		add_file(bi, m);
	}
}

static void take_framebuffer(struct bootinfo *bi, const struct mb2_framebuffer *f)
{
	if (f->type != MB2_FB_RGB || f->bpp != 32)
		return;
	bi->fb = (struct boot_fb){ .start = f->addr,
				   .width = f->width,
				   .height = f->height,
				   .stride_bytes = f->pitch,
				   .bits_per_pixel = f->bpp };
}

static void take_tags(uint64_t info, struct bootinfo *bi, struct blob *kernel)
{
	for (const struct mb2_tag *t = mb2_first(info); t; t = mb2_next(t)) {
		switch (t->type) {
		case MB2_MODULE:
			take_module(bi, (const void *)t, kernel);
			break;
		case MB2_FRAMEBUFFER:
			take_framebuffer(bi, (const void *)t);
			break;
		case MB2_RSDP_V1:
			if (!bi->rsdp)
				bi->rsdp = (uint64_t)(t + 1);
			break;
		case MB2_RSDP_V2:
			bi->rsdp = (uint64_t)(t + 1);
			break;
		default:
			break;
		}
	}
}

static uint64_t read_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

void mb2_main(uint32_t magic, uint64_t info) __attribute__((noreturn));

void mb2_main(uint32_t magic, uint64_t info)
{
	uint64_t tsc = read_tsc(), cr3;
	struct blob kernel = { 0 };
	struct kernel_image k;
	struct bootinfo *bi;

	print("tern: loading\r\n");
	if (magic != MB2_BOOT_MAGIC)
		mb2_fail("not started by a multiboot2 loader");
	mem_init(info);
	bi = (struct bootinfo *)loader_alloc(sizeof(*bi));
	if (!bi)
		mb2_fail("no memory for the boot information");
	bi->magic = BOOTINFO_MAGIC;
	bi->loader_tsc = tsc;
	take_tags(info, bi, &kernel);
	if (!kernel.start)
		mb2_fail("no module is named kernel.elf");
	switch (elf_load(&kernel, &k)) {
	case ELF_BAD:
		mb2_fail("module kernel.elf is no Tern kernel");
	case ELF_NO_MEMORY:
		mb2_fail("no memory for the kernel");
	case ELF_LOADED:
		break;
	}
	bi->kernel_start = k.mem.start;
	bi->kernel_size = k.mem.size;
	cr3 = paging_build(mem_top(info), &k);
	if (!cr3)
		mb2_fail("no memory for page tables");
	mem_fill(info, bi);
	enter_kernel(cr3, k.entry, bi);
}
