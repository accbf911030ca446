//! Evaluates values of a template as CloudFormation does, each only when it is needed.

use std::borrow::Cow;

use super::super::document::{Node, SourcePosition, Table, TableEntry, Value};
use super::stack::{Stack, Stacks, WORK_PER_FUNCTION};

/// The maximum depth of an evaluation through functions, parameters, conditions and stacks.
const MAX_DEPTH: usize = 160;

/// The maximum length of one text in bytes: that of a whole template in CloudFormation.
const MAX_TEXT_LEN: usize = 1 << 20;

/// The first part of the key of a loop: `Fn::ForEach::NAME`.
pub(super) const FOR_EACH: &str = "Fn::ForEach::";

/// A function that cannot be evaluated.
pub(super) struct Unresolved {
    pub(super) function: String,
    pub(super) expected: String,
}

pub(super) type Evaluated<T> = Result<T, Unresolved>;

/// Reports what a function expects.
pub(super) fn refuse<T>(function: &str, expected: impl Into<String>) -> Evaluated<T> {
    Err(Unresolved { function: function.to_owned(), expected: expected.into() })
}

/// The stack in which a value is written, and how it is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s, 'a> {
    pub(super) stacks: &'s Stacks<'s, 'a>,
    pub(super) stack: &'s Stack<'a>,
    /// Whether the name of a resource may be used for a value that is known only after deployment,
    /// such as the id of a network interface.
    pub(super) accepts_names: bool,
    depth_left: usize,
}

impl<'s, 'a> Scope<'s, 'a> {
    pub(super) const fn new(stacks: &'s Stacks<'s, 'a>, stack: &'s Stack<'a>) -> Self {
        Self { stacks, stack, accepts_names: false, depth_left: MAX_DEPTH }
    }

    /// The same scope, in which names of resources are or are not used for unknown values.
    pub(super) const fn accepting_names(self, accepts_names: bool) -> Self {
        Self { accepts_names, ..self }
    }

    /// The same way of evaluation in another stack.
    pub(super) fn in_stack(self, index: usize) -> Option<Self> {
        Some(Self { stack: self.stacks.all.get(index)?, ..self })
    }

    /// Counts work, if the limit permits it.
    pub(super) fn charge(self, work: usize) -> Evaluated<()> {
        match self.stacks.spend(work) {
            true => Ok(()),
            false => refuse("Resources", "templates that need less work to evaluate"),
        }
    }

    /// Counts a text of that length, before it is made.
    pub(super) fn charge_text(self, len: usize) -> Evaluated<()> {
        match len <= MAX_TEXT_LEN {
            true => self.charge(len),
            false => refuse("Resources", format!("a text of at most {MAX_TEXT_LEN} bytes")),
        }
    }

