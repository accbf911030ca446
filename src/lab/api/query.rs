//! The parameters of a query string.

use crate::lab::error::LabError;

/// Parameters, each at most once.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses a query string. `known` are the parameters of the path.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, LabError> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
        let pairs: Vec<(String, String)> = pairs.collect();
        for (index, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let expected = match known {
                    [] => "no parameters".to_owned(),
                    some => some.join(" or "),
                };
                let message = format!("parameter `{name}`: expected {expected}");
                return Err(LabError::invalid("UnknownParameter", message));
            }
            if pairs.iter().take(index).any(|(other, _)| other == name) {
                let message = format!("parameter {name} `{value}`: expected it once");
                return Err(LabError::invalid("InvalidParameterValue", message));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, parsed by a function whose error names what would be right.
    pub(super) fn parsed<T, E: ToString>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, LabError> {
        let parsed = self.text(name).map(parse).transpose();
        parsed.map_err(|error| LabError::invalid("InvalidParameterValue", error.to_string()))
    }

    /// The value of a parameter that is true or false; false without it.
    pub(super) fn boolean(&self, name: &str) -> Result<bool, LabError> {
        let parse = |text: &str| match text {
            "true" | "1" | "" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("{name} `{text}`: expected true or false")),
        };
        Ok(self.parsed(name, parse)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_repeated_parameters_are_errors() {
        let query = Query::parse(Some("speed=2x&explain=true"), &["speed", "explain"]).unwrap();
        assert_eq!((query.text("speed"), query.boolean("explain").unwrap()), (Some("2x"), true));
        assert!(!Query::parse(None, &["explain"]).unwrap().boolean("explain").unwrap());
        for (text, part) in [
            ("sped=1", "parameter `sped`: expected speed or explain"),
            ("speed=1&speed=2", "parameter speed `2`: expected it once"),
        ] {
            let error = Query::parse(Some(text), &["speed", "explain"]).err().unwrap();
            assert!(error.message.contains(part), "{error}");
        }
        let error = Query::parse(Some("explain=x"), &["explain"]).unwrap().boolean("explain");
        assert!(error.unwrap_err().message.contains("explain `x`: expected true or false"));
    }
}
