/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error numbers: functions return 0 or one of these, negated. The list is short on purpose;
 * lib/format prints their names. Numbers follow Linux, so that a host test that links libc agrees
 * with the kernel.
 */
#pragma once

#ifndef EPERM
#define EPERM	1	/* not permitted in this state or by policy */
#define ENOENT	2	/* no such thing */
#define EINTR	4	/* the wait was abandoned: pause or destroy wants the thread */
#define EIO	5	/* the device failed */
#define E2BIG	7	/* larger than the limit */
#define EAGAIN	11	/* not now; the same call may succeed later */
#define ENOMEM	12	/* no memory */
#define EFAULT	14	/* an address that is not there */
#define EBUSY	16	/* in use */
#define EEXIST	17	/* is there already */
#define ENODEV	19	/* the hardware is missing */
#define EINVAL	22	/* malformed */
#define ENOSPC	28	/* a table or a queue is full */
#define ERANGE	34	/* a number outside its limits */
#define ENOSYS	38	/* not supported */
#define ETIMEDOUT 110	/* the deadline passed */
#endif
