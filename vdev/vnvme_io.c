/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See vnvme_parts.h: commands of the NVM command set, and the pages that any command names. Reads,
 * writes and comparisons are one request of the medium, done at once. Ranges that are given back or
 * zeroed may be many, large, and done later: such a command leaves its queue for a table, and its
 * list is read an entry at a time, copied, then checked.
 */
#include "vdev/vnvme_parts.h"

#include "include/bits.h"
#include "lib/string.h"

#define COST_UNIT	4096u
#define CLEAR_UNIT	(64u * COST_UNIT)	/* giving back is quicker than moving */
#define KEPT_BUDGET	64		/* of one command in the exit that brings it */
#define LIST_WINDOW	16u		/* entries of a list that are read at once */
#define ALL_NAMESPACES	0xffffffffu
#define FUA		0x40000000u	/* of dword 12 */
#define DSM_DEALLOCATE	4u		/* of dword 11 */
#define DSM_RANGE	16u		/* bytes */

enum {
	IO_FLUSH = 0x00, IO_WRITE = 0x01, IO_READ = 0x02, IO_COMPARE = 0x05, IO_ZERO = 0x08,
	IO_DSM = 0x09,
};

struct dsm_range {
	uint32_t attributes, blocks;
	uint64_t first;
};

_Static_assert(sizeof(struct dsm_range) == DSM_RANGE, "the driver's layout");

/* ---- pages ---- */

/* Pages that lie behind one another are one segment. */
static void add_page(struct nvme_cq *c, uint64_t at, uint64_t size)
{
	struct host_segment *last = &c->segment[c->count - 1];

	if (last->at + last->size == at && at)
		last->size += size;
	else
		c->segment[c->count++] = (struct host_segment){ at, size };
}

/*
 * The pages that a list names for `size` bytes. A list's last place is the way to another list if
 * more than one page is left; only the first one may begin within a page, so each has a page at
 * least.
 */
static int list_pages(struct vnvme *n, struct nvme_cq *c, uint64_t at, uint64_t size)
{
	uint64_t entry[LIST_WINDOW];

	if (at % sizeof(entry[0]))
		return NVME_PRP_OFFSET;
	while (size) {
		unsigned places = (unsigned)((NVME_PAGE - at % NVME_PAGE) / sizeof(entry[0]));
		unsigned pages = (unsigned)DIV_UP(size, NVME_PAGE), i;
		unsigned got = MIN(MIN(places, pages), LIST_WINDOW);
		int err = vpci_function_dma_read(&n->function, GPA(at), entry,
						 got * sizeof(entry[0]));

		if (err)
			return err == -EFAULT ? NVME_TRANSFER_ERROR : err;
		at += got * sizeof(entry[0]);
		for (i = 0; i < got; i++) {
			uint64_t part = MIN(size, (uint64_t)NVME_PAGE);

			if (entry[i] % NVME_PAGE)
				return NVME_PRP_OFFSET;
			if (i + 1 == places && size > part) {
				at = entry[i];
				break;
			}
			add_page(c, entry[i], part);
			size -= part;
		}
	}
	return 0;
}

int vnvme_io_pages(struct vnvme *n, struct nvme_cq *c, uint64_t prp1, uint64_t prp2, uint64_t size)
{
	uint64_t part = MIN(size, NVME_PAGE - prp1 % NVME_PAGE);

	if (unlikely(prp1 % 4))
		return NVME_PRP_OFFSET;
	c->segment[0] = (struct host_segment){ prp1, part };
	c->count = 1;
	size -= part;
	if (likely(!size))
		return 0;
	if (size > NVME_PAGE)
		return list_pages(n, c, prp2, size);
	if (prp2 % NVME_PAGE)
		return NVME_PRP_OFFSET;
	add_page(c, prp2, size);
	return 0;
}

/* ---- ends ---- */

static unsigned status_of(int err, bool write)
{
	switch (err) {
	case 0:
		return NVME_OK;
	case HOST_MEDIA_DIFFERS:
		return NVME_COMPARE_FAILED;
	case -EFAULT:
		return NVME_TRANSFER_ERROR;
	case -EPERM:
		return NVME_WRITE_PROTECTED;
	case -ENOMEM:
		return write ? NVME_CAPACITY : NVME_READ_ERROR;
	default:
		return write ? NVME_WRITE_FAULT : NVME_READ_ERROR;
	}
}

