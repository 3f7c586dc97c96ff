/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/vedu.c vdev/vpci*.c lib/record.c tests/host/vdev_host.c */
/*
 * vdev/vedu: registers, factorials, interrupts by pin and message, DMA both ways with all that it
 * refuses, what ends one in mid-flight, saved form.
 */
#include "tests/host/vdev_test.h"

#include "vdev/vedu.h"
#include "vdev/vpci.h"
#include "vdev/vpci_msi.h"

#define MEMORY	2
#define MASTER	4

static struct vdev *bus, *d;
static struct vdev_host *b, *h;
static struct vpci_function *f;

static void make(struct vdev **root, struct vdev **edu)
{
	assert_int_equal(vpci_create(NULL, root) | vedu_create(edu), 0);
	vdev_host_attach(*root);
	vdev_host_attach(*edu);
	assert_int_equal(vpci_attach(*root, 0, 4, 0, vedu_function(*edu)), 0);
}

static int setup(void **state)
{
	(void)state;
	make(&bus, &d);
	b = bus->host;
	h = d->host;
	f = vedu_function(d);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(h);
	vdev_host_detach(b);
	return 0;
}

static void config(unsigned reg, unsigned size, uint64_t v)
{
	vdev_host_write(bus, VPCI_ECAM, 4 << 15 | reg, size, v);
}

static uint32_t get(unsigned reg)
{
	return (uint32_t)vdev_host_read(d, 0, reg, 4);
}

static void put(unsigned reg, uint32_t v)
{
	vdev_host_write(d, 0, reg, 4, v);
}

static uint64_t get8(unsigned reg)
{
	return vdev_host_read(d, 0, reg, 8);
}

static void put8(unsigned reg, uint64_t v)
{
	vdev_host_write(d, 0, reg, 8, v);
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(vdev_host_read(bus, VPCI_ECAM, 4 << 15, 4), 0x11e81234);
	assert_int_equal(get(0), 0x010000ed);
	put(0, 0);
	assert_int_equal(get(0) & 0xff, 0xed);
	put(4, 0x12345678);
	assert_int_equal(get(4), ~0x12345678u);
	assert_int_equal(get(0x20), 0);
	put(0x20, ~0u);
	assert_int_equal(get(0x20), 0x80);
	assert_int_equal(get(0x60), ~0u);
	assert_int_equal(get(0x2000), ~0u);
	assert_int_equal(get(0x40000), ~0u);		/* the buffer is DMA's alone */
	assert_int_equal(vdev_host_read(d, 0, 4, 1), 0xff);
	assert_int_equal(vdev_host_read(d, 0, 4, 2), 0xffff);
	assert_int_equal(get8(0), ~0ul);
	vdev_host_write(d, 0, 4, 1, 0);
	put8(0, 0);
	assert_int_equal(get(4), ~0x12345678u);
	put8(0x80, 0x1122334455667788);
	assert_int_equal(get8(0x80), 0x1122334455667788);
	assert_int_equal(get(0x80), 0x55667788);
	put(0x80, 5);
	assert_int_equal(get8(0x80), 5);
	assert_int_equal(vdev_host_read(d, 0, 0x80, 2), 0xffff);
}

