/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of NVMe on the first such function of bus 0: reads, writes, comparisons, zeroes and
 * discards, polled and by MSI-X, doorbells in registers and in memory; a controller that is reset
 * with commands under way; data and queues that are no memory; what a read costs. The disk's bytes
 * follow a rule, and it may be written.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"
#include "tests/guest/lib/pci.h"

#define BAR		0xd0000000u
#define DOORBELLS	(BAR + 0x1000)
#define MESSAGES	(BAR + 0x2000)
#define VEC_ADMIN	0x60
#define VEC_DISK	0x61

#define REG_CC		0x14
#define REG_CSTS	0x1c

#define SIZE		64u		/* of each queue */
#define DEPTH		32u
#define ROUNDS		512u
#define BLOCK		4096u
#define NO_ANSWER	0xffffffffu

struct command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t unused, metadata, prp1, prp2;
	uint32_t word[6];
};

struct answer {
	uint32_t result, unused;
	uint16_t head, queue, id, status;
};

struct queue {
	struct command sq[SIZE] aligned(4096);
	volatile struct answer cq[SIZE] aligned(4096);
	unsigned tail, head;
	bool phase;
};

static struct queue queues[2] aligned(4096);
static volatile uint32_t shadow[1024] aligned(4096), events[1024] aligned(4096);
static uint8_t data[DEPTH][BLOCK] aligned(4096);
static unsigned function, interrupts, admin_interrupts;
static bool in_memory;
static uint64_t sectors;

/* ---- PCI ---- */

static void open_bar(void)
{
	pci_write(function, PCI_BAR(0), 4, BAR);
	pci_write(function, PCI_BAR(1), 4, 0);
	pci_write(function, PCI_COMMAND, 2, PCI_MEMORY | PCI_MASTER);
	pci_msix_enable(function, MESSAGES, 2, VEC_ADMIN);
}

/* ---- queues ---- */

static void bell(unsigned which, uint32_t v)
{
	mmio_write(DOORBELLS + 4 * which, v);
}

static void tell(unsigned which, uint32_t v)
{
	uint16_t old;

	if (!in_memory || which < 2) {
		bell(which, v);
		return;
	}
	old = (uint16_t)shadow[which];
	shadow[which] = v;
	__asm__ volatile("lock orl $0, (%%rsp)" : : : "memory", "cc");
	if ((uint16_t)(v - events[which] - 1) < (uint16_t)(v - old))
		bell(which, v);
}

static struct command *add(unsigned i, uint8_t opcode)
{
	struct queue *q = &queues[i];
	struct command *c = &q->sq[q->tail];

	fill(c, 0, sizeof(*c));
	c->opcode = opcode;
	c->id = (uint16_t)q->tail;
	q->tail = (q->tail + 1) % SIZE;
	return c;
}

static void ring(unsigned i)
{
	__asm__ volatile("" ::: "memory");
	tell(2 * i, queues[i].tail);
}

/* The next answer's status; NO_ANSWER: none yet. */
static unsigned take(unsigned i)
{
	struct queue *q = &queues[i];
	unsigned status = q->cq[q->head].status;

	if (!(status & 1) == q->phase)
		return NO_ANSWER;
	q->head = (q->head + 1) % SIZE;
	q->phase ^= !q->head;
	return status >> 1;
}

static unsigned wait(unsigned i)
{
	unsigned status = NO_ANSWER;

	for (unsigned n = 0; status == NO_ANSWER && n < 100000000; n++)
		status = take(i);
	tell(2 * i + 1, queues[i].head);
	return status;
}

static unsigned run(unsigned i)
{
	ring(i);
	return wait(i);
}

static struct command *move(unsigned place, uint8_t opcode, uint64_t sector)
{
	struct command *c = add(1, opcode);

	c->nsid = 1;
	c->prp1 = (uintptr_t)data[place];
	c->word[0] = (uint32_t)sector;
	c->word[2] = BLOCK / 512 - 1;
	return c;
}

/* ---- a controller that is up ---- */

static bool is_ready(bool ready)
{
	unsigned n = 0;

	while (mmio_read(BAR + REG_CSTS) != ready && n++ < 100000000)
		pause();
	return mmio_read(BAR + REG_CSTS) == ready;
}

static bool reset(void)
{
	mmio_write(BAR + REG_CC, 0);
	return is_ready(false);
}

