/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A console of a domain: what its serial port, or a port of virtio-serial-pci, says and is told. It
 * outlives the vm, so that the last words of a dead guest can be read. Output goes into a ring;
 * what nobody has read yet is kept, the oldest is dropped (and counted) when the ring is full, and
 * the guest is never held up. Input waits in a ring until the guest reads it.
 *
 * Any context, never sleeps. Locks: console.lock (LOCK_LEAF, irq-safe); console.bound,
 * a mutex that only bind and write take, in thread context.
 */
#pragma once

#include "kernel/mutex.h"
#include "lib/ring.h"

#define CONSOLE_OUTPUT_SIZE	(64u << 10)
#define CONSOLE_INPUT_SIZE	(16u << 10)

struct vm;

struct console {
	struct mutex bound;		/* `vm`, and calls into it */
	struct spinlock lock;		/* all else */
	/* Buffers are made at each start, and shrink when the domain is shut off; data may be
	 * NULL. */
	struct ring output, input;
	uint64_t dropped;		/* bytes of output lost since the last read */
	bool attached;
	struct vm *vm;			/* whom to tell of input; a reference, or NULL */
	unsigned channel;		/* constant; 0: the serial port, else 1 + the port */
	/* There is output, or the vm has gone; any context, lock not held. */
	void (*notify)(void *arg);
	void *notify_arg;
};

void console_init(struct console *c);	/* of the serial port; else `channel` is set then */
void console_fini(struct console *c);	/* nobody uses it any more */
/* Buffers; 0 or -ENOMEM. Thread context, before the vm can use it. */
int console_prepare(struct console *c) must_check;
/*
 * The domain is shut off: keeps what nobody has read yet and no more. Thread context; console_bind
 * came before.
 */
void console_shrink(struct console *c);
/*
 * The vm that it belongs to from now on, or NULL: before the vm is destroyed. When it returns,
 * nothing of the console is inside the former one any more. Takes a reference of its own.
 * Thread context.
 */
void console_bind(struct console *c, struct vm *vm);

/* --- the guest's side: struct vm_config's callbacks, `arg` is the console */
size_t console_put(void *arg, const void *data, size_t n);
size_t console_get(void *arg, void *data, size_t n);

/* --- the terminal's side: one at a time */
/*
 * -EBUSY if another terminal has it. `fn` may still be called once shortly after the detach: `arg`
 * outlives it.
 */
int console_attach(struct console *c, void (*notify)(void *arg), void *arg) must_check;
void console_detach(struct console *c);
/* What the guest has said since the last read; *dropped gets the bytes lost before it. */
size_t console_read(struct console *c, void *buf, size_t n, uint64_t *dropped);
/* Takes as much as fits and tells the guest. */
size_t console_write(struct console *c, const void *data, size_t n);
