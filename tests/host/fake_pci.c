/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI functions in memory; see fake_pci.h.
 */
#include "tests/host/fake_pci.h"

#include <string.h>

#include "cpu/features.h"
#include "cpu/lapic.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/thread.h"
#include "mm/kmap.h"

struct fake_pci fake_pci[FAKE_PCI_MAX];
unsigned fake_pci_count, fake_pci_mapped;
uint8_t fake_pci_window[1 << 16];
uint64_t fake_pci_window_at, fake_pci_slept_ns;
uint32_t fake_pci_apic_id[4];
struct irq *fake_pci_irq;
int fake_pci_alloc_error;
struct features features;

void fake_pci_reset(void)
{
	memset(fake_pci, 0, sizeof(fake_pci));
	memset(fake_pci_window, 0, sizeof(fake_pci_window));
	fake_pci_count = fake_pci_mapped = 0;
	fake_pci_slept_ns = 0;
	fake_pci_irq = NULL;
	fake_pci_alloc_error = 0;
	features.physical_bits = 40;
	for (uint32_t i = 0; i < ARRAY_COUNT(fake_pci_apic_id); i++)
		fake_pci_apic_id[i] = 16 * i;
}

void fake_pci_put(struct fake_pci *f, unsigned reg, unsigned size, uint32_t v)
{
	memcpy(f->space + reg, &v, size);
}

uint32_t fake_pci_get(const struct fake_pci *f, unsigned reg, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, f->space + reg, size);
	return v;
}

struct fake_pci *fake_pci_add(uint32_t id, uint32_t class, uint8_t header)
{
	struct fake_pci *f = &fake_pci[fake_pci_count];

	f->device = (struct pci_device){
		.device = (uint8_t)fake_pci_count, .vendor_id = (uint16_t)id,
		.device_id = (uint16_t)(id >> 16), .class = class, .header_type = header,
	};
	fake_pci_put(f, 0, 4, id);
	fake_pci_put(f, 0x0e, 1, header);
	fake_pci_count++;
	return f;
}

static struct fake_pci *of(const struct pci_device *d)
{
	for (unsigned i = 0; i < FAKE_PCI_MAX; i++)
		if (d == &fake_pci[i].device)
			return &fake_pci[i];
	return NULL;
}

struct pci_device *pci_get(unsigned index)
{
	return index < fake_pci_count ? &fake_pci[index].device : NULL;
}

uint32_t pci_read(const struct pci_device *d, unsigned reg, unsigned size)
{
	const struct fake_pci *f = of(d);

	if (reg > sizeof(f->space) - size || f->gone)
		return (uint32_t)bytes_mask(size);
	return fake_pci_get(f, reg, size);
}

/* The command register, BARs and the interrupt line are gone, as after power-on. */
static void reset(struct fake_pci *f)
{
	f->resets++;
	memset(f->space + 4, 0, 2);
	for (unsigned i = 0; i < PCI_BAR_MAX; i++)
		fake_pci_put(f, 0x10 + 4 * i, 4,
			     fake_pci_get(f, 0x10 + 4 * i, 4) & ~f->bar_writable[i]);
	f->space[PCI_IRQ_LINE] = 0;
}

void pci_write(const struct pci_device *d, unsigned reg, unsigned size, uint32_t v)
{
	struct fake_pci *f = of(d);
	unsigned bar = (reg - 0x10) / 4;

	f->writes++;
	if (reg > sizeof(f->space) - size || f->gone)
		return;
	if (reg >= 0x10 && bar < PCI_BAR_MAX) {
		uint32_t mask = f->bar_writable[bar], old = fake_pci_get(f, reg, 4);

		v = v == ~0u && f->bar_lie ? f->bar_lie : (old & ~mask) | (v & mask);
		f->decoding_while_sized |= v != old && f->space[4] & 3;
	}
	fake_pci_put(f, reg, size, v);
	if (f->reset_control && reg == f->reset_control && v & f->reset_bit)
		reset(f);
}

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	if (c != CACHE_UC || size > sizeof(fake_pci_window))
		return NULL;
	fake_pci_mapped++;
	fake_pci_window_at = a.v;
	return fake_pci_window;
}

void kmap_io_unmap(void *va, uint64_t size)
{
	(void)va;
	(void)size;
	fake_pci_mapped--;
}

void thread_sleep_ns(uint64_t ns)
{
	fake_pci_slept_ns += ns;
}

uint32_t lapic_id_of(unsigned cpu)
{
	return fake_pci_apic_id[cpu];
}

int irq_alloc(struct irq *irq, unsigned cpu)
{
	if (fake_pci_alloc_error)
		return fake_pci_alloc_error;
	irq->cpu = cpu;
	irq->vector = 0x77;
	fake_pci_irq = irq;
	return 0x77;
}

void irq_free(struct irq *irq)
{
	if (fake_pci_irq == irq)
		fake_pci_irq = NULL;
}