static unsigned make_queues(bool vector)
{
	struct command *c = add(0, 5);

	c->prp1 = (uintptr_t)queues[1].cq;
	c->word[0] = 1 | (SIZE - 1) << 16;
	c->word[1] = 1 | (vector ? 2 : 0) | 1 << 16;
	if (run(0))
		return 1;
	c = add(0, 1);
	c->prp1 = (uintptr_t)queues[1].sq;
	c->word[0] = 1 | (SIZE - 1) << 16;
	c->word[1] = 1 | 1 << 16;
	return run(0);
}

static unsigned give_doorbells(void)
{
	struct command *c = add(0, 0x7c);

	fill((void *)shadow, 0, sizeof(shadow));
	fill((void *)events, 0, sizeof(events));
	c->prp1 = (uintptr_t)shadow;
	c->prp2 = (uintptr_t)events;
	return run(0);
}

/* Without `vector` it polls. */
static bool bring_up(bool memory, bool vector)
{
	struct command *c;

	in_memory = false;
	if (!reset())
		return false;
	fill(queues, 0, sizeof(queues));
	queues[0].phase = queues[1].phase = true;
	mmio_write(BAR + 0x24, (SIZE - 1) * 0x10001);
	mmio_write(BAR + 0x28, (uint32_t)(uintptr_t)queues[0].sq);
	mmio_write(BAR + 0x2c, 0);
	mmio_write(BAR + 0x30, (uint32_t)(uintptr_t)queues[0].cq);
	mmio_write(BAR + 0x34, 0);
	mmio_write(BAR + REG_CC, 0x460001);
	c = add(0, 6);
	c->nsid = 1;
	c->prp1 = (uintptr_t)data[0];
	if (!is_ready(true) || run(0))
		return false;
	sectors = *(uint64_t *)data[0];
	if ((memory && give_doorbells()) || make_queues(vector))
		return false;
	in_memory = memory;
	return true;
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
	for (unsigned m = 0; m < 2; m++) {
		bool ok = bring_up(m, false);

		for (uint64_t s = 0; ok && s + 8 <= sectors / 8; s += 8) {
			move((unsigned)(s / 8 % DEPTH), 2, s);
			ok = !run(1) && is_image(data[s / 8 % DEPTH], s);
		}
		check(ok, "read_polled", "memory %u sectors %lu", m, sectors);
	}
}

static void writes(void)
{
	for (unsigned m = 0; m < 2; m++) {
		bool ok = bring_up(m, false);

		for (unsigned n = 0; ok && n < 20; n++) {
			uint64_t sector = sectors / 2 + random_next() % (sectors / 2 - 8);

			fill(data[0], (int)(0x41 + n + m), BLOCK);
			move(0, 1, sector);
			ok = !run(1);
			move(1, 2, sector);
			ok = ok && !run(1) && !compare(data[0], data[1], BLOCK);
			move(1, 5, sector);			/* by the controller */
			ok = ok && !run(1);
			data[1][random_next() % BLOCK] ^= 1;
			move(1, 5, sector);
			ok = ok && (run(1) & 0x7ff) == 0x285;
		}
		check(ok, "write_compare", "memory %u", m);
	}
}

static bool is_zero(const uint8_t *p)
{
	unsigned any = 0;

	for (unsigned i = 0; i < BLOCK; i++)
		any |= p[i];
	return !any;
}

/* Zeroes are written; what was written and is given back reads as zeros. */
static void ranges(void)
{
	uint64_t sector = sectors / 2;
	bool ok = bring_up(true, false);
	struct command *c;

	fill(data[0], 0x55, BLOCK);
	move(0, 1, sector);
	ok = ok && !run(1);
	move(0, 8, sector);
	ok = ok && !run(1);
	move(1, 2, sector);
	check(ok && !run(1) && is_zero(data[1]), "zeroes", "at %lu", sector);
	move(0, 1, sector);
	ok = ok && !run(1);
	fill(data[2], 0, BLOCK);
	for (unsigned i = 0; i < 256; i++) {
		((uint32_t *)data[2])[4 * i + 1] = 8;
		((uint32_t *)data[2])[4 * i + 2] = (uint32_t)sector;
	}
	c = move(2, 9, 255);
	c->word[1] = 4;
	ok = ok && !run(1);
	move(1, 2, sector);
	check(ok && !run(1) && is_zero(data[1]), "discard", "at %lu", sector);
	/* All of the second half, a piece at a time: the medium does it later. */
	c = move(0, 8, sector);
	c->word[2] = 0xffff;
	check((run(1) & 0x7ff) == 0x80, "zeroes_beyond", "at %lu", sector);
}

