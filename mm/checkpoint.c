// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a process, for checkpoint(2) and restart(2).
 *
 * What is here needs macros, inline functions or locks that Rust has no view
 * of; who calls it, in which order and with which data is decided in
 * checkpoint/resource/mm.rs, by way of rust/kernel/mm/{snapshot,rebuild}.rs.
 *
 * Locking
 *
 * Saving: the process stands still, but its memory does not: reclaim, migration,
 * khugepaged and KSM go on. Every look at a mapping is under mmap_lock for
 * reading, every look at a page table entry under its page table lock, and a
 * page that is noted has a reference on its folio, which keeps its contents
 * whatever becomes of the entry. Nothing is held while an image is written.
 *
 * Restoring: the new address space is current->mm, so that all that builds it
 * are the functions of the system calls, with their checks, their limits and
 * their locks. Others may look at it (/proc, ptrace), so nothing relies on its
 * being private: mmap_lock is held for reading while pages are allocated and
 * mapped, and an entry that is not empty is an error. Nothing is held while an
 * image is read.
 *
 * Switching: exec_update_lock, mmap_lock of the address space that is left (for
 * reading), task_lock, interrupts off, in the order of exec_mmap(). The caller
 * sleeps with none of them held. A signal that dumps core waits meanwhile: it is
 * delivered at the exit to user mode, where current has one of both for good.
 */
#include <linux/binfmts.h>
#include <linux/bvec.h>
#include <linux/checkpoint.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/huge_mm.h>
#include <linux/hugetlb.h>
#include <linux/khugepaged.h>
#include <linux/ksm.h>
#include <linux/leafops.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/oom.h>
#include <linux/pagewalk.h>
#include <linux/personality.h>
#include <linux/pgalloc.h>
#include <linux/pkeys.h>
#include <linux/prctl.h>
#include <linux/rmap.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/exec_state.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/secretmem.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uprobes.h>
#include <linux/userfaultfd_k.h>
#include <linux/vdso_datastore.h>

#include <asm/vdso.h>
#include <asm/vdso/vsyscall.h>

#include "internal.h"

/* Flags that an image has, one for one. */
static const struct {
	vm_flags_t vm;
	u64 cr;
} vma_flags[] = {
	{ VM_READ,		CR_VMA_READ },
	{ VM_WRITE,		CR_VMA_WRITE },
	{ VM_EXEC,		CR_VMA_EXEC },
	/* VM_SHARED is not set if the file is open for reading only. */
	{ VM_MAYSHARE,		CR_VMA_SHARED },
	{ VM_GROWSDOWN,		CR_VMA_GROWSDOWN },
	{ VM_LOCKED,		CR_VMA_LOCKED },
	{ VM_LOCKONFAULT,	CR_VMA_LOCKONFAULT },
	{ VM_DONTCOPY,		CR_VMA_DONTFORK },
	{ VM_WIPEONFORK,	CR_VMA_WIPEONFORK },
	{ VM_DONTDUMP,		CR_VMA_DONTDUMP },
	{ VM_HUGEPAGE,		CR_VMA_HUGEPAGE },
	{ VM_NOHUGEPAGE,	CR_VMA_NOHUGEPAGE },
	{ VM_MERGEABLE,		CR_VMA_MERGEABLE },
	{ VM_NORESERVE,		CR_VMA_NORESERVE },
	{ VM_SEQ_READ,		CR_VMA_SEQ_READ },
	{ VM_RAND_READ,		CR_VMA_RAND_READ },
	{ VM_SEALED,		CR_VMA_SEALED },
	{ VM_ACCOUNT,		CR_VMA_ACCOUNT },
	{ VM_HUGETLB,		CR_VMA_HUGETLB },
	{ VM_DROPPABLE,		CR_VMA_DROPPABLE },
};

/*
 * Flags that follow from others, from the file, or from guard regions. The last
 * is that of huge pages and aio rings; others with it are refused by name.
 */
#define VM_IMPLIED	(VM_SHARED | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | \
			 VM_SOFTDIRTY | ARCH_VM_PKEY_FLAGS | VM_MAYBE_GUARD | \
			 VM_DONTEXPAND)

/* Flags that _install_special_mapping() and its callers add. */
#define VM_OF_SPECIAL	(VM_DONTEXPAND | VM_PFNMAP | VM_IO | VM_MIXEDMAP)

/* Flags with a name of their own in the log. */
static const struct {
	vm_flags_t vm;
	const char *what;
} refused_flags[] = {
	{ VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR | VM_UFFD_RWP,
							"userfaultfd memory" },
	{ VM_SHADOW_STACK,				"a shadow stack" },
	{ VM_SYNC,					"memory mapped with MAP_SYNC" },
	{ VM_PFNMAP | VM_IO | VM_MIXEDMAP,		"memory of a device" },
};

static u64 vma_flags_to_cr(vm_flags_t flags)
{
	u64 cr = 0;

	for (int i = 0; i < ARRAY_SIZE(vma_flags); i++) {
		if (flags & vma_flags[i].vm)
			cr |= vma_flags[i].cr;
	}
	return cr;
}

static vm_flags_t vma_flags_known(void)
{
	vm_flags_t known = VM_IMPLIED;

	for (int i = 0; i < ARRAY_SIZE(vma_flags); i++)
		known |= vma_flags[i].vm;
	return known;
}

/* Whether some pages of @vma may be nowhere but in this address space. */
static bool vma_has_private_pages(struct vm_area_struct *vma)
{
	return !(vma->vm_flags & (VM_MAYSHARE | VM_SHARED | VM_PFNMAP | VM_IO |
				  VM_MIXEDMAP | VM_DROPPABLE | VM_SHADOW_STACK));
}

/*
 * Whether the pages of @vma are filled where they are: they come from a pool, or
 * are those of a ring that the kernel made.
 */
static bool vma_is_filled_in_place(struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) || checkpoint_is_aio_ring(vma);
}

/* Whether @vma has private pages that fork(2) would share: of no pool, no ring. */
bool checkpoint_vma_has_own_pages(struct vm_area_struct *vma)
{
	return vma_has_private_pages(vma) && !vma_is_filled_in_place(vma);
}

/* Whether an image has pages of @vma. */
static bool vma_has_saved_pages(struct vm_area_struct *vma)
{
	return vma_has_private_pages(vma) || checkpoint_is_aio_ring(vma);
}

static const struct vdso_image *vdso_image(bool ia32)
{
#ifdef CONFIG_IA32_EMULATION
	if (ia32)
		return &vdso32_image;
#endif
	return &vdso64_image;
}

/**
 * checkpoint_vdso() - Describe the vDSO of processes.
 * @vdso: what is filled in
 * @ia32: whether it is that of 32-bit processes
 */
void checkpoint_vdso(struct checkpoint_vdso *vdso, bool ia32)
{
	vdso->data = vdso_image(ia32)->data;
	vdso->size = vdso_image(ia32)->size;
	vdso->vvar_size = __VDSO_PAGES * PAGE_SIZE;
}

/* Whether an address space is that of a 32-bit program. */
bool checkpoint_mm_is_ia32(struct mm_struct *mm)
{
	return !is_64bit_mm(mm);
}

/* Whether more than @known tasks have @mm, on which the caller has a reference. */
bool checkpoint_mm_shared(struct mm_struct *mm, unsigned int known)
{
	struct task_struct *process, *thread;
	unsigned int users = 0;

	/* One is the caller's: most often that is all. */
	if (atomic_read(&mm->mm_users) <= known + 1)
		return false;

	rcu_read_lock();
	for_each_process_thread(process, thread)
		if (READ_ONCE(thread->mm) == mm && !(thread->flags & PF_KTHREAD))
			users++;
	rcu_read_unlock();
	return users > known;
}

/**
 * checkpoint_mm_refused() - Look for what keeps an address space from being saved.
 * @task: a task that stands still
 * @mm: its address space, on which the caller has a reference
 *
 * Who else has it is told by checkpoint_mm_shared(), and mappings are looked at by
 * checkpoint_mapping_find().
 *
 * Return: what is in the way, NULL if nothing is.
 */
const char *checkpoint_mm_refused(struct task_struct *task, struct mm_struct *mm)
{
#ifdef CONFIG_ADDRESS_MASKING
	if (READ_ONCE(mm->context.lam_cr3_mask))
		return "linear address masking";
#endif
#ifdef CONFIG_X86_USER_SHADOW_STACK
	if (READ_ONCE(task->thread.features) & ARCH_SHSTK_SHSTK)
		return "a shadow stack";
#endif
	return NULL;
}

