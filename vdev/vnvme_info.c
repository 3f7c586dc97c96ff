/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vnvme_parts.h: what the controller tells of itself, its logs and its features, by the owner
 * of queue 0. "NVM Express" 1.4, Admin Command Set.
 */
#include "vdev/vnvme_parts.h"

#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define VENDOR		0x1b36u
#define SUBVENDOR	0x1af4u
#define VERSION		0x00010400u
#define MODEL		"Keel NVMe Ctrl"
#define FIRMWARE	"1.0"
#define TEMPERATURE	303u		/* kelvin */
#define TOO_HOT		343u
#define CRITICAL	373u
#define LOG_SIZE	512u
#define UNIT_BLOCKS	1000u		/* of the log's counters */
#define BLOCKS_TOGETHER	8u		/* the medium's own unit is 4 KiB */
#define WARN_TEMPERATURE 0x02u
#define EVENT_LOG_ERRORS 0x01u		/* types of events, as bits */
#define EVENT_LOG_HEALTH 0x02u
#define KEEP_EVENT	0x8000u		/* of dword 10 */
#define SAVE		0x80000000u
#define DEFAULTS	1u		/* of a feature; 0: as it is */

enum { ID_NAMESPACE, ID_CONTROLLER, ID_ACTIVE, ID_NAMES };
enum { LOG_ERRORS = 1, LOG_HEALTH, LOG_FIRMWARE };

/* ---- pages of bytes ---- */

static void put(uint8_t *page, unsigned at, unsigned size, uint64_t v)
{
	memcpy(page + at, &v, size);
}

/* As far as it goes, then spaces. */
static void put_text(uint8_t *page, unsigned at, unsigned size, const char *text)
{
	memset(page + at, ' ', size);
	memcpy(page + at, text, MIN(strlen(text), (size_t)size));
}

/* ---- identification ---- */

static void put_name(const struct vnvme *n, uint8_t *page)
{
	const uint8_t *u = n->uuid;

	format((char *)page + 768, 256, "nqn.2014-08.org.nvmexpress:uuid:"
	       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
	       u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
	       u[13], u[14], u[15]);
}

/* Bytes by their place; what is not named is 0: it cannot do that, or does not say. */
static const struct {
	uint16_t at;
	uint8_t size;
	uint32_t value;
} controller[] = {
	{ 0, 2, VENDOR }, { 2, 2, SUBVENDOR },
	{ 72, 1, 6 },			/* commands that arbitration takes at once: 64 */
	{ 77, 1, NVME_TRANSFER_LOG },
	{ 80, 4, VERSION },
	{ 111, 1, 1 },			/* for I/O */
	{ 256, 2, 0x100 },		/* has doorbells in memory */
	{ 258, 1, 3 },			/* 4 aborts */
	{ 259, 1, NVME_WAITING_MAX - 1 },
	{ 260, 1, 3 },			/* one slot of firmware, read-only */
	{ 261, 1, 4 },			/* logs from any place on */
	{ 262, 1, NVME_ERRORS - 1 },
	{ 266, 2, TOO_HOT }, { 268, 2, CRITICAL },
	{ 512, 1, 0x66 }, { 513, 1, 0x44 },	/* sizes of entries */
	{ 516, 4, 1 },			/* namespaces */
	{ 520, 2, 0x0d },		/* compares, manages data sets, writes zeroes */
	{ 525, 1, 7 },			/* a cache that flushes empty, by any namespace's number */
	{ 2048, 2, 2500 },		/* power state 0: 25 W */
};

static void identify_controller(struct vnvme *n)
{
	for (unsigned i = 0; i < ARRAY_COUNT(controller); i++)
		put(n->page, controller[i].at, controller[i].size, controller[i].value);
	put_text(n->page, 4, 20, n->name);
	put_text(n->page, 24, 40, MODEL);
	put_text(n->page, 64, 8, FIRMWARE);
	put_name(n, n->page);
}

/* Made of the last bytes of the other one; nobody's by law. */
static void make_eui(const struct vnvme *n, uint8_t *to)
{
	memcpy(to, n->uuid + 8, 8);
	to[0] = (uint8_t)((to[0] & 0xfc) | 2);
}

static void identify_namespace(struct vnvme *n)
{
	uint8_t *p = n->page;

	for (unsigned at = 0; at < 24; at += 8)
		put(p, at, 8, n->blocks);	/* size, capacity, use */
	p[24] = 0x10;				/* it tells of good places, below */
	p[33] = 0x08;				/* zeroes may be given back */
	for (unsigned at = 64; at < 72; at += 2)
		put(p, at, 2, BLOCKS_TOGETHER - 1);
	put(p, 72, 2, BLOCKS_TOGETHER - 1);
	p[99] = n->read_only;
	make_eui(n, p + 120);
	p[130] = 9;				/* format 0: blocks of 512 bytes */
}

static void identify_names(struct vnvme *n)
{
	uint8_t *p = n->page;

	p[0] = 1;
	p[1] = 8;
	make_eui(n, p + 4);
	p[12] = 3;
	p[13] = sizeof(n->uuid);
	memcpy(p + 16, n->uuid, sizeof(n->uuid));
}

