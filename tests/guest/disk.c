/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of virtio-blk on the first such function of bus 0: in both formats, with and without
 * indirect tables and the event index, polling and by MSI-X; rings that are bent, after which the
 * device wants a reset and works again; what a request costs. The disk's bytes follow a rule, and
 * it may be written.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"
#include "tests/guest/lib/pci.h"

#define BAR_MESSAGES	0xd0000000u
#define BAR_REGISTERS	0xd0010000u
#define DOORBELL	(BAR_REGISTERS + 0x3000)
#define VEC_DISK	0x60

#define SIZE		64u		/* of the queue */
#define DEPTH		32u
#define ROUNDS		512u
#define BLOCK		4096u

enum { FORMAT_PACKED = 1, FORMAT_EVENT = 2, FORMAT_INDIRECT = 4, FORMATS = 8 };
#define BEST		(FORMAT_INDIRECT | FORMAT_EVENT)

struct desc {
	uint64_t at;
	uint32_t size;
	uint16_t a, b;			/* split: flags, next; packed: id, flags */
} packed;

struct header {
	uint32_t type, priority;
	uint64_t sector;
};

/* A request of its own for each place of the queue. */
struct slot {
	struct header header aligned(16);
	struct desc table[4] aligned(16);
	volatile uint8_t status;
};

static struct desc ring[SIZE] aligned(4096);
static volatile struct {
	uint16_t flags, index, entry[SIZE], event;
} avail aligned(4096);
static volatile struct {
	uint16_t flags, index;
	struct { uint32_t id, size; } packed entry[SIZE];
	uint16_t event;
} used aligned(4096);
static struct slot slots[SIZE];
static uint8_t data[DEPTH][BLOCK] aligned(4096);

static unsigned function, format, interrupts;
static uint16_t next, added, taken, packed_at, packed_used;
static bool avail_wrap, used_wrap;
static uint64_t sectors;

/* ---- PCI ---- */