/**
 * checkpoint_mm_describe() - Describe an address space, but for its mappings.
 * @task: a task that stands still
 * @mm: its address space, on which the caller has a reference
 * @hdr: filled in, but for @exe, @nr_vmas and @auxv_len
 * @context: filled in, but for @vdso_crc
 * @auxv: filled in
 */
void checkpoint_mm_describe(struct task_struct *task, struct mm_struct *mm,
			    struct cr_hdr_mm *hdr, struct cr_hdr_mm_context *context,
			    unsigned long auxv[AT_VECTOR_SIZE])
{
	vm_flags_t def_flags;

	memset(hdr, 0, sizeof(*hdr));
	memset(context, 0, sizeof(*context));

	mmap_read_lock(mm);
	spin_lock(&mm->arg_lock);
	hdr->start_code = mm->start_code;
	hdr->end_code = mm->end_code;
	hdr->start_data = mm->start_data;
	hdr->end_data = mm->end_data;
	hdr->start_brk = mm->start_brk;
	hdr->brk = mm->brk;
	hdr->start_stack = mm->start_stack;
	hdr->arg_start = mm->arg_start;
	hdr->arg_end = mm->arg_end;
	hdr->env_start = mm->env_start;
	hdr->env_end = mm->env_end;
	spin_unlock(&mm->arg_lock);
	memcpy(auxv, mm->saved_auxv, sizeof(mm->saved_auxv));
	def_flags = mm->def_flags;
	context->vdso = (unsigned long)mm->context.vdso;
#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
	context->pkeys = mm->context.pkey_allocation_map;
#endif
	mmap_read_unlock(mm);
	context->vdso_size = vdso_image(checkpoint_mm_is_ia32(mm))->size;

	BUILD_BUG_ON(CR_MM_DUMP_FILTER_SHIFT != MMF_DUMP_FILTER_SHIFT);
	BUILD_BUG_ON(CR_MM_DUMP_FILTER_MASK != MMF_DUMP_FILTER_MASK);
	hdr->flags = task_exec_state_get_dumpable(task) & CR_MM_DUMPABLE_MASK;
	hdr->flags |= __mm_flags_get_word(mm) & MMF_DUMP_FILTER_MASK;
	if (mm_flags_test(MMF_DISABLE_THP_COMPLETELY, mm))
		hdr->flags |= CR_MM_THP_DISABLE;
	if (mm_flags_test(MMF_DISABLE_THP_EXCEPT_ADVISED, mm))
		hdr->flags |= CR_MM_THP_DISABLE | CR_MM_THP_EXCEPT_ADVISED;
	hdr->membarrier = checkpoint_membarrier_get(mm);
	if (mm_flags_test(MMF_VM_MERGE_ANY, mm))
		hdr->flags |= CR_MM_MERGE_ANY;
	if (mm_flags_test(MMF_HAS_MDWE, mm))
		hdr->flags |= CR_MM_MDWE;
	if (mm_flags_test(MMF_HAS_MDWE_NO_INHERIT, mm))
		hdr->flags |= CR_MM_MDWE_NO_INHERIT;
	if (def_flags & VM_LOCKED)
		hdr->flags |= CR_MM_LOCK_FUTURE;
	if (def_flags & VM_LOCKONFAULT)
		hdr->flags |= CR_MM_LOCK_ONFAULT;
}

/* The kind of a mapping that the kernel made by _install_special_mapping(). */
static u32 special_kind(struct vm_area_struct *vma)
{
	const char *name;

	if (vma->vm_file || !vma->vm_ops || !vma->vm_ops->name)
		return 0;
	name = vma->vm_ops->name(vma);
	if (!name)
		return 0;
	if (!strcmp(name, "[vvar]") || !strcmp(name, "[vvar_vclock]"))
		return CR_MAPPING_VVAR;
	if (!strcmp(name, "[vdso]") &&
	    vma->vm_mm->context.vdso_image == vdso_image(checkpoint_mm_is_ia32(vma->vm_mm)) &&
	    vma->vm_start == (unsigned long)vma->vm_mm->context.vdso)
		return CR_MAPPING_VDSO;
	return 0;
}

/* What makes @vma, which is not special, one that cannot be saved, or NULL. */
static const char *vma_refused(struct vm_area_struct *vma)
{
	struct inode *inode;

	if (vma_is_secretmem(vma))
		return "secret memory";
	for (int i = 0; i < ARRAY_SIZE(refused_flags); i++) {
		if (vma->vm_flags & refused_flags[i].vm)
			return refused_flags[i].what;
	}
	if (vma->vm_flags & VM_DONTEXPAND && !vma_is_filled_in_place(vma))
		return "memory of a driver";
	if (vma->vm_flags & ~vma_flags_known())
		return "memory with flags that an image does not know";
	if (vma_is_anonymous(vma) || checkpoint_is_aio_ring(vma))
		return NULL;
	if (!vma->vm_file)
		return "memory of the kernel";

	inode = file_inode(vma->vm_file);
	if (!S_ISREG(inode->i_mode) || IS_ANON_FILE(inode))
		return "memory of a device or of a file without a path";
	if (IS_DAX(inode))
		return "memory of a DAX file";
	/* shmat(2) puts a file of its own around one of shmem. */
	if (shmem_mapping(vma->vm_file->f_mapping) && !vma_is_shmem(vma))
		return "System V shared memory";
#ifdef CONFIG_HUGETLB_PAGE
	if (is_vm_hugetlb_page(vma) && vma->vm_ops != &hugetlb_vm_ops)
		return "System V shared memory";
#endif
	return NULL;
}

static void describe_mapping(struct vm_area_struct *vma, struct checkpoint_mapping *found)
{
	struct anon_vma_name *name = anon_vma_name(vma);

	found->vma.start = vma->vm_start;
	found->vma.end = vma->vm_end;
	found->vma.flags = vma_flags_to_cr(vma->vm_flags);
	found->vma.pkey = vma_pkey(vma);

	found->vma.kind = special_kind(vma);
	if (found->vma.kind)
		return;
	found->refused = vma_refused(vma);
	if (found->refused)
		return;

	if (is_vm_hugetlb_page(vma))
		found->vma.page_shift = huge_page_shift(hstate_vma(vma));
	if (checkpoint_is_aio_ring(vma)) {
		found->vma.kind = CR_MAPPING_AIO;
	} else if (vma_is_anonymous(vma)) {
		/* A private mapping of /dev/zero is that, too. */
		found->vma.kind = CR_MAPPING_ANON;
	} else if (is_vm_hugetlb_page(vma) && vma_has_private_pages(vma) &&
		   checkpoint_hugetlb_is_anon(vma->vm_file)) {
		/* Nothing is in its file, and nobody else has it. */
		found->vma.kind = CR_MAPPING_ANON;
	} else {
		found->vma.kind = CR_MAPPING_FILE;
		found->vma.pgoff = vma->vm_pgoff;
		found->file = get_file(vma->vm_file);
	}
	if (name) {
		found->vma.name_len = strnlen(name->name, sizeof(found->name));
		memcpy(found->name, name->name, found->vma.name_len);
	}
}

/**
 * checkpoint_mapping_find() - Describe the first mapping that ends above an address.
 * @mm: the address space, on which the caller has a reference
 * @addr: the address
 * @found: filled in if there is one; the caller owns the reference on its file
 *
 * Return: 1 if there is one, 0 if there is none, -EINTR on a fatal signal.
 */
int checkpoint_mapping_find(struct mm_struct *mm, unsigned long addr,
			    struct checkpoint_mapping *found)
{
	struct vm_area_struct *vma;

	memset(found, 0, sizeof(*found));
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, addr);
	if (vma)
		describe_mapping(vma, found);
	mmap_read_unlock(mm);
	return !!vma;
}

/* Why a walk over page tables ended early. */
#define WALK_FULL	1
#define WALK_FAULT	2

struct collect_walk {
	struct checkpoint_pages *to;
	/* The mapping of the last extent. */
	struct vm_area_struct *vma;
	/* What is not collected, from that on which is not passed yet. */
	const struct cr_shared_extent *skip;
	const struct cr_shared_extent *skip_end;
};

/* Passes what is skipped before @addr. */
static void skip_to(struct collect_walk *state, unsigned long addr)
{
	const struct cr_shared_extent *skip = state->skip;
	size_t left = state->skip_end - skip;

	while (left) {
		const struct cr_shared_extent *middle = skip + left / 2;

		if (middle->start + ((u64)middle->nr_pages << PAGE_SHIFT) <= addr) {
			skip = middle + 1;
			left -= left / 2 + 1;
		} else {
			left /= 2;
		}
	}
	state->skip = skip;
}

