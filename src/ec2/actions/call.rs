//! A request for an action: the parameters and elements of responses that several actions share.

use super::super::form::Form;
use super::super::xml::Xml;
use crate::control::account::{ApiError, Caller, ClientToken};
use crate::model::Tags;

/// The namespace of responses, with a trailing slash as in AWS's documented examples.
const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// A request for an action.
pub(in super::super) struct Call<'a> {
    pub(in super::super) action: &'a str,
    pub(in super::super) form: &'a Form,
    pub(in super::super) caller: Caller<'a>,
    /// The region of the signature.
    pub(in super::super) region: &'a str,
    /// The id of this request in its response.
    pub(in super::super) request_id: &'a str,
}

/// Whether an action changes anything.
pub(in super::super) fn is_change(action: &str) -> bool {
    !action.starts_with("Describe")
}

impl Call<'_> {
    /// The document of the response.
    pub(super) fn answer(&self, content: impl FnOnce(&mut Xml)) -> String {
        let root = format!("{}Response", self.action);
        let mut xml = Xml::document(&root, Some(NAMESPACE));
        xml.text("requestId", self.request_id);
        content(&mut xml);
        xml.end(&root)
    }

    /// The tags of the TagSpecification for this resource type; other types are refused.
    pub(super) fn tags(&self, resource_type: &str) -> Result<Tags, ApiError> {
        let mut pairs = Vec::new();
        for member in self.form.members("TagSpecification") {
            let parameter = format!("{member}.ResourceType");
            let given = self.form.required(&parameter)?;
            if !given.eq_ignore_ascii_case(resource_type) {
                let message = format!(
                    "'{given}' is not a valid taggable resource type for this operation: expected \
                     {resource_type}."
                );
                return Err(ApiError::new("InvalidParameterValue", message));
            }
            pairs.extend(self.pairs(&format!("{member}.Tag"))?);
        }
        crate::control::account::tags(pairs)
    }

    /// The keys and values of a list of tags; a missing value is empty.
    pub(super) fn pairs(&self, list: &str) -> Result<Vec<(String, String)>, ApiError> {
        let pairs = self.form.members(list).into_iter().map(|member| {
            let key = self.form.required(&format!("{member}.Key"))?.to_owned();
            Ok((key, self.form.owned(&format!("{member}.Value")).unwrap_or_default()))
        });
        pairs.collect()
    }

    /// The ClientToken, if there is one.
    pub(super) fn client_token(&self) -> Result<Option<ClientToken>, ApiError> {
        let token = self.form.text("ClientToken");
        token.map(|token| ClientToken::new(token, self.form.fingerprint())).transpose()
    }

    /// The description, at most 255 characters. AWS documents no limit here; this is the limit for
    /// descriptions of security groups.
    pub(super) fn description(&self) -> Result<Option<String>, ApiError> {
        let text = self.form.owned("Description");
        match text {
            Some(text) if text.chars().count() > 255 => {
                Err(ApiError::invalid_value("Description", text, "at most 255 characters"))
            }
            text => Ok(text.filter(|text| !text.is_empty())),
        }
    }

    /// Checks that every parameter is known, and ends a Describe action with DryRun.
    pub(super) fn check_parameters(&self) -> Result<(), ApiError> {
        self.form.check_no_unknown_parameters()?;
        if self.caller.is_dry_run && !is_change(self.action) {
            return Err(ApiError::dry_run());
        }
        Ok(())
    }

    /// A response with only the id of the deleted resource.
    pub(super) fn answer_id(&self, name: &str, id: impl std::fmt::Display) -> String {
        self.answer(|xml| xml.text(name, id))
    }

    /// The token of the next page, if there is one.
    pub(super) fn next_token(xml: &mut Xml, token: Option<String>) {
        xml.optional("nextToken", token);
    }
}
