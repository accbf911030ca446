//! The references in an expression of a Terraform plan.

use super::super::document::{Table, Value};
use super::address::extends;

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
        // Extensions follow the text in the order of their bytes, but other texts may be between.
        let from = sorted.partition_point(|one| *one <= text);
        let following = sorted.iter().skip(from).take_while(|one| one.starts_with(text));
        following.into_iter().any(|one| extends(one, text))
    };
    let others = all.iter().any(|text| !is_key(text) && !text.starts_with("each."));
    let is_used = |text: &&str| {
        let is_index = is_key(text) || others && text.starts_with("each.");
        !is_index && !has_extension(text)
    };
    all.iter().copied().filter(is_used).collect()
}

/// Whether an expression uses the key or index of the instance that it belongs to.
pub(super) fn is_keyed(expression: &Table<'_>) -> bool {
    references_in(expression).any(|text| text.starts_with("each.") || text == "count.index")
}
