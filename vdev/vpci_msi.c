/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci_msi.h. Who changes what a message depends on does so under the root's lock and makes
 * `version` odd meanwhile. Who sends looks at it twice: has nothing changed between and may the
 * message be sent, it goes. Else it is noted as pending and looked at again, for it may have been
 * opened just then; who has changed something looks at all that is pending when he is done. One of
 * the two sees it, and who takes the pending bit away sends. ("PCI Local Bus Specification" 3.0,
 * MSI and MSI-X Capability Structures.)
 */
#include "vdev/vpci_msi.h"

#include "lib/string.h"
#include "vdev/vpci_regs.h"

#define MESSAGE_MASKED	1u
#define MSIX_MAX	2048

_Static_assert(sizeof(struct vpci_message) == 16, "the guest's layout");

int vpci_msi_init(struct vpci_function *f, unsigned count)
{
	unsigned at = vpci_function_capability(f, CAP_MSI, MSI_SIZE);
	unsigned log = bit_highest(count);

	if (!at)
		return -ENOSPC;
	f->msi = (uint16_t)at;
	vpci_regs_set(f->config + at + MSI_CONTROL, 2,
		log << MSI_CAPABLE_SHIFT | MSI_WIDE | MSI_MASKS);
	vpci_regs_set(f->writable + at + MSI_CONTROL, 2, MSI_ENABLE | MSI_COUNT_BITS);
	vpci_regs_set(f->writable + at + MSI_ADDRESS, 8, ~3ul);
	vpci_regs_set(f->writable + at + MSI_DATA, 2, 0xffff);
	vpci_regs_set(f->writable + at + MSI_MASK, 4, BIT(count) - 1);
	return 0;
}

