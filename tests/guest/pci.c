/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI as a guest without firmware finds it: functions on bus 0 and behind a root port by both ways
 * to configuration space, BARs sized, moved and behind windows, interrupts by pin and message, DMA
 * both ways, resets. The devices, edu and pci-testdev, sit where the test's configuration says.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pci.h"

#define NEAR		PCI_BDF(0, 4, 0)	/* edu on bus 0 */
#define TESTDEV		PCI_BDF(0, 5, 0)
#define PORT		PCI_BDF(0, 0x1d, 0)
#define FAR		PCI_BDF(1, 0, 0)	/* edu behind the port */
#define NEAR_BAR	PCI_WINDOW
#define FAR_BAR		(PCI_WINDOW + 0x1000000)
#define TESTDEV_BAR	(PCI_WINDOW + 0x2000000)
#define PIN(slot)	((slot) < 25 ? 16u + (slot) % 8 : 16u)	/* of the I/O APIC, for INTA */
#define LEVEL		0x8000
#define VECTOR		0x71
#define SIZE		4096u
#define NO_RAM		0xf000000	/* and within the 28 bits that edu can address */

static uint8_t one[2 * SIZE] aligned(4096), two[2 * SIZE] aligned(4096);
static unsigned count;
static uint64_t acknowledge_at;		/* BAR of the edu that interrupts */

/* Takes the device's reason away, as the device wants it, before the EOI. */
static void interrupted(struct frame *frame)
{
	(void)frame;
	count++;
	mmio_write(acknowledge_at + EDU_ACKNOWLEDGE, mmio_read(acknowledge_at + EDU_INTERRUPT));
	apic_eoi();
}

static void find(void)
{
	unsigned absent = 0;

	check_equal(pci_read(NEAR, 0, 4), EDU_ID, "edu_by_ecam");
	check_equal(pci_read_ports(NEAR, 0), EDU_ID, "edu_by_ports");
	check_equal(pci_read(TESTDEV, 0, 4), 0x00051b36, "testdev_found");
	check_equal(pci_read(PORT, 0, 4), 0x000c1b36, "port_found");
	check_equal(pci_read(PORT, 0xe, 1), 1, "port_header");
	for (unsigned bus = 1; bus < 256; bus++)
		absent += pci_read(PCI_BDF(bus, 0, 0), 0, 4) == ~0u &&
			  pci_read_ports(PCI_BDF(bus, 0, 0), 0) == ~0u;
	check_equal(absent, 255, "buses_unnumbered");
	check_equal(pci_read(NEAR, 0x100, 4), 0, "extended_space");
	check_equal(pci_read(PCI_BDF(0, 6, 0), 0x100, 4), ~0u, "extended_space_absent");
	pci_port_open(PORT, 1, FAR_BAR, FAR_BAR + 0xfffff);
	check_equal(pci_read(FAR, 0, 4), EDU_ID, "behind_by_ecam");
	check_equal(pci_read_ports(FAR, 0), EDU_ID, "behind_by_ports");
	check_equal(pci_read(PCI_BDF(1, 1, 0), 0, 4), ~0u, "behind_one_slot");
	pci_port_open(PORT, 77, FAR_BAR, FAR_BAR + 0xfffff);
	check_equal(pci_read(PCI_BDF(77, 0, 0), 0, 4), EDU_ID, "renumbered");
	check_equal(pci_read(FAR, 0, 4), ~0u, "renumbered_away");
	pci_port_open(PORT, 1, FAR_BAR, FAR_BAR + 0xfffff);
}

static void bars(unsigned bdf, uint64_t bar)
{
	uint64_t other = bar + 0x400000;

	pci_write(bdf, PCI_BAR(0), 4, ~0u);
	check_equal(pci_read(bdf, PCI_BAR(0), 4), 0xfff00000, "bar_size");
	pci_write(bdf, PCI_BAR(0), 4, (uint32_t)bar);
	check_equal(mmio_read(bar), ~0u, "bar_off");
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	check_equal(mmio_read(bar), EDU_REVISION, "bar_on");
	pci_write(bdf, PCI_BAR(0), 4, (uint32_t)other);
	check_equal(mmio_read(bar), ~0u, "bar_moved_away");
	check_equal(mmio_read(other), bdf == FAR ? ~0u : EDU_REVISION, "bar_moved");
	pci_write(bdf, PCI_BAR(0), 4, (uint32_t)bar);
	check_equal(mmio_read(bar), EDU_REVISION, "bar_back");
}

