//! `#[service]`: `options.rs` reads what stands in it, `method.rs` what stands on the methods, `expand.rs` writes the
//! implementation, `stubs.rs` what other nodes call it by.

mod expand;
mod method;
mod options;
mod stubs;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemImpl};

use self::options::ServiceOptions;

/// All mistakes of one service, reported together.
#[derive(Default)]
struct Mistakes(Vec<Error>);

impl Mistakes {
    fn add(&mut self, span: proc_macro2::Span, message: impl std::fmt::Display) {
        self.0.push(Error::new(span, message));
    }

    /// Notes the mistake of a failed result.
    fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    fn into_compile_errors(self) -> TokenStream {
        self.0.iter().map(Error::to_compile_error).collect()
    }
}

pub(crate) fn expand(options: TokenStream, block: &TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = mistakes.take(syn::parse2::<ServiceOptions>(options)).unwrap_or_default();
    let mut block = match syn::parse2::<ItemImpl>(block.clone()) {
        Ok(block) => block,
        Err(error) => {
            let error = Error::new(error.span(), "`#[service]` belongs on an `impl Type { .. }` block")
                .to_compile_error();
            return quote!(#block #error);
        }
    };
    if let Some((_, path, _)) = &block.trait_ {
        mistakes.add(
            syn::spanned::Spanned::span(path),
            "`#[service]` belongs on an `impl Type { .. }` block of its own, not on the implementation of a trait",
        );
        let errors = mistakes.into_compile_errors();
        return quote!(#block #errors);
    }
    let methods = method::take_all(&mut block, &options, &mut mistakes);
    let service = expand::service(&block, &options, &methods, &mut mistakes);
    let errors = mistakes.into_compile_errors();
    quote!(#block #service #errors)
}
