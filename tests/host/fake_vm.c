/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See fake_vm.h.
 */
#include "fake_vm.h"
#include "vmm/vm_balloon.h"
#include "vmm/vm_check.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/errno.h"
#include "kernel/panic.h"
#include "vmm/load/load.h"
#include "vmm/machine.h"
#include "vmm/media.h"

struct fake_vm fake;

#define WAITING_MAX 64
static struct { void (*done)(void *arg); void *arg; } waiting[WAITING_MAX];
static unsigned waiting_count;

static const char *exit_name(unsigned row)
{
	static const char *const names[] = { "cpuid", "hlt", "io" };

	return row < 3 ? names[row] : NULL;
}

static void describe(char *buf, size_t size)
{
	snprintf(buf, size, "made of cardboard");
}

static const struct vmm_ops ops = { .name = "FAKE", .exit_name = exit_name, .describe = describe };
const struct vmm_ops *vmm_ops = &ops;

void fake_vm_reset(void)
{
	fake_vm_release();
	fake = (struct fake_vm){ .available = 1 << 20 };
}

static int once(int *failure)
{
	int e = *failure;

	if (fake.meanwhile && failure != &fake.fail_start && failure != &fake.fail_resume)
		fake.meanwhile();
	*failure = 0;
	return e;
}

/* One card. */
bool machine_cable_stats(const struct vm *vm, unsigned i, struct media_cable_stats *out)
{
	(void)vm;
	*out = (struct media_cable_stats){
		.rx_frames = 11, .rx_bytes = 12, .rx_drops = 13, .tx_frames = 21, .tx_bytes = 22,
		.tx_drops = 23,
	};
	return !i;
}

/* Toys and virtio there are, and two slots. */
int machine_slot_check(const struct machine_row *row, unsigned n, char *why, size_t why_size)
{
	const struct machine_row *last = &row[n - 1];

	if ((!strcmp(last->class, "toy") || !strncmp(last->class, "virtio-", 7)) &&
	    last->slot.device <= 1)
		return 0;
	if (!strcmp(last->class, MACHINE_AHCI))
		return 0;
	snprintf(why, why_size, "no room for %s", last->class);
	return -EINVAL;
}

int machine_slot_free(const struct machine_row *row, unsigned n, unsigned wish,
		      struct machine_slot *out)
{
	(void)row, (void)wish;
	*out = (struct machine_slot){ .device = (uint8_t)(n - 1) };
	return n <= 2 ? 0 : -ENOSPC;
}

int media_overlay_create(uint64_t size, struct media_overlay **out)
{
	assert(size);
	*out = malloc(1);
	fake.overlays++;
	fake.overlays_made++;
	return 0;
}

void media_overlay_put(struct media_overlay *o)
{
	fake.overlays -= o != NULL;
	free(o);
}

struct media_tray {
	struct media_tray_state state;
	unsigned refs;
};

int media_tray_create(struct media_tray **out)
{
	*out = calloc(1, sizeof(**out));
	(*out)->refs = 1;
	fake.trays++;
	return 0;
}

void media_tray_get(struct media_tray *t)
{
	t->refs++;
}

void media_tray_put(struct media_tray *t)
{
	if (--t->refs)
		return;
	fake.trays--;
	free(t);
}

void media_tray_look(struct media_tray *t, struct media_tray_state *out)
{
	*out = t->state;
}

int media_tray_change(struct media_tray *t, const struct media_image *i, bool force)
{
	if (fake.tray_held && !force)
		return -EBUSY;
	t->state = (struct media_tray_state){ .open = !i, .size = i ? i->size : 0 };
	if (i)
		snprintf(t->state.name, sizeof(t->state.name), "%s", i->name);
	return 0;
}

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm *vm;
	int e = once(&fake.fail_create);

	if (e)
		return e;
	vm = calloc(1, sizeof(*vm));
	vm->config = *config;
	fake.devices = config->device_count;
	for (unsigned i = 0; i < config->device_count; i++)
		if (!strcmp(config->device[i].class, MACHINE_VIRTIO_SERIAL))
			memcpy(fake.channel, config->device[i].properties, sizeof(fake.channel));
	vm->refs = 1;
	vm->vcpu_count = config->vcpus;
	for (unsigned i = 0; i < config->vcpus; i++) {
		vm->vcpu[i] = calloc(1, sizeof(struct vcpu));
		vm->vcpu[i]->exits[1] = (struct exit_count){ .count = 10, .ticks = 1234 };
	}
	fake.created++;
	fake.alive++;
	*out = fake.last = vm;
	return 0;
}

