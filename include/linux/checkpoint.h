/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C side of the kernel knows of checkpoint(2) and restart(2).
 */
#ifndef _LINUX_CHECKPOINT_H
#define _LINUX_CHECKPOINT_H

#include <linux/completion.h>
#include <linux/mm_types.h>
#include <linux/nodemask_types.h>
#include <linux/refcount.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>

#include <uapi/linux/checkpoint_hdr.h>

/* kernel.checkpoint_unprivileged: 0 closes both calls to the unprivileged. */
extern int sysctl_checkpoint_unprivileged;

/* In Rust: checkpoint/checkpoint.rs. */
long do_checkpoint(pid_t pid, int fd, unsigned long flags, int logfd);
long do_restart(int crid, int fd, unsigned long flags, int logfd);

/* Memory: mm/checkpoint.c, and what it needs of its neighbours. */
struct bio_vec;
struct checkpoint_program;
struct compat_robust_list_head;
struct file;
struct fpstate;
struct fpu_state_perm;
struct prctl_mm_map;
struct robust_list_head;
struct task_exec_state;
struct task_struct;

/**
 * struct checkpoint_vdso - the vDSO of 64-bit processes, or that of 32-bit ones
 * @data: its code, as it is mapped
 * @size: bytes of it
 * @vvar_size: bytes of the kernel's data, which is mapped right before it
 */
struct checkpoint_vdso {
	const void *data;
	unsigned long size;
	unsigned long vvar_size;
};

/**
 * struct checkpoint_mapping - what is known of a mapping
 * @vma: as in an image, with an @objref of 0
 * @file: a reference on its file, NULL if it has none
 * @refused: what makes it one that cannot be saved, NULL if nothing does
 * @name: what PR_SET_VMA_ANON_NAME gave; not terminated, see @vma.name_len
 */
struct checkpoint_mapping {
	struct cr_hdr_vma vma;
	struct file *file;
	const char *refused;
	char name[80];
};

/**
 * struct checkpoint_pages - pages that are collected, or that wait to be mapped
 * @extents: where they are; room for CR_EXTENTS_MAX
 * @bvecs: the pages; room for CR_PAGES_MAX. Each one that is in use has a
 *	reference on its folio, of which it is some pages in a row
 * @nr_extents: extents in use
 * @nr_bvecs: bvecs in use
 * @nr_pages: pages in all extents
 * @next: where collecting goes on; TASK_SIZE_MAX behind the last page
 * @skip: what is not collected, ascending
 * @nr_skip: how many of these
 */
struct checkpoint_pages {
	struct cr_extent *extents;
	struct bio_vec *bvecs;
	unsigned int nr_extents;
	unsigned int nr_bvecs;
	unsigned int nr_pages;
	unsigned int nr_skip;
	unsigned long next;
	const struct cr_shared_extent *skip;
};

/**
 * struct checkpoint_space - an address space that is saved
 * @mm: it, which is not looked into
 * @task: number of the task that it came with
 */
struct checkpoint_space {
	const struct mm_struct *mm;
	u32 task;
};

/**
 * struct checkpoint_shared - pages that others have, too
 * @extents: where they are; room for CR_EXTENTS_MAX
 * @nr_extents: extents in use
 * @next: where collecting goes on; ULONG_MAX behind the last page
 */
struct checkpoint_shared {
	struct cr_shared_extent *extents;
	unsigned int nr_extents;
	unsigned long next;
};

/**
 * struct checkpoint_segments - segment registers, as they are in user mode
 * @fs_base: base of @fs
 * @gs_base: base of @gs
 * @ds: selector
 * @es: selector
 * @fs: selector
 * @gs: selector
 */
struct checkpoint_segments {
	unsigned long fs_base;
	unsigned long gs_base;
	u16 ds;
	u16 es;
	u16 fs;
	u16 gs;
};

/**
 * struct checkpoint_swap - the address space that restart(2) builds
 * @mm: it; current->mm between begin and abort or commit
 * @old: the caller's own, of which this is the caller's reference
 * @exec_state: what the caller has with @mm: who may dump it
 * @robust_list: what the caller has in @old
 * @compat_robust_list: likewise
 * @clear_child_tid: likewise
 * @segments: likewise
 */
struct checkpoint_swap {
	struct mm_struct *mm;
	struct mm_struct *old;
	struct task_exec_state *exec_state;
	struct robust_list_head __user *robust_list;
	struct compat_robust_list_head __user *compat_robust_list;
	int __user *clear_child_tid;
	struct checkpoint_segments segments;
};

/**
 * struct checkpoint_shared_mm - an address space that several tasks are going to have
 * @mm: it, with a reference
 * @exec_state: who may dump the tasks, likewise
 * @addr32: it is for a program of 32 bits
 */
struct checkpoint_shared_mm {
	struct mm_struct *mm;
	struct task_exec_state *exec_state;
	bool addr32;
};

/**
 * struct checkpoint_join - the address space of another task, which current has
 * @space: it
 * @old: the one that current came with, of which this is its reference; NULL if
 *	it is the same
 */
struct checkpoint_join {
	struct checkpoint_shared_mm space;
	struct mm_struct *old;
};

void checkpoint_vdso(struct checkpoint_vdso *vdso, bool ia32);
bool checkpoint_mm_is_ia32(struct mm_struct *mm);

bool checkpoint_mm_shared(struct mm_struct *mm, unsigned int known);
const char *checkpoint_mm_refused(struct task_struct *task, struct mm_struct *mm);
void checkpoint_mm_describe(struct task_struct *task, struct mm_struct *mm,
			    struct cr_hdr_mm *hdr, struct cr_hdr_mm_context *context,
			    unsigned long auxv[AT_VECTOR_SIZE]);
int checkpoint_mapping_find(struct mm_struct *mm, unsigned long addr,
			    struct checkpoint_mapping *found);
int checkpoint_pages_collect(struct mm_struct *mm, struct checkpoint_pages *to);
void checkpoint_pages_put(struct bio_vec *bvecs, unsigned int nr);

