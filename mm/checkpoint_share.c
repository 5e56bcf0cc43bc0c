// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that several address spaces have, for checkpoint(2) and restart(2): what
 * fork(2) leaves to parent and child until one of them writes to it.
 *
 * Saving: a page is told to be that of another address space if that one has the
 * very page mapped at the time, while a reference keeps the page from being
 * another's. As the tasks of both stand still, neither sees its memory change, so
 * what the image has of the one is what the other has, whatever becomes of the
 * page. Nothing is remembered from one page to the next: who else has a page is
 * asked of the reverse map, so no old answer can be taken for a new one. Pages of
 * KSM are left to KSM.
 *
 * Locks: mmap_lock of the one that is saved, for reading; then the lock of the
 * folio, that of its anon_vma, and page table locks of either, one at a time.
 *
 * Restoring: as fork(2) does. mmap_lock of the one that has the pages, then that
 * of the new one, nested, both for writing. The current task has the latter; that
 * of the former waits in the kernel for its turn, and has never been in user mode.
 */
#include <linux/bsearch.h>
#include <linux/bvec.h>
#include <linux/checkpoint.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/hugetlb.h>
#include <linux/ksm.h>
#include <linux/leafops.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/pgalloc.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <asm/tlbflush.h>

#include "internal.h"

/* Pages that are looked for at a time. */
#define ASKED_MAX	128

/* Ends a walk: there is no more room. */
#define WALK_FULL	1

struct shared_walk {
	struct checkpoint_shared *to;
	const struct checkpoint_space *spaces;
	unsigned int nr_spaces;
	/* Number of the task that the address space came with. */
	u32 task;
	/* Pages with a reference each, and where they are mapped. */
	unsigned int nr_asked;
	struct {
		struct page *page;
		unsigned long addr;
	} asked[ASKED_MAX];
};

/* Where else a page is. */
struct sharer {
	u32 task;
	unsigned long addr;
	/* It is mapped as a part of a huge page. */
	bool huge;
};

static int compare_space(const void *key, const void *space)
{
	const struct mm_struct *mm = ((const struct checkpoint_space *)space)->mm;

	return key < (const void *)mm ? -1 : key > (const void *)mm;
}

/* Number of the task before that of the walk that @mm came with, 0 if none. */
static u32 earlier_task(const struct shared_walk *state, const struct mm_struct *mm)
{
	const struct checkpoint_space *space =
		bsearch(mm, state->spaces, state->nr_spaces, sizeof(*space),
			compare_space);

	return space && space->task < state->task ? space->task : 0;
}

/* Whether @page may be mapped by others, too. A look, which says nothing for sure. */
static bool may_be_shared(struct page *page)
{
	struct folio *folio = page_folio(page);

	return folio_test_anon(folio) && !folio_test_ksm(folio) &&
	       folio_maybe_mapped_shared(folio) && !PageAnonExclusive(page);
}

/* Whether @vma has @page mapped. */
static bool is_mapped(struct vm_area_struct *vma, struct page *page, pgoff_t pgoff,
		      struct sharer *found)
{
	struct page_vma_mapped_walk pvmw = {
		.pfn = page_to_pfn(page),
		.nr_pages = 1,
		.vma = vma,
		.address = vma_anon_address(vma, pgoff, 1),
		.flags = PVMW_SYNC,
	};

	found->addr = pvmw.address;
	if (pvmw.address == -EFAULT || !page_vma_mapped_walk(&pvmw))
		return false;
	found->huge = !pvmw.pte;
	page_vma_mapped_walk_done(&pvmw);
	return true;
}

/*
 * Looks for an address space of an earlier task that has @page, at @addr if there
 * is one. Sets the task of @best to 0 if there is none.
 */
