/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of a vpci_function: MSI and MSI-X with a mask and a pending bit for each. A message that
 * may not be sent now (masked, no bus master) waits in its pending bit and is sent when it may.
 * Whoever sends takes no lock: any context, the owner's lock held or not.
 */
#pragma once

#include "vdev/vpci_function.h"

/* Up to 32 messages, a power of two; before the function is attached. -ENOSPC. */
int vpci_msi_init(struct vpci_function *f, unsigned count) must_check;
/*
 * Up to 2,048 messages, whose table and pending bits lie at these offsets of that BAR, multiples of
 * 8 that do not overlap: its owner hands accesses on. -ENOSPC, -ENOMEM.
 */
int vpci_msix_init(struct vpci_function *f, unsigned count, unsigned bar, uint32_t table,
	uint32_t pba) must_check;
uint64_t vpci_msix_read(struct vpci_function *f, uint64_t offset, unsigned size);
void vpci_msix_write(struct vpci_function *f, uint64_t offset, unsigned size, uint64_t value);

/*
 * Sends message `n`; of MSI, where the guest may have allowed fewer, one of those. False: the guest
 * has enabled neither, and the pin it is (vpci_function_pin_set).
 */
bool vpci_msi_send(struct vpci_function *f, unsigned n);
/* Has the guest enabled MSI or MSI-X? */
static inline bool vpci_msi_enabled(const struct vpci_function *f)
{
	return READ_ONCE(f->messages.kind) != VPCI_PIN;
}

/* --- for vpci_function.c, under the root's lock */
void vpci_msi_begin(struct vpci_function *f);	/* what is between these two is atomic */
void vpci_msi_end(struct vpci_function *f);	/* for who sends; sends what waited */
void vpci_msi_derive(struct vpci_function *f);	/* from registers and `master`; between */
void vpci_msi_reset(struct vpci_function *f);	/* between */
void vpci_msi_save(const struct vpci_function *f, struct record_writer *w);
const uint8_t *vpci_msi_read(const struct vpci_function *f, struct record_reader *r);
void vpci_msi_commit(struct vpci_function *f, const uint8_t *from);	/* between */
void vpci_msi_fini(struct vpci_function *f);
