// SPDX-License-Identifier: GPL-2.0
/*
 * One part of a program of several: PART is its number. It is unrolled so far that
 * the compiler has something to do.
 */
#include <stdio.h>

#define JOIN(a, b) a##b
#define NAME(n) JOIN(part, n)

unsigned int NAME(PART)(unsigned int x);

unsigned int NAME(PART)(unsigned int x)
{
#pragma GCC unroll 300
	for (unsigned int i = 0; i < 300; i++)
		x = (x ^ (x >> (i % 13 + 1))) * (2654435761u + PART * i);
	printf("part %d: %u\n", PART, x);
	return x;
}
