/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-test. Each test is a function that returns whether it passed; it makes its threads by
 * crowd(), which starts one function on many threads, spread and pinned by turns, and waits for all
 * of them. A test that hangs shows by the line before it.
 */
#include "kernel/selftest.h"

#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/trap.h"
#include "kernel/work.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/paging_bits.h"

#define CROWD_MAX	64
#define MS		1000000ul

static struct thread *members[CROWD_MAX];
static bool failed;

#define CHECK(c) do {								\
	if (!(c) && !__atomic_exchange_n(&failed, true, __ATOMIC_RELAXED))	\
		log_error("selftest: %s:%d: %s is not so", __FILE__, __LINE__, #c);	\
} while (0)

static uint32_t random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* fn(0), fn(1) ... on threads of their own; every third is pinned. Returns when all have ended. */
static void crowd(unsigned count, void (*fn)(void *index))
{
	char name[32];

	for (unsigned i = 0; i < count; i++) {
		struct thread_attr attr = {
			.name = name, .entry = fn, .arg = (void *)(uintptr_t)i,
			.cpu = i % 3 ? -1 : (int)(i / 3 % cpu_count),
		};

		format(name, sizeof(name), "test/%u", i);
		members[i] = thread_create(&attr);
		CHECK(members[i]);
	}
	for (unsigned i = 0; i < count && !failed; i++)
		thread_start(members[i]);
	for (unsigned i = 0; i < count && !failed; i++)
		thread_join(members[i]);
}

/* ---- threads that wake each other ---- */

#define PAIRS		12
#define PONG_ROUNDS	5000

static unsigned ball[2 * PAIRS];

static void pong(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, peer = me ^ 1;

	for (unsigned i = 0; i < PONG_ROUNDS; i++) {
		for (;;) {
			thread_prepare();
			if (__atomic_load_n(&ball[me], __ATOMIC_ACQUIRE))
				break;
			(void)thread_wait(THREAD_FOREVER);
		}
		ball[me] = 0;
		__atomic_store_n(&ball[peer], 1, __ATOMIC_RELEASE);
		thread_wake(members[peer]);
	}
}

static void test_wake(void)
{
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		ball[i] = i & 1;
	crowd(2 * PAIRS, pong);
}

/* ---- sleeping and deadlines ---- */

static uint64_t latest_ns;

static void napper(void *arg)
{
	uint32_t seed = 0x1234567u + (uint32_t)(uintptr_t)arg;

	for (unsigned i = 0; i < 100; i++) {
		uint64_t due = clock_ns() + random(&seed) % (2 * MS), late;

		thread_prepare();
		CHECK(!thread_wait(due));
		CHECK(clock_ns() >= due);
		late = clock_ns() - due;
		if (late > READ_ONCE(latest_ns))
			latest_ns = late;
	}
}

static void test_sleep(void)
{
	crowd(24, napper);
	log_info("selftest: the latest of 2400 sleepers was %lu us late", latest_ns / 1000);
}

/* ---- mutex and wait queue ---- */

static struct mutex mutex;
static struct waitq gate;
static unsigned inside, count, gate_count;

static void locker(void *arg)
{
	uint32_t seed = 77 + (uint32_t)(uintptr_t)arg;

	for (unsigned i = 0; i < 1000; i++) {
		mutex_lock(&mutex);
		CHECK(!inside++);
		count++;
		if (random(&seed) % 8 == 0)
			sched_yield();
		inside--;
		mutex_unlock(&mutex);
		sched_point();
	}
}

static void test_mutex(void)
{
	mutex_init(&mutex, "selftest");
	crowd(12, locker);
	CHECK(count == 12000 && !mutex.holder);
}

static void at_gate(void *arg)
{
	if ((uintptr_t)arg) {
		for (unsigned i = 0; i < 200; i++)
			(void)WAITQ_WAIT(&gate, READ_ONCE(gate_count) > i, THREAD_FOREVER);
		return;
	}
	for (unsigned i = 0; i < 200; i++) {
		thread_sleep_ns(20000);
		__atomic_add_fetch(&gate_count, 1, __ATOMIC_SEQ_CST);
		waitq_wake_all(&gate);
	}
}

static void test_waitq(void)
{
	waitq_init(&gate);
	crowd(10, at_gate);
}

/* ---- timers and work, from all CPUs ---- */

struct shot {
	struct timer timer;
	struct work work;
	unsigned fired, worked;
};

static struct shot shots[CROWD_MAX];

static void shot_work(struct work *w)
{
	container_of(w, struct shot, work)->worked++;
}

static void shot_fire(struct timer *t)
{
	struct shot *s = container_of(t, struct shot, timer);

	s->fired++;
	work_queue(&s->work);
}

static void shooter(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	struct shot *s = &shots[me];
	uint32_t seed = 99 + me;

	timer_init(&s->timer, shot_fire);
	work_init(&s->work, shot_work);
	for (unsigned i = 0; i < 300; i++) {
		timer_set(&s->timer, clock_ns() + random(&seed) % 50000);
		if (random(&seed) % 2)
			thread_sleep_ns(random(&seed) % 100000);
		if (random(&seed) % 4 == 0)
			timer_cancel(&s->timer);
		if (random(&seed) % 8 == 0)
			timer_cancel_sync(&s->timer);
	}
	timer_set(&s->timer, clock_ns());
	thread_sleep_ns(10 * MS);
	timer_cancel_sync(&s->timer);
	work_cancel_sync(&s->work);
	CHECK(s->fired && s->worked);
}