/*
 * Whether the page at @addr is skipped. Sets @until to where that changes. The
 * addresses ascend.
 */
static bool is_skipped(struct collect_walk *state, unsigned long addr,
		       unsigned long *until)
{
	const struct cr_shared_extent *skip = state->skip;

	while (skip != state->skip_end &&
	       skip->start + ((u64)skip->nr_pages << PAGE_SHIFT) <= addr)
		state->skip = ++skip;
	*until = ULONG_MAX;
	if (skip == state->skip_end)
		return false;
	*until = skip->start;
	if (skip->start > addr)
		return false;
	*until = skip->start + ((u64)skip->nr_pages << PAGE_SHIFT);
	return true;
}

/* Notes @nr pages of a folio, which are mapped at @addr. There is room. */
static void collect_pages(struct collect_walk *state, struct vm_area_struct *vma,
			  unsigned long addr, struct page *page, unsigned int nr, u32 flags)
{
	struct checkpoint_pages *to = state->to;
	struct cr_extent *extent = to->nr_extents ? &to->extents[to->nr_extents - 1] : NULL;
	struct bio_vec *bvec = to->nr_bvecs ? &to->bvecs[to->nr_bvecs - 1] : NULL;
	struct folio *folio = page_folio(page);

	if (bvec && page_folio(bvec->bv_page) == folio &&
	    bvec->bv_page + (bvec->bv_len >> PAGE_SHIFT) == page) {
		bvec->bv_len += nr << PAGE_SHIFT;
	} else {
		folio_get(folio);
		bvec_set_page(&to->bvecs[to->nr_bvecs++], page, nr << PAGE_SHIFT, 0);
	}

	if (extent && !flags && !extent->flags && state->vma == vma &&
	    extent->start + ((u64)extent->nr_pages << PAGE_SHIFT) == addr) {
		extent->nr_pages += nr;
	} else {
		to->extents[to->nr_extents++] = (struct cr_extent) {
			.start = addr,
			.nr_pages = nr,
			.flags = flags,
		};
		state->vma = vma;
	}
	to->nr_pages += nr;
}

static int collect_huge(pmd_t pmd, unsigned long addr, unsigned long next,
			struct mm_walk *walk)
{
	struct collect_walk *state = walk->private;
	unsigned long until;
	struct folio *folio;

	if (!pmd_present(pmd)) {
		state->to->next = addr;
		return WALK_FAULT;
	}
	if (is_huge_zero_pmd(pmd))
		return 0;
	folio = pmd_folio(pmd);
	if (!folio_test_anon(folio))
		return 0;
	for (; addr != next; addr = until) {
		bool skipped = is_skipped(state, addr, &until);
		unsigned int nr;

		until = min(until, next);
		if (skipped)
			continue;
		nr = (until - addr) >> PAGE_SHIFT;
		if (nr > CR_PAGES_MAX - state->to->nr_pages) {
			state->to->next = addr;
			return WALK_FULL;
		}
		collect_pages(state, walk->vma, addr,
			      pmd_page(pmd) + ((addr & ~HPAGE_PMD_MASK) >> PAGE_SHIFT),
			      nr, nr == HPAGE_PMD_NR ? CR_EXTENT_HUGE : 0);
	}
	return 0;
}

#ifdef CONFIG_HUGETLB_PAGE
static int collect_hugetlb(pte_t *pte, unsigned long hmask, unsigned long addr,
			   unsigned long next, struct mm_walk *walk)
{
	struct collect_walk *state = walk->private;
	unsigned int room = CR_PAGES_MAX - state->to->nr_pages;
	unsigned long nr = (next - addr) >> PAGE_SHIFT;
	struct page *page;
	spinlock_t *ptl;
	pte_t entry;
	int ret = 0;

	ptl = huge_pte_lock(hstate_vma(walk->vma), walk->mm, pte);
	entry = huge_ptep_get(walk->mm, addr, pte);
	if (huge_pte_none(entry))
		goto out;
	if (!pte_present(entry)) {
		state->to->next = addr;
		ret = WALK_FAULT;
		goto out;
	}
	page = pte_page(entry);
	if (!folio_test_anon(page_folio(page)))
		goto out;
	/* A page that is too large for any run is split over several. */
	if (room < min(nr, CR_PAGES_MAX)) {
		state->to->next = addr;
		ret = WALK_FULL;
		goto out;
	}
	collect_pages(state, walk->vma, addr, page + ((addr & ~hmask) >> PAGE_SHIFT),
		      min(nr, room), 0);
	if (nr > room) {
		state->to->next = addr + ((unsigned long)room << PAGE_SHIFT);
		ret = WALK_FULL;
	}
out:
	spin_unlock(ptl);
	cond_resched();
	return ret;
}
#else
#define collect_hugetlb		NULL
#endif /* CONFIG_HUGETLB_PAGE */

/* All pages of an aio ring are saved, and have to be mapped for that. */
static int collect_hole(unsigned long addr, unsigned long next, int depth,
			struct mm_walk *walk)
{
	struct collect_walk *state = walk->private;

	if (!walk->vma || !checkpoint_is_aio_ring(walk->vma))
		return 0;
	state->to->next = addr;
	return WALK_FAULT;
}

static int collect_pmd(pmd_t *pmd, unsigned long addr, unsigned long next,
		       struct mm_walk *walk)
{
	struct collect_walk *state = walk->private;
	struct vm_area_struct *vma = walk->vma;
	bool ring = checkpoint_is_aio_ring(vma), skipped = false;
	unsigned long until = addr;
	pte_t *start, *pte;
	spinlock_t *ptl;
	int ret = 0;

	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		ret = collect_huge(*pmd, addr, next, walk);
		spin_unlock(ptl);
		return ret;
	}

	start = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	pte = start;
	if (!pte) {
		walk->action = ACTION_AGAIN;
		return 0;
	}
	for (; addr != next; pte++, addr += PAGE_SIZE) {
		pte_t entry = ptep_get(pte);
		struct page *page;

		if (pte_none(entry) && !ring)
			continue;
		if (addr >= until)
			skipped = is_skipped(state, addr, &until);
		if (skipped)
			continue;
		if (!pte_present(entry)) {
			if (softleaf_is_guard_marker(softleaf_from_pte(entry)))
				continue;
			/* Swapped out, on the move, broken, or of a ring. */
			state->to->next = addr;
			ret = WALK_FAULT;
			break;
		}
		page = vm_normal_page(vma, addr, entry);
		if (!page || (!ring && !folio_test_anon(page_folio(page))))
			continue;
		if (state->to->nr_pages == CR_PAGES_MAX) {
			state->to->next = addr;
			ret = WALK_FULL;
			break;
		}
		collect_pages(state, vma, addr, page, 1, 0);
	}
	pte_unmap_unlock(start, ptl);
	cond_resched();
	return ret;
}

static int collect_test(unsigned long start, unsigned long end, struct mm_walk *walk)
{
	return !vma_has_saved_pages(walk->vma);
}

static const struct mm_walk_ops collect_ops = {
	.pmd_entry = collect_pmd,
	.hugetlb_entry = collect_hugetlb,
	.pte_hole = collect_hole,
	.test_walk = collect_test,
	.walk_lock = PGWALK_RDLOCK,
};

/* Makes the page at @addr present, without a copy of it. May drop mmap_lock. */
static int bring_in(struct mm_struct *mm, unsigned long addr, int *locked)
{
	struct page *page;
	long ret;

	/* Forced: what is mapped with PROT_NONE is saved as well. */
	ret = get_user_pages_remote(mm, addr, 1, FOLL_FORCE, &page, locked);
	if (ret < 0)
		return ret;
	if (!ret)
		return -EFAULT;
	put_page(page);
	return 0;
}

/**
 * checkpoint_pages_collect() - Collect pages that are nowhere but in an address space.
 * @mm: the address space, on which the caller has a reference
 * @to: empty, but for @next, from where pages are collected: until there is no
 *	room for more, or there are no more. Then it stays empty; and for @skip
 *
 * The caller owns the references on what is collected, also after an error.
 *
 * Return: 0, or -EINTR on a fatal signal, or why a page cannot be brought in.
 */