static int find_sharer(struct shared_walk *state, struct page *page,
		       unsigned long addr, struct sharer *best)
{
	struct folio *folio = page_folio(page);
	struct anon_vma_chain *avc;
	struct anon_vma *anon_vma;
	pgoff_t pgoff;

	best->task = 0;
	if (folio_lock_killable(folio))
		return -EINTR;
	anon_vma = NULL;
	if (folio_test_anon(folio) && !folio_test_ksm(folio))
		anon_vma = folio_lock_anon_vma_read(folio, NULL);
	if (!anon_vma)
		goto out;
	pgoff = page_pgoff(folio, page);
	anon_rmap_tree_foreach(avc, anon_vma, pgoff, pgoff) {
		struct sharer found = { .task = earlier_task(state, avc->vma->vm_mm) };

		if (!found.task || !checkpoint_vma_has_own_pages(avc->vma) ||
		    !is_mapped(avc->vma, page, pgoff, &found))
			continue;
		if (!best->task || found.addr == addr)
			*best = found;
		if (found.addr == addr)
			break;
	}
	anon_vma_unlock_read(anon_vma);
out:
	folio_unlock(folio);
	return 0;
}

/* Notes @nr pages from @addr on, which are elsewhere, too. */
static int note_shared(struct shared_walk *state, unsigned long addr, u32 nr,
		       const struct sharer *found)
{
	struct checkpoint_shared *to = state->to;
	struct cr_shared_extent *last = to->nr_extents ?
					&to->extents[to->nr_extents - 1] : NULL;
	u64 len = last ? (u64)last->nr_pages << PAGE_SHIFT : 0;

	if (last && last->from_task == found->task && last->start + len == addr &&
	    last->from_start + len == found->addr && last->nr_pages <= U32_MAX - nr) {
		last->nr_pages += nr;
		return 0;
	}
	if (to->nr_extents == CR_EXTENTS_MAX) {
		to->next = addr;
		return WALK_FULL;
	}
	to->extents[to->nr_extents++] = (struct cr_shared_extent) {
		.start = addr,
		.from_start = found->addr,
		.nr_pages = nr,
		.from_task = found->task,
	};
	return 0;
}

/* Asks for all pages that were put aside, and drops them. */
static int ask(struct shared_walk *state)
{
	struct sharer found;
	int ret = 0;

	for (unsigned int i = 0; i < state->nr_asked; i++) {
		struct page *page = state->asked[i].page;
		unsigned long addr = state->asked[i].addr;

		if (!ret)
			ret = find_sharer(state, page, addr, &found);
		if (!ret && found.task)
			ret = note_shared(state, addr, 1, &found);
		put_page(page);
	}
	state->nr_asked = 0;
	return ret;
}

/* Puts a page aside. There is room. */
static void put_aside(struct shared_walk *state, struct page *page, unsigned long addr)
{
	get_page(page);
	state->asked[state->nr_asked].page = page;
	state->asked[state->nr_asked++].addr = addr;
}

/* Of a huge page that another has as one, all are told at once. */
static int share_walk_huge(struct shared_walk *state, struct page *page,
			   unsigned long addr, unsigned long next)
{
	struct sharer found;
	int ret = find_sharer(state, page, addr, &found);

	if (ret || (found.task && found.huge)) {
		if (!ret)
			ret = note_shared(state, addr, (next - addr) >> PAGE_SHIFT, &found);
		return ret;
	}
	for (; !ret && addr != next; addr += PAGE_SIZE, page++) {
		put_aside(state, page, addr);
		if (state->nr_asked == ASKED_MAX || addr + PAGE_SIZE == next)
			ret = ask(state);
	}
	return ret;
}

static int share_walk_pmd(pmd_t *pmd, unsigned long addr, unsigned long next,
			  struct mm_walk *walk)
{
	struct shared_walk *state = walk->private;
	struct vm_area_struct *vma = walk->vma;
	struct page *page = NULL;
	pte_t *start, *pte;
	spinlock_t *ptl;
	int ret;

again:
	ptl = pmd_trans_huge_lock(pmd, vma);
	if (ptl) {
		if (pmd_present(*pmd) && !is_huge_zero_pmd(*pmd) &&
		    may_be_shared(pmd_page(*pmd))) {
			page = pmd_page(*pmd) + ((addr & ~HPAGE_PMD_MASK) >> PAGE_SHIFT);
			get_page(page);
		}
		spin_unlock(ptl);
		if (!page)
			return 0;
		ret = share_walk_huge(state, page, addr, next);
		put_page(page);
		return ret;
	}

