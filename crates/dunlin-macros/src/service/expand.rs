//! Writes the implementation of `Service`.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{ItemImpl, LitStr, Type};

use super::method::{CallRole, Method, Role, names};
use super::options::ServiceOptions;
use super::{Mistakes, stubs};

pub(super) fn service(
    block: &ItemImpl,
    options: &ServiceOptions,
    methods: &[Method],
    mistakes: &mut Mistakes,
) -> TokenStream {
    let Some(name) = service_name(&block.self_ty, options) else {
        mistakes
            .add(block.self_ty.span(), "this type has no name of its own: add `#[service(name = \"..\")]`");
        return TokenStream::new();
    };
    let is_generic = !block.generics.params.is_empty();
    let mut routes = HashMap::new();
    let statements: Vec<_> = methods
        .iter()
        .filter_map(|method| {
            let statement = match &method.role {
                Role::Call(role) => {
                    let route = route_name(method, role, options);
                    if let Some(first) = routes.insert(route.clone(), &method.ident)
                        // Alternatives under different conditions may share a route; the application checks it again.
                        && method.cfgs.is_empty()
                    {
                        let message =
                            format!("route `{}.{route}` is served by `{first}` already", name.value());
                        mistakes.add(method.span(), message);
                        return None;
                    }
                    route_statement(method, role, &route, options, is_generic)
                }
                Role::Tick(period_ms) => {
                    let (needs, body) = hook_parts(method);
                    quote!(service.every(::core::time::Duration::from_millis(#period_ms), #needs, #body);)
                }
                Role::Hook(stage) => {
                    let stage = format_ident!("{stage}");
                    let (needs, body) = hook_parts(method);
                    quote!(service.hook(::dunlin::service::Stage::#stage, #needs, #body);)
                }
            };
            let cfgs = &method.cfgs;
            Some(quote!(#(#cfgs)* #statement))
        })
        .collect();
    let mounted = mounted(&block.self_ty, options);
    let serializer = options.serializer.as_ref().map(|expression| quote!(service.serializer(#expression);));
    let self_ty = &block.self_ty;
    let (impl_generics, _, where_clause) = block.generics.split_for_impl();
    let client = stubs::client(block, &name, options, (methods, mistakes));
    quote! {
        #client

        #[automatically_derived]
        impl #impl_generics ::dunlin::service::Service for #self_ty #where_clause {
            const NAME: &'static str = #name;

            fn mount(self, mount: ::dunlin::service::Mount<'_>) {
                #[allow(unused_mut, reason = "a service of which every method is configured out changes nothing")]
                let mut service = #mounted;
                #serializer
                #(#statements)*
                service.done();
            }
        }
    }
}

/// Stands at the type, so that a type that cannot be sent between threads is pointed at.
fn mounted(self_ty: &Type, options: &ServiceOptions) -> TokenStream {
    let mailbox = options.mailbox;
    if options.is_serial {
        quote_spanned!(at(self_ty.span())=> mount.serial::<Self>(self, #mailbox))
    } else {
        quote_spanned!(at(self_ty.span())=> mount.shared::<Self>(self))
    }
}

fn service_name(self_ty: &Type, options: &ServiceOptions) -> Option<LitStr> {
    if let Some(name) = &options.name {
        return Some(name.clone());
    }
    let Type::Path(path) = self_ty else { return None };
    let ident = &path.path.segments.last()?.ident;
    Some(LitStr::new(&ident.to_string(), ident.span()))
}

pub(super) fn route_name(method: &Method, role: &CallRole, options: &ServiceOptions) -> String {
    match &role.name {
        Some(name) => name.value(),
        // `r#move` is the route `move`.
        None => options.case.apply(method.ident.to_string().trim_start_matches("r#")),
    }
}

fn route_statement(
    method: &Method,
    role: &CallRole,
    route: &str,
    options: &ServiceOptions,
    is_generic: bool,
) -> TokenStream {
    let kind = format_ident!("{}", if role.is_request { "Request" } else { "Notify" });
    let CallRole { is_concurrent, is_idempotent, is_internal, .. } = role;
    let docs = &method.docs;
    let needs = route_needs(method, role);
    let body = call_body(method, role, options, is_generic);
    let call = if method.arguments.is_empty() { quote!(call) } else { quote!(mut call) };
    quote! {
        service.route(&::dunlin::service::RouteSpec {
            method: #route,
            kind: ::dunlin::service::RouteKind::#kind,
            is_concurrent: #is_concurrent,
            is_idempotent: #is_idempotent,
            is_internal: #is_internal,
            docs: #docs,
            needs: #needs,
            function: || ::dunlin::service::codegen::route_fn(|#call: ::dunlin::service::Call| #body),
        });
    }
}

fn route_needs(method: &Method, role: &CallRole) -> TokenStream {
    let arguments = method.arguments.iter();
    let arguments = arguments
        .map(|ty| quote_spanned!(at(ty.span())=> <#ty as ::dunlin::service::Extract>::needs(needs);));
    let output = method.output_type();
    // A type that cannot be named tells nothing about itself.
    let is_told = role.is_request && output.to_string() != "_";
    let output = is_told.then(
        || quote_spanned!(at(method.span())=> <#output as ::dunlin::service::RequestOutput>::needs(needs);),
    );
    quote! {
        |needs: &mut ::dunlin::service::Needs| {
            let _ = &needs;
            #(#arguments)*
            #output
        }
    }
}

/// Checks that one argument at most reads the payload: where it can, as soon as the types are known, and in a generic
/// service when it is used.
fn one_reader(method: &Method, is_generic: bool) -> TokenStream {
    let types = &method.arguments;
    if types.len() < 2 {
        return TokenStream::new();
    }
    let check = quote_spanned! {at(method.span())=>
        ::dunlin::service::codegen::one_reads_the_body(&[#(<#types as ::dunlin::service::Extract>::READS_BODY),*])
    };
    let is_generic = is_generic || types.iter().any(|ty| names(ty.to_token_stream(), "Self"));
    if is_generic { quote!(const { #check };) } else { quote!(const _: () = #check;) }
}

fn call_body(method: &Method, role: &CallRole, options: &ServiceOptions, is_generic: bool) -> TokenStream {
    let names = argument_names(method);
    let types = &method.arguments;
    let extracted = names.iter().zip(types).map(|(name, ty)| {
        quote_spanned!(at(ty.span())=> let #name = <#ty as ::dunlin::service::Extract>::extract(&mut call)?;)
    });
    let one_reader = one_reader(method, is_generic);
    let ident = &method.ident;
    let ty = method.output_type();
    let output = if options.is_serial {
        quote_spanned! {at(method.span())=>
            ::dunlin::service::codegen::ask::<Self, #ty, _>(&call, move |service| {
                ::std::boxed::Box::pin(async move { Self::#ident(service, #(#names),*).await })
            }).await?
        }
    } else {
        quote_spanned! {at(method.span())=>
            Self::#ident(::dunlin::service::codegen::service_of::<Self>(&call)?, #(#names),*).await
        }
    };
    let finish = if role.is_request {
        quote_spanned!(at(method.span())=> <#ty as ::dunlin::service::RequestOutput>::finish(output, &call))
    } else {
        quote_spanned!(at(method.span())=>
            ::dunlin::service::codegen::finish_notify(<#ty as ::dunlin::service::NotifyOutput>::outcome(output), &call))
    };
    quote_spanned! {at(method.span())=>
        async move {
            #one_reader
            #(#extracted)*
            let output = #output;
            #finish
        }
    }
}

/// What a hook or tick needs, and its function.
fn hook_parts(method: &Method) -> (TokenStream, TokenStream) {
    let names = argument_names(method);
    let types = &method.arguments;
    let needs = types
        .iter()
        .map(|ty| quote_spanned!(at(ty.span())=> <#ty as ::dunlin::service::FromApp>::app_needs(needs);));
    let taken = names.iter().zip(types).map(|(name, ty)| {
        quote_spanned!(at(ty.span())=> let #name = <#ty as ::dunlin::service::FromApp>::from_app(app)?;)
    });
    let ident = &method.ident;
    let ty = method.output_type();
    let needs = quote! {
        |needs: &mut ::dunlin::service::Needs| {
            let _ = &needs;
            #(#needs)*
        }
    };
    let body = quote_spanned! {at(method.span())=>
        |service, app| {
            ::std::boxed::Box::pin(async move {
                let _ = app;
                #(#taken)*
                let output = Self::#ident(service, #(#names),*).await;
                <#ty as ::dunlin::service::NotifyOutput>::outcome(output)
            })
        }
    };
    (needs, body)
}

fn argument_names(method: &Method) -> Vec<proc_macro2::Ident> {
    (0..method.arguments.len()).map(|at| format_ident!("argument_{at}")).collect()
}

/// Generated code that an error should point at as if it stood there, and lints should know as generated.
fn at(span: Span) -> Span {
    Span::call_site().located_at(span)
}
