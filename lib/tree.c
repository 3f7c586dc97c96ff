/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AVL tree of heads, then the runs behind them. A `side` is 0 or 1, the index of a child; a
 * head's balance leans to it as -1 or 1. After a change the way up is gone only as far as levels
 * have changed.
 *
 * A head's count is of those that its run may have at most: who leaves the run elsewhere than at
 * its front does not know the head. When the count says that it is full the nodes are counted.
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

static struct tree_node *leftmost(struct tree_node *n)
{
	while (n->child[0])
		n = n->child[0];
	return n;
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

/* The head that comes next in the tree. */
static struct tree_node *next_head(const struct tree_node *n)
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

/* With it its run ends. */
static void remove_head(struct tree *t, struct tree_node *n)
{
	struct tree_node *p = n->parent;
	int side;

	if (n == t->least)
		t->least = next_head(n);
	if (n->child[0] && n->child[1]) {
		remove_inner(t, n);
		return;
	}
	side = p && side_of(n);
	replace(t, n, n->child[0] ? n->child[0] : n->child[1]);
	if (p)
		shrunk(t, p, side);
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* `n` is the head instead of `old`, which is the one before or behind it in their run. */
static void take_place(struct tree *t, const struct tree_node *old, struct tree_node *n)
{
	replace(t, old, n);
	link(n, 0, old->child[0]);
	link(n, 1, old->child[1]);
	n->balance = old->balance;
	if (t->least == old)
		t->least = n;
}

static void link_behind(struct tree_node *p, struct tree_node *n)
{
	n->next = p->next;
	n->parent = p;
	n->count = 0;
	if (n->next)
		n->next->parent = n;
	p->next = n;
}

/* The run counts more than TREE_RUN: its second half becomes one by itself if that is true. */
static noinline void cut(struct tree *t, struct tree_node *head)
{
	struct tree_node *n = head, *above = head->child[1];
	unsigned count = 0;

	for (const struct tree_node *i = head; i; i = i->next)
		if (++count % 2 == 0)
			n = n->next;
	head->count = count;
	if (count <= TREE_RUN)
		return;
	n->parent->next = NULL;
	n->count = count - count / 2;
	head->count = count / 2;
	if (above)
		insert_below(t, leftmost(above), 0, n);
	else
		insert_below(t, head, 1, n);
}

/* Smaller than all below the root, or there is none. */
static noinline void insert_least(struct tree *t, struct tree_node *n)
{
	struct tree_node *head = t->least;

	if (head && head->count < TREE_RUN) {
		unsigned count = head->count + 1;

		take_place(t, head, n);
		n->next = head;
		n->count = count;
		head->parent = n;
		head->count = 0;
		return;
	}
	n->next = NULL;
	n->count = 1;
	insert_below(t, head, 0, n);
	t->least = n;
}

void tree_insert(struct tree *t, struct tree_node *n)
{
	struct tree_node *ahead = t->ahead, *first = tree_first(t), *head = NULL, *p;
	uint64_t key = n->key;

	if (!first || key < first->key) {
		t->ahead = n;
		if (ahead)
			insert_least(t, ahead);
		return;
	}
	for (p = t->root; p;) {
		if (key < p->key) {
			p = p->child[0];
		} else {
			head = p;
			p = p->child[1];
		}
	}
	if (!head) {
		insert_least(t, n);
		return;
	}
	for (p = head; p->next && p->next->key <= key;)
		p = p->next;
	link_behind(p, n);
	if (++head->count > TREE_RUN)
		cut(t, head);
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	struct tree_node *next = n->next;

	if (n == t->ahead) {
		t->ahead = NULL;
	} else if (!n->count) {
		n->parent->next = next;
		if (next)
			next->parent = n->parent;
	} else if (next) {
		take_place(t, n, next);
		next->count = n->count - 1;
	} else {
		remove_head(t, n);
	}
}

struct tree_node *tree_next(const struct tree *t, const struct tree_node *n)
{
	if (n == t->ahead)
		return t->least;
	if (n->next)
		return n->next;
	while (!n->count)
		n = n->parent;
	return next_head(n);
}