int checkpoint_swap_begin(struct checkpoint_swap *swap, const struct cr_hdr_mm *hdr,
			  const struct cr_hdr_mm_context *context, struct file *exe,
			  const struct checkpoint_program *program);
int checkpoint_swap_exe(struct file *exe);
void checkpoint_swap_abort(struct checkpoint_swap *swap);
void checkpoint_swap_commit(struct checkpoint_swap *swap);
void checkpoint_swap_share(const struct checkpoint_swap *swap, struct checkpoint_shared_mm *to);

void checkpoint_shared_mm_get(const struct checkpoint_shared_mm *from,
			      struct checkpoint_shared_mm *to);
void checkpoint_shared_mm_put(struct checkpoint_shared_mm *space);

void checkpoint_join_begin(struct checkpoint_join *join, const struct checkpoint_shared_mm *space);
void checkpoint_join_abort(struct checkpoint_join *join);
void checkpoint_join_commit(struct checkpoint_join *join);

int checkpoint_map_vdso(unsigned long addr);
int checkpoint_map(const struct cr_hdr_vma *vma, struct file *file, const char *name);
int checkpoint_layout(const struct cr_hdr_mm *hdr, const unsigned long *auxv,
		      unsigned int nr_auxv);
int checkpoint_pages_alloc(struct checkpoint_pages *pages);
int checkpoint_pages_install(struct checkpoint_pages *pages);
struct vm_area_struct *checkpoint_vma_of_extent(struct mm_struct *mm,
						const struct cr_extent *extent);
bool checkpoint_vma_has_own_pages(struct vm_area_struct *vma);
pmd_t *checkpoint_alloc_pmd(struct mm_struct *mm, unsigned long addr);
int checkpoint_shared_collect(struct mm_struct *mm, u32 task,
			      const struct checkpoint_space *spaces,
			      unsigned int nr_spaces, struct checkpoint_shared *to);
int checkpoint_pages_share(struct mm_struct *from, const struct cr_shared_extent *extent,
			   unsigned int *shared, unsigned int *copy);
int checkpoint_pages_copy(struct mm_struct *from, unsigned long addr,
			  struct checkpoint_pages *pages);
int checkpoint_protect(const struct cr_hdr_vma *vma);
int checkpoint_lock(const struct cr_hdr_vma *vma);
int checkpoint_seal(const struct cr_hdr_vma *vma);
int checkpoint_mm_finish(const struct cr_hdr_mm *hdr);

int do_mprotect_pkey(unsigned long start, size_t len, unsigned long prot, int pkey);
int __must_check do_mlock(unsigned long start, size_t len, vma_flags_t *flags);
int mseal_range(unsigned long start, unsigned long end);
int set_anon_vma_name_kernel(unsigned long addr, unsigned long size, const char *name);
int validate_prctl_map_addr(struct prctl_mm_map *prctl_map);
void complete_vfork_done(struct task_struct *tsk);
/*
 * Of one task: registers, signals, and what else is its own.
 */
struct restart_block;
struct sigqueue;

/* General registers in an image, and what goes with them: struct cr_hdr_cpu. */
#define CHECKPOINT_NR_REGS	30

/* Words of a siginfo_t, and of an action: handler, flags, restorer, mask. */
#define CHECKPOINT_SIGINFO_WORDS	16
#define CHECKPOINT_SIGACTION_WORDS	4

/* In arch/<arch>/kernel/checkpoint.c. */
unsigned int checkpoint_regset_len(struct task_struct *task, unsigned int note);
int checkpoint_regset_get(struct task_struct *task, unsigned int note,
			  void *to, unsigned int len);
int checkpoint_cpu_get(struct task_struct *task, u64 *to);
const char *checkpoint_cpu_unfit(const u64 *from);
void checkpoint_cpu_set(const u64 *from);
const char *checkpoint_cpu_obstacle(struct task_struct *task);
long checkpoint_syscall_result(struct task_struct *task);
long checkpoint_sleep_result(struct task_struct *task);
void checkpoint_sleep_result_set(struct task_struct *task, long result);
void checkpoint_syscall_again(void);
bool checkpoint_syscall_idempotent(void);

/* In arch/<arch>/kernel/fpu/checkpoint.c. */
unsigned int checkpoint_xstate_len(struct task_struct *task);
int checkpoint_xstate_get(struct task_struct *task, void *to, unsigned int len);
const char *checkpoint_xstate_check(const void *from, unsigned int len, u32 flags);
void checkpoint_xstate_set(const void *from, struct fpstate *fpstate);

/* What a thread record says of registers that a program has to ask for. */
#define CHECKPOINT_XCOMP_FLAGS						\
	(CR_THREAD_XCOMP_PERM | CR_THREAD_XCOMP_GUEST_PERM |		\
	 CR_THREAD_XCOMP_GUEST_LOCKED | CR_THREAD_XTILE_DATA)

u32 checkpoint_xcomp_flags(struct task_struct *task);
bool checkpoint_xcomp_unfit(u32 flags);
int checkpoint_xcomp_check(u32 flags);
void checkpoint_xcomp_set(u32 flags);
bool checkpoint_altstack_fits(u64 size, u32 flags);
bool sigaltstack_size_permitted(size_t ss_size, const struct fpu_state_perm *perm);
struct fpstate *checkpoint_fpstate_alloc(void);
void checkpoint_fpstate_free(struct fpstate *fpstate);

/**
 * struct checkpoint_obstacles - what a task has that no image has
 * @nr: how many names there are
 * @what: the names, which live as long as the kernel
 */
struct checkpoint_obstacles {
	unsigned int nr;
	const char *what[32];
};

/* In kernel/checkpoint.c. */
unsigned int checkpoint_sighand_users(struct task_struct *task);
struct sighand_struct *checkpoint_sighand_get(void);
int checkpoint_sighand_join(struct sighand_struct *sighand);
bool checkpoint_uses_io_uring(struct task_struct *task);
void checkpoint_task_obstacles(struct task_struct *task, struct checkpoint_obstacles *to);
void checkpoint_task_reset(void);
const char *checkpoint_thread_get(struct task_struct *task,
				  struct cr_hdr_thread *to);