static int end(struct vnvme *n, struct nvme_cq *c, unsigned sq, const struct nvme_command *cmd,
	       unsigned status)
{
	if (unlikely(status))
		vnvme_admin_error(n, sq, cmd, status);
	return vnvme_queue_answer(n, c, sq, cmd->id, status, 0) ?: 1;
}

/* ---- reading, writing, comparing ---- */

static uint64_t first_of(const struct nvme_command *cmd)
{
	return cmd->word[0] | (uint64_t)cmd->word[1] << 32;
}

static uint32_t blocks_of(const struct nvme_command *cmd)
{
	return (cmd->word[2] & 0xffff) + 1;
}

static bool beyond(const struct vnvme *n, uint64_t first, uint64_t blocks)
{
	return first > n->blocks || blocks > n->blocks - first;
}

/* Before anything is moved. */
static unsigned check(const struct vnvme *n, const struct nvme_command *cmd, bool write)
{
	if (unlikely(blocks_of(cmd) > NVME_TRANSFER_MAX / NVME_BLOCK))
		return NVME_INVALID_FIELD;
	if (unlikely(beyond(n, first_of(cmd), blocks_of(cmd))))
		return NVME_LBA_RANGE;
	return unlikely(write && n->read_only) ? NVME_WRITE_PROTECTED : NVME_OK;
}

static void count(struct nvme_cq *c, bool write, uint32_t blocks)
{
	c->stat[write ? NVME_WRITES : NVME_READS]++;
	c->stat[write ? NVME_WRITE_BLOCKS : NVME_READ_BLOCKS] += blocks;
}

static int flush_medium(struct vnvme *n)
{
	return host_media_submit(&n->dev, 0,
				 &(struct host_media_request){ .op = HOST_MEDIA_FLUSH });
}

static int transfer(struct vnvme *n, struct nvme_cq *c, unsigned sq, const struct nvme_command *cmd,
		    enum host_media_op op)
{
	bool write = op == HOST_MEDIA_WRITE;
	struct host_media_request r = {
		.op = op, .offset = first_of(cmd) * NVME_BLOCK,
		.size = (uint64_t)blocks_of(cmd) * NVME_BLOCK, .segment = c->segment,
	};
	int err = (int)check(n, cmd, write);

	err = err ?: vnvme_io_pages(n, c, cmd->prp1, cmd->prp2, r.size);
	if (unlikely(err))
		return err < 0 ? err : end(n, c, sq, cmd, (unsigned)err);
	r.count = c->count;
	err = host_media_submit(&n->dev, 0, &r);
	if (!err && write && (cmd->word[2] & FUA || !READ_ONCE(n->s.setting[SETTING_CACHE])))
		err = flush_medium(n);
	if (unlikely(err)) {
		if (err == -EINTR)
			return err;
		return end(n, c, sq, cmd, status_of(err, write));
	}
	count(c, write, blocks_of(cmd));
	err = vnvme_queue_answer(n, c, sq, cmd->id, NVME_OK, 0);
	return err ?: (int)(r.size / COST_UNIT) + 1;
}

/* ---- commands that are kept ---- */

static struct nvme_kept *kept_find(struct vnvme *n)
{
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++) {
		uint8_t was = KEPT_FREE;

		if (__atomic_compare_exchange_n(&n->kept[i].state, &was, KEPT_TAKEN, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
			__atomic_add_fetch(&n->kept_count, 1, __ATOMIC_RELEASE);
			return &n->kept[i];
		}
	}
	return NULL;
}

/* Who finds none says so, and looks again: one may have become free before he said it. */
static struct nvme_kept *kept_take(struct vnvme *n)
{
	struct nvme_kept *k = kept_find(n);

	if (k)
		return k;
	__atomic_store_n(&n->kept_wanted, true, __ATOMIC_SEQ_CST);
	return kept_find(n);
}

static void kept_release(struct vnvme *n, struct nvme_kept *k)
{
	__atomic_store_n(&k->state, KEPT_FREE, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&n->kept_count, 1, __ATOMIC_RELEASE);
	if (__atomic_exchange_n(&n->kept_wanted, false, __ATOMIC_SEQ_CST))
		vnvme_queue_all_later(n);
}