int vpci_msix_init(struct vpci_function *f, unsigned count, unsigned bar, uint32_t table,
	uint32_t pba)
{
	struct vpci_messages *m = &f->messages;
	unsigned at = count && count <= MSIX_MAX ?
		vpci_function_capability(f, CAP_MSIX, MSIX_SIZE) : 0;

	if (!at)
		return -ENOSPC;
	m->entry = host_alloc(count * sizeof(*m->entry));
	m->pending = host_alloc(DIV_UP(count, 64) * 8);
	if (!m->entry || !m->pending)
		return -ENOMEM;
	f->msix = (uint16_t)at;
	m->count = count;
	m->table = table;
	m->pba = pba;
	vpci_regs_set(f->config + at + MSIX_CONTROL, 2, count - 1);
	vpci_regs_set(f->writable + at + MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	vpci_regs_set(f->config + at + MSIX_TABLE, 4, table | bar);
	vpci_regs_set(f->config + at + MSIX_PENDING, 4, pba | bar);
	vpci_msi_reset(f);
	return 0;
}

void vpci_msi_fini(struct vpci_function *f)
{
	host_free(f->messages.entry);
	host_free(f->messages.pending);
}

/* --- one message */

static unsigned msi_control(const struct vpci_function *f)
{
	return (unsigned)vpci_regs_get(f->config + f->msi + MSI_CONTROL, 2);
}

/* How many MSIs the guest allows: a power of two, no more than there are. */
static unsigned msi_allowed(const struct vpci_function *f)
{
	unsigned control = msi_control(f);
	unsigned there = FIELD(control, MSI_CAPABLE_SHIFT + 2, MSI_CAPABLE_SHIFT);
	unsigned wanted = FIELD(control, MSI_COUNT_SHIFT + 2, MSI_COUNT_SHIFT);

	return 1u << MIN(there, wanted);
}

static struct vpci_message msi_message(const struct vpci_function *f, unsigned n)
{
	const uint8_t *c = f->config + f->msi;
	uint32_t data = (uint32_t)vpci_regs_get(c + MSI_DATA, 2);

	return (struct vpci_message){
		.address = vpci_regs_get(c + MSI_ADDRESS, 8),
		.data = (data & ~(msi_allowed(f) - 1)) | n,
		.control = vpci_regs_get(c + MSI_MASK, 4) >> n & 1 ? MESSAGE_MASKED : 0,
	};
}

/* Message `n` as it stands, if it may be sent and nobody is changing it. */
static bool may_send(const struct vpci_function *f, unsigned kind, unsigned n,
	struct vpci_message *out)
{
	uint32_t version = __atomic_load_n(&f->messages.version, __ATOMIC_ACQUIRE);
	bool open = f->messages.open && f->messages.kind == kind;

	*out = kind == VPCI_MSIX ? f->messages.entry[n] : msi_message(f, n);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return open && !(out->control & MESSAGE_MASKED) && !(version & 1) &&
		version == READ_ONCE(f->messages.version);
}

static uint32_t *pending_words(struct vpci_function *f, unsigned kind)
{
	return kind == VPCI_MSIX ? f->messages.pending :
		(uint32_t *)(void *)(f->config + f->msi + MSI_PENDING);
}

static bool pending_take(struct vpci_function *f, unsigned kind, unsigned n)
{
	uint32_t bit = 1u << n % 32;

	return __atomic_fetch_and(pending_words(f, kind) + n / 32, ~bit, __ATOMIC_SEQ_CST) & bit;
}

static void send(const struct vpci_function *f, const struct vpci_message *m)
{
	host_msi(f->owner, m->address, m->data);
}

bool vpci_msi_send(struct vpci_function *f, unsigned n)
{
	unsigned kind = READ_ONCE(f->messages.kind);
	struct vpci_message m;

	if (kind == VPCI_PIN)
		return false;
	if (kind == VPCI_MSI)
		n &= msi_allowed(f) - 1;
	else if (n >= f->messages.count)
		return true;
	if (may_send(f, kind, n, &m)) {
		send(f, &m);
		return true;
	}
	__atomic_fetch_or(pending_words(f, kind) + n / 32, 1u << n % 32, __ATOMIC_SEQ_CST);
	if (may_send(f, kind, n, &m) && pending_take(f, kind, n))
		send(f, &m);
	return true;
}

/* --- changes */

void vpci_msi_begin(struct vpci_function *f)
{
	__atomic_add_fetch(&f->messages.version, 1, __ATOMIC_SEQ_CST);
}

static unsigned message_count(const struct vpci_function *f, unsigned kind)
{
	return kind == VPCI_MSIX ? f->messages.count : kind == VPCI_MSI ? msi_allowed(f) : 0;
}

void vpci_msi_end(struct vpci_function *f)
{
	unsigned kind = f->messages.kind, count = message_count(f, kind);
	struct vpci_message m;

	__atomic_add_fetch(&f->messages.version, 1, __ATOMIC_SEQ_CST);
	for (unsigned n = 0; f->messages.open && n < count; n++) {
		if (!READ_ONCE(pending_words(f, kind)[n / 32]))
			n |= 31;
		else if (READ_ONCE(pending_words(f, kind)[n / 32]) >> n % 32 & 1 &&
			 may_send(f, kind, n, &m) && pending_take(f, kind, n))
			send(f, &m);
	}
}

static void pending_clear(struct vpci_function *f)
{
	if (f->msi)
		memset(f->config + f->msi + MSI_PENDING, 0, 4);
	if (f->msix)
		memset(f->messages.pending, 0, DIV_UP(f->messages.count, 64) * 8);
}

static unsigned msix_control(const struct vpci_function *f)
{
	return f->msix ? (unsigned)vpci_regs_get(f->config + f->msix + MSIX_CONTROL, 2) : 0;
}

/* Where both are enabled it is MSI-X. */
static enum vpci_interrupt enabled_kind(const struct vpci_function *f)
{
	if (msix_control(f) & MSIX_ENABLE)
		return VPCI_MSIX;
	return f->msi && msi_control(f) & MSI_ENABLE ? VPCI_MSI : VPCI_PIN;
}

/* What waited for another kind is forgotten. */
void vpci_msi_derive(struct vpci_function *f)
{
	enum vpci_interrupt kind = enabled_kind(f);
	bool masked = kind == VPCI_MSIX && msix_control(f) & MSIX_FUNCTION_MASK;

	if (kind != f->messages.kind)
		pending_clear(f);
	WRITE_ONCE(f->messages.kind, (uint8_t)kind);
	WRITE_ONCE(f->messages.open, f->master && kind != VPCI_PIN && !masked);
}

void vpci_msi_reset(struct vpci_function *f)
{
	for (unsigned n = 0; n < f->messages.count; n++)
		f->messages.entry[n] = (struct vpci_message){ .control = MESSAGE_MASKED };
	pending_clear(f);
}

/* --- MSI-X's table and pending bits */

uint64_t vpci_msix_read(struct vpci_function *f, uint64_t offset, unsigned size)
{
	const struct vpci_messages *m = &f->messages;
	uint64_t flags = host_lock(f->root), v = 0;

	if (range_within(offset, size, m->table, m->count * sizeof(*m->entry)))
		v = vpci_regs_get((const uint8_t *)m->entry + (offset - m->table), size);
	else if (range_within(offset, size, m->pba, DIV_UP(m->count, 64) * 8))
		v = vpci_regs_get((const uint8_t *)m->pending + (offset - m->pba), size);
	host_unlock(f->root, flags);
	return v;
}

/* Whole dwords and qwords alone, as the manual wants them written. */
void vpci_msix_write(struct vpci_function *f, uint64_t offset, unsigned size, uint64_t value)
{
	struct vpci_messages *m = &f->messages;
	uint64_t at = offset - m->table, flags;
	struct vpci_message *e;

	if (size < 4 || !IS_ALIGNED(at, size) ||
	    !range_within(offset, size, m->table, m->count * sizeof(*m->entry)))
		return;
	flags = host_lock(f->root);
	vpci_msi_begin(f);
	vpci_regs_set((uint8_t *)m->entry + at, size, value);
	e = &m->entry[at / sizeof(*e)];
	e->address &= ~3ul;
	e->control &= MESSAGE_MASKED;
	vpci_msi_end(f);
	host_unlock(f->root, flags);
}

/* --- saved form: entries, then the pending bits, which are in the registers of MSI */

void vpci_msi_save(const struct vpci_function *f, struct record_writer *w)
{
	const struct vpci_messages *m = &f->messages;

	if (!m->count)
		return;
	record_put(w, m->entry, m->count * sizeof(*m->entry));
	record_put(w, m->pending, DIV_UP(m->count, 64) * 8);
}

const uint8_t *vpci_msi_read(const struct vpci_function *f, struct record_reader *r)
{
	const uint8_t *from = r->buf + r->at;
	unsigned count = f->messages.count;

	for (unsigned n = 0; n < count; n++) {
		uint64_t address = record_get_u64(r), rest = record_get_u64(r);

		if (address & 3 || rest >> 32 & ~(uint64_t)MESSAGE_MASKED)
			r->error = -EINVAL;
	}
	for (unsigned n = 0; n < count; n += 64) {
		uint64_t pending = record_get_u64(r);

		if (count - n < 64 && pending >> (count - n))
			r->error = -EINVAL;
	}
	return from;
}

void vpci_msi_commit(struct vpci_function *f, const uint8_t *from)
{
	struct vpci_messages *m = &f->messages;
	size_t entries = m->count * sizeof(*m->entry);

	WRITE_ONCE(m->kind, (uint8_t)enabled_kind(f));	/* its pending bits are those that come */
	if (!m->count)
		return;
	memcpy(m->entry, from, entries);
	memcpy(m->pending, from + entries, DIV_UP(m->count, 64) * 8);
}
