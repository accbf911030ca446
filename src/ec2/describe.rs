//! The common part of all Describe actions: ids, filters and pages.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::form::Form;
use crate::control::account::ApiError;
use crate::model::Tags;

/// MaxResults: "This value can be between 5 and 1000" (EC2 API, DescribeTags).
const PAGE_SIZE: std::ops::RangeInclusive<i64> = 5..=1000;

/// The maximum number of values of all filters of a request. AWS accepts more: "up to 50 filters
/// and up to 200 values per filter in a single request" (EC2 user guide).
const MAX_FILTER_VALUES: usize = 200;

/// The tags of synthetic resources.
pub(super) static NO_TAGS: Tags = Tags::new();

/// A filter: a name, and patterns of which at least one must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DescribeFilter {
    name: String,
    values: Vec<String>,
}

/// The query of a Describe action, and where its page begins. A NextToken contains the whole query,
/// so the server keeps no state between pages. Its JSON has the names of an earlier version,
/// because a token stays valid after an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Query {
    action: String,
    filters: Vec<DescribeFilter>,
    /// The page begins after this position.
    #[serde(rename = "behind")]
    after: PageCursor,
    /// The maximum number of results of a page.
    #[serde(rename = "most")]
    max_results: Option<usize>,
    /// For rules: the id of the traffic mirror filter that they belong to.
    #[serde(rename = "of")]
    pub(super) filter_id: Option<String>,
    #[serde(skip)]
    ids: BTreeSet<String>,
}

/// A position in a list: the resource in the order of creation, and a key for lists with several
/// results per resource. It stays valid when other results are added or removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct PageCursor {
    pub(super) sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
}

impl From<u64> for PageCursor {
    fn from(sequence: u64) -> Self {
        Self { sequence, key: None }
    }
}

/// A resource that filters can be applied to.
pub(super) trait Filterable {
    /// The values of the field that a filter names, or `None` if there is no such filter.
    fn field(&self, name: &str) -> Option<Vec<String>>;

