/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ordered tree of intrusive nodes. Who comes next to each other in order form runs, short lists
 * of up to TREE_RUN nodes; the first of each run, its head, is a node of an AVL tree, whose two
 * subtrees at each node differ by one level at most. So most changes are those of a list: where the
 * head goes, the next of its run takes its place in the tree, and the tree itself changes once in
 * some five times. A run that has grown too long is cut in two; one that gets shorter stays, at
 * worst as a node alone. Adding and removing is O(log n) at worst, the smallest is at hand. The
 * scheduler orders threads by it and the timers deadlines. No lock: the owner has one.
 *
 * Who is smaller than all others when it comes is kept outside of the tree, alone, until a smaller
 * one comes: most timers are added as the next that is due and go as such, which then costs no more
 * than a pointer.
 * Source: Knuth, "The Art of Computer Programming", volume 3, "Balanced trees".
 */
#pragma once

#include "include/compiler.h"

#define TREE_RUN	8u

struct tree_node {
	uint64_t key;
	struct tree_node *next;		/* in its run, or NULL */
	struct tree_node *parent;	/* a head's, NULL for the root; else the one before it */
	/* Of a head alone: */
	struct tree_node *child[2];	/* heads of smaller keys; of greater or equal ones */
	int balance;			/* levels of child[1] less those of child[0] */
	unsigned count;			/* its run has no more nodes than these; 0: no head */
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
