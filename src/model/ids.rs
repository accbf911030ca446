//! Identifiers: any non-empty text, one type for each kind of resource.

use std::fmt;
use std::sync::Arc;

use super::InvalidValue;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $field:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The prefix of ids that AWS generates.
            pub const PREFIX: &'static str = $prefix;

            /// An id from any text that is not blank.
            ///
            /// # Errors
            /// [`InvalidValue`] if the text is empty or only white space.
            pub fn new(text: &str) -> Result<Self, InvalidValue> {
                if text.trim().is_empty() {
                    let expected = concat!("a name that is not empty, such as ", $prefix, "web");
                    return Err(InvalidValue::new($field, text, expected));
                }
                Ok(Self(Arc::from(text)))
            }

            /// An id in AWS's format: the prefix and 17 lower-case hexadecimal digits, from the low
            /// 68 bits of `seed`.
            #[must_use]
            pub fn from_seed(seed: u128) -> Self {
                Self(Arc::from(format!("{}{:017x}", $prefix, seed & ((1 << 68) - 1))))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

identifier!(
    /// The id of a network interface, such as `eni-...` in AWS.
    NetworkInterfaceId,
    "network_interface_id",
    "eni-"
);
identifier!(
    /// The id of a target, such as `tmt-...` in AWS.
    TargetId,
    "traffic_mirror_target_id",
    "tmt-"
);
identifier!(
    /// The id of a filter, such as `tmf-...` in AWS.
    FilterId,
    "traffic_mirror_filter_id",
    "tmf-"
);
identifier!(
    /// The id of a filter rule, such as `tmfr-...` in AWS.
    FilterRuleId,
    "traffic_mirror_filter_rule_id",
    "tmfr-"
);
identifier!(
    /// The id of a session, such as `tms-...` in AWS.
    SessionId,
    "traffic_mirror_session_id",
    "tms-"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_any_text_that_is_not_blank() {
        assert_eq!(TargetId::new("web").unwrap().as_str(), "web");
        let refused = TargetId::new(" ").unwrap_err();
        assert_eq!(refused.field, "traffic_mirror_target_id");
    }

    #[test]
    fn a_generated_id_has_the_aws_format() {
        assert_eq!(SessionId::from_seed(0xabc).as_str(), "tms-00000000000000abc");
        assert_eq!(SessionId::from_seed(u128::MAX).as_str().len(), 4 + 17);
    }
}