static void open_bars(void)
{
	pci_write(function, PCI_BAR(1), 4, BAR_MESSAGES);
	pci_write(function, PCI_BAR(4), 4, BAR_REGISTERS);
	pci_write(function, PCI_BAR(5), 4, 0);
	pci_write(function, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	pci_msix_enable(function, BAR_MESSAGES, 1, VEC_DISK);
}

/* ---- registers ---- */

static uint8_t reg8(unsigned at)
{
	return *(volatile uint8_t *)(uintptr_t)(BAR_REGISTERS + at);
}

static void reg8_set(unsigned at, uint8_t v)
{
	*(volatile uint8_t *)(uintptr_t)(BAR_REGISTERS + at) = v;
}

static uint16_t reg16(unsigned at)
{
	return *(volatile uint16_t *)(uintptr_t)(BAR_REGISTERS + at);
}

static void reg16_set(unsigned at, uint16_t v)
{
	*(volatile uint16_t *)(uintptr_t)(BAR_REGISTERS + at) = v;
}

static void kick(void)
{
	*(volatile uint16_t *)(uintptr_t)DOORBELL = 0;
}

static void address(unsigned at, const volatile void *what)
{
	mmio_write(BAR_REGISTERS + at, (uint32_t)(uintptr_t)what);
	mmio_write(BAR_REGISTERS + at + 4, 0);
}

static void reset(void)
{
	reg8_set(0x14, 0);
	while (reg8(0x14))
		pause();
}

/* A driver that is up in that format; without `vector` it polls. */
static bool bring_up(unsigned with, bool vector)
{
	uint32_t low = (with & FORMAT_EVENT ? 1u << 29 : 0) |
		       (with & FORMAT_INDIRECT ? 1u << 28 : 0);

	reset();
	format = with;
	next = added = taken = packed_at = packed_used = 0;
	avail_wrap = used_wrap = true;
	fill(ring, 0, sizeof(ring));
	fill((void *)&avail, 0, sizeof(avail));
	fill((void *)&used, 0, sizeof(used));
	reg8_set(0x14, 3);
	mmio_write(BAR_REGISTERS + 0x08, 0);
	mmio_write(BAR_REGISTERS + 0x0c, low);
	mmio_write(BAR_REGISTERS + 0x08, 1);
	mmio_write(BAR_REGISTERS + 0x0c, 1 | (with & FORMAT_PACKED ? 4 : 0));
	reg8_set(0x14, 11);
	if (reg8(0x14) != 11)
		return false;
	reg16_set(0x16, 0);
	reg16_set(0x18, SIZE);
	reg16_set(0x1a, vector ? 0 : 0xffff);
	address(0x20, ring);
	address(0x28, &avail);
	address(0x30, &used);
	reg16_set(0x1c, 1);
	reg8_set(0x14, 15);
	sectors = mmio_read(BAR_REGISTERS + 0x2000);
	return reg16(0x1c) == 1 && reg8(0x14) == 15;
}

/* ---- rings ---- */

/* In the packed format the first one's flags are written when all is there. */
static void put(unsigned i, struct desc d, uint16_t flags, bool last, uint16_t id)
{
	if (format & FORMAT_PACKED) {
		d.a = id;
		d.b = (uint16_t)(flags | (last ? 0 : 1) | (avail_wrap ? 0x80 : 0x8000));
		ring[packed_at] = d;
		packed_at++;
		if (packed_at == SIZE) {
			packed_at = 0;
			avail_wrap = !avail_wrap;
		}
	} else {
		d.a = (uint16_t)(flags | (last ? 0 : 1));
		d.b = (uint16_t)((i + 1) % SIZE);
		ring[i] = d;
	}
}

static void chain(const struct desc *part, unsigned n, uint16_t id)
{
	struct slot *s = &slots[id];
	uint16_t first = packed_at;
	bool wrap = avail_wrap;
	uint16_t flags = 0;

	if (format & FORMAT_INDIRECT) {
		for (unsigned i = 0; i < n; i++) {
			s->table[i] = part[i];
			if (format & FORMAT_PACKED)
				s->table[i].b = part[i].a;
			else
				s->table[i].a = (uint16_t)(part[i].a | (i + 1 < n));
			if (!(format & FORMAT_PACKED))
				s->table[i].b = (uint16_t)(i + 1);
		}
		put(next, (struct desc){ .at = (uintptr_t)s->table, .size = 16 * n }, 4, true, id);
		n = 1;
	} else {
		for (unsigned i = 0; i < n; i++)
			put((next + i) % SIZE, part[i], part[i].a, i + 1 == n, id);
	}
	if (format & FORMAT_PACKED) {
		flags = ring[first].b;
		ring[first].b = (uint16_t)(flags ^ (wrap ? 0x80 : 0x8000));
		__asm__ volatile("" ::: "memory");
		ring[first].b = flags;
	} else {
		avail.entry[added % SIZE] = next;
		__asm__ volatile("" ::: "memory");
		avail.index = (uint16_t)(added + 1);
	}
	added++;
	next = (uint16_t)((next + n) % SIZE);
}

/* Reads or writes a block; `i` is the place of its data. */
static void add(unsigned i, bool write, uint64_t sector)
{
	struct slot *s = &slots[i];
	struct desc part[3] = {
		{ .at = (uintptr_t)&s->header, .size = 16 },
		{ .at = (uintptr_t)data[i], .size = BLOCK, .a = write ? 0 : 2 },
		{ .at = (uintptr_t)&s->status, .size = 1, .a = 2 },
	};

	s->header = (struct header){ .type = write, .sector = sector };
	s->status = 0xee;
	chain(part, 3, (uint16_t)i);
}

/* One more that is done; false: none yet. */
static bool take(void)
{
	volatile struct desc *d = &ring[packed_used];

	if (!(format & FORMAT_PACKED)) {
		if (used.index == taken)
			return false;
		taken++;
		return true;
	}
	if (!(d->b & 0x80) == used_wrap || !(d->b & 0x8000) == used_wrap)
		return false;
	packed_used = (uint16_t)(packed_used + (format & FORMAT_INDIRECT ? 1 : 3));
	if (packed_used >= SIZE) {
		packed_used = (uint16_t)(packed_used - SIZE);
		used_wrap = !used_wrap;
	}
	taken++;
	return true;
}

static void want_event(void)
{
	if (!(format & FORMAT_EVENT))
		return;
	if (!(format & FORMAT_PACKED)) {
		avail.event = taken;
		return;
	}
	*(volatile uint16_t *)&avail.flags = (uint16_t)(packed_used | (used_wrap ? 0x8000 : 0));
	avail.index = 2;
}

/* False: it took too long, or failed. */
static bool run(unsigned i, bool write, uint64_t sector)
{
	add(i, write, sector);
	kick();
	for (unsigned n = 0; !take(); n++)
		if (n > 100000000)
			return false;
	return slots[i].status == 0;
}

/* ---- tests ---- */

static uint8_t rule(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 512);
}

static bool is_image(const uint8_t *p, uint64_t sector)
{
	for (unsigned i = 0; i < BLOCK; i++)
		if (p[i] != rule(sector * 512 + i))
			return false;
	return true;
}

static void reads(void)
{
	for (unsigned f = 0; f < FORMATS; f++) {
		bool ok = bring_up(f, false);

		for (uint64_t s = 0; ok && s + 8 <= sectors / 8; s += 8)
			ok = run((unsigned)(s / 8 % DEPTH), false, s) &&
			     is_image(data[s / 8 % DEPTH], s);
		check(ok, "read_polled", "format %u, taken %u", f, taken);
	}
}