/* A list has 4 KiB at most, and so lies in two pages: where a byte of it is. */
static uint64_t list_place(const struct nvme_kept *k, unsigned at)
{
	unsigned first = NVME_PAGE - k->prp1 % NVME_PAGE;

	return at < first ? k->prp1 + at : k->prp2 + at - first;
}

static int list_read(struct vnvme *n, const struct nvme_kept *k, struct dsm_range *r)
{
	unsigned at = k->index * DSM_RANGE;
	int err = 0;

	for (unsigned i = 0; i < DSM_RANGE && !err; i += 4)
		err = vpci_function_dma_read(&n->function, GPA(list_place(k, at + i)),
					     (uint8_t *)r + i, 4);
	return err;
}

/* The next range, in blocks: 0, a status, or an error. */
static int next_range(struct vnvme *n, const struct nvme_kept *k, uint64_t *first, uint64_t *blocks)
{
	struct dsm_range r = { .blocks = k->blocks, .first = k->first };
	int err = k->zero ? 0 : list_read(n, k, &r);

	if (err)
		return err == -EFAULT ? NVME_TRANSFER_ERROR : err;
	*first = r.first;
	*blocks = r.blocks;
	return beyond(n, r.first, r.blocks) ? NVME_LBA_RANGE : 0;
}

/* The medium may be done with it before the return: then it is ready again, and not ours. */
static int submit_range(struct vnvme *n, struct nvme_kept *k, uint64_t first, uint64_t blocks)
{
	struct host_media_request r = {
		.op = k->zero ? HOST_MEDIA_ZERO : HOST_MEDIA_DISCARD,
		.tag = (uint32_t)(k - n->kept), .offset = first * NVME_BLOCK,
		.size = blocks * NVME_BLOCK,
	};
	int err;

	k->index++;
	__atomic_store_n(&k->state, KEPT_UNDER_WAY, __ATOMIC_RELEASE);
	err = host_media_submit(&n->dev, 0, &r);
	if (err == HOST_MEDIA_LATER)
		return err;
	__atomic_store_n(&k->state, KEPT_READY, __ATOMIC_RELEASE);
	if (err == -EINTR || err == -EAGAIN)
		k->index--;
	else if (err)
		k->status = (uint16_t)status_of(err, true);
	return err == -EINTR || err == -EAGAIN ? err : 0;
}

/* One range more; HOST_MEDIA_LATER: it is done later. */
static int step(struct vnvme *n, struct nvme_kept *k, int *budget)
{
	uint64_t first, blocks;
	int err = next_range(n, k, &first, &blocks);

	if (err < 0)
		return err;
	if (err) {
		k->status = (uint16_t)err;
		return 0;
	}
	*budget -= 1 + (int)MIN(blocks * NVME_BLOCK / CLEAR_UNIT, 64ul);
	return submit_range(n, k, first, blocks);
}

static int answer(struct vnvme *n, struct nvme_cq *c, struct nvme_kept *k)
{
	struct nvme_command cmd = { .id = k->id, .nsid = 1 };
	unsigned sq = k->sq, status = k->status;
	int err;

	if (!vnvme_queue_room(n, c, &err))
		return err;
	kept_release(n, k);
	if (status)
		vnvme_admin_error(n, sq, &cmd, status);
	return vnvme_queue_answer(n, c, sq, cmd.id, status, 0);
}

/* As far as the budget goes: 1, it is spent. */
static int go_on(struct vnvme *n, struct nvme_cq *c, struct nvme_kept *k, int *budget)
{
	int err = 0;

	while (!err && !k->status && k->index < k->count) {
		if (*budget <= 0)
			return 1;
		err = step(n, k, budget);
	}
	return err == HOST_MEDIA_LATER ? 0 : err ?: answer(n, c, k);
}

int vnvme_io_kept(struct vnvme *n, struct nvme_cq *c, int *budget)
{
	int r = 0;

	for (unsigned i = 0; i < NVME_KEPT_MAX && !r; i++) {
		struct nvme_kept *k = &n->kept[i];

		if (__atomic_load_n(&k->state, __ATOMIC_ACQUIRE) == KEPT_READY &&
		    &n->cq[k->cq] == c)
			r = go_on(n, c, k, budget);
	}
	return r;
}

