/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vdev/host.h for devices that live in the kernel: each call finds the device's struct vdev_host
 * and does the real thing. Timers and work follow the VM's clock: while it stands they are neither
 * armed nor queued, and thawing does that.
 */
#include "vmm/vdev_host.h"

#include <stdarg.h>

#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/random.h"
#include "kernel/thread.h"
#include "lib/format.h"
#include "mm/heap.h"
#include "vmm/firmware/shadow.h"
#include "vmm/machine.h"
#include "vmm/media.h"
#include "vmm/vlapic/vlapic.h"
#include "vmm/vm.h"
#include "vmm/vram.h"

#define LOG_PER_SECOND	4
#define WAIT_NS		20000u

static struct vdev_host *host_of(struct vdev *d)
{
	return d->host;
}

void *host_alloc(size_t size)
{
	ASSERT(size);
	return heap_alloc(size);
}

void host_free(void *p)
{
	heap_free(p);
}

uint64_t host_lock(struct vdev *d)
{
	return spin_lock_irq(&host_of(d)->lock);
}

void host_unlock(struct vdev *d, uint64_t flags)
{
	ASSERT(spin_held(&host_of(d)->lock));
	spin_unlock_irq(&host_of(d)->lock, flags);
}

int host_mem_read(struct vdev *d, gpa_t a, void *dst, size_t n)
{
	ASSERT(thread_may_wait());
	return vm_read(host_of(d)->vm, a, dst, n);
}

int host_mem_write(struct vdev *d, gpa_t a, const void *src, size_t n)
{
	ASSERT(thread_may_wait());
	return vm_write(host_of(d)->vm, a, src, n);
}

int host_shadow_set(struct vdev *d, unsigned piece, unsigned access)
{
	return shadow_set(host_of(d)->vm, piece, access);
}

int host_shadow_write(struct vdev *d, gpa_t a, const void *src, size_t n)
{
	return shadow_write(host_of(d)->vm, a, src, n);
}

int host_nvram_show(struct vdev *d, bool shown)
{
	return shadow_nvram_show(host_of(d)->vm, shown);
}

int host_nvram_read(struct vdev *d, uint64_t offset, void *dst, size_t n)
{
	return shadow_nvram_read(host_of(d)->vm, offset, dst, n);
}

int host_nvram_write(struct vdev *d, uint64_t offset, const void *src, size_t n)
{
	return shadow_nvram_write(host_of(d)->vm, offset, src, n);
}

int host_vram_read(struct vdev *d, uint64_t offset, void *dst, size_t n)
{
	return vram_read(host_of(d)->vm, offset, dst, n);
}

int host_vram_write(struct vdev *d, uint64_t offset, const void *src, size_t n)
{
	return vram_write(host_of(d)->vm, offset, src, n);
}

uint64_t host_mem_unused(struct vdev *d, enum host_unused what, const struct host_segment *s,
			 unsigned n)
{
	return vm_memory_unused(host_of(d)->vm, what, s, n);
}

void host_again(struct vdev *d)
{
	struct vm *vm = host_of(d)->vm;

	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpu[i]->thread == thread_current())
			vm->vcpu[i]->io_again = true;
}

/* ---- time ---- */

uint64_t host_clock_ns(struct vdev *d)
{
	return vm_clock_ns(host_of(d)->vm);
}

uint64_t host_wall_clock(struct vdev *d)
{
	struct vm *vm = host_of(d)->vm;

	return (machine_boot_wall_ns(vm) + vm_clock_ns(vm)) / 1000000000ul;
}

static void timer_fired(struct timer *t)
{
	struct vdev_timer *vt = container_of(t, struct vdev_timer, timer);
	struct vdev_host *h = vt->host;

	if (!__atomic_exchange_n(&vt->armed, false, __ATOMIC_SEQ_CST))
		return;
	h->dev->ops->timer(h->dev, (unsigned)(vt - h->timer));
}

