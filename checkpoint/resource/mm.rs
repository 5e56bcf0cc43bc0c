// SPDX-License-Identifier: GPL-2.0

//! The address space: how it is laid out, its mappings, and the pages that are nowhere else.
//!
//! Of all pages only those are in an image that a restart cannot get elsewhere: private pages that
//! have been written to, and rings of io_setup(2). What a file holds, or the page of zeros, comes
//! back by itself. What may be dropped at any time, by `MAP_DROPPABLE`, is dropped.
//!
//! A restart builds the new address space as that of the caller, by what the system calls of the
//! caller would do: no image gets more memory, or other files or protections, than the caller could
//! have. The caller's own address space is put aside meanwhile, and comes back if anything fails.

use kernel::{
    crc32::crc32c,
    fs::File,
    mm::{
        batch::PageBatch,
        policy::TaskPolicy,
        rebuild::{
            self,
            Joined,
            Program,
            Rebuild,
            SharedSpace, //
        },
        snapshot::{
            AddressSpace,
            Vdso, //
        }, //
    },
    prelude::*,
    str::CString,
    sync::aref::ARef,
    task::CurrentTask, //
};
use zerocopy::{
    FromBytes,
    IntoBytes, //
};

use crate::{
    image::{
        self,
        Aio,
        BulkKind,
        Guard,
        Item,
        Kind,
        Mm,
        MmContext,
        Pages,
        Policy,
        Reason,
        SharedPages,
        Text,
        Vma, //
    },
    resource::{
        object,
        outside,
        Collect,
        Prepare,
        Resource,
        Saving,
        Scope, //
    },
    stream::{
        BulkReader,
        Failure,
        ImageWriter,
        Transport, //
    },
    uapi, //
};

mod aio;
mod guard;
pub(super) mod policy;
mod share;

pub(crate) use share::Relatives;

pub(crate) struct MmState;

/// Mappings in the order of their addresses, with the names that some of them have.
#[derive(Default)]
struct Mappings {
    vmas: KVVec<Vma>,
    /// One after the other, each as long as its mapping says.
    names: KVVec<u8>,
}

impl Mappings {
    /// Adds a mapping. Its name comes next, if it has one.
    fn push(&mut self, vma: Vma) -> Result {
        Ok(self.vmas.push(vma, GFP_KERNEL_ACCOUNT)?)
    }

    fn push_name(&mut self, name: &[u8]) -> Result {
        Ok(self.names.extend_from_slice(name, GFP_KERNEL_ACCOUNT)?)
    }

    /// Returns the mapping that `address` is in.
    fn containing(&self, address: u64) -> Option<&Vma> {
        let after = self.vmas.partition_point(|vma| vma.start <= address);

        self.vmas
            .get(after.checked_sub(1)?)
            .filter(|vma| address < vma.end)
    }

    /// Iterates over the mappings and their names, which are empty if there are none.
    fn iter(&self) -> impl Iterator<Item = (&Vma, &[u8])> {
        let mut names: &[u8] = &self.names;

        self.vmas.iter().map(move |vma| {
            let (name, rest) = names
                .split_at_checked(vma.name_len())
                .unwrap_or((names, &[]));

            names = rest;
            (vma, name)
        })
    }

    /// Tells whether the kernel's own mappings are where the kernel makes them: nowhere, or the code
    /// at `context.vdso` and the data right before it.
    fn vdso_is_whole(&self, context: &MmContext, vdso: &Vdso) -> bool {
        let own = || {
            self.vmas
                .iter()
                .filter(|vma| matches!(vma.kind, uapi::CR_MAPPING_VDSO | uapi::CR_MAPPING_VVAR))
        };
        if context.vdso == 0 {
            return own().next().is_none();
        }
        let Some(mut end) = context.vdso.checked_sub(vdso.vvar_size) else {
            return false;
        };

        for vma in own() {
            let is_code = vma.kind == uapi::CR_MAPPING_VDSO;
            if vma.start != end || (vma.start == context.vdso) != is_code {
                return false;
            }
            end = vma.end;
        }
        context.vdso.checked_add(vdso.code.len() as u64) == Some(end)
    }
}

