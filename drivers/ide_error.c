/* SPDX-License-Identifier: BSD-2-Clause */
/* What a drive says of a command that failed, on IDE and AHCI alike. Pure code. [ATA8-ACS 6
 * "Register delivered data"] */
#include "drivers/ide.h"

const char *ide_error_text(uint8_t status, uint8_t error)
{
	if (status & IDE_STATUS_DF)
		return "drive fault";
	if (error & IDE_ERROR_ICRC)
		return "damaged on the cable";
	if (error & IDE_ERROR_UNC)
		return "data cannot be corrected";
	if (error & IDE_ERROR_IDNF)
		return "block not found";
	return error & IDE_ERROR_ABRT ? "command aborted" : "error without a cause";
}
