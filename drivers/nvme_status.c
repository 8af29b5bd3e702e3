/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the status of a completion means: an error of the block face, whether
 * another try may help, and words for the log.
 * [NVMe 1.4 4.6.1 "Status Field Definition"]
 */
#include <errno.h>

#include "drivers/nvme.h"

#define TYPE(status) ((status) >> 8 & 7u)
#define TYPE_MEDIA 2u
#define TYPE_PATH 3u

static const struct {
	uint16_t code;
	int error;
	const char *text;
} known[] = {
	{ NVME_SC_INVALID_OPCODE, -ENOTSUP, "not a command of this controller" },
	{ NVME_SC_ABORTED, -ETIMEDOUT, "aborted without an answer" },
	{ NVME_SC_INVALID_NS, -ENODEV, "the namespace is gone" },
	{ NVME_SC_WRITE_PROTECTED, -EROFS, "write-protected" },
	{ NVME_SC_LBA_RANGE, -EINVAL, "past the end" },
	{ NVME_SC_READ_ONLY_RANGE, -EROFS, "write to a range that is only read" },
	{ NVME_SC_WRITE_FAULT, -EIO, "write fault" },
	{ NVME_SC_UNRECOVERED_READ, -EIO, "data cannot be corrected" },
};

int nvme_status_error(uint16_t status)
{
	uint16_t code = status & NVME_STATUS_CODE;

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].code == code)
			return known[i].error;
	return code ? -EIO : 0;
}

bool nvme_status_retry(uint16_t status)
{
	return !(status & NVME_STATUS_DNR);
}

const char *nvme_status_text(uint16_t status)
{
	uint16_t code = status & NVME_STATUS_CODE;

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].code == code)
			return known[i].text;
	if (TYPE(status) == TYPE_MEDIA)
		return "error of the medium";
	return TYPE(status) == TYPE_PATH ? "error of the path" : "error of the controller";
}