const char *checkpoint_thread_unfit(const struct cr_hdr_thread *from);
int checkpoint_dispatch_check(const struct cr_hdr_thread *from);
void checkpoint_thread_set(const struct cr_hdr_thread *from);
void checkpoint_reissue_interrupted(void);
void checkpoint_finish_syscall(void);
int checkpoint_process_get(struct task_struct *leader, struct cr_hdr_process *to,
			   u64 (*actions)[CHECKPOINT_SIGACTION_WORDS],
			   u64 (*pending)[1 + CHECKPOINT_SIGINFO_WORDS], int max,
			   struct cr_hdr_timers *itimers);
int checkpoint_signals_get(struct task_struct *task, u64 *masks, u32 *flags,
			   u64 (*pending)[1 + CHECKPOINT_SIGINFO_WORDS], int max);
struct sigqueue *checkpoint_sigqueue_alloc(const u64 *info);
void checkpoint_sigqueue_free(struct sigqueue *q);
pid_t *checkpoint_sigqueue_sender(struct sigqueue *q);
void checkpoint_process_set(const struct cr_hdr_process *from,
			    const u64 (*actions)[CHECKPOINT_SIGACTION_WORDS],
			    struct sigqueue **queue, int nr);
void checkpoint_signals_set(const u64 *masks, u32 flags, struct sigqueue **queue,
			    int nr);

/* In ipc/sem.c. */
bool sem_undo_pending(struct task_struct *task);
unsigned int sem_undo_users(struct task_struct *task);
int sem_undo_share(struct task_struct *from);
int sem_undo_next(struct task_struct *task, int semid);
int sem_undo_look(struct task_struct *task, int semid, struct cr_hdr_sem_undo *to,
		  short *semadj, unsigned int nr);

/* In kernel/rseq.c. */
bool rseq_restorable(unsigned long rseq, u32 len);
void rseq_restore(unsigned long rseq, u32 len, u32 sig);

/* In kernel/signal.c. */
struct sigqueue *sigqueue_alloc(int sig, struct task_struct *t, gfp_t gfp_flags,
				int override_rlimit);
void __sigqueue_free(struct sigqueue *q);

/*
 * Interrupted system calls: the function that goes on with each, and what is
 * in its restart block where that is nobody else's business.
 */
long hrtimer_nanosleep_restart(struct restart_block *restart);
long do_restart_poll(struct restart_block *restart);
long futex_wait_restart(struct restart_block *restart);
long do_restart_epoll(struct restart_block *restart);
unsigned int futex_restart_op(const struct restart_block *restart);
void futex_restart_set_op(struct restart_block *restart, unsigned int op);
/*
 * Processes and threads as a tree: kernel/checkpoint_tree.c, for
 * rust/kernel/task/{tree,park,crew}.rs.
 */

/**
 * struct checkpoint_kin - how a task is related to others
 * @leader: the leader of its thread group; this and the next five are addresses,
 *	by which two of them can be told apart, or 0
 * @parent: the task that is its parent
 * @mm: its address space
 * @files: its descriptor table
 * @fs: where its paths begin
 * @sighand: what its signals do
 * @sysvsem: its list for SEM_UNDO
 * @pid_ns: the address of the pid namespace that it is in
 * @pid: its number in its own pid namespace
 * @tgid: likewise of its process
 * @pgid: likewise of its process group, 0 if that has none
 * @sid: likewise of its session
 * @exit_state: EXIT_*, 0 if it lives
 * @exit_code: of one that has ended, as wait4(2) reports it
 * @flags: CR_TASK_*, but for CR_TASK_OUTLIVED
 */
struct checkpoint_kin {
	unsigned long leader;
	unsigned long parent;
	unsigned long mm;
	unsigned long files;
	unsigned long fs;
	unsigned long sighand;
	unsigned long sysvsem;
	unsigned long pid_ns;
	pid_t pid;
	pid_t tgid;
	pid_t pgid;
	pid_t sid;
	u32 exit_state;
	s32 exit_code;
	u32 flags;
};

/* Whether a task stands still: no, at the edge of user mode, in the middle of a call. */
enum {
	CHECKPOINT_REST_NONE,
	CHECKPOINT_REST_EDGE,
	CHECKPOINT_REST_MIDWAY,
};

/* In task->jobctl, where others are counted from 0: it is frozen at the edge. */
#define CHECKPOINT_JOBCTL_EDGE	BIT(BITS_PER_LONG - 1)

struct pid;
struct pid *checkpoint_process_of(struct task_struct *task);
struct pid *checkpoint_process_find(pid_t nr);
int checkpoint_tree_find(struct pid *process, struct task_struct **to,
			 unsigned int max);
void checkpoint_kin_get(struct task_struct *task, struct checkpoint_kin *to);
bool checkpoint_has_ended(struct task_struct *task);
bool checkpoint_is_killed(struct task_struct *task);
int checkpoint_rest_of(struct task_struct *task, bool arrived);
bool checkpoint_sleeps(struct task_struct *task);
bool checkpoint_sleep_begin(struct task_struct *task);
void checkpoint_sleep_end(struct task_struct *task);
void checkpoint_rouse(struct task_struct *task);
void checkpoint_freeze(void);
bool checkpoint_pid_taken(pid_t nr, struct task_struct **by);
struct task_struct *checkpoint_vfork_child(struct task_struct *task);
int wait_for_vfork_done(struct task_struct *child, struct completion *vfork);

/**
 * struct checkpoint_claim - a task that is being saved or restarted
 * @node: in the table of all of them
 * @task: the task
 * @restart: it is being restarted
 */
struct checkpoint_claim {
	struct hlist_node node;
	struct task_struct *task;
	bool restart;
};

int checkpoint_claim(struct checkpoint_claim *claim, struct task_struct *task, bool restart);
void checkpoint_unclaim(struct checkpoint_claim *claim);
void checkpoint_restart_syscall(void);

/* What a worker does next. */
enum {
	CHECKPOINT_WORKER_RUN,
	CHECKPOINT_WORKER_EXIT,
	CHECKPOINT_WORKER_RELEASE,
};

