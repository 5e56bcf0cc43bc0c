// SPDX-License-Identifier: GPL-2.0
/*
 * A process that is as small as can be: no C library, one page of data. For
 * each byte that it reads from descriptor 0 it writes another to descriptor 1,
 * which depends on how many there were before.
 *
 * It ends with 7 at the end of its input, and with 8 if read(2) ever fails:
 * nobody who is checkpointed may notice it by an EINTR.
 */
#include <asm/unistd.h>

void _start(void);

static unsigned char count;

static long call(long nr, long a, long b, long c)
{
	long ret;

	asm volatile("syscall" : "=a" (ret)
		     : "0" (nr), "D" (a), "S" (b), "d" (c)
		     : "rcx", "r11", "memory");
	return ret;
}

__attribute__((force_align_arg_pointer)) void _start(void)
{
	unsigned char c;

	for (;;) {
		long n = call(__NR_read, 0, (long)&c, 1);

		if (n != 1)
			call(__NR_exit_group, n ? 8 : 7, 0, 0);
		c += count++;
		if (call(__NR_write, 1, (long)&c, 1) != 1)
			call(__NR_exit_group, 9, 0, 0);
	}
}
