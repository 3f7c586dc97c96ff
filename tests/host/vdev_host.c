/* SPDX-License-Identifier: BSD-2-Clause */
/* See vdev_host.h. */
#include "tests/host/vdev_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/bits.h"

#define NEVER		(~0ul)
#define CHECK(c)	((c) ? (void)0 : fail(__func__, __LINE__, #c))

static void fail(const char *function, int line, const char *what)
{
	fprintf(stderr, "vdev_host: %s:%d: %s\n", function, line, what);
	abort();
}

void *host_alloc(size_t size)
{
	return calloc(1, size);
}

void host_free(void *p)
{
	free(p);
}

uint64_t host_lock(struct vdev *d)
{
	CHECK(d->host && !vdev_host_of(d)->locked);
	vdev_host_of(d)->locked = true;
	return 0x202;
}

void host_unlock(struct vdev *d, uint64_t flags)
{
	CHECK(flags == 0x202 && vdev_host_of(d)->locked);
	vdev_host_of(d)->locked = false;
}

static bool mem_interrupted(struct vdev_host *h)
{
	if (!h->mem_interrupt)
		return false;
	h->mem_interrupt--;
	return true;
}

int host_mem_read(struct vdev *d, gpa_t a, void *dst, size_t n)
{
	CHECK(!vdev_host_of(d)->locked);
	if (mem_interrupted(d->host))
		return -EINTR;
	if (!range_within(a.v, n, 0, VDEV_HOST_MEMORY))
		return -EFAULT;
	memcpy(dst, vdev_host_of(d)->memory + a.v, n);
	return 0;
}

int host_mem_write(struct vdev *d, gpa_t a, const void *src, size_t n)
{
	CHECK(!vdev_host_of(d)->locked);
	if (mem_interrupted(d->host))
		return -EINTR;
	if (!range_within(a.v, n, 0, VDEV_HOST_MEMORY))
		return -EFAULT;
	memcpy(vdev_host_of(d)->memory + a.v, src, n);
	return 0;
}

/* Whole pages, by what was said of them: 0 was nothing, else 1 + enum host_unused. */
uint64_t host_mem_unused(struct vdev *d, enum host_unused what, const struct host_segment *s,
			 unsigned n)
{
	struct vdev_host *h = d->host;
	uint64_t pages = 0;

	CHECK(!h->locked && n);
	h->unused_calls++;
	for (unsigned i = 0; i < n; i++) {
		h->unused_ranges++;
		for (uint64_t at = ALIGN_UP(s[i].at, PAGE_SIZE);
		     at < VDEV_HOST_MEMORY && range_within(at, PAGE_SIZE, s[i].at, s[i].size);
		     at += PAGE_SIZE) {
			h->unused[at / PAGE_SIZE] = (uint8_t)(1 + what);
			pages++;
		}
	}
	return pages;
}

int host_shadow_set(struct vdev *d, unsigned piece, unsigned access)
{
	struct vdev_host *h = d->host;

	CHECK(!h->locked && piece < HOST_SHADOW_COUNT);
	h->shadow_calls++;
	if (h->region_hook)
		h->region_hook();
	if (!h->shadow_error)
		h->shadow[piece] = access;
	return h->shadow_error;
}

int host_shadow_write(struct vdev *d, gpa_t a, const void *src, size_t n)
{
	CHECK(!vdev_host_of(d)->locked &&
	      range_within(a.v, n, HOST_SHADOW_FIRST, HOST_SHADOW_END - HOST_SHADOW_FIRST));
	memcpy(&vdev_host_of(d)->shadow_memory[a.v - HOST_SHADOW_FIRST], src, n);
	return 0;
}

int host_nvram_show(struct vdev *d, bool shown)
{
	struct vdev_host *h = d->host;

	CHECK(!h->locked);
	h->nvram_calls++;
	if (h->region_hook)
		h->region_hook();
	if (!h->nvram_error)
		h->nvram_hidden = !shown;
	return h->nvram_error;
}

