/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader's own parts. Every function prints its own error, naming what failed. */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include <efi.h>
#include <efilib.h>

#include "boot/common/load.h"

#define EFI_PAGES(bytes) ((UINTN)(((bytes) + PAGE_MASK) >> PAGE_SHIFT))

/* Prints "tern: error: WHAT: status" and returns the status. */
EFI_STATUS loader_error(const CHAR16 *what, EFI_STATUS status);

/* file.c */
EFI_STATUS volume_open(EFI_HANDLE image, EFI_FILE_HANDLE *root);
EFI_STATUS file_read(EFI_FILE_HANDLE root, const CHAR16 *path, struct blob *out);
EFI_STATUS files_read_boot(EFI_FILE_HANDLE root, struct bootinfo *bi);

#endif