/// What was found of an address space.
pub(crate) struct Found {
    space: AddressSpace,
    /// Number of the task that it comes with.
    number: u32,
    mm: Mm,
    context: MmContext,
    auxv: KVec<u8>,
    ldt: KVVec<u64>,
    mappings: Mappings,
    policies: KVVec<Policy>,
    guards: KVVec<Guard>,
    contexts: KVVec<Aio>,
}

/// What an image says about an address space; nothing if it has no process.
#[derive(Default)]
pub(crate) struct Image {
    mm: Option<Mm>,
    /// Number of the task that it came with, if that is another one.
    shared: u32,
    context: MmContext,
    auxv: KVec<c_ulong>,
    ldt: KVVec<u64>,
    mappings: Mappings,
    policies: KVVec<Policy>,
    guards: KVVec<Guard>,
    contexts: KVVec<Aio>,
    /// The next text is the name of the last mapping.
    name_follows: bool,
}

/// What is committed, which the caller has while this lives.
pub(crate) enum Prepared {
    /// A new address space.
    Own(KBox<Own>),
    /// That of another task.
    Shared(Joined),
}

/// A new address space.
pub(crate) struct Own {
    /// Lets others take pages of it. Dropped first: the reference is not the last one.
    relative: Option<share::Registered>,
    /// Those to take pages of.
    relatives: Relatives,
    space: Rebuild,
    /// The program, if it is not set yet.
    late_exe: Option<ARef<File>>,
    /// Pages are allocated by it, as far as their mappings have none of their own.
    policy: TaskPolicy,
    layout: rebuild::Layout,
    mappings: Mappings,
    guards: KVVec<Guard>,
    contexts: KVVec<Aio>,
    batch: PageBatch,
}

/// Adds what is known of each mapping.
fn collect_mappings(cx: &mut Collect<'_>, space: &AddressSpace) -> Result<Mappings> {
    let mut mappings = Mappings::default();
    let mut end = 0;

    while let Some(found) = space.mapping_above(end)? {
        let start = found.start();
        end = found.end();

        if let Some(what) = found.refused() {
            cx.refuse_further(format_args!("mapping {start:x}-{end:x}: {what}"))?;
            continue;
        }
        if mappings.vmas.len() >= uapi::CR_VMAS_MAX as usize {
            return Err(cx.refuse(format_args!("more than {} mappings", uapi::CR_VMAS_MAX)));
        }
        let mut vma = Vma::read_from_bytes(found.vma()).map_err(|_| EINVAL)?;
        if let Some(file) = found.file() {
            let of = object::Use::Mapping(start as usize, end as usize);
            let objref = object::collect_file(cx, file, of);
            vma.objref = cx.tolerate(objref)?.unwrap_or_default();
        }
        mappings.push(vma)?;
        mappings.push_name(found.name())?;
    }
    Ok(mappings)
}

/// Logs why there is no mapping.
fn unmapped(cx: &mut Prepare<'_>, error: Error, vma: &Vma) -> Error {
    let (start, end) = (vma.start, vma.end);

    if vma.page_shift != 0 && (error == ENOMEM || error == ENODEV) {
        let why = if error == ENOMEM {
            "not so many are free"
        } else {
            "there are none"
        };
        return cx.fail(
            error,
            format_args!(
                "mapping {start:x}-{end:x}: huge pages of 2^{} bytes: {why}: {error:?}",
                vma.page_shift
            ),
        );
    }
    cx.fail(error, format_args!("mapping {start:x}-{end:x}: {error:?}"))
}