int host_nvram_read(struct vdev *d, uint64_t offset, void *dst, size_t n)
{
	CHECK(!vdev_host_of(d)->locked);
	if (!range_within(offset, n, 0, VDEV_HOST_NVRAM))
		return -EINVAL;
	memcpy(dst, vdev_host_of(d)->nvram + offset, n);
	return 0;
}

int host_nvram_write(struct vdev *d, uint64_t offset, const void *src, size_t n)
{
	CHECK(!vdev_host_of(d)->locked);
	if (!range_within(offset, n, 0, VDEV_HOST_NVRAM))
		return -EINVAL;
	if (!vdev_host_of(d)->nvram_error)
		memcpy(vdev_host_of(d)->nvram + offset, src, n);
	return vdev_host_of(d)->nvram_error;
}

static uint8_t *vram_at(struct vdev *d, uint64_t offset, size_t n)
{
	struct vdev_host *h = d->host;

	CHECK(!h->locked);
	if (!h->vram)
		h->vram = calloc(1, VDEV_HOST_VRAM);
	return range_within(offset, n, 0, VDEV_HOST_VRAM) ? h->vram + offset : NULL;
}

/* A device asks for what there is alone. */
int host_vram_read(struct vdev *d, uint64_t offset, void *dst, size_t n)
{
	const uint8_t *at = vram_at(d, offset, n);

	CHECK(at);
	memcpy(dst, at, n);
	return 0;
}

int host_vram_write(struct vdev *d, uint64_t offset, const void *src, size_t n)
{
	uint8_t *at = vram_at(d, offset, n);

	CHECK(at);
	if (!vdev_host_of(d)->vram_error)
		memcpy(at, src, n);
	return vdev_host_of(d)->vram_error;
}

void host_again(struct vdev *d)
{
	CHECK(!vdev_host_of(d)->locked);
	vdev_host_of(d)->again++;
}

uint64_t host_clock_ns(struct vdev *d)
{
	return vdev_host_of(d)->now;
}

void host_timer_set(struct vdev *d, unsigned timer, uint64_t deadline_ns)
{
	CHECK(timer < HOST_TIMER_MAX && d->ops->timer);
	vdev_host_of(d)->deadline[timer] = deadline_ns;
}

void host_timer_cancel(struct vdev *d, unsigned timer)
{
	CHECK(timer < HOST_TIMER_MAX);
	vdev_host_of(d)->deadline[timer] = NEVER;
}

uint64_t host_wall_clock(struct vdev *d)
{
	return vdev_host_of(d)->wall;
}

void host_line_set(struct vdev *d, unsigned line, bool level)
{
	struct vdev_host *h = d->host;

	CHECK(line < HOST_LINE_MAX);
	h->edges[line] += level && !h->line[line];
	h->busy[line] |= h->waits && level && !h->line[line];
	h->line[line] = level;
}

bool host_line_heard(struct vdev *d, unsigned line)
{
	CHECK(line < HOST_LINE_MAX);
	return !vdev_host_of(d)->unheard;
}

bool host_line_busy(struct vdev *d, unsigned line)
{
	CHECK(line < HOST_LINE_MAX);
	return vdev_host_of(d)->busy[line];
}

bool host_msi(struct vdev *d, uint64_t address, uint32_t data)
{
	struct vdev_host *h = d->host;

	if (h->message_count < VDEV_HOST_MESSAGES) {
		h->message[h->message_count].address = address;
		h->message[h->message_count].data = data;
	}
	h->message_count++;
	return !h->deaf;
}

bool host_msi_busy(struct vdev *d, uint64_t address, uint32_t data)
{
	(void)address, (void)data;
	return vdev_host_of(d)->message_busy;
}

int host_regions_set(struct vdev *d, enum host_space space, const struct host_region *r,
	unsigned n)
{
	int err = 0;

	for (unsigned i = 0; i < n; i++)
		err = host_region_set(d, r[i].region, space, r[i].base, r[i].size,
			r[i].enabled) ?: err;
	return err;
}