void cpuid_model_format(const struct cpu_model *m, char *buf, size_t size)
{
	snprintf(buf, size, m->off[0] | m->off[1] | m->off[2] ? "host, and less" : "host");
}

int cpuid_model_check(const struct cpu_model *m, char *why, size_t size)
{
	snprintf(why, size, "not to be had on this host");
	return m->on[0] | m->on[1] | m->on[2] ? -EINVAL : 0;
}

int vm_load_image(struct vm *vm, const struct load_image *image, char *why, size_t why_size)
{
	int e = once(&fake.fail_load);

	(void)vm;
	if (!e && image->go_on && !image->go_on(image->arg, image->kernel_size))
		e = -EINTR;
	if (!image->kernel || e)
		snprintf(why, why_size, "the kernel is no kernel");
	return image->kernel ? e : -EINVAL;
}

int vm_start(struct vm *vm)
{
	int e = once(&fake.fail_start);

	if (!e)
		vm->state = VM_RUNNING;
	return e;
}

int vm_pause(struct vm *vm)
{
	(void)vm;
	fake.pauses++;
	return once(&fake.fail_pause);
}

int vm_resume(struct vm *vm)
{
	(void)vm;
	fake.resumes++;
	return once(&fake.fail_resume);
}

int vm_check_state(struct vm *vm, size_t *size)
{
	(void)vm;
	*size = 5000;
	return once(&fake.fail_check);
}

int vm_check_memory(struct vm *vm, const bool *stop, struct vm_memory_check *out)
{
	(void)vm;
	(void)stop;
	*out = (struct vm_memory_check){ .changed = 3, .marked = 5, .taken = 7, .used = 9 };
	return once(&fake.fail_check);
}

void vm_destroy(struct vm *vm, void (*done)(void *arg), void *arg)
{
	vm->state = VM_DYING;
	fake.destroyed++;
	if (done) {
		waiting[waiting_count].done = done;
		waiting[waiting_count++].arg = arg;
	}
}

void fake_vm_release(void)
{
	while (waiting_count) {
		waiting_count--;
		fake.released++;
		waiting[waiting_count].done(waiting[waiting_count].arg);
	}
}

void vm_get(struct vm *vm)
{
	vm->refs++;
}

void vm_put(struct vm *vm)
{
	if (--vm->refs)
		return;
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		free(vm->vcpu[i]);
	free(vm);
	fake.alive--;
}

void fake_vm_stop(enum vm_stop why, uint32_t code, const char *reason)
{
	char text[64] = "";

	if (reason)
		snprintf(text, sizeof(text), "%s", reason);
	fake.last->config.stopped(fake.last->config.arg, fake.last, why, code, text);
	memset(text, 'x', sizeof(text));	/* who kept the pointer will show it */
}

/* Once vm_destroy was called, its parts are freed on another CPU: nobody may look into it. */
static void intact(const struct vm *vm)
{
	if (vm->state == VM_DYING)
		panic("a vm is used that is being taken apart");
}

int vm_key(struct vm *vm, uint8_t key, bool pressed)
{
	intact(vm);
	if (fake.keys_full) {
		fake.keys_full--;
		return -EAGAIN;
	}
	if (fake.key_error)
		return fake.key_error;
	assert(fake.key_count + 2 <= sizeof(fake.keys));
	fake.keys[fake.key_count++] = key;
	fake.keys[fake.key_count++] = pressed;
	return 0;
}

int vm_mouse(struct vm *vm, int dx, int dy, int wheel, unsigned buttons)
{
	intact(vm);
	if (fake.keys_full) {
		fake.keys_full--;
		return -EAGAIN;
	}
	if (fake.key_error)
		return fake.key_error;
	fake.moves++;
	fake.dx += dx;
	fake.dy += dy;
	fake.wheel += wheel;
	fake.pressed |= buttons;
	fake.held = buttons;
	return 0;
}

void vm_power_button(struct vm *vm)
{
	intact(vm);
	fake.buttons++;
}

void vm_console_input(struct vm *vm)
{
	intact(vm);
	fake.inputs++;
}

void vm_channel_input(struct vm *vm, unsigned port)
{
	intact(vm);
	fake.channel_inputs[port]++;
}

/* A balloon if `fake.balloon` is there. */
int vm_balloon_target(struct vm *vm, uint32_t pages)
{
	intact(vm);
	if (fake.balloon)
		fake.balloon->target = pages;
	return fake.balloon ? 0 : -ENODEV;
}