/// Opens the mappings that are neither the kernel's own nor rings of io_setup(2).
fn map_all(cx: &mut Prepare<'_>, space: &mut Rebuild, mappings: &Mappings) -> Result {
    for (vma, name) in mappings.iter() {
        let (start, end) = (vma.start, vma.end);
        let file: Option<ARef<File>> = match vma.kind {
            uapi::CR_MAPPING_VDSO | uapi::CR_MAPPING_VVAR | uapi::CR_MAPPING_AIO => continue,
            uapi::CR_MAPPING_FILE => match cx.objects.file(vma.objref) {
                None => {
                    return Err(cx.fail(
                        EINVAL,
                        format_args!(
                            "mapping {start:x}-{end:x}: object {} is not a file",
                            vma.objref
                        ),
                    ))
                }
                file => file,
            },
            _ => None,
        };
        let name = if name.is_empty() {
            None
        } else {
            let name = core::str::from_utf8(name)
                .map_err(|_| cx.fail(EINVAL, format_args!("mapping {start:x}-{end:x}: name")))?;
            Some(CString::try_from_fmt(fmt!("{name}"))?)
        };

        space
            .map(
                &rebuild::Vma::from_bytes(vma.as_bytes())?,
                file.as_deref(),
                name.as_deref(),
            )
            .map_err(|e| unmapped(cx, e, vma))?;
    }
    Ok(())
}

impl Resource for MmState {
    const SCOPE: Scope = Scope::Mm;

    type Found = Found;
    type Image = Image;
    type Prepared = Option<Prepared>;

    fn collect(cx: &mut Collect<'_>) -> Result<Found> {
        let Some(space) = AddressSpace::of(cx.task) else {
            return Err(cx.fail(ESRCH, format_args!("it has no memory any more")));
        };
        let kin = cx.task.kin();
        let known = cx.tree.users(&kin, |kin| kin.mm);
        if space.is_shared(known) {
            outside::refuse_table(cx, kin.mm, "memory that is shared")?;
        }
        if let Some(what) = space.refused(cx.task) {
            cx.refuse_further(format_args!("{what}"))?;
        }
        let Some(exe) = space.exe() else {
            return Err(cx.refuse(format_args!("a process that executes no file")));
        };

        let description = space.describe(cx.task);
        let mut mm = Mm::read_from_bytes(description.mm()).map_err(|_| EINVAL)?;
        let mut context = MmContext::read_from_bytes(description.context()).map_err(|_| EINVAL)?;
        let mut auxv = KVec::new();
        auxv.extend_from_slice(description.auxv(), GFP_KERNEL_ACCOUNT)?;

        let ldt = space.ldt()?;
        context.ldt_entries = ldt.len() as u32;
        context.personality = cx.task.personality();
        context.flags = match space.is_ia32() {
            true => uapi::CR_THREAD_IA32,
            false => 0,
        };

        let exe = object::collect_file(cx, &exe, object::Use::Exe);
        mm.exe = cx.tolerate(exe)?.unwrap_or_default();
        let mappings = collect_mappings(cx, &space)?;
        mm.nr_vmas = mappings.vmas.len() as u32;
        mm.auxv_len = auxv.len() as u32;

        let policies = policy::collect(cx, &space)?;
        let guards = guard::collect(cx, &space)?;
        let contexts = aio::collect(cx, &space, &mappings);
        let contexts = cx.tolerate(contexts)?.unwrap_or_default();
        // None is more than its limit.
        mm.nr_policies = policies.len() as u32;
        mm.nr_guards = guards.len() as u32;
        mm.nr_aio = contexts.len() as u32;

        let vdso = Vdso::running(space.is_ia32());
        if mappings
            .vmas
            .iter()
            .any(|vma| vma.kind == uapi::CR_MAPPING_VDSO)
        {
            context.vdso_crc = crc32c(0, vdso.code);
        } else {
            context.vdso = 0;
            context.vdso_size = 0;
        }
        if !mappings.vdso_is_whole(&context, &vdso) {
            return Err(cx.refuse(format_args!("a vDSO of which a part is moved or missing")));
        }

        cx.spaces.add(&space, cx.number())?;
        Ok(Found {
            space,
            number: cx.number(),
            mm,
            context,
            auxv,
            ldt,
            mappings,
            policies,
            guards,
            contexts,
        })
    }