/**
 * struct checkpoint_gate - where tasks wait for each other
 * @ready: when all have become what the image says
 * @open: when what begins with that has begun, and all may go
 * @left: how many are not ready
 * @starting: how many have something to begin, the caller of restart(2) among them
 * @refs: who has a pointer to it
 * @work: what the caller does instead of going to user mode: it ends, if the image
 *	has it as one that has ended, or goes on with vfork(2)
 * @ending: the caller if it ends, with a reference: nobody goes before it has
 * @claim: that nobody saves it meanwhile
 * @code: how it ends
 * @watched: somebody looks whether it has
 * @ended: when it has
 * @vfork: the child that it waits for, with a reference
 * @vfork_done: when that has ended before the caller is there
 */
struct checkpoint_gate {
	struct completion ready;
	struct completion open;
	atomic_t left;
	atomic_t starting;
	refcount_t refs;
	struct callback_head work;
	struct task_struct *ending;
	struct checkpoint_claim claim;
	int code;
	atomic_t watched;
	struct completion ended;
	struct task_struct *vfork;
	struct completion vfork_done;
};

/**
 * struct checkpoint_worker - a task that restart(2) has made
 * @task: it
 * @driver: who waits for it, where @next is CHECKPOINT_WORKER_RUN
 * @claim: that nobody saves it
 * @ready: it may go on
 * @done: it has done what it was to do
 * @run: what it is to do
 * @start: likewise when it has become what the image says, or all have
 * @arg: for both
 * @gate: where it waits at the end
 * @starts: @start is to be called when all have
 * @vfork: the child that its vfork(2) waits for, with a reference, or NULL
 * @work: what it does behind the end
 * @result: what its system call returns
 * @next: CHECKPOINT_WORKER_*, behind @run
 * @code: how it exits
 * @refs: who has a pointer to it: itself, and who drives it
 */
struct checkpoint_worker {
	struct task_struct *task;
	struct task_struct *driver;
	struct checkpoint_claim claim;
	struct completion ready;
	struct completion done;
	void (*run)(void *arg);
	void (*start)(void *arg);
	void *arg;
	struct checkpoint_gate *gate;
	bool starts;
	struct task_struct *vfork;
	struct callback_head work;
	unsigned long result;
	int next;
	int code;
	refcount_t refs;
};

/* What semop(2) with SEM_UNDO has left to undo: kernel/checkpoint_undo.c. */
bool checkpoint_undo_pending(struct task_struct *task);
unsigned int checkpoint_undo_users(struct task_struct *task);
int checkpoint_undo_share(struct task_struct *from);
int checkpoint_undo_next(struct task_struct *task, int semid);
int checkpoint_undo_look(struct task_struct *task, int semid, struct cr_hdr_sem_undo *to,
			 short *semadj, unsigned int nr);
int checkpoint_undo_take(int semid, unsigned short sem_num, short sem_op);
void checkpoint_undo_drop(void);

struct checkpoint_worker *checkpoint_worker_create(u64 flags, pid_t pid,
						   void (*run)(void *arg), void *arg);
void checkpoint_worker_run(struct checkpoint_worker *worker,
			   void (*run)(void *arg), void *arg);
void checkpoint_worker_exit(struct checkpoint_worker *worker, void (*run)(void *arg),
			    void (*start)(void *arg), void *arg, int code,
			    int exit_signal, u32 flags,
			    const struct cr_hdr_task_stats *stats,
			    const struct cr_hdr_usage *others);
void checkpoint_worker_leave(struct checkpoint_worker *worker, void (*run)(void *arg),
			     void (*start)(void *arg), void *arg, int code,
			     struct checkpoint_gate *gate);
void checkpoint_worker_left(struct checkpoint_worker *worker, int exit_signal, u32 flags,
			    const struct cr_hdr_task_stats *stats,
			    const struct cr_hdr_usage *others);
void checkpoint_worker_abort(struct checkpoint_worker *worker,
			     void (*run)(void *arg), void *arg);
void checkpoint_worker_release(struct checkpoint_worker *worker, void (*run)(void *arg),
			       void (*start)(void *arg), void *arg, bool starts,
			       struct task_struct *vfork, struct checkpoint_gate *gate);
struct checkpoint_gate *checkpoint_gate_create(unsigned int nr);
void checkpoint_gate_ready(struct checkpoint_gate *gate);
void checkpoint_gate_pass(struct checkpoint_gate *gate, struct task_struct *vfork);
void checkpoint_gate_end(struct checkpoint_gate *gate, int code);
void checkpoint_gate_drop(struct checkpoint_gate *gate);
void checkpoint_share_namespaces(struct task_struct *task);
void checkpoint_join_jobs(struct task_struct *task, struct task_struct *group,
			  bool group_leads, struct task_struct *session,
			  bool session_leads);

/* What parents and shells know of processes: kernel/checkpoint_jobs.c. */
u32 checkpoint_job_flags(struct task_struct *leader);
struct task_struct *checkpoint_job_leader(struct task_struct *task, bool session);
void checkpoint_tty_drop(struct task_struct *task);
void checkpoint_foreground(struct task_struct *task);
void checkpoint_end_set(struct task_struct *leader, int exit_signal, u32 flags);
void checkpoint_usage_get(struct task_struct *task, u64 *threads, u64 *children);
void checkpoint_usage_set(struct task_struct *task, const struct cr_hdr_task_stats *from,
			  const struct cr_hdr_usage *others, bool dead);

/* In arch/<arch>/kernel/checkpoint.c. */
void checkpoint_set_syscall_result(unsigned long result);
bool checkpoint_lam_locked(void);
void checkpoint_lam_unlock(void);

/*
 * Open files: fs/checkpoint.c, for rust/kernel/fs/. What is not said here is
 * said there.
 */
struct cr_hdr_tty;
struct files_struct;
struct fs_struct;
struct ktermios;
struct tty_struct;

