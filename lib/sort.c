/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heap sort: the array is made a heap with its largest element first, which is then swapped to the
 * end, over and over.
 */
#include "lib/sort.h"

struct array {
	uint8_t *base;
	size_t size;
	int (*compare)(const void *a, const void *b);
};

static void *at(const struct array *a, size_t i)
{
	return a->base + i * a->size;
}

static void swap(const struct array *a, size_t i, size_t j)
{
	uint8_t *x = at(a, i), *y = at(a, j), t;

	for (size_t n = a->size; n; n--, x++, y++) {
		t = *x;
		*x = *y;
		*y = t;
	}
}

/* Restores the heap below `i`, whose children are heaps. */
static void sift_down(const struct array *a, size_t i, size_t count)
{
	size_t child;

	while ((child = 2 * i + 1) < count) {
		if (child + 1 < count && a->compare(at(a, child), at(a, child + 1)) < 0)
			child++;
		if (a->compare(at(a, i), at(a, child)) >= 0)
			return;
		swap(a, i, child);
		i = child;
	}
}

void sort_array(void *base, size_t count, size_t size,
		int (*compare)(const void *a, const void *b))
{
	struct array a = { .base = base, .size = size, .compare = compare };

	for (size_t i = count / 2; i--;)
		sift_down(&a, i, count);
	while (count > 1) {
		swap(&a, 0, --count);
		sift_down(&a, 0, count);
	}
}
