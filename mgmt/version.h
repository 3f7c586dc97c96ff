/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which state of the source this is: written by tools/version when Keel is built.
 */
#pragma once

/* "d8a573b1c2f4", "d8a573b1c2f4+" with changes, "no commit" when git does not tell. */
extern const char version_commit[];
