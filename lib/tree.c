/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pairing heap. Everything rests on meld(): of two trees, the root with the larger key becomes
 * the first child of the other.
 */
#include "lib/tree.h"

/* Both are roots. Of equals `a` stays above. */
static struct tree_node *meld(struct tree_node *a, struct tree_node *b)
{
	struct tree_node *t;

	if (b->key < a->key) {
		t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/*
 * Siblings from `first` on become one tree: melded in pairs from left to right, then the pairs from
 * right to left.
 */
static struct tree_node *meld_siblings(struct tree_node *first)
{
	struct tree_node *a, *b, *pairs = NULL, *root = NULL;

	if (!first->next) {
		first->prev = NULL;
		return first;
	}
	while ((a = first)) {
		b = a->next;
		first = b ? b->next : NULL;
		a->next = NULL;
		if (b) {
			b->next = NULL;
			a = meld(a, b);
		}
		a->next = pairs;	/* a stack, linked by `next` */
		pairs = a;
	}
	while ((a = pairs)) {
		pairs = a->next;
		a->next = NULL;
		root = root ? meld(a, root) : a;
	}
	root->prev = NULL;
	return root;
}

void tree_insert(struct tree *t, struct tree_node *n)
{
	n->child = n->next = n->prev = NULL;
	t->root = t->root ? meld(t->root, n) : n;
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	struct tree_node *below = n->child ? meld_siblings(n->child) : NULL;

	if (n == t->root) {
		t->root = below;
		return;
	}
	if (n->prev->child == n)
		n->prev->child = n->next;
	else
		n->prev->next = n->next;
	if (n->next)
		n->next->prev = n->prev;
	if (below)
		t->root = meld(t->root, below);
}

struct tree_node *tree_next(const struct tree_node *n)
{
	if (n->child)
		return n->child;
	while (!n->next) {
		while (n->prev && n->prev->child != n)
			n = n->prev;	/* to the first of the siblings */
		n = n->prev;		/* the parent */
		if (!n)
			return NULL;
	}
	return n->next;
}