int checkpoint_pages_collect(struct mm_struct *mm, struct checkpoint_pages *to)
{
	struct collect_walk state = {
		.to = to,
		.skip = to->skip,
		.skip_end = to->skip + to->nr_skip,
	};
	int ret = 0, locked;

	if (to->next >= TASK_SIZE_MAX)
		return 0;
	skip_to(&state, to->next);
	do {
		if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
			return -EINTR;
		locked = 1;
		ret = walk_page_range(mm, to->next, TASK_SIZE_MAX, &collect_ops, &state);
		if (!ret)
			to->next = TASK_SIZE_MAX;
		else if (ret == WALK_FAULT)
			ret = bring_in(mm, to->next, &locked) ?: WALK_FAULT;
		if (locked)
			mmap_read_unlock(mm);
		/* Another walk may find another mapping at the same place. */
		state.vma = NULL;
	} while (ret == WALK_FAULT);

	return ret < 0 ? ret : 0;
}

/**
 * checkpoint_pages_put() - Drop the references that some bvecs have.
 * @bvecs: the first of them
 * @nr: how many
 */
void checkpoint_pages_put(struct bio_vec *bvecs, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		folio_put(page_folio(bvecs[i].bv_page));
}

/*
 * Makes @mm the address space of current, which keeps that of its other one.
 * See exec_mmap(). With @first, @mm has been nobody's yet, and a fatal signal
 * ends the call. With @exec_state, that is exchanged for the task's.
 */
static int visit_mm(struct mm_struct *mm, bool first,
		    struct task_exec_state **exec_state)
{
	struct task_struct *tsk = current;
	struct mm_struct *old = tsk->mm;
	int ret = 0;

	sched_mm_cid_before_execve(tsk);
	if (first) {
		ret = down_write_killable(&tsk->signal->exec_update_lock);
		if (ret)
			return ret;
		ret = mmap_read_lock_killable(old);
		if (ret) {
			up_write(&tsk->signal->exec_update_lock);
			return ret;
		}
	} else {
		down_write(&tsk->signal->exec_update_lock);
		mmap_read_lock(old);
	}

	task_lock(tsk);
	if (first)
		membarrier_exec_mmap(mm);
	local_irq_disable();
	tsk->active_mm = mm;
	tsk->mm = mm;
	sched_cache_exec_mmap(tsk, mm);
	if (exec_state)
		*exec_state = task_exec_state_replace(tsk, *exec_state);
	if (first)
		mm_init_cid(mm, tsk);
	else
		membarrier_update_current_mm(mm);
	if (!IS_ENABLED(CONFIG_ARCH_WANT_IRQS_OFF_ACTIVATE_MM))
		local_irq_enable();
	activate_mm(old, mm);
	if (IS_ENABLED(CONFIG_ARCH_WANT_IRQS_OFF_ACTIVATE_MM))
		local_irq_enable();
	if (first)
		lru_gen_add_mm(mm);
	task_unlock(tsk);
	lru_gen_use_mm(mm);
	mmap_read_unlock(old);
	up_write(&tsk->signal->exec_update_lock);
	return 0;
}

/*
 * Likewise, to stay. A concurrency id is taken only then: of several tasks that
 * visit what they have in common at the same time, each would wait for one.
 */
static int switch_current_mm(struct mm_struct *mm, bool first,
			     struct task_exec_state **exec_state)
{
	int ret = visit_mm(mm, first, exec_state);

	sched_mm_cid_after_execve(current);
	/* The concurrency id may be another one in this address space. */
	rseq_force_update();
	return ret;
}

/* Takes the pointers of current that are good in one address space only. */
static void take_pointers(struct checkpoint_swap *swap)
{
	struct task_struct *tsk = current;

	swap->robust_list = tsk->futex.robust_list;
	tsk->futex.robust_list = NULL;
#ifdef CONFIG_COMPAT
	swap->compat_robust_list = tsk->futex.compat_robust_list;
	tsk->futex.compat_robust_list = NULL;
#endif
	swap->clear_child_tid = tsk->clear_child_tid;
	tsk->clear_child_tid = NULL;
}

/* Puts back what take_pointers() took. */
static void put_pointers(const struct checkpoint_swap *swap)
{
	struct task_struct *tsk = current;

	tsk->futex.robust_list = swap->robust_list;
#ifdef CONFIG_COMPAT
	tsk->futex.compat_robust_list = swap->compat_robust_list;
#endif
	tsk->clear_child_tid = swap->clear_child_tid;
}

/*
 * Sets what /proc/PID/exe shows. By the rules of execve(2), which the caller
 * might have used as well, and then ptrace(2), to become what the image says.
 */
static int set_exe(struct mm_struct *mm, struct file *path)
{
	struct file *exe;
	int ret;

	if (!S_ISREG(file_inode(path)->i_mode) || path_noexec(&path->f_path))
		return -EACCES;
	ret = file_permission(path, MAY_EXEC);
	if (ret)
		return ret;

	exe = dentry_open(&path->f_path, O_LARGEFILE | O_RDONLY | __FMODE_EXEC,
			  current_cred());
	if (IS_ERR(exe))
		return PTR_ERR(exe);
	ret = set_mm_exe_file(mm, exe);
	fput(exe);
	return ret;
}

/* Sets the keys that are allocated. */
static int set_pkeys(struct mm_struct *mm, u32 pkeys)
{
	if (pkeys >> arch_max_pkey())
		return -EOPNOTSUPP;
#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
	/*
	 * The key for memory that can only be executed is one of them from now
	 * on: memory that has it keeps it, and new memory gets another one.
	 */
	if (arch_pkeys_enabled())
		mm->context.pkey_allocation_map |= pkeys;
#endif
	return 0;
}

/*
 * Sets what execve(2) sets for a program of 64 or 32 bits, but for its registers
 * and for what current keeps of it: see set_personality_64bit(),
 * set_personality_ia32(). From here on all addresses are checked as for such a
 * one; begin_program() is undone by end_program().
 */
static int begin_program(struct mm_struct *mm, const struct checkpoint_program *program)
{
	unsigned int personality = current->personality;
	struct rlimit rlim_stack;

	if (program->flags & CR_THREAD_IA32) {
#ifdef CONFIG_COMPAT_BINFMT_ELF
		set_thread_flag(TIF_ADDR32);
		__set_bit(MM_CONTEXT_UPROBE_IA32, &mm->context.flags);
		mm->binfmt = &compat_elf_format;
#else
		return -EOPNOTSUPP;
#endif
	} else {
		__set_bit(MM_CONTEXT_HAS_VSYSCALL, &mm->context.flags);
		mm->binfmt = current->mm->binfmt;
	}
	if (mm->binfmt)
		__module_get(mm->binfmt->module);

	task_lock(current->group_leader);
	rlim_stack = current->signal->rlim[RLIMIT_STACK];
	task_unlock(current->group_leader);
	/* How long an address of 32 bits may be, and from where memory is given. */
	current->personality = program->personality;
	arch_pick_mmap_layout(mm, &rlim_stack);
	mm->task_size = TASK_SIZE;
	current->personality = personality;

	return checkpoint_ldt_set(mm, program->ldt, program->nr_ldt);
}

static void end_program(void)
{
	clear_thread_flag(TIF_ADDR32);
}

/**
 * checkpoint_swap_begin() - Switch current to a new, empty address space.
 * @swap: filled in
 * @hdr: flags of the address space to build
 * @context: what the architecture shall know of it
 * @exe: a file, which may be open with O_PATH, that /proc/PID/exe shall show;
 *	NULL if checkpoint_swap_exe() is going to set it
 * @program: what kind of program it is for
 *
 * On success the caller owns @swap, which checkpoint_swap_abort() or
 * checkpoint_swap_commit() takes. Until then, user memory of the caller's is out
 * of reach.
 *
 * Return: 0, or an error, after which current is as it was.
 */