	start = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	pte = start;
	if (!pte) {
		/* Not from the beginning, as another walk would. */
		if (pmd_none(pmdp_get_lockless(pmd)))
			return 0;
		cond_resched();
		goto again;
	}
	for (; addr != next && state->nr_asked < ASKED_MAX; pte++, addr += PAGE_SIZE) {
		pte_t entry = ptep_get(pte);

		if (!pte_present(entry))
			continue;
		page = vm_normal_page(vma, addr, entry);
		if (page && may_be_shared(page))
			put_aside(state, page, addr);
	}
	pte_unmap_unlock(start, ptl);
	page = NULL;
	cond_resched();
	ret = ask(state);
	if (!ret && addr != next)
		goto again;
	return ret;
}

static int share_walk_test(unsigned long start, unsigned long end, struct mm_walk *walk)
{
	return !walk->vma->anon_vma || !checkpoint_vma_has_own_pages(walk->vma);
}

static const struct mm_walk_ops share_walk_ops = {
	.pmd_entry = share_walk_pmd,
	.test_walk = share_walk_test,
	.walk_lock = PGWALK_RDLOCK,
};

/**
 * checkpoint_shared_collect() - Look for pages that others have, too.
 * @mm: the address space, on which the caller has a reference
 * @task: number of the task that it came with
 * @spaces: all address spaces that are saved, ascending by their address
 * @nr_spaces: how many
 * @to: empty, but for @next, from where pages are looked at: until there is no
 *	room for more, or there are no more. @next is ULONG_MAX then
 *
 * What is found is what an image has already when it has those of earlier tasks.
 * It stays true as long as the tasks stand still.
 *
 * Return: 0, -ENOMEM, or -EINTR on a fatal signal.
 */
int checkpoint_shared_collect(struct mm_struct *mm, u32 task,
			      const struct checkpoint_space *spaces,
			      unsigned int nr_spaces, struct checkpoint_shared *to)
{
	struct shared_walk *state = kzalloc_obj(*state);
	int ret;

	if (!state)
		return -ENOMEM;
	state->to = to;
	state->spaces = spaces;
	state->nr_spaces = nr_spaces;
	state->task = task;

	ret = -EINTR;
	if (fatal_signal_pending(current) || mmap_read_lock_killable(mm))
		goto out;
	ret = walk_page_range(mm, to->next, TASK_SIZE_MAX, &share_walk_ops, state);
	mmap_read_unlock(mm);
	if (!ret)
		to->next = ULONG_MAX;
	if (ret == WALK_FULL)
		ret = 0;
out:
	kfree(state);
	return ret;
}

static bool has_anon_vma(struct vm_area_struct *vma, const struct anon_vma *anon_vma)
{
	struct anon_vma_chain *avc;

	list_for_each_entry(avc, &vma->anon_vma_chain, same_vma)
		if (avc->anon_vma == anon_vma)
			return true;
	return false;
}

/*
 * Makes @dst a child of @src, as in fork(2), if it has no pages of its own yet.
 * Returns whether it is of the same family then, or -ENOMEM.
 */
static int relate(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	int ret;

	if (dst->anon_vma)
		return dst->anon_vma->root == src->anon_vma->root;
	/* Nobody may get hold of it meanwhile. */
	vma_start_write(dst);
	vma_mark_detached(dst);
	ret = anon_vma_fork(dst, src);
	vma_mark_attached(dst);
	return ret ?: 1;
}

/*
 * Sees to it that a page of @src is found in @dst, too, by the reverse map. Both
 * are of one family, whose root all of them have; mmap_lock is held of both.
 */
static bool make_reachable(struct folio *folio, struct vm_area_struct *dst,
			   struct vm_area_struct *src)
{
	struct anon_vma *anon_vma = folio_anon_vma(folio);
	struct anon_vma *root;

	if (has_anon_vma(dst, anon_vma))
		return true;
	/* It was made by one that is no ancestor of @dst, such as a sibling. */
	root = anon_vma->root;
	if (!has_anon_vma(dst, root) || !has_anon_vma(src, root) ||
	    !folio_trylock(folio))
		return false;
	/* As in folio_move_anon_rmap(). */
	WRITE_ONCE(folio->mapping, (void *)root + FOLIO_MAPPING_ANON);
	folio_unlock(folio);
	return true;
}