static void windows(void)
{
	pci_port_open(PORT, 1, FAR_BAR + 0x100000, FAR_BAR + 0x1fffff);
	check_equal(mmio_read(FAR_BAR), ~0u, "window_elsewhere");
	pci_port_open(PORT, 1, FAR_BAR, FAR_BAR + 0x1fffff);
	check_equal(mmio_read(FAR_BAR), EDU_REVISION, "window_wider");
	pci_write(PORT, PCI_COMMAND, 2, PCI_MASTER);
	check_equal(mmio_read(FAR_BAR), ~0u, "window_off");
	pci_write(PORT, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	check_equal(mmio_read(FAR_BAR), EDU_REVISION, "window_on");
}

static void registers(uint64_t bar)
{
	mmio_write(bar + EDU_LIVE, 0x12345678);
	check_equal(mmio_read(bar + EDU_LIVE), ~0x12345678u, "edu_live");
	mmio_write(bar + EDU_FACTORIAL, 10);
	check_equal(mmio_read(bar + EDU_FACTORIAL), 3628800, "edu_factorial");
	mmio_write(bar + EDU_FACTORIAL, ~0u);
	check_equal(mmio_read(bar + EDU_FACTORIAL), 0, "edu_factorial_long");
	check_equal(mmio_read(bar + EDU_STATUS) & 1, 0, "edu_factorial_done");
}

/* So many interrupts within a while. */
static bool arrived(unsigned want)
{
	sti();
	for (unsigned i = 0; i < 200000 && count < want; i++)
		pause();
	cli();
	return count == want;
}

static void pin(unsigned bdf, uint64_t bar, unsigned gsi)
{
	count = 0;
	acknowledge_at = bar;
	ioapic_route(gsi, VECTOR | LEVEL | (uint64_t)(cpuid(1).ebx >> 24) << 56);
	for (unsigned i = 1; i <= 3; i++) {
		mmio_write(bar + EDU_RAISE, 1u << i);
		check(arrived(i), "intx", "%u of %u", count, i);
	}
	mmio_write(bar + EDU_STATUS, 0x80);
	mmio_write(bar + EDU_FACTORIAL, 3);
	check(arrived(4), "intx_factorial", "%u", count);
	mmio_write(bar + EDU_STATUS, 0);
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER | PCI_INTX_OFF);
	mmio_write(bar + EDU_RAISE, 1);
	check(arrived(4), "intx_disabled", "%u", count);
	check_equal(pci_read(bdf, PCI_STATUS, 2) & PCI_INTX, PCI_INTX, "intx_status");
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	check(arrived(5), "intx_enabled", "%u", count);
	check_equal(pci_read(bdf, PCI_STATUS, 2) & PCI_INTX, 0, "intx_status_clear");
	ioapic_route(gsi, LVT_MASKED);
}

static void message(unsigned bdf, uint64_t bar)
{
	unsigned at = pci_capability(bdf, PCI_CAP_MSI);

	count = 0;
	acknowledge_at = bar;
	pci_msi_enable(bdf, VECTOR);
	mmio_write(bar + EDU_RAISE, 1);
	check(arrived(1), "msi", "%u", count);
	pci_write(bdf, at + 16, 4, 1);
	mmio_write(bar + EDU_RAISE, 1);
	check(arrived(1), "msi_masked", "%u", count);
	check_equal(pci_read(bdf, at + 20, 4), 1, "msi_pending");
	pci_write(bdf, at + 16, 4, 0);
	check(arrived(2), "msi_unmasked", "%u", count);
	check_equal(pci_read(bdf, at + 20, 4), 0, "msi_sent");
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY);
	mmio_write(bar + EDU_RAISE, 1);
	check(arrived(2), "msi_without_master", "%u", count);
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	check(arrived(3), "msi_master_again", "%u", count);
	if (bdf == FAR) {
		pci_write(PORT, PCI_COMMAND, 2, PCI_MEMORY);
		mmio_write(bar + EDU_RAISE, 1);
		check(arrived(4), "msi_bridge_no_master", "%u", count);
		pci_write(PORT, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
		check(arrived(4), "msi_bridge_master", "%u", count);
	}
	pci_msi_disable(bdf);
}

static void randomize(uint8_t *at)
{
	for (unsigned i = 0; i < 2 * SIZE; i += 8)
		*(uint64_t *)(at + i) = random_next();
}

/* RAM to the buffer and on to other RAM, whatever its alignment. */
static void transfer(uint64_t bar, unsigned from, unsigned to, unsigned n)
{
	randomize(one);
	randomize(two);
	edu_start(bar, (uint64_t)one + from, EDU_BUFFER, n, 0);
	check(edu_wait(bar), "dma_in", "command %x", mmio_read(bar + EDU_COMMAND));
	edu_start(bar, EDU_BUFFER, (uint64_t)two + to, n, EDU_TO_RAM);
	check(edu_wait(bar), "dma_out", "command %x", mmio_read(bar + EDU_COMMAND));
	check(!compare(one + from, two + to, n), "dma_same", "%u bytes from %u to %u", n, from, to);
}

