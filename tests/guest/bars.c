/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two processors move BARs over RAM, over both APICs' windows, over configuration space and over
 * each other, renumber the bus and move the windows of a bridge, and write anything anywhere into
 * the configuration space of what they move, while the boot processor executes and reads and writes
 * in these places and a third edu does DMA there. RAM must stay RAM, the APICs must answer, what
 * DMA brings must be right, and at the end the devices work.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pci.h"
#include "tests/guest/lib/smp.h"

#define NEAR		PCI_BDF(0, 4, 0)	/* edu: the first mover's */
#define STEADY		PCI_BDF(0, 5, 0)	/* edu: the first of the list, never moved */
#define PORT		PCI_BDF(0, 0x1d, 0)
#define FAR		PCI_BDF(1, 0, 0)	/* edu behind the port: the second's */
#define STEADY_BAR	(PCI_WINDOW + 0x3000000)
#define FREE		(PCI_WINDOW + 0x1000000)
#define RAM		0x2000000ul		/* what is executed, read, written by DMA */
#define HOLE		0xf000000ul		/* no RAM, but where edu can send DMA */
#define DATA		(RAM + 0x100000)
#define TARGET		(RAM + 0x200000)
#define ANSWER		0x5eed1e55u
#define SIZE		4096u
#define ROUNDS		(on_qemu_chip() ? 800u : 300u)
#define LOOKS		4u

/* Where a BAR of 1 MiB is put; the last is for both alike. */
static const uint32_t places[] = {
	RAM, DATA, TARGET, LAPIC_BASE, IOAPIC_BASE, PCI_ECAM, PCI_ECAM + (4 << 15), HOLE,
	STEADY_BAR, 0, 0x100000, 0xfff00000, FREE,
};

static unsigned rounds, looks, wrong[4];

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ul + 1442695040888963407ul;
	return (uint32_t)(*seed >> 33);
}

static void move_bar(unsigned bdf, uint64_t *seed)
{
	pci_write(bdf, PCI_BAR(0), 4, places[draw(seed) % ARRAY_COUNT(places)]);
	pci_write(bdf, PCI_COMMAND, 2, draw(seed) & 7);
}

static void move_window(uint64_t *seed)
{
	uint32_t at = places[draw(seed) % ARRAY_COUNT(places)];
	unsigned bus = draw(seed) % 4;

	pci_port_open(PORT, bus ? bus : 1, at, at + (draw(seed) % 16 << 20));
	if (draw(seed) % 8 == 0)
		pci_write(PORT, 0x3e, 2, 0x40);
	pci_write(PORT, 0x3e, 2, 0);
}

/* Any register of what is moved, by either way; the last writer of 0xcf8 wins. */
static void hammer(unsigned bdf, uint64_t *seed)
{
	unsigned reg = draw(seed) % 1024 & ~3u;

	if (draw(seed) & 1) {
		pci_write(bdf, reg, 1u << draw(seed) % 3, draw(seed));
		pci_read(bdf, draw(seed) & 0xffc, 4);
		return;
	}
	outl(PCI_ADDRESS, 1u << 31 | bdf << 8 | (reg & 0xfc));
	inl(PCI_DATA);
}

/*
 * Processor 1 has the near one, the others the far one and its bridge. However quick they are, they
 * go on until the places were looked at some times.
 */
static void mover(unsigned n)
{
	uint64_t seed = n;
	unsigned bdf = n == 1 ? NEAR : FAR;

	for (unsigned i = 0; i < rounds || __atomic_load_n(&looks, __ATOMIC_RELAXED) < LOOKS; i++) {
		move_bar(bdf, &seed);
		if (n != 1)
			move_window(&seed);
		for (unsigned k = 0; k < 4; k++)
			hammer(n == 1 || k & 1 ? bdf : PORT, &seed);
	}
}

static void place_code(void)
{
	static const uint8_t code[] = { 0xb8, 0x55, 0x1e, 0xed, 0x5e, 0xc3 };	/* mov eax; ret */

	copy((void *)RAM, code, sizeof(code));
	for (unsigned i = 0; i < SIZE; i += 8)
		*(uint64_t *)(DATA + i) = random_next();
}

