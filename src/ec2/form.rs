//! The parameters of a request in the EC2 query protocol: flat keys with dots and numbers.
//!
//! `TagSpecification.1.Tag.2.Key=env` is the key of the second tag of the first specification.
//! The form records which keys an action reads. Any other key is an `UnknownParameter`, so that
//! misspelled keys are errors.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::signature;
use crate::control::account::ApiError;

/// Parameters by name, and the names that were read.
#[derive(Debug)]
pub(super) struct Form {
    parameters: BTreeMap<String, String>,
    read_names: RefCell<BTreeSet<String>>,
}

impl Form {
    /// Parses a query string and a body; either may be empty. Parameters of the signature are left
    /// out.
    ///
    /// # Errors
    /// `MalformedQueryString` for a parameter that is not UTF-8, `InvalidParameterCombination` for
    /// one that is given twice.
    pub(super) fn parse(query: &str, body: &[u8]) -> Result<Self, ApiError> {
        let mut parameters = BTreeMap::new();
        let query = form_urlencoded::parse(query.as_bytes());
        let query = query.filter(|(name, _)| !signature::PARAMETERS.contains(&&**name));
        for (name, value) in query.chain(form_urlencoded::parse(body)) {
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                let message = format!("The parameter {name} is not UTF-8.");
                return Err(ApiError::new("MalformedQueryString", message));
            }
            if let Some(first) = parameters.insert(name.to_string(), value.into_owned()) {
                let message =
                    format!("The parameter {name} is given twice; the first value is '{first}'.");
                return Err(ApiError::new("InvalidParameterCombination", message));
            }
        }
        Ok(Self { parameters, read_names: RefCell::default() })
    }

    /// A string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (name, value) = self.parameters.get_key_value(name)?;
        self.read_names.borrow_mut().insert(name.clone());
        Some(value)
    }

    /// Whether there is a string that is not empty.
    pub(super) fn has_text(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| !text.is_empty())
    }

    /// A required string, which must not be empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| ApiError::missing_parameter(name))
    }

    /// An owned string.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// An integer.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| {
            text.parse().map_err(|_| ApiError::invalid_value(name, text, "an integer"))
        };
        self.text(name).map(parse).transpose()
    }

    /// A boolean, false if it is absent.
    pub(super) fn boolean(&self, name: &str) -> Result<bool, ApiError> {
        let Some(text) = self.text(name) else { return Ok(false) };
        match &*text.to_ascii_lowercase() {
            "false" | "0" => Ok(false),
            "true" | "1" => Ok(true),
            _ => Err(ApiError::invalid_value(name, text, "true or false")),
        }
    }

    /// The prefixes of the members of a list, in ascending order: `Filter.1`, `Filter.2`.
    pub(super) fn members(&self, list: &str) -> Vec<String> {
        let prefix = format!("{list}.");
        let from_prefix = self.parameters.range(prefix.clone()..);
        let suffixes = from_prefix.map_while(|(name, _)| name.strip_prefix(&*prefix));
        let numbers = suffixes.filter_map(|suffix| suffix.split('.').next()?.parse::<u32>().ok());
        let numbers: BTreeSet<u32> = numbers.filter(|number| *number > 0).collect();
        numbers.into_iter().map(|number| format!("{list}.{number}")).collect()
    }

    /// The strings of a list, in ascending order.
    pub(super) fn texts(&self, list: &str) -> Vec<String> {
        self.members(list).iter().filter_map(|member| self.owned(member)).collect()
    }

    /// Checks that every parameter was read.
    pub(super) fn check_no_unknown_parameters(&self) -> Result<(), ApiError> {
        let read_names = self.read_names.borrow();
        match self.parameters.keys().find(|name| !read_names.contains(*name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("The parameter {name} is not recognized.");
                Err(ApiError::new("UnknownParameter", message))
            }
        }
    }

    /// The same parameters with other strings in a list. The parameters that were read count as
    /// read, here and in [`Form::with`].
    pub(super) fn with_list(&self, list: &str, values: &[&str]) -> Self {
        let mut parameters = self.parameters.clone();
        let members = self.members(list);
        parameters.retain(|name, _| !members.contains(name));
        let numbered = (1..).zip(values);
        parameters.extend(numbered.map(|(n, value)| (format!("{list}.{n}"), (*value).to_owned())));
        Self { parameters, read_names: self.read_names.clone() }
    }

    /// The same parameters with another value of one of them, or without it.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut parameters = self.parameters.clone();
        match value {
            Some(value) => parameters.insert(name.to_owned(), value.to_owned()),
            None => parameters.remove(name),
        };
        Self { parameters, read_names: self.read_names.clone() }
    }

    /// The parameters as the body of a request.
    pub(super) fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.parameters).finish()
    }

    /// The action and its parameters in sorted order, without ClientToken and DryRun.
    pub(super) fn fingerprint(&self) -> String {
        let is_significant = |name: &str| !matches!(name, "ClientToken" | "DryRun");
        let mut text = String::new();
        for (name, value) in self.parameters.iter().filter(|(name, _)| is_significant(name)) {
            // The lengths separate names and values, so that no two forms have the same text.
            text.push_str(&format!("{}:{name}{}:{value}", name.len(), value.len()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse("", text.as_bytes()).unwrap()
    }

    #[test]
    fn forms_are_decoded() {
        let form = form("Action=A&Description=a+b%26c%3D%C3%A9&Empty=");
        assert_eq!(form.text("Description"), Some("a b&c=\u{e9}"));
        assert_eq!(form.text("Empty"), Some(""));
        assert_eq!(form.text("Nothing"), None);
        assert_eq!(form.required("Empty").unwrap_err().code, "MissingParameter");
    }

    #[test]
    fn list_members_are_sorted_by_number() {
        let form = form("Id.10=c&Id.2=b&Id.1=a&Idx.1=x&Filter.1.Name=n&Filter.1.Value.2=w");
        assert_eq!(form.texts("Id"), ["a", "b", "c"]);
        assert_eq!(form.members("Filter"), ["Filter.1"]);
        assert_eq!(form.texts("Filter.1.Value"), ["w"]);
    }

    #[test]
    fn an_unread_parameter_is_an_error() {
        let form = form("Action=A&Colour=red");
        form.text("Action");
        assert_eq!(
            form.check_no_unknown_parameters().unwrap_err().message,
            "The parameter Colour is not recognized."
        );
        form.text("Colour");
        form.check_no_unknown_parameters().unwrap();
    }

    #[test]
    fn a_form_with_other_values_is_encoded_again() {
        let form = form("Action=A&Id.1=a&Id.2=b&Id.3=c&Note=x+y%26z&NextToken=t");
        form.text("Action");
        let part =
            form.with_list("Id", &["c"]).with("NextToken", None).with("Note", Some("\u{e9}"));
        assert_eq!(part.encoded(), "Action=A&Id.1=c&Note=%C3%A9");
        assert_eq!(form.encoded(), "Action=A&Id.1=a&Id.2=b&Id.3=c&NextToken=t&Note=x+y%26z");
        part.texts("Id");
        part.text("Note");
        part.check_no_unknown_parameters().unwrap();
    }

    #[test]
    fn invalid_forms_are_refused() {
        assert!(Form::parse("", b"a=%ff").is_err());
        assert!(Form::parse("", b"a=1&a=2").is_err());
        assert!(Form::parse("a=1", b"a=2").is_err());
        assert_eq!(form("N=x").integer("N").unwrap_err().code, "InvalidParameterValue");
        assert!(form("B=yes").boolean("B").is_err());
        assert!(form("B=TRUE").boolean("B").unwrap());
    }
}