int checkpoint_swap_begin(struct checkpoint_swap *swap, const struct cr_hdr_mm *hdr,
			  const struct cr_hdr_mm_context *context, struct file *exe,
			  const struct checkpoint_program *program)
{
	struct mm_struct *old = current->mm, *mm;
	struct task_exec_state *exec_state;
	int ret;

	if (!old || test_thread_flag(TIF_ADDR32))
		return -EOPNOTSUPP;
#ifdef CONFIG_X86_USER_SHADOW_STACK
	if (current->thread.features & ARCH_SHSTK_SHSTK)
		return -EOPNOTSUPP;
#endif

	/*
	 * A process that shares its address space, such as a child of vfork(2),
	 * shares this as well. Only current replaces it.
	 */
	exec_state = rcu_dereference_protected(current->exec_state, true);
	exec_state = alloc_task_exec_state(exec_state->user_ns);
	if (!exec_state)
		return -ENOMEM;
	/* As by prctl(PR_SET_DUMPABLE), which does not know the third value. */
	if ((hdr->flags & CR_MM_DUMPABLE_MASK) == TASK_DUMPABLE_OWNER)
		exec_state->dumpable = TASK_DUMPABLE_OWNER;

	mm = mm_alloc();
	if (!mm) {
		put_task_exec_state(exec_state);
		return -ENOMEM;
	}

	/* Of the caller's, MDWE is kept, as by execve(2). */
	__mm_flags_set_mask_bits_word(mm, MMF_DUMP_FILTER_MASK | MMF_VM_MERGE_ANY_MASK |
				      MMF_DISABLE_THP_MASK,
				      hdr->flags & MMF_DUMP_FILTER_MASK);
	/*
	 * Until the end: khugepaged must not fill what is not there yet with
	 * zeros.
	 */
	mm_flags_set(MMF_DISABLE_THP_COMPLETELY, mm);

	/* Selectors may be about descriptors that the new one does not have. */
	checkpoint_segments_get(&swap->segments);
	ret = begin_program(mm, program);
	if (!ret)
		ret = set_pkeys(mm, context->pkeys);
	if (!ret && exe)
		ret = set_exe(mm, exe);
	if (!ret)
		ret = switch_current_mm(mm, true, NULL);
	if (ret) {
		end_program();
		mm_update_next_owner(mm);
		mmput(mm);
		put_task_exec_state(exec_state);
		return ret;
	}

	swap->mm = mm;
	swap->old = old;
	swap->exec_state = exec_state;
	/* Should the caller die now, they are not looked for in the new one. */
	take_pointers(swap);
	return 0;
}

/**
 * checkpoint_swap_exe() - Set what /proc/PID/exe shows, if nothing is yet.
 * @exe: a file, which may be open with O_PATH
 *
 * A file that has a writer cannot be executed. One that restart(2) makes has
 * none any more when its contents are there.
 *
 * Return: as checkpoint_swap_begin().
 */
int checkpoint_swap_exe(struct file *exe)
{
	return set_exe(current->mm, exe);
}

/**
 * checkpoint_swap_abort() - Switch current back, and drop the new address space.
 * @swap: what checkpoint_swap_begin() filled in
 */
void checkpoint_swap_abort(struct checkpoint_swap *swap)
{
	switch_current_mm(swap->old, false, NULL);
	end_program();
	checkpoint_segments_set(&swap->segments);
	put_pointers(swap);
	mm_update_next_owner(swap->mm);
	mmput(swap->mm);
	put_task_exec_state(swap->exec_state);
}

/*
 * What mm_exit_exec_release() does, but for the registers: those of the image
 * are loaded already.
 */
static void release_old_mm(struct mm_struct *old)
{
	struct task_struct *tsk = current;

	futex_exit_exec_release(tsk);
	uprobe_free_utask(tsk);
	if (tsk->clear_child_tid) {
		if (atomic_read(&old->mm_users) > 1) {
			put_user(0, tsk->clear_child_tid);
			do_futex(tsk->clear_child_tid, FUTEX_WAKE, 1, NULL, NULL, 0, 0);
		}
		tsk->clear_child_tid = NULL;
	}
	if (tsk->vfork_done)
		complete_vfork_done(tsk);
}

/**
 * checkpoint_swap_commit() - Drop the address space that current came with.
 * @swap: what checkpoint_swap_begin() filled in
 *
 * As in execve(2), futexes that the caller holds are marked, and its parent is
 * woken if it waits in vfork(2). The caller's pointers may be those of the
 * image already; they are kept.
 */
void checkpoint_swap_commit(struct checkpoint_swap *swap)
{
	struct checkpoint_segments segments;
	struct checkpoint_swap image = {};

	/* As in checkpoint_swap_begin(), but these are those of the image. */
	checkpoint_segments_get(&segments);
	/* All of that is in the memory that is left. */
	take_pointers(&image);
	visit_mm(swap->old, false, NULL);
	put_pointers(swap);
	release_old_mm(swap->old);
	switch_current_mm(swap->mm, false, &swap->exec_state);
	put_task_exec_state(swap->exec_state);
	futex_exec_done(current);
	checkpoint_segments_set(&segments);
	put_pointers(&image);

	/* A task that restart(2) makes has never run in that of its maker, who has it still. */
	if (atomic_read(&swap->old->mm_users) == 1)
		setmax_mm_hiwater_rss(&current->signal->maxrss, swap->old);
	mm_update_next_owner(swap->old);
	mmput(swap->old);
}

/**
 * checkpoint_swap_share() - Let other tasks have the address space, too.
 * @swap: what checkpoint_swap_begin() filled in, of current
 * @to: filled in, with references that checkpoint_shared_mm_put() drops
 */
void checkpoint_swap_share(const struct checkpoint_swap *swap, struct checkpoint_shared_mm *to)
{
	struct checkpoint_shared_mm space = {
		.mm = swap->mm,
		.exec_state = swap->exec_state,
		.addr32 = test_thread_flag(TIF_ADDR32),
	};

	checkpoint_shared_mm_get(&space, to);
}

/* Makes @to what @from is, with references of its own. */
void checkpoint_shared_mm_get(const struct checkpoint_shared_mm *from,
			      struct checkpoint_shared_mm *to)
{
	*to = *from;
	mmget(to->mm);
	refcount_inc(&to->exec_state->count);
}

/* Drops what checkpoint_shared_mm_get() took. */
void checkpoint_shared_mm_put(struct checkpoint_shared_mm *space)
{
	put_task_exec_state(space->exec_state);
	mmput(space->mm);
}

/**
 * checkpoint_join_begin() - Switch current to the address space of another task.
 * @join: filled in
 * @space: the address space, whose references go to @join
 *
 * Current is a task that restart(2) made, and may have it already: from the one
 * that made it. The caller owns @join, which checkpoint_join_abort() or
 * checkpoint_join_commit() takes.
 */
void checkpoint_join_begin(struct checkpoint_join *join, const struct checkpoint_shared_mm *space)
{
	struct checkpoint_segments segments;

	join->space = *space;
	join->old = NULL;
	if (space->addr32)
		set_thread_flag(TIF_ADDR32);
	else
		clear_thread_flag(TIF_ADDR32);
	/* As clone(2) does, so that who kills for memory finds both. */
	if (thread_group_leader(current))
		mm_flags_set(MMF_MULTIPROCESS, space->mm);
	if (current->mm == space->mm)
		return;

	/* Selectors may be about descriptors that the other one does not have. */
	checkpoint_segments_get(&segments);
	join->old = current->mm;
	mmget(space->mm);
	switch_current_mm(space->mm, false, NULL);
}

/**
 * checkpoint_join_abort() - Switch current back.
 * @join: what checkpoint_join_begin() filled in
 */
void checkpoint_join_abort(struct checkpoint_join *join)
{
	if (join->old) {
		switch_current_mm(join->old, false, NULL);
		mmput(join->space.mm);
	}
	checkpoint_shared_mm_put(&join->space);
}

/**
 * checkpoint_join_commit() - Let current keep the address space.
 * @join: what checkpoint_join_begin() filled in
 *
 * As of tasks that clone(2) made with CLONE_VM, who may dump them is one.
 */
void checkpoint_join_commit(struct checkpoint_join *join)
{
	struct task_struct *tsk = current;

	down_write(&tsk->signal->exec_update_lock);
	task_lock(tsk);
	join->space.exec_state = task_exec_state_replace(tsk, join->space.exec_state);
	task_unlock(tsk);
	up_write(&tsk->signal->exec_update_lock);
	if (join->old)
		mmput(join->old);
	checkpoint_shared_mm_put(&join->space);
}

/**
 * checkpoint_map_vdso() - Map the vDSO and its data.
 * @addr: where the vDSO shall be, and its data before it
 *
 * Return: 0, -EINVAL if they cannot be there, or another error.
 */
int checkpoint_map_vdso(unsigned long addr)
{
	unsigned long vvar_size = __VDSO_PAGES * PAGE_SIZE;
	int ret;

	if (addr <= vvar_size)
		return -EINVAL;
	ret = map_vdso_once(vdso_image(checkpoint_mm_is_ia32(current->mm)),
			    addr - vvar_size);
	if (ret)
		return ret;
	return (unsigned long)current->mm->context.vdso == addr ? 0 : -EINVAL;
}

