/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vfwcfg.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vfwcfg: items by port and by DMA, the directory, hostile selectors, descriptors and lengths,
 * transfers in pieces, saved in the middle.
 */
#include "tests/host/vdev_test.h"

#include "include/bits.h"
#include "vdev/vfwcfg.h"

#define DMA_ERROR	1u
#define DMA_READ	2u
#define DMA_SKIP	4u
#define DMA_SELECT	8u
#define DMA_WRITE	16u

#define DESCRIPTOR	0x100u
#define TARGET		0x1000u
#define BLOB		45000u		/* more than one exit's piece */

static struct vdev *d;
static struct vdev_host *h;
static uint8_t blob[BLOB];

static void count_up(const struct vfwcfg_item *item, uint32_t offset, void *dst, size_t n)
{
	assert_ptr_equal(item->data, blob);
	assert_true(offset + n <= item->size);
	for (size_t i = 0; i < n; i++)
		((uint8_t *)dst)[i] = (uint8_t)((offset + i) * 7);
}

static struct vdev *make(void)
{
	static const uint16_t cpus = 3;
	const struct vfwcfg_item items[] = {
		{ .key = VFWCFG_CPUS, .size = 2, .data = &cpus },
		{ .key = VFWCFG_KERNEL_DATA, .size = BLOB, .data = blob },
		{ .key = VFWCFG_IRQ0_OVERRIDE, .size = 4, .data = "\1\0\0" },
		{ .name = "etc/made", .size = 2000, .data = blob, .source = count_up },
		{ .name = "bootorder", .size = 5, .data = "HALT" },
		{ .name = "etc/e820", .size = 20, .data = "12345678901234567890" },
	};
	struct vdev *fresh;

	assert_int_equal(vfwcfg_create(&fresh), 0);
	for (unsigned i = 0; i < ARRAY_COUNT(items); i++)
		assert_int_equal(vfwcfg_add(fresh, &items[i]), 0);
	return fresh;
}

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BLOB; i++)
		blob[i] = (uint8_t)(i * 31 + (i >> 8));
	d = make();
	h = vdev_host_attach(d);
	memset(h->memory, 0xee, sizeof(h->memory));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	return 0;
}

static void select(uint16_t key)
{
	vdev_host_write(d, VFWCFG_PORTS, 0, 2, key);
}

static void read_port(void *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = in8(d, VFWCFG_PORTS, 1);
}

static uint32_t control(void)
{
	uint32_t v;

	memcpy(&v, h->memory + DESCRIPTOR, 4);
	return __builtin_bswap32(v);
}

static void describe(uint32_t control_word, uint32_t length, uint64_t address)
{
	uint32_t words[2] = { __builtin_bswap32(control_word), __builtin_bswap32(length) };

	address = __builtin_bswap64(address);
	memcpy(h->memory + DESCRIPTOR, words, 8);
	memcpy(h->memory + DESCRIPTOR + 8, &address, 8);
}

/* The OUT, as often as it has to run; how often that was. */
static unsigned out_low(uint32_t descriptor)
{
	unsigned n = 0, before;

	do {
		before = h->again;
		vdev_host_write(d, VFWCFG_DMA, 4, 4, __builtin_bswap32(descriptor));
		n++;
		assert_true(n < 200000);
	} while (h->again != before);
	return n;
}

static unsigned dma(uint32_t control_word, uint32_t length, uint64_t address)
{
	describe(control_word, length, address);
	return out_low(DESCRIPTOR);
}

static void test_ports(void **state)
{
	uint8_t got[8];

	(void)state;
	select(VFWCFG_SIGNATURE);
	read_port(got, 6);
	assert_memory_equal(got, "QEMU\0\0", 6);
	select(VFWCFG_ID);
	read_port(got, 4);
	assert_memory_equal(got, "\3\0\0\0", 4);
	select(VFWCFG_CPUS);
	read_port(got, 3);
	assert_memory_equal(got, "\3\0\0", 3);
	select(VFWCFG_CPUS | 0x4000);		/* to be written: the same item */
	out8(d, VFWCFG_PORTS, 1, 9);
	read_port(got, 1);
	assert_int_equal(got[0], 3);
	select(VFWCFG_IRQ0_OVERRIDE);
	assert_int_equal(in8(d, VFWCFG_PORTS, 0), 1);	/* the data, at either port */
	out8(d, VFWCFG_PORTS, 0, 0);			/* no selector: a byte */
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), 0);
	assert_int_equal(vdev_host_read(d, VFWCFG_PORTS, 0, 2), 0xffff);
	assert_int_equal(vdev_host_read(d, VFWCFG_DMA, 0, 4), 0x554d4551);
	assert_int_equal(vdev_host_read(d, VFWCFG_DMA, 4, 4), 0x47464320);
	assert_int_equal(vdev_host_read(d, VFWCFG_DMA, 7, 1), 'G');
}