    fn save<T: Transport>(
        found: &Found,
        _cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        to.record(&found.mm)?;
        to.record(&found.context)?;
        to.bytes(Kind::Auxv, &found.auxv)?;
        for entries in found.ldt.chunks(uapi::CR_WORDS_MAX as usize) {
            to.bytes(Kind::Ldt, entries.as_bytes())?;
        }
        for (vma, name) in found.mappings.iter() {
            to.record(vma)?;
            if !name.is_empty() {
                to.text(Text::new(name).ok_or(EINVAL)?)?;
            }
        }
        for policy in &found.policies {
            to.record(policy)?;
        }
        for guard in &found.guards {
            to.record(guard)?;
        }
        for aio in &found.contexts {
            to.record(aio)?;
        }
        Ok(())
    }

    fn save_bulk<T: Transport>(
        found: &Found,
        cx: &Saving<'_>,
        to: &mut ImageWriter<'_, T>,
    ) -> Result<(), Failure> {
        let shared = found.space.shared_pages(found.number, cx.spaces)?;
        for (nr_extents, extents) in shared.chunks() {
            to.record(&SharedPages {
                nr_extents,
                task: found.number,
            })?;
            to.bytes(Kind::SharedExtents, extents)?;
        }

        let mut batch = PageBatch::new()?;
        let mut next = 0;

        loop {
            next = found.space.collect_pages(next, &shared, &mut batch)?;
            if batch.is_empty() {
                return Ok(());
            }
            to.record(&Pages {
                nr_extents: batch.nr_extents(),
                nr_pages: batch.nr_pages(),
                crc: batch.crc32c(0),
                task: found.number,
            })?;
            to.bytes(Kind::Extents, batch.extent_bytes())?;
            to.bulk_pages(&batch)?;
        }
    }

    fn take(image: &mut Image, item: &Item<'_>) -> Result {
        let name_follows = core::mem::take(&mut image.name_follows);

        match item {
            Item::Task(task) => image.shared = task.mm,
            Item::Mm(mm) => image.mm = Some(*mm),
            Item::MmContext(context) => image.context = *context,
            Item::Auxv(auxv) => {
                for word in image::u64s(auxv) {
                    image.auxv.push(word as c_ulong, GFP_KERNEL_ACCOUNT)?;
                }
            }
            Item::Ldt(entries) => {
                for entry in image::u64s(entries) {
                    image.ldt.push(entry, GFP_KERNEL_ACCOUNT)?;
                }
            }
            Item::Vma(vma) => {
                image.mappings.push(*vma)?;
                image.name_follows = vma.name_len() != 0;
            }
            Item::Text(name) if name_follows => image.mappings.push_name(name)?,
            Item::Policy(policy) => image.policies.push(*policy, GFP_KERNEL_ACCOUNT)?,
            Item::Guard(guard) => image.guards.push(*guard, GFP_KERNEL_ACCOUNT)?,
            Item::Aio(aio) => image.contexts.push(*aio, GFP_KERNEL_ACCOUNT)?,
            _ => {}
        }
        Ok(())
    }

