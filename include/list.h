/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Doubly linked circular list, embedded in its elements. No lock: the owner of the head has one.
 */
#pragma once

#include "include/compiler.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(head)	{ &(head), &(head) }

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_between(struct list *n, struct list *prev, struct list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = next->prev = n;
}

/* At the front of a list, or behind the element `head`. */
static inline void list_push_front(struct list *head, struct list *n)
{
	list_insert_between(n, head, head->next);
}

/* At the back of a list, or before the element `head`. */
static inline void list_push_back(struct list *head, struct list *n)
{
	list_insert_between(n, head->prev, head);
}

/* Leaves `n` an empty list of its own, so that removing it again is harmless. */
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)

#define list_for_each(pos, head, member)						\
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);	\
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The body may remove `pos`. */
#define list_for_each_safe(pos, tmp, head, member)					\
	for (pos = list_entry((head)->next, __typeof__(*pos), member),			\
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member);		\
	     &pos->member != (head);							\
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))
