/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vtestdev.h. The memory is there from the first write on; before, it is zeros. It goes only
 * when no vCPU runs.
 */
#include "vdev/vtestdev.h"

#include "include/bits.h"
#include "lib/string.h"

struct vtestdev {
	struct vdev dev;
	struct vtestdev_config config;
	uint8_t scratch[4];
	uint32_t levels;	/* a bit per line */
	uint8_t *memory;	/* NULL: zeros */
};

static struct vtestdev *vtestdev_of(struct vdev *d)
{
	return container_of(d, struct vtestdev, dev);
}

/* Single bytes: a torn wide access is the guest's own affair. */
static uint64_t read_memory(const struct vtestdev *t, uint64_t offset, unsigned size)
{
	const uint8_t *memory = __atomic_load_n(&t->memory, __ATOMIC_ACQUIRE);
	uint64_t v = 0;

	for (unsigned i = 0; memory && i < size; i++)
		v |= (uint64_t)READ_ONCE(memory[offset + i]) << 8 * i;
	return v;
}

static uint64_t vtestdev_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	struct vtestdev *t = vtestdev_of(d);
	uint64_t v = 0;

	if (region == VTESTDEV_MEMORY)
		return read_memory(t, offset, size);
	if (region == VTESTDEV_PORTS || region == VTESTDEV_BYTES)
		for (unsigned i = 0; i < size; i++)
			v |= (uint64_t)READ_ONCE(t->scratch[(offset + i) & 3]) << 8 * i;
	return v;
}

/* NULL when there is no room: then the write is lost. */
static uint8_t *memory_of(struct vtestdev *t)
{
	uint8_t *memory = __atomic_load_n(&t->memory, __ATOMIC_ACQUIRE), *now = NULL;

	if (memory)
		return memory;
	memory = host_alloc(VTESTDEV_MEMORY_SIZE);
	if (!memory || __atomic_compare_exchange_n(&t->memory, &now, memory, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return memory;
	host_free(memory);		/* another vCPU was first */
	return now;
}

static void write_memory(struct vtestdev *t, uint64_t offset, unsigned size, uint64_t value)
{
	uint8_t *memory = memory_of(t);

	for (unsigned i = 0; memory && i < size; i++)
		WRITE_ONCE(memory[offset + i], (uint8_t)(value >> 8 * i));
}

static void set_levels(struct vtestdev *t, uint32_t levels)
{
	uint32_t changed = t->levels ^ levels;

	t->levels = levels;
	for (; changed; changed &= changed - 1) {
		unsigned line = bit_lowest(changed);

		t->config.line(t->config.context, line, levels & BIT(line));
	}
}

static void set_line(struct vtestdev *t, unsigned line, bool level)
{
	uint64_t flags = host_lock(&t->dev);
	uint32_t bit = (uint32_t)BIT(line);

	set_levels(t, level ? t->levels | bit : t->levels & ~bit);
	host_unlock(&t->dev, flags);
}

static void vtestdev_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	struct vtestdev *t = vtestdev_of(d);

	switch (region) {
	case VTESTDEV_MEMORY:
		write_memory(t, offset, size, value);
		break;
	case VTESTDEV_FLUSH:
		if (size == 4)
			t->config.flush(t->config.context, GPA(value & 0xfffff000));
		break;
	case VTESTDEV_LINES:
		if (size == 1)
			set_line(t, (unsigned)offset, value & 0xff);
		break;
	default:
		for (unsigned i = 0; i < size; i++)
			WRITE_ONCE(t->scratch[(offset + i) & 3], (uint8_t)(value >> 8 * i));
	}
}

static void vtestdev_reset(struct vdev *d)
{
	struct vtestdev *t = vtestdev_of(d);
	uint64_t flags = host_lock(d);

	set_levels(t, 0);
	host_unlock(d, flags);
	memset(t->scratch, 0, sizeof(t->scratch));
	host_free(t->memory);
	t->memory = NULL;
}

static void vtestdev_save(struct vdev *d, struct record_writer *w)
{
	const struct vtestdev *t = vtestdev_of(d);

	record_put(w, t->scratch, sizeof(t->scratch));
	record_put_u32(w, t->levels);
	record_put_bool(w, t->memory);
	if (t->memory)
		record_put(w, t->memory, VTESTDEV_MEMORY_SIZE);
}

static void commit(struct vtestdev *t, const uint8_t scratch[4], uint32_t levels, uint8_t *memory)
{
	uint64_t flags = host_lock(&t->dev);

	set_levels(t, levels);
	host_unlock(&t->dev, flags);
	memcpy(t->scratch, scratch, sizeof(t->scratch));
	host_free(t->memory);
	t->memory = memory;
}

static int vtestdev_load(struct vdev *d, struct record_reader *r, uint32_t version)
{
	uint8_t scratch[4], *memory = NULL;
	uint32_t levels;

	record_get(r, scratch, sizeof(scratch));
	levels = (uint32_t)record_get_below(r, 4, BIT(VTESTDEV_LINE_COUNT) - 1);
	if (record_get_bool(r)) {
		memory = host_alloc(VTESTDEV_MEMORY_SIZE);
		if (!memory)
			return -ENOMEM;
		record_get(r, memory, VTESTDEV_MEMORY_SIZE);
	}
	if (version != d->ops->version || record_finish(r)) {
		host_free(memory);
		return -EINVAL;
	}
	commit(vtestdev_of(d), scratch, levels, memory);
	return 0;
}

static void vtestdev_destroy(struct vdev *d)
{
	struct vtestdev *t = vtestdev_of(d);

	host_free(t->memory);
	host_free(t);
}

static const struct vdev_ops vtestdev_ops = {
	.name = "vtestdev", .version = 1, .read = vtestdev_read, .write = vtestdev_write,
	.reset = vtestdev_reset, .save = vtestdev_save, .load = vtestdev_load,
	.destroy = vtestdev_destroy,
};

int vtestdev_create(const struct vtestdev_config *config, struct vdev **out)
{
	struct vtestdev *t = host_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->dev.ops = &vtestdev_ops;
	t->config = *config;
	*out = &t->dev;
	return 0;
}
