// SPDX-License-Identifier: GPL-2.0
/*
 * What tools/vm/inventory.py looks at: one variable of each structure, for its
 * members in the debug information, and all flags, for the preprocessor. It is
 * compiled like kernel/fork.c of the guest, and part of no kernel.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/mm_types.h>
#include <linux/nsproxy.h>
#include <linux/posix-timers.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/seccomp.h>

extern struct probe {
	struct task_struct task;
	struct signal_struct signal;
	struct sighand_struct sighand;
	struct mm_struct mm;
	struct vm_area_struct vma;
	struct files_struct files;
	struct fdtable fdt;
	struct file file;
	struct fs_struct fs;
	struct cred cred;
	struct nsproxy nsproxy;
	struct k_itimer timer;
	struct file_operations fops;
} probe;

struct probe probe;
