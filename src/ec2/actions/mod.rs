//! The actions: each reads its parameters, calls the account, and writes the response.
//!
//! There is one file for each kind of resource. Each action reads all its parameters first, then
//! checks that the request has no others, and only then calls the account.

mod elements;
mod filters;
mod interfaces;
mod rules;
mod sessions;
mod tags;
mod targets;

use super::form::Form;
use super::xml::Xml;
use crate::control::account::{Account, ApiError, Caller, ClientToken};
use crate::model::Tags;

/// The only version of the EC2 API that is served.
pub(super) const VERSION: &str = "2016-11-15";

/// The namespace of responses, with a trailing slash as in AWS's documented examples.
pub(super) const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// A request for an action.
pub(super) struct Call<'a> {
    pub(super) action: &'a str,
    pub(super) form: &'a Form,
    pub(super) caller: Caller<'a>,
    /// The region of the signature.
    pub(super) region: &'a str,
    /// The id of this request in its response.
    pub(super) request_id: &'a str,
}

/// Whether an action changes anything.
pub(super) fn is_change(action: &str) -> bool {
    !action.starts_with("Describe")
}

/// Executes an action.
pub(super) fn execute(account: &mut Account, call: &Call<'_>) -> Result<String, ApiError> {
    match call.action {
        "CreateTrafficMirrorSession" => sessions::create(account, call),
        "ModifyTrafficMirrorSession" => sessions::modify(account, call),
        "DeleteTrafficMirrorSession" => sessions::delete(account, call),
        "CreateTrafficMirrorTarget" => targets::create(account, call),
        "DeleteTrafficMirrorTarget" => targets::delete(account, call),
        "CreateTrafficMirrorFilter" => filters::create(account, call),
        "DeleteTrafficMirrorFilter" => filters::delete(account, call),
        "ModifyTrafficMirrorFilterNetworkServices" => filters::modify_services(account, call),
        "CreateTrafficMirrorFilterRule" => rules::create(account, call),
        "ModifyTrafficMirrorFilterRule" => rules::modify(account, call),
        "DeleteTrafficMirrorFilterRule" => rules::delete(account, call),
        "CreateTags" => tags::create(account, call),
        "DeleteTags" => tags::delete(account, call),
        _ => describe(account, call),
    }
}

/// Executes an action that changes nothing.
pub(super) fn describe(account: &Account, call: &Call<'_>) -> Result<String, ApiError> {
    match call.action {
        "DescribeTrafficMirrorSessions" => sessions::describe(account, call),
        "DescribeTrafficMirrorTargets" => targets::describe(account, call),
        "DescribeTrafficMirrorFilters" => filters::describe(account, call),
        "DescribeTrafficMirrorFilterRules" => rules::describe(account, call),
        "DescribeTags" => tags::describe(account, call),
        "DescribeNetworkInterfaces" => interfaces::describe(account, call),
        other => {
            let message = format!("The action {other} is not valid for this web service.");
            Err(ApiError::new("InvalidAction", message))
        }
    }
}

impl Call<'_> {
    /// The document of the response.
    fn answer(&self, content: impl FnOnce(&mut Xml)) -> String {
        let root = format!("{}Response", self.action);
        let mut xml = Xml::document(&root, Some(NAMESPACE));
        xml.text("requestId", self.request_id);
        content(&mut xml);
        xml.end(&root)
    }

    /// The tags of the TagSpecification for this resource type; other types are refused.
    fn tags(&self, resource_type: &str) -> Result<Tags, ApiError> {
        let mut pairs = Vec::new();
        for member in self.form.members("TagSpecification") {
            let parameter = format!("{member}.ResourceType");
            let given = self.form.required(&parameter)?;
            if given != resource_type {
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
    fn pairs(&self, list: &str) -> Result<Vec<(String, String)>, ApiError> {
        let pairs = self.form.members(list).into_iter().map(|member| {
            let key = self.form.required(&format!("{member}.Key"))?.to_owned();
            Ok((key, self.form.owned(&format!("{member}.Value")).unwrap_or_default()))
        });
        pairs.collect()
    }

    /// The ClientToken, if there is one.
    fn client_token(&self) -> Result<Option<ClientToken>, ApiError> {
        let token = self.form.text("ClientToken");
        token.map(|token| ClientToken::new(token, self.form.fingerprint())).transpose()
    }

    /// The description, at most 255 characters. AWS documents no limit here; this is the limit for
    /// descriptions of security groups.
    fn description(&self) -> Result<Option<String>, ApiError> {
        let text = self.form.owned("Description");
        match text {
            Some(text) if text.chars().count() > 255 => {
                Err(ApiError::invalid_value("Description", text, "at most 255 characters"))
            }
            text => Ok(text.filter(|text| !text.is_empty())),
        }
    }

    /// Checks that every parameter is known, and ends a Describe action with DryRun.
    fn check_parameters(&self) -> Result<(), ApiError> {
        self.form.check_no_unknown_parameters()?;
        if self.caller.is_dry_run && !is_change(self.action) {
            return Err(ApiError::dry_run());
        }
        Ok(())
    }

    /// A response with only the id of the deleted resource.
    fn answer_id(&self, name: &str, id: impl std::fmt::Display) -> String {
        self.answer(|xml| xml.text(name, id))
    }

    /// The token of the next page, if there is one.
    fn next_token(xml: &mut Xml, token: Option<String>) {
        xml.optional("nextToken", token);
    }
}
