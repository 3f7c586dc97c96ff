/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vpci_testdev.h. Each BAR begins with a header, little-endian: {test: 8, width: 8, 16 bits of
 * nothing, offset: 32, data: 32, count: 32, name}. Writing `test` chooses one and sets its count to
 * 0; one that is not there has width 0.
 */
#include "vdev/vpci_testdev.h"

#include "include/bits.h"
#include "lib/string.h"
#include "vdev/vpci_regs.h"

#define BARS		2
#define TEST		0	/* registers */
#define HEADER		16	/* then the name */
#define NO_TEST		0xff

struct test {
	uint8_t width, offset;
	uint32_t data;
	char name[2][20];		/* by BAR */
};

static const struct test tests[] = {
	{ 1, 0x80, 0xfa, { "memory-byte", "ports-byte" } },
	{ 2, 0x84, 0xface, { "memory-word", "ports-word" } },
	{ 4, 0x88, 0xfacecafe, { "memory-long", "ports-long" } },
};

struct vpci_testdev {
	struct vdev dev;
	struct vpci_function function;
	struct {
		uint8_t test;
		uint32_t count;
	} bar[BARS];
};

static struct vpci_testdev *testdev_of(struct vdev *d)
{
	return container_of(d, struct vpci_testdev, dev);
}

struct vpci_function *vpci_testdev_function(struct vdev *d)
{
	return &testdev_of(d)->function;
}

static const struct test *find_test(uint8_t number)
{
	return number < ARRAY_COUNT(tests) ? &tests[number] : NULL;
}

/* The header and the name, as they stand. */
static void show(const struct vpci_testdev *t, unsigned region, uint8_t *out)
{
	const struct test *test = find_test(t->bar[region].test);

	if (!test)
		return;
	out[1] = test->width;
	vpci_regs_set(out + 4, 4, test->offset);
	vpci_regs_set(out + 8, 4, test->data);
	vpci_regs_set(out + 12, 4, t->bar[region].count);
	memcpy(out + HEADER, test->name[region], sizeof(test->name[region]));
}

static uint64_t testdev_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint8_t bytes[HEADER + sizeof(tests[0].name[0])] = { 0 };
	uint64_t flags;

	if (offset + size > sizeof(bytes))
		return 0;
	flags = host_lock(d);
	show(testdev_of(d), region, bytes);
	host_unlock(d, flags);
	return vpci_regs_get(bytes + offset, size);
}

static void testdev_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vpci_testdev *t = testdev_of(d);
	uint64_t flags = host_lock(d);
	const struct test *test = find_test(t->bar[region].test);

	if (offset == TEST && size == 1) {
		t->bar[region].test = (uint8_t)value;
		t->bar[region].count = 0;
	} else if (test && offset == test->offset && size == test->width &&
		   (value & bytes_mask(size)) == test->data) {
		t->bar[region].count++;
	}
	host_unlock(d, flags);
}

static void testdev_reset(struct vdev *d)
{
	struct vpci_testdev *t = testdev_of(d);
	uint64_t flags = host_lock(d);

	for (unsigned i = 0; i < BARS; i++) {
		t->bar[i].test = NO_TEST;
		t->bar[i].count = 0;
	}
	host_unlock(d, flags);
	vpci_function_reset(&t->function);
}

static void testdev_save(struct vdev *d, struct record_writer *w)
{
	struct vpci_testdev *t = testdev_of(d);

	for (unsigned i = 0; i < BARS; i++) {
		record_put_u8(w, t->bar[i].test);
		record_put_u32(w, t->bar[i].count);
	}
	vpci_function_save(&t->function, w);
}

static int testdev_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	struct vpci_testdev *t = testdev_of(d);
	struct vpci_saved saved;
	uint32_t count[BARS];
	uint8_t test[BARS];
	uint64_t flags;

	for (unsigned i = 0; i < BARS; i++) {
		test[i] = record_get_u8(r);
		count[i] = record_get_u32(r);
		if (count[i] && !find_test(test[i]))
			r->error = -EINVAL;
	}
	vpci_function_read(&t->function, r, &saved);
	if (version != d->ops->version || record_finish(r))
		return -EINVAL;
	flags = host_lock(d);
	for (unsigned i = 0; i < BARS; i++) {
		t->bar[i].test = test[i];
		t->bar[i].count = count[i];
	}
	host_unlock(d, flags);
	vpci_function_commit(&t->function, &saved);
	return 0;
}

static void testdev_destroy(struct vdev *d)
{
	vpci_function_fini(vpci_testdev_function(d));
	host_free(testdev_of(d));
}

static const struct vdev_ops testdev_ops = {
	.name = "vpci_testdev", .version = 1, .read = testdev_read, .write = testdev_write,
	.reset = testdev_reset, .save = testdev_save, .load = testdev_load,
	.destroy = testdev_destroy,
};

int vpci_testdev_create(struct vdev **out)
{
	struct vpci_testdev *t = host_alloc(sizeof(*t));
	struct vpci_function *f;

	if (!t)
		return -ENOMEM;
	t->dev.ops = &testdev_ops;
	f = &t->function;
	vpci_function_init(f, &t->dev, 0x1b36, 0x0005, 0x00ff0000, 0x1af4, 0x1100);
	vpci_function_bar(f, 0, (struct vpci_bar){ .size = VPCI_TESTDEV_MEMORY_SIZE,
		.space = HOST_MMIO, .region = VPCI_TESTDEV_MEMORY });
	vpci_function_bar(f, 1, (struct vpci_bar){ .size = VPCI_TESTDEV_PORTS_SIZE,
		.space = HOST_PORT, .region = VPCI_TESTDEV_PORTS });
	*out = &t->dev;
	return 0;
}