static unsigned long cr_vma_prot(const struct cr_hdr_vma *vma)
{
	return (vma->flags & CR_VMA_READ ? PROT_READ : 0) |
	       (vma->flags & CR_VMA_WRITE ? PROT_WRITE : 0) |
	       (vma->flags & CR_VMA_EXEC ? PROT_EXEC : 0);
}

/* What @vma is mapped with, until checkpoint_protect(). */
static unsigned long cr_vma_first_prot(const struct cr_hdr_vma *vma)
{
	unsigned long prot = cr_vma_prot(vma);

	if (vma->kind == CR_MAPPING_AIO)
		return PROT_READ | PROT_WRITE;
	/* It is filled in place. */
	if (vma->flags & CR_VMA_HUGETLB && !(vma->flags & CR_VMA_SHARED))
		prot |= PROT_WRITE;
	/* That alone would take a protection key. */
	if (prot == PROT_EXEC && arch_pkeys_enabled())
		prot |= PROT_READ;
	return prot;
}

/*
 * The image says what is executable, and how much memory there is for a 32-bit
 * program, not the personality of the caller.
 */
static unsigned int begin_exact_prot(void)
{
	unsigned int personality = current->personality;

	current->personality &= ~(READ_IMPLIES_EXEC | ADDR_LIMIT_3GB);
	return personality;
}

static void end_exact_prot(unsigned int personality)
{
	current->personality = personality;
}

static int advise(const struct cr_hdr_vma *vma)
{
	static const struct {
		u64 flag;
		int advice;
	} advices[] = {
		{ CR_VMA_DONTFORK,	MADV_DONTFORK },
		{ CR_VMA_WIPEONFORK,	MADV_WIPEONFORK },
		{ CR_VMA_DONTDUMP,	MADV_DONTDUMP },
		{ CR_VMA_HUGEPAGE,	MADV_HUGEPAGE },
		{ CR_VMA_MERGEABLE,	MADV_MERGEABLE },
		{ CR_VMA_SEQ_READ,	MADV_SEQUENTIAL },
		{ CR_VMA_RAND_READ,	MADV_RANDOM },
	};

	for (int i = 0; i < ARRAY_SIZE(advices); i++) {
		int ret;

		if (!(vma->flags & advices[i].flag))
			continue;
		ret = do_madvise(current->mm, vma->start, vma->end - vma->start,
				 advices[i].advice);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * A private mapping was writable once, and is accounted for since, as mprotect(2)
 * has it. To go that way would join it with its neighbours and split it again.
 */
static int account(const struct cr_hdr_vma *hdr)
{
	const unsigned long nr = (hdr->end - hdr->start) >> PAGE_SHIFT;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma, *prev;
	struct vma_iterator vmi;
	vma_flags_t flags;
	int ret = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	vma = find_vma_prev(mm, hdr->start, &prev);
	if (!vma || vma->vm_start > hdr->start || vma->vm_end < hdr->end) {
		ret = -EINVAL;
		goto out;
	}
	if (vma->vm_flags & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE))
		goto out;
	if (vma->vm_start < hdr->start)
		prev = vma;
	ret = security_vm_enough_memory_mm(mm, nr);
	if (ret)
		goto out;

	flags = vma->flags;
	vma_flags_set(&flags, VMA_ACCOUNT_BIT);
	vma_iter_init(&vmi, mm, hdr->start);
	vma = vma_modify_flags(&vmi, prev, vma, hdr->start, hdr->end, &flags);
	if (IS_ERR(vma)) {
		vm_unacct_memory(nr);
		ret = PTR_ERR(vma);
		goto out;
	}
	vma_start_write(vma);
	vma_flags_reset_once(vma, &flags);
out:
	mmap_write_unlock(mm);
	return ret;
}

/**
 * checkpoint_map() - Make a mapping, as mmap(2), madvise(2) and prctl(2) do.
 * @vma: the mapping: CR_MAPPING_ANON or CR_MAPPING_FILE
 * @file: its file, NULL if it has none
 * @name: its name, NULL if it has none
 *
 * Return: 0, or the error of one of these.
 */
int checkpoint_map(const struct cr_hdr_vma *vma, struct file *file, const char *name)
{
	unsigned long len = vma->end - vma->start;
	unsigned long flags = MAP_FIXED | MAP_FIXED_NOREPLACE;
	struct file *own = NULL;
	unsigned long addr;
	unsigned int personality;
	int ret;

	if (file && checkpoint_hugetlb_shift(file) != vma->page_shift)
		return -EINVAL;
	if (!file && vma->flags & CR_VMA_HUGETLB) {
		own = checkpoint_hugetlb_file(len, vma->page_shift);
		if (IS_ERR(own))
			return PTR_ERR(own);
	}

	if (!file && !own)
		flags |= MAP_ANONYMOUS;
	if (vma->flags & CR_VMA_DROPPABLE)
		flags |= MAP_DROPPABLE;
	else
		flags |= vma->flags & CR_VMA_SHARED ? MAP_SHARED : MAP_PRIVATE;
	if (vma->flags & CR_VMA_GROWSDOWN)
		flags |= MAP_GROWSDOWN;
	if (vma->flags & CR_VMA_NORESERVE)
		flags |= MAP_NORESERVE;
	/* All that this does is MADV_NOHUGEPAGE; the stack of each thread has it. */
	if (vma->flags & CR_VMA_NOHUGEPAGE)
		flags |= MAP_STACK;

	personality = begin_exact_prot();
	addr = vm_mmap_pgoff(file ?: own, vma->start, len, cr_vma_first_prot(vma), flags,
			     file ? vma->pgoff : 0);
	end_exact_prot(personality);
	if (own)
		fput(own);
	if (IS_ERR_VALUE(addr))
		return (int)addr;
	if (addr != vma->start)
		return -EINVAL;

	ret = (vma->flags & (CR_VMA_ACCOUNT | CR_VMA_WRITE)) == CR_VMA_ACCOUNT ? account(vma) : 0;
	if (!ret)
		ret = advise(vma);
#ifdef CONFIG_ANON_VMA_NAME
	if (!ret && name)
		ret = set_anon_vma_name_kernel(vma->start, len, name);
#endif
	return ret;
}

/**
 * checkpoint_layout() - Set what prctl(PR_SET_MM_MAP) sets, but for the file.
 * @hdr: the addresses
 * @auxv: the auxiliary vector
 * @nr_auxv: entries of it
 *
 * Return: 0, or -EINVAL as by prctl(2), or -EINTR on a fatal signal.
 */
int checkpoint_layout(const struct cr_hdr_mm *hdr, const unsigned long *auxv,
		      unsigned int nr_auxv)
{
	struct mm_struct *mm = current->mm;
	struct prctl_mm_map map = {
		.start_code	= hdr->start_code,
		.end_code	= hdr->end_code,
		.start_data	= hdr->start_data,
		.end_data	= hdr->end_data,
		.start_brk	= hdr->start_brk,
		.brk		= hdr->brk,
		.start_stack	= hdr->start_stack,
		.arg_start	= hdr->arg_start,
		.arg_end	= hdr->arg_end,
		.env_start	= hdr->env_start,
		.env_end	= hdr->env_end,
	};
	int ret;

	if (nr_auxv > AT_VECTOR_SIZE)
		return -EINVAL;
	ret = validate_prctl_map_addr(&map);
	if (ret)
		return ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	spin_lock(&mm->arg_lock);
	mm->start_code = map.start_code;
	mm->end_code = map.end_code;
	mm->start_data = map.start_data;
	mm->end_data = map.end_data;
	mm->start_brk = map.start_brk;
	mm->brk = map.brk;
	mm->start_stack = map.start_stack;
	mm->arg_start = map.arg_start;
	mm->arg_end = map.arg_end;
	mm->env_start = map.env_start;
	mm->env_end = map.env_end;
	spin_unlock(&mm->arg_lock);
	memcpy(mm->saved_auxv, auxv, nr_auxv * sizeof(*auxv));
	/* The last entry must be AT_NULL. */
	mm->saved_auxv[AT_VECTOR_SIZE - 2] = AT_NULL;
	mm->saved_auxv[AT_VECTOR_SIZE - 1] = AT_NULL;
	mmap_read_unlock(mm);
	return 0;
}

/*
 * Whether @extent is made of whole huge pages, or of whole runs of those that are
 * too large for one.
 */
static bool extent_is_whole(struct vm_area_struct *vma, const struct cr_extent *extent)
{
	unsigned long nr = min(vma_kernel_pagesize(vma) >> PAGE_SHIFT, CR_PAGES_MAX);

	return IS_ALIGNED(extent->start >> PAGE_SHIFT, nr) && IS_ALIGNED(extent->nr_pages, nr);
}

/* The mapping that all of @extent is in, if an image may have pages of it. */
struct vm_area_struct *checkpoint_vma_of_extent(struct mm_struct *mm,
						const struct cr_extent *extent)
{
	unsigned long end = extent->start + ((u64)extent->nr_pages << PAGE_SHIFT);
	struct vm_area_struct *vma = vma_lookup(mm, extent->start);

	if (!vma || end > vma->vm_end || !vma_has_saved_pages(vma) || userfaultfd_armed(vma))
		return NULL;
	if (vma_is_filled_in_place(vma)) {
		if (extent->flags & CR_EXTENT_HUGE || !extent_is_whole(vma, extent))
			return NULL;
	} else if (vma->vm_file && !vma_is_anonymous(vma)) {
		/* Behind its end, a file has no pages of any kind. */
		pgoff_t pages = DIV_ROUND_UP(i_size_read(file_inode(vma->vm_file)), PAGE_SIZE);

		if (linear_page_index(vma, end - PAGE_SIZE) >= pages)
			return NULL;
	}
	return vma;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* A huge page for @addr; NULL if there shall be none, or is none. */
static struct folio *alloc_huge(struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio;
	gfp_t gfp;

	/*
	 * thp_vma_allowable_order() would see the flag that keeps khugepaged
	 * away.
	 */
	if (vma->vm_flags & VM_NOHUGEPAGE || thp_disabled_by_hw() ||
	    !thp_vma_suitable_order(vma, addr, HPAGE_PMD_ORDER))
		return NULL;
	if (!hugepage_global_always() &&
	    !(vma->vm_flags & VM_HUGEPAGE && hugepage_global_enabled()))
		return NULL;

	gfp = vma_thp_gfp_mask(vma);
	folio = vma_alloc_folio(gfp, HPAGE_PMD_ORDER, vma, addr);
	if (!folio)
		return NULL;
	if (mem_cgroup_charge(folio, vma->vm_mm, gfp) || folio_memcg_alloc_deferred(folio)) {
		folio_put(folio);
		return NULL;
	}
	folio_throttle_swaprate(folio, gfp);
	return folio;
}

/* Maps a huge page, whose reference becomes that of the entry. */
static int install_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr,
			struct folio *folio)
{
	struct mm_struct *mm = vma->vm_mm;
	pgtable_t pgtable;
	spinlock_t *ptl;
	int ret;

	pgtable = pte_alloc_one(mm);
	if (!pgtable)
		return -ENOMEM;

	ptl = pmd_lock(mm, pmd);
	if (!pmd_none(*pmd)) {
		ret = -EINVAL;
		goto out;
	}
	ret = check_stable_address_space(mm) ? -EFAULT : 0;
	if (ret)
		goto out;

	__folio_mark_uptodate(folio);
	pgtable_trans_huge_deposit(mm, pmd, pgtable);
	map_anon_folio_pmd_nopf(folio, pmd, vma, addr);
	add_mm_counter(mm, MM_ANONPAGES, HPAGE_PMD_NR);
	mm_inc_nr_ptes(mm);
	spin_unlock(ptl);
	return 0;
out:
	spin_unlock(ptl);
	pte_free(mm, pgtable);
	return ret;
}
#else
static struct folio *alloc_huge(struct vm_area_struct *vma, unsigned long addr)
{
	return NULL;
}

static int install_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr,
			struct folio *folio)
{
	return -EINVAL;
}
#endif /* CONFIG_TRANSPARENT_HUGEPAGE */

