//! Functions of a template that make strings, and dynamic references.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::super::document::{Node, Table, Value};
use super::scope::{Evaluated, Scope, refuse};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl<'s, 'a> Scope<'s, 'a> {
    /// Replaces `${X}` as `Ref` and `${X.Y}` as `Fn::GetAtt`, or by the variables of the second
    /// argument; `${!X}` becomes the literal `${X}`.
    pub(super) fn substituted(self, arguments: &[Node<'a>]) -> Evaluated<String> {
        let (template, variables) = match arguments {
            [template] => (template, None),
            [template, Node { value: Value::Table(variables), .. }] => (template, Some(variables)),
            _ => return refuse("Fn::Sub", "a string, or a list with a string and a table"),
        };
        let Value::String(text) = &template.value else {
            return refuse("Fn::Sub", format!("a string, got {}", template.value.kind()));
        };
        let mut substituted = String::new();
        let mut rest = &**text;
        while let Some((before, opened)) = rest.split_once("${") {
            let Some((name, after)) = opened.split_once('}') else { break };
            substituted.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => _ = write!(substituted, "${{{literal}}}"),
                None => {
                    let value = self.variable(name.trim(), variables)?;
                    self.charge_text(substituted.len() + value.len())?;
                    substituted.push_str(&value);
                }
            }
            rest = after;
        }
        substituted.push_str(rest);
        self.deeper(substituted.len())?;
        Ok(substituted)
    }

    fn variable(self, name: &str, variables: Option<&Table<'a>>) -> Evaluated<String> {
        if let Some(entry) = variables.and_then(|table| table.entry(name)) {
            return self.text("Fn::Sub", &entry.value);
        }
        let value = match name.split_once('.') {
            Some((resource, attribute)) => self.attribute(resource, attribute)?,
            None => self.reference(name)?,
        };
        match value {
            Some(Value::Array(_) | Value::Table(_)) | None => {
                refuse("Fn::Sub", format!("a string, but `{name}` is none"))
            }
            Some(value) => Ok(value.shown()),
        }
    }

    /// The items of a list with a delimiter between them.
    pub(super) fn joined(self, arguments: &[Node<'a>]) -> Evaluated<String> {
        let [delimiter, list] = arguments else {
            return refuse("Fn::Join", "a delimiter and a list");
        };
        let delimiter = self.text("Fn::Join", delimiter)?;
        let mut texts = Vec::new();
        for item in self.list("Fn::Join", list)? {
            texts.push(self.text("Fn::Join", &item)?);
        }
        let delimiters = delimiter.len().saturating_mul(texts.len().saturating_sub(1));
        let len = texts.iter().map(String::len).fold(delimiters, usize::saturating_add);
        self.charge_text(len)?;
        Ok(texts.join(&delimiter))
    }

    /// The location of a file. Values of `Fn::Sub` that are not known, such as the name of a bucket,
    /// are left out, because the end of the location suffices.
    pub(super) fn location(self, property: &str, node: &Node<'a>) -> Evaluated<String> {
        let evaluated = self.accepting_names(true).text(property, node);
        let Value::Table(table) = &node.value else { return evaluated };
        match (&evaluated, table.string("Fn::Sub")) {
            (Err(_), Some(text)) => Ok(without_variables(text)),
            _ => evaluated,
        }
    }

    /// A string in Base64 (RFC 4648, section 4).
    pub(super) fn base64(self, node: &Node<'a>) -> Evaluated<String> {
        let text = self.text("Fn::Base64", node)?;
        let mut encoded = String::with_capacity(text.len().div_ceil(3) * 4);
        for chunk in text.as_bytes().chunks(3) {
            let bits = (0..3).fold(0_usize, |bits, at| {
                bits << 8 | usize::from(chunk.get(at).copied().unwrap_or_default())
            });
            for at in 0..4 {
                let digit = BASE64.get(bits >> (18 - 6 * at) & 63).copied().unwrap_or_default();
                encoded.push(if at <= chunk.len() { char::from(digit) } else { '=' });
            }
        }
        Ok(encoded)
    }

    /// A value as JSON.
    pub(super) fn json(self, node: &Node<'a>) -> Evaluated<String> {
        let mut json = String::new();
        if let Some(node) = self.value(node)? {
            write_json(&node.value, &mut json);
        }
        self.deeper(json.len())?;
        Ok(json)
    }

    /// A value in which dynamic references are replaced by the given values.
    pub(super) fn with_dynamic_references(self, node: Node<'a>) -> Evaluated<Node<'a>> {
        let value = match node.value {
            Value::String(text) if text.contains("{{resolve:") => {
                Value::String(Cow::Owned(self.resolved(&text)?))
            }
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.with_dynamic_references(item));
                Value::Array(items.collect::<Evaluated<_>>()?)
            }
            Value::Table(mut table) => {
                for entry in &mut table.entries {
                    let value = std::mem::replace(&mut entry.value.value, Value::Null);
                    let inner = Node { position: entry.value.position, value };
                    entry.value = self.with_dynamic_references(inner)?;
                }
                Value::Table(table)
            }
            other => other,
        };
        Ok(Node { position: node.position, value })
    }

    fn resolved(self, text: &str) -> Evaluated<String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some((before, opened)) = rest.split_once("{{resolve:") {
            let Some((reference, after)) = opened.split_once("}}") else { break };
            resolved.push_str(before);
            let value = self.dynamic_value(reference.trim())?;
            self.charge_text(resolved.len() + value.len())?;
            resolved.push_str(value);
            rest = after;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    /// The given value of `SERVICE:NAME`, with or without the service and the version.
    fn dynamic_value(self, reference: &str) -> Evaluated<&'s str> {
        let full = format!("resolve:{reference}");
        let braced = format!("{{{{{full}}}}}");
        let (service, name) = reference.split_once(':').unwrap_or(("", reference));
        let names = match service {
            // A name in Secrets Manager may be an ARN, and is followed by the key in its value.
            "secretsmanager" => name.split(":SecretString").next().unwrap_or(name),
            _ => name.rsplit_once(':').map_or(name, |(name, _version)| name),
        };
        let known = [&*braced, &full, reference, name, name.trim_end_matches(':'), names];
        let given = known.into_iter().find_map(|name| self.stacks.values.value(name));
        match given {
            Some(value) => Ok(value),
            None => {
                let option = if service == "secretsmanager" { name } else { names };
                refuse(&braced, format!("its value: give it with --parameter {option}=VALUE"))
            }
        }
    }
}

/// A text of `Fn::Sub` without its variables.
fn without_variables(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('}').map_or(part, |(_, rest)| rest))
}

fn write_json(value: &Value<'_>, json: &mut String) {
    match value {
        Value::Array(items) => {
            json.push('[');
            for (index, item) in items.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                write_json(&item.value, json);
            }
            json.push(']');
        }
        Value::Table(table) => {
            json.push('{');
            for (index, entry) in table.entries.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                json.push_str(&quoted(&entry.key));
                json.push(':');
                write_json(&entry.value.value, json);
            }
            json.push('}');
        }
        Value::Null => json.push_str("null"),
        Value::Integer(_) | Value::Bool(_) => json.push_str(&value.shown()),
        other => json.push_str(&quoted(&other.shown())),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