static void writes(void)
{
	for (unsigned f = 0; f < FORMATS; f++) {
		bool ok = bring_up(f, false);

		for (unsigned n = 0; ok && n < 20; n++) {
			uint64_t sector = sectors / 2 + random_next() % (sectors / 2 - 8);

			fill(data[0], (int)(0x41 + n + f), BLOCK);
			ok = run(0, true, sector) && run(1, false, sector) &&
			     !compare(data[0], data[1], BLOCK);
		}
		check(ok, "write_read", "format %u", f);
	}
}

/* Each request has its interrupt, and none comes without. */
static void messages(void)
{
	trap_count_set(VEC_DISK, &interrupts);
	for (unsigned f = 0; f < FORMATS; f++) {
		bool ok = bring_up(f, true);

		interrupts = 0;
		for (unsigned n = 1; ok && n <= 50; n++) {
			want_event();
			add(0, false, 0);
			kick();
			while (interrupts < n)
				irq_window();
			ok = take() && !take() && interrupts == n && slots[0].status == 0;
		}
		check(ok, "msix", "format %u: %u interrupts", f, interrupts);
	}
}

/* Bends the ring behind a request that the device was not told of. */
static void bend(unsigned how)
{
	struct desc *d = &ring[0];

	switch (how) {
	case 0:					/* the index jumps */
		avail.index = 1000;
		break;
	case 1:					/* a head that is not there */
		avail.entry[0] = SIZE;
		break;
	case 2:					/* a loop */
		d->b = 0;
		break;
	case 3:					/* readable behind writable */
		*(format & FORMAT_PACKED ? &d->b : &d->a) |= 2;
		break;
	case 4:					/* a header that is no memory */
		d->at = 0xfee00000;
		break;
	case 5:					/* the table of the device itself */
		d->at = BAR_REGISTERS;
		*(format & FORMAT_PACKED ? &d->b : &d->a) &= (uint16_t)~1u;
		*(format & FORMAT_PACKED ? &d->b : &d->a) |= 4;
		break;
	}
}

static void bent(void)
{
	for (unsigned how = 0; how < 6; how++) {
		for (unsigned f = FORMAT_INDIRECT; f < FORMATS; f++) {
			bool ok = bring_up(f, false);

			if (f & FORMAT_PACKED && how < 3)
				continue;
			format &= ~(unsigned)FORMAT_INDIRECT;	/* agreed upon, not used */
			add(0, false, 0);
			bend(how);
			kick();
			ok = ok && reg8(0x14) == (15 | 0x40) && !take();
			kick();
			ok = ok && bring_up(f, false) && run(0, false, 0) && is_image(data[0], 0);
			check(ok, "bent", "how %u format %u status %x", how, f, reg8(0x14));
		}
	}
}

/* A buffer that is ROM, a device or nowhere: the request fails, the device goes on. */
static void buffers(void)
{
	static const uint64_t nowhere[] = { BAR_REGISTERS, 0xfee00000, UNCLAIMED, ~0xfffull };

	for (unsigned i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		struct slot *s = &slots[0];
		struct desc part[3] = {
			{ .at = (uintptr_t)&s->header, .size = 16 },
			{ .at = nowhere[i], .size = BLOCK, .a = 2 },
			{ .at = (uintptr_t)&s->status, .size = 1, .a = 2 },
		};
		bool ok = bring_up(0, false);

		s->header = (struct header){ .sector = 0 };
		chain(part, 3, 0);
		kick();
		ok = ok && take() && s->status == 1 && run(0, false, 0) && is_image(data[0], 0);
		check(ok, "buffer_nowhere", "%lx", nowhere[i]);
	}
}

/* In all, and from the doorbell to the next instruction: requests are done by then. */
static void cost(unsigned f, const char *name, const char *inside_name, unsigned depth)
{
	uint64_t start, inside = 0, at;

	if (!bring_up(f, false))
		return;
	for (unsigned n = 0; n < DEPTH; n++)
		run(n, false, 8 * n);
	start = rdtsc();
	for (unsigned n = 0; n < ROUNDS; n += depth) {
		for (unsigned i = 0; i < depth; i++)
			add(i, false, 8 * i);
		at = rdtsc();
		kick();
		inside += rdtsc() - at;
		for (unsigned i = 0; i < depth; i++)
			while (!take())
				pause();
	}
	bench(name, (rdtsc() - start) / ROUNDS);
	bench(inside_name, inside / ROUNDS);
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	function = pci_find(0x10011af4);
	if (function == PCI_NOWHERE)
		astray("there is no disk");
	open_bars();
	sti();
	reads();
	writes();
	messages();
	bent();
	buffers();
	cost(BEST, "blk_read_4k", "blk_inside_4k", 1);
	cost(BEST, "blk_read_4k_deep", "blk_inside_4k_deep", DEPTH);
	cost(BEST | FORMAT_PACKED, "blk_read_4k_packed", "blk_inside_4k_packed", 1);
	cost(BEST | FORMAT_PACKED, "blk_read_4k_packed_deep", "blk_inside_4k_packed_deep", DEPTH);
	reset();
	finish(0);
}