/* Adds folios for all of @extent to @pages. None is filled with zeros. */
static int alloc_extent(struct vm_area_struct *vma, const struct cr_extent *extent,
			struct checkpoint_pages *pages)
{
	struct folio *folio;

	if (extent->flags & CR_EXTENT_HUGE) {
		folio = alloc_huge(vma, extent->start);
		if (folio) {
			bvec_set_folio(&pages->bvecs[pages->nr_bvecs++], folio,
				       folio_size(folio), 0);
			return 0;
		}
	}

	for (unsigned int i = 0; i < extent->nr_pages; i++) {
		unsigned long addr = extent->start + ((unsigned long)i << PAGE_SHIFT);

		if (fatal_signal_pending(current))
			return -EINTR;
		folio = vma_alloc_folio(GFP_HIGHUSER_MOVABLE, 0, vma, addr);
		if (!folio)
			return -ENOMEM;
		if (mem_cgroup_charge(folio, vma->vm_mm, GFP_KERNEL)) {
			folio_put(folio);
			return -ENOMEM;
		}
		folio_throttle_swaprate(folio, GFP_KERNEL);
		bvec_set_folio(&pages->bvecs[pages->nr_bvecs++], folio, PAGE_SIZE, 0);
		cond_resched();
	}
	return 0;
}

/* Adds the pages of @extent to @pages that are there, or are brought in for that. */
static int bring_in_extent(struct vm_area_struct *vma, const struct cr_extent *extent,
			   struct checkpoint_pages *pages)
{
	unsigned long addr = extent->start;
	unsigned long end = addr + ((unsigned long)extent->nr_pages << PAGE_SHIFT);

	while (addr < end) {
		unsigned long next = ALIGN(addr + 1, vma_kernel_pagesize(vma));
		struct page *page;
		long ret;

		next = min(next, end);
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = get_user_pages(addr, 1, FOLL_WRITE, &page);
		/* That is what a pool without a free page answers, by way of SIGBUS. */
		if (ret == -EFAULT && is_vm_hugetlb_page(vma))
			return -ENOMEM;
		if (ret != 1)
			return ret ?: -EFAULT;
		bvec_set_page(&pages->bvecs[pages->nr_bvecs++], page, next - addr, 0);
		addr = next;
		cond_resched();
	}
	return 0;
}

/**
 * checkpoint_pages_alloc() - Allocate pages for some extents.
 * @pages: the extents, at most CR_PAGES_MAX pages in all; its bvecs are filled
 *	in, one for each folio. The caller owns them, also after an error
 *
 * Huge pages of a pool, and those of a ring, are mapped already.
 *
 * Return: 0, -EINVAL if private pages cannot be there, -ENOMEM, or -EINTR on a
 * fatal signal.
 */
int checkpoint_pages_alloc(struct checkpoint_pages *pages)
{
	struct mm_struct *mm = current->mm;
	int ret = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (unsigned int i = 0; !ret && i < pages->nr_extents; i++) {
		const struct cr_extent *extent = &pages->extents[i];
		struct vm_area_struct *vma = checkpoint_vma_of_extent(mm, extent);

		if (!vma || extent->nr_pages > CR_PAGES_MAX - pages->nr_pages) {
			ret = -EINVAL;
			break;
		}
		pages->nr_pages += extent->nr_pages;
		if (vma_is_filled_in_place(vma))
			ret = bring_in_extent(vma, extent, pages);
		else
			ret = alloc_extent(vma, extent, pages);
	}
	mmap_read_unlock(mm);
	return ret;
}

pmd_t *checkpoint_alloc_pmd(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4d = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud_t *pud = p4d ? pud_alloc(mm, p4d, addr) : NULL;

	return pud ? pmd_alloc(mm, pud, addr) : NULL;
}

/*
 * Maps @nr folios of one page each at @addr, all by one page table. Sets @done to
 * how many were; their references are now those of the entries.
 */
static int install_small(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr,
			 const struct bio_vec *bvecs, unsigned int nr, unsigned int *done)
{
	struct mm_struct *mm = vma->vm_mm;
	pte_t *start, *pte;
	spinlock_t *ptl;
	int ret = 0;

	*done = 0;
	if (pte_alloc(mm, pmd))
		return -ENOMEM;
	start = pte_offset_map_lock(mm, pmd, addr, &ptl);
	pte = start;
	if (!pte)
		return -EINVAL;
	if (check_stable_address_space(mm)) {
		ret = -EFAULT;
		goto out;
	}
	for (; *done < nr; pte++, addr += PAGE_SIZE, (*done)++) {
		struct folio *folio = page_folio(bvecs[*done].bv_page);
		pte_t entry;

		if (!pte_none(ptep_get(pte))) {
			ret = -EINVAL;
			break;
		}
		/* The contents must be seen before the entry. */
		__folio_mark_uptodate(folio);
		entry = pte_mkdirty(folio_mk_pte(folio, vma->vm_page_prot));
		if (vma->vm_flags & VM_WRITE)
			entry = pte_mkwrite(entry, vma);
		folio_add_new_anon_rmap(folio, vma, addr, RMAP_EXCLUSIVE);
		folio_add_lru_vma(folio, vma);
		set_pte_at(mm, addr, pte, entry);
		update_mmu_cache(vma, addr, pte);
	}
	add_mm_counter(mm, MM_ANONPAGES, *done);
out:
	pte_unmap_unlock(start, ptl);
	return ret;
}

