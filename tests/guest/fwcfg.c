/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The firmware configuration as firmware reads it: signature, numbers, the directory, the kernel's
 * own image; by port, by string instruction and by DMA; a DMA so long that interrupts come in
 * between, and ones that fail. What is not `on_keel()` holds on QEMU too.
 */
#include "tests/guest/lib/apic.h"

#define SELECTOR	0x510
#define DATA		0x511
#define DMA_HIGH	0x514
#define DMA_LOW		0x518

#define KEY_ID		0x01
#define KEY_RAM		0x03
#define KEY_CPUS	0x05
#define KEY_KERNEL_SIZE	0x08
#define KEY_CPUS_MAX	0x0f
#define KEY_KERNEL	0x11
#define KEY_CMDLINE_SIZE 0x14
#define KEY_CMDLINE	0x15
#define KEY_DIRECTORY	0x19
#define KEY_NOTHING	0x3ffe

#define ERROR	1u
#define READ	2u
#define SKIP	4u
#define SELECT	8u
#define WRITE	16u

#define FAR	0x1000000ul		/* 16 MiB: nothing of ours is there */
#define TIMER	0x71

static struct {
	uint32_t control, length;
	uint64_t address;
} packed volatile descriptor;

static void select(uint16_t key)
{
	outw(SELECTOR, key);
}

static uint64_t number(uint16_t key, unsigned bytes)
{
	uint64_t v = 0;

	select(key);
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)inb(DATA) << 8 * i;
	return v;
}

/* What is left of the control word. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
	descriptor.control = __builtin_bswap32(control);
	descriptor.length = __builtin_bswap32(length);
	descriptor.address = __builtin_bswap64(address);
	outl(DMA_LOW, __builtin_bswap32((uint32_t)(uint64_t)&descriptor));
	while (__builtin_bswap32(descriptor.control) & ~ERROR)
		pause();
	return __builtin_bswap32(descriptor.control);
}

static void insb(void *to, size_t count)
{
	__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(DATA) : "memory");
}

static void ports(void)
{
	char text[8] = "";

	check_equal(number(0, 4), 0x554d4551, "signature");
	check_equal(inb(DATA), 0, "behind_the_end");
	select(0);
	insb(text, 4);
	check(text_equal(text, "QEMU"), "insb", "%s", text);
	check_equal(number(KEY_ID, 4), 3, "id");
	check_equal(inl(DMA_HIGH), 0x554d4551, "dma_signature");
	check_equal(inl(DMA_LOW), 0x47464320, "dma_signature_low");
	check_equal(number(KEY_CPUS, 2), 1, "cpus");
	check_equal(number(KEY_CPUS_MAX, 2), 1, "cpus_max");
	check_equal(number(KEY_NOTHING, 2), 0, "no_such_item");
	/* RAM below 3 GiB begins at 0. */
	check(number(KEY_RAM, 8) >= ram_end(), "ram", "%lx", number(KEY_RAM, 8));
}

/* A file of the directory, by DMA, as OVMF looks for it; its key and size. */
static uint16_t find(const char *name, uint32_t *size)
{
	struct {
		uint32_t size;
		uint16_t key, reserved;
		char name[56];
	} packed file;
	uint32_t count;

	dma(SELECT | READ | KEY_DIRECTORY << 16, 4, (uint64_t)&count);
	for (count = __builtin_bswap32(count); count; count--) {
		dma(READ, sizeof(file), (uint64_t)&file);
		*size = __builtin_bswap32(file.size);
		if (text_equal(file.name, name))
			return __builtin_bswap16(file.key);
	}
	return 0;
}

static void files(void)
{
	struct {
		uint64_t base, size;
		uint32_t type;
	} packed ram;
	uint32_t size = 0;
	uint16_t key = find("etc/e820", &size);

	check(key >= 0x20 && size >= 20, "e820", "key %x, %u bytes", key, size);
	dma(SELECT | READ | key << 16, sizeof(ram), (uint64_t)&ram);
	if (on_keel())		/* QEMU begins with what is reserved */
		check(ram.base == 0 && ram.size >= ram_end() && ram.type == 1, "e820_ram",
		      "%lx %lx %x", ram.base, ram.size, ram.type);
	key = find("etc/system-states", &size);
	check_equal(size, 6, "system_states");
	check_equal(number(key, 1), 0x80, "s0");
	check_equal(find("etc/no-such-file", &size), 0, "no_such_file");
}

/* The file that we were loaded from, and what we were told. */
static void image(void)
{
	uint32_t size = (uint32_t)number(KEY_KERNEL_SIZE, 4);
	uint32_t length = (uint32_t)number(KEY_CMDLINE_SIZE, 4);
	uint8_t *to = (uint8_t *)FAR;
	const char *end = cmdline();
	uint32_t sum = 0;

	fill(to, 0xee, size + 16);
	check_equal(dma(SELECT | READ | KEY_KERNEL << 16, size + 8, FAR), 0, "kernel");
	check(!compare(to, "\x7f" "ELF", 4), "kernel_elf", "%x", *(uint32_t *)to);
	check(!compare(to + size, "\0\0\0\0\0\0\0\0\xee", 9), "kernel_end", "%x", to[size]);
	select(KEY_KERNEL);
	for (uint32_t i = 0; i < size; i++)
		sum += inb(DATA) != to[i];
	check_equal(sum, 0, "kernel_by_port");
	check_equal(dma(SELECT | READ | KEY_CMDLINE << 16, length, FAR), 0, "cmdline");
	while (*end)
		end++;
	check(length && !compare(end + 1 - length, to, length), "cmdline_text", "%s", to);
}

static void errors(void)
{
	check_equal(dma(SELECT | WRITE | KEY_CPUS << 16, 2, FAR), ERROR, "write");
	check_equal(number(KEY_CPUS, 2), 1, "not_written");
	check_equal(dma(SELECT | SKIP | KEY_CPUS << 16, ~0u, FAR), 0, "skip_4g");
	check_equal(inb(DATA), 0, "skipped");
	check_equal(dma(READ, 4, 0xfd000000), ERROR, "read_to_nowhere");
	check_equal(dma(READ, 4, ~1ul), ERROR, "read_around_the_end");
	outl(DMA_LOW, __builtin_bswap32(0xfd000000));	/* no descriptor: only survived */
	check_equal(number(0, 4), 0x554d4551, "alive");
}

/* The OUT that fills memory to its end does not keep interrupts out. */
static void long_one(void)
{
	unsigned count = 0, before;
	uint32_t rest = (uint32_t)(ram_end() - FAR), left;
	uint8_t *last = (uint8_t *)ram_end() - 1;

	*last = 0xee;
	apic_init(APIC_XAPIC);
	trap_count_set(TIMER, &count);
	apic_write(APIC_TIMER_DIV, TIMER_DIV_1);
	apic_write(APIC_LVT_TIMER, TIMER | LVT_PERIODIC);
	apic_write(APIC_TIMER_INIT, 100000);
	sti();
	while (!count)
		pause();
	before = count;
	left = dma(SELECT | READ | KEY_NOTHING << 16, rest, FAR);
	before = count - before;
	cli();
	check_equal(left, 0, "long");
	check_equal(*last, 0, "long_all_of_it");
	check(!on_keel() || before > 5, "long_interrupts", "%u came", before);
	sti();
	check_equal(dma(READ, ~0u, FAR), ERROR, "beyond_memory");
	cli();
}

void test_main(void)
{
	ports();
	files();
	errors();
	if (on_keel())
		image();
	long_one();
}
