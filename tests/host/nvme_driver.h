/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of an NVMe controller, for tests: queues in the memory of tests/host/vdev_host.h,
 * commands of any bytes, doorbells in registers or in memory. One controller at a time, at slot 4
 * of a bus of its own; queue 0 has 16 entries of each kind.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "include/bits.h"
#include "tests/host/vdev_host.h"
#include "vdev/vnvme.h"
#include "vdev/vpci.h"

#define NVME_DEVFN	(4u << 3)
#define NVME_CC		0x14u
#define NVME_CSTS	0x1cu

/* Guest memory: both queues of number N, then shadow doorbells, lists, data. */
#define NVME_SQ_AT(i)	(0x1000u * (1 + 2 * (i)))
#define NVME_CQ_AT(i)	(0x1000u * (2 + 2 * (i)))
#define NVME_SHADOW	0x9000u
#define NVME_LIST	0xb000u
#define NVME_DATA	0xc000u		/* 16 KiB */

struct nvme_entry {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t unused, metadata, prp1, prp2;
	uint32_t word[6];
};

struct nvme_answer {
	uint32_t result, unused;
	uint16_t head, queue, id, status;
};

struct nvme_driver_queue {
	unsigned size, place;		/* of a submission queue its tail, else its head */
	bool phase;
};

static struct vdev *nvme_bus, *nvme_dev;
static struct vdev_host *nvme_host;
static struct nvme_driver_queue nvme_sq[4], nvme_cq[4];
static struct nvme_entry nvme_command;	/* the next one; what it leaves out is filled in */
static struct nvme_answer nvme_last;
static bool nvme_shadow;
static unsigned nvme_bells;		/* rung so far */

static inline uint32_t nvme_get(unsigned at)
{
	return (uint32_t)vdev_host_read(nvme_dev, 0, at, 4);
}

static inline void nvme_put(unsigned at, uint32_t v)
{
	vdev_host_write(nvme_dev, 0, at, 4, v);
}

static inline void nvme_put32(uint64_t at, uint32_t v)
{
	memcpy(nvme_host->memory + at, &v, 4);
}

static inline uint32_t nvme_get32(uint64_t at)
{
	uint32_t v;

	memcpy(&v, nvme_host->memory + at, 4);
	return v;
}

static inline void nvme_config_put(unsigned at, unsigned size, uint64_t v)
{
	vdev_host_write(nvme_bus, VPCI_ECAM, NVME_DEVFN << 12 | at, size, v);
}

static inline uint64_t nvme_config_get(unsigned at, unsigned size)
{
	return vdev_host_read(nvme_bus, VPCI_ECAM, NVME_DEVFN << 12 | at, size);
}

static inline void nvme_bell(unsigned bell, uint32_t v)
{
	nvme_bells++;
	nvme_put(VNVME_DOORBELLS + 4 * bell, v);
}

/* As a driver tells of a place: in memory, and by the register if that is past what it reads. */
static inline void nvme_tell(unsigned bell, uint32_t v)
{
	uint16_t old, event;

	if (nvme_shadow && bell > 1) {
		old = (uint16_t)nvme_get32(NVME_SHADOW + 4 * bell);
		nvme_put32(NVME_SHADOW + 4 * bell, v);
		event = (uint16_t)nvme_get32(NVME_SHADOW + 0x1000 + 4 * bell);
		if ((uint16_t)(v - event - 1) >= (uint16_t)(v - old))
			return;
	}
	nvme_bell(bell, v);
}

static inline int nvme_driver_create(unsigned queues, struct vdev **out)
{
	struct vnvme_config c = { .queues = queues };

	for (unsigned i = 0; i < 16; i++)
		c.uuid[i] = (uint8_t)(i + 1);
	return vnvme_create(&c, out);
}

