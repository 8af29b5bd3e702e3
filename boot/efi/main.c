/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * BOOTX64.EFI: loads Tern from the volume that it was itself started from.
 *
 *   \tern.conf        settings (may be absent)
 *   \tern\kernel.elf  the kernel
 *   \boot\*           files for guests, kept in memory
 *
 * It ends boot services and enters the kernel with rdi = struct bootinfo, with
 * provisional page tables (paging.c). Any failure before that is printed and
 * leaves the machine to the firmware.
 */
#include "boot/common/memmap.h"
#include "loader.h"

#define MAP_BYTES (128ull << 10) /* firmware's map; it grows while we allocate */
#define CR4_LA57 BIT(12)
#define ERROR_SHOWN_US 5000000u

struct efi_map {
	uint8_t *buf;
	UINTN size, key, desc_size;
};

uint64_t loader_alloc(uint64_t bytes)
{
	EFI_PHYSICAL_ADDRESS a = 0;
	EFI_STATUS s = uefi_call_wrapper(BS->AllocatePages, 4, AllocateAnyPages, EfiLoaderData,
					 EFI_PAGES(bytes), &a);

	if (EFI_ERROR(s))
		return 0;
	uefi_call_wrapper(BS->SetMem, 3, (void *)a, (UINTN)(EFI_PAGES(bytes) << PAGE_SHIFT),
			  (UINT8)0);
	return a;
}

void loader_copy(uint64_t to, uint64_t from, uint64_t bytes)
{
	CopyMem((void *)to, (void *)from, (UINTN)bytes);
}

EFI_STATUS loader_error(const CHAR16 *what, EFI_STATUS status)
{
	Print(L"tern: error: %s: %r\n", what, status);
	return status;
}

static uint64_t read_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t find_rsdp(EFI_SYSTEM_TABLE *st)
{
	EFI_GUID v2 = ACPI_20_TABLE_GUID, v1 = ACPI_TABLE_GUID;
	uint64_t found = 0;

	for (UINTN i = 0; i < st->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *t = &st->ConfigurationTable[i];

		if (CompareGuid(&t->VendorGuid, &v2) == 0)
			return (uint64_t)t->VendorTable;
		if (CompareGuid(&t->VendorGuid, &v1) == 0)
			found = (uint64_t)t->VendorTable;
	}
	return found;
}

static void find_framebuffer(struct boot_fb *fb)
{
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop;
	EFI_STATUS s = uefi_call_wrapper(BS->LocateProtocol, 3, &GraphicsOutputProtocol, NULL,
					 (void **)&gop);

	if (EFI_ERROR(s) || !gop->Mode || !gop->Mode->Info)
		return;
	EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m = gop->Mode->Info;

	if (m->PixelFormat != PixelRedGreenBlueReserved8BitPerColor &&
	    m->PixelFormat != PixelBlueGreenRedReserved8BitPerColor)
		return;
	fb->start = gop->Mode->FrameBufferBase;
	fb->width = m->HorizontalResolution;
	fb->height = m->VerticalResolution;
	fb->stride_bytes = m->PixelsPerScanLine * 4;
	fb->bits_per_pixel = 32;
}

static EFI_STATUS load_files(EFI_HANDLE image, struct bootinfo *bi, struct kernel_image *k)
{
	EFI_FILE_HANDLE root;
	struct blob elf, conf;
	EFI_STATUS s = volume_open(image, &root);

	if (EFI_ERROR(s))
		return s;
	s = file_read(root, L"\\tern.conf", &conf);
	if (EFI_ERROR(s) && s != EFI_NOT_FOUND)
		return loader_error(L"reading \\tern.conf", s);
	if (!EFI_ERROR(s)) {
		bi->config_start = conf.start;
		bi->config_size = conf.size;
	}
	s = file_read(root, L"\\tern\\kernel.elf", &elf);
	if (EFI_ERROR(s))
		return loader_error(L"reading \\tern\\kernel.elf", s);
	switch (elf_load(&elf, k)) {
	case ELF_BAD:
		return loader_error(L"\\tern\\kernel.elf is no Tern kernel", EFI_LOAD_ERROR);
	case ELF_NO_MEMORY:
		return loader_error(L"memory for the kernel", EFI_OUT_OF_RESOURCES);
	case ELF_LOADED:
		break;
	}
	bi->kernel_start = k->mem.start;
	bi->kernel_size = k->mem.size;
	return files_read_boot(root, bi);
}

static EFI_STATUS get_map(struct efi_map *m)
{
	UINT32 version;

	m->size = MAP_BYTES;
	return uefi_call_wrapper(BS->GetMemoryMap, 5, &m->size, (EFI_MEMORY_DESCRIPTOR *)m->buf,
				 &m->key, &m->desc_size, &version);
}

static const EFI_MEMORY_DESCRIPTOR *map_at(const struct efi_map *m, UINTN i)
{
	return (const void *)(m->buf + i * m->desc_size);
}