int vm_balloon_period(struct vm *vm, uint32_t seconds)
{
	intact(vm);
	if (fake.balloon)
		fake.balloon->period = seconds;
	return fake.balloon ? 0 : -ENODEV;
}

int vm_balloon_hint(struct vm *vm)
{
	intact(vm);
	fake.hints++;
	return fake.balloon ? 0 : -ENODEV;
}

int vm_balloon_info(struct vm *vm, struct virtio_balloon_info *out)
{
	intact(vm);
	if (fake.balloon)
		*out = *fake.balloon;
	return fake.balloon ? 0 : -ENODEV;
}

/* What a device leaves alone beyond its mode stays as it was. */
static void fake_pixels(const struct fake_screen *s, unsigned y, uint8_t *rgb)
{
	for (unsigned x = 0; x < MIN(s->mode.width, VVGA_WIDTH_MAX); x++, rgb += 3) {
		uint32_t pixel = s->pixel(x, y);

		rgb[0] = (uint8_t)(pixel >> 16);
		rgb[1] = (uint8_t)(pixel >> 8);
		rgb[2] = (uint8_t)pixel;
	}
}

/* A screen if `fake.screen` is there. */
int vm_screen_get(struct vm *vm, enum vm_screen_part part, unsigned row, void *out)
{
	const struct fake_screen *s = fake.screen;

	intact(vm);
	if (!s)
		return -ENODEV;
	if (part == VM_SCREEN_MODE)
		*(struct vvga_mode *)out = s->mode;
	else if (part == VM_SCREEN_TEXT && row < MIN(s->mode.rows, VVGA_ROWS_MAX))
		memcpy(out, s->cell[row], 2 * MIN(s->mode.columns, VVGA_COLUMNS_MAX));
	else if (part == VM_SCREEN_PIXELS)
		fake_pixels(s, row, out);
	return 0;
}

void vm_nmi(struct vm *vm)
{
	intact(vm);
	fake.nmis++;
}

void vm_stats_get(struct vm *vm, struct vm_stats *out)
{
	intact(vm);
	*out = (struct vm_stats){
		.run_ticks = 5000000000, .exits = 30, .keel_ticks = 3702,
		.ram_pages = vm->config.memory / PAGE_SIZE, .present_pages = 100,
		.charged_pages = 120, .table_pages = 8, .out_pages = fake.out_pages,
		.wants_memory = vm->memory_waiters,
	};
}

const char *vm_exit_stats(struct vm *vm, unsigned row, struct exit_count *out)
{
	intact(vm);
	*out = (struct exit_count){ 0 };
	for (unsigned i = 0; row < EXIT_ROW_MAX && i < vm->vcpu_count; i++) {
		out->count += vm->vcpu[i]->exits[row].count;
		out->ticks += vm->vcpu[i]->exits[row].ticks;
	}
	return exit_name(row);
}

const char *vm_vcpu_exit_stats(struct vm *vm, unsigned id, unsigned row, struct exit_count *out)
{
	*out = row < EXIT_ROW_MAX ? vm->vcpu[id]->exits[row] : (struct exit_count){ 0 };
	return exit_name(row);
}

int vm_vcpu_info(struct vm *vm, unsigned id, struct vcpu_info *out)
{
	intact(vm);
	*out = (struct vcpu_info){
		.activity = VCPU_HALTED, .cpu = 1, .run_ticks = 2500000000, .rip = 0x1000,
	};
	cpu_set_fill(&out->allowed);
	if (fake.pins && id < ARRAY_COUNT(fake.affinity) &&
	    cpu_set_next(&fake.affinity[id], 0) >= 0)
		out->allowed = fake.affinity[id];
	return id < vm->vcpu_count ? 0 : -ENOENT;
}

void vm_sched_follow(struct vm *vm)
{
	intact(vm);
	fake.follows++;
}

int vm_vcpu_pin(struct vm *vm, unsigned id, const struct cpu_set *allowed)
{
	intact(vm);
	fake.pins++;
	if (id < ARRAY_COUNT(fake.affinity))
		fake.affinity[id] = *allowed;
	return id < vm->vcpu_count ? 0 : -ENOENT;
}

uint64_t gmem_available(void)
{
	return fake.available;
}

int load_check(const struct load_image *image, uint64_t memory, const char **kind, char *why,
	       size_t why_size)
{
	(void)memory;
	*kind = "fake";
	if (!image->kernel_size)
		snprintf(why, why_size, "the kernel is empty");
	return image->kernel_size ? 0 : -EINVAL;
}
