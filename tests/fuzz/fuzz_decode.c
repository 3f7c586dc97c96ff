/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/decode.c */
/*
 * Any bytes as an instruction: the length stays within what was given; fewer bytes are incomplete,
 * more change nothing.
 */
#include "vmm/insn/decode.h"

#include <stdlib.h>
#include <string.h>

#include "include/errno.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned modes[] = { 16, 32, 64 };
	struct insn a, b;

	for (unsigned m = 0; m < 3; m++) {
		int err = decode(data, size, modes[m], &a);

		if (err && err != -EAGAIN && err != -EINVAL && err != -E2BIG)
			abort();
		if (err == -EAGAIN && size >= INSN_MAX)
			abort();
		if (err)
			continue;
		if (!a.length || a.length > INSN_MAX || a.length > size || a.imm_size > 8)
			abort();
		for (unsigned n = 0; n < a.length; n++)
			if (decode(data, n, modes[m], &b) == 0)
				abort();
		if (decode(data, a.length, modes[m], &b) || memcmp(&a, &b, sizeof(a)))
			abort();
	}
	return 0;
}
