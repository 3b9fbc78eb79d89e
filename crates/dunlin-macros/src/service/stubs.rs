//! Writes the stubs by which other nodes call a service: one function for each handler whose payload and answer can be read off its signature.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{GenericArgument, ItemImpl, LitStr, PathArguments, Type};

use super::Mistakes;
use super::expand::route_name;
use super::method::{CallRole, Method, Role};
use super::options::ServiceOptions;

pub(super) fn client(
    block: &ItemImpl,
    name: &LitStr,
    options: &ServiceOptions,
    (methods, mistakes): (&[Method], &mut Mistakes),
) -> TokenStream {
    if !options.has_client {
        return TokenStream::new();
    }
    let ident = match &*block.self_ty {
        Type::Path(path) if block.generics.params.is_empty() => path.path.segments.last(),
        _ => None,
    };
    let Some(ident) = ident.map(|segment| &segment.ident) else {
        mistakes.add(
            syn::spanned::Spanned::span(&block.self_ty),
            "a service has a `client` if its type has a name and no parameters",
        );
        return TokenStream::new();
    };
    let client = format_ident!("{ident}Client");
    let stubs = methods.iter().filter_map(|method| match &method.role {
        Role::Call(role) => stub(method, role, name, options),
        Role::Tick(_) | Role::Hook(_) => None,
    });
    let docs = format!("Calls the service `{}` on a node that has it.", name.value());
    quote! {
        #[doc = #docs]
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct #client;

        #[automatically_derived]
        #[allow(dead_code, reason = "not every handler is called by other nodes")]
        impl #client {
            #(#stubs)*
        }
    }
}

fn stub(method: &Method, role: &CallRole, name: &LitStr, options: &ServiceOptions) -> Option<TokenStream> {
    let route = format!("{}.{}", name.value(), route_name(method, role, options));
    let answer = match &method.output {
        None => quote!(()),
        Some(output) => {
            let answer = parameter_of(output, "Result")?;
            quote!(#answer)
        }
    };
    let readers = ["Proto", "Raw"];
    if method.arguments.iter().any(|argument| readers.iter().any(|reader| is_named(argument, reader))) {
        return None;
    }
    let payload = method.arguments.iter().find_map(|argument| parameter_of(argument, "Msg"));
    let (parameter, body) = match payload {
        Some(payload) => (quote!(, body: &#payload), quote!(body)),
        None => (TokenStream::new(), quote!(&())),
    };
    let (ident, cfgs, docs) = (&method.ident, &method.cfgs, &method.docs);
    Some(quote! {
        #(#cfgs)*
        #[doc = #docs]
        pub(crate) async fn #ident(cluster: &::dunlin::Cluster #parameter) -> ::dunlin::Result<#answer> {
            cluster.call(#route, #body).await
        }
    })
}

fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// The first parameter of a type of this name.
fn parameter_of<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