static inline void nvme_driver_make(unsigned queues)
{
	assert_int_equal(vpci_create(NULL, &nvme_bus) | nvme_driver_create(queues, &nvme_dev), 0);
	vdev_host_attach(nvme_bus);
	nvme_host = vdev_host_attach(nvme_dev);
	assert_int_equal(vpci_attach(nvme_bus, 0, 4, 0, vnvme_function(nvme_dev)), 0);
	nvme_shadow = false;
	memset(nvme_sq, 0, sizeof(nvme_sq));
	memset(nvme_cq, 0, sizeof(nvme_cq));
	memset(&nvme_command, 0, sizeof(nvme_command));
}

static inline void nvme_driver_end(void)
{
	vdev_host_detach(nvme_host);
	vdev_host_detach(nvme_bus->host);
}

static struct vdev *nvme_other_bus, *nvme_other;

/* To another controller, which has the same queues; and back, which ends that one. */
static inline void nvme_driver_switch(struct vdev *d, struct vdev *bus)
{
	nvme_other = nvme_dev;
	nvme_other_bus = nvme_bus;
	nvme_dev = d;
	nvme_bus = bus;
	nvme_host = d->host;
}

static inline void nvme_driver_switch_back(void)
{
	nvme_driver_end();
	nvme_driver_switch(nvme_other, nvme_other_bus);
}

static inline void nvme_queue_new(struct nvme_driver_queue *q, unsigned size, uint64_t at)
{
	*q = (struct nvme_driver_queue){ .size = size, .phase = true };
	memset(nvme_host->memory + at, 0, 4096);
}

static inline void nvme_driver_start(void)
{
	nvme_config_put(4, 2, 7);
	nvme_put(0x24, 0x000f000f);
	nvme_put(0x28, NVME_SQ_AT(0));
	nvme_put(0x2c, 0);
	nvme_put(0x30, NVME_CQ_AT(0));
	nvme_put(0x34, 0);
	nvme_queue_new(&nvme_sq[0], 16, NVME_SQ_AT(0));
	nvme_queue_new(&nvme_cq[0], 16, NVME_CQ_AT(0));
	nvme_put(NVME_CC, 0x460001);
	assert_int_equal(nvme_get(NVME_CSTS), 1);
}

/* Every vector is a message of its own: 0x40 and on. */
static inline void nvme_msix(bool on)
{
	unsigned cap = (unsigned)nvme_config_get(0x34, 1);

	for (unsigned i = 0; i < 5; i++) {
		nvme_put(VNVME_MESSAGES + 16 * i, 0xfee00000);
		nvme_put(VNVME_MESSAGES + 16 * i + 8, 0x40 + i);
		nvme_put(VNVME_MESSAGES + 16 * i + 12, 0);
	}
	while (nvme_config_get(cap, 1) != 0x11)
		cap = (unsigned)nvme_config_get(cap + 1, 1);
	nvme_config_put(cap + 2, 2, on ? 0x8000 : 0);
}

/* nvme_command into the queue, without telling. */
static inline void nvme_enter(unsigned queue)
{
	struct nvme_driver_queue *q = &nvme_sq[queue];

	memcpy(nvme_host->memory + NVME_SQ_AT(queue) + 64 * q->place, &nvme_command,
	       sizeof(nvme_command));
	q->place = (q->place + 1) % q->size;
	memset(&nvme_command, 0, sizeof(nvme_command));
}

static inline void nvme_ring(unsigned queue)
{
	nvme_tell(2 * queue, nvme_sq[queue].place);
}

static inline void nvme_driver_ring_register(unsigned queue)
{
	nvme_bell(2 * queue, nvme_sq[queue].place);
}

static inline void nvme_submit(unsigned queue)
{
	nvme_enter(queue);
	nvme_ring(queue);
}

static inline bool nvme_answered(unsigned queue, unsigned place, bool phase)
{
	memcpy(&nvme_last, nvme_host->memory + NVME_CQ_AT(queue) + 16 * place, sizeof(nvme_last));
	return (nvme_last.status & 1) == phase;
}

