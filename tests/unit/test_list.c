/* SPDX-License-Identifier: BSD-2-Clause */
/* links: */
/*
 * include/list.h and include/bits.h: order, removal, removal twice, removal while walking;
 * masks and safe ranges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "include/bits.h"
#include "include/list.h"

struct item {
	int value;
	struct list link;
};

static void order(void **state)
{
	struct list head = LIST_INIT(head);
	struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 }, *i;
	int seen = 0;

	(void)state;
	assert_true(list_empty(&head));
	list_push_back(&head, &b.link);
	list_push_back(&head, &c.link);
	list_push_front(&head, &a.link);
	list_for_each(i, &head, link)
		assert_int_equal(i->value, ++seen);
	assert_int_equal(seen, 3);
	assert_ptr_equal(list_first(&head, struct item, link), &a);
}

static void removal(void **state)
{
	struct list head = LIST_INIT(head);
	struct item items[4], *i, *tmp;

	(void)state;
	for (int n = 0; n < 4; n++)
		list_push_back(&head, &items[n].link);
	list_remove(&items[2].link);
	list_remove(&items[2].link);
	list_for_each_safe(i, tmp, &head, link)
		list_remove(&i->link);
	assert_true(list_empty(&head));
}

static void masks(void **state)
{
	(void)state;
	assert_int_equal(BITS(63, 0), ~0ul);
	assert_int_equal(BITS(11, 4), 0xff0);
	assert_int_equal(FIELD(0xabcdul, 11, 4), 0xbc);
	assert_int_equal(bytes_mask(1), 0xff);
	assert_int_equal(bytes_mask(8), ~0ul);
	assert_int_equal(ALIGN_UP(4097ul, 1ul << 21), 1ul << 21);
	assert_int_equal(bit_lowest(8), 3);
	assert_int_equal(bit_highest(9), 3);
}

static void ranges(void **state)
{
	(void)state;
	assert_true(range_within(10, 5, 10, 5));
	assert_false(range_within(10, 6, 10, 5));
	assert_false(range_within(9, 1, 10, 5));
	assert_true(range_within(15, 0, 10, 5));
	assert_false(range_within(12, ~0ul, 10, 5));
	assert_false(range_within(~0ul, 2, ~0ul - 1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order),
		cmocka_unit_test(removal),
		cmocka_unit_test(masks),
		cmocka_unit_test(ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
