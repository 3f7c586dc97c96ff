/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's screen; see mgmt/domain_screen.h. A picture is gone through twice, once for its
 * colours and once to be told; the second time it may be another one, of which rows are cut or
 * black where they are shorter.
 */
#include "mgmt/domain_screen.h"

#include "include/bits.h"
#include "kernel/sched.h"
#include "lib/png.h"
#include "lib/string.h"
#include "mgmt/domain_struct.h"
#include "mm/heap.h"

/* With a vm, whether that runs or not. */
#define SHOWS	(BIT(DOMAIN_RUNNING) | BIT(DOMAIN_PAUSED) | BIT(DOMAIN_SHUTDOWN) | \
		 BIT(DOMAIN_CRASHED))

static int get(struct domain *d, enum vm_screen_part part, unsigned row, void *out,
	       struct mgmt_error *err)
{
	int e;

	mutex_lock(&d->lock);
	e = domain_need(d, SHOWS, err);
	if (!e && vm_screen_get(d->vm, part, row, out))
		e = error_set(err, -ENODEV, "domain '%s' has no screen: 'video = vga' in its "
			      "configuration gives it one from its next start", d->name);
	mutex_unlock(&d->lock);
	return e;
}

int domain_screen_mode(struct domain *d, struct vvga_mode *out, struct mgmt_error *err)
{
	return get(d, VM_SCREEN_MODE, 0, out, err);
}

int domain_screen_row(struct domain *d, unsigned row, uint16_t cells[VVGA_COLUMNS_MAX],
		      struct mgmt_error *err)
{
	memset(cells, 0, VVGA_COLUMNS_MAX * sizeof(*cells));
	return get(d, VM_SCREEN_TEXT, row, cells, err);
}

struct shot {
	struct png png;
	uint8_t rgb[3 * VVGA_WIDTH_MAX];
};

static int get_row(struct domain *d, unsigned y, struct shot *s, struct mgmt_error *err)
{
	sched_point();
	memset(s->rgb, 0, sizeof(s->rgb));
	return get(d, VM_SCREEN_PIXELS, y, s->rgb, err);
}

static int look(struct domain *d, const struct vvga_mode *m, struct shot *s,
		struct mgmt_error *err)
{
	int e = 0;

	png_look_begin(&s->png);
	for (unsigned y = 0; !e && y < m->height && s->png.colours <= PNG_COLOURS; y++) {
		e = get_row(d, y, s, err);
		if (!e)
			png_look(&s->png, s->rgb, m->width);
	}
	return e;
}

static int tell(struct domain *d, const struct vvga_mode *m, struct shot *s, domain_put_t *put,
		void *arg, struct mgmt_error *err)
{
	int e = 0, refused = png_begin(&s->png, m->width, m->height, put, arg);

	for (unsigned y = 0; !e && !refused && y < m->height; y++) {
		e = get_row(d, y, s, err);
		if (!e)
			refused = png_row(&s->png, s->rgb);
	}
	if (!e && !refused)
		refused = png_end(&s->png);
	return refused ? error_set(err, refused, "the picture was given up") : e;
}

int domain_screenshot(struct domain *d, domain_put_t *put, void *arg, struct mgmt_error *err)
{
	struct vvga_mode m;
	struct shot *s;
	int e = domain_screen_mode(d, &m, err);

	if (e)
		return e;
	m.width = MIN(m.width, VVGA_WIDTH_MAX);
	m.height = MIN(m.height, VVGA_HEIGHT_MAX);
	if (!m.width || !m.height)
		return error_set(err, -EAGAIN, "the guest of domain '%s' shows nothing yet: it has set "
				 "no mode", domain_name(d));
	s = heap_alloc(sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory for a picture: end a domain");
	e = look(d, &m, s, err) ?: tell(d, &m, s, put, arg, err);
	heap_free(s);
	return e;
}