static void dma(unsigned bdf, uint64_t bar)
{
	transfer(bar, 0, 0, SIZE);
	transfer(bar, 1, 4095, SIZE);
	transfer(bar, 4000, 7, 333);
	transfer(bar, 5, 3, 1);
	count = 0;
	acknowledge_at = bar;
	pci_msi_enable(bdf, VECTOR);
	edu_start(bar, (uint64_t)one, EDU_BUFFER, SIZE, EDU_TELL);
	check(arrived(1), "dma_interrupt", "%u", count);
	pci_msi_disable(bdf);
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY);
	fill(two, 0x5a, SIZE);
	edu_start(bar, EDU_BUFFER, (uint64_t)two, SIZE, EDU_TO_RAM);
	check(edu_wait(bar), "dma_without_master_ends", "%x", mmio_read(bar + EDU_COMMAND));
	check(two[0] == 0x5a && !compare(two, two + 1, SIZE - 1), "dma_without_master", "%x",
	      two[0]);
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	edu_start(bar, EDU_BUFFER, NO_RAM, SIZE, EDU_TO_RAM);
	check(edu_wait(bar), "dma_elsewhere", "%x", mmio_read(bar + EDU_COMMAND));
}

static void resets(void)
{
	unsigned at = pci_capability(FAR, PCI_CAP_EXPRESS);

	mmio_write(FAR_BAR + EDU_LIVE, 0);
	pci_write(FAR, at + 8, 2, 0x8000 | pci_read(FAR, at + 8, 2));
	check_equal(pci_read(FAR, PCI_BAR(0), 4), 0, "function_reset");
	check_equal(mmio_read(FAR_BAR), ~0u, "function_reset_bar");
	pci_write(FAR, PCI_BAR(0), 4, (uint32_t)FAR_BAR);
	pci_write(FAR, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	check_equal(mmio_read(FAR_BAR + EDU_LIVE), 0, "function_reset_register");
	mmio_write(FAR_BAR + EDU_LIVE, 0);
	pci_write(PORT, 0x3e, 2, 0x40);
	check_equal(pci_read(FAR, 0, 4), ~0u, "bus_held_in_reset");
	pci_write(PORT, 0x3e, 2, 0);
	check_equal(pci_read(FAR, 0, 4), EDU_ID, "bus_out_of_reset");
	check_equal(pci_read(FAR, PCI_BAR(0), 4), 0, "bus_reset");
}

struct header {
	uint8_t test, width, pad[2];
	uint32_t offset, data, count;
	uint8_t name[20];
};

static uint32_t take(uint64_t bar, unsigned at, unsigned size)
{
	bool port = bar < 0x10000;
	uint16_t p = (uint16_t)(bar + at);

	if (size == 1)
		return port ? inb(p) : *(volatile uint8_t *)(bar + at);
	return port ? inl(p) : mmio_read(bar + at);
}

static void give(uint64_t bar, unsigned at, unsigned size, uint32_t v)
{
	bool port = bar < 0x10000;
	uint16_t p = (uint16_t)(bar + at);

	if (port && size == 1)
		outb(p, (uint8_t)v);
	else if (port && size == 2)
		outw(p, (uint16_t)v);
	else if (port)
		outl(p, v);
	else if (size == 1)
		*(volatile uint8_t *)(bar + at) = (uint8_t)v;
	else if (size == 2)
		*(volatile uint16_t *)(bar + at) = (uint16_t)v;
	else
		mmio_write(bar + at, v);
}

/* As many tests as the BAR has; each counts the writes that it asks for. */
static unsigned tests_of(uint64_t bar)
{
	for (unsigned n = 0;; n++) {
		unsigned width, at;

		give(bar, 0, 1, n);
		width = take(bar, 1, 1);
		at = take(bar, 4, 4);
		if (width != 1 && width != 2 && width != 4)
			return n;
		for (unsigned i = 0; i < 16; i++)
			give(bar, at, width, take(bar, 8, 4));
		if (take(bar, 12, 4) != 16)
			return 0;
	}
}

static void testdev(void)
{
	pci_write(TESTDEV, PCI_BAR(0), 4, TESTDEV_BAR);
	pci_write(TESTDEV, PCI_BAR(1), 4, PCI_PORTS);
	pci_write(TESTDEV, PCI_COMMAND, 2, PCI_IO | PCI_MEMORY);
	check_equal(tests_of(TESTDEV_BAR), 3, "testdev_memory");
	check_equal(tests_of(PCI_PORTS), 3, "testdev_ports");
	pci_write(TESTDEV, PCI_COMMAND, 2, PCI_MEMORY);
	check_equal(inl(PCI_PORTS), ~0u, "testdev_ports_off");
	check_equal(take(TESTDEV_BAR, 1, 1), 0, "testdev_memory_stays");
}

void test_main(void)
{
	random_seed(7);
	apic_init(APIC_XAPIC);
	trap_set(VECTOR, interrupted);
	find();
	bars(NEAR, NEAR_BAR);
	bars(FAR, FAR_BAR);
	windows();
	registers(NEAR_BAR);
	registers(FAR_BAR);
	pin(NEAR, NEAR_BAR, PIN(4));
	pin(FAR, FAR_BAR, PIN(0x1d));
	message(NEAR, NEAR_BAR);
	message(FAR, FAR_BAR);
	dma(NEAR, NEAR_BAR);
	dma(FAR, FAR_BAR);
	testdev();
	resets();
}