/* What becomes of pages that are to be shared. */
struct share {
	struct vm_area_struct *dst;
	struct vm_area_struct *src;
	/* How many are shared, and how many after these shall be copied. */
	u32 done;
	u32 copy;
};

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Shares a huge page. -EAGAIN if it is none any more. */
static int share_huge(struct share *share, pmd_t *dst_pmd, pmd_t *src_pmd,
		      unsigned long addr)
{
	struct vm_area_struct *dst = share->dst, *src = share->src;
	struct mm_struct *dst_mm = dst->vm_mm, *src_mm = src->vm_mm;
	spinlock_t *dst_ptl, *src_ptl;
	struct folio *folio;
	pgtable_t pgtable;
	pmd_t pmd;
	int ret;

	pgtable = pte_alloc_one(dst_mm);
	if (!pgtable)
		return -ENOMEM;

	dst_ptl = pmd_lock(dst_mm, dst_pmd);
	src_ptl = pmd_lockptr(src_mm, src_pmd);
	spin_lock_nested(src_ptl, SINGLE_DEPTH_NESTING);
	pmd = *src_pmd;
	ret = -EAGAIN;
	if (!pmd_trans_huge(pmd) || !pmd_none(*dst_pmd))
		goto out;
	ret = -ENOENT;
	if (is_huge_zero_pmd(pmd))
		goto out;
	folio = pmd_folio(pmd);
	if (!folio_test_anon(folio))
		goto out;
	ret = 0;
	share->copy = HPAGE_PMD_NR;
	if (!make_reachable(folio, dst, src))
		goto out;
	folio_get(folio);
	if (folio_try_dup_anon_rmap_pmd(folio, pmd_page(pmd), dst, src)) {
		folio_put(folio);
		goto out;
	}
	share->copy = 0;
	share->done += HPAGE_PMD_NR;
	add_mm_counter(dst_mm, MM_ANONPAGES, HPAGE_PMD_NR);
	mm_inc_nr_ptes(dst_mm);
	pgtable_trans_huge_deposit(dst_mm, dst_pmd, pgtable);
	pgtable = NULL;
	pmdp_set_wrprotect(src_mm, addr, src_pmd);
	pmd = pmd_mkdirty(folio_mk_pmd(folio, dst->vm_page_prot));
	set_pmd_at(dst_mm, addr, dst_pmd, pmd_wrprotect(pmd));
out:
	spin_unlock(src_ptl);
	spin_unlock(dst_ptl);
	if (pgtable)
		pte_free(dst_mm, pgtable);
	return ret;
}
#else
static int share_huge(struct share *share, pmd_t *dst_pmd, pmd_t *src_pmd,
		      unsigned long addr)
{
	return -EAGAIN;
}
#endif /* CONFIG_TRANSPARENT_HUGEPAGE */

/* Shares the page of one entry. */
static int share_pte(struct share *share, pte_t *dst_pte, pte_t *src_pte,
		     unsigned long addr)
{
	struct vm_area_struct *dst = share->dst, *src = share->src;
	pte_t entry = ptep_get(src_pte);
	struct folio *folio;
	struct page *page;

	if (!pte_none(ptep_get(dst_pte)))
		return -EINVAL;
	if (pte_none(entry))
		return -ENOENT;
	share->copy = 1;
	/* Swapped out or on the move, which can be read all the same; or broken. */
	if (!pte_present(entry))
		return 0;
	page = vm_normal_page(src, addr, entry);
	if (!page || !PageAnon(page))
		return -ENOENT;
	folio = page_folio(page);
	if (folio_test_ksm(folio) || !make_reachable(folio, dst, src))
		return 0;
	folio_get(folio);
	if (folio_try_dup_anon_rmap_pte(folio, page, dst, src)) {
		folio_put(folio);
		return 0;
	}
	share->copy = 0;
	share->done++;
	if (pte_write(entry))
		ptep_set_wrprotect(src->vm_mm, addr, src_pte);
	entry = pte_mkdirty(mk_pte(page, dst->vm_page_prot));
	set_pte_at(dst->vm_mm, addr, dst_pte, pte_wrprotect(entry));
	return 0;
}

