//! Values that the user supplies by name for infrastructure code: parameters of templates, exports
//! of other stacks, dynamic references, and values that are known only after deployment.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::document::{Table, Value};
use super::file_text::read_text;
use super::json_text;

/// Values by name.
///
/// ```
/// use traffic_mirror::control::config::ParameterValues;
///
/// let mut values = ParameterValues::default();
/// values.add_option("SensorEni=eni-0a1b2c3d4e5f60719")?;
/// assert!(values.add_option("SensorEni").is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ParameterValues {
    values: BTreeMap<String, String>,
    /// The names that were needed.
    used: RefCell<BTreeSet<String>>,
}

impl ParameterValues {
    /// Adds a value. A later value replaces an earlier one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// Adds the value of an option: `NAME=VALUE`, or `@FILE` with a JSON file of values in one of
    /// the forms of AWS: `[{"ParameterKey": "a", "ParameterValue": "b"}]`, `["a=b"]`,
    /// `{"Parameters": {"a": "b"}}` or `{"a": "b"}`.
    ///
    /// # Errors
    /// A sentence with the expected value.
    pub fn add_option(&mut self, text: &str) -> Result<(), String> {
        if let Some(path) = text.strip_prefix('@') {
            return self.add_file(Path::new(path));
        }
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                self.insert(name.trim(), value);
                Ok(())
            }
            _ => Err(format!("`{text}`: expected NAME=VALUE, or @FILE with a JSON file of values")),
        }
    }

    fn add_file(&mut self, path: &Path) -> Result<(), String> {
        let (name, text) = read_text(path).map_err(|problem| problem.to_string())?;
        let root =
            json_text::read(0, &text).map_err(|(_, message)| format!("{name}: {message}"))?;
        let values = match &root.value {
            Value::Table(table) => Some(table.table("Parameters").unwrap_or(table)),
            _ => None,
        };
        if let Some(table) = values {
            return table.entries.iter().try_for_each(|entry| {
                self.insert(entry.key.to_string(), text_of(&name, &entry.key, &entry.value.value)?);
                Ok(())
            });
        }
        let Value::Array(items) = &root.value else { return Err(unknown_form(&name)) };
        items.iter().try_for_each(|item| self.add_item(&name, &item.value))
    }

    fn add_item(&mut self, file: &str, item: &Value<'_>) -> Result<(), String> {
        match item {
            Value::String(text) if !text.starts_with('@') => self.add_option(text),
            Value::Table(table) => {
                match (table.string("ParameterKey"), table.entry("ParameterValue")) {
                    (Some(key), Some(value)) => {
                        self.insert(key, text_of(file, key, &value.value.value)?);
                        Ok(())
                    }
                    // The previous value of a stack, which is not known here.
                    (Some(_), None) if uses_previous_value(table) => Ok(()),
                    _ => Err(unknown_form(file)),
                }
            }
            _ => Err(unknown_form(file)),
        }
    }

    /// The value of that name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let (name, value) = self.values.get_key_value(name)?;
        self.used.borrow_mut().insert(name.clone());
        Some(value)
    }

    /// The names that nothing needs.
    pub(super) fn unused(&self) -> Vec<&str> {
        let used = self.used.borrow();
        let names = self.values.keys().filter(|name| !used.contains(*name));
        names.map(String::as_str).collect()
    }
}

fn uses_previous_value(table: &Table<'_>) -> bool {
    table.has("UsePreviousValue")
}

/// The text of a value; the items of a list are separated by commas.
fn text_of(file: &str, name: &str, value: &Value<'_>) -> Result<String, String> {
    match value {
        Value::Array(items) => {
            let texts: Result<Vec<String>, String> =
                items.iter().map(|item| text_of(file, name, &item.value)).collect();
            Ok(texts?.join(","))
        }
        Value::Table(_) | Value::Null => {
            Err(format!("{file}: {name} `{}`: expected a string", value.shown()))
        }
        value => Ok(value.shown()),
    }
}

fn unknown_form(file: &str) -> String {
    format!(
        "{file}: expected a list of {{\"ParameterKey\": NAME, \"ParameterValue\": VALUE}}, or an \
         object with names and values"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> Result<ParameterValues, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut values = ParameterValues::default();
        values.add_option(&format!("@{}", file.path().display())).map(|()| values)
    }

    #[test]
    fn a_file_has_one_of_the_forms_of_aws() {
        for text in [
            r#"[{"ParameterKey": "a", "ParameterValue": "b=c"}, {"ParameterKey": "n", "ParameterValue": 5}]"#,
            r#"["a=b=c", "n=5"]"#,
            r#"{"Parameters": {"a": "b=c", "n": "5"}, "Tags": {}}"#,
            r#"{"a": "b=c", "n": 5}"#,
        ] {
            let values = added(text).unwrap();
            assert_eq!((values.value("a"), values.value("n")), (Some("b=c"), Some("5")), "{text}");
        }
        let lists = added(r#"{"a": ["x", "y"]}"#).unwrap();
        assert_eq!(lists.value("a"), Some("x,y"));
    }

    #[test]
    fn another_file_is_an_error_that_names_it() {
        for (text, message) in [
            ("5", "expected a list of"),
            ("{", "invalid JSON"),
            (r#"[{"Key": "a"}]"#, "expected a list of"),
            (r#"["@other"]"#, "expected a list of"),
            (r#"{"a": {"b": 1}}"#, "a `{...}`: expected a string"),
        ] {
            let refused = added(text).unwrap_err();
            assert!(refused.contains(message), "{refused}");
        }
        let mut values = ParameterValues::default();
        assert!(values.add_option("@/nonexistent").unwrap_err().contains("cannot read"));
        assert!(values.add_option("=x").unwrap_err().contains("expected NAME=VALUE"));
    }

    #[test]
    fn unused_names_are_known() {
        let mut values = ParameterValues::default();
        values.insert("a", "1");
        values.insert("b", "2");
        values.value("b");
        assert_eq!(values.unused(), ["a"]);
    }
}