    /// The tags; none for a synthetic resource.
    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl Query {
    /// Reads the query of a Describe action. `id_list` is the parameter with ids, `names` are the
    /// filters besides those for tags. Unknown filters are refused even if there are no resources.
    ///
    /// # Errors
    /// [`ApiError`] for an unknown filter, a MaxResults out of range or with ids, and a NextToken
    /// of another action.
    pub(super) fn read(
        form: &Form,
        action: &str,
        id_list: &str,
        names: &[&str],
    ) -> Result<Self, ApiError> {
        let ids: BTreeSet<String> = form.texts(id_list).into_iter().collect();
        let mut filters = Vec::new();
        for member in form.members("Filter") {
            let name = form.required(&format!("{member}.Name"))?.to_owned();
            let values = form.texts(&format!("{member}.Value"));
            if values.is_empty() {
                return Err(ApiError::missing_parameter(&format!("{member}.Value.1")));
            }
            let filter = DescribeFilter { name, values };
            if !filter.has_known_name(names) {
                return Err(invalid_filter(&filter.name));
            }
            filters.push(filter);
        }
        if has_too_many_values(&filters) {
            let message = format!("A request has at most {MAX_FILTER_VALUES} filter values.");
            return Err(ApiError::new("FilterLimitExceeded", message));
        }
        let max_results = form.integer("MaxResults")?;
        let token = form.text("NextToken");
        if let Some(invalid) = max_results.filter(|count| !PAGE_SIZE.contains(count)) {
            return Err(ApiError::invalid_value("MaxResults", invalid, "5 to 1000"));
        }
        if !ids.is_empty() && (max_results.is_some() || token.is_some()) {
            let message = format!(
                "The parameter {id_list} cannot be used with the parameter MaxResults or NextToken."
            );
            return Err(ApiError::invalid_combination(message));
        }
        let max_results = max_results.and_then(|count| usize::try_from(count).ok());
        if let Some(token) = token {
            let known = Self::of_token(action, names, token)?;
            // A client may change the length of its pages.
            return Ok(Self { max_results: max_results.or(known.max_results), ..known });
        }
        Ok(Self {
            action: action.to_owned(),
            filters,
            after: PageCursor::default(),
            max_results,
            filter_id: None,
            ids,
        })
    }

    /// Whether a request could contain the query: `names` are the filters besides those for tags.
    fn is_within_limits(&self, names: &[&str]) -> bool {
        let is_valid = |one: &DescribeFilter| !one.values.is_empty() && one.has_known_name(names);
        let count = self.max_results.and_then(|count| i64::try_from(count).ok());
        count.is_some_and(|count| PAGE_SIZE.contains(&count))
            && self.filters.iter().all(is_valid)
            && !has_too_many_values(&self.filters)
    }

    /// The sequence number after which the page begins.
    pub(super) const fn after(&self) -> u64 {
        self.after.sequence
    }

    /// Whether a position is on this page or a later one.
    pub(super) fn is_after(&self, cursor: &PageCursor) -> bool {
        *cursor > self.after
    }

    /// The requested ids; empty for all.
    pub(super) const fn ids(&self) -> &BTreeSet<String> {
        &self.ids
    }

    /// Whether a resource matches the ids and filters.
    pub(super) fn selects(&self, id: &str, resource: &dyn Filterable) -> Result<bool, ApiError> {
        if !self.ids.is_empty() && !self.ids.contains(id) {
            return Ok(false);
        }
        for filter in &self.filters {
            let Some(values) = filter.values_of(resource) else {
                return Err(invalid_filter(&filter.name));
            };
            if !values.iter().any(|value| filter.fits(value)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The page of matching resources, and the token of the next page.
    pub(super) fn page<T, P: Into<PageCursor>>(
        &self,
        resources: impl Iterator<Item = (P, Result<Option<T>, ApiError>)>,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        let mut page = Vec::new();
        let mut last = self.after.clone();
        for (cursor, resource) in resources {
            let Some(resource) = resource? else { continue };
            if self.max_results.is_some_and(|count| page.len() >= count) {
                return Ok((page, Some(self.token(last)?)));
            }
            page.push(resource);
            last = cursor.into();
        }
        Ok((page, None))
    }

    /// The page of matching resources that have no sequence number, in the order of their ids.
    pub(super) fn page_by_key<T: Filterable>(
        &self,
        mut resources: Vec<(String, T)>,
    ) -> Result<(Vec<T>, Option<String>), ApiError> {
        resources.sort_by(|(left, _), (right, _)| left.cmp(right));
        let selected = resources.into_iter().filter_map(|(key, resource)| {
            let selected = self.selects(&key, &resource);
            let cursor = PageCursor { sequence: 0, key: Some(key) };
            self.is_after(&cursor)
                .then(|| (cursor, selected.map(|is_selected| is_selected.then_some(resource))))
        });
        self.page(selected)
    }

    /// Checks that each requested id is the id of a resource.
    pub(super) fn check_ids_exist<T>(
        &self,
        resources: &[(String, T)],
        not_found: impl Fn(&str) -> ApiError,
    ) -> Result<(), ApiError> {
        let known: BTreeSet<&str> = resources.iter().map(|(id, _)| &**id).collect();
        let unknown = self.ids.iter().find(|id| !known.contains(&***id));
        unknown.map_or(Ok(()), |id| Err(not_found(id)))
    }

    fn token(&self, after: PageCursor) -> Result<String, ApiError> {
        let next = Self { after, ..self.clone() };
        let text = serde_json::to_vec(&next).map_err(ApiError::internal)?;
        Ok(text.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The query of a NextToken. A client can forge a token, so the limits of a request apply.
    fn of_token(action: &str, names: &[&str], token: &str) -> Result<Self, ApiError> {
        let (pairs, rest) = token.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let query = bytes.filter(|_| rest.is_empty());
        let query = query.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let is_valid = |query: &Self| query.action == action && query.is_within_limits(names);
        query.filter(is_valid).ok_or_else(|| {
            ApiError::new("InvalidNextToken", format!("The token '{token}' is not valid."))
        })
    }
}

fn has_too_many_values(filters: &[DescribeFilter]) -> bool {
    filters.iter().map(|one| one.values.len()).sum::<usize>() > MAX_FILTER_VALUES
}

impl DescribeFilter {
    fn has_known_name(&self, names: &[&str]) -> bool {
        is_of_tags(&self.name) || names.contains(&&*self.name)
    }

    fn values_of(&self, resource: &dyn Filterable) -> Option<Vec<String>> {
        if let Some(key) = self.name.strip_prefix("tag:") {
            return Some(resource.tags().get(key).cloned().into_iter().collect());
        }
        match &*self.name {
            "tag-key" => Some(resource.tags().keys().cloned().collect()),
            name => resource.field(name),
        }
    }

    fn fits(&self, value: &str) -> bool {
        self.values.iter().any(|pattern| matches(pattern, value))
    }
}

fn is_of_tags(name: &str) -> bool {
    name == "tag-key" || name.starts_with("tag:")
}

fn invalid_filter(name: &str) -> ApiError {
    ApiError::new("InvalidParameterValue", format!("{UNKNOWN_FILTER}{name}' is invalid"))
}

/// The start of the message for a filter that does not exist here.
const UNKNOWN_FILTER: &str = "The filter '";

/// Whether an error is that of a filter that does not exist here.
pub(super) fn is_unknown_filter(error: &ApiError) -> bool {
    error.code == "InvalidParameterValue" && error.message.starts_with(UNKNOWN_FILTER)
}

/// Whether a value matches a pattern with the wildcards of EC2: `*` for any number of characters,
/// `?` for one, `\` before a literal character.
///
/// Only the last `*` needs backtracking. Example: `a*b` against `abcb`. The star first matches
/// nothing and `b` matches at 1. The pattern then ends before the value, so the star is extended by
/// one character at a time, until `b` matches at 3.
fn matches(pattern: &str, value: &str) -> bool {
    let pattern = tokens(pattern);
    let value: Vec<char> = value.chars().collect();
    // `star` is the position of the last star, and the end of the characters that it matches.
    let (mut pattern_at, mut value_at, mut star) = (0, 0, None);
    while let Some(letter) = value.get(value_at) {
        match pattern.get(pattern_at) {
            Some(PatternToken::Any) => {
                star = Some((pattern_at, value_at));
                pattern_at += 1;
            }
            Some(PatternToken::One) => (pattern_at, value_at) = (pattern_at + 1, value_at + 1),
            Some(PatternToken::This(wanted)) if wanted == letter => {
                (pattern_at, value_at) = (pattern_at + 1, value_at + 1);
            }
            _ => {
                let Some((star_at, star_end)) = star else { return false };
                (pattern_at, value_at) = (star_at + 1, star_end + 1);
                star = Some((star_at, star_end + 1));
            }
        }
    }
    pattern.iter().skip(pattern_at).all(|letter| matches!(letter, PatternToken::Any))
}

enum PatternToken {
    Any,
    One,
    This(char),
}

fn tokens(pattern: &str) -> Vec<PatternToken> {
    let mut letters = pattern.chars();
    let mut tokens = Vec::new();
    while let Some(letter) = letters.next() {
        tokens.push(match letter {
            '*' => PatternToken::Any,
            '?' => PatternToken::One,
            '\\' => PatternToken::This(letters.next().unwrap_or('\\')),
            letter => PatternToken::This(letter),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_wildcards_match_as_in_ec2() {
        for (pattern, value, fits) in [
            ("s*", "s1", true),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("S*", "s1", false),
            ("", "", true),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, value), fits, "{pattern} {value}");
        }
    }

    /// The token of this query, which a client forged, is invalid.
    fn assert_invalid(forged: Query) {
        let token = forged.token(PageCursor::default()).unwrap();
        for more in ["", "&MaxResults=5"] {
            let form = Form::parse(&format!("NextToken={token}{more}"), b"").unwrap();
            let refused = Query::read(&form, "DescribeX", "Id", &["x"]).unwrap_err();
            assert_eq!(refused.code, "InvalidNextToken", "{forged:?}");
        }
    }

    #[test]
    fn a_next_token_carries_the_whole_query() {
        let form = Form::parse("", b"Filter.1.Name=x&Filter.1.Value.1=y&MaxResults=5").unwrap();
        let query = Query::read(&form, "DescribeX", "Id", &["x"]).unwrap();
        let (page, token) = query.page((1_u64..=9).map(|n| (n, Ok(Some(n))))).unwrap();
        assert_eq!(page, [1, 2, 3, 4, 5]);
        let form = Form::parse(&format!("NextToken={}", token.unwrap()), b"").unwrap();
        let next = Query::read(&form, "DescribeX", "Id", &["x"]).unwrap();
        assert_eq!((next.after(), next.max_results, next.filters.len()), (5, Some(5), 1));
        assert!(Query::read(&form, "DescribeY", "Id", &[]).is_err());
        for max_results in [None, Some(4), Some(1001), Some(usize::MAX)] {
            assert_invalid(Query { max_results, ..next.clone() });
        }
        let filter = |name: &str, count| {
            let values = vec![String::new(); count];
            vec![DescribeFilter { name: name.to_owned(), values }]
        };
        for filters in [filter("x", 201), filter("x", 0), filter("y", 1)] {
            assert_invalid(Query { filters, ..next.clone() });
        }
        let wrong = Form::parse("", b"NextToken=zz").unwrap();
        assert_eq!(Query::read(&wrong, "X", "Id", &[]).unwrap_err().code, "InvalidNextToken");
    }
}