/**
 * struct checkpoint_file - what an open file is
 * @kind: CR_FILE_*, 0 if there is none for it
 * @flags: O_*
 * @mode: type and permissions of the inode
 * @shm_flags: CR_SHM_* of shared memory
 * @seals: F_SEAL_* of shared memory
 * @page_shift: of the huge pages of shared memory, 0 if it has others
 * @pipe_files: how many open files the pipe has
 * @pipe_packets: how many packets wait in the pipe
 * @name_len: bytes of @name
 * @pos: offset
 * @dev: device of the inode, as in struct cr_hdr_file
 * @ino: number of the inode
 * @size: bytes of a regular file
 * @object: what tells a pipe or shared memory from others
 * @object_size: bytes that a pipe can hold, or that shared memory has
 * @what: why it is not supported, NULL if it is, or if its name says it
 * @name: name of shared memory, or of what has no kind
 * @pipe_bytes: whether bytes wait in the pipe that are no packets
 * @stream: whether the restarter's will do if it is a standard stream
 * @pseudo: whether numbers and sizes of its inodes mean nothing after a reboot
 */
struct checkpoint_file {
	u32 kind;
	u32 flags;
	u32 mode;
	u32 shm_flags;
	u32 seals;
	u32 page_shift;
	u32 pipe_files;
	u32 pipe_packets;
	u32 name_len;
	s64 pos;
	u64 dev;
	u64 ino;
	u64 size;
	unsigned long object;
	u64 object_size;
	const char *what;
	char name[256];
	bool pipe_bytes;
	bool stream;
	bool pseudo;
};

int checkpoint_look(struct file *file, struct checkpoint_file *seen);
const char *checkpoint_file_obstacle(struct file *file);
int checkpoint_path(struct file *file, char *buf, int len);
struct file *checkpoint_open_again(struct file *file, unsigned int flags);
int checkpoint_set_flags(struct file *file, unsigned int flags);

struct file *checkpoint_next_file(struct task_struct *task, unsigned int *fd,
				  bool *cloexec);
unsigned int checkpoint_files_users(struct task_struct *task);
void checkpoint_files_get(struct files_struct *files);
unsigned long checkpoint_max_fds(void);
struct files_struct *checkpoint_files_alloc(void);
struct files_struct *checkpoint_files_switch(struct files_struct *files);

unsigned int checkpoint_locks(struct file *file, struct task_struct *task,
			      struct cr_hdr_lock *to, unsigned int max);
int checkpoint_relock(struct file *file, const struct cr_hdr_lock *lock);
int checkpoint_relock_fd(struct files_struct *files, unsigned int fd,
			 const struct cr_hdr_lock *lock);

unsigned int checkpoint_fs_look(struct task_struct *task, unsigned int *umask);
void checkpoint_fs_get(struct fs_struct *fs);
void checkpoint_fs_put(struct fs_struct *fs);
struct file *checkpoint_fs_dir(struct task_struct *task, bool root);
struct fs_struct *checkpoint_fs_alloc(struct file *cwd, struct file *root,
				      unsigned int umask);
void checkpoint_fs_switch(struct fs_struct *fs);

unsigned long checkpoint_pipe_of(struct file *file);
ssize_t checkpoint_pipe_peek(struct file *file, unsigned int slot, size_t skip,
			     void *to, size_t room);
ssize_t checkpoint_pipe_fill(struct file *file, const void *from, size_t len);
int checkpoint_pipe_resize(struct file *file, unsigned int size);

struct file *checkpoint_shm_create(const char *name, u64 size, unsigned int flags,
				   unsigned int seals, umode_t mode,
				   unsigned int page_shift);
ssize_t checkpoint_shm_write(struct file *file, const void *from, size_t len,
			     loff_t pos);
int checkpoint_shm_seal(struct file *file, unsigned int seals);

#define CHECKPOINT_TTY_LEN	48	/* bytes of struct cr_hdr_tty */
int checkpoint_tty_get(struct file *file, struct cr_hdr_tty *settings);
void checkpoint_tty_set(struct file *file, const struct cr_hdr_tty *settings);

/* Of the rest of the kernel, for fs/checkpoint.c and rust/kernel/fs/. */
int setfl(int fd, struct file *filp, unsigned int arg);
int files_install(struct files_struct *files, unsigned int fd, struct file *file,
		  bool cloexec);
int create_pipe_files(struct file **res, int flags);
void free_fs_struct(struct fs_struct *fs);
struct tty_struct *tty_from_file(struct file *file);
unsigned int tty_termios_input_baud_rate(const struct ktermios *termios);

/*
 * Deleted files: fs/checkpoint_inode.c, for rust/kernel/fs/state/inode.rs.
 * Owners, leases and hints: fs/checkpoint_owner.c, for
 * rust/kernel/fs/state/owner.rs. What is not said here is said there.
 */
struct cr_hdr_inode;
struct cr_hdr_owner;

unsigned long checkpoint_inode_id(struct file *file);
int checkpoint_inode_look(struct file *file, struct cr_hdr_inode *to,
			  const char **what);
int checkpoint_inode_alias(struct file *file, char *buf, int len);
int checkpoint_inode_dir(struct file *file, char *buf, int len);
struct file *checkpoint_inode_reader(struct file *file);
struct file *checkpoint_inode_create(const char *dir, const struct cr_hdr_inode *from);
ssize_t checkpoint_inode_write(struct file *file, const void *from, size_t len,
			       loff_t pos);
int checkpoint_inode_finish(struct file *file, const struct cr_hdr_inode *from);

/**
 * struct checkpoint_wanted - something of a tree that others may have
 * @what: its address
 * @holder: who has it, with a reference, or NULL
 */
struct checkpoint_wanted {
	unsigned long what;
	struct task_struct *holder;
};

/**
 * struct checkpoint_sharing - what an open file is to whoever shares it
 * @inode: the address of its inode
 * @references: how many there are to the file
 * @opens: how many open files, and others, have its path
 * @pipe: it is an end of a pipe
 * @state: what one does to it the others see, and it can be made anew only
 * @written: its inode is open for writing
 */
struct checkpoint_sharing {
	unsigned long inode;
	unsigned long references;
	unsigned long opens;
	bool pipe;
	bool state;
	bool written;
};

/* The lock of the lists of those who wait for a file lock: fs/locks.c. */
extern spinlock_t blocked_lock_lock;