int vnvme_info_identify(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			uint32_t *result)
{
	(void)result;
	memset(n->page, 0, sizeof(n->page));
	switch (cmd->word[0] & 0xff) {
	case ID_CONTROLLER:
		identify_controller(n);
		break;
	case ID_ACTIVE:
		if (cmd->nsid >= 0xfffffffe)
			return NVME_INVALID_NAMESPACE;
		n->page[0] = !cmd->nsid;
		break;
	case ID_NAMESPACE:
	case ID_NAMES:
		if (cmd->nsid != 1)
			return NVME_INVALID_NAMESPACE;
		if (cmd->word[0] & 0xff)
			identify_names(n);
		else
			identify_namespace(n);
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	return vnvme_admin_send(n, c, cmd, n->page, sizeof(n->page));
}

/* ---- logs ---- */

static unsigned warnings(const struct vnvme *n)
{
	return TEMPERATURE >= n->s.setting[SETTING_OVER] ||
	       TEMPERATURE <= n->s.setting[SETTING_UNDER] ? WARN_TEMPERATURE : 0;
}

static unsigned log_errors(struct vnvme *n)
{
	uint64_t flags = host_lock(&n->dev);

	for (unsigned i = 0; i < NVME_ERRORS; i++) {
		const struct nvme_error *e = &n->error[i];
		uint8_t *p = n->page + 64 * i;

		put(p, 0, 8, e->number);
		put(p, 8, 2, e->sq);
		put(p, 10, 2, e->id);
		put(p, 12, 2, e->status);
		put(p, 16, 8, e->lba);
		put(p, 24, 4, e->nsid);
	}
	host_unlock(&n->dev, flags);
	return 64 * NVME_ERRORS;
}

static uint64_t stat_of(const struct vnvme *n, enum nvme_stat which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n->queues; i++)
		sum += READ_ONCE(n->cq[i].stat[which]);
	return sum;
}

static unsigned log_health(struct vnvme *n)
{
	uint8_t *p = n->page;

	p[0] = (uint8_t)warnings(n);
	put(p, 1, 2, TEMPERATURE);
	p[3] = 100;			/* per cent spare */
	p[4] = 10;
	put(p, 32, 8, DIV_UP(stat_of(n, NVME_READ_BLOCKS), UNIT_BLOCKS));
	put(p, 48, 8, DIV_UP(stat_of(n, NVME_WRITE_BLOCKS), UNIT_BLOCKS));
	put(p, 64, 8, stat_of(n, NVME_READS));
	put(p, 80, 8, stat_of(n, NVME_WRITES));
	put(p, 176, 8, READ_ONCE(n->error_count));
	return LOG_SIZE;
}

static unsigned log_firmware(struct vnvme *n)
{
	n->page[0] = 1;
	put_text(n->page, 8, 8, FIRMWARE);
	return LOG_SIZE;
}

/* Events of its type may come again. */
static void log_was_read(struct vnvme *n, unsigned types)
{
	uint64_t flags = host_lock(&n->dev);

	n->s.event_masked &= (uint8_t)~types;
	host_unlock(&n->dev, flags);
	vnvme_queue_later(n, n->cq);
}

int vnvme_info_log(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
		   uint32_t *result)
{
	static const struct {
		unsigned (*make)(struct vnvme *n);
		unsigned types;
	} logs[] = {
		[LOG_ERRORS] = { log_errors, EVENT_LOG_ERRORS },
		[LOG_HEALTH] = { log_health, EVENT_LOG_HEALTH },
		[LOG_FIRMWARE] = { log_firmware, 0 },
	};
	unsigned which = cmd->word[0] & 0xff, size;
	uint64_t words = (cmd->word[0] >> 16 | (uint64_t)(cmd->word[1] & 0xffff) << 16) + 1;
	uint64_t from = cmd->word[2] | (uint64_t)cmd->word[3] << 32;
	int err;

	(void)result;
	if (which >= ARRAY_COUNT(logs) || !logs[which].make)
		return NVME_LOG_PAGE;
	memset(n->page, 0, LOG_SIZE);
	size = logs[which].make(n);
	if (from % 4 || from > size)
		return NVME_INVALID_FIELD;
	err = vnvme_admin_send(n, c, cmd, n->page + from, MIN(size - from, words * 4));
	if (!err && logs[which].types && !(cmd->word[0] & KEEP_EVENT))
		log_was_read(n, logs[which].types);
	return err;
}

/* ---- features ---- */

enum {
	FEATURE_TEMPERATURE = 4, FEATURE_QUEUES = 7, FEATURE_VECTOR = 9,
};

/* One that a driver reads and sets as a word; `bits` that it may set. */
struct feature {
	uint8_t id;
	uint32_t bits, initial;
};

