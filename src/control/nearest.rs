//! Suggestions for misspelled names: the known name that is most similar.

use std::fmt::Write as _;

/// The maximum number of names compared for one suggestion, which limits the time for a file with
/// ten thousand wrong names.
const MAX_CANDIDATES: usize = 256;

/// The maximum length of a compared name in bytes. A longer name is not a typing error.
const MAX_NAME_LEN: usize = 128;

/// The minimum similarity of a suggestion, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.8;

/// The maximum number of names that an error lists completely.
const MAX_LISTED: usize = 5;

/// The candidate most similar to `wanted`, if any is similar enough.
pub(super) fn nearest<'a>(
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    if wanted.len() > MAX_NAME_LEN {
        return None;
    }
    candidates
        .take(MAX_CANDIDATES)
        .filter(|name| name.len() <= MAX_NAME_LEN)
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, name), name))
        // Jaro-Winkler finds abbreviations, because it favours a common prefix. It rates other
        // pairs higher than Damerau-Levenshtein does, hence the deduction.
        .map(|(similarity, name)| (similarity.max(strsim::jaro_winkler(wanted, name) - 0.1), name))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The expected value of a reference: all names if they are few, else the most similar one.
pub(super) fn expected_id<'a>(
    kind: &str,
    wanted: &str,
    names: impl ExactSizeIterator<Item = &'a str> + Clone,
) -> String {
    let count = names.len();
    if count == 0 {
        return format!("the id of a {kind}, but no {kind} is defined");
    }
    if count > MAX_LISTED {
        let mut text = format!("the id of one of the {count} {kind}s");
        if let Some(name) = nearest(wanted, names) {
            // Writing to a string never fails.
            let _ = write!(text, "; did you mean `{name}`?");
        }
        return text;
    }
    let listed: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    format!("the id of a {kind}: {}", listed.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_for_a_typo() {
        let known = ["packet_length", "session_number", "description"];
        for (wanted, found) in [
            ("packet_lenght", Some("packet_length")),
            ("packetlength", Some("packet_length")),
            ("session_nr", Some("session_number")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, known.into_iter()), found, "{wanted}");
        }
    }

    #[test]
    fn few_names_are_all_listed_and_of_many_only_the_nearest() {
        let few = ["a", "b"];
        assert_eq!(
            expected_id("filter", "c", few.iter().copied()),
            "the id of a filter: `a` or `b`"
        );
        assert_eq!(
            expected_id("filter", "c", few.iter().copied().take(0)),
            "the id of a filter, but no filter is defined"
        );
        let many = ["web-1", "web-2", "dns-1", "dns-2", "ssh-1", "ssh-2"];
        assert_eq!(
            expected_id("filter", "dsn-2", many.iter().copied()),
            "the id of one of the 6 filters; did you mean `dns-2`?"
        );
        assert_eq!(
            expected_id("filter", "mail", many.iter().copied()),
            "the id of one of the 6 filters"
        );
    }
}
