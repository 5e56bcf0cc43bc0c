// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of huge pages from a pool, for checkpoint(2) and restart(2).
 *
 * Mappings of it are in mm/checkpoint.c, with all others. What is here is about
 * the files that are behind them: hugetlbfs can be neither written to nor asked
 * for its holes by the functions that other files have.
 *
 * Locking: what is called takes the locks that it needs, none is held before.
 */
#include <linux/checkpoint.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include <uapi/linux/memfd.h>

#ifdef CONFIG_HUGETLBFS
/**
 * checkpoint_hugetlb_shift() - Tell how large the huge pages of a file are.
 * @file: the file
 *
 * Return: the shift, 0 if the file has no huge pages.
 */
unsigned int checkpoint_hugetlb_shift(struct file *file)
{
	return is_file_hugepages(file) ? huge_page_shift(hstate_file(file)) : 0;
}

/**
 * checkpoint_hugetlb_nameless() - Tell whether a file of huge pages has no path.
 * @file: the file, which has huge pages
 *
 * Such are those of memfd_create(2), and of mmap(2) without a file: they are of
 * a mount of the kernel's own.
 */
bool checkpoint_hugetlb_nameless(struct file *file)
{
	return file_inode(file)->i_sb->s_flags & SB_KERNMOUNT;
}

/**
 * checkpoint_hugetlb_is_anon() - Tell whether a file is one that mmap(2) made.
 * @file: the file, which has huge pages
 */
bool checkpoint_hugetlb_is_anon(struct file *file)
{
	return checkpoint_hugetlb_nameless(file) &&
	       !strcmp(file->f_path.dentry->d_name.name, HUGETLB_ANON_FILE);
}

/**
 * checkpoint_hugetlb_file() - Make what is behind a mapping without a file.
 * @size: bytes
 * @shift: of its huge pages
 *
 * Pages are reserved by the mapping, as in mmap(2).
 *
 * Return: the file; -EINVAL if huge pages cannot be so large, -ENODEV if this
 * machine has none that are, or another error of mmap(2).
 */
struct file *checkpoint_hugetlb_file(u64 size, unsigned int shift)
{
	if (!shift || shift >= BITS_PER_LONG || size > MAX_LFS_FILESIZE ||
	    size & ((1UL << shift) - 1))
		return ERR_PTR(-EINVAL);
	return hugetlb_file_setup(HUGETLB_ANON_FILE, size, mk_vma_flags(VMA_NORESERVE_BIT),
				  HUGETLB_ANONHUGE_INODE, shift);
}

/**
 * checkpoint_hugetlb_memfd_flags() - Tell what a memfd of huge pages is made with.
 * @shift: of the huge pages
 *
 * Return: MFD_* flags, 0 if huge pages cannot be so large.
 */
unsigned int checkpoint_hugetlb_memfd_flags(unsigned int shift)
{
	if (!shift || shift >= BITS_PER_LONG)
		return 0;
	return MFD_HUGETLB | shift << MFD_HUGE_SHIFT;
}

/**
 * checkpoint_hugetlb_next_data() - Find contents of a file of huge pages.
 * @file: the file
 * @from: where to begin
 * @begin: set to the first byte at or behind @from that is not of a hole
 * @end: set to the byte behind the page that this one is in
 *
 * Return: whether there is any.
 */
bool checkpoint_hugetlb_next_data(struct file *file, u64 from, u64 *begin, u64 *end)
{
	pgoff_t index = from >> PAGE_SHIFT;
	struct folio *folio;
	XA_STATE(xas, &file->f_mapping->i_pages, index);
	bool found = false;

	rcu_read_lock();
	do {
		folio = xas_find(&xas, ULONG_MAX);
	} while (xas_retry(&xas, folio) || xa_is_value(folio));
	if (folio) {
		/* As large as all others of the file, whatever becomes of it. */
		u64 size = huge_page_size(hstate_file(file));
		u64 pos = round_down((u64)xas.xa_index << PAGE_SHIFT, size);

		*begin = max(from, pos);
		*end = pos + size;
		found = true;
	}
	rcu_read_unlock();
	return found;
}

/* Brings a huge page into @file. Only a fatal signal keeps it from that. */
static int bring_in(struct file *file, loff_t pos)
{
	loff_t size = huge_page_size(hstate_file(file));
	int ret;

	do {
		clear_thread_flag(TIF_SIGPENDING);
		ret = vfs_fallocate(file, FALLOC_FL_KEEP_SIZE, round_down(pos, size), size);
		spin_lock_irq(&current->sighand->siglock);
		recalc_sigpending();
		spin_unlock_irq(&current->sighand->siglock);
	} while (ret == -EINTR && !fatal_signal_pending(current));
	/* What a file system calls full is a pool that has no free page. */
	return ret == -ENOSPC ? -ENOMEM : ret;
}

/**
 * checkpoint_hugetlb_write() - Put bytes into a file of huge pages.
 * @file: the file
 * @from: the bytes
 * @len: how many
 * @pos: where in the file they go
 *
 * As by a mapping: hugetlbfs has no write(2).
 *
 * Return: how many bytes there was room for in one page; -ENOMEM if no huge page
 * is free.
 */
ssize_t checkpoint_hugetlb_write(struct file *file, const void *from, size_t len, loff_t pos)
{
	struct folio *folio;
	size_t offset;
	int ret;

	if (pos < 0 || pos >= i_size_read(file_inode(file)))
		return -EINVAL;
	folio = filemap_get_folio(file->f_mapping, pos >> PAGE_SHIFT);
	if (IS_ERR(folio)) {
		ret = bring_in(file, pos);
		if (ret)
			return ret;
		folio = filemap_get_folio(file->f_mapping, pos >> PAGE_SHIFT);
		if (IS_ERR(folio))
			return PTR_ERR(folio);
	}
	offset = offset_in_folio(folio, pos);
	len = min(len, folio_size(folio) - offset);
	memcpy_to_folio(folio, offset, from, len);
	folio_mark_dirty(folio);
	folio_put(folio);
	return len;
}
#else
unsigned int checkpoint_hugetlb_shift(struct file *file)
{
	return 0;
}

bool checkpoint_hugetlb_nameless(struct file *file)
{
	return false;
}

bool checkpoint_hugetlb_is_anon(struct file *file)
{
	return false;
}

struct file *checkpoint_hugetlb_file(u64 size, unsigned int shift)
{
	return ERR_PTR(-ENODEV);
}

unsigned int checkpoint_hugetlb_memfd_flags(unsigned int shift)
{
	return 0;
}

bool checkpoint_hugetlb_next_data(struct file *file, u64 from, u64 *begin, u64 *end)
{
	return false;
}

ssize_t checkpoint_hugetlb_write(struct file *file, const void *from, size_t len, loff_t pos)
{
	return -EBADF;
}
#endif /* CONFIG_HUGETLBFS */
