/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of the volume that the loader was started from: single files, and all
 * of \boot\. Each goes to pages of its own, read in large pieces, because some
 * firmware is slow with small ones and some fails with very large ones.
 */
#include "loader.h"

#define READ_PIECE (16ull << 20)
#define INFO_BYTES (SIZE_OF_EFI_FILE_INFO + 512)

EFI_STATUS volume_open(EFI_HANDLE image, EFI_FILE_HANDLE *root)
{
	EFI_LOADED_IMAGE *self;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *fs;
	EFI_STATUS s;

	s = uefi_call_wrapper(BS->HandleProtocol, 3, image, &LoadedImageProtocol, (void **)&self);
	if (EFI_ERROR(s))
		return loader_error(L"own image's handle", s);
	s = uefi_call_wrapper(BS->HandleProtocol, 3, self->DeviceHandle, &FileSystemProtocol,
			      (void **)&fs);
	if (EFI_ERROR(s))
		return loader_error(L"file system of the boot volume", s);
	s = uefi_call_wrapper(fs->OpenVolume, 2, fs, root);
	if (EFI_ERROR(s))
		return loader_error(L"opening the boot volume", s);
	return EFI_SUCCESS;
}

static EFI_STATUS file_size(EFI_FILE_HANDLE f, uint64_t *size)
{
	uint64_t buf[(INFO_BYTES + 7) / 8];
	EFI_FILE_INFO *info = (void *)buf;
	UINTN len = sizeof(buf);
	EFI_STATUS s = uefi_call_wrapper(f->GetInfo, 4, f, &GenericFileInfo, &len, info);

	if (!EFI_ERROR(s))
		*size = info->FileSize;
	return s;
}

static EFI_STATUS read_all(EFI_FILE_HANDLE f, const struct blob *b)
{
	uint64_t done = 0;

	while (done < b->size) {
		UINTN n = (UINTN)MIN(b->size - done, READ_PIECE);
		EFI_STATUS s = uefi_call_wrapper(f->Read, 3, f, &n, (void *)(b->start + done));

		if (EFI_ERROR(s))
			return s;
		if (n == 0)
			return EFI_END_OF_FILE;
		done += n;
	}
	return EFI_SUCCESS;
}

EFI_STATUS file_read(EFI_FILE_HANDLE root, const CHAR16 *path, struct blob *out)
{
	EFI_FILE_HANDLE f;
	EFI_STATUS s = uefi_call_wrapper(root->Open, 5, root, &f, (CHAR16 *)path,
					 (UINT64)EFI_FILE_MODE_READ, (UINT64)0);

	if (EFI_ERROR(s))
		return s;
	s = file_size(f, &out->size);
	if (EFI_ERROR(s))
		goto close;
	out->start = loader_alloc(MAX(out->size, 1ull));
	if (out->start == 0) {
		s = EFI_OUT_OF_RESOURCES;
		goto close;
	}
	s = read_all(f, out);
close:
	uefi_call_wrapper(f->Close, 1, f);
	return s;
}

/* "/boot/NAME" in ASCII; false when it does not fit or has other characters. */
static bool boot_name(const CHAR16 *name, char *out)
{
	static const char prefix[] = "/boot/";
	unsigned n = sizeof(prefix) - 1;

	for (unsigned i = 0; i < n; i++)
		out[i] = prefix[i];
	for (; *name; name++) {
		if (n == BOOT_NAME_MAX - 1 || *name <= ' ' || *name > '~')
			return false;
		out[n++] = (char)*name;
	}
	out[n] = 0;
	return true;
}

static EFI_STATUS read_entry(EFI_FILE_HANDLE dir, const EFI_FILE_INFO *info, struct bootinfo *bi)
{
	struct boot_file *bf = &bi->files[bi->file_count];
	struct blob b;

	if (info->Attribute & EFI_FILE_DIRECTORY)
		return EFI_SUCCESS;
	if (bi->file_count == BOOT_MAX_FILES) {
		Print(L"tern: warning: more than %d files in \\boot, %s left out\n", BOOT_MAX_FILES,
		      info->FileName);
		return EFI_SUCCESS;
	}
	if (!boot_name(info->FileName, bf->name)) {
		Print(L"tern: warning: \\boot\\%s left out: its name is too long or not ASCII\n",
		      info->FileName);
		return EFI_SUCCESS;
	}
	EFI_STATUS s = file_read(dir, info->FileName, &b);

	if (EFI_ERROR(s)) {
		Print(L"tern: reading \\boot\\%s\n", info->FileName);
		return s;
	}
	bf->start = b.start;
	bf->size = b.size;
	bi->file_count++;
	return EFI_SUCCESS;
}

EFI_STATUS files_read_boot(EFI_FILE_HANDLE root, struct bootinfo *bi)
{
	uint64_t buf[(INFO_BYTES + 7) / 8];
	EFI_FILE_HANDLE dir;
	EFI_STATUS s = uefi_call_wrapper(root->Open, 5, root, &dir, (CHAR16 *)L"\\boot",
					 (UINT64)EFI_FILE_MODE_READ, (UINT64)0);

	if (s == EFI_NOT_FOUND)
		return EFI_SUCCESS;
	if (EFI_ERROR(s))
		return loader_error(L"opening \\boot", s);
	for (;;) {
		UINTN len = sizeof(buf);

		s = uefi_call_wrapper(dir->Read, 3, dir, &len, buf);
		if (EFI_ERROR(s) || len == 0)
			break;
		s = read_entry(dir, (const EFI_FILE_INFO *)buf, bi);
		if (EFI_ERROR(s))
			break;
	}
	uefi_call_wrapper(dir->Close, 1, dir);
	if (EFI_ERROR(s))
		return loader_error(L"reading the files in \\boot", s);
	return EFI_SUCCESS;
}