static void test_hostile_selectors(void **state)
{
	(void)state;
	for (unsigned key = 0; key <= 0xffff; key++) {
		select((uint16_t)key);
		for (unsigned i = 0; i < 3; i++)
			in8(d, VFWCFG_PORTS, 1);
	}
	select(0x0fff);
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), 0);
	select(0x8000 | VFWCFG_CPUS);
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), 0);
}

static void test_directory(void **state)
{
	static const char *const names[] = { "bootorder", "etc/e820", "etc/made" };
	static const uint32_t sizes[] = { 5, 20, 2000 };
	static const uint16_t keys[] = { 0x21, 0x22, 0x20 };
	uint8_t got[4 + 64 * 3 + 1];

	(void)state;
	select(VFWCFG_DIRECTORY);
	read_port(got, sizeof(got));
	assert_memory_equal(got, "\0\0\0\3", 4);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *f = got + 4 + 64 * i;

		assert_int_equal(f[0] << 24 | f[1] << 16 | f[2] << 8 | f[3], sizes[i]);
		assert_int_equal(f[4] << 8 | f[5], keys[i]);
		assert_int_equal(f[6] | f[7], 0);
		assert_string_equal((const char *)f + 8, names[i]);
	}
	select(0x20);
	read_port(got, 3);
	assert_int_equal(got[2], 14);
	assert_int_equal(dma(DMA_SELECT | DMA_READ | 0x200000, 2000, TARGET), 1);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(h->memory[TARGET + i], (uint8_t)(i * 7));
	assert_int_equal(h->memory[TARGET + 2000], 0xee);
}

static void test_adding(void **state)
{
	struct vfwcfg_item i = { .key = VFWCFG_CPUS, .size = 1, .data = blob };
	char name[VFWCFG_NAME_MAX + 1];
	int err = 0;

	(void)state;
	assert_int_equal(vfwcfg_add(d, &i), -EEXIST);
	i.name = "etc/e820";
	assert_int_equal(vfwcfg_add_copy(d, &i), -EEXIST);
	memset(name, 'x', sizeof(name));
	name[VFWCFG_NAME_MAX] = 0;
	i.name = name;
	assert_int_equal(vfwcfg_add(d, &i), -EINVAL);
	i.name = NULL;
	for (i.key = 0x1000; !err; i.key++)
		err = vfwcfg_add_copy(d, &i);
	assert_int_equal(err, -ENOSPC);
	assert_in_range(i.key, 0x1020, 0x1040);
}

static void test_dma(void **state)
{
	(void)state;
	assert_int_equal(dma(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, 16, TARGET), 1);
	assert_int_equal(control(), 0);
	assert_memory_equal(h->memory + TARGET, blob, 16);
	assert_int_equal(h->memory[TARGET + 16], 0xee);
	/* It goes on where it stood, for the port as well. */
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), blob[16]);
	dma(DMA_SKIP, 100, 0);
	dma(DMA_READ, 4, TARGET);
	assert_memory_equal(h->memory + TARGET, blob + 117, 4);
	/* Behind the end are zeros, in the same transfer. */
	dma(DMA_SKIP, BLOB - 121 - 2, 0);
	dma(DMA_READ, 10, TARGET);
	assert_memory_equal(h->memory + TARGET, blob + BLOB - 2, 2);
	assert_memory_equal(h->memory + TARGET + 2, "\0\0\0\0\0\0\0\0", 8);
	/* No action: only the selection. Nothing can be written. Reading goes first. */
	dma(DMA_SELECT | VFWCFG_CPUS << 16, 7, TARGET);
	assert_int_equal(control(), 0);
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), 3);
	dma(DMA_WRITE, 1, TARGET);
	assert_int_equal(control(), DMA_ERROR);
	dma(DMA_WRITE, 0, TARGET);
	assert_int_equal(control(), 0);
	dma(DMA_SELECT | DMA_READ | DMA_WRITE | DMA_SKIP | VFWCFG_CPUS << 16, 2, TARGET);
	assert_int_equal(control(), 0);
	assert_memory_equal(h->memory + TARGET, "\3\0", 2);
	/* The high half counts once. */
	describe(DMA_READ, 1, TARGET);
	vdev_host_write(d, VFWCFG_DMA, 0, 4, __builtin_bswap32(1));
	out_low(DESCRIPTOR);
	assert_int_equal(control(), DMA_READ);
	out_low(DESCRIPTOR);
	assert_int_equal(control(), 0);
}

