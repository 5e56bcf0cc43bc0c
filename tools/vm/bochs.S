/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All the firmware that the processor of Bochs gets: it reads what is on the disk to
 * where the kernel is linked to run, and enters the kernel as PVH has it. So there is no
 * need of a BIOS, a boot loader, or drivers.
 *
 * --defsym: BASE, where the disk goes; CHUNKS of 256 sectors that it has; ENTRY of the
 * kernel; INFO, the address of its struct hvm_start_info.
 */
	.equ	DATA, 0x1f0
	.equ	COUNT, 0x1f2
	.equ	LBA_LOW, 0x1f3
	.equ	LBA_MID, 0x1f4
	.equ	LBA_HIGH, 0x1f5
	.equ	DRIVE, 0x1f6
	.equ	COMMAND, 0x1f7
	.equ	READ_SECTORS, 0x20
	.equ	BUSY, 0x80
	.equ	REQUEST, 0x08

	.text
	.code16
	.globl	rom
rom:
	cli
	cld
	lgdtl	%cs:gdt_pointer - rom
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $flat

	.code32
flat:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x7000, %esp
	/* Address line 20. */
	movb	$2, %al
	outb	%al, $0x92

	movl	$BASE, %edi
	/* The low byte of a sector's number is 0 where a chunk begins. */
	xorl	%ebx, %ebx
1:	call	ready
	movw	$COUNT, %dx
	/* 256 */
	xorl	%eax, %eax
	outb	%al, %dx
	movw	$LBA_LOW, %dx
	outb	%al, %dx
	movw	$LBA_MID, %dx
	movb	%bl, %al
	outb	%al, %dx
	movw	$LBA_HIGH, %dx
	movb	%bh, %al
	outb	%al, %dx
	movw	$DRIVE, %dx
	movb	$0xe0, %al
	outb	%al, %dx
	movw	$COMMAND, %dx
	movb	$READ_SECTORS, %al
	outb	%al, %dx
	movl	$256, %esi
2:	call	ready
	testb	$REQUEST, %al
	jz	2b
	movw	$DATA, %dx
	movl	$256, %ecx
	rep insw
	decl	%esi
	jnz	2b
	incl	%ebx
	cmpl	$CHUNKS, %ebx
	jb	1b

	movl	$INFO, %ebx
	movl	$ENTRY, %eax
	jmp	*%eax

ready:
	movw	$COMMAND, %dx
	inb	%dx, %al
	testb	$BUSY, %al
	jnz	ready
	ret

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	/* Where the processor begins. */
	.org	0xfff0
	.code16
	jmp	rom
	.org	0x10000
