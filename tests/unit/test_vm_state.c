/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/emulate*.c vdev/vmch.c vdev/vlpc.c vdev/vflash.c vdev/vacpi_loader.c
 * vdev/vsmbios.c vmm/firmware/shadow.c vmm/vram.c vdev/vvga*.c vmm/firmware/acpi_files.c
 * vmm/insn/breakpoint.c vmm/vm.c vmm/life.c vmm/vm_image.c vmm/vm_state.c vmm/vm_stats.c
 * vmm/vm_quiesce.c vmm/vm_memory.c vmm/vm_check.c vdev/vpvpanic.c vdev/vtestdev.c
 * vdev/vdebug_exit.c vdev/vedu.c kernel/hwstate.c vmm/vcpu*.c vmm/vlapic/vlapic*.c vmm/msr.c
 * vmm/mtrr.c vmm/cpuid.c kernel/sched_group.c vmm/cpu_model.c vmm/pvclock.c vmm/event.c
 * vmm/bus.c vmm/machine*.c vmm/vdev_host.c vmm/vm_balloon.c vmm/regs.c vmm/media*.c
 * kernel/random.c lib/chacha.c vdev/virtio/virtio*.c vmm/vm_copy.c vdev/vframe.c vdev/vinbox.c
 * vdev/ve1000*.c vmm/exit.c vmm/gmem/gmem*.c vmm/firmware/fwcfg.c vdev/vfwcfg.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c vmm/load/load*.c vmm/firmware/firmware.c
 * vmm/firmware/memory_map.c vdev/vmp_table.c build/gen/vmm/firmware/bios/bios.bin.c lib/record.c
 * lib/format.c mm/paging.c mm/paging_host.c mm/paging_npt.c mm/paging_ept.c mm/page.c
 * mm/page_intake.c vdev/vpic.c vdev/vioapic.c vdev/vpit.c vdev/vahci*.c vdev/vata*.c
 * vdev/vnvme*.c vdev/vide*.c vdev/vrtc.c vdev/vuart.c vdev/vkbd.c vdev/vmouse.c vdev/vps2.c
 * vdev/vacpi.c vdev/vacpi_tables.c vdev/vpci*.c vdev/vpost.c build/gen/vdev/dsdt.aml.c
 * tests/host/fake_ops.c tests/host/one_thread.c tests/host/heap.c tests/host/memory.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/panic.c tests/host/log.c tests/host/tsc.c
 * vdev/vhpet.c vdev/vtco.c vdev/vsmbus.c vdev/vdma.c */
