/* SPDX-License-Identifier: BSD-2-Clause */
/* links: boot/cmdline.c boot/bootinfo.c lib/format.c tests/host/log.c */
/*
 * boot/cmdline: which words of the command line are named as mistakes, and how.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/bootinfo.h"
#include "boot/cmdline.h"
#include "boot/gather.h"
#include "drivers/serial.h"

int serial_parse(const char *text, struct serial_config *out)
{
	(void)out;
	return strcmp(text, "com1") ? -1 : 0;
}

static unsigned errors(const char *cmdline)
{
	char text[CMDLINE_ERROR_MAX];
	unsigned n = 0;

	gather_reset();
	gather_cmdline(cmdline, strlen(cmdline));
	while (cmdline_error(n, text, sizeof(text)))
		n++;
	cmdline_check();
	return n;
}

/* Its only mistake is told by this. */
static void one(const char *cmdline, const char *says)
{
	char text[CMDLINE_ERROR_MAX];

	assert_int_equal(errors(cmdline), 1);
	assert_true(cmdline_error(0, text, sizeof(text)));
	if (!strstr(text, says))
		fail_msg("%s: no '%s' in '%s'", cmdline, says, text);
}

static void right(void **state)
{
	(void)state;
	assert_int_equal(errors(""), 0);
	assert_int_equal(errors("  \t "), 0);
	assert_int_equal(errors("cpus=1 serial=com1  x2apic=no\tscreen=no panic=reboot"), 0);
	assert_int_equal(errors("drop_irqs=2"), 0);
	assert_int_equal(errors("cpus=0x100 selftest itlb_multihit=off"), 0);
	assert_int_equal(errors("selftest=anything x2apic=yes provoke=nmi"), 0);
}

static void wrong(void **state)
{
	(void)state;
	one("quiet", "there is no option 'quiet': console ");
	one("cpu=3", "there is no option 'cpu=3'");
	one("cpuss=3", "there is no option 'cpuss=3'");
	one("=3", "there is no option '=3'");
	one("cpus", "'cpus' is left aside: 1 to 256");
	one("cpus=0", "'cpus=0' is left aside: 1 to 256");
	one("cpus=257", "1 to 256");
	one("cpus=four", "1 to 256");
	one("cpus=-1", "1 to 256");
	one("drop_irqs=all", "'drop_irqs=all' is left aside: 2 to 1000000 is allowed");
	one("drop_irqs=1", "2 to 1000000");
	one("x2apic=maybe", "'x2apic=maybe' is left aside: yes or no is allowed");
	one("x2apic=or", "yes or no");
	one("x2apic=", "yes or no");
	one("x2apic=yes,no", "yes or no");
	one("panic=rebooted", "reboot is allowed");
	one("serial=com9", "none, comN, pciN or PORT");
	one("cpus=2 cpus=3", "'cpus=3' is left aside: cpus stands before it already");
	one("cpus=2 x\033[2Jy", "there is no option 'x?[2Jy'");
}

static void many(void **state)
{
	char text[CMDLINE_ERROR_MAX], line[3000];

	(void)state;
	assert_int_equal(errors("a cpus=0 b x2apic=no c"), 4);
	assert_true(cmdline_error(3, text, sizeof(text)));
	assert_non_null(strstr(text, "'c'"));
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	assert_int_equal(errors(line), 2);
	assert_true(cmdline_error(1, text, sizeof(text)));
	assert_string_equal(text, "only the first 2047 characters are read");
	line[BOOT_CMDLINE_MAX - 1] = 0;
	assert_int_equal(errors(line), 1);
	/* A buffer that is too small is not left. */
	assert_true(cmdline_error(0, text, 10));
	assert_true(strlen(text) < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right), cmocka_unit_test(wrong), cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