void vnvme_io_drop(struct vnvme *n, unsigned sq)
{
	for (unsigned i = 0; i < NVME_KEPT_MAX; i++)
		if (__atomic_load_n(&n->kept[i].state, __ATOMIC_ACQUIRE) != KEPT_FREE &&
		    n->kept[i].sq == sq)
			kept_release(n, &n->kept[i]);
}

/* Any thread. The owner of its queue goes on with it, or of one that waited for the medium. */
void vnvme_io_done(struct vdev *d, unsigned medium, uint32_t tag, int error)
{
	struct vnvme *n = vnvme_of(d);
	struct nvme_kept *k = &n->kept[tag];

	(void)medium;
	if (error)
		k->status = (uint16_t)status_of(error, true);
	__atomic_store_n(&k->state, KEPT_READY, __ATOMIC_RELEASE);
	vnvme_queue_kick_all(n);
}

/* What is asked for is begun in the same exit: the table says how far it comes. */
static int keep(struct vnvme *n, struct nvme_cq *c, unsigned sq, const struct nvme_command *cmd,
		bool zero)
{
	struct nvme_kept *k;
	int budget = KEPT_BUDGET, r;

	if (n->read_only)
		return end(n, c, sq, cmd, NVME_WRITE_PROTECTED);
	k = kept_take(n);
	if (!k)
		return -EAGAIN;
	k->zero = zero;
	k->sq = (uint16_t)sq;
	k->cq = n->sq[sq].cq;
	k->id = cmd->id;
	k->status = k->index = 0;
	k->count = zero ? 1 : (uint16_t)((cmd->word[0] & 0xff) + 1);
	k->first = first_of(cmd);
	k->blocks = blocks_of(cmd);
	k->prp1 = cmd->prp1;
	k->prp2 = cmd->prp2;
	__atomic_store_n(&k->state, KEPT_READY, __ATOMIC_RELEASE);
	r = go_on(n, c, k, &budget);
	if (r < 0 && c->waits)
		return r;
	/* It has left its queue whatever came of that. */
	if (r)
		vnvme_queue_later(n, c);
	return KEPT_BUDGET - budget + 1;
}

/* Of its hints only this one leads to anything. */
static int manage(struct vnvme *n, struct nvme_cq *c, unsigned sq, const struct nvme_command *cmd)
{
	unsigned size = ((cmd->word[0] & 0xff) + 1) * DSM_RANGE;

	if (cmd->prp1 % 4 || (cmd->prp1 % NVME_PAGE + size > NVME_PAGE && cmd->prp2 % NVME_PAGE))
		return end(n, c, sq, cmd, NVME_PRP_OFFSET);
	if (!(cmd->word[1] & DSM_DEALLOCATE))
		return end(n, c, sq, cmd, NVME_OK);
	return keep(n, c, sq, cmd, false);
}

static int flush(struct vnvme *n, struct nvme_cq *c, unsigned sq, const struct nvme_command *cmd)
{
	int err = flush_medium(n);

	return err == -EINTR ? err : end(n, c, sq, cmd, status_of(err, true));
}

int vnvme_io_serve(struct vnvme *n, struct nvme_cq *c, unsigned sq, const struct nvme_command *cmd)
{
	/* Neither fused nor by SGLs. */
	if (unlikely(cmd->flags))
		return end(n, c, sq, cmd, NVME_INVALID_FIELD);
	if (unlikely(cmd->nsid != 1) &&
	    (cmd->opcode != IO_FLUSH || cmd->nsid != ALL_NAMESPACES))
		return end(n, c, sq, cmd, NVME_INVALID_NAMESPACE);
	switch (cmd->opcode) {
	case IO_READ:
		return transfer(n, c, sq, cmd, HOST_MEDIA_READ);
	case IO_WRITE:
		return transfer(n, c, sq, cmd, HOST_MEDIA_WRITE);
	case IO_COMPARE:
		return transfer(n, c, sq, cmd, HOST_MEDIA_COMPARE);
	case IO_FLUSH:
		return flush(n, c, sq, cmd);
	case IO_ZERO:
		return keep(n, c, sq, cmd, true);
	case IO_DSM:
		return manage(n, c, sq, cmd);
	default:
		return end(n, c, sq, cmd, NVME_INVALID_OPCODE);
	}
}
