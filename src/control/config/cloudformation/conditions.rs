//! Conditions of a template, and `Fn::If`.

use super::super::document::{Node, TableEntry, Value};
use super::scope::{Evaluated, Scope, function_of, refuse};

impl<'s, 'a> Scope<'s, 'a> {
    /// Whether the condition of that name is true.
    pub(super) fn condition(self, name: &str) -> Evaluated<bool> {
        match self.stack.conditions.entry(name) {
            Some(entry) => self.deeper(0)?.accepting_names(false).boolean(&entry.value),
            None => {
                refuse("Condition", format!("a condition of the template, but it has no `{name}`"))
            }
        }
    }

    /// Whether the resource of that entry exists: it has no condition, or its condition is true.
    pub(super) fn exists(self, resource: &TableEntry<'a>) -> Evaluated<bool> {
        let Value::Table(body) = &resource.value.value else { return Ok(true) };
        match body.entry("Condition") {
            Some(entry) => {
                let name = self.accepting_names(false).text("Condition", &entry.value)?;
                self.condition(&name)
            }
            None => Ok(true),
        }
    }

    /// The branch of `Fn::If` with these arguments that its condition selects.
    pub(super) fn branch<'n>(self, arguments: &'n [Node<'a>]) -> Evaluated<&'n Node<'a>> {
        match arguments {
            [condition, yes, no] => {
                let name = self.accepting_names(false).text("Fn::If", condition)?;
                if !self.stack.conditions.has(&name) {
                    let expected = "a condition of the template, but it has no";
                    return refuse("Fn::If", format!("{expected} `{name}`"));
                }
                Ok(if self.condition(&name)? { yes } else { no })
            }
            _ => refuse("Fn::If", "the name of a condition and two values"),
        }
    }

    /// The result of a function of conditions.
    pub(super) fn condition_function(self, function: &TableEntry<'a>) -> Evaluated<bool> {
        let inner = self.deeper(0)?.accepting_names(false);
        let (key, argument) = (&*function.key, &function.value.value);
        match (key, argument) {
            ("Condition", Value::String(name)) => inner.condition(name),
            ("Fn::Not", Value::Array(items)) if items.len() == 1 => {
                items.first().map_or(Ok(false), |item| inner.boolean(item)).map(|value| !value)
            }
            ("Fn::And", Value::Array(items)) => {
                for item in items {
                    if !inner.boolean(item)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            ("Fn::Or", Value::Array(items)) => {
                for item in items {
                    if inner.boolean(item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            ("Fn::Equals", Value::Array(items)) => match &**items {
                [left, right] => Ok(inner.compared(left)? == inner.compared(right)?),
                _ => refuse(key, "two values"),
            },
            _ => refuse(key, "a condition"),
        }
    }

    /// Whether a condition holds, written as a function or a name of the section.
    fn boolean(self, node: &Node<'a>) -> Evaluated<bool> {
        if let Value::Table(table) = &node.value
            && let Some(function) = function_of(table)
            && matches!(
                &*function.key,
                "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not"
            )
        {
            return self.condition_function(function);
        }
        match &*self.text("Condition", node)?.to_ascii_lowercase() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => refuse("Condition", format!("a condition, got `{other}`")),
        }
    }

    /// The text by which a value is compared.
    fn compared(self, node: &Node<'a>) -> Evaluated<String> {
        match self.value(node)? {
            Some(value @ Node { value: Value::Array(_) | Value::Table(_), .. }) => {
                self.json(&value)
            }
            Some(value) => Ok(value.value.shown()),
            None => Ok(String::new()),
        }
    }
}
