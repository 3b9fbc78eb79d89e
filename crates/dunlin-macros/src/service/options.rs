//! What stands in `#[service(..)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitInt, LitStr, Result, Token};

/// Calls that may wait for a serial service, unless it says otherwise.
const MAILBOX_DEFAULT: usize = 1024;

/// How method names become route names.
#[derive(Clone, Copy)]
pub(super) enum Case {
    AsIs,
    Pascal,
    Camel,
}

/// What stands in `#[service(..)]`.
pub(super) struct ServiceOptions {
    pub(super) name: Option<LitStr>,
    pub(super) case: Case,
    pub(super) is_serial: bool,
    pub(super) mailbox: usize,
    pub(super) serializer: Option<Expr>,
    /// Whether stubs for calls from other nodes are written.
    pub(super) has_client: bool,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            name: None,
            case: Case::AsIs,
            is_serial: false,
            mailbox: MAILBOX_DEFAULT,
            serializer: None,
            has_client: false,
        }
    }
}

impl Parse for ServiceOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut mailbox = None;
        while !input.is_empty() {
            let option: Ident = input.parse()?;
            match option.to_string().as_str() {
                "client" => options.has_client = true,
                "serial" => options.is_serial = true,
                "name" => options.name = Some(service_name(value(input, &option)?)?),
                "rename" => options.case = case(&value(input, &option)?)?,
                "mailbox" => mailbox = Some(value::<LitInt>(input, &option)?),
                "serializer" => options.serializer = Some(value(input, &option)?),
                _ => {
                    let message = format!(
                        "unknown option `{option}`; a service has `name`, `rename`, `serial`, `mailbox`, `serializer` and `client`"
                    );
                    return Err(Error::new(option.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if let Some(mailbox) = mailbox {
            if !options.is_serial {
                return Err(Error::new(mailbox.span(), "only a serial service has a mailbox: add `serial`"));
            }
            options.mailbox = mailbox_len(&mailbox)?;
        }
        Ok(options)
    }
}

/// The value after `option =`.
pub(super) fn value<T: Parse>(input: ParseStream<'_>, option: &Ident) -> Result<T> {
    if !input.peek(Token![=]) {
        return Err(Error::new(option.span(), format!("`{option}` needs a value: `{option} = ..`")));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

fn service_name(name: LitStr) -> Result<LitStr> {
    if name.value().is_empty() {
        return Err(Error::new(name.span(), "the name of a service may not be empty"));
    }
    Ok(name)
}

fn mailbox_len(len: &LitInt) -> Result<usize> {
    match len.base10_parse() {
        Ok(0) => Err(Error::new(len.span(), "a mailbox for no calls would refuse them all")),
        parsed => parsed,
    }
}

fn case(name: &LitStr) -> Result<Case> {
    match name.value().as_str() {
        "PascalCase" => Ok(Case::Pascal),
        "camelCase" => Ok(Case::Camel),
        "snake_case" => Ok(Case::AsIs),
        _ => Err(Error::new(
            name.span(),
            "the case of routes is \"PascalCase\", \"camelCase\" or \"snake_case\"",
        )),
    }
}

impl Case {
    pub(super) fn apply(self, method: &str) -> String {
        let is_first_upper = match self {
            Self::AsIs => return method.to_owned(),
            Self::Pascal => true,
            Self::Camel => false,
        };
        let words = method.split('_').filter(|word| !word.is_empty());
        words
            .enumerate()
            .map(|(at, word)| if at > 0 || is_first_upper { capitalised(word) } else { word.to_owned() })
            .collect()
    }
}

fn capitalised(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_join_the_words_of_a_method() {
        assert_eq!(Case::Pascal.apply("join_room"), "JoinRoom");
        assert_eq!(Case::Camel.apply("join_room"), "joinRoom");
        assert_eq!(Case::AsIs.apply("join_room"), "join_room");
        assert_eq!(Case::Pascal.apply("_join"), "Join");
    }
}
