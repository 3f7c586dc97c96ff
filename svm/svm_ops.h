/* SPDX-License-Identifier: BSD-2-Clause */
/* The SVM back end as the rest of Keel sees it: one table, which kernel/main.c offers to vmm/. */
#pragma once

#include "vmm/ops.h"

extern const struct vmm_ops svm_ops;
