// SPDX-License-Identifier: GPL-2.0

//! Derive macro for the records of a checkpoint image.
//!
//! A record is written to a file and read back by another kernel, so its layout is ABI. It is
//! declared twice: in C, in `include/uapi/linux/checkpoint_hdr.h`, for user space, and in Rust, in
//! `checkpoint/image/`, for those who handle it. This macro lets nothing compile in which the two
//! differ, or which would let bytes of kernel memory out that nobody has set.
//!
//! What can be seen in the tokens is refused here, with the place in the source. What takes types
//! (sizes, offsets, what an alias stands for) is asserted by the code that is generated.
//!
//! The file is also built by `tools/macros`, for the tools that read images on the host.

use proc_macro2::{
    Span,
    TokenStream, //
};
use quote::{
    quote,
    quote_spanned,
    ToTokens, //
};
use syn::{
    meta::ParseNestedMeta,
    spanned::Spanned,
    Attribute,
    Data,
    DeriveInput,
    Error,
    Expr,
    ExprLit,
    Field,
    Fields,
    Ident,
    Lit,
    LitInt,
    Result,
    Type, //
};

/// Every record type of the C header has this before its name.
const TYPE_PREFIX: &str = "CR_HDR_";

/// What every payload is a multiple of: `CR_ALIGN`, which the generated code checks.
const ALIGN: u64 = 8;

/// Errors gathered, so that a user of the macro sees all of them at once.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Takes what is wrong out of `result`, and gives what is right.
    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// `#[record(type = CR_HDR_..., abi = cr_hdr_...)]`
struct Arguments {
    /// The constant with the number of this record type.
    kind: Ident,
    /// The struct of the C header.
    abi: Ident,
    /// `kind` without its prefix.
    name: String,
}

impl Arguments {
    fn parse(input: &DeriveInput) -> Result<Self> {
        fn set(slot: &mut Option<Ident>, meta: &ParseNestedMeta<'_>) -> Result<()> {
            let value: Ident = meta.value()?.parse()?;
            match slot.replace(value) {
                None => Ok(()),
                Some(_) => Err(meta.error("given twice")),
            }
        }

        let (mut kind, mut abi) = (None, None);
        for attr in record_attributes(&input.attrs) {
            attr.parse_nested_meta(|meta| {
                if meta.path.is_ident("type") {
                    set(&mut kind, &meta)
                } else if meta.path.is_ident("abi") {
                    set(&mut abi, &meta)
                } else {
                    Err(meta.error("expected `type` or `abi`"))
                }
            })?;
        }

        let (Some(kind), Some(abi)) = (kind, abi) else {
            return Err(Error::new_spanned(
                &input.ident,
                "a record needs `#[record(type = CR_HDR_..., abi = cr_hdr_...)]`: the constant and \
                 the struct that stand for it in the C header",
            ));
        };
        let name = match kind.to_string().strip_prefix(TYPE_PREFIX) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => {
                return Err(Error::new_spanned(
                    kind,
                    "the constant of a record type begins with `CR_HDR_`",
                ))
            }
        };
        Ok(Self { kind, abi, name })
    }
}

fn record_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("record"))
}

/// Refuses any layout but `#[repr(C, align(8))]`.
///
/// Without `C`, rustc may put the fields in any order; with `align(8)`, the size is a multiple of 8
/// and the same for 32-bit and 64-bit programs.
fn check_repr(input: &DeriveInput) -> Result<()> {
    let (mut c, mut align) = (false, None);
    for attr in input
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("repr"))
    {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("C") {
                c = true;
            } else if meta.path.is_ident("align") {
                let content;
                syn::parenthesized!(content in meta.input);
                let value: LitInt = content.parse()?;
                if value.base10_parse::<u64>()? != ALIGN {
                    return Err(Error::new_spanned(value, "a record is aligned to 8 bytes"));
                }
                align = Some(value);
            } else {
                return Err(meta.error("the layout of a record is `#[repr(C, align(8))]`"));
            }
            Ok(())
        })?;
    }
    if !c || align.is_none() {
        return Err(Error::new_spanned(
            &input.ident,
            "a record needs `#[repr(C, align(8))]`: its layout is ABI",
        ));
    }
    Ok(())
}