/* The next answer's status; -1: there is none. */
static inline int nvme_reap(unsigned queue)
{
	struct nvme_driver_queue *q = &nvme_cq[queue];

	if (!nvme_answered(queue, q->place, q->phase))
		return -1;
	q->place = (q->place + 1) % q->size;
	q->phase ^= !q->place;
	nvme_tell(2 * queue + 1, q->place);
	return nvme_last.status >> 1;
}

/* How many answers stand there. */
static inline unsigned nvme_cq_tail(unsigned queue)
{
	unsigned n = 0;

	while (nvme_answered(queue, n, true))
		n++;
	return n;
}

static inline int nvme_admin(void)
{
	nvme_submit(0);
	vdev_host_work(nvme_host);
	return nvme_reap(0);
}

static inline int nvme_identify(unsigned what, uint32_t nsid)
{
	nvme_command.opcode = 6;
	nvme_command.nsid = nsid;
	nvme_command.prp1 = nvme_command.prp1 ?: NVME_DATA;
	nvme_command.word[0] = what;
	return nvme_admin();
}

/* By opcode 9 it is set, by 10 asked for. */
static inline int nvme_feature(unsigned opcode, uint32_t id, uint32_t value)
{
	nvme_command = (struct nvme_entry){ .opcode = (uint8_t)opcode, .word = { id, value } };
	return nvme_admin();
}

static inline int nvme_log(unsigned which, unsigned size, uint64_t from)
{
	nvme_command = (struct nvme_entry){ .opcode = 2, .prp1 = NVME_DATA,
		.word = { which | (size / 4 - 1) << 16, 0, (uint32_t)from } };
	return nvme_admin();
}

static inline int nvme_create_cq(unsigned queue, unsigned size, unsigned vector)
{
	nvme_command.opcode = 5;
	nvme_command.prp1 = nvme_command.prp1 ?: NVME_CQ_AT(queue);
	nvme_command.word[0] = queue | (size - 1) << 16;
	nvme_command.word[1] = 3 | vector << 16;
	return nvme_admin();
}

static inline int nvme_create_sq(unsigned queue, unsigned size, unsigned cq)
{
	nvme_command.opcode = 1;
	nvme_command.prp1 = NVME_SQ_AT(queue);
	nvme_command.word[0] = queue | (size - 1) << 16;
	nvme_command.word[1] = 1 | cq << 16;
	return nvme_admin();
}

/* By opcode 0 a submission queue, by 4 one of completions. */
static inline int nvme_delete(unsigned opcode, unsigned queue)
{
	nvme_command = (struct nvme_entry){ .opcode = (uint8_t)opcode, .word = { queue } };
	return nvme_admin();
}

/* A pair, with the vector of its number. */
static inline void nvme_driver_queue(unsigned queue, unsigned sq_size, unsigned cq_size)
{
	nvme_queue_new(&nvme_sq[queue], sq_size, NVME_SQ_AT(queue));
	nvme_queue_new(&nvme_cq[queue], cq_size, NVME_CQ_AT(queue));
	assert_int_equal(nvme_create_cq(queue, cq_size, queue), 0);
	assert_int_equal(nvme_create_sq(queue, sq_size, queue), 0);
}

/* nvme_command's words as they are, by queue 1, or 2 where that is not there. */
static inline int nvme_io_words(unsigned opcode)
{
	unsigned queue = nvme_sq[1].size ? 1 : 2;

	nvme_command.opcode = (uint8_t)opcode;
	nvme_command.nsid = nvme_command.nsid ?: 1;
	nvme_command.prp1 = nvme_command.prp1 ?: NVME_DATA;
	nvme_command.prp2 = nvme_command.prp2 ?: NVME_LIST;
	nvme_submit(queue);
	vdev_host_work(nvme_host);
	return nvme_reap(queue);
}

static inline int nvme_io(unsigned opcode, uint32_t first, unsigned blocks)
{
	nvme_command.word[0] = first;
	nvme_command.word[2] |= blocks - 1;
	return nvme_io_words(opcode);
}