static void test_timer(void)
{
	crowd(16, shooter);
}

/* ---- calls between CPUs ---- */

static unsigned calls;

static void called(void *arg)
{
	(void)arg;
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
}

static void caller(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 100; i++) {
		ipi_call_others(called, NULL);
		sched_point();
	}
}

static void test_calls(void)
{
	crowd(8, caller);
	CHECK(calls == 8 * 100 * (cpu_count - 1));
}

/* ---- memory ---- */

static void allocator(void *arg)
{
	uint32_t seed = 5 + (uint32_t)(uintptr_t)arg;
	uint64_t *held[32] = { NULL };

	for (unsigned i = 0; i < 3000; i++) {
		unsigned slot = random(&seed) % 32;
		size_t size = 8 + random(&seed) % (random(&seed) % 16 ? 500 : 20000);

		if (held[slot])
			CHECK(*held[slot] == (uintptr_t)&held[slot]);
		heap_free(held[slot]);
		held[slot] = heap_alloc(size);
		if (held[slot])
			*held[slot] = (uintptr_t)&held[slot];
		if (i % 64 == 0)
			sched_point();
	}
	for (unsigned i = 0; i < 32; i++)
		heap_free(held[i]);
}

static void test_heap(void)
{
	crowd(12, allocator);
}

static void nothing(void *arg)
{
	(void)arg;
}

static uint64_t pages_charged(void)
{
	return READ_ONCE(page_charge_kernel.pages);
}

/* Threads come and go and leave no page behind. */
static void test_ends(void)
{
	uint64_t before;

	crowd(CROWD_MAX, nothing);
	thread_sleep_ns(10 * MS);
	before = pages_charged();
	for (unsigned i = 0; i < 20; i++)
		crowd(CROWD_MAX, nothing);
	thread_sleep_ns(10 * MS);
	CHECK(pages_charged() <= before + 8);
}

/* ---- shares ---- */

static bool stop;

/*
 * It PAUSEs seldom: at each one an emulator may go on to its next CPU, at the cost of many rounds.
 */
static void spinner(void *arg)
{
	(void)arg;
	for (unsigned n = 0; !READ_ONCE(stop); n++) {
		if (n % 4096 == 0)
			cpu_pause();
		sched_point();
	}
}

static const unsigned share_weight[] = { 1024, 2048, 1024 };

static bool shares_hold(struct thread *const t[3])
{
	uint64_t sum = 0, run[3];
	bool hold = true;

	for (unsigned i = 0; i < 3; i++)
		sum += run[i] = thread_run_ticks(t[i]);
	for (unsigned i = 0; i < 3; i++)
		hold &= run[i] * 4096 / share_weight[i] > sum * 95 / 100 &&
			run[i] * 4096 / share_weight[i] < sum * 105 / 100;
	return hold;
}

/*
 * A machine that stands still at times gives one thread too much then; in the long run it evens
 * out.
 */
static void test_shares(void)
{
	struct thread *t[3];
	bool hold = false;

	for (unsigned i = 0; i < 3; i++) {
		struct thread_attr attr = {
			.name = "spin", .entry = spinner, .cpu = (int)cpu_count - 1,
			.weight = share_weight[i],
		};

		t[i] = thread_create(&attr);
		thread_start(t[i]);
	}
	for (unsigned i = 0; i < 20 && !hold; i++) {
		thread_sleep_ns(500 * MS);
		hold = shares_hold(t);
	}
	CHECK(hold);
	stop = true;
	for (unsigned i = 0; i < 3; i++)
		thread_join(t[i]);
}

/* ---- costs: ticks are instructions under -icount ---- */

static bool yielding;

static void yielder(void *arg)
{
	(void)arg;
	while (READ_ONCE(yielding))
		sched_yield();
}

static void cost(const char *what, uint64_t start, unsigned rounds)
{
	log_info("selftest: %s costs %lu ticks", what, (tsc_read() - start) / rounds);
}

#define ROUNDS	1000

static void measure_here(void *arg)
{
	struct thread_attr attr = { .name = "yield", .entry = yielder, .cpu = (int)cpu_index() };
	struct thread *other = thread_create(&attr);
	struct timer timer;
	uint64_t start;

	(void)arg;
	timer_init(&timer, NULL);
	mutex_init(&mutex, "selftest");
	start = tsc_read();
	for (unsigned i = 0; i < ROUNDS; i++) {
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
	}
	cost("mutex_lock and mutex_unlock", start, ROUNDS);
	start = tsc_read();
	for (unsigned i = 0; i < ROUNDS; i++) {
		timer_set(&timer, clock_ns() + 1000 * MS);
		timer_cancel(&timer);
	}
	cost("timer_set and timer_cancel", start, ROUNDS);
	start = tsc_read();
	for (unsigned i = 0; i < ROUNDS; i++)
		sched_point();
	cost("sched_point, nothing wanted", start, ROUNDS);
	start = tsc_read();
	for (unsigned i = 0; i < ROUNDS; i++)
		thread_sleep_ns(1000);
	cost("a sleep of 1 us", start, ROUNDS);
	yielding = true;
	thread_start(other);
	sched_yield();
	start = tsc_read();
	for (unsigned i = 0; i < ROUNDS; i++)
		sched_yield();
	cost("sched_yield and back, two switches,", start, ROUNDS);
	yielding = false;
	thread_join(other);
}

