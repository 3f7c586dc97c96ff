/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AVL tree. A `side` is 0 or 1, the index of a child; a node's balance leans to it as -1 or 1.
 * After a change the way up is gone only as far as levels have changed.
 */
#include "lib/tree.h"

static int lean(int side)
{
	return side ? 1 : -1;
}

static int side_of(const struct tree_node *n)
{
	return n->parent->child[1] == n;
}

static void link(struct tree_node *parent, int side, struct tree_node *n)
{
	parent->child[side] = n;
	if (n)
		n->parent = parent;
}

/* `n`, which may be NULL, stands where `old` stood below its parent. */
static void replace(struct tree *t, const struct tree_node *old, struct tree_node *n)
{
	if (old->parent) {
		link(old->parent, side_of(old), n);
		return;
	}
	t->root = n;
	if (n)
		n->parent = NULL;
}

/* The child on `side` stands above `p`, which becomes its other side's child. */
static void rotate(struct tree *t, struct tree_node *p, int side)
{
	struct tree_node *c = p->child[side];

	replace(t, p, c);
	link(p, side, c->child[!side]);
	link(c, !side, p);
}

/*
 * On `side` p has two levels more than on the other. Returns who stands in its place; if its
 * balance is not 0 the levels below it are as many as before.
 */
static struct tree_node *level(struct tree *t, struct tree_node *p, int side)
{
	struct tree_node *c = p->child[side], *inner = c->child[!side];
	int d = lean(side);

	if (c->balance == -d) {
		rotate(t, c, !side);
		rotate(t, p, side);
		p->balance = inner->balance == d ? -d : 0;
		c->balance = inner->balance == -d ? d : 0;
		inner->balance = 0;
		return inner;
	}
	rotate(t, p, side);
	p->balance = d - c->balance;
	c->balance -= d;
	return c;
}

/* The subtree of `n` has one level more. */
static void grown(struct tree *t, struct tree_node *n)
{
	for (struct tree_node *p; (p = n->parent); n = p) {
		int side = side_of(n), d = lean(side);

		if (p->balance == d) {
			level(t, p, side);
			return;
		}
		p->balance += d;
		if (!p->balance)
			return;
	}
}

/* On `side` p has one level less. */
static void shrunk(struct tree *t, struct tree_node *p, int side)
{
	for (;;) {
		int d = lean(side);

		if (p->balance == -d) {
			p = level(t, p, !side);
			if (p->balance)
				return;
		} else {
			p->balance -= d;
			if (p->balance)
				return;
		}
		if (!p->parent)
			return;
		side = side_of(p);
		p = p->parent;
	}
}

static void insert_below(struct tree *t, struct tree_node *parent, int side, struct tree_node *n)
{
	n->child[0] = n->child[1] = NULL;
	n->balance = 0;
	n->parent = parent;
	if (!parent) {
		t->root = t->least = n;
		return;
	}
	parent->child[side] = n;
	parent->balance += lean(side);
	if (parent->balance)
		grown(t, parent);
}

/* Ahead of all, or of all but the one that has been so until now. */
static void insert_first(struct tree *t, struct tree_node *n)
{
	struct tree_node *second = t->ahead;

	t->ahead = n;
	if (second) {
		insert_below(t, t->least, 0, second);
		t->least = second;
	}
}

void tree_insert(struct tree *t, struct tree_node *n)
{
	struct tree_node *first = tree_first(t), *parent = NULL;
	int side;

	if (!first || n->key < first->key) {
		insert_first(t, n);
		return;
	}
	for (struct tree_node *c = t->root; c;) {
		parent = c;
		if (n->key < c->key)
			c = c->child[0];
		else
			c = c->child[1];
	}
	side = parent && n->key >= parent->key;
	insert_below(t, parent, side, n);
	if (parent == t->least && !side)
		t->least = n;
}

static struct tree_node *leftmost(struct tree_node *n)
{
	while (n->child[0])
		n = n->child[0];
	return n;
}

/* In the tree, without the one ahead. */
static struct tree_node *next_below(const struct tree_node *n)
{
	if (n->child[1])
		return leftmost(n->child[1]);
	while (n->parent && side_of(n))
		n = n->parent;
	return n->parent;
}

/* Both sides of `n` have children: the next one takes its place. */
static void remove_inner(struct tree *t, struct tree_node *n)
{
	struct tree_node *s = leftmost(n->child[1]), *p = s->parent;
	int side = 0;

	if (p == n) {
		p = s;
		side = 1;
	} else {
		link(p, 0, s->child[1]);
		link(s, 1, n->child[1]);
	}
	link(s, 0, n->child[0]);
	s->balance = n->balance;
	replace(t, n, s);
	shrunk(t, p, side);
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	struct tree_node *p = n->parent;
	int side;

	if (n == t->ahead) {
		t->ahead = NULL;
		return;
	}
	if (n == t->least)
		t->least = next_below(n);
	if (n->child[0] && n->child[1]) {
		remove_inner(t, n);
		return;
	}
	side = p && side_of(n);
	replace(t, n, n->child[0] ? n->child[0] : n->child[1]);
	if (p)
		shrunk(t, p, side);
}

struct tree_node *tree_next(const struct tree *t, const struct tree_node *n)
{
	return n == t->ahead ? t->least : next_below(n);
}
