//! The references in an expression of a Terraform plan.

use super::super::document::{Table, Value};
use super::address::parts;

/// The maximum number of references in one expression.
const MAX_REFERENCES: usize = 10_000;

/// All references in an expression.
fn references_in<'n>(expression: &'n Table<'_>) -> impl Iterator<Item = &'n str> {
    let items = match expression.entry("references").map(|entry| &entry.value.value) {
        Some(Value::Array(items)) => &**items,
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.value {
        Value::String(text) => Some(&**text),
        _ => None,
    })
}

/// The references in an expression, such as `var.f`, without those that begin a more precise one
/// and without keys.
pub(super) fn precise<'n>(expression: &'n Table<'_>) -> Vec<&'n str> {
    let all: Vec<&str> = references_in(expression).take(MAX_REFERENCES).collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    let is_key = |text: &str| matches!(text, "each.key" | "count.index");
    let has_extension = |text: &str| {
        ['.', '['].iter().any(|next| {
            let longer = format!("{text}{next}");
            let first = sorted.get(sorted.partition_point(|one| *one < &*longer));
            first.is_some_and(|one| one.starts_with(&longer))
        })
    };
    let others = all.iter().any(|text| !is_key(text) && !text.starts_with("each."));
    let is_used = |text: &&str| {
        let is_index = is_key(text) || others && text.starts_with("each.");
        !is_index && !has_extension(text)
    };
    all.iter().copied().filter(is_used).collect()
}

/// Whether an expression has references apart from keys.
pub(super) fn has_references(expression: &Table<'_>) -> bool {
    references_in(expression).any(|text| !matches!(text, "each.key" | "count.index"))
}

/// What the keys in an expression are, such as that of `aws_network_interface.a[each.key].id`.
pub(super) enum KeyOf<'n> {
    /// There is none, or it is a literal.
    Nothing,
    /// `each.key` or `count.index`.
    Instance,
    /// `each.value` with this path, such as `.eni`; `None` if there are several keys.
    Value(Option<&'n str>),
}

/// What the keys in an expression are.
pub(super) fn key_of<'n>(expression: &'n Table<'_>) -> KeyOf<'n> {
    let (mut has_instance, mut values) = (false, Vec::new());
    for text in references_in(expression).take(MAX_REFERENCES) {
        match text.strip_prefix("each.value") {
            Some(path) if path.is_empty() || path.starts_with(['.', '[']) => values.push(path),
            _ => has_instance |= matches!(text, "each.key" | "count.index"),
        }
    }
    // A plan lists `each.value.a` as `each.value.a` and `each.value`.
    let longest = values.iter().copied().max_by_key(|path| path.len());
    match (longest, has_instance) {
        (None, false) => KeyOf::Nothing,
        (None, true) => KeyOf::Instance,
        (Some(path), false) if values.iter().all(|one| path.starts_with(one)) => {
            KeyOf::Value(Some(path))
        }
        (Some(_), _) => KeyOf::Value(None),
    }
}

/// The index that `each.value` with a path gives in the instance with that index of a block, if the
/// configuration determines it.
pub(super) fn value_of_each(
    block: Option<&Table<'_>>,
    index: &str,
    path: Option<&str>,
) -> Option<String> {
    let (path, for_each) = (path?, block?.table("for_each_expression")?);
    let Some(constant) = for_each.entry("constant_value") else {
        // A set of literals, such as toset(["a", "b"]), has no references and no constant value.
        let is_set = path.is_empty() && references_in(for_each).next().is_none();
        return is_set.then(|| index.to_owned());
    };
    let key: String = serde_json::from_str(index.strip_prefix('[')?.strip_suffix(']')?).ok()?;
    let mut value = match &constant.value.value {
        Value::Table(map) => &map.entry(&key)?.value.value,
        _ => return path.is_empty().then(|| index.to_owned()),
    };
    for part in parts(path).iter().map(|part| part.name).filter(|name| !name.is_empty()) {
        let Value::Table(table) = value else { return None };
        value = &table.entry(part)?.value.value;
    }
    match value {
        _ if path.contains('[') => None,
        Value::String(text) => Some(format!("[{}]", serde_json::to_string(text).ok()?)),
        Value::Integer(number) => Some(format!("[{number}]")),
        _ => None,
    }
}
