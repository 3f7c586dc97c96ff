/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for svm/svm_insn.h: the test that needs them has the functions. */
#pragma once

#include "include/addr.h"

void svm_gif_clear(void);
void svm_gif_set(void);
void svm_vmsave(hpa_t vmcb);
