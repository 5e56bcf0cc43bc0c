// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

unsigned int part1(unsigned int x);
unsigned int part2(unsigned int x);
unsigned int part3(unsigned int x);
unsigned int part4(unsigned int x);
unsigned int part5(unsigned int x);
unsigned int part6(unsigned int x);

int main(void)
{
	unsigned int x = part6(part5(part4(part3(part2(part1(2008))))));

	printf("all: %u\n", x);
	return 0;
}
