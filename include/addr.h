/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The three kinds of address, each its own type so that mixing them does not compile: guest
 * physical, host physical, guest virtual (linear). A host virtual address is a C pointer.
 */
#pragma once

#include "include/compiler.h"

typedef struct { uint64_t v; } gpa_t;
typedef struct { uint64_t v; } hpa_t;
typedef struct { uint64_t v; } gva_t;

#define GPA(x)	((gpa_t){ (x) })
#define HPA(x)	((hpa_t){ (x) })
#define GVA(x)	((gva_t){ (x) })

#define PAGE_SHIFT	12
#define PAGE_SIZE	4096ul
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define PAGE_2M		(1ul << 21)
#define PAGE_1G		(1ul << 30)

#define KIB	(1ul << 10)
#define MIB	(1ul << 20)
#define GIB	(1ul << 30)