    fn prepare(image: Image, cx: &mut Prepare<'_>) -> Result<Option<Prepared>> {
        if image.shared != 0 {
            let Some(shared) = cx.spaces.get(&image.shared).map(SharedSpace::share) else {
                return Err(cx.fail(
                    EINVAL,
                    format_args!("address space: task {} has none of its own", image.shared),
                ));
            };
            return Ok(Some(Prepared::Shared(shared.join(cx.caller))));
        }
        let Some(mm) = image.mm else {
            return Ok(None);
        };
        let context = image.context;
        let ia32 = context.flags & uapi::CR_THREAD_IA32 != 0;
        let vdso = Vdso::running(ia32);

        // A request in flight would write to the new memory.
        if cx.caller.uses_io_uring() {
            return Err(cx.fail(EINVAL, format_args!("the caller has used io_uring")));
        }
        if !image.mappings.vdso_is_whole(&context, &vdso) {
            return Err(cx.fail(
                EINVAL,
                format_args!("the vDSO is not where the kernel can map it"),
            ));
        }
        if context.vdso != 0 && context.vdso_crc != crc32c(0, vdso.code) {
            return Err(cx.fail(EINVAL, format_args!("the vDSO is that of another kernel")));
        }
        let Some(exe) = cx.objects.file(mm.exe) else {
            return Err(cx.fail(EINVAL, format_args!("exe: object {} is not a file", mm.exe)));
        };

        let program = Program::new(context.flags, context.personality, image.ldt).map_err(|i| {
            cx.fail(
                EINVAL,
                format_args!("LDT: entry {i}: a segment that modify_ldt(2) does not make"),
            )
        })?;
        guard::check(cx, &image.guards, &image.mappings)?;
        let policy = policy::begin(cx, &image.policies)?;

        // What can fail for lack of memory comes before the switch.
        let batch = PageBatch::new()?;
        let layout = rebuild::Layout::from_bytes(mm.as_bytes())?;
        let kernel_context = rebuild::Context::from_bytes(context.as_bytes())?;
        // A deleted program has its contents, and may be executed, at the end only.
        let (now, late) = match cx.objects.is_deleted(mm.exe) {
            false => (Some(exe), None),
            true => (None, Some(exe)),
        };
        let mut space = Rebuild::begin(
            cx.caller,
            &layout,
            &kernel_context,
            now.as_deref(),
            &program,
        )
        .map_err(|e| cx.fail(e, format_args!("new address space: {e:?}")))?;

        if context.vdso != 0 {
            space
                .map_vdso(context.vdso)
                .map_err(|e| cx.fail(e, format_args!("mapping of the vDSO: {e:?}")))?;
        }
        map_all(cx, &mut space, &image.mappings)?;
        aio::create(cx, &mut space, &image.contexts, &image.mappings)?;
        policy::set(cx, &mut space, &image.policies, &image.mappings)?;
        space
            .layout(&layout, &image.auxv)
            .map_err(|e| cx.fail(e, format_args!("layout of the address space: {e:?}")))?;

        cx.spaces
            .try_create_and_insert(cx.number, space.shared(), GFP_KERNEL_ACCOUNT)?;
        let own = Own {
            relative: Some(cx.relatives.register(cx.number, space.mm())?),
            relatives: cx.relatives.clone(),
            space,
            late_exe: late,
            policy,
            layout,
            mappings: image.mappings,
            guards: image.guards,
            contexts: image.contexts,
            batch,
        };
        Ok(Some(Prepared::Own(KBox::new(own, GFP_KERNEL_ACCOUNT)?)))
    }

