//! Parameters of a template: the given value or the default, checked and converted to the type.

use std::borrow::Cow;

use super::super::document::{Node, Table, TableEntry, Value};
use super::scope::{Evaluated, Scope, refuse, text_node, work_of};
use super::stack::WORK_PER_FUNCTION;

/// The first part of a type whose value is the name of a parameter of Systems Manager.
const SSM_TYPE: &str = "AWS::SSM::Parameter::Value<";

impl<'s, 'a> Scope<'s, 'a> {
    /// The value of a parameter.
    pub(super) fn parameter(self, entry: &TableEntry<'a>) -> Evaluated<Value<'a>> {
        let name = &*entry.key;
        let Value::Table(declared) = &entry.value.value else {
            return refuse("Ref", format!("a parameter with a Type, but `{name}` has none"));
        };
        let default = declared.entry("Default").map(|default| &default.value);
        let value = match (self.passed(name)?, default) {
            (Some(passed), _) => passed,
            (None, Some(Node { position, value: Value::Null })) => text_node(*position, ""),
            (None, Some(default)) => {
                self.charge(work_of(&default.value))?;
                default.clone()
            }
            (None, None) => {
                let full_name = self.stack.full_name(name);
                return refuse(
                    "Ref",
                    format!(
                        "a parameter with a Default, but `{name}` has none: give its value with \
                         --parameter {full_name}=VALUE"
                    ),
                );
            }
        };
        let kind = declared.string("Type").unwrap_or_default();
        let value = match kind.strip_prefix(SSM_TYPE) {
            Some(_) => self.ssm_value(name, &value)?,
            None => value,
        };
        let value = allowed_spelling(declared, value);
        self.charge(work_of_checks(declared, kind, &value))?;
        check(name, declared, &value)?;
        Ok(if is_list(kind) { items(&value) } else { value.value })
    }

    /// The value that the outer stack or an option gives.
    fn passed(self, name: &str) -> Evaluated<Option<Node<'a>>> {
        if let Some(given) = self.stacks.values.value(&self.stack.full_name(name)) {
            return Ok(Some(text_node(self.stack.position, given)));
        }
        let Some(outer) = &self.stack.outer else { return Ok(None) };
        let Some(Node { value: Value::Table(parameters), .. }) = &outer.parameters else {
            return Ok(None);
        };
        match (parameters.entry(name), self.in_stack(outer.index)) {
            (Some(entry), Some(scope)) => scope.deeper(0)?.value(&entry.value),
            _ => Ok(None),
        }
    }

    /// The value that a parameter of Systems Manager has, which an option gives by the name of
    /// either parameter.
    fn ssm_value(self, name: &str, value: &Node<'a>) -> Evaluated<Node<'a>> {
        let ssm_name = value.value.shown();
        if let Some(given) = self.stacks.values.value(&ssm_name) {
            return Ok(text_node(value.position, given));
        }
        let full_name = self.stack.full_name(name);
        if self.stacks.values.value(&full_name).is_some() {
            return Ok(value.clone());
        }
        refuse(
            "Ref",
            format!(
                "the value of `{ssm_name}` in Systems Manager: give it with --parameter \
                 {ssm_name}=VALUE or {full_name}=VALUE"
            ),
        )
    }
}

/// A text that YAML reads as true or false (`yes`, `off`) equals the boolean that the allowed
/// values contain.
fn allowed_spelling<'a>(declared: &Table<'_>, node: Node<'a>) -> Node<'a> {
    let Some(Value::Array(allowed)) = declared.entry("AllowedValues").map(|one| &one.value.value)
    else {
        return node;
    };
    let value = match &*node.value.shown().to_ascii_lowercase() {
        "yes" | "on" | "true" => true,
        "no" | "off" | "false" => false,
        _ => return node,
    };
    let is_boolean =
        allowed.iter().any(|item| matches!(item.value, Value::Bool(one) if one == value));
    let is_listed = allowed.iter().any(|item| item.value.shown() == node.value.shown());
    match is_boolean && !is_listed {
        true => Node { position: node.position, value: Value::Bool(value) },
        false => node,
    }
}

/// The work of the comparisons of each item with each allowed value.
fn work_of_checks(declared: &Table<'_>, kind: &str, node: &Node<'_>) -> usize {
    let items = match &node.value {
        Value::Array(items) => items.len(),
        Value::String(text) if is_list(kind) => text.matches(',').count() + 1,
        _ => 1,
    };
    let allowed = match declared.entry("AllowedValues").map(|one| &one.value.value) {
        Some(Value::Array(allowed)) => allowed.len(),
        _ => 0,
    };
    items.saturating_mul(WORK_PER_FUNCTION.saturating_add(allowed)) + work_of(&node.value)
}

/// Checks a value against the declaration of its parameter.
fn check(name: &str, declared: &Table<'_>, node: &Node<'_>) -> Evaluated<()> {
    let kind = declared.string("Type").unwrap_or_default();
    let texts: Vec<String> = match (&node.value, items(node)) {
        (_, Value::Array(items)) if is_list(kind) => {
            items.iter().map(|item| item.value.shown()).collect()
        }
        (value, _) => vec![value.shown()],
    };
    for text in &texts {
        if let Some(expected) = violation(declared, kind, text) {
            return refuse("Ref", format!("{expected} for the parameter `{name}`, got `{text}`"));
        }
    }
    Ok(())
}

/// What the declaration of a parameter expects instead of the value.
fn violation(declared: &Table<'_>, kind: &str, text: &str) -> Option<String> {
    if let Some(Value::Array(allowed)) = declared.entry("AllowedValues").map(|one| &one.value.value)
    {
        let allowed: Vec<String> = allowed.iter().map(|item| item.value.shown()).collect();
        if !allowed.iter().any(|one| one == text) {
            return Some(format!("one of {}", allowed.join(", ")));
        }
    }
    let number = text.trim().parse::<f64>();
    if kind.contains("Number") && number.is_err() {
        return Some("a number".to_owned());
    }
    let limit = |key: &str| declared.entry(key)?.value.value.shown().parse::<f64>().ok();
    let length = u32::try_from(text.chars().count()).map_or(f64::INFINITY, f64::from);
    let number = number.unwrap_or_default();
    for (key, is_violated, limit) in [
        ("MinValue", limit("MinValue").is_some_and(|least| number < least), limit("MinValue")),
        ("MaxValue", limit("MaxValue").is_some_and(|most| number > most), limit("MaxValue")),
        ("MinLength", limit("MinLength").is_some_and(|least| length < least), limit("MinLength")),
        ("MaxLength", limit("MaxLength").is_some_and(|most| length > most), limit("MaxLength")),
    ] {
        if is_violated {
            return Some(format!("a value that {key} {} permits", limit.unwrap_or_default()));
        }
    }
    None
}

fn is_list(kind: &str) -> bool {
    let inner = kind.strip_prefix(SSM_TYPE).unwrap_or(kind);
    inner.starts_with("CommaDelimitedList") || inner.starts_with("List<")
}

/// The items of a comma-delimited list.
fn items<'a>(list: &Node<'a>) -> Value<'a> {
    if let Value::Array(_) = &list.value {
        return list.value.clone();
    }
    let text = list.value.shown();
    let item = |text: &str| Node {
        position: list.position,
        value: Value::String(Cow::Owned(text.trim().to_owned())),
    };
    let parts = text.split(',').filter(|_| !text.trim().is_empty());
    Value::Array(parts.map(item).collect())
}