/* Shares pages of one page table. */
static int share_ptes(struct share *share, pmd_t *dst_pmd, pmd_t *src_pmd,
		      unsigned long addr, unsigned long end)
{
	struct mm_struct *dst_mm = share->dst->vm_mm, *src_mm = share->src->vm_mm;
	pte_t *dst_start, *src_start, *dst_pte, *src_pte;
	spinlock_t *dst_ptl, *src_ptl;
	u32 before = share->done;
	pmd_t pmd;
	int ret = 0;

	if (pte_alloc(dst_mm, dst_pmd))
		return -ENOMEM;
	/* A huge page is there. */
	dst_start = pte_offset_map_lock(dst_mm, dst_pmd, addr, &dst_ptl);
	if (!dst_start)
		return -EINVAL;
	/* As in copy_pte_range(): it is stable, as mmap_lock is held for writing. */
	src_start = pte_offset_map_rw_nolock(src_mm, src_pmd, addr, &pmd, &src_ptl);
	if (!src_start) {
		pte_unmap_unlock(dst_start, dst_ptl);
		return pmd_none(pmd) ? -ENOENT : -EAGAIN;
	}
	spin_lock_nested(src_ptl, SINGLE_DEPTH_NESTING);
	dst_pte = dst_start;
	src_pte = src_start;
	for (; !ret && !share->copy && addr != end; addr += PAGE_SIZE)
		ret = share_pte(share, dst_pte++, src_pte++, addr);
	pte_unmap_unlock(src_start, src_ptl);
	add_mm_counter(dst_mm, MM_ANONPAGES, share->done - before);
	pte_unmap_unlock(dst_start, dst_ptl);
	return ret;
}

/* Shares pages up to the first that cannot be. */
static int share_range(struct share *share, unsigned long start, unsigned long end)
{
	struct mm_struct *dst_mm = share->dst->vm_mm, *src_mm = share->src->vm_mm;
	int ret = 0;

	while (!ret && !share->copy) {
		unsigned long addr = start + ((unsigned long)share->done << PAGE_SHIFT);
		unsigned long next = pmd_addr_end(addr, end);
		pmd_t *dst_pmd, *src_pmd;

		if (addr == end)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (check_stable_address_space(dst_mm) || check_stable_address_space(src_mm))
			return -EFAULT;
		src_pmd = mm_find_pmd(src_mm, addr);
		if (!src_pmd || pmd_none(pmdp_get(src_pmd)))
			return -ENOENT;
		dst_pmd = checkpoint_alloc_pmd(dst_mm, addr);
		if (!dst_pmd)
			return -ENOMEM;
		if (pmd_trans_huge(pmdp_get(src_pmd))) {
			ret = -EAGAIN;
			if (next - addr == HPAGE_PMD_SIZE && pmd_none(pmdp_get(dst_pmd)))
				ret = share_huge(share, dst_pmd, src_pmd, addr);
			if (ret == -EAGAIN) {
				split_huge_pmd(share->src, src_pmd, addr);
				ret = 0;
			}
			continue;
		}
		if (!pmd_present(pmdp_get(src_pmd))) {
			/* A huge page on the move. */
			share->copy = (next - addr) >> PAGE_SHIFT;
			break;
		}
		ret = share_ptes(share, dst_pmd, src_pmd, addr, next);
		if (ret == -EAGAIN)
			ret = 0;
		cond_resched();
	}
	return ret;
}

