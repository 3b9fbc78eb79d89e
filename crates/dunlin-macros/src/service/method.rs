//! What stands on the methods of a service, and whether their signatures fit.

mod period;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Meta, Result, ReturnType,
    Signature, Token, Type,
};

use super::Mistakes;
use super::options::{ServiceOptions, value};

/// A method that generated code calls.
pub(super) struct Method {
    pub(super) role: Role,
    pub(super) ident: Ident,
    pub(super) docs: String,
    /// `#[cfg(..)]` attributes, which must stand on the generated code too.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) arguments: Vec<Type>,
    /// `None` when it returns nothing.
    pub(super) output: Option<Type>,
}

/// What a method is for.
pub(super) enum Role {
    Call(CallRole),
    /// Runs every so many milliseconds.
    Tick(u64),
    /// Runs in a stage of the service's life, a variant of `Stage`.
    Hook(&'static str),
}

pub(super) struct CallRole {
    pub(super) is_request: bool,
    pub(super) is_concurrent: bool,
    pub(super) is_idempotent: bool,
    pub(super) is_internal: bool,
    pub(super) name: Option<LitStr>,
}

/// The stages that are attributes, with their variants of `Stage`.
const HOOKS: [(&str, &str); 4] = [
    ("init", "Init"),
    ("after_init", "AfterInit"),
    ("before_shutdown", "BeforeShutdown"),
    ("shutdown", "Shutdown"),
];

/// Takes our attributes off the methods of the block. Methods with mistakes are left out.
pub(super) fn take_all(
    block: &mut ItemImpl,
    options: &ServiceOptions,
    mistakes: &mut Mistakes,
) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut is_marked = false;
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else { continue };
        let marks: Vec<Attribute> = function.attrs.extract_if(.., |attribute| is_ours(attribute)).collect();
        let Some(mark) = marks.first() else { continue };
        is_marked = true;
        if let Some(second) = marks.get(1) {
            mistakes.add(second.path().span(), "a method is for one thing: it has one of these attributes");
            continue;
        }
        let before = mistakes.0.len();
        let role = mistakes.take(role(mark));
        check(&function.sig, mark, options, mistakes);
        if let Some(role) = role {
            check_role(&role, &function.sig, options, mistakes);
            if mistakes.0.len() == before {
                methods.push(method(role, function));
            }
        }
    }
    if !is_marked {
        let message = "this service has no handler: write `#[request]` or `#[notify]` above its methods";
        mistakes.add(block.self_ty.span(), message);
    }
    methods
}

fn is_ours(attribute: &Attribute) -> bool {
    let path = attribute.path();
    ["request", "notify", "every"].iter().any(|name| path.is_ident(name)) || hook(attribute).is_some()
}

fn hook(attribute: &Attribute) -> Option<&'static str> {
    HOOKS.iter().find(|(name, _)| attribute.path().is_ident(name)).map(|(_, stage)| *stage)
}

fn role(mark: &Attribute) -> Result<Role> {
    if let Some(stage) = hook(mark) {
        mark.meta.require_path_only()?;
        return Ok(Role::Hook(stage));
    }
    if mark.path().is_ident("every") {
        let missing = |_| Error::new(mark.span(), "say how often: `#[every(\"50ms\")]`");
        let period: LitStr = mark.parse_args().map_err(missing)?;
        return Ok(Role::Tick(period::parse(&period)?));
    }
    let options = match mark.meta {
        Meta::Path(_) => CallOptions::default(),
        _ => mark.parse_args()?,
    };
    let CallOptions { is_concurrent, is_idempotent, is_internal, name } = options;
    let is_request = mark.path().is_ident("request");
    Ok(Role::Call(CallRole { is_request, is_concurrent, is_idempotent, is_internal, name }))
}

/// What stands in `#[request(..)]` and `#[notify(..)]`.
#[derive(Default)]
struct CallOptions {
    is_concurrent: bool,
    is_idempotent: bool,
    is_internal: bool,
    name: Option<LitStr>,
}