static void test_hostile_dma(void **state)
{
	(void)state;
	/* A descriptor that is not in memory, or not whole. */
	out_low(0xfffffff0);
	out_low(VDEV_HOST_MEMORY - 8);
	/* A target that is not, in its first or a later piece. */
	dma(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, 16, ~0ul - 4);
	assert_int_equal(control(), DMA_ERROR);
	dma(DMA_READ, 60000, 20000);
	assert_int_equal(control(), DMA_ERROR);
	/* 4 GiB of zeros, skipped at once or copied until memory ends. */
	assert_int_equal(dma(DMA_SELECT | DMA_SKIP | 0xfff0000, ~0u, 0), 1);
	assert_int_equal(control(), 0);
	assert_in_range(dma(DMA_READ, ~0u, TARGET), 2, 3);
	assert_int_equal(control(), DMA_ERROR);
	/* Accesses of other sizes and places do nothing. */
	describe(DMA_READ, 1, TARGET);
	vdev_host_write(d, VFWCFG_DMA, 4, 1, 0);
	vdev_host_write(d, VFWCFG_DMA, 4, 2, DESCRIPTOR);
	vdev_host_write(d, VFWCFG_DMA, 2, 4, 0);
	assert_int_equal(control(), DMA_READ);
	/* Over its own descriptor. */
	dma(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, 100, DESCRIPTOR);
	assert_int_equal(control(), 0);
}

/* A long one takes several exits; whatever interrupts it, each byte arrives. */
static void test_pieces(void **state)
{
	struct vdev *fresh;
	struct vdev_host *f;

	(void)state;
	assert_int_equal(dma(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, BLOB, TARGET), 2);
	assert_memory_equal(h->memory + TARGET, blob, BLOB);
	memset(h->memory, 0xee, sizeof(h->memory));
	for (unsigned interrupts = 1; interrupts < 5; interrupts++) {
		h->mem_interrupt = interrupts;
		describe(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, BLOB, TARGET);
		assert_int_equal(out_low(DESCRIPTOR), 2 + interrupts);
		assert_int_equal(control(), 0);
		assert_memory_equal(h->memory + TARGET, blob, BLOB);
	}
	/* Saved in the middle, it ends elsewhere; the ports have a selection of their own. */
	select(VFWCFG_CPUS);
	describe(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, BLOB, TARGET);
	vdev_host_write(d, VFWCFG_DMA, 4, 4, __builtin_bswap32(DESCRIPTOR));
	assert_int_not_equal(control(), 0);
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), 3);
	fresh = make();
	f = vdev_host_attach(fresh);
	check_save_load(d, fresh);
	check_refused(d, 1, 0x40);		/* the write bit is no part of a key */
	check_refused(d, 10, 2);
	check_refused(d, 12, 3);		/* two actions */
	check_refused(d, 12, 0);		/* none, with bytes left */
	memcpy(f->memory, h->memory, sizeof(h->memory));
	memset(f->memory + TARGET + 40000, 0xee, 5000);
	vdev_host_detach(h);
	d = fresh;
	h = f;
	assert_int_equal(out_low(DESCRIPTOR), 1);
	assert_int_equal(control(), 0);
	assert_memory_equal(h->memory + TARGET, blob, BLOB);
	assert_int_equal(in8(d, VFWCFG_PORTS, 1), 0);
}

/* Another vCPU's transfer is helped to its end, and reset forgets it. */
static void test_two_at_once(void **state)
{
	(void)state;
	describe(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, BLOB, TARGET);
	vdev_host_write(d, VFWCFG_DMA, 4, 4, __builtin_bswap32(DESCRIPTOR));
	memcpy(h->memory + DESCRIPTOR + 16, "\0\5\0\12\0\0\0\2\0\0\0\0\0\0\1\x80", 16);
	assert_int_equal(out_low(DESCRIPTOR + 16), 2);
	assert_memory_equal(h->memory + TARGET, blob, BLOB);
	assert_memory_equal(h->memory + 0x180, "\3\0\xee", 3);
	assert_int_equal(out_low(DESCRIPTOR), 1);	/* the first one's OUT runs again */
	assert_int_equal(control(), 0);
	describe(DMA_SELECT | DMA_READ | VFWCFG_KERNEL_DATA << 16, BLOB, TARGET);
	vdev_host_write(d, VFWCFG_DMA, 4, 4, __builtin_bswap32(DESCRIPTOR));
	d->ops->reset(d);
	memset(h->memory + TARGET, 0xee, BLOB);
	assert_int_equal(dma(DMA_READ, 4, 0x180), 1);
	assert_memory_equal(h->memory + 0x180, "QEMU", 4);
	assert_int_equal(h->memory[TARGET], 0xee);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_ports), CASE(test_hostile_selectors), CASE(test_directory),
		CASE(test_adding), CASE(test_dma), CASE(test_hostile_dma), CASE(test_pieces),
		CASE(test_two_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