static enum boot_mem_type mem_type(const EFI_MEMORY_DESCRIPTOR *d)
{
	switch (d->Type) {
	case EfiConventionalMemory:
	case EfiBootServicesCode:
	case EfiBootServicesData:
		return d->Attribute & EFI_MEMORY_WB ? BOOT_MEM_FREE : BOOT_MEM_RESERVED;
	case EfiLoaderCode:
	case EfiLoaderData:
		return BOOT_MEM_LOADER;
	case EfiACPIReclaimMemory:
	case EfiACPIMemoryNVS:
		return BOOT_MEM_ACPI;
	default:
		return BOOT_MEM_RESERVED;
	}
}

/* End of the highest range that the kernel may touch before it has its own page tables. */
static uint64_t ram_top(const struct efi_map *m)
{
	uint64_t top = 0;

	for (UINTN i = 0; i < m->size / m->desc_size; i++) {
		const EFI_MEMORY_DESCRIPTOR *d = map_at(m, i);

		if (mem_type(d) != BOOT_MEM_RESERVED)
			top = MAX(top, d->PhysicalStart + (d->NumberOfPages << PAGE_SHIFT));
	}
	return top;
}

/* Firmware's map, the safer type painted later; then what lies in the loader's memory. */
static void fill_memory(struct bootinfo *bi, const struct efi_map *m)
{
	static const enum boot_mem_type order[] = { BOOT_MEM_FREE, BOOT_MEM_LOADER, BOOT_MEM_ACPI,
						    BOOT_MEM_RESERVED };

	for (unsigned pass = 0; pass < ARRAY_SIZE(order); pass++)
		for (UINTN i = 0; i < m->size / m->desc_size; i++) {
			const EFI_MEMORY_DESCRIPTOR *d = map_at(m, i);

			if (mem_type(d) == order[pass])
				memmap_set(bi, d->PhysicalStart, d->NumberOfPages << PAGE_SHIFT,
					   order[pass]);
		}
	memmap_set(bi, 0, PAGE_SIZE, BOOT_MEM_RESERVED);
	memmap_set(bi, bi->kernel_start, bi->kernel_size, BOOT_MEM_KERNEL);
	if (bi->config_start)
		memmap_set(bi, bi->config_start, MAX(bi->config_size, 1ull), BOOT_MEM_FILE);
	for (uint32_t i = 0; i < bi->file_count; i++)
		memmap_set(bi, bi->files[i].start, MAX(bi->files[i].size, 1ull), BOOT_MEM_FILE);
}

/* The map's key is stale when a firmware timer allocated in between: take the map again. */
static EFI_STATUS leave_boot_services(EFI_HANDLE image, struct efi_map *m)
{
	EFI_STATUS s = EFI_INVALID_PARAMETER;

	for (int tries = 0; tries < 8 && s == EFI_INVALID_PARAMETER; tries++) {
		s = get_map(m);
		if (EFI_ERROR(s))
			return s;
		s = uefi_call_wrapper(BS->ExitBootServices, 2, image, m->key);
	}
	return s;
}

static EFI_STATUS load(EFI_HANDLE image, EFI_SYSTEM_TABLE *st, uint64_t tsc)
{
	struct bootinfo *bi = (struct bootinfo *)loader_alloc(sizeof(*bi));
	struct efi_map map = { .buf = (uint8_t *)loader_alloc(MAP_BYTES) };
	struct kernel_image k;
	uint64_t cr4;

	__asm__("movq %%cr4, %0" : "=r"(cr4));
	if (cr4 & CR4_LA57)
		return loader_error(L"firmware runs with 5-level paging", EFI_UNSUPPORTED);
	if (!bi || !map.buf)
		return loader_error(L"memory for the boot information", EFI_OUT_OF_RESOURCES);
	bi->magic = BOOTINFO_MAGIC;
	bi->loader_tsc = tsc;
	bi->rsdp = find_rsdp(st);
	find_framebuffer(&bi->fb);
	EFI_STATUS s = load_files(image, bi, &k);

	if (EFI_ERROR(s))
		return s;
	s = get_map(&map);
	if (EFI_ERROR(s))
		return loader_error(L"memory map", s);
	uint64_t cr3 = paging_build(ram_top(&map), &k);

	if (cr3 == 0)
		return loader_error(L"memory for page tables", EFI_OUT_OF_RESOURCES);
	s = leave_boot_services(image, &map);
	if (EFI_ERROR(s))
		return loader_error(L"leaving boot services", s);
	fill_memory(bi, &map);
	enter_kernel(cr3, k.entry, bi);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	uint64_t tsc = read_tsc();

	InitializeLib(image, st);
	Print(L"tern: loading\n");
	EFI_STATUS s = load(image, st, tsc);

	Print(L"tern: Tern was not started\n");
	uefi_call_wrapper(BS->Stall, 1, (UINTN)ERROR_SHOWN_US);
	return s;
}