impl Parse for CallOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            if option == "concurrent" {
                options.is_concurrent = true;
            } else if option == "idempotent" {
                options.is_idempotent = true;
            } else if option == "internal" {
                options.is_internal = true;
            } else if option == "name" {
                options.name = Some(method_name(value(input, &option)?)?);
            } else {
                let message = format!(
                    "unknown option `{option}`; a handler has `name`, `concurrent`, `idempotent` and `internal`"
                );
                return Err(Error::new(option.span(), message));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

fn method_name(name: LitStr) -> Result<LitStr> {
    let text = name.value();
    if text.is_empty() {
        return Err(Error::new(name.span(), "the name of a handler may not be empty"));
    }
    if text.contains('.') {
        let message = "the name of a handler is what follows the last dot of its route, so it has no dot; name the service with `#[service(name = \"..\")]`";
        return Err(Error::new(name.span(), message));
    }
    Ok(name)
}

/// What holds for every method we call.
fn check(sig: &Signature, mark: &Attribute, options: &ServiceOptions, mistakes: &mut Mistakes) {
    let mark = mark.path().to_token_stream();
    if sig.asyncness.is_none() {
        mistakes.add(sig.fn_token.span(), format!("a #[{mark}] method must be `async fn`"));
    }
    if !sig.generics.params.is_empty() {
        let message = format!(
            "a #[{mark}] method cannot be generic: nothing tells which types a call from outside means"
        );
        mistakes.add(sig.generics.span(), message);
    }
    match sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            let is_plain = receiver.reference.is_some() && receiver.colon_token.is_none();
            if !is_plain {
                mistakes.add(
                    receiver.span(),
                    format!(
                        "a #[{mark}] method takes `&self`{}",
                        if options.is_serial { " or `&mut self`" } else { "" }
                    ),
                );
            } else if let (Some(mutability), false) = (&receiver.mutability, options.is_serial) {
                let message = "handlers of a service run at the same time, so they take `&self`; to run one at a time with `&mut self`, write `#[service(serial)]`";
                mistakes.add(mutability.span(), message);
            }
        }
        _ => mistakes.add(sig.ident.span(), format!("a #[{mark}] method takes `&self`")),
    }
    for argument in sig.inputs.iter().filter_map(typed) {
        if let Type::ImplTrait(argument) = argument {
            mistakes.add(
                argument.span(),
                format!("an argument of a #[{mark}] method must have one type, not `impl Trait`"),
            );
        }
    }
}

/// What holds for some.
fn check_role(role: &Role, sig: &Signature, options: &ServiceOptions, mistakes: &mut Mistakes) {
    let Role::Call(call) = role else { return };
    if call.is_request && matches!(sig.output, ReturnType::Default) {
        let message = "a request must return `Result<T>`, where `T: serde::Serialize`: the client waits for exactly one answer; nothing to say is `Result<()>`";
        mistakes.add(sig.ident.span(), message);
    }
    if call.is_concurrent && options.is_serial {
        mistakes
            .add(sig.ident.span(), "handlers of a serial service run one at a time, so none is `concurrent`");
    }
}

fn typed(argument: &FnArg) -> Option<&Type> {
    match argument {
        FnArg::Typed(argument) => Some(&argument.ty),
        FnArg::Receiver(_) => None,
    }
}

fn method(role: Role, function: &ImplItemFn) -> Method {
    let output = match &function.sig.output {
        ReturnType::Default => None,
        ReturnType::Type(_, output) => Some((**output).clone()),
    };
    Method {
        role,
        ident: function.sig.ident.clone(),
        docs: docs(&function.attrs),
        cfgs: function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect(),
        arguments: function.sig.inputs.iter().filter_map(typed).cloned().collect(),
        output,
    }
}

/// The documentation of a method, without the space that begins each line.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect();
    lines.join("\n")
}

impl Method {
    pub(super) fn span(&self) -> Span {
        self.ident.span()
    }

    /// The type returned, to be written in generated code. `impl Trait` cannot be named and is left to inference.
    pub(super) fn output_type(&self) -> TokenStream {
        match &self.output {
            None => quote::quote!(()),
            Some(output) => {
                let tokens = output.to_token_stream();
                if names(tokens.clone(), "impl") { quote::quote!(_) } else { tokens }
            }
        }
    }
}

/// Whether an identifier or keyword stands anywhere in `tokens`.
pub(super) fn names(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == name,
        proc_macro2::TokenTree::Group(group) => names(group.stream(), name),
        _ => false,
    })
}