/* Shares the first of the pages of @extent, as far as they are in one mapping each. */
static int share_extent(struct mm_struct *mm, struct mm_struct *from,
			const struct cr_shared_extent *extent, struct share *share)
{
	struct cr_extent here = { .start = extent->start, .nr_pages = extent->nr_pages };
	unsigned long start = extent->start, end;
	struct mmu_notifier_range range;
	struct vm_area_struct *dst, *src;
	int ret;

	src = vma_lookup(from, extent->from_start);
	if (!src || !checkpoint_vma_has_own_pages(src) || !src->anon_vma)
		return -ENOENT;
	dst = vma_lookup(mm, start);
	if (!dst || !checkpoint_vma_has_own_pages(dst))
		return -EINVAL;
	here.nr_pages = min3((u64)here.nr_pages, (u64)(dst->vm_end - start) >> PAGE_SHIFT,
			     (u64)(src->vm_end - extent->from_start) >> PAGE_SHIFT);
	if (checkpoint_vma_of_extent(mm, &here) != dst)
		return -EINVAL;
	end = start + ((unsigned long)here.nr_pages << PAGE_SHIFT);

	/* By that a page is found in all mappings that have it. */
	share->copy = here.nr_pages;
	if (start != extent->from_start ||
	    linear_anon_page_index(dst, start) != linear_anon_page_index(src, start))
		return 0;
	ret = relate(dst, src);
	if (ret <= 0)
		return ret;

	share->copy = 0;
	share->dst = dst;
	share->src = src;
	vma_start_write(dst);
	vma_start_write(src);
	mmu_notifier_range_init(&range, MMU_NOTIFY_PROTECTION_PAGE, 0, from, start, end);
	mmu_notifier_invalidate_range_start(&range);
	/* See copy_page_range(). */
	raw_write_seqcount_begin(&from->write_protect_seq);
	ret = share_range(share, start, end);
	raw_write_seqcount_end(&from->write_protect_seq);
	mmu_notifier_invalidate_range_end(&range);
	flush_tlb_range(src, start, end);
	return ret;
}

/**
 * checkpoint_pages_share() - Map pages of another address space, as fork(2) does.
 * @from: the other one, on which the caller has a reference
 * @extent: the pages, and where they are in @from
 * @shared: set to how many are mapped, from the first on
 * @copy: set to how many after these are to be copied instead; they may be there
 *	or not
 *
 * Not all of them need to be dealt with by one call.
 *
 * Return: 0, -ENOENT if @from has no private page there, -EINVAL if private pages
 * cannot be here or something is here already, -ENOMEM, -EFAULT if a process is
 * being killed for its memory, or -EINTR on a fatal signal.
 */
int checkpoint_pages_share(struct mm_struct *from, const struct cr_shared_extent *extent,
			   unsigned int *shared, unsigned int *copy)
{
	struct mm_struct *mm = current->mm;
	struct share share = {};
	int ret;

	*shared = 0;
	*copy = 0;
	if (from == mm)
		return -EINVAL;
	if (mmap_write_lock_killable(from))
		return -EINTR;
	mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING);
	ret = share_extent(mm, from, extent, &share);
	mmap_write_unlock(mm);
	mmap_write_unlock(from);
	*shared = share.done;
	*copy = share.copy;
	return ret;
}

/* Takes a reference on the private page that @mm has at @addr. */
static int get_own_page(struct mm_struct *mm, unsigned long addr, struct page **page)
{
	struct vm_area_struct *vma;
	int locked = 1;
	long ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, addr);
	if (!vma || !checkpoint_vma_has_own_pages(vma))
		ret = -ENOENT;
	else
		/* What is not there is not made. */
		ret = get_user_pages_remote(mm, addr, 1, FOLL_FORCE | FOLL_DUMP, page,
					    &locked);
	if (locked)
		mmap_read_unlock(mm);
	if (ret == -EFAULT || !ret)
		return -ENOENT;
	if (ret < 0)
		return ret;
	if (PageAnon(*page))
		return 0;
	put_page(*page);
	return -ENOENT;
}

/**
 * checkpoint_pages_copy() - Fill pages with those of another address space.
 * @from: the other one, on which the caller has a reference
 * @addr: where it has them
 * @pages: what checkpoint_pages_alloc() made, of a page each
 *
 * Return: 0, -ENOENT if @from has no private page there, -EHWPOISON, -ENOMEM, or
 * -EINTR on a fatal signal.
 */
int checkpoint_pages_copy(struct mm_struct *from, unsigned long addr,
			  struct checkpoint_pages *pages)
{
	for (unsigned int i = 0; i < pages->nr_bvecs; i++, addr += PAGE_SIZE) {
		struct page *page;
		int ret;

		if (fatal_signal_pending(current))
			return -EINTR;
		ret = get_own_page(from, addr, &page);
		if (ret)
			return ret;
		ret = copy_mc_highpage(pages->bvecs[i].bv_page, page);
		put_page(page);
		if (ret)
			return -EHWPOISON;
		cond_resched();
	}
	return 0;
}