int host_region_set(struct vdev *d, unsigned region, enum host_space space, uint64_t base,
	uint64_t size, bool enabled)
{
	struct vdev_host *h = d->host;

	CHECK(region < HOST_REGION_MAX && !h->locked);
	h->region[region].space = space;
	h->region[region].base = base;
	h->region[region].size = size;
	h->region[region].enabled = enabled;
	h->region_calls++;
	if (h->region_hook)
		h->region_hook();
	return h->region_error;
}

size_t host_media_put(struct vdev *d, unsigned medium, const void *data, size_t n)
{
	struct vdev_host *h = d->host;

	CHECK(medium < HOST_MEDIA_MAX);
	h->sent_medium = medium;
	n = MIN(n, h->accept);
	h->accept -= n;
	for (size_t i = 0; i < n; i++)
		h->sent[h->sent_count++ % sizeof(h->sent)] = ((const char *)data)[i];
	return n;
}

size_t host_media_get(struct vdev *d, unsigned medium, void *data, size_t n)
{
	struct vdev_host *h = d->host;

	CHECK(medium < HOST_MEDIA_MAX);
	if (medium != h->input_medium)
		return 0;
	n = MIN(n, h->input_count - h->input_taken);
	memcpy(data, h->input + h->input_taken, n);
	h->input_taken += n;
	return n;
}

/* ---- the disk ---- */

void host_media_facts(struct vdev *d, unsigned medium, struct host_media_facts *out)
{
	const struct vdev_host *h = d->host;

	*out = (struct host_media_facts){ .kind = HOST_MEDIA_NONE };
	if (h->consoles >> medium & 1) {
		out->kind = HOST_MEDIA_CONSOLE;
		sprintf(out->name, "port.%u", medium);
		return;
	}
	if (medium || h->disk_absent || h->consoles)
		return;
	out->kind = HOST_MEDIA_DISK;
	out->size = h->disk_size;
	out->open = h->disk_open;
	out->read_only = h->disk_read_only;
	out->optical = h->disk_optical;
	strcpy(out->name, "test.img");
}

void host_media_tray(struct vdev *d, unsigned medium, bool open)
{
	struct vdev_host *h = d->host;

	CHECK(!medium && h->disk_optical);
	h->disk_open = open;
	h->trays++;
}

static int disk_transfer(struct vdev_host *h, const struct host_media_request *r)
{
	uint64_t at = r->offset;
	bool same = true;

	if (r->data && r->op == HOST_MEDIA_READ)
		memcpy(r->data, h->disk + at, r->size);
	else if (r->data)
		memcpy(h->disk + at, r->data, r->size);
	for (unsigned i = 0; i < r->count; i++) {
		const struct host_segment *s = &r->segment[i];

		if (!range_within(s->at, s->size, 0, VDEV_HOST_MEMORY))
			return -EFAULT;
		if (r->op == HOST_MEDIA_READ)
			memcpy(h->memory + s->at, h->disk + at, s->size);
		else if (r->op == HOST_MEDIA_COMPARE)
			same &= !memcmp(h->memory + s->at, h->disk + at, s->size);
		else
			memcpy(h->disk + at, h->memory + s->at, s->size);
		at += s->size;
	}
	return same ? 0 : HOST_MEDIA_DIFFERS;
}

static int disk_do(struct vdev_host *h, const struct host_media_request *r)
{
	if (r->op == HOST_MEDIA_ZERO)
		memset(h->disk + r->offset, 0, r->size);
	h->flushes += r->op == HOST_MEDIA_FLUSH;
	return r->op <= HOST_MEDIA_COMPARE ? disk_transfer(h, r) : 0;
}

/* As the contract has it: the product's own checks are tested elsewhere. */
static bool disk_takes(const struct host_media_request *r)
{
	uint64_t sum = 0;

	CHECK(r->count <= HOST_SEGMENT_MAX && !(r->data && r->count));
	for (unsigned i = 0; i < r->count && r->op <= HOST_MEDIA_COMPARE; i++)
		if (__builtin_add_overflow(sum, r->segment[i].size, &sum))
			return false;
	return range_within(r->offset, r->size, 0, VDEV_HOST_DISK) &&
	       !((r->offset | r->size) % HOST_MEDIA_BLOCK) &&
	       (r->op > HOST_MEDIA_COMPARE || r->data || sum == r->size);
}

