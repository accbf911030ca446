//! Resolves the functions of CloudFormation that need no AWS account: `Ref`, `Fn::GetAtt`,
//! `Fn::Sub` and `Fn::Join` over the resources and parameters of a template.

use std::borrow::Cow;

use super::cloudformation_types::is_mirroring_type;
use super::collector::ProblemCollector;
use super::document::{Node, Table, TableEntry, Value};

/// The resources and parameters that functions can refer to.
pub(super) struct TemplateScope<'n, 'a> {
    pub(super) resources: &'n Table<'a>,
    pub(super) parameters: Option<&'n Table<'a>>,
}

impl<'a> TemplateScope<'_, 'a> {
    /// The same table with every function resolved. An entry that cannot be resolved is reported
    /// and left out.
    pub(super) fn resolved(&self, table: &Table<'a>, out: &mut ProblemCollector<'_>) -> Table<'a> {
        let entries = table.entries.iter().filter_map(|entry| {
            let value = self.value(entry, &entry.value, out)?;
            Some(TableEntry { value, ..entry.clone() })
        });
        Table { path: table.path.clone(), entries: entries.collect() }
    }

    /// The same, but an entry that cannot be resolved is not reported.
    pub(super) fn known(&self, table: &Table<'a>) -> Table<'a> {
        let entries = table.entries.iter().filter_map(|entry| {
            let value = self.known_value(&entry.value)?;
            Some(TableEntry { value, ..entry.clone() })
        });
        Table { path: table.path.clone(), entries: entries.collect() }
    }

    /// A value with every function resolved, or `None` if it is not known before deployment.
    fn known_value(&self, node: &Node<'a>) -> Option<Node<'a>> {
        let value = match &node.value {
            Value::Array(items) => {
                Value::Array(items.iter().filter_map(|item| self.known_value(item)).collect())
            }
            Value::Table(table) => match function_of(table) {
                None => Value::Table(self.known(table)),
                Some(function) if is_no_value(function) => return None,
                // Other functions may name a resource, which has no value before it is deployed.
                Some(function) if !self.is_parameter(function) => return None,
                Some(function) => self.evaluate(function).ok()?,
            },
            other => other.clone(),
        };
        Some(Node { position: node.position, value })
    }

    /// Whether the function is a reference to a parameter.
    fn is_parameter(&self, function: &TableEntry<'_>) -> bool {
        let name = function.value.value.shown();
        function.key == "Ref" && self.parameters.is_some_and(|all| all.has(&name))
    }

    /// A value with every function resolved. `entry` names it in messages.
    fn value(
        &self,
        entry: &TableEntry<'a>,
        node: &Node<'a>,
        out: &mut ProblemCollector<'_>,
    ) -> Option<Node<'a>> {
        let position = node.position;
        let value = match &node.value {
            Value::Array(items) => {
                Value::Array(items.iter().filter_map(|item| self.value(entry, item, out)).collect())
            }
            Value::Table(table) => match function_of(table) {
                None => Value::Table(self.resolved(table, out)),
                Some(function) if is_no_value(function) => return None,
                Some(function) => match self.evaluate(function) {
                    Ok(value) => value,
                    Err(expected) => {
                        let name = function.key.to_string();
                        out.report_invalid_and_omit(entry, node, name, expected);
                        return None;
                    }
                },
            },
            other => other.clone(),
        };
        Some(Node { position, value })
    }

    /// The value of a function, or the expected value as an error.
    fn evaluate(&self, function: &TableEntry<'a>) -> Result<Value<'a>, String> {
        match (&*function.key, &function.value.value) {
            ("Ref", Value::String(name)) => self.reference(name),
            ("Fn::GetAtt", Value::Array(parts)) => match &**parts {
                [name, attribute] => self.attribute(&name.value.shown(), &attribute.value.shown()),
                _ => Err("a resource and an attribute".to_owned()),
            },
            ("Fn::GetAtt", Value::String(text)) => {
                let (name, attribute) = text.split_once('.').unwrap_or((text, ""));
                self.attribute(name, attribute)
            }
            ("Fn::Sub", Value::String(text)) => self.substituted(text),
            ("Fn::Join", Value::Array(parts)) => match &**parts {
                [delimiter, Node { value: Value::Array(items), .. }] => {
                    let texts: Result<Vec<String>, String> =
                        items.iter().map(|item| self.text(item)).collect();
                    Ok(Value::String(texts?.join(&delimiter.value.shown()).into()))
                }
                _ => Err("a delimiter and a list".to_owned()),
            },
            _ => Err("a value, or Ref, Fn::GetAtt, Fn::Sub or Fn::Join that the template alone \
                      resolves"
                .to_owned()),
        }
    }

    fn reference(&self, name: &str) -> Result<Value<'a>, String> {
        if self.resources.has(name) {
            return Ok(Value::String(name.to_owned().into()));
        }
        if let Some(pseudo) = name.strip_prefix("AWS::") {
            return Ok(Value::String(format!("${{AWS::{pseudo}}}").into()));
        }
        let parameter = self.parameters.and_then(|all| all.entry(name));
        let Some(TableEntry { value: Node { value: Value::Table(parameter), .. }, .. }) = parameter
        else {
            return Err(format!(
                "a resource or a parameter of the template, but it has no `{name}`"
            ));
        };
        match parameter.entry("Default") {
            Some(default) if is_list(parameter) => Ok(items(&default.value)),
            Some(default) => Ok(default.value.value.clone()),
            None => Err(format!("a parameter with a Default, but `{name}` has none")),
        }
    }

    /// `Id` of a traffic mirroring resource equals `Ref`. For other resources the value is
    /// `NAME.ATTRIBUTE`, which another file can define.
    fn attribute(&self, name: &str, attribute: &str) -> Result<Value<'a>, String> {
        let Some(resource) = self.resources.entry(name) else {
            return Err(format!("a resource of the template, but it has no `{name}`"));
        };
        if let Value::Table(body) = &resource.value.value
            && attribute != "Id"
            && let Some(kind) = body.string("Type").filter(|kind| is_mirroring_type(kind))
        {
            return Err(format!("{name}.Id: {kind} has no attribute `{attribute}`"));
        }
        Ok(Value::String(match attribute {
            "Id" => name.to_owned().into(),
            other => format!("{name}.{other}").into(),
        }))
    }

    /// Replaces `${X}` as `Ref` and `${X.Y}` as `Fn::GetAtt`; `${!X}` becomes the literal `${X}`.
    fn substituted(&self, text: &str) -> Result<Value<'a>, String> {
        let mut substituted = String::new();
        let mut rest = text;
        while let Some((before, opened)) = rest.split_once("${") {
            let Some((name, after)) = opened.split_once('}') else { break };
            substituted.push_str(before);
            let value = match (name.strip_prefix('!'), name.split_once('.')) {
                (Some(literal), _) => format!("${{{literal}}}"),
                (None, Some((resource, attribute))) => self.attribute(resource, attribute)?.shown(),
                (None, None) => self.reference(name)?.shown(),
            };
            substituted.push_str(&value);
            rest = after;
        }
        substituted.push_str(rest);
        Ok(Value::String(Cow::Owned(substituted)))
    }

    fn text(&self, node: &Node<'a>) -> Result<String, String> {
        match &node.value {
            Value::Table(table) => match function_of(table) {
                Some(function) => self.evaluate(function).map(|value| value.shown()),
                None => Err("a list of strings to join".to_owned()),
            },
            value => Ok(value.shown()),
        }
    }
}

fn is_list(parameter: &Table<'_>) -> bool {
    let kind = parameter.string("Type").unwrap_or_default();
    kind == "CommaDelimitedList" || kind.starts_with("List<")
}

/// The items of a comma-delimited list.
fn items<'a>(list: &Node<'a>) -> Value<'a> {
    let text = list.value.shown();
    let item = |text: &str| {
        let value = Value::String(text.trim().to_owned().into());
        Node { position: list.position, value }
    };
    Value::Array(text.split(',').map(item).collect())
}

/// The function that a table with a single entry represents.
fn function_of<'n, 'a>(table: &'n Table<'a>) -> Option<&'n TableEntry<'a>> {
    let [only] = &*table.entries else { return None };
    let is_function = matches!(&*only.key, "Ref" | "Condition") || only.key.starts_with("Fn::");
    is_function.then_some(only)
}

/// Whether the function is `Ref: AWS::NoValue`, which removes the property.
fn is_no_value(function: &TableEntry<'_>) -> bool {
    function.key == "Ref" && function.value.value.shown() == "AWS::NoValue"
}