int checkpoint_outside_find(const unsigned long *inside, unsigned int nr_inside,
			    struct checkpoint_wanted *wanted, unsigned int nr);
unsigned int checkpoint_outside_mapped(struct file *file, const unsigned long *inside,
				       unsigned int nr_inside, unsigned long *to,
				       unsigned int max);
void checkpoint_outside_look(struct file *file, struct checkpoint_sharing *seen);
struct task_struct *checkpoint_outside_target(struct file *file, bool owner, bool *group);
struct task_struct *checkpoint_outside_waiter(struct file *file, struct task_struct *task);

struct checkpoint_owner;

const char *checkpoint_owner_obstacle(struct file *file);
bool checkpoint_owner_get(struct file *file, struct task_struct *root,
			  struct cr_hdr_owner *to);
struct checkpoint_owner *checkpoint_owner_prepare(struct file *file,
						  const struct cr_hdr_owner *from,
						  struct task_struct *task,
						  bool group);
void checkpoint_owner_free(struct checkpoint_owner *owner);
void checkpoint_owner_commit(struct checkpoint_owner *owner);
int checkpoint_async(struct file *file, int fd);
int checkpoint_lease(struct file *file, int fd, unsigned int type);
unsigned int checkpoint_hint(struct file *file);
int checkpoint_may_hint(struct file *file, unsigned int hint);
void checkpoint_set_hint(struct file *file, unsigned int hint);

/* How a file is called, and where in /proc it is: fs/checkpoint.c. */
bool checkpoint_has_fd(struct files_struct *files, unsigned int fd);
int checkpoint_text(struct file *file, char *buf, int len);
int checkpoint_proc_depth(struct file *file, struct task_struct **of,
			  struct task_struct **inner);

/*
 * Clocks and timers: kernel/time/checkpoint.c and fs/timerfd.c.
 */
struct k_itimer;
struct nsproxy;

/*
 * First word of a pending signal: whether a timer has sent it, and from bit 32 on
 * the id of that.
 */
#define CHECKPOINT_PENDING_TIMER	0x1
#define CHECKPOINT_PENDING_ID_SHIFT	32

s64 checkpoint_clock_seen(struct task_struct *task, clockid_t clock, ktime_t time);
void checkpoint_clocks_get(struct task_struct *task, struct cr_hdr_timers *to);
struct nsproxy *checkpoint_timens_create(s64 monotonic, s64 boottime);
void checkpoint_timens_free(struct nsproxy *ns);
void checkpoint_timens_switch(struct nsproxy *ns);

bool checkpoint_itimer_fires(struct task_struct *task);
void checkpoint_itimers_get(struct task_struct *task, struct cr_hdr_timers *to);
int checkpoint_timers_get(struct task_struct *task, struct cr_hdr_timer *to,
			  int max, const char **refused);
bool checkpoint_timer_sent(const struct sigqueue *q, u32 *id);
struct k_itimer *checkpoint_timer_create(const struct cr_hdr_timer *from);
void checkpoint_timer_free(struct k_itimer *timer);
void checkpoint_timer_for(struct k_itimer *timer, bool signal, bool clock);
void checkpoint_timer_hold(struct k_itimer *timer);
void checkpoint_timer_put(struct k_itimer *timer);
struct sigqueue *checkpoint_timer_signal(struct k_itimer *timer);
void checkpoint_timers_add(const struct cr_hdr_timers *process, struct k_itimer **timers,
			   const struct cr_hdr_timer *from, unsigned int nr);
void checkpoint_timers_start(const struct cr_hdr_timers *process, struct k_itimer **timers,
			     const struct cr_hdr_timer *from, unsigned int nr);

bool checkpoint_is_timerfd(const struct file *file);
bool checkpoint_timerfd_get(struct file *file, struct task_struct *task,
			    struct cr_hdr_timerfd *to);
struct file *checkpoint_timerfd_create(const struct cr_hdr_timerfd *from);
void checkpoint_timerfd_start(struct file *file, const struct cr_hdr_timerfd *from);

/*
 * Limits, scheduling and attributes of one task.
 */
struct checkpoint_sched;

/* In kernel/sched/checkpoint.c. */
const char *checkpoint_sched_get(struct task_struct *task, struct cr_hdr_sched *to);
int checkpoint_affinity_get(struct task_struct *task, u64 *to, unsigned int max);
int checkpoint_sched_prepare(const struct cr_hdr_sched *image, const u64 *cpus,
			     struct checkpoint_sched **res, const char **what);
int checkpoint_sched_apply(struct checkpoint_sched *sched, const char **what);
void checkpoint_sched_put(struct checkpoint_sched *sched);
void checkpoint_sched_commit(struct checkpoint_sched *sched);
unsigned long checkpoint_core_sched_get(struct task_struct *task);
int checkpoint_cookie_alloc(unsigned long *cookie);
void checkpoint_cookie_put(unsigned long cookie);
void checkpoint_cookie_set(unsigned long cookie);
u32 checkpoint_membarrier_get(struct mm_struct *mm);
int checkpoint_membarrier_set(u32 cmds);

/* In kernel/checkpoint_attrs.c. */
void checkpoint_limits_get(struct task_struct *task, struct cr_hdr_limits *to);
int checkpoint_limits_check(const struct cr_hdr_limits *from, unsigned int *which);
void checkpoint_limits_set(const struct cr_hdr_limits *from);
void checkpoint_attrs_get(struct task_struct *task, struct cr_hdr_task_attrs *to);
int checkpoint_attrs_check(const struct cr_hdr_task_attrs *from, const char **what);
void checkpoint_attrs_set(const struct cr_hdr_task_attrs *from);
void checkpoint_lead(bool session, bool group);

/* In arch/<arch>/kernel/checkpoint.c. */
u32 checkpoint_cpu_attrs(struct task_struct *task);
int checkpoint_cpu_attrs_check(u32 flags, const char **what);
void checkpoint_cpu_attrs_set(u32 flags);

