/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A system call that is made in dispatch.c, where it is written in assembler.
 */
#ifndef __CKPT_DISPATCH_H
#define __CKPT_DISPATCH_H

extern char one_call[], one_call_end[];

#endif /* __CKPT_DISPATCH_H */
