//! References of a template: `Ref`, `Fn::GetAtt`, `Fn::ImportValue` and `Fn::FindInMap`.

use std::borrow::Cow;

use super::super::document::{Node, Table, TableEntry, Value};
use super::scope::{Evaluated, Scope, refuse};
use super::types::is_mirroring_type;

/// Values of a deployment that are assumed if `--parameter` does not give them.
const ASSUMED: [(&str, &str); 4] = [
    ("AWS::Region", "us-east-1"),
    ("AWS::AccountId", "000000000000"),
    ("AWS::Partition", "aws"),
    ("AWS::URLSuffix", "amazonaws.com"),
];

/// Attributes whose value is a property of another name.
const ATTRIBUTES: [(&str, &str); 2] =
    [("PrimaryPrivateIpAddress", "PrivateIpAddress"), ("PrivateIp", "PrivateIpAddress")];

impl<'s, 'a> Scope<'s, 'a> {
    /// The value of `Ref`, or `None` for `AWS::NoValue`.
    pub(super) fn reference(self, name: &str) -> Evaluated<Option<Value<'a>>> {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(value) = self.pseudo_parameter(name) {
            return Ok(Some(value));
        }
        if let Some(resource) = self.stack.resources.entry(name) {
            return self.resource(resource).map(Some);
        }
        match self.stack.parameters.entry(name) {
            Some(parameter) => self.deeper(0)?.parameter(parameter).map(Some),
            None => refuse(
                "Ref",
                format!("a resource or a parameter of the template, but it has no `{name}`"),
            ),
        }
    }

    /// A value of the deployment.
    fn pseudo_parameter(self, name: &str) -> Option<Value<'a>> {
        let text = |text: &str| Value::String(Cow::Owned(text.to_owned()));
        if !name.starts_with("AWS::") {
            return None;
        }
        if let Some(given) = self.stacks.values.value(name) {
            return Some(text(given));
        }
        if let Some((_, value)) = ASSUMED.iter().find(|(known, _)| *known == name) {
            if !self.accepts_names {
                self.stacks.assume(name, value);
            }
            return Some(text(value));
        }
        match name {
            "AWS::StackName" => Some(text(&self.stack.name)),
            "AWS::StackId" => {
                let region = self.pseudo_parameter("AWS::Region").map(|value| value.shown());
                let account = self.pseudo_parameter("AWS::AccountId").map(|value| value.shown());
                Some(Value::String(Cow::Owned(format!(
                    "arn:aws:cloudformation:{}:{}:stack/{}/{}",
                    region.unwrap_or_default(),
                    account.unwrap_or_default(),
                    self.stack.name,
                    "00000000-0000-0000-0000-000000000000",
                ))))
            }
            "AWS::NotificationARNs" => Some(Value::Array(Vec::new())),
            _ => None,
        }
    }

    /// The region of the deployment.
    pub(super) fn region(self) -> String {
        self.pseudo_parameter("AWS::Region").map(|value| value.shown()).unwrap_or_default()
    }

    /// The id of a resource.
    fn resource(self, resource: &TableEntry<'a>) -> Evaluated<Value<'a>> {
        self.check_existence("Ref", resource)?;
        let name = self.stack.full_name(&resource.key);
        if type_of(resource).is_some_and(is_mirroring_type) {
            return Ok(Value::String(Cow::Owned(name)));
        }
        self.known_after_deployment("Ref", name)
    }

    fn check_existence(self, function: &str, resource: &TableEntry<'a>) -> Evaluated<()> {
        if self.deeper(0)?.exists(resource)? {
            return Ok(());
        }
        let name = &resource.key;
        refuse(
            function,
            format!("a resource that is created, but the condition of `{name}` is false"),
        )
    }

    /// A value that the template does not determine: the given one, or the name if it suffices.
    fn known_after_deployment(self, function: &str, name: String) -> Evaluated<Value<'a>> {
        if let Some(given) = self.stacks.values.value(&name) {
            return Ok(Value::String(Cow::Owned(given.to_owned())));
        }
        if self.accepts_names {
            return Ok(Value::String(Cow::Owned(name)));
        }
        let option = format!("--parameter {name}=VALUE");
        refuse(function, format!("a value that is known before deployment: give it with {option}"))
    }

    /// The value of `Fn::GetAtt` with these arguments.
    pub(super) fn attribute_of(self, arguments: &[Node<'a>]) -> Evaluated<Option<Value<'a>>> {
        let mut texts = Vec::with_capacity(arguments.len());
        for argument in arguments {
            texts.push(self.accepting_names(false).text("Fn::GetAtt", argument)?);
        }
        let text = texts.join(".");
        match text.split_once('.') {
            Some((name, attribute)) if !attribute.is_empty() => self.attribute(name, attribute),
            _ => refuse("Fn::GetAtt", "a resource and an attribute"),
        }
    }

    /// An attribute of a resource. `Id` equals `Ref`. The value of another attribute is that of the
    /// property with its name, if there is one.
    pub(super) fn attribute(self, name: &str, attribute: &str) -> Evaluated<Option<Value<'a>>> {
        let Some(resource) = self.stack.resources.entry(name) else {
            let expected = format!("a resource of the template, but it has no `{name}`");
            return refuse("Fn::GetAtt", expected);
        };
        self.check_existence("Fn::GetAtt", resource)?;
        let kind = type_of(resource).unwrap_or_default();
        if attribute == "Id" {
            return self.resource(resource).map(Some);
        }
        if is_mirroring_type(kind) {
            let message = format!("{name}.Id: {kind} has no attribute `{attribute}`");
            return refuse("Fn::GetAtt", message);
        }
        let full_name = self.stack.full_name(&format!("{name}.{attribute}"));
        if self.stacks.values.value(&full_name).is_none() {
            if let Some(output) = attribute.strip_prefix("Outputs.")
                && let Some(value) = self.nested_output(name, output)
            {
                return value;
            }
            if let Some(value) = self.property(resource, attribute) {
                return Ok(Some(value));
            }
        }
        self.known_after_deployment("Fn::GetAtt", full_name).map(Some)
    }

    /// The property that determines an attribute, if it can be evaluated.
    fn property(self, resource: &TableEntry<'a>, attribute: &str) -> Option<Value<'a>> {
        let Value::Table(body) = &resource.value.value else { return None };
        let known = ATTRIBUTES.iter().find(|(known, _)| *known == attribute);
        let property = known.map_or(attribute, |(_, property)| *property);
        let entry = body.table("Properties")?.entry(property)?;
        self.deeper(0).ok()?.value(&entry.value).ok().flatten().map(|node| node.value)
    }

    /// An output of a nested stack that was read.
    fn nested_output(self, name: &str, output: &str) -> Option<Evaluated<Option<Value<'a>>>> {
        let inner = self.in_stack(*self.stack.nested.get(name)?)?;
        let Some(entry) = inner.stack.outputs.entry(output) else {
            let file = &inner.stack.file;
            let expected = format!("an output of {file}, but it has no `{output}`");
            return Some(refuse("Fn::GetAtt", expected));
        };
        Some(inner.deeper(0).and_then(|inner| inner.output(entry)))
    }

    fn output(self, entry: &TableEntry<'a>) -> Evaluated<Option<Value<'a>>> {
        let Value::Table(body) = &entry.value.value else { return Ok(None) };
        if !self.exists(entry)? {
            let (name, file) = (&entry.key, &self.stack.file);
            let expected = "an output that is created, but the condition of the output";
            return refuse("Outputs", format!("{expected} `{name}` of {file} is false"));
        }
        match body.entry("Value") {
            Some(value) => Ok(self.value(&value.value)?.map(|node| node.value)),
            None => Ok(None),
        }
    }

    /// The value of `Fn::ImportValue`: a given value, or an output of another template.
    pub(super) fn import(self, name: &str) -> Evaluated<Option<Value<'a>>> {
        if let Some(given) = self.stacks.values.value(name) {
            return Ok(Some(Value::String(Cow::Owned(given.to_owned()))));
        }
        for index in 0..self.stacks.all.len() {
            let Some(exporting) = self.in_stack(index) else { continue };
            let named = exporting.stack.outputs.table.entries.iter().find(|output| {
                let export = export_of(output).filter(|_| exporting.exists(output).unwrap_or(true));
                export.is_some_and(|export| {
                    let inner = exporting.deeper(0).map(|inner| inner.accepting_names(true));
                    inner.and_then(|inner| inner.text("Export", export)).is_ok_and(|it| it == name)
                })
            });
            if let Some(output) = named {
                return exporting.deeper(0)?.output(output);
            }
        }
        refuse(
            "Fn::ImportValue",
            format!(
                "an export of a template, but `{name}` is none: give its value with --parameter \
                 {name}=VALUE, or the template that exports it with --config"
            ),
        )
    }

    /// The value of `Fn::FindInMap` with these arguments.
    pub(super) fn find_in_map(self, arguments: &[Node<'a>]) -> Evaluated<Option<Value<'a>>> {
        let (keys, default) = match arguments {
            [map, first, second] => ([map, first, second], None),
            [map, first, second, Node { value: Value::Table(options), .. }] => {
                ([map, first, second], options.entry("DefaultValue"))
            }
            _ => return refuse("Fn::FindInMap", "the name of a mapping and two keys"),
        };
        let mut table = Some(&self.stack.mappings.table);
        let mut found = None;
        let mut path = Vec::new();
        for key in keys {
            let key = self.accepting_names(false).text("Fn::FindInMap", key)?;
            let entry = table.and_then(|table| table.entry(&key));
            table = entry.and_then(|entry| table_of(&entry.value));
            found = entry;
            path.push(key);
        }
        match (found, default) {
            (Some(entry), _) | (None, Some(entry)) => {
                Ok(self.value(&entry.value)?.map(|node| node.value))
            }
            (None, None) => {
                let path = path.join(".");
                refuse("Fn::FindInMap", format!("keys of a mapping, but there is no `{path}`"))
            }
        }
    }
}

/// The type of a resource.
pub(super) fn type_of<'n>(resource: &'n TableEntry<'_>) -> Option<&'n str> {
    table_of(&resource.value)?.string("Type")
}

fn table_of<'n, 'a>(node: &'n Node<'a>) -> Option<&'n Table<'a>> {
    match &node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// The name under which an output is exported.
fn export_of<'n, 'a>(output: &'n TableEntry<'a>) -> Option<&'n Node<'a>> {
    let export = table_of(&output.value)?.table("Export")?;
    export.entry("Name").map(|entry| &entry.value)
}