/* Of the rest of the kernel. */
unsigned long sched_core_alloc_cookie(void);
void sched_core_put_cookie(unsigned long cookie);
void __sched_core_set(struct task_struct *p, unsigned long cookie);
int membarrier_register_global_expedited(void);
int membarrier_register_private_expedited(int flags);
int propagate_has_child_subreaper(struct task_struct *p, void *data);
int set_cpuid_mode(unsigned long cpuid_enabled);

/*
 * Credentials, labels, seccomp: kernel/checkpoint_cred.c,
 * kernel/checkpoint_seccomp.c, security/landlock/checkpoint.c, and what they
 * need of their neighbours.
 */
struct bpf_prog;
struct cred;
struct seccomp_filter;
struct sock_filter;
struct sock_fprog_kern;

void checkpoint_cred_obstacles(struct task_struct *task, struct checkpoint_obstacles *to);
int checkpoint_creds_get(struct task_struct *task, struct cr_hdr_creds *to,
			 u32 *groups, int max);
int checkpoint_creds_prepare(const struct cr_hdr_creds *from, const u32 *groups,
			     int ngroups, struct cred **prepared, const char **field);
void checkpoint_creds_drop(struct cred *prepared);
void checkpoint_creds_commit(struct cred *prepared, bool no_new_privs);

int checkpoint_label_get(struct task_struct *task, char *to, unsigned int max);
int checkpoint_loginuid_get(struct task_struct *task, u32 *loginuid, u32 *sessionid);
int checkpoint_loginuid_prepare(u32 loginuid);
void checkpoint_loginuid_commit(u32 loginuid);

bool checkpoint_landlocked(const struct cred *cred);

/**
 * struct checkpoint_filter - what a seccomp filter is
 * @refused: what makes it one that cannot be saved, NULL if nothing does
 * @insns: its program, as struct sock_filter
 * @nr_insns: instructions
 * @log: SECCOMP_FILTER_FLAG_LOG
 */
struct checkpoint_filter {
	const char *refused;
	const u64 *insns;
	unsigned int nr_insns;
	bool log;
};

unsigned int checkpoint_seccomp_mode(struct task_struct *task);
struct seccomp_filter *checkpoint_filters_hold(struct task_struct *task);
void checkpoint_filters_put(struct seccomp_filter *filter);
struct seccomp_filter *checkpoint_filter_look(struct seccomp_filter *filter,
					      struct checkpoint_filter *seen);
unsigned long checkpoint_filter_total(void);
struct seccomp_filter *checkpoint_filter_prepare(const u64 *insns,
						 unsigned int nr_insns, bool log,
						 struct seccomp_filter *prev,
						 unsigned long *total);
void checkpoint_filter_share(struct seccomp_filter *filter, unsigned long *total);
void checkpoint_filter_drop(struct seccomp_filter *filter);
void checkpoint_filter_commit(struct seccomp_filter *filter, unsigned int nr);
bool checkpoint_may_filter(bool no_new_privs);
bool checkpoint_may_be_strict(void);
void checkpoint_be_strict(void);

void flag_nproc_exceeded(struct cred *new);
int audit_set_loginuid_perm(kuid_t loginuid);
int audit_change_loginuid(kuid_t loginuid, int rc);
int bpf_prog_restore(struct bpf_prog **pfp, const struct sock_fprog_kern *fprog,
		     int (*trans)(struct sock_filter *filter, unsigned int flen));
long seccomp_set_mode_strict(void);
struct seccomp_filter *seccomp_filter_hold(struct task_struct *task);
void seccomp_filter_put(struct seccomp_filter *filter);
struct seccomp_filter *seccomp_filter_before(const struct seccomp_filter *filter);
const struct sock_fprog_kern *seccomp_filter_program(struct seccomp_filter *filter,
						     bool *log, bool *listener);
struct seccomp_filter *seccomp_filter_restore(const struct sock_fprog_kern *fprog,
					      bool log, struct seccomp_filter *prev,
					      unsigned long *total);
unsigned long seccomp_filter_total(void);
void seccomp_filter_share(struct seccomp_filter *filter, unsigned long *total);
void seccomp_filter_drop(struct seccomp_filter *filter);
void seccomp_filter_install(struct seccomp_filter *filter, unsigned int nr);

/*
 * Segments, and programs of 32 bits: arch/x86/kernel/checkpoint.c, and what it
 * needs of its neighbours.
 */
struct desc_struct;
struct linux_binfmt;
struct user_desc;

/**
 * struct checkpoint_program - what an address space is for
 * @flags: CR_THREAD_* of its task
 * @personality: that of its task
 * @nr_ldt: how many descriptors of modify_ldt(2) it has
 * @ldt: these, which checkpoint_ldt_fit() found fit
 */
struct checkpoint_program {
	u32 flags;
	u32 personality;
	unsigned int nr_ldt;
	const u64 *ldt;
};

unsigned int checkpoint_ldt_get(struct mm_struct *mm, u64 *to, unsigned int max);
unsigned int checkpoint_ldt_fit(const u64 *entries, unsigned int nr);
int checkpoint_ldt_set(struct mm_struct *mm, const u64 *entries, unsigned int nr);

void checkpoint_segments_get(struct checkpoint_segments *segments);
void checkpoint_segments_set(const struct checkpoint_segments *segments);

u32 checkpoint_thread_flags(struct task_struct *task);
bool checkpoint_thread_flags_unfit(u32 flags);
void checkpoint_thread_flags_set(u32 flags);

bool tls_desc_okay(const struct user_desc *info);
void fill_user_desc(struct user_desc *info, int idx, const struct desc_struct *desc);
bool allow_16bit_segments(void);
int ldt_init_context(struct mm_struct *mm, const u64 *entries, unsigned int nr);
extern struct linux_binfmt elf_format;
extern struct linux_binfmt compat_elf_format;

/*
 * More of memory (mem): mm/checkpoint_*.c, fs/checkpoint_aio.c, and what these
 * need of their neighbours.
 */
struct mempolicy;

/**
 * struct checkpoint_policy_swap - the memory policy that restart(2) puts aside
 * @old: the caller's own, of which this is a reference
 * @il_prev: where it interleaves next
 * @il_weight: likewise
 */
struct checkpoint_policy_swap {
	struct mempolicy *old;
	short il_prev;
	u8 il_weight;
};