/// Why a type that can be told by its tokens cannot be in an image.
fn refuse_type(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Ptr(_) => Some("a pointer means nothing in an image"),
        Type::Reference(_) => Some("a reference means nothing in an image"),
        Type::BareFn(_) => Some("a function pointer means nothing in an image"),
        Type::Tuple(_) => Some("a tuple has no defined layout: use a field for each part"),
        Type::Array(array) => refuse_type(&array.elem),
        Type::Group(group) => refuse_type(&group.elem),
        Type::Paren(paren) => refuse_type(&paren.elem),
        Type::Path(path) => {
            let name = path.path.segments.last()?.ident.to_string();
            match name.as_str() {
                "usize" | "isize" | "c_long" | "c_ulong" => {
                    Some("its width differs between machines: use a fixed-width integer")
                }
                "bool" => Some("not every byte is a `bool`: use an integer and check it"),
                "char" => Some("not every number is a `char`: use an integer and check it"),
                "f32" | "f64" => Some("the kernel has no floating point: use an integer"),
                "u128" | "i128" => {
                    Some("its alignment is more than a record has: use an array of `u64`")
                }
                _ => None,
            }
        }
        _ => Some("a field of a record is a fixed-width integer or an array of them"),
    }
}

/// Whether `ty` is spelled `[u8; N]`.
fn is_byte_array(ty: &Type) -> bool {
    match ty {
        Type::Array(array) => match &*array.elem {
            Type::Path(path) => path.path.is_ident("u8"),
            _ => false,
        },
        _ => false,
    }
}

/// What has become known about one field.
struct Member<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    /// Marked `#[record(text)]`: `char[N]` in C.
    text: bool,
}

impl<'a> Member<'a> {
    fn parse(field: &'a Field) -> Result<Self> {
        let Some(ident) = &field.ident else {
            return Err(Error::new_spanned(field, "a field of a record has a name"));
        };
        let ty = &field.ty;
        if let Some(why) = refuse_type(ty) {
            let message = format!("`{}`: {why}", spelled(ty));
            return Err(Error::new_spanned(ty, message));
        }

        let mut text = false;
        for attr in record_attributes(&field.attrs) {
            attr.parse_nested_meta(|meta| {
                if !meta.path.is_ident("text") {
                    return Err(meta.error("expected `text`"));
                }
                if !is_byte_array(ty) {
                    return Err(meta.error("text is a `[u8; N]`"));
                }
                text = true;
                Ok(())
            })?;
        }
        Ok(Self { ident, ty, text })
    }
}

/// `ty` as in the source, without the spaces that printing tokens puts in.
fn spelled(ty: &Type) -> String {
    match ty {
        Type::Array(array) => {
            let len = match &array.len {
                Expr::Lit(ExprLit {
                    lit: Lit::Int(len), ..
                }) => len.to_string(),
                _ => "_".to_owned(),
            };
            format!("[{}; {len}]", spelled(&array.elem))
        }
        _ => ty
            .to_token_stream()
            .to_string()
            .replace("* ", "*")
            .replace("& ", "&")
            .replace(" :: ", "::"),
    }
}

fn members(input: &DeriveInput) -> Result<Vec<Member<'_>>> {
    let data = match &input.data {
        Data::Struct(data) => data,
        Data::Enum(data) => {
            return Err(Error::new(
                data.enum_token.span,
                "an enum cannot be a record: not every number is one of its values",
            ))
        }
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span,
                "a union cannot be a record: some of its bytes may not be set",
            ))
        }
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(
            &input.ident,
            "a record is a struct with named fields: it needs the names of the C header",
        ));
    };
    if fields.named.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "a record has at least one field",
        ));
    }

    let mut errors = Errors::default();
    let members = fields
        .named
        .iter()
        .filter_map(|field| errors.take(Member::parse(field)))
        .collect();
    errors.finish()?;
    Ok(members)
}

