/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Definitions at run time: text that is read as keel.conf is, and changes of one key, for which the
 * definition is written without it, the key's new line added, and all read again: so whatever holds
 * for keel.conf holds for them. See mgmt/domain.h. A domain's mutex, when its configuration is
 * looked up or replaced.
 */
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mgmt/text.h"
#include "mm/heap.h"

static int refuse(const struct config *c, struct mgmt_error *err)
{
	const struct config_error *e = &c->error[0];

	if (!c->error_count)
		return error_set(err, -EINVAL, "one section [vm NAME] is wanted, not %u",
				 c->vm_count);
	if (!e->line)
		return error_set(err, -EINVAL, "%s", e->text);
	return error_set(err, -EINVAL, c->error_count > 1 ? "line %u: %s (and %u more mistakes)"
							  : "line %u: %s",
			 e->line, e->text, c->error_count - 1);
}

/* *out is the caller's. */
static int read_one(const char *text, size_t size, struct config_vm **out, struct mgmt_error *err)
{
	struct config *c = heap_alloc(sizeof(*c));
	int e = 0;

	if (!c || config_parse(c, text, size, mgmt_limits())) {
		heap_free(c);
		return error_set(err, -ENOMEM, "no memory to read a definition: end a domain");
	}
	if (c->error_count || c->vm_count != 1) {
		e = refuse(c, err);
	} else {
		*out = c->vm[0];
		c->vm[0] = NULL;
	}
	config_fini(c);
	heap_free(c);
	return e;
}

int domain_define_text(const char *text, size_t size, bool persistent, struct domain **out,
		       struct mgmt_error *err)
{
	struct config_vm *c;
	int e = read_one(text, size, &c, err);

	if (e)
		return e;
	e = domain_define(c, persistent, out, err);
	if (e)
		config_vm_put(c);
	return e;
}

static void add(void *arg, const char *part)
{
	text_add(arg, part);
}

static int read_text(const struct config_vm *old, struct text *t, struct config_vm **out,
		     struct mgmt_error *err)
{
	char *text = text_take(t);
	int e;

	if (!text)
		return error_set(err, -ENOMEM, "domain '%s': no memory to change it", old->name);
	e = read_one(text, strlen(text), out, err);
	heap_free(text);
	return e;
}

static int changed(const struct config_vm *old, const char *key, const char *value,
		   struct config_vm **out, struct mgmt_error *err)
{
	struct text t = { 0 };

	if (strchr(value, '\n'))
		return error_set(err, -EINVAL, "%s: its value is one line, and this has more", key);
	config_write_vm(old, config_key_repeats(key) ? NULL : key, add, &t);
	text_add(&t, key);
	text_add(&t, " = ");
	text_add(&t, value);
	return read_text(old, &t, out, err);
}

/* Takes over `c`; -EAGAIN: it has another one than `old` by now. */
static int replace(struct domain *d, struct config_vm *old, struct config_vm *c,
		   struct mgmt_error *err)
{
	int e = 0;

	mutex_lock(&d->lock);
	if (!d->persistent)
		e = error_set(err, -EPERM, "domain '%s' is transient: nothing of it holds from a "
			      "next start", d->name);
	else if (d->config != old)
		e = -EAGAIN;
	if (!e) {
		d->config = c;
		c = old;
		domain_event(d, EVENT_DEFINED, "updated");
	}
	mutex_unlock(&d->lock);
	config_vm_put(c);
	return e;
}

/* Likewise what runs, which follows. */
static int replace_live(struct domain *d, struct config_vm *old, struct config_vm *c,
			struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, DOMAIN_ACTIVE, err);
	if (!e && d->live != old)
		e = -EAGAIN;
	if (!e) {
		d->live = c;
		domain_sched_follow(d, d->vm, old);
		c = old;
	}
	mutex_unlock(&d->lock);
	config_vm_put(c);
	return e;
}

static int change(struct domain *d, bool live, const char *key, const char *value,
		  struct mgmt_error *err)
{
	struct config_vm *old, *c;
	int e;

	do {
		old = domain_config_get(d, live);
		e = changed(old, key, value, &c, err);
		if (!e)
			e = live ? replace_live(d, old, c, err) : replace(d, old, c, err);
		config_vm_put(old);
	} while (e == -EAGAIN);
	return e;
}

int domain_configure(struct domain *d, const char *key, const char *value, struct mgmt_error *err)
{
	return change(d, false, key, value, err);
}

int domain_configure_lines(struct domain *d, const char *key, domain_lines_t *lines,
			   const void *arg, struct mgmt_error *err)
{
	struct config_vm *old, *c;
	int e;

	do {
		struct text t = { 0 };

		old = domain_config_get(d, false);
		config_write_vm(old, key, add, &t);
		lines(old, &t, arg);
		e = read_text(old, &t, &c, err) ?: replace(d, old, c, err);
		config_vm_put(old);
	} while (e == -EAGAIN);
	return e;
}

int domain_adjust(struct domain *d, unsigned how, const char *key, const char *value,
		  struct mgmt_error *err)
{
	int e = 0;

	if (how == DOMAIN_AFFECT_CURRENT)
		how = domain_is_active(d) ? DOMAIN_AFFECT_LIVE : DOMAIN_AFFECT_CONFIG;
	if (how & DOMAIN_AFFECT_LIVE)
		e = change(d, true, key, value, err);
	if (!e && how & DOMAIN_AFFECT_CONFIG)
		e = change(d, false, key, value, err);
	return e;
}