int host_media_submit(struct vdev *d, unsigned medium, const struct host_media_request *r)
{
	struct vdev_host *h = d->host;

	CHECK(!h->locked && !medium);
	if (h->disk_absent)
		return -ENOSYS;
	if (!disk_takes(r))
		return -EINVAL;
	if (h->disk_read_only && r->op != HOST_MEDIA_READ && r->op != HOST_MEDIA_COMPARE &&
	    r->op != HOST_MEDIA_FLUSH)
		return -EPERM;
	if (h->disk_error)
		return h->disk_error;
	if (!h->disk_late || r->op <= HOST_MEDIA_FLUSH)
		return disk_do(h, r);
	if (h->later_count == VDEV_HOST_LATER)
		return -EAGAIN;
	h->later[h->later_count].tag = r->tag;
	h->later[h->later_count++].r = *r;
	return HOST_MEDIA_LATER;
}

/* ---- the cable ---- */

static int frame_read(const struct host_frame *f, uint32_t offset, uint8_t *dst, uint32_t n)
{
	for (; n; n--, offset++) {
		uint64_t at = offset - f->head_size + f->skip;
		unsigned i = 0;

		CHECK(offset < f->size);
		if (offset < f->head_size) {
			*dst++ = f->head[offset];
			continue;
		}
		if (f->body) {
			*dst++ = f->body[at];
			continue;
		}
		while (i < f->count && at >= f->segment[i].size)
			at -= f->segment[i++].size;
		CHECK(i < f->count);
		if (!range_within(f->segment[i].at + at, 1, 0, VDEV_HOST_MEMORY))
			return -ENOENT;
		*dst++ = vdev_host_of(f->from)->memory[f->segment[i].at + at];
	}
	return 0;
}

int host_frame_read(const struct host_frame *f, uint32_t offset, void *dst, uint32_t n)
{
	return frame_read(f, offset, dst, n);
}

int host_frame_copy(struct vdev *d, const struct host_frame *f, uint32_t offset, gpa_t to,
		    uint32_t n)
{
	CHECK(!vdev_host_of(d)->locked);
	if (!range_within(to.v, n, 0, VDEV_HOST_MEMORY))
		return -EFAULT;
	if (mem_interrupted(d->host))
		return -ENOMEM;
	return frame_read(f, offset, vdev_host_of(d)->memory + to.v, n);
}

int host_frame_send(struct vdev *d, unsigned medium, struct host_frame *f)
{
	struct vdev_host *h = d->host;
	uint64_t sum = f->head_size;

	CHECK(!h->locked && !medium && f->count <= HOST_SEGMENT_MAX);
	CHECK(f->size <= HOST_FRAME_MAX && f->head_size && f->head_size <= HOST_FRAME_HEAD);
	for (unsigned i = 0; i < f->count; i++)
		sum += f->segment[i].size;
	CHECK(sum == f->size);
	f->from = d;
	f->body = NULL;
	f->skip = 0;
	h->frames++;
	h->frame = *f;
	h->frame_result = frame_read(f, 0, h->frame_bytes, f->size);
	if (!h->frame_result)
		h->frame_result = h->peer ? h->peer->d->ops->media_frame(h->peer->d, 0, f)
					  : -ENODEV;
	CHECK(!h->peer || !h->peer->locked);
	return h->frame_result;
}

bool host_media_link(struct vdev *d, unsigned medium)
{
	CHECK(!medium);
	return vdev_host_of(d)->peer;
}

void vdev_host_finish(struct vdev_host *h)
{
	while (h->later_count) {
		struct host_media_request r = h->later[--h->later_count].r;

		h->d->ops->media_done(h->d, 0, r.tag, disk_do(h, &r));
		CHECK(!h->locked);
	}
}

