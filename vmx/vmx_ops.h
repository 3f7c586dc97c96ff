/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMX back end as the rest of Keel sees it: one table, which kernel/main.c offers to vmm/. */
#pragma once

#include "vmm/ops.h"

extern const struct vmm_ops vmx_ops;
