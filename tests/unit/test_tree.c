/* SPDX-License-Identifier: BSD-2-Clause */
/* links: lib/tree.c */
/*
 * The ordered tree against an array, at random: after each operation its order, its balances, its
 * links and what it has at hand are checked node by node.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/tree.h"

#define NODES	1024

struct element {
	struct tree_node node;
	uint64_t came;		/* in which order they were added */
	bool in;
};

static struct element element[NODES];
static struct tree tree;
static uint64_t clock;
static unsigned heads;		/* seen by check_below() */

static const struct element *of(const struct tree_node *n)
{
	return tree_entry(n, struct element, node);
}

/* How many the run of the head `n` has. */
static unsigned check_run(const struct tree_node *n)
{
	unsigned count = 1;

	assert_in_range(n->count, 1, TREE_RUN);
	for (const struct tree_node *head = n; n->next; n = n->next) {
		assert_ptr_equal(n->next->parent, n);
		assert_int_equal(n->next->count, 0);
		assert_true(of(n->next)->in);
		assert_in_range(++count, 2, head->count);
	}
	return count;
}

/* Levels of heads, `n`'s included; counts the nodes. */
static int check_below(const struct tree_node *n, const struct tree_node *parent, unsigned *count)
{
	int left, right;

	if (!n)
		return 0;
	assert_ptr_equal(n->parent, parent);
	assert_true(of(n)->in);
	left = check_below(n->child[0], n, count);
	right = check_below(n->child[1], n, count);
	assert_int_equal(n->balance, right - left);
	assert_in_range(n->balance + 1, 0, 2);
	heads++;
	*count += check_run(n);
	return (left > right ? left : right) + 1;
}

/* Each is seen once, by key, of equal ones the elder first. */
static void check_order(unsigned count)
{
	const struct tree_node *n = tree_first(&tree), *next;
	unsigned seen = 0;

	assert_int_equal(tree_empty(&tree), !count);
	for (; n; n = next) {
		next = tree_next(&tree, n);
		if (next)
			assert_true(n->key < next->key ||
				    (n->key == next->key && of(n)->came < of(next)->came));
		seen++;
	}
	assert_int_equal(seen, count);
}

static void check(unsigned count)
{
	unsigned below = 0;
	const struct tree_node *n = tree.root;
	int levels, most = 0;

	heads = 0;
	levels = check_below(tree.root, NULL, &below);
	assert_int_equal(below + !!tree.ahead, count);
	while (n && n->child[0])
		n = n->child[0];
	assert_ptr_equal(tree.least, n);
	/* The fewest heads of h levels are F(h + 2) - 1. */
	for (unsigned a = 1, b = 2; b <= heads + 1; most++) {
		unsigned next = a + b;

		a = b;
		b = next;
	}
	assert_true(levels <= most);
	check_order(count);
}

static void add(struct element *e, uint64_t key)
{
	memset(&e->node, 0xa5, sizeof(e->node));
	e->node.key = key;
	e->came = clock++;
	e->in = true;
	tree_insert(&tree, &e->node);
}

static void take(struct element *e)
{
	tree_remove(&tree, &e->node);
	e->in = false;
	memset(&e->node, 0x5a, sizeof(e->node));
}

static void begin(void)
{
	memset(element, 0, sizeof(element));
	tree = (struct tree){ 0 };
}

/* Random adding and removing among so many elements with so many different keys. */
static void play(unsigned nodes, unsigned keys, unsigned rounds, unsigned each)
{
	unsigned count = 0;

	begin();
	for (unsigned i = 0; i < rounds; i++) {
		struct element *e = &element[(unsigned)rand() % nodes];

		if (e->in)
			take(e);
		else
			add(e, (unsigned)rand() % keys);
		count += e->in ? 1 : -1u;
		if (i % each == 0)
			check(count);
	}
}

static void few(void **state)
{
	(void)state;
	srand(1);
	for (unsigned nodes = 1; nodes < 12; nodes++)
		play(nodes, 8, 4000, 1);
}

static void many(void **state)
{
	(void)state;
	srand(2);
	play(64, 100, 20000, 1);
	play(NODES, 1 << 30, 40000, 37);
	play(NODES, 3, 40000, 37);
}

/* As a run queue: the first goes, and comes back behind some of the others. */
static void rounds(void **state)
{
	(void)state;
	srand(3);
	for (unsigned nodes = 1; nodes <= NODES; nodes *= 2) {
		begin();
		for (unsigned i = 0; i < nodes; i++)
			add(&element[i], (unsigned)rand() % 1000);
		for (unsigned i = 0; i < 1000; i++) {
			struct tree_node *n = tree_first(&tree);
			uint64_t key = n->key + (unsigned)rand() % 300;

			take(tree_entry(n, struct element, node));
			add(tree_entry(n, struct element, node), key);
			if (i % 16 == 0)
				check(nodes);
		}
	}
}

/* In rising and in falling order, and out again from either end. */
static void sorted(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		begin();
		for (unsigned i = 0; i < NODES; i++) {
			add(&element[i], way & 1 ? i : NODES - i);
			if (i % 16 == 0)
				check(i + 1);
		}
		for (unsigned i = 0; i < NODES; i++) {
			take(&element[way & 2 ? i : NODES - 1 - i]);
			if (i % 16 == 0)
				check(NODES - 1 - i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few),
		cmocka_unit_test(many),
		cmocka_unit_test(rounds),
		cmocka_unit_test(sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