    fn fill<T: Transport>(
        prepared: &mut Option<Prepared>,
        bulk: &mut BulkReader<'_, '_, T>,
    ) -> Result<bool, Failure> {
        let prepared = match (prepared, bulk.bulk().kind) {
            (Some(Prepared::Own(prepared)), BulkKind::Pages { .. }) => &mut **prepared,
            (Some(Prepared::Own(prepared)), BulkKind::Shared { .. }) => {
                share::fill(prepared, bulk)?;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let batch = &mut prepared.batch;
        let mut start = None;

        batch.clear();
        for extent in bulk.extents().iter() {
            start = start.or(Some(extent.start));
            batch.push_extent(extent.start, extent.nr_pages, extent.flags)?;
        }
        let outside = Reason::OutsideMapping {
            start: start.unwrap_or(0),
        };

        match prepared.space.alloc(batch) {
            Err(e) if e == EINVAL => return Err(bulk.refuse(outside)),
            Err(e) if e == ENOMEM => {
                let huge = bulk.extents().iter().find(|extent| {
                    let vma = prepared.mappings.containing(extent.start);

                    vma.is_some_and(|vma| vma.page_shift != 0)
                });
                return Err(huge.map_or(e.into(), |extent| Failure::NoHugePage(extent.start)));
            }
            result => result?,
        }
        bulk.read_pages(batch)?;
        match prepared.space.install(batch) {
            Err(e) if e == EINVAL => return Err(bulk.refuse(outside)),
            result => result?,
        }
        Ok(true)
    }

    fn complete(prepared: &mut Option<Prepared>, cx: &mut Prepare<'_>) -> Result {
        let Some(Prepared::Own(prepared)) = prepared else {
            return Ok(());
        };
        let prepared = &mut **prepared;
        let space = &mut prepared.space;

        // All pages of all others are there, too.
        prepared.relative = None;
        // Locked memory gets no guard regions, and pages of a ring must be there before.
        guard::install(cx, space, &prepared.guards)?;
        aio::finish(cx, space, &prepared.contexts, &prepared.mappings)?;

        type Step = fn(&mut Rebuild, &rebuild::Vma) -> Result;
        // Each for all mappings: none may find what a later one does to its neighbours.
        let steps: [(Step, &str); 3] = [
            (Rebuild::protect, "protecting"),
            (Rebuild::lock, "locking"),
            (Rebuild::seal, "sealing"),
        ];

        for (step, doing) in steps {
            for (vma, _) in prepared.mappings.iter() {
                let own = matches!(vma.kind, uapi::CR_MAPPING_VDSO | uapi::CR_MAPPING_VVAR);
                if own && doing != "sealing" {
                    continue;
                }
                step(space, &rebuild::Vma::from_bytes(vma.as_bytes())?).map_err(|e| {
                    let (start, end) = (vma.start, vma.end);

                    cx.fail(e, format_args!("mapping {start:x}-{end:x}: {doing}: {e:?}"))
                })?;
            }
        }
        if let Some(exe) = &prepared.late_exe {
            space
                .set_exe(exe)
                .map_err(|e| cx.fail(e, format_args!("the program, which is deleted: {e:?}")))?;
        }
        space
            .finish(&prepared.layout)
            .map_err(|e| cx.fail(e, format_args!("flags of the address space: {e:?}")))
    }

    fn commit(prepared: Option<Prepared>, caller: &CurrentTask) {
        match prepared {
            Some(Prepared::Own(own)) => {
                let Own { space, policy, .. } = KBox::into_inner(own);

                policy.commit(caller);
                space.commit(caller);
            }
            Some(Prepared::Shared(joined)) => joined.commit(caller),
            None => (),
        }
    }
}

#[cfg(CONFIG_CHECKPOINT_RESTART_KUNIT_TEST)]
#[kernel::macros::kunit_tests(checkpoint_mm)]
mod tests {
    use super::*;

    const PAGE: u64 = kernel::page::PAGE_SIZE as u64;

    fn vma(kind: u32, start: u64, end: u64, name_len: u32) -> Vma {
        Vma {
            start,
            end,
            kind,
            name_len,
            ..Vma::default()
        }
    }

    #[test]
    fn names_follow_their_mappings() -> Result {
        let mut image = Image::default();
        let anon =
            |i: u64, name_len| vma(uapi::CR_MAPPING_ANON, i * PAGE, (i + 1) * PAGE, name_len);

        for item in [
            Item::Text(b"/of/another/record"),
            Item::Vma(anon(1, 3)),
            Item::Text(b"one"),
            Item::Vma(anon(2, 0)),
            Item::Vma(anon(3, 5)),
            Item::Text(b"three"),
            Item::Text(b"of none"),
        ] {
            MmState::take(&mut image, &item)?;
        }

        let mut found = image.mappings.iter();
        assert!(found.next() == Some((&anon(1, 3), &b"one"[..])));
        assert!(found.next() == Some((&anon(2, 0), &b""[..])));
        assert!(found.next() == Some((&anon(3, 5), &b"three"[..])));
        assert!(found.next().is_none());
        Ok(())
    }

    #[test]
    fn mappings_are_found_by_address() -> Result {
        let mut mappings = Mappings::default();

        mappings.push(vma(uapi::CR_MAPPING_ANON, 2 * PAGE, 4 * PAGE, 0))?;
        mappings.push(vma(uapi::CR_MAPPING_AIO, 4 * PAGE, 5 * PAGE, 0))?;
        let start = |address| mappings.containing(address).map(|vma| vma.start);

        assert_eq!(start(0), None);
        assert_eq!(start(2 * PAGE - 1), None);
        assert_eq!(start(2 * PAGE), Some(2 * PAGE));
        assert_eq!(start(4 * PAGE - 1), Some(2 * PAGE));
        assert_eq!(start(4 * PAGE), Some(4 * PAGE));
        assert_eq!(start(5 * PAGE), None);
        assert_eq!(start(u64::MAX), None);
        Ok(())
    }

    #[test]
    fn vdso_has_one_layout() -> Result {
        let vdso = Vdso::running(false);
        let code = 0x7fff_0000_0000;
        let end = code + vdso.code.len() as u64;
        let data = code - vdso.vvar_size;
        let fits = |address, vmas: &[Vma]| -> Result<bool> {
            let mut mappings = Mappings::default();
            for vma in vmas {
                mappings.push(*vma)?;
            }
            let context = MmContext {
                vdso: address,
                ..MmContext::default()
            };
            Ok(mappings.vdso_is_whole(&context, &vdso))
        };
        let vvar = vma(uapi::CR_MAPPING_VVAR, data, data + PAGE, 0);
        let clock = vma(uapi::CR_MAPPING_VVAR, data + PAGE, code, 0);
        let text = vma(uapi::CR_MAPPING_VDSO, code, end, 0);
        let other = vma(uapi::CR_MAPPING_ANON, PAGE, 2 * PAGE, 0);

        assert!(fits(code, &[other, vvar, clock, text])?);
        assert!(fits(0, &[other])?);
        assert!(!fits(0, &[vvar, clock])?);
        assert!(!fits(code, &[other])?);
        assert!(!fits(code, &[vvar, clock])?);
        assert!(!fits(code, &[clock, text])?);
        assert!(!fits(code, &[vvar, text])?);
        assert!(!fits(code, &[text])?);
        assert!(!fits(code + PAGE, &[vvar, clock, text])?);
        assert!(!fits(PAGE, &[vvar, clock, text])?);
        Ok(())
    }

    #[test]
    #[cfg(CONFIG_MODIFY_LDT_SYSCALL)]
    fn descriptors_are_those_of_modify_ldt() -> Result {
        /// 32-bit data of 4 GiB that may be written: the one of `__USER_DS`.
        const DATA: u64 = 0x00cf_f300_0000_ffff;
        const TYPE: u64 = 0xf << 40;
        let first_unfit = |entries: &[u64]| -> Result<Option<usize>> {
            let mut ldt = KVVec::new();

            ldt.extend_from_slice(entries, GFP_KERNEL)?;
            Ok(Program::new(0, 0, ldt).err())
        };
        let unfit = |entry| -> Result<bool> { Ok(first_unfit(&[entry])?.is_some()) };

        assert!(first_unfit(&[])?.is_none());
        assert!(first_unfit(&[0, DATA, 0])?.is_none());
        // With a base, bytes instead of pages, for the program's own use.
        assert!(!unfit(DATA | 0x12 << 56 | 0x34_5678 << 16)?);
        assert!(!unfit(DATA & !(1 << 55) | 1 << 52)?);
        // Code that may be read, that may not be, that is not present and conforming.
        assert!(!unfit(DATA | 0xb << 40)?);
        assert!(!unfit(DATA & !TYPE | 0x9 << 40)?);
        assert!(!unfit((DATA | TYPE) & !(1 << 47))?);

        assert!(first_unfit(&[0, DATA, 0x10])? == Some(2));
        // Conforming code; a gate; rings 0 and 1; code of 64 bits; never accessed.
        assert!(unfit(DATA | TYPE)?);
        assert!(unfit(DATA & !(1 << 44))?);
        assert!(unfit(DATA & !(3 << 45))?);
        assert!(unfit(DATA & !(2 << 45))?);
        assert!(unfit(DATA | 0xb << 40 | 1 << 53)?);
        assert!(unfit(DATA & !(1 << 40))?);
        Ok(())
    }
}