/*
 * The saved form of a whole vm on a back end without a chip: save, load, save is byte-identical;
 * hostile input is refused and harms nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/record.h"
#include "mm/heap.h"
#include "tests/host/vm_test.h"
#include "vmm/machine.h"
#include "vmm/vlapic/vlapic_bits.h"
#include "vmm/vm_check.h"

#define STATE_MAX	(256 * 1024)

static size_t save(struct vm *vm, uint8_t *buf)
{
	struct record_writer w;

	record_writer_init(&w, buf, STATE_MAX);
	assert_int_equal(vm_save_state(vm, &w), 0);
	assert_true(w.used <= w.size);
	return w.used;
}

static char why[128];

static int load(struct vm *vm, const uint8_t *buf, size_t n)
{
	struct record_reader r;
	int err;

	record_reader_init(&r, buf, n);
	err = vm_load_state(vm, &r, why, sizeof(why));
	assert_int_equal(!err, !*why);
	return err;
}

/* Something other than the power-up state everywhere. */
static void stir(struct vm *vm)
{
	struct vcpu *v = vm->vcpu[0];

	host_tsc += 123456789;
	for (unsigned i = 0; i < GPR_COUNT; i++)
		v->gpr[i] = 0x1111111111111111ul * i;
	v->rip = 0xffffffff81000000ul;
	v->rflags = RFLAGS_ONE | RFLAGS_IF;
	fake_ops.reg_set(v, REG_CR0, CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE);
	fake_ops.reg_set(v, REG_CR4, CR4_PAE | CR4_PGE);
	fake_ops.reg_set(v, REG_EFER, EFER_LME | EFER_LMA | EFER_SCE);
	fake_ops.reg_set(v, REG_CR3, 0x1234000);
	fake_ops.reg_set(v, REG_LSTAR, 0xffffffff81800000ul);
	fake_ops.segment_set(v, SEG_FS, &(struct segment){
		.base = 0x7fff12345678ul, .limit = ~0u, .attr = 0xc093, .selector = 5,
	});
	memset(v->hw.fpu, 0, fpu_area_size());
	vlapic_write(v, REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(v, REG_LVT_TIMER, 0xec);
	vlapic_write(v, REG_TIMER_DIVIDE, 11);
	start_timer(v, 1000000);
	vlapic_set_irr(v, 0x31, false);
	vlapic_set_irr(v, 0x99, true);
	event_queue(v, &(struct event){ .valid = true, .type = EVENT_EXCEPTION,
		.vector = EXC_PF, .has_error = true, .error = 2, .payload = 0xdeadbeef });
	event_nmi(v);
	/* From a neighbour, while this one parks. */
	vlapic_message(vm, 0xfee00000, DELIVERY_SIPI << 8 | 0x9a);
	vcpu_tsc_adjust(v, 77777);
	bus_write(vm, HOST_PORT, 0x21, 1, 0xfb);
	bus_write(vm, HOST_PORT, 0x43, 1, 0x34);
	bus_write(vm, HOST_PORT, 0x40, 1, 0x9b);
	bus_write(vm, HOST_PORT, 0x40, 1, 0x2e);
	bus_write(vm, HOST_PORT, 0x3f9, 1, 1);
	bus_write(vm, HOST_PORT, 0x70, 1, 0x20);
	bus_write(vm, HOST_PORT, 0xcf8, 4, 0x80000004);
	bus_write(vm, HOST_MMIO, 0xfec00000, 4, 0x14);
	bus_write(vm, HOST_MMIO, 0xfec00010, 4, 0x31);
}

static void save_load_save(void **state)
{
	static uint8_t a[STATE_MAX], b[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	size_t n, m;

	(void)state;
	run_clock(one);
	stir(one);
	fake_pause(one);
	n = save(one, a);
	host_tsc += 1000000;
	assert_int_equal(load(two, a, n), 0);
	two->state = VM_PAUSED;
	two->parked_count = two->vcpu_count;
	m = save(two, b);
	assert_int_equal(n, m);
	assert_memory_equal(a, b, n);
	assert_true(two->vcpu[0]->requests & VCPU_REQ_SIPI);
	assert_int_equal(two->vcpu[0]->requests >> VCPU_REQ_VECTOR_SHIFT, 0x9a);
	/* And once more after both have run for the same time. */
	assert_int_equal(vm_resume(one), 0);
	assert_int_equal(vm_resume(two), 0);
	host_tsc += 300;
	fake_pause(one);
	fake_pause(two);
	m = save(one, a);
	assert_int_equal(save(two, b), m);
	assert_memory_equal(a, b, m);
	vm_put(one);
	vm_put(two);
}

/*
 * Each cut and a hundred thousand bent bytes: an error or a state that saves again; never a
 * fault (ASan watches).
 */
static void hostile_state(void **state)
{
	static uint8_t a[STATE_MAX], bent[STATE_MAX], out[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	unsigned refused = 0;
	size_t n;

	(void)state;
	run_clock(one);
	stir(one);
	fake_pause(one);
	n = save(one, a);
	fake_pause(two);
	for (size_t cut = 1; cut < n; cut += 1 + cut / 7)
		(void)!load(two, a, n - cut);
	srand(7);
	for (unsigned i = 0; i < 3000; i++) {
		memcpy(bent, a, n);
		for (unsigned k = 0; k < 1 + i % 4; k++)
			bent[(size_t)rand() % n] = (uint8_t)rand();
		refused += load(two, bent, n) != 0;
		save(two, out);
	}
	assert_true(refused > 100);
	assert_int_equal(load(two, a, n), 0);
	assert_int_equal(save(two, out), n);
	assert_memory_equal(a, out, n);
	vm_put(one);
	vm_put(two);
}

/* What a load of the guest's state would bring into the host's own registers. */
static void state_that_the_host_would_load(void **state)
{
	static const struct {
		enum reg r;
		uint64_t value;
	} bad[] = {
		{ REG_TSC_AUX, 1ul << 32 }, { REG_DR6, 1ul << 32 }, { REG_DR7, 1ul << 40 },
		{ REG_DEBUGCTL, 1 }, { REG_SPEC_CTRL, 1 }, { REG_XCR0, XCR0_X87 | 1ul << 62 },
		{ REG_XCR0, 0 }, { REG_XCR0, XCR0_X87 | XCR0_AVX },
		{ REG_CR0, 1ul << 32 }, { REG_CR4, CR4_VMXE }, { REG_EFER, EFER_SVME },
		{ REG_CR8, 16 }, { REG_CR3, 1ul << 60 },
	};
	static uint8_t a[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();

	(void)state;
	fake_pause(one);
	fake_pause(two);
	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		uint64_t good = fake_ops.reg_get(one->vcpu[0], bad[i].r);

		if (bad[i].r == REG_CR8)
			one->vcpu[0]->vlapic.tpr = 0x100;
		else
			fake_ops.reg_set(one->vcpu[0], bad[i].r, bad[i].value);
		assert_int_equal(load(two, a, save(one, a)), -EINVAL);
		fake_ops.reg_set(one->vcpu[0], bad[i].r, good);
	}
	assert_int_equal(load(two, a, save(one, a)), 0);
	vm_put(one);
	vm_put(two);
}

/* A guest that is older than the host it comes to: its clocks go on and its timers are armed. */
static void older_than_its_host(void **state)
{
	static uint8_t a[STATE_MAX];
	struct vm *one = make_vm(), *two;
	uint64_t ns, tsc, early = host_tsc;
	size_t n;

	(void)state;
	run_clock(one);
	vlapic_write(one->vcpu[0], REG_SVR, SVR_ENABLE | 0xff);
	vlapic_write(one->vcpu[0], REG_LVT_TIMER, 0x40);
	vlapic_write(one->vcpu[0], REG_TIMER_DIVIDE, 11);
	host_tsc += 1000ul * 1000000000;
	start_timer(one->vcpu[0], 5000);
	fake_pause(one);
	n = save(one, a);
	ns = vm_clock_ns(one);
	tsc = one->clock_frozen_tsc;
	vm_put(one);
	host_tsc = early;
	two = make_vm();
	assert_int_equal(load(two, a, n), 0);
	run_clock(two);
	assert_int_equal(vm_clock_ns(two), ns);
	assert_int_equal(vcpu_guest_tsc(two->vcpu[0]), tsc);
	assert_in_range(vm_clock_to_host(two, ns + 700), clock_ns() + 600, clock_ns() + 800);
	assert_int_equal(vm_clock_to_host(two, 5), 0);
	host_tsc += 6000;
	fake_timers_run();
	assert_int_equal(vlapic_pending(two->vcpu[0]), 0x40);
	vm_put(two);
}

static void wrong_shape(void **state)
{
	static uint8_t a[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	struct vm_config c = { .name = "other", .vcpus = 2, .memory = 16 * MIB };
	struct vm *other = NULL;
	size_t n;

	(void)state;
	assert_int_equal(vm_create(&c, &other), 0);
	fake_pause(one);
	n = save(one, a);
	assert_int_equal(load(other, a, n), -EINVAL);
	two->cpuid->row[1].regs.ecx ^= 1;
	assert_int_equal(load(two, a, n), -EINVAL);
	vm_put(one);
	vm_put(two);
	vm_put(other);
}

/* Where the TSC runs at another rate, and in a form that is not known, with the reason. */
static void other_rate_and_format(void **state)
{
	static uint8_t a[STATE_MAX];
	struct vm *one = make_vm(), *two = make_vm();
	uint64_t hz = tsc_hz, limit = hz / 4000;
	size_t n;

	(void)state;
	fake_pause(one);
	n = save(one, a);
	fake_pause(two);
	tsc_hz = hz + limit + limit / 100;
	assert_int_equal(load(two, a, n), -EINVAL);
	assert_non_null(strstr(why, "its TSC runs at"));
	tsc_hz = hz + limit / 2;
	assert_int_equal(load(two, a, n), 0);
	tsc_hz = hz;
	a[16 + 12]++;				/* the payload's first */
	assert_int_equal(load(two, a, n), -EINVAL);
	assert_string_equal(why, "its format is 3, not 2");
	a[16 + 12]--;
	/* Nothing counts without the vm's own. */
	assert_int_equal(load(two, a + 28 + 40, n - 28 - 40), -EINVAL);
	assert_string_equal(why, "its record 'cpuid' 0 does not fit this vm");
	assert_int_equal(load(two, a, 0), -EINVAL);
	vm_put(one);
	vm_put(two);
}

/* In pieces: the same bytes, a whole record each time; too small a buffer or a put that fails end
 * it. */
static struct {
	uint8_t bytes[STATE_MAX];
	size_t n, left;
	unsigned pieces;
} stream;

static int take(void *arg, const void *data, size_t n)
{
	struct record_reader r, body;
	struct record_head head;

	assert_ptr_equal(arg, &stream);
	record_reader_init(&r, data, n);
	assert_int_equal(record_next(&r, &head, &body), 0);
	assert_int_equal(record_next(&r, &head, &body), -ENOENT);
	if (!stream.left--)
		return -EIO;
	memcpy(stream.bytes + stream.n, data, n);
	stream.n += n;
	stream.pieces++;
	return 0;
}

static int save_streaming(struct vm *vm, size_t size, size_t left)
{
	uint8_t *buf = heap_alloc(size);
	struct record_writer w;
	int err;

	stream.n = stream.pieces = 0;
	stream.left = left;
	record_writer_stream(&w, buf, size, take, &stream);
	err = vm_save_state(vm, &w);
	heap_free(buf);
	return err;
}

static void streamed(void **state)
{
	static uint8_t a[STATE_MAX];
	struct vm *vm = make_vm();
	struct record_writer w;
	size_t n;

	(void)state;
	run_clock(vm);
	stir(vm);
	fake_pause(vm);
	n = save(vm, a);
	record_writer_init(&w, NULL, 0);
	assert_int_equal(vm_save_state(vm, &w), 0);
	assert_int_equal(save_streaming(vm, w.largest, 1000), 0);
	assert_int_equal(stream.n, n);
	assert_memory_equal(stream.bytes, a, n);
	assert_true(stream.pieces > 10 && w.largest < n / 2);
	assert_int_equal(save_streaming(vm, w.largest - 1, 1000), -ENOSPC);
	assert_int_equal(save_streaming(vm, w.largest, 3), -EIO);
	assert_int_equal(stream.pieces, 3);
	vm_put(vm);
}

/* What domstatecheck does: there and back on one vm, whatever it was at. */
static void there_and_back(void **state)
{
	static uint8_t a[STATE_MAX], b[STATE_MAX];
	struct vm *vm = make_vm();
	size_t n, size = 0;

	(void)state;
	assert_int_equal(vm_check_state(vm, &size), -EBUSY);
	run_clock(vm);
	stir(vm);
	fake_pause(vm);
	n = save(vm, a);
	assert_int_equal(vm_check_state(vm, &size), 0);
	assert_int_equal(size, n);
	assert_int_equal(save(vm, b), n);
	assert_memory_equal(a, b, n);
	vm_put(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(save_load_save), cmocka_unit_test(there_and_back),
		cmocka_unit_test(older_than_its_host),
		cmocka_unit_test(other_rate_and_format), cmocka_unit_test(streamed),
		cmocka_unit_test(hostile_state),
		cmocka_unit_test(wrong_shape), cmocka_unit_test(state_that_the_host_would_load),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
