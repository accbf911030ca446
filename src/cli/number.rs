//! Parses the whole numbers of options whose range clap does not name in its error.

/// A parser of numbers from `min` on.
pub(super) fn at_least(min: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync {
    move |text| {
        let number = text.parse().ok().filter(|number| *number >= min);
        number.ok_or_else(|| format!("expected a number from {min} to {}", u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_range() {
        assert_eq!(at_least(0)("0"), Ok(0));
        assert_eq!(at_least(1)("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["0", "-1", "x", "", "1.5", "18446744073709551616"] {
            let refused = at_least(1)(wrong).unwrap_err();
            assert_eq!(refused, "expected a number from 1 to 18446744073709551615", "{wrong}");
        }
    }
}