int checkpoint_guard_find(struct mm_struct *mm, unsigned long addr,
			  struct cr_hdr_guard *found);
int checkpoint_guard_install(const struct cr_hdr_guard *guard);

unsigned int checkpoint_hugetlb_shift(struct file *file);
bool checkpoint_hugetlb_nameless(struct file *file);
bool checkpoint_hugetlb_is_anon(struct file *file);
struct file *checkpoint_hugetlb_file(u64 size, unsigned int shift);
unsigned int checkpoint_hugetlb_memfd_flags(unsigned int shift);
bool checkpoint_hugetlb_next_data(struct file *file, u64 from, u64 *begin, u64 *end);
ssize_t checkpoint_hugetlb_write(struct file *file, const void *from, size_t len,
				 loff_t pos);

int checkpoint_policy_find(struct mm_struct *mm, unsigned long addr,
			   struct cr_hdr_policy *found);
bool checkpoint_task_policy(struct task_struct *task, struct cr_hdr_policy *found);
int checkpoint_policy_set(const struct cr_hdr_policy *policy);
int checkpoint_policy_begin(const struct cr_hdr_policy *policy,
			    struct checkpoint_policy_swap *swap);
void checkpoint_policy_abort(struct checkpoint_policy_swap *swap);
void checkpoint_policy_commit(struct checkpoint_policy_swap *swap);

/* Without CONFIG_AIO there is none of them. */
bool checkpoint_is_aio_ring(struct vm_area_struct *vma);
int checkpoint_aio_find(struct mm_struct *mm, unsigned int *slot,
			struct cr_hdr_aio *found, unsigned long *size);
int checkpoint_aio_create(const struct cr_hdr_aio *aio, unsigned long size);
int checkpoint_aio_finish(const struct cr_hdr_aio *aio);

long do_mbind(unsigned long start, unsigned long len, unsigned short mode,
	      unsigned short mode_flags, nodemask_t *nmask, unsigned long flags);
long do_set_mempolicy(unsigned short mode, unsigned short flags, nodemask_t *nodes);
int sanitize_mpol_flags(int *mode, unsigned short *flags);
long set_mempolicy_home_node(unsigned long start, unsigned long len,
			     unsigned long home_node, unsigned long flags);

/*
 * Open files without a path: fs/checkpoint_anon.c and
 * fs/notify/inotify/checkpoint.c, for rust/kernel/fs/state/.
 */
struct inode;

/* Whether what an epoll(7) instance waits for is there, so far as it knows. */
enum {
	CHECKPOINT_EPOLL_READY,		/* epoll_wait(2) looks at it next */
	CHECKPOINT_EPOLL_IDLE,		/* not as long as nothing happens */
	CHECKPOINT_EPOLL_AS_FOUND,	/* what the file said when it was added */
};

/**
 * struct checkpoint_epoll_item - what an epoll(7) instance waits for
 * @file: the open file
 * @data: of struct epoll_event
 * @events: EPOLL*
 * @fd: the descriptor by which epoll_ctl(2) knows it
 * @state: CHECKPOINT_EPOLL_*
 * @reserved: unused
 */
struct checkpoint_epoll_item {
	struct file *file;
	u64 data;
	u32 events;
	s32 fd;
	u32 state;
	u32 reserved;
};

/**
 * struct checkpoint_watch - what an inotify(7) instance watches
 * @inode: it
 * @wd: watch descriptor
 * @mask: IN_*
 */
struct checkpoint_watch {
	struct inode *inode;
	s32 wd;
	u32 mask;
};

bool checkpoint_anon_look(struct file *file, struct checkpoint_file *seen);
void checkpoint_close_now(struct file *file);

int checkpoint_eventfd_get(struct file *file, struct cr_hdr_eventfd *to);
struct file *checkpoint_eventfd_create(const struct cr_hdr_eventfd *from);
int checkpoint_signalfd_get(struct file *file, u64 *mask);
struct file *checkpoint_signalfd_create(u64 mask);
struct task_struct *checkpoint_pidfd_task(struct file *file);
const char *checkpoint_pidfd_get(struct file *file, struct cr_hdr_pidfd *to);
struct file *checkpoint_pidfd_create(const struct cr_hdr_pidfd *from,
				     struct task_struct *task, unsigned int flags);

struct file *checkpoint_epoll_create(void);
unsigned int checkpoint_epoll_items(struct file *file, struct checkpoint_epoll_item *to,
				    unsigned int max);
int checkpoint_epoll_add(struct file *file, const struct checkpoint_epoll_item *item);
void checkpoint_epoll_settle(struct file *file, const struct checkpoint_epoll_item *items,
			     unsigned int nr);

bool checkpoint_inotify_is(struct file *file);
s32 checkpoint_inotify_last(struct file *file);
unsigned int checkpoint_inotify_watches(struct file *file,
					struct checkpoint_watch *to, unsigned int max);
size_t checkpoint_inotify_events(struct file *file, void *to, size_t room, u32 *nr);
struct file *checkpoint_inotify_create(s32 last);
int checkpoint_inotify_watch(struct file *file, struct file *target, s32 wd, u32 mask);
ssize_t checkpoint_inotify_queue(struct file *file, const void *from, size_t len);
struct file *checkpoint_watch_open(struct inode *inode);
void checkpoint_watch_put(struct checkpoint_watch *watch);

/* In fs/eventfd.c, fs/signalfd.c and fs/eventpoll.c. */
unsigned int eventfd_file_look(struct file *file, u64 *count, unsigned int *flags);
struct file *eventfd_file_create(u64 count, unsigned int flags);
bool signalfd_file_look(struct file *file, sigset_t *refused);
struct file *signalfd_file_create(const sigset_t *refused);
struct file *epoll_file_create(void);
bool epoll_file_has_params(struct file *file);
unsigned int epoll_file_items(struct file *file, struct checkpoint_epoll_item *to,
			      unsigned int max);
void epoll_file_settle(struct file *file, const struct checkpoint_epoll_item *items,
		       unsigned int nr);

#endif /* _LINUX_CHECKPOINT_H */