/* Maps the folios from @bvecs on at @extent. Sets @done to how many were. */
static int install_extent(struct vm_area_struct *vma, const struct cr_extent *extent,
			  const struct bio_vec *bvecs, unsigned int nr, unsigned int *done)
{
	unsigned long addr = extent->start;
	unsigned long end = addr + ((unsigned long)extent->nr_pages << PAGE_SHIFT);
	int ret;

	*done = 0;
	if (vma_is_filled_in_place(vma)) {
		/* All there is to it is the reference. */
		while (addr < end && *done < nr) {
			addr += bvecs[*done].bv_len;
			folio_put(page_folio(bvecs[(*done)++].bv_page));
		}
		return addr == end ? 0 : -EINVAL;
	}
	if (anon_vma_prepare(vma))
		return -ENOMEM;
	while (addr < end) {
		pmd_t *pmd = checkpoint_alloc_pmd(vma->vm_mm, addr);
		unsigned int run = (min(end, pmd_addr_end(addr, end)) - addr) >> PAGE_SHIFT;
		unsigned int mapped;

		if (!pmd)
			return -ENOMEM;
		if (*done >= nr)
			return -EINVAL;
		if (bvecs[*done].bv_len != PAGE_SIZE) {
			ret = install_huge(vma, pmd, addr, page_folio(bvecs[*done].bv_page));
			if (ret)
				return ret;
			(*done)++;
			addr += HPAGE_PMD_SIZE;
			continue;
		}
		run = min(run, nr - *done);
		ret = install_small(vma, pmd, addr, bvecs + *done, run, &mapped);
		*done += mapped;
		if (ret)
			return ret;
		addr += (unsigned long)run << PAGE_SHIFT;
	}
	return 0;
}

/**
 * checkpoint_pages_install() - Map pages that are filled.
 * @pages: what checkpoint_pages_alloc() made. What is mapped is taken out of its
 *	bvecs: all on success
 *
 * Return: 0, -EINVAL if private pages cannot be there or something is there
 * already, -ENOMEM, -EFAULT if the process is being killed for its memory, or
 * -EINTR on a fatal signal.
 */
int checkpoint_pages_install(struct checkpoint_pages *pages)
{
	struct mm_struct *mm = current->mm;
	unsigned int mapped = 0;
	int ret = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for (unsigned int i = 0; !ret && i < pages->nr_extents; i++) {
		const struct cr_extent *extent = &pages->extents[i];
		struct vm_area_struct *vma = checkpoint_vma_of_extent(mm, extent);
		unsigned int done;

		if (!vma) {
			ret = -EINVAL;
			break;
		}
		ret = install_extent(vma, extent, pages->bvecs + mapped,
				     pages->nr_bvecs - mapped, &done);
		mapped += done;
	}
	mmap_read_unlock(mm);

	pages->nr_bvecs -= mapped;
	memmove(pages->bvecs, pages->bvecs + mapped, pages->nr_bvecs * sizeof(*pages->bvecs));
	return ret;
}

/**
 * checkpoint_protect() - Give a mapping its last protection, as pkey_mprotect(2).
 * @vma: the mapping, which checkpoint_map() made
 *
 * Return: 0, or the error of that call.
 */
int checkpoint_protect(const struct cr_hdr_vma *vma)
{
	unsigned long prot = cr_vma_prot(vma);
	unsigned int personality;
	int ret;

	if (prot == cr_vma_first_prot(vma) && !vma->pkey)
		return 0;
	if (vma->pkey && !arch_pkeys_enabled())
		return -EOPNOTSUPP;
	personality = begin_exact_prot();
	ret = do_mprotect_pkey(vma->start, vma->end - vma->start, prot,
			       arch_pkeys_enabled() ? (int)vma->pkey : -1);
	end_exact_prot(personality);
	return ret;
}

/* Whether some pages of the mapping at @addr may not be accessible. */
static bool may_have_guards(unsigned long addr)
{
	struct vm_area_struct *vma;
	bool may;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	may = vma && vma->vm_flags & VM_MAYBE_GUARD;
	mmap_read_unlock(current->mm);
	return may;
}

/**
 * checkpoint_lock() - Lock a mapping that was, as mlock2(2).
 * @vma: the mapping
 *
 * Return: 0, or the error of that call.
 */
int checkpoint_lock(const struct cr_hdr_vma *vma)
{
	vma_flags_t flags = mk_vma_flags(VMA_LOCKED_BIT);
	int ret;

	if (!(vma->flags & CR_VMA_LOCKED))
		return 0;
	if (vma->flags & CR_VMA_LOCKONFAULT)
		vma_flags_set(&flags, VMA_LOCKONFAULT_BIT);
	ret = do_mlock(vma->start, vma->end - vma->start, &flags);
	/* What is not accessible is locked, but not brought in. */
	if (ret == -ENOMEM && !fatal_signal_pending(current) &&
	    (!cr_vma_prot(vma) || may_have_guards(vma->start)))
		ret = 0;
	return ret;
}

/**
 * checkpoint_seal() - Seal a mapping that was, as mseal(2).
 * @vma: the mapping
 *
 * Return: 0, or the error of that call.
 */
int checkpoint_seal(const struct cr_hdr_vma *vma)
{
	return vma->flags & CR_VMA_SEALED ? mseal_range(vma->start, vma->end) : 0;
}

/**
 * checkpoint_mm_finish() - Set what applies to all of an address space.
 * @hdr: its flags
 *
 * Comes last: it changes what the other calls do.
 *
 * Return: 0, or the error of mlockall(2), prctl(2) or membarrier(2).
 */
int checkpoint_mm_finish(const struct cr_hdr_mm *hdr)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int ret = 0;

	if (hdr->flags & CR_MM_LOCK_FUTURE && !can_do_mlock())
		return -EPERM;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (hdr->flags & CR_MM_LOCK_FUTURE) {
		vma_flags_set(&mm->def_vma_flags, VMA_LOCKED_BIT);
		if (hdr->flags & CR_MM_LOCK_ONFAULT)
			vma_flags_set(&mm->def_vma_flags, VMA_LOCKONFAULT_BIT);
	}
	if (hdr->flags & CR_MM_THP_EXCEPT_ADVISED)
		mm_flags_set(MMF_DISABLE_THP_EXCEPT_ADVISED, mm);
	if (!(hdr->flags & CR_MM_THP_DISABLE) || hdr->flags & CR_MM_THP_EXCEPT_ADVISED) {
		VMA_ITERATOR(vmi, mm, 0);

		mm_flags_clear(MMF_DISABLE_THP_COMPLETELY, mm);
		for_each_vma(vmi, vma)
			khugepaged_enter_vma(vma, vma->vm_flags);
	}
	if (hdr->flags & CR_MM_MERGE_ANY) {
#ifdef CONFIG_KSM
		ret = ksm_enable_merge_any(mm);
#else
		ret = -EINVAL;
#endif
	}
	if (hdr->flags & CR_MM_MDWE) {
		mm_flags_set(MMF_HAS_MDWE, mm);
		if (hdr->flags & CR_MM_MDWE_NO_INHERIT)
			mm_flags_set(MMF_HAS_MDWE_NO_INHERIT, mm);
	}
	mmap_write_unlock(mm);
	if (!ret)
		ret = checkpoint_membarrier_set(hdr->membarrier);
	return ret;
}

#ifndef CONFIG_AIO
bool checkpoint_is_aio_ring(struct vm_area_struct *vma)
{
	return false;
}

int checkpoint_aio_find(struct mm_struct *mm, unsigned int *slot,
			struct cr_hdr_aio *found, unsigned long *size)
{
	return 0;
}

int checkpoint_aio_create(const struct cr_hdr_aio *aio, unsigned long size)
{
	return -EOPNOTSUPP;
}

int checkpoint_aio_finish(const struct cr_hdr_aio *aio)
{
	return -EOPNOTSUPP;
}
#endif
