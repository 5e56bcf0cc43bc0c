// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "parts.h"

int main(void)
{
	unsigned int x = part6(part5(part4(part3(part2(part1(2008))))));

	printf("all: %u\n", x);
	return 0;
}