static void timer_arm(struct vdev_timer *vt)
{
	if (vt->host->vm->clock_running)
		timer_set(&vt->timer, vm_clock_to_host(vt->host->vm, vt->deadline_ns));
}

void host_timer_set(struct vdev *d, unsigned timer, uint64_t deadline_ns)
{
	struct vdev_timer *vt = &host_of(d)->timer[timer];

	ASSERT(timer < HOST_TIMER_MAX);
	vt->deadline_ns = deadline_ns;
	__atomic_store_n(&vt->armed, true, __ATOMIC_SEQ_CST);
	timer_arm(vt);
}

void host_timer_cancel(struct vdev *d, unsigned timer)
{
	struct vdev_timer *vt = &host_of(d)->timer[timer];

	ASSERT(timer < HOST_TIMER_MAX);
	__atomic_store_n(&vt->armed, false, __ATOMIC_SEQ_CST);
	timer_cancel(&vt->timer);
}

/* ---- interrupts ---- */

void host_line_set(struct vdev *d, unsigned line, bool level)
{
	struct vdev_host *h = host_of(d);

	machine_line_set(h->vm, &h->line[line], level);
}

bool host_line_heard(struct vdev *d, unsigned line)
{
	struct vdev_host *h = host_of(d);

	return machine_line_heard(h->vm, &h->line[line]);
}

bool host_line_busy(struct vdev *d, unsigned line)
{
	const struct vdev_host *h = d->host;

	return machine_line_busy(h->vm, &h->line[line]);
}

bool host_msi(struct vdev *d, uint64_t address, uint32_t data)
{
	return vlapic_message(host_of(d)->vm, address, data);
}

bool host_msi_busy(struct vdev *d, uint64_t address, uint32_t data)
{
	return vlapic_message_busy(host_of(d)->vm, address, data);
}

/* ---- regions, machine ---- */

/* What claims have come to, once the video memory is where they say. */
static noinline int followed(struct vm *vm, enum host_space space, int err)
{
	if (space == HOST_MMIO)
		vram_follow(vm);
	return err;
}

int host_region_set(struct vdev *d, unsigned region, enum host_space space, uint64_t base,
		    uint64_t size, bool enabled)
{
	struct vm *vm = host_of(d)->vm;

	return followed(vm, space, bus_claim(vm, space, d, region, base, enabled ? size : 0));
}

int host_regions_set(struct vdev *d, enum host_space space, const struct host_region *r,
		     unsigned n)
{
	struct vm *vm = host_of(d)->vm;
	struct bus_claim add[HOST_REGION_MAX];

	if (n > ARRAY_COUNT(add))
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		add[i] = (struct bus_claim){
			.base = r[i].enabled ? r[i].base : 0,
			.end = r[i].enabled ? r[i].base + r[i].size : 0,
			.dev = d, .region = (uint8_t)r[i].region,
		};
	return followed(vm, space, bus_claim_all(vm, space, add, n));
}

/* Lines are rationed by device and second. */
static bool may_log(struct vdev_host *h)
{
	uint64_t second = clock_ns() / 1000000000ul;

	if (h->log_window != second) {
		h->log_window = second;
		h->log_count = 0;
	}
	return h->log_count++ < LOG_PER_SECOND;
}

void host_machine_request(struct vdev *d, enum host_request request, uint32_t value)
{
	static const enum vm_stop stop[] = {
		[HOST_REQUEST_POWER_OFF] = VM_STOP_POWER_OFF,
		[HOST_REQUEST_RESET] = VM_STOP_RESET,
		[HOST_REQUEST_DEBUG_EXIT] = VM_STOP_DEBUG_EXIT,
	};
	struct vdev_host *h = host_of(d);

	if (request == HOST_REQUEST_PANIC)
		vm_crash(h->vm, "its kernel has panicked");
	else if (request != HOST_REQUEST_CRASH_LOADED)
		vm_stop_self(h->vm, stop[request], value);
	else if (may_log(h))
		log_warn("%s: its kernel has panicked and starts its crash kernel",
			 h->vm->config.name);
}