void vdev_host_work(struct vdev_host *h)
{
	for (unsigned calls = 0; h->work_queued; calls++) {
		CHECK(calls < 100000);
		h->work_queued = 0;
		h->d->ops->work(h->d);
		CHECK(!h->locked);
	}
}

/* What waits is for what is under way to end: it does. */
void host_wait_until(struct vdev *d, bool (*done)(struct vdev *d))
{
	CHECK(!vdev_host_of(d)->locked);
	if (!done(d))
		vdev_host_finish(d->host);
	CHECK(done(d));
}

/* Bytes that a test knows: 1, 2, 3 and on. */
void host_random(struct vdev *d, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)dst)[i] = ++vdev_host_of(d)->random;
}

void host_machine_request(struct vdev *d, enum host_request request, uint32_t value)
{
	CHECK(!vdev_host_of(d)->locked);
	vdev_host_of(d)->requests[request]++;
	vdev_host_of(d)->request_value = value;
}

void host_work_queue(struct vdev *d)
{
	CHECK(d->ops->work);
	vdev_host_of(d)->work_queued++;
}

void host_log(struct vdev *d, const char *fmt, ...)
{
	(void)fmt;
	vdev_host_of(d)->logged++;
}

struct vdev_host *vdev_host_attach(struct vdev *d)
{
	struct vdev_host *h = calloc(1, sizeof(*h));

	h->d = d;
	h->now = 1000000000;
	h->wall = 1700000000;
	h->accept = NEVER;
	h->disk_size = sizeof(h->disk);
	for (unsigned i = 0; i < HOST_TIMER_MAX; i++)
		h->deadline[i] = NEVER;
	d->host = h;
	d->ops->reset(d);
	CHECK(!h->locked);
	return h;
}

void vdev_host_detach(struct vdev_host *h)
{
	h->d->ops->destroy(h->d);
	free(h->vram);
	free(h);
}

void vdev_host_advance(struct vdev_host *h, uint64_t ns)
{
	uint64_t end = h->now + ns;

	for (unsigned calls = 0;; calls++) {
		unsigned first = 0;

		for (unsigned i = 1; i < HOST_TIMER_MAX; i++)
			if (h->deadline[i] < h->deadline[first])
				first = i;
		if (h->deadline[first] > end)
			break;
		CHECK(calls < 100000);
		h->now = MAX(h->now, h->deadline[first]);
		h->deadline[first] = NEVER;
		h->timer_count++;
		h->d->ops->timer(h->d, first);
		CHECK(!h->locked);
	}
	h->now = end;
}

void vdev_host_type(struct vdev_host *h, const char *text)
{
	size_t n = MIN(strlen(text), sizeof(h->input) - h->input_count);

	memcpy(h->input + h->input_count, text, n);
	h->input_count += n;
	h->d->ops->media_input(h->d, h->input_medium);
	CHECK(!h->locked);
}

uint64_t vdev_host_read(struct vdev *d, unsigned region, uint64_t offset, unsigned size)
{
	uint64_t v = d->ops->read(d, region, offset, size);

	CHECK(!vdev_host_of(d)->locked);
	return v & bytes_mask(size);
}

void vdev_host_write(struct vdev *d, unsigned region, uint64_t offset, unsigned size,
	uint64_t value)
{
	d->ops->write(d, region, offset, size, value);
	CHECK(!vdev_host_of(d)->locked);
}

size_t vdev_host_save(struct vdev *d, void *buf, size_t size)
{
	struct record_writer w;

	record_writer_init(&w, buf, size);
	d->ops->save(d, &w);
	CHECK(w.used <= size && !vdev_host_of(d)->locked);
	return w.used;
}

int vdev_host_load(struct vdev *d, const void *buf, size_t size, uint32_t version)
{
	struct record_reader r;
	int error;

	record_reader_init(&r, buf, size);
	error = d->ops->load(d, &r, version);
	CHECK(!vdev_host_of(d)->locked);
	return error;
}
