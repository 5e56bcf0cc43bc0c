// SPDX-License-Identifier: GPL-2.0

#include <linux/capability.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/printk.h>
#include <linux/ptrace.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/sched/xacct.h>
#include <linux/utsname.h>
#include <linux/wait.h>

/*
 * Not inlined: dynamic debug finds the line by this file and function. Rust's
 * pr_debug! knows nothing of dynamic debug.
 */
__rust_helper void rust_helper_checkpoint_pr_debug(const char *line, int len)
{
	pr_debug("%.*s\n", len, line);
}

__rust_helper bool rust_helper_checkpoint_restore_ns_capable(struct user_namespace *ns)
{
	return checkpoint_restore_ns_capable(ns);
}

__rust_helper bool rust_helper_file_can_poll(struct file *file)
{
	return file_can_poll(file);
}

__rust_helper __poll_t rust_helper_vfs_poll(struct file *file, poll_table *pt)
{
	return vfs_poll(file, pt);
}

__rust_helper void rust_helper_init_waitqueue_func_entry(struct wait_queue_entry *entry,
							 wait_queue_func_t func)
{
	init_waitqueue_func_entry(entry, func);
}

__rust_helper void rust_helper_reinit_completion(struct completion *x)
{
	reinit_completion(x);
}

/* Counts a transfer in /proc/PID/io, as read(2) and write(2) do. */
__rust_helper void rust_helper_account_transfer(bool write, ssize_t bytes)
{
	if (write) {
		add_wchar(current, bytes);
		inc_syscw(current);
	} else {
		add_rchar(current, bytes);
		inc_syscr(current);
	}
}

/* Type of the socket behind @file, 0 if there is none. */
__rust_helper int rust_helper_file_socket_type(struct file *file)
{
#ifdef CONFIG_NET
	struct socket *sock = sock_from_file(file);

	return sock ? sock->type : 0;
#else
	return 0;
#endif
}

__rust_helper umode_t rust_helper_file_inode_mode(struct file *file)
{
	return file_inode(file)->i_mode;
}

__rust_helper struct new_utsname *rust_helper_init_utsname(void)
{
	return init_utsname();
}

__rust_helper int rust_helper_fatal_signal_pending(struct task_struct *t)
{
	return fatal_signal_pending(t);
}

__rust_helper void rust_helper_task_cputime(struct task_struct *t, u64 *utime,
					    u64 *stime)
{
	task_cputime(t, utime, stime);
}

__rust_helper void rust_helper_task_cputime_scaled(struct task_struct *t,
						   u64 *utime, u64 *stime)
{
	task_cputime_scaled(t, utime, stime);
}

__rust_helper u64 rust_helper_task_gtime(struct task_struct *t)
{
	return task_gtime(t);
}

__rust_helper void rust_helper_iov_iter_truncate(struct iov_iter *i, u64 count)
{
	iov_iter_truncate(i, count);
}

__rust_helper unsigned long rust_helper_current_return_value(void)
{
	return regs_return_value(current_pt_regs());
}