/* Each command has its interrupt, and none comes without. */
static void messages(void)
{
	for (unsigned m = 0; m < 2; m++) {
		bool ok = bring_up(m, true);

		interrupts = 0;
		for (unsigned n = 1; ok && n <= 50; n++) {
			move(0, 2, 0);
			ring(1);
			while (interrupts < n)
				irq_window();
			ok = !wait(1) && take(1) == NO_ANSWER && interrupts == n;
		}
		check(ok, "msix", "memory %u: %u interrupts", m, interrupts);
	}
}

/* A reset while commands are under way, with all of the queue told and none looked at. */
static void resets(void)
{
	bool ok = true;

	for (unsigned n = 0; ok && n < 20; n++) {
		ok = bring_up(n & 1, false);
		for (unsigned i = 0; ok && i < DEPTH; i++)
			move(i, n % 3 ? 2 : 8, sectors / 2);
		ring(1);
		ok = ok && reset();
	}
	ok = ok && bring_up(false, false);
	move(0, 2, 0);
	check(ok && !run(1) && is_image(data[0], 0), "reset", "csts %x", mmio_read(BAR + REG_CSTS));
}

/* Data that are ROM, a device or nowhere: the command fails. A queue there ends the controller. */
static void nowhere(void)
{
	static const uint64_t places[] = { BAR, 0xfee00000, UNCLAIMED, ~0xfffull };

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		bool ok = bring_up(false, false);
		struct command *c = move(0, 2, 0);
		unsigned status;

		c->prp1 = places[i];
		status = run(1);
		move(0, 2, 0);
		ok = ok && (status & 0x7ff) == 4 && !run(1) && is_image(data[0], 0);
		check(ok, "data_nowhere", "%lx: status %x", places[i], status);
		reset();
		mmio_write(BAR + 0x28, (uint32_t)places[i]);
		mmio_write(BAR + 0x2c, (uint32_t)(places[i] >> 32));
		mmio_write(BAR + REG_CC, 0x460001);
		bell(0, 1);
		ok = mmio_read(BAR + REG_CSTS) == 3 && bring_up(false, false);
		check(ok, "queue_nowhere", "%lx", places[i]);
	}
}

/* In all, and within doorbells: commands are done by then. */
static void cost(bool memory, const char *name, const char *inside_name, unsigned depth)
{
	uint64_t start, inside = 0, at;

	if (!bring_up(memory, false))
		return;
	for (unsigned n = 0; n < DEPTH; n++) {
		move(n, 2, 8 * n);
		run(1);
	}
	start = rdtsc();
	for (unsigned n = 0; n < ROUNDS; n += depth) {
		for (unsigned i = 0; i < depth; i++)
			move(i, 2, 8 * i);
		at = rdtsc();
		ring(1);
		inside += rdtsc() - at;
		for (unsigned i = 0; i < depth; i++)
			while (take(1) == NO_ANSWER)
				pause();
		at = rdtsc();
		tell(3, queues[1].head);
		inside += rdtsc() - at;
	}
	bench(name, (rdtsc() - start) / ROUNDS);
	bench(inside_name, inside / ROUNDS);
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	function = pci_find(0x00101b36);
	if (function == PCI_NOWHERE)
		astray("there is no disk");
	trap_count_set(VEC_ADMIN, &admin_interrupts);
	trap_count_set(VEC_DISK, &interrupts);
	open_bar();
	sti();
	reads();
	writes();
	ranges();
	messages();
	resets();
	nowhere();
	cost(false, "nvme_read_4k", "nvme_inside_4k", 1);
	cost(false, "nvme_read_4k_deep", "nvme_inside_4k_deep", DEPTH);
	cost(true, "nvme_read_4k_shadow", "nvme_inside_4k_shadow", 1);
	cost(true, "nvme_read_4k_shadow_deep", "nvme_inside_4k_shadow_deep", DEPTH);
	reset();
	finish(0);
}
