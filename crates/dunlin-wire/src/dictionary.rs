//! The route dictionary: 16-bit codes that stand for route names on the wire.
//!
//! A server hands it out in its handshake answer; from then on either side may send the code instead of the name.
//! Invariant: names and codes are one to one, so that a route means the same in both directions.

use std::collections::BTreeMap;

use crate::limits::ROUTE_LEN_MAX;

#[cfg(test)]
mod tests;

/// Names and codes, looked up in both directions. Cheap to read, not meant to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteDictionary {
    /// Sorted by name.
    by_route: Vec<(Box<str>, u16)>,
    /// Codes with their index above, sorted by code.
    by_code: Vec<(u16, u32)>,
}

/// Why pairs of names and codes are no dictionary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DictionaryError {
    /// A name is given twice.
    #[error("route {route:?} has the codes {first} and {second}")]
    DuplicateRoute {
        /// The name.
        route: String,
        /// Its smaller code.
        first: u16,
        /// Its larger code.
        second: u16,
    },
    /// A code is given twice.
    #[error("code {code} stands for the routes {first:?} and {second:?}")]
    DuplicateCode {
        /// The code.
        code: u16,
        /// The first name, in order of names.
        first: String,
        /// The second name.
        second: String,
    },
    /// A name is empty, or nothing but white space.
    #[error("code {code} stands for an empty route")]
    EmptyRoute {
        /// The code.
        code: u16,
    },
    /// A name does not fit a message.
    #[error("route {route:?} of {} bytes is over the limit of {ROUTE_LEN_MAX}", route.len())]
    RouteTooLong {
        /// The name.
        route: String,
    },
    /// Code 0: JavaScript clients take it for "no code" and would never send it.
    #[error("route {route:?} has the code 0, which clients take for none")]
    ZeroCode {
        /// The name.
        route: String,
    },
}

impl RouteDictionary {
    /// A dictionary of the given pairs. White space around names is dropped.
    ///
    /// # Errors
    ///
    /// [`DictionaryError`] for the first pair that cannot be in a dictionary.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, u16)>) -> Result<Self, DictionaryError> {
        let mut by_route = Vec::new();
        for (route, code) in pairs {
            by_route.push((Self::check(route.trim(), code)?, code));
        }
        by_route.sort_unstable();
        for ((first_route, first), (route, second)) in by_route.iter().zip(by_route.iter().skip(1)) {
            if first_route == route {
                return Err(DictionaryError::DuplicateRoute {
                    route: route.to_string(),
                    first: *first,
                    second: *second,
                });
            }
        }
        let dictionary = Self::from_sorted(by_route);
        let codes = dictionary.by_code.iter();
        for ((code, first), (next, second)) in codes.clone().zip(codes.skip(1)) {
            if code == next {
                return Err(DictionaryError::DuplicateCode {
                    code: *code,
                    first: dictionary.route_at(*first).unwrap_or_default().to_owned(),
                    second: dictionary.route_at(*second).unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(dictionary)
    }

    /// What a server told us, as far as it can be used: names that could not be sent are left out, and of names that share a code
    /// all but the first.
    pub(crate) fn from_peer(pairs: &BTreeMap<String, u16>) -> Self {
        let mut codes = std::collections::BTreeSet::new();
        let by_route = pairs
            .iter()
            .filter(|(route, code)| route.len() <= ROUTE_LEN_MAX && codes.insert(**code))
            .map(|(route, code)| (route.as_str().into(), *code))
            .collect();
        Self::from_sorted(by_route)
    }

    /// The code of a route name.
    #[must_use]
    pub fn code(&self, route: &str) -> Option<u16> {
        let found = self.by_route.binary_search_by(|(name, _)| (**name).cmp(route));
        self.by_route.get(found.ok()?).map(|(_, code)| *code)
    }

    /// The route name of a code.
    #[must_use]
    pub fn route(&self, code: u16) -> Option<&str> {
        let found = self.by_code.binary_search_by_key(&code, |(code, _)| *code);
        let (_, index) = self.by_code.get(found.ok()?)?;
        self.route_at(*index)
    }

    /// All pairs, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, u16)> {
        self.by_route.iter().map(|(route, code)| (&**route, *code))
    }

    /// The number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_route.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_route.is_empty()
    }

    fn check(route: &str, code: u16) -> Result<Box<str>, DictionaryError> {
        if route.is_empty() {
            return Err(DictionaryError::EmptyRoute { code });
        }
        let own_route = || route.to_owned();
        if route.len() > ROUTE_LEN_MAX {
            return Err(DictionaryError::RouteTooLong { route: own_route() });
        }
        if code == 0 {
            return Err(DictionaryError::ZeroCode { route: own_route() });
        }
        Ok(route.into())
    }

    fn from_sorted(by_route: Vec<(Box<str>, u16)>) -> Self {
        let mut by_code: Vec<_> = by_route.iter().zip(0..).map(|((_, code), at)| (*code, at)).collect();
        by_code.sort_unstable();
        Self { by_route, by_code }
    }

    fn route_at(&self, index: u32) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        self.by_route.get(index).map(|(route, _)| &**route)
    }
}
