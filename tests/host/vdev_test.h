/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the unit tests of virtual devices: short names for accesses, and what every device's
 * saved form must hold.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/vdev_host.h"

static inline uint8_t in8(struct vdev *d, unsigned region, uint64_t offset)
{
	return (uint8_t)vdev_host_read(d, region, offset, 1);
}

static inline void out8(struct vdev *d, unsigned region, uint64_t offset, uint8_t v)
{
	vdev_host_write(d, region, offset, 1, v);
}

/*
 * Saves `d`, loads that into `fresh` (the same kind, attached, at the same clock), saves again:
 * the same bytes, lines and timers; the power-up state, loaded over itself, moves no line. Any cut,
 * a byte too many and another version are refused and change nothing.
 */
static inline void check_save_load(struct vdev *d, struct vdev *fresh)
{
	static uint8_t one[8192], two[8192], before[8192];
	struct vdev_host *h = d->host, *f = fresh->host;
	size_t n = vdev_host_save(d, one, sizeof(one)), was;
	uint32_t version = d->ops->version;
	bool line[HOST_LINE_MAX];

	f->now = h->now;
	was = vdev_host_save(fresh, before, sizeof(before));
	memcpy(line, f->line, sizeof(line));
	assert_int_equal(vdev_host_load(fresh, before, was, version), 0);
	assert_memory_equal(f->line, line, sizeof(line));
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(vdev_host_load(fresh, one, cut, version), -EINVAL);
	assert_int_equal(vdev_host_load(fresh, one, n + 1, version), -EINVAL);
	assert_int_equal(vdev_host_load(fresh, one, n, version + 1), -EINVAL);
	assert_int_equal(vdev_host_save(fresh, two, sizeof(two)), was);
	assert_memory_equal(two, before, was);
	assert_int_equal(vdev_host_load(fresh, one, n, version), 0);
	assert_int_equal(vdev_host_save(fresh, two, sizeof(two)), n);
	assert_memory_equal(one, two, n);
	assert_memory_equal(h->line, f->line, sizeof(h->line));
	assert_memory_equal(h->deadline, f->deadline, sizeof(h->deadline));
}

/*
 * Bytes that no device of this kind could have saved are refused: `at` set to `v` in what `d`
 * saves.
 */
static inline void check_refused(struct vdev *d, size_t at, uint8_t v)
{
	static uint8_t one[8192], two[8192];
	size_t n = vdev_host_save(d, one, sizeof(one));
	uint8_t was = one[at];

	assert_true(at < n);
	one[at] = v;
	assert_int_equal(vdev_host_load(d, one, n, d->ops->version), -EINVAL);
	one[at] = was;
	assert_int_equal(vdev_host_save(d, two, sizeof(two)), n);
	assert_memory_equal(one, two, n);
}
