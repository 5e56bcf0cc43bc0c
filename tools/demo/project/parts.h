/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PARTS_H
#define PARTS_H

unsigned int part1(unsigned int x);
unsigned int part2(unsigned int x);
unsigned int part3(unsigned int x);
unsigned int part4(unsigned int x);
unsigned int part5(unsigned int x);
unsigned int part6(unsigned int x);

#endif /* PARTS_H */
