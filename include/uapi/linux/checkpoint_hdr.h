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

/* Longest path of a file and name of a mapping, in bytes, without a NUL. */
#define CR_PATH_LEN_MAX		4095
#define CR_NAME_LEN_MAX		255

/* Most that one announcement of bulk data stands for. */
#define CR_EXTENTS_MAX		1024
#define CR_PAGES_MAX		1024
#define CR_DATA_LEN_MAX		(1024 * 1024)

/* Most objects, descriptors, locks, mappings, signals, groups, tasks that are read. */
#define CR_OBJECTS_MAX		1048576
#define CR_FDS_MAX		1048576
#define CR_LOCKS_MAX		65536
#define CR_VMAS_MAX		1048576
#define CR_PENDING_MAX		65536
#define CR_GROUPS_MAX		8191
#define CR_FILTERS_MAX		4096
#define CR_INSNS_MAX		4096
#define CR_TIMERS_MAX		65536
#define CR_OWNERS_MAX		1048576
#define CR_EPOLL_ITEMS_MAX	1048576
#define CR_WATCHES_MAX		1048576
#define CR_POLICIES_MAX		65536
#define CR_GUARDS_MAX		1048576
#define CR_AIO_MAX		1024
#define CR_SEM_UNDOS_MAX	4096
#define CR_TASKS_MAX		65536
#define CR_AFFINITY_LEN_MAX	8192
#define CR_LABEL_LEN_MAX	4096

/*
 * A list of words may be too long for one record. So many words are in each
 * CR_HDR_INSNS and CR_HDR_LDT but the last, which has the rest.
 */
#define CR_WORDS_MAX		2048

/* Resource limits and their number: RLIMIT_* of getrlimit(2). */
#define CR_NR_LIMITS		16
#define CR_LDT_MAX		8192

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
	CR_HDR_PAD,
	CR_HDR_DATA,

	CR_HDR_TASK = 101,
	CR_HDR_THREAD,
	CR_HDR_CPU,
	CR_HDR_TASK_STATS,
	CR_HDR_XSTATE,
	CR_HDR_CREDS,
	CR_HDR_GROUPS,
	CR_HDR_SECCOMP,
	CR_HDR_FILTER,
	CR_HDR_INSNS,
	CR_HDR_LIMITS,
	CR_HDR_SCHED,
	CR_HDR_AFFINITY,
	CR_HDR_TASK_ATTRS,
	CR_HDR_USAGE,
	CR_HDR_SEM_UNDO_LIST,
	CR_HDR_SEM_UNDO,
	CR_HDR_SEMADJ,

	CR_HDR_MM = 201,
	CR_HDR_VMA,
	CR_HDR_MM_CONTEXT,
	CR_HDR_AUXV,
	CR_HDR_PAGES,
	CR_HDR_EXTENTS,
	CR_HDR_LDT,
	CR_HDR_POLICY,
	CR_HDR_GUARD,
	CR_HDR_AIO,
	CR_HDR_SHARED,
	CR_HDR_SHARED_EXTENTS,

	CR_HDR_FILES = 301,
	CR_HDR_FD,
	CR_HDR_FILE,
	CR_HDR_PIPE,
	CR_HDR_SHM,
	CR_HDR_TTY,
	CR_HDR_FS,
	CR_HDR_LOCK,
	CR_HDR_INODE,
	CR_HDR_EVENTFD,
	CR_HDR_TIMERFD,
	CR_HDR_SIGNALFD,
	CR_HDR_INOTIFY,
	CR_HDR_PIDFD,
	CR_HDR_OWNER,
	CR_HDR_EPOLL_ITEM,
	CR_HDR_WATCH,

	CR_HDR_SIGNALS = 401,
	CR_HDR_SIGACTION,
	CR_HDR_SIGINFO,
	CR_HDR_TIMERS,
	CR_HDR_TIMER,
	CR_HDR_PROCESS,

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
 * @pid: pid of the first task, in its own pid namespace
 * @nr_tasks: how many tasks the image has
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

	__s32 pid;
	__u32 nr_tasks;
} __attribute__((aligned(8)));

/* exit_state of struct cr_hdr_task */
#define CR_EXIT_ZOMBIE		32

/* flags of struct cr_hdr_task */
#define CR_TASK_OUTLIVED	0x1	/* a zombie; threads of its process live on */
#define CR_TASK_AUTOREAP	0x2	/* nobody waits for it: CLONE_AUTOREAP */
#define CR_TASK_TTY		0x4	/* it has a controlling terminal */
#define CR_TASK_FOREGROUND	0x8	/* its process group is in the foreground there */
#define CR_TASK_STRANGER	0x10	/* its parent gets SIGCHLD whatever @exit_signal is */
#define CR_TASK_USAGE		0x20	/* CR_HDR_USAGE follows its credentials */
#define CR_TASK_SYSVSEM		0x40	/* has a list for SEM_UNDO */

/**
 * struct cr_hdr_task - a task; a CR_HDR_STRING with its comm follows
 * @state: 0
 * @exit_state: CR_EXIT_ZOMBIE, 0 if the task lives
 * @exit_code: as wait4(2) reports it, 0 if the task lives
 * @exit_signal: signal that the parent gets when the task ends, -1 if the task
 *	is a thread that is not the leader of its group
 * @task_comm_len: bytes of the CR_HDR_STRING that follows
 * @pid: pid of the task, in the pid namespace of the first task
 * @pgid: process group of the task, likewise; 0 if it is of another namespace
 * @sid: session of the task, likewise. Of both, that of the first task is the one
 *	which the restarter has; any other that has the number of no task is one
 *	whose leader is gone
 * @tgid: pid of the leader of its thread group, likewise
 * @ppid: pid of the task that is its parent, which comes before it; 0 of the
 *	first task, and of threads that are not the leader of their group
 * @flags: CR_TASK_*
 * @mm: number of the task before this whose address space it has, 1 is the
 *	first; 0 if it has its own, or none
 * @files: likewise for its descriptor table
 * @fs: likewise for the place where its paths begin
 * @sighand: likewise for the actions of its signals
 * @vfork: pid of the task that its vfork(2) waits for, 0 if it is in none
 * @sysvsem: number of the task before it that has the same list for SEM_UNDO, if
 *	it is CR_TASK_SYSVSEM; 0 if none has
 * @reserved: 0
 *
 * Tasks come after the leader of their group.
 */