static const struct feature settings[NVME_SETTINGS] = {
	[SETTING_ARBITRATION] = { 1, 0xffffff07, 6 }, [SETTING_POWER] = { 2, 0xe0, 0 },
	[SETTING_OVER] = { FEATURE_TEMPERATURE, 0xffff, TOO_HOT },
	[SETTING_UNDER] = { FEATURE_TEMPERATURE, 0xffff, 0 },
	[SETTING_RECOVERY] = { 5, 0xffff, 0 }, [SETTING_CACHE] = { 6, 1, 1 },
	[SETTING_COALESCING] = { 8, 0xffff, 0 },
	[SETTING_VECTORS] = { FEATURE_VECTOR, (1u << NVME_QUEUES) - 1, 0 },
	[SETTING_ATOMICITY] = { 10, 1, 0 }, [SETTING_EVENTS] = { 11, 0xff, 0 },
};

void vnvme_info_reset(struct vnvme *n)
{
	for (unsigned i = 0; i < NVME_SETTINGS; i++)
		n->s.setting[i] = settings[i].initial;
}

bool vnvme_info_settings_valid(const uint32_t *setting)
{
	for (unsigned i = 0; i < NVME_SETTINGS; i++)
		if (setting[i] & ~settings[i].bits)
			return false;
	return true;
}

bool vnvme_info_wants(const struct vnvme *n, enum nvme_event e)
{
	return e != EVENT_TEMPERATURE || n->s.setting[SETTING_EVENTS] & WARN_TEMPERATURE;
}

/* By dword 11 where there are two; NVME_SETTINGS: there is none. */
static unsigned find(const struct nvme_command *cmd, bool set)
{
	unsigned id = cmd->word[0] & 0xff, sensor = FIELD(cmd->word[1], 19, 16);
	unsigned which = FIELD(cmd->word[1], 21, 20), i = 0;

	while (i < NVME_SETTINGS && settings[i].id != id)
		i++;
	if (id == FEATURE_TEMPERATURE)
		return which > 1 || (sensor && !(set && sensor == 15)) ? NVME_SETTINGS : i + which;
	return i;
}

static uint32_t queue_counts(const struct vnvme *n)
{
	uint32_t last = n->queues - 2;

	return last | last << 16;
}

static uint32_t vector_bit(const struct nvme_command *cmd)
{
	return 1u << (cmd->word[1] & 0xffff);
}

static bool is_vector(const struct vnvme *n, const struct nvme_command *cmd)
{
	return (cmd->word[1] & 0xffff) < n->queues;
}

int vnvme_info_feature_get(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			   uint32_t *result)
{
	unsigned i = find(cmd, false), id = cmd->word[0] & 0xff;
	bool initial = FIELD(cmd->word[0], 10, 8) == DEFAULTS;

	(void)c;
	if (id == FEATURE_QUEUES) {
		*result = queue_counts(n);
		return 0;
	}
	if (i == NVME_SETTINGS || (id == FEATURE_VECTOR && !is_vector(n, cmd)) ||
	    FIELD(cmd->word[0], 10, 8) > DEFAULTS)
		return NVME_INVALID_FIELD;
	*result = initial ? settings[i].initial : n->s.setting[i];
	if (id == FEATURE_VECTOR)
		*result = (cmd->word[1] & 0xffff) |
			  (*result & vector_bit(cmd) ? 0x10000 : 0);
	return 0;
}

/* Only before there are queues. */
static int set_queues(const struct vnvme *n, const struct nvme_command *cmd, uint32_t *result)
{
	if ((cmd->word[1] & 0xffff) == 0xffff || cmd->word[1] >> 16 == 0xffff)
		return NVME_INVALID_FIELD;
	for (unsigned i = 1; i < n->queues; i++)
		if (n->cq[i].size || n->sq[i].size)
			return NVME_SEQUENCE;
	*result = queue_counts(n);
	return 0;
}

static int set_vector(struct vnvme *n, const struct nvme_command *cmd)
{
	uint32_t *vectors = &n->s.setting[SETTING_VECTORS];

	if (!is_vector(n, cmd))
		return NVME_INVALID_FIELD;
	*vectors &= ~vector_bit(cmd);
	if (cmd->word[1] & 0x10000)
		*vectors |= vector_bit(cmd);
	return 0;
}

int vnvme_info_feature_set(struct vnvme *n, struct nvme_cq *c, const struct nvme_command *cmd,
			   uint32_t *result)
{
	unsigned i = find(cmd, true), id = cmd->word[0] & 0xff;
	uint32_t v = cmd->word[1] & (id == FEATURE_TEMPERATURE ? 0xffff : ~0u);

	(void)c;
	if (cmd->word[0] & SAVE)
		return NVME_NOT_SAVEABLE;
	if (id == FEATURE_QUEUES)
		return set_queues(n, cmd, result);
	if (id == FEATURE_VECTOR)
		return set_vector(n, cmd);
	if (i == NVME_SETTINGS || (i != SETTING_EVENTS && v & ~settings[i].bits))
		return NVME_INVALID_FIELD;
	WRITE_ONCE(n->s.setting[i], v & settings[i].bits);
	if (id == FEATURE_TEMPERATURE && warnings(n))
		vnvme_admin_event(n, EVENT_TEMPERATURE);
	return 0;
}
