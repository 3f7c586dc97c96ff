/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log. Two rings: `entries`, one per line, and `text`, into which they point by positions that
 * only rise; a line is there as long as neither ring has gone round over it, so nothing has to be
 * dropped by hand.
 *
 * Locking: log_lock (LOCK_LOG) around both rings. A writer that cannot have it (an NMI over its
 * holder, a panic with the holder stopped) goes on without after a while: a garbled line is better
 * than a silent end.
 */
#include "kernel/log.h"

#include "cpu/cpu.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "lib/format.h"
#include "lib/string.h"

#define TEXT_SIZE	(64u << 10)
#define ENTRY_COUNT	1024u
#define TRIES		1000000

struct entry {
	uint64_t time_ns;
	uint64_t start;			/* position in text */
	uint8_t level;
	uint8_t length;
};

static struct spinlock log_lock = SPINLOCK_INIT("log", LOCK_LOG);
static char text[TEXT_SIZE];
static struct entry entries[ENTRY_COUNT];
static uint64_t text_end;		/* position behind the newest line */
static uint64_t next_sequence;
static void (*sink)(const struct log_line *line);
static void (*early_write)(const char *text, size_t length);

static bool lock(void)
{
	for (unsigned tries = 0; !spin_held(&log_lock) && tries < TRIES; tries++) {
		if (spin_try(&log_lock))
			return true;
		cpu_pause();
	}
	return false;
}

static void append(struct log_line *line)
{
	size_t n = strlen(line->text);
	struct entry *e = &entries[next_sequence % ENTRY_COUNT];

	line->sequence = next_sequence++;
	e->time_ns = line->time_ns;
	e->start = text_end;
	e->level = (uint8_t)line->level;
	e->length = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		text[(text_end + i) % TEXT_SIZE] = line->text[i];
	text_end += n;
}

int log_format_line(const struct log_line *line, char *buf, size_t size)
{
	static const char *const mark[] = { "error: ", "warning: ", "", "" };

	return format(buf, size, "[%5lu.%06lu] %s%s\n", line->time_ns / 1000000000,
		      line->time_ns / 1000 % 1000000, mark[line->level], line->text);
}

static void write_line(const struct log_line *line, void (*write)(const char *text, size_t length))
{
	char buf[sizeof(line->text) + 40];
	int n = log_format_line(line, buf, sizeof(buf));

	write(buf, (size_t)n);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	struct log_line line = { .level = level, .time_ns = clock_ns() };
	void (*to)(const struct log_line *line);
	uint64_t flags;
	bool locked;
	va_list ap;

	va_start(ap, fmt);
	format_v(line.text, sizeof(line.text), fmt, ap);
	va_end(ap);

	flags = cpu_irq_save();
	locked = lock();
	append(&line);
	if (locked)
		spin_unlock(&log_lock);
	cpu_irq_restore(flags);

	to = READ_ONCE(sink);
	if (level > LOG_INFO)
		return;
	if (to)
		to(&line);
	else if (early_write)
		write_line(&line, early_write);
}

static bool present(const struct entry *e)
{
	return text_end - e->start <= TEXT_SIZE;
}

static void read_entry(uint64_t sequence, struct log_line *out)
{
	const struct entry *e = &entries[sequence % ENTRY_COUNT];

	out->sequence = sequence;
	out->time_ns = e->time_ns;
	out->level = e->level;
	for (unsigned i = 0; i < e->length; i++)
		out->text[i] = text[(e->start + i) % TEXT_SIZE];
	out->text[e->length] = 0;
}

bool log_read(uint64_t from, struct log_line *out)
{
	uint64_t flags = cpu_irq_save();
	bool locked = lock(), found;

	if (next_sequence > ENTRY_COUNT && from < next_sequence - ENTRY_COUNT)
		from = next_sequence - ENTRY_COUNT;
	while (from < next_sequence && !present(&entries[from % ENTRY_COUNT]))
		from++;
	found = from < next_sequence;
	if (found)
		read_entry(from, out);
	if (locked)
		spin_unlock(&log_lock);
	cpu_irq_restore(flags);
	return found;
}

void log_set_sink(void (*fn)(const struct log_line *line))
{
	WRITE_ONCE(sink, fn);
}

void log_set_early(void (*write)(const char *text, size_t length))
{
	early_write = write;
}

void log_replay(void (*write)(const char *text, size_t length))
{
	struct log_line line;

	for (uint64_t from = 0; log_read(from, &line); from = line.sequence + 1)
		if (line.level <= LOG_INFO)
			write_line(&line, write);
}