/* What the places must answer whoever has put a BAR there. */
static void look(uint32_t lapic, uint32_t ioapic)
{
	uint32_t answer = ((uint32_t (*)(void))RAM)();

	wrong[0] += answer != ANSWER;
	wrong[1] += apic_read(APIC_VERSION) != lapic;
	wrong[2] += ioapic_read(1) != ioapic;
	for (unsigned i = 0; i < ARRAY_COUNT(places); i++)
		if (places[i] >= FREE)
			mmio_read(places[i] + EDU_LIVE);
	mmio_write(FREE + EDU_LIVE, answer);
	mmio_write(FREE + EDU_ACKNOWLEDGE, ~0u);
}

/* RAM to the buffer, and on to RAM that a BAR may cover, or to where there is none. */
static void transfer(void)
{
	fill((void *)TARGET, 0, SIZE);
	edu_start(STEADY_BAR, DATA, EDU_BUFFER, SIZE, 0);
	if (!edu_wait(STEADY_BAR))
		wrong[3]++;
	edu_start(STEADY_BAR, EDU_BUFFER, TARGET, SIZE, EDU_TO_RAM);
	if (!edu_wait(STEADY_BAR) || compare((void *)DATA, (void *)TARGET, SIZE))
		wrong[3]++;
	edu_start(STEADY_BAR, EDU_BUFFER, HOLE + EDU_LIVE, 64, EDU_TO_RAM);
	if (!edu_wait(STEADY_BAR))
		wrong[3]++;
}

static void open(unsigned bdf, uint32_t bar)
{
	pci_write(bdf, PCI_BAR(0), 4, bar);
	pci_write(bdf, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
}

/* DMA reaches RAM alone; two in one place: the first, then the other. */
static void afterwards(void)
{
	unsigned at = pci_capability(NEAR, PCI_CAP_EXPRESS);

	pci_write(NEAR, at + 8, 2, 0x8000);
	pci_write(PORT, 0x3e, 2, 0x40);
	pci_write(PORT, 0x3e, 2, 0);
	open(NEAR, HOLE);
	check_equal(mmio_read(HOLE), EDU_REVISION, "works_again");
	mmio_write(HOLE + EDU_LIVE, 0);
	transfer();
	check_equal(mmio_read(HOLE + EDU_LIVE), ~0u, "dma_reaches_no_device");
	pci_write(PORT, PCI_COMMAND, 2, 0);
	pci_port_open(PORT, 1, FREE, FREE + 0xfffff);
	open(NEAR, FREE);
	open(FAR, FREE);
	mmio_write(FREE + EDU_LIVE, 1);
	open(NEAR, FREE + 0x100000);
	check_equal(mmio_read(FREE), EDU_REVISION, "the_other_has_its_place");
	check_equal(mmio_read(FREE + EDU_LIVE), 0, "the_other_was_not_written");
	check_equal(mmio_read(FREE + 0x100000 + EDU_LIVE), ~1u, "the_first_was");
}

void test_main(void)
{
	uint32_t lapic, ioapic;
	unsigned movers;

	random_seed(11);
	apic_init(APIC_XAPIC);
	lapic = apic_read(APIC_VERSION);
	ioapic = ioapic_read(1);
	rounds = ROUNDS;
	place_code();
	open(STEADY, STEADY_BAR);
	pci_port_open(PORT, 1, FREE, FREE + 0xfffff);
	movers = smp_start(mover);
	if (movers < 2) {
		skip("bars", "there are no other processors");
		return;
	}
	while (smp_done() < movers) {
		look(lapic, ioapic);
		transfer();
		__atomic_fetch_add(&looks, 1, __ATOMIC_RELAXED);
	}
	print("%u looks\n", looks);
	check(looks >= LOOKS, "looked", "%u", looks);
	check(!wrong[0], "executed", "%u wrong", wrong[0]);
	check(!wrong[1], "local_apic", "%u wrong", wrong[1]);
	check(!wrong[2], "io_apic", "%u wrong", wrong[2]);
	check(!wrong[3], "dma", "%u wrong", wrong[3]);
	afterwards();
	check(!wrong[3], "dma_afterwards", "%u wrong", wrong[3]);
}