/* On the boot CPU, where the clock's reference was. */
static void test_costs(void)
{
	crowd(1, measure_here);
}

static bool (*devices_pass)(void);

static void test_devices(void)
{
	CHECK(devices_pass());
}

/* ---- ring 3 ---- */

#define USER_VA		0x400000ul		/* a page of code, and of one word at its end */
#define USER_WORD	0xff8
#define USER_TABLES	4			/* from the top down, the page behind them */

static struct page *user_page[USER_TABLES + 1];

/* Turns until the word is set, then reads what is Keel's. */
static const uint8_t user_code[] = {
	0xf3, 0x90,						/* pause */
	0x83, 0x3c, 0x25, 0xf8, 0x0f, 0x40, 0x00, 0x00,		/* cmp dword [word], 0 */
	0x74, 0xf4,						/* je */
	0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x00, 0x80,		/* mov rax, [image] */
};

/* An address space: Keel's half, and that page. */
static bool make_user(void)
{
	uint64_t *table;

	for (unsigned i = 0; i <= USER_TABLES; i++) {
		user_page[i] = page_alloc(0, PAGE_ZEROED, NODE_ANY, &page_charge_kernel);
		if (!user_page[i])
			return false;
	}
	memcpy(page_virt(user_page[0]), kmap_direct(HPA(kmap_cr3 & PTE_ADDRESS)), PAGE_SIZE);
	for (unsigned i = 0; i < USER_TABLES; i++) {
		table = page_virt(user_page[i]);
		table[USER_VA >> (39 - 9 * i) & 511] = page_hpa(user_page[i + 1]).v | PTE_PRESENT |
						       PTE_WRITE | PTE_USER;
	}
	memcpy(page_virt(user_page[USER_TABLES]), user_code, sizeof(user_code));
	return true;
}

/* The frames of this function are given up. */
static void to_user(void *arg)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	(void)arg;
	cpu_wrmsr(MSR_KERNEL_GS_BASE, 0);
	cpu_write_cr3(page_hpa(user_page[0]).v);
	trap_enter_user(USER_VA, USER_VA, (void *)(here & ~15ul));
}

/* On the CPU where the other one turns: it runs only because that one gives way. */
static void set_word(void *arg)
{
	(void)arg;
	*(volatile uint32_t *)((char *)page_virt(user_page[USER_TABLES]) + USER_WORD) = 1;
}

static void back_to_kmap(void *arg)
{
	(void)arg;
	cpu_write_cr3(kmap_cr3);
}

static void test_ring3(void)
{
	static void (*const parts[])(void *) = { to_user, set_word, back_to_kmap };
	struct thread *t[ARRAY_COUNT(parts)];

	CHECK(make_user());
	for (unsigned i = 0; i < ARRAY_COUNT(parts) && !failed; i++) {
		struct thread_attr attr = {
			.name = "ring3", .entry = parts[i], .cpu = (int)cpu_count - 1,
		};

		t[i] = thread_create(&attr);
		CHECK(t[i]);
		if (i == 2)		/* nobody is in there any more */
			thread_join(t[0]);
		thread_start(t[i]);
		if (i == 0)		/* it has the CPU, if that is another than this one */
			thread_sleep_ns(MS);
		if (i)
			thread_join(t[i]);
	}
	for (unsigned i = 0; i <= USER_TABLES; i++)
		if (user_page[i])
			page_put(user_page[i]);
}

unsigned selftest_run(const char *only, bool (*devices)(void))
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "costs", test_costs },
		{ "wake", test_wake },
		{ "sleep", test_sleep },
		{ "mutex", test_mutex },
		{ "waitq", test_waitq },
		{ "timer", test_timer },
		{ "calls", test_calls },
		{ "heap", test_heap },
		{ "ends", test_ends },
		{ "devices", test_devices },
		{ "shares", test_shares },
		{ "ring3", test_ring3 },
	};
	unsigned failures = 0;

	devices_pass = devices;
	for (unsigned i = 0; i < ARRAY_COUNT(tests); i++) {
		uint64_t start = clock_ns();

		if (*only && strcmp(only, tests[i].name))
			continue;
		failed = false;
		tests[i].run();
		failures += failed;
		log_info("selftest: %s %s in %lu us", tests[i].name, failed ? "FAILED" : "passed",
			 (clock_ns() - start) / 1000);
	}
	if (failures)
		log_error("selftest: %u failed", failures);
	else
		log_info("selftest: passed");
	return failures;
}