struct cr_hdr_task {
	__u32 state;
	__u32 exit_state;
	__s32 exit_code;
	__s32 exit_signal;

	__s32 task_comm_len;
	__s32 pid;
	__s32 pgid;
	__s32 sid;

	__s32 tgid;
	__s32 ppid;
	__u32 flags;
	__u32 mm;

	__u32 files;
	__u32 fs;
	__u32 sighand;
	__s32 vfork;
	__u32 sysvsem;
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

/* What is counted in struct cr_hdr_usage */
#define CR_USAGE_UTIME		0	/* nanoseconds in user mode */
#define CR_USAGE_STIME		1	/* nanoseconds in the kernel */
#define CR_USAGE_GTIME		2	/* nanoseconds in guest mode */
#define CR_USAGE_NVCSW		3	/* voluntary context switches */
#define CR_USAGE_NIVCSW		4	/* involuntary context switches */
#define CR_USAGE_MIN_FLT	5	/* page faults that needed no I/O */
#define CR_USAGE_MAJ_FLT	6	/* page faults that needed I/O */
#define CR_USAGE_INBLOCK	7	/* blocks read, of 512 bytes */
#define CR_USAGE_OUBLOCK	8	/* blocks written */
#define CR_USAGE_MAXRSS		9	/* the most pages that one address space had */
#define CR_USAGE_RUNTIME	10	/* nanoseconds on a processor */
#define CR_NR_USAGE		11

/**
 * struct cr_hdr_usage - what has been used up by others than a task
 * @threads: by CR_USAGE_*, of a leader: by threads of its process that have ended.
 *	Blocks, pages and time on a processor are with those of the task itself
 * @children: likewise by its children that it has waited for
 */
struct cr_hdr_usage {
	__u64 threads[CR_NR_USAGE];
	__u64 children[CR_NR_USAGE];
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_creds - credentials; CR_HDR_GROUPS follows if @ngroups is not 0
 * @uid: real user id, like all ids in the user namespace of the checkpointer
 * @euid: effective user id
 * @suid: saved user id
 * @fsuid: user id for file access
 * @gid: real group id
 * @egid: effective group id
 * @sgid: saved group id
 * @fsgid: group id for file access
 * @securebits: SECBIT_* as prctl(2) reports them
 * @ngroups: supplementary groups: CR_HDR_GROUPS has a __u32 for each
 * @cap_inheritable: capability set
 * @cap_permitted: capability set
 * @cap_effective: capability set
 * @cap_bset: capability bounding set
 * @cap_ambient: capability set
 * @no_new_privs: 1 if execve(2) grants nothing
 * @reserved: 0
 */
struct cr_hdr_creds {
	__u32 uid;
	__u32 euid;
	__u32 suid;
	__u32 fsuid;
	__u32 gid;
	__u32 egid;
	__u32 sgid;
	__u32 fsgid;
	__u32 securebits;
	__u32 ngroups;
	__u64 cap_inheritable;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_bset;
	__u64 cap_ambient;
	__u32 no_new_privs;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_seccomp - seccomp(2); @nr_filters CR_HDR_FILTER follow, the
 *	first that was installed first
 * @mode: SECCOMP_MODE_*
 * @nr_filters: filters; 0 unless @mode is SECCOMP_MODE_FILTER
 */
struct cr_hdr_seccomp {
	__u32 mode;
	__u32 nr_filters;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_filter */
#define CR_FILTER_LOG		0x1	/* SECCOMP_FILTER_FLAG_LOG */

/**
 * struct cr_hdr_filter - a seccomp filter; CR_HDR_INSNS with its program
 *	follow, as struct sock_filter: CR_WORDS_MAX instructions in each but
 *	the last
 * @flags: CR_FILTER_*
 * @nr_insns: instructions
 */
struct cr_hdr_filter {
	__u32 flags;
	__u32 nr_insns;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_limits - resource limits, by RLIMIT_*
 * @cur: soft limits, the largest number for RLIM_INFINITY
 * @max: hard limits
 */
struct cr_hdr_limits {
	__u64 cur[CR_NR_LIMITS];
	__u64 max[CR_NR_LIMITS];
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_sched */
#define CR_SCHED_RESET_ON_FORK	0x1
#define CR_SCHED_RECLAIM	0x2
#define CR_SCHED_DL_OVERRUN	0x4
#define CR_SCHED_UTIL_MIN	0x8	/* @util_min was set */
#define CR_SCHED_UTIL_MAX	0x10	/* @util_max was set */
#define CR_SCHED_SLICE		0x20	/* @runtime of SCHED_OTHER, for that or for later */

/**
 * struct cr_hdr_sched - scheduling, as sched_getattr(2) reports it;
 *	CR_HDR_AFFINITY follows if @affinity_len is not 0
 * @policy: SCHED_*
 * @nice: nice value
 * @priority: static priority of SCHED_FIFO and SCHED_RR
 * @flags: CR_SCHED_*
 * @runtime: nanoseconds; of SCHED_DEADLINE, or with CR_SCHED_SLICE
 * @deadline: nanoseconds, of SCHED_DEADLINE
 * @period: nanoseconds, of SCHED_DEADLINE
 * @util_min: utilization clamp
 * @util_max: utilization clamp
 * @ioprio: ioprio_get(2)
 * @affinity_len: bytes of CR_HDR_AFFINITY, a multiple of 8; 0 if
 *	sched_setaffinity(2) was not called
 * @timer_slack: nanoseconds, prctl(PR_SET_TIMERSLACK)
 * @default_timer_slack: nanoseconds, what 0 stands for there
 */
struct cr_hdr_sched {
	__u32 policy;
	__s32 nice;
	__u32 priority;
	__u32 flags;
	__u64 runtime;
	__u64 deadline;
	__u64 period;
	__u32 util_min;
	__u32 util_max;
	__u32 ioprio;
	__u32 affinity_len;
	__u64 timer_slack;
	__u64 default_timer_slack;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_task_attrs */
#define CR_ATTR_SUBREAPER	0x1	/* prctl(PR_SET_CHILD_SUBREAPER) */
#define CR_ATTR_IO_FLUSHER	0x2	/* prctl(PR_SET_IO_FLUSHER) */
#define CR_ATTR_MCE_SET		0x4	/* prctl(PR_MCE_KILL_SET) */
#define CR_ATTR_MCE_EARLY	0x8	/* ... with PR_MCE_KILL_EARLY */
#define CR_ATTR_NO_TSC		0x10	/* prctl(PR_SET_TSC, PR_TSC_SIGSEGV) */
#define CR_ATTR_NO_CPUID	0x20	/* arch_prctl(ARCH_SET_CPUID, 0) */
#define CR_ATTR_CORE_SCHED	0x40	/* has a cookie of PR_SCHED_CORE */
#define CR_ATTR_LOGINUID	0x80	/* @loginuid and @sessionid are set */
#define CR_ATTR_POLICY		0x100	/* a CR_HDR_POLICY follows */

/**
 * struct cr_hdr_task_attrs - what prctl(2) and /proc/PID set; a CR_HDR_STRING
 *	with the label of the security module follows if @label_len is not 0,
 *	then, with CR_ATTR_POLICY, the policy of set_mempolicy(2) of a task that
 *	comes without an address space
 * @oom_score_adj: /proc/PID/oom_score_adj
 * @oom_score_adj_min: the least that it may become without a capability
 * @pdeath_signal: prctl(PR_SET_PDEATHSIG)
 * @flags: CR_ATTR_*
 * @spec_store_bypass: as prctl(PR_GET_SPECULATION_CTRL) reports it
 * @spec_indirect_branch: likewise
 * @spec_l1d_flush: likewise
 * @loginuid: /proc/PID/loginuid, in the user namespace of the checkpointer
 * @sessionid: /proc/PID/sessionid
 * @label_len: bytes of the label
 * @core_cookie: number of a task, the first that has the same cookie of
 *	PR_SCHED_CORE; 0 if none has, or without CR_ATTR_CORE_SCHED
 * @reserved: 0
 */
struct cr_hdr_task_attrs {
	__s32 oom_score_adj;
	__s32 oom_score_adj_min;
	__u32 pdeath_signal;
	__u32 flags;
	__u32 spec_store_bypass;
	__u32 spec_indirect_branch;
	__u32 spec_l1d_flush;
	__u32 loginuid;
	__u32 sessionid;
	__u32 label_len;
	__u32 core_cookie;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_thread */
#define CR_THREAD_IA32		0x1	/* a 32-bit program */
#define CR_THREAD_RESTART_COMPAT 0x2	/* the interrupted call is a 32-bit one */
#define CR_THREAD_DISPATCH	0x4	/* prctl(PR_SET_SYSCALL_USER_DISPATCH) is on */
#define CR_THREAD_XCOMP_PERM	0x8	/* arch_prctl(ARCH_REQ_XCOMP_PERM), of AMX */
#define CR_THREAD_XCOMP_GUEST_PERM 0x10	/* arch_prctl(ARCH_REQ_XCOMP_GUEST_PERM) */
#define CR_THREAD_XCOMP_GUEST_LOCKED 0x20 /* that answers EBUSY from now on */
#define CR_THREAD_XTILE_DATA	0x40	/* it has used tiles of AMX */

/* restart_kind: the call that restart_syscall(2) goes on with. */
#define CR_RESTART_NONE		0	/* nothing: it answers EINTR */
#define CR_RESTART_NANOSLEEP	1	/* clock, TIMER_* flags, rmtp, 1 if it has 32-bit times */
#define CR_RESTART_FUTEX	2	/* uaddr, val, futex flags, bitset */
#define CR_RESTART_POLL		3	/* ufds, nfds */
#define CR_RESTART_EPOLL	4	/* epfd, events, maxevents */

/* restart_left of a call that waits without a limit. */
#define CR_NO_TIMEOUT		(-1)

/**
 * struct cr_hdr_thread - what the kernel knows of a thread of execution
 * @clear_child_tid: set_tid_address(2)
 * @robust_list: head of the list of robust futexes, 0 if there is none
 * @rseq: address of the rseq(2) area, 0 if none is registered
 * @rseq_len: bytes of it
 * @rseq_sig: signature before each abort handler
 * @altstack_sp: sigaltstack(2)
 * @altstack_size: its bytes
 * @altstack_flags: SS_* of it
 * @restart_kind: CR_RESTART_*
 * @restart_args: of that call, in the order given there
 * @restart_left: nanoseconds that the call has left to wait, CR_NO_TIMEOUT if
 *	there is no limit
 * @personality: personality(2)
 * @xstate_len: bytes of the CR_HDR_XSTATE behind CR_HDR_CPU
 * @compat_robust_list: head of the list of a 32-bit program
 * @flags: CR_THREAD_*
 * @reserved: 0
 * @dispatch_selector: address of what selects the dispatch of system calls, or 0;
 *	0 without CR_THREAD_DISPATCH, like the next two
 * @dispatch_offset: where the code begins whose system calls are not dispatched
 * @dispatch_len: its bytes; it may go round the end of all addresses
 */
struct cr_hdr_thread {
	__u64 clear_child_tid;
	__u64 robust_list;
	__u64 rseq;
	__u32 rseq_len;
	__u32 rseq_sig;
	__u64 altstack_sp;
	__u64 altstack_size;
	__u32 altstack_flags;
	__u32 restart_kind;
	__u64 restart_args[4];
	__s64 restart_left;
	__u32 personality;
	__u32 xstate_len;
	__u64 compat_robust_list;
	__u32 flags;
	__u32 reserved;
	__u64 dispatch_selector;
	__u64 dispatch_offset;
	__u64 dispatch_len;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_cpu - general registers, as ptrace(PTRACE_GETREGSET) has them,
 *	and in @tls the descriptors of set_thread_area(2)
 *
 * CR_HDR_XSTATE follows: the floating point and vector registers in the
 * standard format of XSAVE, as in NT_X86_XSTATE.
 */
struct cr_hdr_cpu {
	__u64 r15;
	__u64 r14;
	__u64 r13;
	__u64 r12;
	__u64 bp;
	__u64 bx;
	__u64 r11;
	__u64 r10;
	__u64 r9;
	__u64 r8;
	__u64 ax;
	__u64 cx;
	__u64 dx;
	__u64 si;
	__u64 di;
	__u64 orig_ax;
	__u64 ip;
	__u64 cs;
	__u64 flags;
	__u64 sp;
	__u64 ss;
	__u64 fs_base;
	__u64 gs_base;
	__u64 ds;
	__u64 es;
	__u64 fs;
	__u64 gs;
	__u64 tls[3];
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_process */
#define CR_PROCESS_STOPPED	0x1	/* by job control, or about to be */
#define CR_PROCESS_STOP_TOLD	0x2	/* all threads stopped, and the parent was told */
#define CR_PROCESS_STOP_SEEN	0x4	/* and has waited for that */
#define CR_PROCESS_CONTINUED	0x8	/* SIGCONT came, and nobody has waited for that */
#define CR_PROCESS_TELL_STOPPED	0x10	/* the parent is to be told that it stopped */
#define CR_PROCESS_TELL_CONTINUED 0x20	/* likewise that it was continued */

/**
 * struct cr_hdr_process - signal state that the threads of a process have in
 *	common; @nr_actions CR_HDR_SIGACTION and then @nr_pending CR_HDR_SIGINFO
 *	follow
 * @flags: CR_PROCESS_*
 * @stop_signal: the signal that stopped the process, 0 if it is not stopped
 * @nr_actions: signals with an action that is not the default; 0 if another
 *	process has the same actions: @sighand of struct cr_hdr_task
 * @nr_pending: signals that wait to be delivered to any thread
 */
struct cr_hdr_process {
	__u32 flags;
	__u32 stop_signal;
	__u32 nr_actions;
	__u32 nr_pending;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_signals */
#define CR_SIGNALS_RESTORE_MASK	0x1	/* @saved_blocked is what follows the call */

/**
 * struct cr_hdr_signals - signal state of a thread; @nr_pending CR_HDR_SIGINFO
 *	follow
 * @blocked: mask of blocked signals, bit 0 is signal 1
 * @saved_blocked: mask to put back when the interrupted call is over
 * @flags: CR_SIGNALS_*
 * @nr_pending: signals that wait to be delivered to this thread
 */
struct cr_hdr_signals {
	__u64 blocked;
	__u64 saved_blocked;
	__u32 flags;
	__u32 nr_pending;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_sigaction besides SA_*: what system call set the action */
#define CR_SA_X32		0x1000000
#define CR_SA_IA32		0x2000000

/**
 * struct cr_hdr_sigaction - action of a signal, ascending by @signal
 * @signal: its number
 * @reserved: 0
 * @handler: address, or SIG_IGN
 * @flags: SA_* and CR_SA_*
 * @restorer: address of the code that returns from the handler
 * @mask: signals that are blocked in the handler
 */
struct cr_hdr_sigaction {
	__u32 signal;
	__u32 reserved;
	__u64 handler;
	__u64 flags;
	__u64 restorer;
	__u64 mask;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_siginfo - a pending signal, in the order of delivery
 * @reserved: 0
 * @timer: which CR_HDR_TIMER sent it, 1 is the first; 0 if none did
 * @info: siginfo_t
 */
struct cr_hdr_siginfo {
	__u32 reserved;
	__u32 timer;
	__u64 info[16];
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_timers */
#define CR_TIMERS_VIRTUAL	0x1	/* ITIMER_VIRTUAL is armed */
#define CR_TIMERS_PROF		0x2	/* ITIMER_PROF is armed */
#define CR_TIMERS_REAL		0x4	/* ITIMER_REAL is armed */
#define CR_TIMERS_RESTORE_IDS	0x8	/* prctl(PR_TIMER_CREATE_RESTORE_IDS) */

/**
 * struct cr_hdr_timers - clocks and timers of a process; @nr_timers
 *	CR_HDR_TIMER follow
 * @realtime: nanoseconds of CLOCK_REALTIME at the checkpoint
 * @monotonic: nanoseconds of CLOCK_MONOTONIC then, as the process sees it
 * @boottime: nanoseconds of CLOCK_BOOTTIME then, likewise
 * @real_left: nanoseconds until ITIMER_REAL expires; if it is not armed but has
 *	an interval, until it would expire next
 * @real_interval: its interval
 * @virtual_left: nanoseconds of processor time until ITIMER_VIRTUAL expires
 * @virtual_interval: its interval
 * @prof_left: nanoseconds of processor time until ITIMER_PROF expires
 * @prof_interval: its interval
 * @flags: CR_TIMERS_*
 * @nr_timers: timers of timer_create(2)
 * @next_id: the id that the next of them gets
 * @reserved: 0
 */
struct cr_hdr_timers {
	__s64 realtime;
	__s64 monotonic;
	__s64 boottime;
	__s64 real_left;
	__s64 real_interval;
	__s64 virtual_left;
	__s64 virtual_interval;
	__s64 prof_left;
	__s64 prof_interval;
	__u32 flags;
	__u32 nr_timers;
	__s32 next_id;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_timer */
#define CR_TIMER_ARMED		0x1
#define CR_TIMER_ABSTIME	0x2	/* @expires is a point in time of @clock */
#define CR_TIMER_THREAD_ENDED	0x4	/* the thread of @notify has ended; @tid is 0 */
#define CR_TIMER_CLOCK_ENDED	0x8	/* the thread of @clock has ended */

/**
 * struct cr_hdr_timer - a timer of timer_create(2), ascending by @id
 * @id: its id
 * @clock: CLOCK_*; those of processor time are of the process, or of the leader
 *	of its threads, and less than 0 if they count as ITIMER_PROF or
 *	ITIMER_VIRTUAL does. That of another thread is what
 *	pthread_getcpuclockid(3) returns.
 * @notify: SIGEV_*
 * @signal: sigev_signo
 * @value: sigev_value
 * @tid: the thread that gets the signal, one of the process, by its pid; 0 unless
 *	@notify has SIGEV_THREAD_ID
 * @flags: CR_TIMER_*
 * @expires: nanoseconds until it expires, or when it does
 * @interval: nanoseconds
 * @overrun: expirations that were missed since the signal was sent, less 1
 * @overrun_last: what timer_getoverrun(2) returns
 *
 * A timer that is not armed and has an interval has sent its signal. That is in
 * CR_HDR_SIGINFO, or it is ignored; then the timer goes on when it is not any more.
 */
struct cr_hdr_timer {
	__s32 id;
	__s32 clock;
	__u32 notify;
	__s32 signal;
	__u64 value;
	__s32 tid;
	__u32 flags;
	__s64 expires;
	__s64 interval;
	__s64 overrun;
	__s64 overrun_last;
} __attribute__((aligned(8)));

/* kind of struct cr_hdr_file */
#define CR_FILE_REG		1	/* regular file, by path */
#define CR_FILE_DIR		2	/* directory, by path */
#define CR_FILE_CHR		3	/* character device without state, by path */
#define CR_FILE_FIFO		4	/* FIFO, by path; @target is its CR_HDR_PIPE */
#define CR_FILE_PIPE		5	/* end of the pipe @target */
#define CR_FILE_SHM		6	/* open file of the CR_HDR_SHM @target */
#define CR_FILE_PATH		7	/* O_PATH, by path */
#define CR_FILE_TTY		8	/* terminal: the restarter's; CR_HDR_TTY follows */
#define CR_FILE_INHERIT		9	/* the restarter's descriptor @target */
#define CR_FILE_IMAGE		10	/* the image: what restart(2) reads it from */
#define CR_FILE_EVENTFD		11	/* CR_HDR_EVENTFD follows */
#define CR_FILE_TIMERFD		12	/* CR_HDR_TIMERFD follows */
#define CR_FILE_SIGNALFD	13	/* CR_HDR_SIGNALFD follows */
#define CR_FILE_EPOLL		14	/* CR_HDR_EPOLL_ITEM tell what it waits for */
#define CR_FILE_INOTIFY		15	/* CR_HDR_INOTIFY follows */
#define CR_FILE_PIDFD		16	/* CR_HDR_PIDFD follows */
#define CR_FILE_PROC		17	/* in /proc/self of a task, by path */
#define CR_FILE_EXTERNAL	18	/* what the restarter hands in; the path says what */

/**
 * struct cr_hdr_file - an open file description; a CR_HDR_STRING with its path
 *	follows if @path_len is not 0, then what the @kind says
 * @objref: number of this object: 1 more than that of the object before
 * @kind: CR_FILE_*
 * @flags: O_* as fcntl(F_GETFL) reports them, with O_DIRECTORY and O_NOFOLLOW
 * @path_len: bytes of the path, which is absolute from the checkpointer's root
 * @pos: offset
 * @dev: device of the inode, as statx(2) has it: major << 32 | minor
 * @ino: number of the inode
 * @size: bytes of a regular file
 * @mode: type and permissions of the inode
 * @target: objref of a pipe or shared memory, or of the CR_HDR_INODE of a file
 *	or directory that has no path any more; number of the restarter's
 *	descriptor for CR_FILE_TTY and CR_FILE_INHERIT; number of the task for
 *	CR_FILE_PROC, 0 is the first; otherwise 0
 * @hint: RWH_* of fcntl(F_SET_RW_HINT)
 * @reserved: 0
 */
struct cr_hdr_file {
	__u32 objref;
	__u32 kind;
	__u32 flags;
	__u32 path_len;
	__s64 pos;
	__u64 dev;
	__u64 ino;
	__u64 size;
	__u32 mode;
	__u32 target;
	__u32 hint;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_inode */
#define CR_INODE_LINKABLE	0x1	/* made with O_TMPFILE: linkat(2) may name it */

/**
 * struct cr_hdr_inode - a file or directory that was deleted; a CR_HDR_STRING
 *	with the path of a directory on the same mount follows, in which it was
 *	if that is still there; its contents are in CR_HDR_DATA, holes left out
 * @objref: number of this object: 1 more than that of the object before
 * @mode: type and permissions
 * @size: bytes of a regular file, 0 for a directory
 * @dev: device, as in struct cr_hdr_file
 * @ino: number of the inode
 * @atime: nanoseconds since the epoch when it was last read
 * @mtime: nanoseconds since the epoch when it was last written to
 * @uid: owner, in the user namespace of the checkpointer
 * @gid: group, likewise
 * @flags: CR_INODE_*
 * @path_len: bytes of the path
 */
struct cr_hdr_inode {
	__u32 objref;
	__u32 mode;
	__u64 size;
	__u64 dev;
	__u64 ino;
	__s64 atime;
	__s64 mtime;
	__u32 uid;
	__u32 gid;
	__u32 flags;
	__u32 path_len;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_eventfd */
#define CR_EVENTFD_SEMAPHORE	0x1

/**
 * struct cr_hdr_eventfd - state of the eventfd(2) before
 * @count: what read(2) returns, or from what it takes 1
 * @flags: CR_EVENTFD_*
 * @reserved: 0
 */
struct cr_hdr_eventfd {
	__u64 count;
	__u32 flags;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_timerfd */
#define CR_TIMERFD_ARMED	0x1
#define CR_TIMERFD_ABSTIME	0x2	/* @expires is a point in time of @clock */
#define CR_TIMERFD_CANCEL	0x4	/* TFD_TIMER_CANCEL_ON_SET */
#define CR_TIMERFD_CANCELED	0x8	/* the clock was set: read(2) says so */

/**
 * struct cr_hdr_timerfd - state of the timerfd before
 * @clock: CLOCK_*
 * @flags: CR_TIMERFD_*
 * @expires: nanoseconds until it expires, or when it does
 * @interval: nanoseconds
 * @ticks: expirations that wait to be read
 */
struct cr_hdr_timerfd {
	__u32 clock;
	__u32 flags;
	__s64 expires;
	__s64 interval;
	__u64 ticks;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_signalfd - state of the signalfd(2) before
 * @mask: signals that it takes, bit 0 is signal 1
 */
struct cr_hdr_signalfd {
	__u64 mask;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_inotify - state of the inotify(7) instance before; events that
 *	wait to be read are in CR_HDR_DATA, as read(2) returns them
 * @last_wd: the watch descriptor that was given last, 0 if none was
 * @nr_events: events that wait
 */
struct cr_hdr_inotify {
	__s32 last_wd;
	__u32 nr_events;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_pidfd - the process of the pidfd before
 * @pid: its pid, in the pid namespace of the checkpointer; of a task of the image
 *	as that has it
 * @reserved: 0
 * @ino: number of the inode of the pidfd, which no other process has
 * @start_boottime: when it started, nanoseconds of CLOCK_BOOTTIME; 0 for a task
 *	of the image
 */
struct cr_hdr_pidfd {
	__s32 pid;
	__u32 reserved;
	__u64 ino;
	__u64 start_boottime;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_pipe */
#define CR_PIPE_PACKETS		0x1	/* each CR_HDR_DATA is one packet */

/**
 * struct cr_hdr_pipe - a pipe; its contents are in CR_HDR_DATA
 * @objref: number of this object: 1 more than that of the object before
 * @size: bytes it can hold, as fcntl(F_GETPIPE_SZ) reports them
 * @flags: CR_PIPE_*
 * @reserved: 0
 */
struct cr_hdr_pipe {
	__u32 objref;
	__u32 size;
	__u32 flags;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_shm */
#define CR_SHM_MEMFD		0x1	/* made by memfd_create(2), which the name is from */
#define CR_SHM_NORESERVE	0x2	/* not accounted in advance */
#define CR_SHM_HUGETLB		0x4	/* of huge pages of 1 << @page_shift bytes */

/**
 * struct cr_hdr_shm - shared memory without a path; a CR_HDR_STRING with its
 *	name follows if @name_len is not 0; its contents are in CR_HDR_DATA
 * @objref: number of this object: 1 more than that of the object before
 * @flags: CR_SHM_*
 * @size: bytes
 * @seals: F_SEAL_*
 * @name_len: bytes of the name
 * @mode: permissions of the inode
 * @page_shift: of the huge pages; 0 without CR_SHM_HUGETLB
 */
struct cr_hdr_shm {
	__u32 objref;
	__u32 flags;
	__u64 size;
	__u32 seals;
	__u32 name_len;
	__u32 mode;
	__u32 page_shift;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_tty - settings of a terminal
 * @iflag: c_iflag of struct termios2
 * @oflag: c_oflag
 * @cflag: c_cflag
 * @lflag: c_lflag
 * @ispeed: c_ispeed
 * @ospeed: c_ospeed
 * @line: c_line
 * @cc: c_cc
 * @reserved: 0
 */
struct cr_hdr_tty {
	__u32 iflag;
	__u32 oflag;
	__u32 cflag;
	__u32 lflag;
	__u32 ispeed;
	__u32 ospeed;
	__u8 line;
	__u8 cc[19];
	__u8 reserved[4];
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_sem_undo_list - what semop(2) with SEM_UNDO has left to undo, of
 *	those that have one list; @nr_undos CR_HDR_SEM_UNDO follow
 * @nr_undos: sets of semaphores
 * @reserved: 0
 */
struct cr_hdr_sem_undo_list {
	__u32 nr_undos;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_sem_undo - a set of semaphores, ascending by @semid, which is not in
 *	the image; @nr_adjs CR_HDR_SEMADJ follow
 * @sem_ctime: when it was made, or changed by semctl(2), in seconds
 * @semid: its number
 * @key: its key
 * @cuid: who made it, by the ids that the checkpointer sees
 * @cgid: likewise
 * @sem_nsems: how many semaphores it has, at most 65536
 * @nr_adjs: of how many there is something to undo, not 0
 */
struct cr_hdr_sem_undo {
	__s64 sem_ctime;
	__s32 semid;
	__s32 key;
	__u32 cuid;
	__u32 cgid;
	__u32 sem_nsems;
	__u32 nr_adjs;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_semadj - what there is to undo of a semaphore, ascending by @sem_num
 * @sem_num: its number in the set
 * @semadj: what is added to its value in the end, from -32768 to 32767, not 0
 */
struct cr_hdr_semadj {
	__u32 sem_num;
	__s32 semadj;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_fs - where paths begin
 * @umask: umask(2)
 * @cwd: objref of the working directory, a CR_FILE_PATH
 * @root: objref of the root directory, a CR_FILE_PATH; 0 if it is that of the
 *	checkpointer
 * @reserved: 0
 */
struct cr_hdr_fs {
	__u32 umask;
	__u32 cwd;
	__u32 root;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_files - descriptor table; CR_HDR_FD, CR_HDR_LOCK, CR_HDR_OWNER,
 *	CR_HDR_EPOLL_ITEM and CR_HDR_WATCH follow, each as often as is said here
 * @count: open descriptors
 * @nr_locks: locks on open files
 * @nr_owners: open files that send a signal when they are ready
 * @nr_epoll_items: what all epoll(7) instances wait for
 * @nr_watches: what all inotify(7) instances watch
 * @reserved: 0
 */
struct cr_hdr_files {
	__u32 count;
	__u32 nr_locks;
	__u32 nr_owners;
	__u32 nr_epoll_items;
	__u32 nr_watches;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_fd */
#define CR_FD_CLOEXEC		0x1

/**
 * struct cr_hdr_fd - a descriptor, ascending by @fd
 * @fd: its number
 * @flags: CR_FD_*
 * @objref: its CR_HDR_FILE
 * @reserved: 0
 */
struct cr_hdr_fd {
	__s32 fd;
	__u32 flags;
	__u32 objref;
	__u32 reserved;
} __attribute__((aligned(8)));

/* kind of struct cr_hdr_lock: who has the lock */
#define CR_LOCK_POSIX		1	/* the process: fcntl(F_SETLK) */
#define CR_LOCK_FLOCK		2	/* the open file: flock(2) */
#define CR_LOCK_OFD		3	/* the open file: fcntl(F_OFD_SETLK) */
#define CR_LOCK_LEASE		4	/* the open file: fcntl(F_SETLEASE) */

/**
 * struct cr_hdr_lock - a lock on some bytes of a file, ascending by @objref,
 *	@kind and @start; those of one @objref and @kind do not overlap
 * @objref: the CR_HDR_FILE by which it was taken
 * @kind: CR_LOCK_*
 * @lock_type: F_RDLCK for a shared lock, F_WRLCK for an exclusive one
 * @reserved: 0
 * @start: first byte; 0 for CR_LOCK_FLOCK and CR_LOCK_LEASE
 * @end: last byte; the largest number for all bytes from @start on, as for
 *	CR_LOCK_FLOCK and CR_LOCK_LEASE
 */
struct cr_hdr_lock {
	__u32 objref;
	__u32 kind;
	__u32 lock_type;
	__u32 reserved;
	__s64 start;
	__s64 end;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_owner - who gets a signal when a file is ready, ascending by
 *	@objref: fcntl(F_SETOWN_EX) and fcntl(F_SETSIG)
 * @objref: the CR_HDR_FILE
 * @kind: F_OWNER_*
 * @pid: of the thread, process or process group, in the pid namespace of the
 *	checkpointer; 0 if there is none
 * @signal: the signal, 0 for SIGIO without a siginfo
 * @uid: real user id of who said so, in the user namespace of the checkpointer
 * @euid: effective user id, likewise
 */
struct cr_hdr_owner {
	__u32 objref;
	__u32 kind;
	__s32 pid;
	__s32 signal;
	__u32 uid;
	__u32 euid;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_epoll_item */
#define CR_EPOLL_READY		0x1	/* epoll_wait(2) looks at it next */

/**
 * struct cr_hdr_epoll_item - what an epoll(7) instance waits for, ascending by
 *	@objref; those that are ready come in the order in which they became so
 * @objref: the CR_HDR_FILE of the instance, a CR_FILE_EPOLL
 * @target: the CR_HDR_FILE that it waits for
 * @fd: the descriptor by which epoll_ctl(2) knows it
 * @events: EPOLL*
 * @data: of struct epoll_event
 * @flags: CR_EPOLL_*
 * @reserved: 0
 */
struct cr_hdr_epoll_item {
	__u32 objref;
	__u32 target;
	__s32 fd;
	__u32 events;
	__u64 data;
	__u32 flags;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_watch - what an inotify(7) instance watches, ascending by
 *	@objref and @wd
 * @objref: the CR_HDR_FILE of the instance, a CR_FILE_INOTIFY
 * @target: the CR_HDR_FILE of what it watches, a CR_FILE_PATH
 * @wd: watch descriptor
 * @mask: IN_*
 */
struct cr_hdr_watch {
	__u32 objref;
	__u32 target;
	__s32 wd;
	__u32 mask;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_mm: dumpable, /proc/PID/coredump_filter, the rest */
#define CR_MM_DUMPABLE_MASK	0x3
#define CR_MM_DUMP_FILTER_SHIFT	2
#define CR_MM_DUMP_FILTER_MASK	(0x1ff << CR_MM_DUMP_FILTER_SHIFT)
#define CR_MM_THP_DISABLE	0x10000	/* prctl(PR_SET_THP_DISABLE) */
#define CR_MM_MERGE_ANY		0x20000	/* prctl(PR_SET_MEMORY_MERGE) */
#define CR_MM_MDWE		0x40000	/* prctl(PR_SET_MDWE) */
#define CR_MM_MDWE_NO_INHERIT	0x80000
#define CR_MM_LOCK_FUTURE	0x100000	/* mlockall(MCL_FUTURE) */
#define CR_MM_LOCK_ONFAULT	0x200000	/* ... with MCL_ONFAULT */
#define CR_MM_THP_EXCEPT_ADVISED 0x400000	/* ... with PR_THP_DISABLE_EXCEPT_ADVISED */

/**
 * struct cr_hdr_mm - an address space; CR_HDR_MM_CONTEXT, CR_HDR_AUXV,
 *	CR_HDR_LDT, CR_HDR_VMA, CR_HDR_POLICY, CR_HDR_GUARD and CR_HDR_AIO follow
 * @start_code: as in struct prctl_mm_map, and so are the next 10
 * @end_code: likewise
 * @start_data: likewise
 * @end_data: likewise
 * @start_brk: likewise
 * @brk: likewise
 * @start_stack: likewise
 * @arg_start: likewise
 * @arg_end: likewise
 * @env_start: likewise
 * @env_end: likewise
 * @flags: CR_MM_*
 * @exe: objref of the CR_FILE_PATH that /proc/PID/exe shows
 * @nr_vmas: mappings
 * @auxv_len: bytes of CR_HDR_AUXV, a multiple of 16
 * @membarrier: what is registered, as MEMBARRIER_CMD_GET_REGISTRATIONS of
 *	membarrier(2) reports it
 * @nr_policies: memory policies
 * @nr_guards: guard regions
 * @nr_aio: contexts of io_setup(2)
 * @reserved: 0
 */
struct cr_hdr_mm {
	__u64 start_code;
	__u64 end_code;
	__u64 start_data;
	__u64 end_data;
	__u64 start_brk;
	__u64 brk;
	__u64 start_stack;
	__u64 arg_start;
	__u64 arg_end;
	__u64 env_start;
	__u64 env_end;
	__u64 flags;
	__u32 exe;
	__u32 nr_vmas;
	__u32 auxv_len;
	__u32 membarrier;
	__u32 nr_policies;
	__u32 nr_guards;
	__u32 nr_aio;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_mm_context - what the architecture knows of an address space
 * @vdso: address of the vDSO's text, 0 if it is not mapped
 * @vdso_size: bytes of it
 * @vdso_crc: CRC-32C of it: code of another kernel is not restored
 * @pkeys: protection keys that are allocated, bit 0 is key 0
 * @ldt_entries: entries of modify_ldt(2): CR_HDR_LDT have a __u64 for each,
 *	CR_WORDS_MAX in each but the last
 * @personality: of the program that it is for, see personality(2)
 * @flags: CR_THREAD_IA32 if that is one of 32 bits
 */
struct cr_hdr_mm_context {
	__u64 vdso;
	__u32 vdso_size;
	__u32 vdso_crc;
	__u32 pkeys;
	__u32 ldt_entries;
	__u32 personality;
	__u32 flags;
} __attribute__((aligned(8)));

/* flags of struct cr_hdr_vma */
#define CR_VMA_READ		0x1
#define CR_VMA_WRITE		0x2
#define CR_VMA_EXEC		0x4
#define CR_VMA_SHARED		0x8
#define CR_VMA_GROWSDOWN	0x10
#define CR_VMA_LOCKED		0x20
#define CR_VMA_LOCKONFAULT	0x40
#define CR_VMA_DONTFORK		0x80
#define CR_VMA_WIPEONFORK	0x100
#define CR_VMA_DONTDUMP		0x200
#define CR_VMA_HUGEPAGE		0x400
#define CR_VMA_NOHUGEPAGE	0x800
#define CR_VMA_MERGEABLE	0x1000
#define CR_VMA_NORESERVE	0x2000
#define CR_VMA_SEQ_READ		0x4000
#define CR_VMA_RAND_READ	0x8000
#define CR_VMA_SEALED		0x10000
#define CR_VMA_ACCOUNT		0x20000	/* counted as memory that may be needed */
#define CR_VMA_HUGETLB		0x40000	/* of huge pages of 1 << @page_shift bytes */
#define CR_VMA_DROPPABLE	0x80000	/* MAP_DROPPABLE: its contents are not saved */

/* kind of struct cr_hdr_vma */
#define CR_MAPPING_ANON		1	/* private memory without a file */
#define CR_MAPPING_FILE		2	/* of the CR_HDR_FILE @objref */
#define CR_MAPPING_VDSO		3	/* the kernel's code */
#define CR_MAPPING_VVAR		4	/* the kernel's data */
#define CR_MAPPING_AIO		5	/* the ring of a CR_HDR_AIO */

/**
 * struct cr_hdr_vma - a mapping, ascending by @start; a CR_HDR_STRING with its
 *	name follows if @name_len is not 0
 * @start: first byte
 * @end: byte behind the last
 * @flags: CR_VMA_*
 * @pgoff: offset in the file, in pages
 * @kind: CR_MAPPING_*
 * @objref: its CR_HDR_FILE, 0 if it has none
 * @pkey: protection key
 * @name_len: bytes of the name that prctl(PR_SET_VMA_ANON_NAME) gave
 * @page_shift: of the huge pages; 0 without CR_VMA_HUGETLB
 * @reserved: 0
 */
struct cr_hdr_vma {
	__u64 start;
	__u64 end;
	__u64 flags;
	__u64 pgoff;
	__u32 kind;
	__u32 objref;
	__u32 pkey;
	__u32 name_len;
	__u32 page_shift;
	__u32 reserved;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_policy - a memory policy, ascending by @start
 * @start: first byte that it is for; 0 for that of set_mempolicy(2)
 * @end: byte behind the last; 0 for that of set_mempolicy(2)
 * @mode: MPOL_*
 * @flags: MPOL_F_*_NODES and MPOL_F_NUMA_BALANCING
 * @home_node: set_mempolicy_home_node(2), -1 if there is none
 * @reserved: 0
 * @nodes: as the program gave them, bit 0 of the first word is node 0
 */
struct cr_hdr_policy {
	__u64 start;
	__u64 end;
	__u32 mode;
	__u32 flags;
	__s32 home_node;
	__u32 reserved;
	__u64 nodes[16];
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_guard - pages of madvise(MADV_GUARD_INSTALL), ascending by
 *	@start; not beyond one mapping
 * @start: first byte
 * @end: byte behind the last
 */
struct cr_hdr_guard {
	__u64 start;
	__u64 end;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_aio - a context of io_setup(2), ascending by @id, without a
 *	request under way; what its ring has is in the pages of its mapping
 * @id: aio_context_t: where its ring is mapped
 * @nr_events: what io_setup(2) was asked for
 * @head: of the ring
 * @tail: of the ring
 * @reserved: 0
 */
struct cr_hdr_aio {
	__u64 id;
	__u32 nr_events;
	__u32 head;
	__u32 tail;
	__u32 reserved;
} __attribute__((aligned(8)));

/* flags of struct cr_extent */
#define CR_EXTENT_HUGE		0x1	/* one huge page */

/**
 * struct cr_extent - some pages in a row
 * @start: address of the first
 * @nr_pages: how many
 * @flags: CR_EXTENT_*
 */
struct cr_extent {
	__u64 start;
	__u32 nr_pages;
	__u32 flags;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_pages - announces private pages of an address space
 * @nr_extents: CR_HDR_EXTENTS, which follows, has a struct cr_extent for each
 * @nr_pages: pages in all of them
 * @crc: CRC-32C of the pages
 * @task: number of the task that the address space came with, ascending
 *
 * Behind CR_HDR_EXTENTS the image is filled by CR_HDR_PAD up to a multiple of
 * the page size, unless it ends at one; then come the pages.
 */
struct cr_hdr_pages {
	__u32 nr_extents;
	__u32 nr_pages;
	__u32 crc;
	__u32 task;
} __attribute__((aligned(8)));

/**
 * struct cr_shared_extent - some pages in a row that another address space has
 * @start: address of the first
 * @from_start: its address in the other one
 * @nr_pages: how many
 * @from_task: number of the task that the other one came with, before this one
 */
struct cr_shared_extent {
	__u64 start;
	__u64 from_start;
	__u32 nr_pages;
	__u32 from_task;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_shared - private pages that an address space shares with others,
 *	as after fork(2): they are in the image already
 * @nr_extents: CR_HDR_SHARED_EXTENTS, which follows, has a struct
 *	cr_shared_extent for each
 * @task: number of the task that the address space came with; its CR_HDR_PAGES
 *	come after these
 */
struct cr_hdr_shared {
	__u32 nr_extents;
	__u32 task;
} __attribute__((aligned(8)));

/**
 * struct cr_hdr_data - announces contents of a pipe or of shared memory
 * @objref: the object
 * @crc: CRC-32C of the bytes
 * @offset: where in the object they are; for a pipe, bytes before these
 * @len: how many, without the zeros behind them up to a multiple of 8
 *
 * CR_HDR_PAD may follow, as for struct cr_hdr_pages, and then the bytes.
 */
struct cr_hdr_data {
	__u32 objref;
	__u32 crc;
	__u64 offset;
	__u64 len;
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
