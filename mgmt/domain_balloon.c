/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon of a domain that runs: how much memory it is to have, how much it has, and what its
 * driver tells of it. See mgmt/domain.h. What a guest has given back is promised to whoever asks
 * next; it is asked to take no more back than can be promised at that moment.
 */
#include "include/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "vmm/vm_balloon.h"

#define MEMORY_LEAST	(2 * MIB)

static int no_balloon(const struct domain *d, struct mgmt_error *err)
{
	return error_set(err, -ENODEV, "domain '%s' has no balloon: 'device = virtio-balloon-pci' in "
			 "its configuration gives it one from its next start", d->name);
}

/* Pages of `out` that are more than a balloon of `pages` has would come back. */
static int check_growth(struct domain *d, uint64_t pages, struct mgmt_error *err)
{
	uint64_t left = gmem_available();
	struct vm_stats s;

	vm_stats_get(d->vm, &s);
	if (s.out_pages <= pages || s.out_pages - pages <= left)
		return 0;
	return error_set(err, -ENOMEM, "domain '%s' has given %lu MiB back, of which %lu MiB are left: "
			 "end another one, or take less", d->name, s.out_pages * PAGE_SIZE / MIB,
			 left * PAGE_SIZE / MIB);
}

static int set_target(struct domain *d, uint64_t bytes, struct mgmt_error *err)
{
	uint64_t memory = d->live->memory, pages;
	int e;

	if (bytes < MIN(MEMORY_LEAST, memory) || bytes > memory)
		return error_set(err, -EINVAL, "domain '%s' can have %lu to %lu KiB: 'setmaxmem' "
				 "changes that for its next start", d->name,
				 MIN(MEMORY_LEAST, memory) / KIB, memory / KIB);
	pages = (memory - bytes) / PAGE_SIZE;
	e = check_growth(d, pages, err);
	if (!e && vm_balloon_target(d->vm, (uint32_t)MIN(pages, 0xfffffffful)))
		e = no_balloon(d, err);
	return e;
}

int domain_memory_set(struct domain *d, uint64_t bytes, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED), err);
	if (!e)
		e = set_target(d, bytes, err);
	mutex_unlock(&d->lock);
	return e;
}

int domain_memory_period(struct domain *d, uint64_t seconds, struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED), err);
	if (!e && seconds > DOMAIN_PERIOD_MAX)
		e = error_set(err, -EINVAL, "a period is 0 (none) to %u seconds", DOMAIN_PERIOD_MAX);
	if (!e && vm_balloon_period(d->vm, (uint32_t)seconds))
		e = no_balloon(d, err);
	mutex_unlock(&d->lock);
	return e;
}

/* ---- what there is ---- */

static const struct { uint8_t stat; uint8_t shift; const char *name; } stats[] = {
	{ BALLOON_SWAP_IN, 10, "swap_in" }, { BALLOON_SWAP_OUT, 10, "swap_out" },
	{ BALLOON_MAJOR_FAULTS, 0, "major_fault" }, { BALLOON_MINOR_FAULTS, 0, "minor_fault" },
	{ BALLOON_FREE, 10, "unused" }, { BALLOON_TOTAL, 10, "available" },
	{ BALLOON_AVAILABLE, 10, "usable" }, { BALLOON_CACHES, 10, "disk_caches" },
	{ BALLOON_HUGE_ALLOCATED, 0, "hugetlb_pgalloc" },
	{ BALLOON_HUGE_FAILED, 0, "hugetlb_pgfail" },
};

static void put(struct records *out, const char *prefix, const char *name, uint64_t value)
{
	struct domain_stat *s = records_add(out);

	if (!s)
		return;
	format(s->key, sizeof(s->key), "%s%s", prefix, name);
	s->value = value;
}

static uint64_t actual(const struct domain *d, const struct virtio_balloon_info *i)
{
	uint64_t all = d->live->memory / PAGE_SIZE;

	return (all - MIN(all, i->actual)) * (PAGE_SIZE / KIB);
}

void domain_memory_stats_locked(struct domain *d, const char *prefix, const char *current,
				struct records *out)
{
	struct virtio_balloon_info i = { 0 };
	struct vm_stats s;

	(void)!vm_balloon_info(d->vm, &i);
	vm_stats_get(d->vm, &s);
	put(out, prefix, current, actual(d, &i));
	for (unsigned n = 0; n < ARRAY_COUNT(stats); n++)
		if (i.known & BIT(stats[n].stat))
			put(out, prefix, stats[n].name, i.stat[stats[n].stat] >> stats[n].shift);
	if (i.known)
		put(out, prefix, "last_update", i.told_at);
	put(out, prefix, "rss", s.charged_pages * (PAGE_SIZE / KIB));
}

int domain_memory_stats(struct domain *d, struct records *out, struct mgmt_error *err)
{
	int e = 0;

	mutex_lock(&d->lock);
	if (domain_has_vm(d))
		domain_memory_stats_locked(d, "", "actual", out);
	else
		e = domain_need(d, DOMAIN_ACTIVE, err);
	mutex_unlock(&d->lock);
	return e;
}

uint64_t domain_memory_now(struct domain *d, unsigned *period)
{
	struct virtio_balloon_info i = { 0 };
	uint64_t now = 0;

	mutex_lock(&d->lock);
	if (domain_has_vm(d)) {
		(void)!vm_balloon_info(d->vm, &i);
		now = actual(d, &i) * KIB;
	}
	mutex_unlock(&d->lock);
	*period = i.period;
	return now;
}

void domain_memory_scarce(void)
{
	for (struct domain *d = domain_next(NULL); d; d = domain_next(d)) {
		mutex_lock(&d->lock);
		if (domain_has_vm(d))
			(void)!vm_balloon_hint(d->vm);
		mutex_unlock(&d->lock);
	}
}
