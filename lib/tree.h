/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A priority queue: an intrusive pairing heap, that is a tree in which no child has a smaller key
 * than its parent. Adding is a handful of instructions, the smallest is the root, and any element
 * can be removed; removal costs O(log n) amortised. The scheduler orders threads by it and the
 * timers deadlines. No lock: the owner has one.
 * Source: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap: a new form of
 * self-adjusting heap", 1986.
 */
#pragma once

#include "include/compiler.h"

struct tree_node {
	uint64_t key;
	struct tree_node *child;	/* the first; the others follow by `next` */
	struct tree_node *next;
	struct tree_node *prev;		/* left sibling, or the parent for a first child; NULL for
					 * the root */
};

struct tree {
	struct tree_node *root;
};

static inline bool tree_empty(const struct tree *t)
{
	return !t->root;
}

/* One of those with the smallest key; NULL when empty. */
static inline struct tree_node *tree_first(const struct tree *t)
{
	return t->root;
}

#define tree_entry(p, type, member) container_of(p, type, member)

/* `key` is set, the rest of `n` is overwritten. */
void tree_insert(struct tree *t, struct tree_node *n);
/* `n` is in `t`. */
void tree_remove(struct tree *t, struct tree_node *n);
/*
 * The next in an order that visits each element once and parents before children; NULL
 * after the last.
 */
struct tree_node *tree_next(const struct tree_node *n);
