//! The NextToken of a list that two services have: where the next page begins in which of them.

use serde::{Deserialize, Serialize};

use crate::control::account::ApiError;

/// The parameters of the first request, and where the next page begins. The pages of the other
/// emulator come first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageToken {
    action: String,
    /// The parameters, as the body of a request.
    pub(super) form: String,
    pub(super) next: NextPage,
}

/// The beginning of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum NextPage {
    /// A token of the other emulator; none for its first page.
    Upstream(Option<String>),
    /// A token of this endpoint; none for its first page.
    Own(Option<String>),
}

impl PageToken {
    /// The token as text.
    pub(super) fn encode(action: &str, form: String, next: NextPage) -> Result<String, ApiError> {
        let token = Self { action: action.to_owned(), form, next };
        let text = serde_json::to_vec(&token).map_err(ApiError::internal)?;
        Ok(base16ct::lower::encode_string(&text))
    }

    /// Reads a token of this action.
    pub(super) fn decode(action: &str, text: &str) -> Result<Self, ApiError> {
        let bytes = base16ct::lower::decode_vec(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        token.filter(|token| token.action == action).ok_or_else(|| {
            ApiError::new("InvalidNextToken", format!("The token '{text}' is not valid."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_only_for_its_action() {
        for next in [NextPage::Upstream(Some("a&b".to_owned())), NextPage::Own(None)] {
            let text = PageToken::encode("DescribeTags", "A=b".to_owned(), next.clone()).unwrap();
            let token = PageToken::decode("DescribeTags", &text).unwrap();
            assert_eq!((&*token.form, token.next), ("A=b", next));
            for (action, text) in [("Other", &*text), ("DescribeTags", "00"), ("DescribeTags", "x")]
            {
                assert_eq!(PageToken::decode(action, text).unwrap_err().code, "InvalidNextToken");
            }
        }
    }
}