void host_random(struct vdev *d, void *dst, size_t n)
{
	(void)d;
	random_get(dst, n);
}

/* ---- work and log ---- */

/* While the VM stands it stays due: thawing queues it. */
static void queue_work(struct vdev_host *h)
{
	if (!READ_ONCE(h->frozen))
		work_queue(&h->work);
}

/* Another worker may have taken it again meanwhile: whoever was first looks for that. */
static void run_work(struct work *w)
{
	struct vdev_host *h = container_of(w, struct vdev_host, work);

	if (__atomic_exchange_n(&h->working, true, __ATOMIC_SEQ_CST))
		return;
	if (__atomic_exchange_n(&h->work_due, false, __ATOMIC_SEQ_CST))
		h->dev->ops->work(h->dev);
	__atomic_store_n(&h->working, false, __ATOMIC_SEQ_CST);
	if (READ_ONCE(h->work_due))
		queue_work(h);
}

void host_work_queue(struct vdev *d)
{
	struct vdev_host *h = host_of(d);

	__atomic_store_n(&h->work_due, true, __ATOMIC_SEQ_CST);
	queue_work(h);
}

void host_wait_until(struct vdev *d, bool (*done)(struct vdev *d))
{
	while (!done(d)) {
		struct vcpu *self = vm_quiet_begin(host_of(d)->vm);

		thread_sleep_ns(WAIT_NS);
		vm_quiet_end(self);
	}
}

void host_log(struct vdev *d, const char *fmt, ...)
{
	struct vdev_host *h = host_of(d);
	char text[160];
	va_list ap;

	if (!may_log(h))
		return;
	va_start(ap, fmt);
	format_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_debug("%s: %s: %s", h->vm->config.name, d->ops->name, text);
}

/* ---- standing still ---- */

/* Work that is queued stays noted; what was asked of media ends, which may want work again. */
void vdev_host_freeze(struct vdev_host *h)
{
	ASSERT(thread_may_wait());
	WRITE_ONCE(h->frozen, true);
	for (unsigned i = 0; i < HOST_TIMER_MAX; i++)
		timer_cancel_sync(&h->timer[i].timer);
	work_cancel_sync(&h->work);
	for (unsigned i = 0; i < HOST_MEDIA_MAX; i++)
		if (h->media[i])
			media_quiesce(h->media[i]);
}

void vdev_host_thaw(struct vdev_host *h)
{
	WRITE_ONCE(h->frozen, false);
	for (unsigned i = 0; i < HOST_TIMER_MAX; i++)
		if (h->timer[i].armed)
			timer_arm(&h->timer[i]);
	for (unsigned i = 0; i < HOST_MEDIA_MAX; i++)
		if (h->media[i])
			media_go(h->media[i]);
	if (READ_ONCE(h->work_due))
		queue_work(h);
}

/* ---- life ---- */

int vdev_host_attach(struct vm *vm, struct vdev *d, enum lock_level level, struct vdev_host **out)
{
	struct vdev_host *h = heap_alloc(sizeof(*h));

	if (!h) {
		d->ops->destroy(d);
		return -ENOMEM;
	}
	h->vm = vm;
	h->dev = d;
	d->host = h;
	spin_init(&h->lock, d->ops->name, level);
	h->frozen = true;
	work_init_slow(&h->work, run_work);	/* guest memory may wait for vCPUs */
	h->work.group = vm->group;
	for (unsigned i = 0; i < HOST_TIMER_MAX; i++) {
		h->timer[i].host = h;
		timer_init(&h->timer[i].timer, timer_fired);
	}
	*out = h;
	return 0;
}

void vdev_host_detach(struct vdev_host *h)
{
	for (unsigned i = 0; i < HOST_TIMER_MAX; i++)
		h->timer[i].armed = false;
	vdev_host_freeze(h);
	for (unsigned i = 0; i < HOST_MEDIA_MAX; i++)
		if (h->media[i])
			media_destroy(h->media[i]);
	h->dev->ops->destroy(h->dev);
	heap_free(h);
}
