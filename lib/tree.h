/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ordered tree of intrusive nodes: an AVL tree, whose two subtrees at each node differ by one
 * level at most, so that a thousand nodes are at most 14 levels. Adding and removing is O(log n) at
 * worst, the smallest is at hand. The scheduler orders threads by it and the timers deadlines. No
 * lock: the owner has one.
 *
 * Who is smaller than all others when it comes is kept outside of the tree, alone, until a smaller
 * one comes: most timers are added as the next that is due and go as such, which then costs no more
 * than a pointer.
 * Source: Knuth, "The Art of Computer Programming", volume 3, "Balanced trees".
 */
#pragma once

#include "include/compiler.h"

struct tree_node {
	uint64_t key;
	struct tree_node *child[2];	/* smaller keys; greater or equal ones */
	struct tree_node *parent;	/* NULL for the root */
	int balance;			/* levels of child[1] less those of child[0] */
};

struct tree {
	struct tree_node *root;
	struct tree_node *least;	/* the leftmost below the root */
	struct tree_node *ahead;	/* outside: smaller than all below the root, or NULL */
};

/* The one with the smallest key, of equals the one that came first; NULL when empty. */
static inline struct tree_node *tree_first(const struct tree *t)
{
	return t->ahead ? t->ahead : t->least;
}

static inline bool tree_empty(const struct tree *t)
{
	return !tree_first(t);
}

#define tree_entry(p, type, member) container_of(p, type, member)

/* `key` is set, the rest of `n` is overwritten. Of equals it is the last. */
void tree_insert(struct tree *t, struct tree_node *n);
/* `n` is in `t`. */
void tree_remove(struct tree *t, struct tree_node *n);
/* The next in order, NULL after the last. */
struct tree_node *tree_next(const struct tree *t, const struct tree_node *n);
