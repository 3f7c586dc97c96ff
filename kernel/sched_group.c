/* SPDX-License-Identifier: BSD-2-Clause */
/* Scheduling groups: their life; see kernel/sched_group.h. */
#include "kernel/sched_group.h"

#include "mm/heap.h"

struct sched_group *sched_group_create(unsigned weight)
{
	struct sched_group *g = heap_alloc(sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct sched_group){ .refs = 1, .weight = weight };
	spin_init(&g->lock, "group", LOCK_GROUP);
	return g;
}

void sched_group_get(struct sched_group *g)
{
	if (g)
		__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
}

void sched_group_put(struct sched_group *g)
{
	if (g && !__atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL))
		heap_free(g);
}