static void test_factorial(void **state)
{
	static const uint32_t known[][2] = {
		{ 0, 1 }, { 1, 1 }, { 5, 120 }, { 12, 479001600 }, { 13, 1932053504 },
		{ 33, 0x80000000 }, { 34, 0 }, { 0xffffffff, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		put(8, known[i][0]);
		assert_int_equal(get(8), known[i][1]);
		assert_int_equal(get(0x20) & 1, 0);
	}
	assert_int_equal(get(0x24), 0);
	put(0x20, 0x80);
	put(8, 4);
	assert_int_equal(get(0x24), 1);
	assert_true(h->line[0]);
}

static void test_interrupts(void **state)
{
	unsigned at = f->msi;

	(void)state;
	put(0x60, 0x10);
	put(0x60, 0x200);
	assert_int_equal(get(0x24), 0x210);
	assert_true(h->line[0]);
	put(0x64, 0x10);
	assert_int_equal(get(0x24), 0x200);
	assert_true(h->line[0]);
	put(0x64, 0x200);
	assert_false(h->line[0]);
	put(0x60, 0);					/* no reason, no interrupt */
	assert_false(h->line[0]);
	config(at + 4, 8, 0xfee00000);
	config(at + 12, 2, 0x51);
	config(at + 2, 2, 1);
	config(4, 2, MASTER);
	put(0x60, 1);
	put(0x60, 1);
	assert_false(h->line[0]);
	assert_int_equal(h->message_count, 2);
	assert_int_equal(h->message[1].data, 0x51);
	put(0x64, ~0u);
	assert_int_equal(get(0x24), 0);
}

static void dma(uint64_t from, uint64_t to, uint64_t n, uint32_t command)
{
	put8(0x80, from);
	put8(0x88, to);
	put8(0x90, n);
	put(0x98, command);
}

static void test_dma(void **state)
{
	uint8_t bytes[4096];

	(void)state;
	config(4, 2, MASTER);
	for (unsigned i = 0; i < 4096; i++)
		bytes[i] = h->memory[0x1000 + i] = (uint8_t)(i * 7 + 3);
	dma(0x1000, 0x40000, 4096, 1);
	assert_int_equal(h->work_queued, 1);
	assert_int_equal(get(0x98), 1);
	put8(0x80, 0);					/* nothing changes meanwhile */
	put8(0x90, 1);
	put(0x98, 7);
	assert_int_equal(h->work_queued, 1);
	assert_int_equal(get8(0x80), 0x1000);
	d->ops->work(d);
	assert_int_equal(get(0x98), 0);
	d->ops->work(d);				/* nothing to do */
	dma(0x40010, 0x10003001, 100, 7);		/* 28 bits of the address count */
	d->ops->work(d);
	assert_memory_equal(h->memory + 0x3001, bytes + 0x10, 100);
	assert_int_equal(h->memory[0x3000] | h->memory[0x3001 + 100], 0);
	assert_int_equal(get(0x98), 6);
	assert_int_equal(get(0x24), 0x100);
	assert_true(h->line[0]);
	put(0x98, 2);					/* does not start */
	assert_int_equal(get(0x98), 6);
	assert_int_equal(h->work_queued, 2);
}

static void refused_dma(uint64_t buffer, uint64_t ram, uint64_t n)
{
	static uint8_t before[VDEV_HOST_MEMORY];

	memcpy(before, h->memory, sizeof(before));
	dma(buffer, ram, n, 3);
	d->ops->work(d);
	assert_int_equal(get(0x98), 2);
	dma(ram, buffer, n, 1);
	d->ops->work(d);
	assert_int_equal(get(0x98), 0);
	assert_memory_equal(before, h->memory, sizeof(before));
}

static void test_dma_refused(void **state)
{
	(void)state;
	memset(h->memory, 0x5a, sizeof(h->memory));
	refused_dma(0x40000, 0x1000, 16);		/* not a master */
	config(4, 2, MASTER);
	refused_dma(0x40000, 0x1000, 0);
	refused_dma(0x3ffff, 0x1000, 1);
	refused_dma(0x41000, 0x1000, 1);
	refused_dma(0x40001, 0x1000, 4096);
	refused_dma(0x40000, 0x1000, 4097);
	refused_dma(0x40000, 0x1000, ~0ul);
	refused_dma(~0ul, 0x1000, 2);
	refused_dma(0x40000, VDEV_HOST_MEMORY - 8, 16);	/* no memory there */
	refused_dma(0x40000, 0xfffffff, 4096);
	dma(0x40000, 0x2000, 16, 3);			/* and what it refused it has not read */
	d->ops->work(d);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(h->memory[0x2000 + i], 0);
}

static void test_dma_once_more(void **state)
{
	(void)state;
	config(4, 2, MASTER);
	h->memory[0x100] = 0x77;
	dma(0x100, 0x40000, 1, 5);
	h->mem_interrupt = 1;
	d->ops->work(d);
	assert_int_equal(get(0x98), 5);
	assert_false(h->line[0]);
	vdev_host_advance(h, 20000000);
	assert_int_equal(h->work_queued, 2);
	d->ops->work(d);
	assert_int_equal(get(0x98), 4);
	assert_true(h->line[0]);
}

static void test_reset(void **state)
{
	(void)state;
	config(4, 2, MASTER | MEMORY);
	config(0x10, 4, 0xd0000000);
	assert_true(h->region[0].enabled);
	put(0x60, 1);
	put(4, 1);
	dma(0x100, 0x40000, 1, 5);
	config(f->express + 8u, 2, 0x8000);		/* of the function alone */
	assert_false(h->region[0].enabled || h->line[0]);
	assert_int_equal(get(0x98) | get(0x24) | get(4), 0);
	d->ops->work(d);
	assert_false(h->line[0]);
	dma(0x100, 0x40000, 1, 1);
	h->mem_interrupt = 1;
	config(4, 2, MASTER);
	d->ops->work(d);
	d->ops->reset(d);				/* the timer goes, too */
	vdev_host_advance(h, 100000000);
	assert_int_equal(h->timer_count, 0);
}

static void test_saved(void **state)
{
	struct vdev *root, *other;
	struct vdev_host *o;

	(void)state;
	make(&root, &other);
	o = other->host;
	config(4, 2, MASTER);
	config(0x10, 4, 0xd0000000);
	put(4, 5);
	put(0x20, 0x80);
	put(0x60, 2);
	h->memory[0x1234] = 9;
	dma(0x1234, 0x40007, 1, 1);
	d->ops->work(d);
	dma(0x40007, 0x2000, 1, 7);
	check_save_load(d, other);
	assert_true(o->line[0]);
	assert_int_equal(o->work_queued, 1);		/* it goes on there */
	other->ops->work(other);
	assert_int_equal(o->memory[0x2000], 9);
	check_refused(d, 8, 0x81);			/* status */
	check_refused(d, 12, 0);			/* the pin is up for nothing */
	check_refused(d, 16 + 24, 8);			/* command */
	vdev_host_detach(o);
	vdev_host_detach(root->host);
}

int main(void)
{
#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_registers), CASE(test_factorial), CASE(test_interrupts),
		CASE(test_dma), CASE(test_dma_refused), CASE(test_dma_once_more),
		CASE(test_reset), CASE(test_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
