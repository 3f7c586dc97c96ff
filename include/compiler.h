/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the compiler is asked for beyond the language: attributes, branch hints, barriers. No
 * dependency, no code.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define packed		__attribute__((packed))
#define noreturn	_Noreturn	/* the bare word: an attribute of others, too */
#define must_check	__attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))
#define aligned(n)	__attribute__((aligned(n)))
#define section(s)	__attribute__((section(s)))
#define noinline	__attribute__((noinline))
#define always_inline	inline __attribute__((always_inline))
#define fallthrough	__attribute__((fallthrough))

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define ARRAY_COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

/* The compiler keeps no memory in registers across this. */
#define barrier()	__asm__ volatile("" ::: "memory")

/* One access, neither torn nor repeated; for what another CPU or an interrupt changes. */
#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
