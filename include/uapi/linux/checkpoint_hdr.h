/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Layout of a checkpoint image, as checkpoint(2) writes and restart(2) reads it.
 *
 * An image is a sequence of records in the byte order of the machine that
 * wrote it. A record is a struct cr_hdr, then @len bytes of payload, then
 * zeros up to the next multiple of 8 bytes.
 *
 * Every payload structure has a size that is a multiple of 8, members that are
 * aligned to their own size, and no padding that is not spelled out, so that
 * 32-bit and 64-bit programs see one format.
 *
 * Documentation/checkpoint/image-format.rst tells what each field means.
 */
#ifndef _UAPI_LINUX_CHECKPOINT_HDR_H
#define _UAPI_LINUX_CHECKPOINT_HDR_H

#include <linux/types.h>

/* Revision of the format: 1 was the RFC of 2008. */
#define CR_VERSION		2

/* Bytes of each utsname field in an image; a field of 64 bytes has no NUL. */
#define CR_UTS_LEN		64

/* The payload of a record is padded with zeros to a multiple of this. */
#define CR_ALIGN		8

/* Longest payload of a record: @len is a signed 16 bit number. */
#define CR_LEN_MAX		32767

/* Longest task_comm_len that restart(2) takes. */
#define CR_COMM_LEN_MAX		4096

/**
 * struct cr_hdr - what every record begins with
 * @type: CR_HDR_*
 * @len: bytes of payload, without the padding behind it
 * @parent: number of the object this record belongs to, 0 if to none
 */
struct cr_hdr {
	__s16 type;
	__s16 len;
	__u32 parent;
};

/* Record types. */
enum {
	CR_HDR_HEAD = 1,
	CR_HDR_STRING,

	CR_HDR_TASK = 101,
	CR_HDR_THREAD,
	CR_HDR_CPU,
	CR_HDR_TASK_STATS,

	CR_HDR_MM = 201,
	CR_HDR_VMA,
	CR_HDR_MM_CONTEXT,

	CR_HDR_TAIL = 5001
};

/**
 * struct cr_hdr_head - first record of an image
 * @magic: CHECKPOINT_MAGIC_HEAD
 * @major: kernel version: 7 of 7.3.4
 * @minor: kernel version: 3 of 7.3.4
 * @patch: kernel version: 4 of 7.3.4
 * @rev: CR_VERSION
 * @time: when the checkpoint was taken, seconds of CLOCK_REALTIME
 * @flags: CHECKPOINT_* flags of the call
 * @release: utsname release of the kernel
 * @version: utsname version of the kernel
 * @machine: utsname machine of the kernel
 * @crid: what checkpoint(2) returned, greater than 0
 * @page_size: bytes per page of the kernel
 */
struct cr_hdr_head {
	__u64 magic;

	__u16 major;
	__u16 minor;
	__u16 patch;
	__u16 rev;

	__u64 time;
	__u64 flags;

	char release[CR_UTS_LEN];
	char version[CR_UTS_LEN];
	char machine[CR_UTS_LEN];

	__s32 crid;
	__u32 page_size;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_task - a task; a CR_HDR_STRING with its comm follows
 * @state: TASK_* state of the task, 0 is running
 * @exit_state: EXIT_* state, 0 if the task lives
 * @exit_code: as wait4(2) reports it, 0 if the task lives
 * @exit_signal: signal that the parent gets when the task ends, -1 if the task
 *	is a thread that is not the leader of its group
 * @task_comm_len: bytes of the CR_HDR_STRING that follows
 * @reserved: 0
 */
struct cr_hdr_task {
	__u32 state;
	__u32 exit_state;
	__s32 exit_code;
	__s32 exit_signal;

	__s32 task_comm_len;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_task_stats - what a task has used up
 * @utime: nanoseconds in user mode
 * @stime: nanoseconds in the kernel
 * @utimescaled: @utime scaled by processor frequency; @utime where the
 *	architecture does not scale
 * @stimescaled: @stime, likewise
 * @gtime: nanoseconds in guest mode
 * @prev_utime: nanoseconds in user mode as last reported
 * @prev_stime: nanoseconds in the kernel as last reported
 * @nvcsw: voluntary context switches
 * @nivcsw: involuntary context switches
 * @start_time: nanoseconds of CLOCK_MONOTONIC when the task started
 * @start_boottime: nanoseconds of CLOCK_BOOTTIME when the task started
 * @min_flt: page faults that needed no I/O
 * @maj_flt: page faults that needed I/O
 */
struct cr_hdr_task_stats {
	__u64 utime;
	__u64 stime;
	__u64 utimescaled;
	__u64 stimescaled;
	__u64 gtime;
	__u64 prev_utime;
	__u64 prev_stime;
	__u64 nvcsw;
	__u64 nivcsw;
	__u64 start_time;
	__u64 start_boottime;
	__u64 min_flt;
	__u64 maj_flt;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_tail - last record of an image
 * @magic: CHECKPOINT_MAGIC_TAIL
 * @cksum: CRC-32C (in the low 32 bits) of every byte of the image before this
 *	record, bulk data left out
 */
struct cr_hdr_tail {
	__u64 magic;
	__u64 cksum;
} __attribute__((aligned(8)));

#endif /* _UAPI_LINUX_CHECKPOINT_HDR_H */
