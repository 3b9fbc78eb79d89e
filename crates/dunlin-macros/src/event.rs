//! The derive of `Event`: the route, the coalescing key and the encoding of what is pushed.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Error, Expr, Ident, LitStr, Result, Token};

/// The longest route that fits a message.
pub(crate) const ROUTE_LEN_MAX: usize = 255;

/// What stands in `#[event(..)]`.
struct EventArgs {
    route: LitStr,
    key: Option<Expr>,
    is_protobuf: bool,
}

impl Parse for EventArgs {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let route: LitStr = input.parse().map_err(|error| {
            Error::new(error.span(), "the first thing in `#[event(..)]` is the route, in quotes")
        })?;
        if route.value().is_empty() || route.value().len() > ROUTE_LEN_MAX {
            return Err(Error::new(route.span(), format!("a route is 1 to {ROUTE_LEN_MAX} bytes long")));
        }
        let mut args = Self { route, key: None, is_protobuf: false };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let option: Ident = input.parse()?;
            if option == "key" {
                input.parse::<Token![=]>()?;
                args.key = Some(input.parse()?);
            } else if option == "protobuf" {
                args.is_protobuf = true;
            } else {
                let message =
                    format!("unknown option `{option}`; an event has `key = EXPRESSION` and `protobuf`");
                return Err(Error::new(option.span(), message));
            }
        }
        Ok(args)
    }
}

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let mut attributes = item.attrs.iter().filter(|attribute| attribute.path().is_ident("event"));
    let Some(attribute) = attributes.next() else {
        return Err(Error::new(item.ident.span(), "name the event's route: `#[event(\"onLine\")]`"));
    };
    if let Some(second) = attributes.next() {
        return Err(Error::new(second.span(), "an event has one route"));
    }
    let EventArgs { route, key, is_protobuf } = attribute.parse_args()?;
    let at = Span::call_site().located_at(item.ident.span());
    let encode = if is_protobuf {
        quote_spanned!(at=> ::dunlin::service::codegen::encode_proto(self, out))
    } else {
        quote_spanned!(at=> serializer.serialize(self, out))
    };
    let coalesce_key = key.map(|key| {
        let key = key_expression(&item, &key);
        quote! {
            fn coalesce_key(&self) -> ::core::option::Option<u64> {
                ::core::option::Option::Some(::dunlin::service::codegen::coalesce_key(Self::ROUTE, &#key))
            }
        }
    });
    let name = &item.ident;
    let (impl_generics, type_generics, where_clause) = item.generics.split_for_impl();
    let serializer = if is_protobuf { quote!(_) } else { quote!(serializer) };
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::dunlin::Event for #name #type_generics #where_clause {
            const ROUTE: &'static str = #route;

            fn encode(
                &self,
                #serializer: &::dunlin::serializer::SerializerKind,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), ::dunlin::serializer::SerializeError> {
                #encode
            }

            #coalesce_key
        }
    })
}

/// The bare name of a field stands for that field; anything else stands for itself.
fn key_expression(item: &DeriveInput, key: &Expr) -> TokenStream {
    if let Expr::Path(path) = key
        && let Some(name) = path.path.get_ident()
        && let syn::Data::Struct(item) = &item.data
        && item.fields.iter().any(|field| field.ident.as_ref() == Some(name))
    {
        return quote!(self.#name);
    }
    quote!((#key))
}