    /// The scope of an inner value, if the limits of depth and work permit it.
    pub(super) fn deeper(self, text_len: usize) -> Evaluated<Self> {
        self.charge_text(text_len)?;
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => refuse(
                "Resources",
                format!("functions, parameters and stacks at most {MAX_DEPTH} levels deep"),
            ),
        }
    }

    /// A value with every function evaluated, or `None` for `AWS::NoValue`.
    pub(super) fn value(self, node: &Node<'a>) -> Evaluated<Option<Node<'a>>> {
        let value = match &node.value {
            Value::Array(items) => {
                let inner = self.deeper(0)?;
                let mut found = Vec::with_capacity(items.len());
                for item in items {
                    found.extend(inner.value(item)?);
                }
                Value::Array(found)
            }
            Value::Table(table) => match function_of(table) {
                None => Value::Table(self.deeper(0)?.table(table)?),
                Some(function) => {
                    let inner = self.deeper(0)?;
                    let Some(value) = inner.function(function)? else { return Ok(None) };
                    inner.charge(work_of(&value))?;
                    value
                }
            },
            Value::String(text) => {
                self.deeper(text.len())?;
                Value::String(text.clone())
            }
            other => other.clone(),
        };
        Ok(Some(Node { position: node.position, value }))
    }

    /// A table with every value evaluated.
    pub(super) fn table(self, table: &Table<'a>) -> Evaluated<Table<'a>> {
        let mut entries = Vec::with_capacity(table.entries.len());
        for entry in &table.entries {
            if entry.key.starts_with(FOR_EACH) {
                for repeated in self.repeated(entry)? {
                    entries.extend(self.entry(&repeated)?);
                }
            } else {
                entries.extend(self.entry(entry)?);
            }
        }
        Ok(Table { path: table.path.clone(), entries })
    }

    fn entry(self, entry: &TableEntry<'a>) -> Evaluated<Option<TableEntry<'a>>> {
        if entry.key == "Fn::Transform" {
            self.function(entry)?;
        }
        let value = self.value(&entry.value)?;
        Ok(value.map(|value| TableEntry { value, ..entry.clone() }))
    }

    /// The value of a function, or `None` for `AWS::NoValue`.
    fn function(self, function: &TableEntry<'a>) -> Evaluated<Option<Value<'a>>> {
        let arguments = match &function.value.value {
            Value::Array(items) => &**items,
            _ => std::slice::from_ref(&function.value),
        };
        let text = |text: String| Value::String(Cow::Owned(text));
        Ok(Some(match &*function.key {
            "Ref" => return self.reference(&self.text("Ref", &function.value)?),
            "Fn::If" => {
                let branch = self.branch(arguments)?;
                return Ok(self.value(branch)?.map(|node| node.value));
            }
            "Fn::GetAtt" => return self.attribute_of(arguments),
            "Fn::ImportValue" => {
                return self.import(&self.text("Fn::ImportValue", &function.value)?);
            }
            "Fn::FindInMap" => return self.find_in_map(arguments),
            "Fn::Select" => return self.selected(arguments),
            "Fn::Sub" => text(self.substituted(arguments)?),
            "Fn::Join" => text(self.joined(arguments)?),
            "Fn::Base64" => text(self.base64(&function.value)?),
            "Fn::ToJsonString" => text(self.json(&function.value)?),
            "Fn::Split" => Value::Array(self.split(arguments, function.position)?),
            "Fn::Cidr" => Value::Array(self.cidr_blocks(arguments, function.position)?),
            "Fn::GetAZs" => Value::Array(self.availability_zones(function.position)),
            "Fn::Length" => {
                let len = self.list("Fn::Length", &function.value)?.len();
                Value::Integer(i64::try_from(len).unwrap_or(i64::MAX))
            }
            "Fn::Transform" => return refuse_macro(&function.value),
            "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                Value::Bool(self.condition_function(function)?)
            }
            other => return refuse(other, "a value or a function of CloudFormation"),
        }))
    }

    /// A text; numbers and booleans are converted.
    pub(super) fn text(self, function: &str, node: &Node<'a>) -> Evaluated<String> {
        match self.value(node)?.map(|node| node.value) {
            None => refuse(function, "a string, got AWS::NoValue"),
            Some(value @ (Value::Array(_) | Value::Table(_) | Value::Null)) => {
                refuse(function, format!("a string, got {}", value.kind()))
            }
            Some(value) => Ok(value.shown()),
        }
    }

    /// A list.
    pub(super) fn list(self, function: &str, node: &Node<'a>) -> Evaluated<Vec<Node<'a>>> {
        match self.value(node)?.map(|node| node.value) {
            Some(Value::Array(items)) => Ok(items),
            Some(value) => refuse(function, format!("a list, got {}", value.kind())),
            None => refuse(function, "a list, got AWS::NoValue"),
        }
    }

    /// The node that the conditions of `Fn::If` select, not evaluated; `None` for `AWS::NoValue`.
    pub(super) fn chosen<'n>(self, node: &'n Node<'a>) -> Evaluated<Option<&'n Node<'a>>> {
        let Value::Table(table) = &node.value else { return Ok(Some(node)) };
        match (function_of(table), function_of(table).map(|function| &function.value.value)) {
            (Some(function), Some(Value::Array(arguments))) if function.key == "Fn::If" => {
                let inner = self.deeper(0)?;
                inner.chosen(inner.branch(arguments)?)
            }
            (Some(function), Some(Value::String(name)))
                if function.key == "Ref" && name == "AWS::NoValue" =>
            {
                Ok(None)
            }
            _ => Ok(Some(node)),
        }
    }
}

/// The work of a copy of a value.
pub(super) fn work_of(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => {
            items.iter().map(|item| WORK_PER_FUNCTION + work_of(&item.value)).sum()
        }
        Value::Table(table) => {
            let entries = table.entries.iter();
            entries.map(|one| WORK_PER_FUNCTION + one.key.len() + work_of(&one.value.value)).sum()
        }
        _ => 0,
    }
}

/// The function that a table with a single entry represents.
pub(super) fn function_of<'n, 'a>(table: &'n Table<'a>) -> Option<&'n TableEntry<'a>> {
    let [only] = &*table.entries else { return None };
    let is_function = matches!(&*only.key, "Ref" | "Condition") || only.key.starts_with("Fn::");
    (is_function && !only.key.starts_with(FOR_EACH)).then_some(only)
}

/// A node with a text.
pub(super) fn text_node<'a>(position: SourcePosition, text: impl Into<String>) -> Node<'a> {
    Node { position, value: Value::String(Cow::Owned(text.into())) }
}

fn refuse_macro<T>(argument: &Node<'_>) -> Evaluated<T> {
    let name = match &argument.value {
        Value::Table(table) => table.string("Name").unwrap_or_default(),
        _ => "",
    };
    match name {
        "AWS::Include" => refuse("Fn::Transform", "a file beside the template to include"),
        name => refuse("Fn::Transform", format!("AWS::Include: the macro `{name}` is not run")),
    }
}