/// Returns the place of `tokens`, for code that the user has not written.
///
/// Errors then point there, but rustc and clippy do not propose to rewrite it.
fn place(tokens: &impl Spanned) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// Asserts, at compile time, that there are no bytes that do not belong to a field.
///
/// Every field has to begin where those before it end, and the struct has to end where its last
/// field ends. Nothing is left between.
fn assert_no_padding(record: &Ident, members: &[Member<'_>]) -> TokenStream {
    let mut end = quote!(0usize);
    let mut asserts = TokenStream::new();
    for Member { ident, ty, .. } in members {
        let message = format!(
            "padding before `{ident}` has to be spelled out as a field with a name that begins \
             with `reserved`"
        );
        asserts.extend(quote_spanned! {place(ident)=>
            ::core::assert!(::core::mem::offset_of!(#record, #ident) == #end, #message);
        });
        end = quote!(#end + ::core::mem::size_of::<#ty>());
    }
    asserts.extend(quote_spanned! {place(record)=>
        ::core::assert!(
            (#end) % (crate::uapi::CR_ALIGN as usize) == 0,
            "the size of a record is a multiple of 8: spell the padding at its end out as a field \
             with a name that begins with `reserved`"
        );
        ::core::assert!(
            ::core::mem::size_of::<#record>() == #end,
            "a record has no bytes that do not belong to a field"
        );
        ::core::assert!(
            ::core::mem::size_of::<#record>() <= crate::uapi::CR_LEN_MAX as usize,
            "a record has at most CR_LEN_MAX bytes"
        );
    });
    asserts
}

/// Asserts, at compile time, that the C header declares the same struct.
///
/// Offsets and the size of the whole alone would let two things through: a field of C that Rust
/// has cut into two, and one of another sign. Both are caught by asking for the same type at the
/// same name. A field that only C has is caught by the pattern, which has to name all of them.
fn assert_same_as_abi(record: &Ident, abi: &Ident, members: &[Member<'_>]) -> TokenStream {
    let idents: Vec<_> = members.iter().map(|member| member.ident).collect();
    let same_types = members.iter().map(|Member { ident, ty, .. }| {
        // The span of the type is where rustc then says "expected `u32`, found `i32`".
        quote_spanned!(place(ty)=> let _: &#ty = #ident;)
    });
    let same_offsets = members.iter().map(|Member { ident, .. }| {
        let message = format!("`{ident}` is not where `struct {abi}` of the C header has it");
        quote_spanned! {place(ident)=>
            ::core::assert!(
                ::core::mem::offset_of!(#record, #ident)
                    == ::core::mem::offset_of!(crate::uapi::#abi, #ident),
                #message
            );
        }
    });
    let size = format!("the size is not that of `struct {abi}` of the C header");
    let align = format!("the alignment is not that of `struct {abi}` of the C header");

    // In code of a macro, rustc would say of a field that is left out only that there is one.
    let same_fields = quote_spanned! {abi.span()=>
        let crate::uapi::#abi { #(#idents),* } = abi;
    };

    quote_spanned! {place(abi)=>
        const _: fn(&crate::uapi::#abi) = |abi| {
            #same_fields
            #(#same_types)*
        };
        const _: () = {
            #(#same_offsets)*
            ::core::assert!(
                ::core::mem::size_of::<#record>() == ::core::mem::size_of::<crate::uapi::#abi>(),
                #size
            );
            ::core::assert!(
                ::core::mem::align_of::<#record>() == ::core::mem::align_of::<crate::uapi::#abi>(),
                #align
            );
        };
    }
}

/// What the inspector and the tests know about a field.
fn describe(record: &Ident, member: &Member<'_>) -> TokenStream {
    let Member { ident, ty, text } = member;
    let name = ident.to_string();
    let kind = if *text {
        quote!(crate::image::FieldKind::Text)
    } else {
        // Spanned, so that a type which is not allowed is reported where it stands.
        quote_spanned!(place(ty)=> <#ty as crate::image::FieldType>::KIND)
    };
    quote! {
        crate::image::Field {
            name: #name,
            offset: ::core::mem::offset_of!(#record, #ident),
            size: ::core::mem::size_of::<#ty>(),
            kind: #kind,
        }
    }
}

pub(crate) fn derive_record(input: DeriveInput) -> Result<TokenStream> {
    let record = &input.ident;

    let mut errors = Errors::default();
    if !input.generics.params.is_empty() {
        errors.add(Error::new_spanned(
            &input.generics,
            "a record cannot be generic: it has one layout",
        ));
    }
    // The message for an enum is about the enum, not about what is then missing from it.
    let members = errors.take(members(&input));
    if members.is_some() || matches!(input.data, Data::Struct(_)) {
        errors.take(check_repr(&input));
    }
    let arguments = errors.take(Arguments::parse(&input));
    errors.finish()?;
    let (Some(members), Some(Arguments { kind, abi, name })) = (members, arguments) else {
        return Err(Error::new(Span::call_site(), "not a record"));
    };

    let no_padding = assert_no_padding(record, &members);
    let same_as_abi = assert_same_as_abi(record, &abi, &members);
    let fields = members.iter().map(|member| describe(record, member));
    let number = quote_spanned!(place(&kind)=> crate::uapi::#kind);
    // The constants are an anonymous enum in C: bindgen makes `u32` of it.
    let valid_number = quote_spanned! {place(&kind)=>
        ::core::assert!(
            #number > 0 && #number <= i16::MAX as u32,
            "the number of a record type has 15 bits and is not 0"
        );
    };

    Ok(quote! {
        #[automatically_derived]
        impl crate::image::Record for #record {
            const TYPE: i16 = #number as i16;
            const NAME: &'static str = #name;
            const LEN: u16 = ::core::mem::size_of::<#record>() as u16;
            const FIELDS: &'static [crate::image::Field] = &[#(#fields),*];
        }

        const _: () = {
            #valid_number
            #no_padding
        };

        #same_as_abi
    })
}
