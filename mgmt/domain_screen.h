/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain's guest shows on its screen: as it is now, row by row, or as a picture. Thread
 * context; each call takes the domain's mutex for a row, so what is drawn or set meanwhile tears
 * what is seen, and no more. 0, or -Exxx with a message: -ENODEV: it has no screen; -EPERM, -EBUSY:
 * no vm that could show anything.
 */
#pragma once

#include "mgmt/domain.h"
#include "vmm/vm_screen.h"

int domain_screen_mode(struct domain *d, struct vvga_mode *out, struct mgmt_error *err) must_check;
/* `columns` cells, as vvga_text_row() has them; those behind are 0. */
int domain_screen_row(struct domain *d, unsigned row, uint16_t cells[VVGA_COLUMNS_MAX],
		      struct mgmt_error *err) must_check;
/*
 * A PNG of it, in pieces of a few KiB to `put`, which may take its time and wants no more when it
 * returns -Exxx. -EAGAIN: the guest has set no mode yet.
 */
typedef int domain_put_t(void *arg, const void *data, size_t n);
int domain_screenshot(struct domain *d, domain_put_t *put, void *arg,
		      struct mgmt_error *err) must_check;
