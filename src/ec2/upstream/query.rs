//! Questions in the query protocol: flat parameters out, XML in.

use ::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ::http::{Request, Response, StatusCode};
use bytes::Bytes;

use super::document::error_of;
use super::error::UpstreamError;
use super::{Upstream, document};

/// The key and the region of a question. Emulators find the account by the key, and have separate
/// resources in each region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ec2) struct Scope {
    pub(in crate::ec2) access_key_id: String,
    pub(in crate::ec2) region: String,
}

/// The maximum number of values of a filter (EC2 user guide).
pub(super) const MAX_FILTER_VALUES: usize = 200;

/// A service that is asked, and the version of its API.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServiceApi {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

/// EC2.
pub(super) const EC2: ServiceApi = ServiceApi { name: "ec2", version: "2016-11-15" };

/// STS.
const STS: ServiceApi = ServiceApi { name: "sts", version: "2011-06-15" };

impl Scope {
    /// The scope of questions before any client has sent a request: the key and the region that
    /// local emulators use by convention.
    pub(super) fn conventional() -> Self {
        Self { access_key_id: "test".to_owned(), region: "us-east-1".to_owned() }
    }

    /// A header that names the service, key and region. Its signature is not valid; emulators do
    /// not verify it.
    fn authorization(&self, service: &str) -> String {
        let Self { access_key_id, region } = self;
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        )
    }
}

impl Upstream {
    /// The response of EC2 to a form.
    pub(in crate::ec2) async fn ec2(
        &self,
        scope: &Scope,
        form: String,
    ) -> Result<Response<Bytes>, UpstreamError> {
        self.post(scope, EC2.name, form).await
    }

    async fn post(
        &self,
        scope: &Scope,
        service: &str,
        form: String,
    ) -> Result<Response<Bytes>, UpstreamError> {
        let request = Request::post("/")
            .header(AUTHORIZATION, scope.authorization(service))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .body(Bytes::from(form));
        match request {
            Ok(request) => self.forward(request).await,
            Err(error) => Err(self.refused(service, error.to_string())),
        }
    }

    /// The document with which a service answers an action.
    ///
    /// # Errors
    /// [`UpstreamError`] also for an answer that is an error.
    pub(super) async fn ask(
        &self,
        scope: &Scope,
        api: ServiceApi,
        action: &str,
        parameters: &[(String, String)],
    ) -> Result<String, UpstreamError> {
        let fixed = [("Action", action), ("Version", api.version)];
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fixed)
            .extend_pairs(parameters)
            .finish();
        let response = self.post(scope, api.name, form).await?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        match response.status() {
            StatusCode::OK => Ok(text),
            status => {
                let why = error_of(&text).unwrap_or_else(|| format!("HTTP status {status}"));
                Err(self.refused(action, why))
            }
        }
    }

    /// The account id of the emulator.
    pub(in crate::ec2) async fn ask_account_id(&self) -> Result<String, UpstreamError> {
        let scope = self.last_scope().unwrap_or_else(Scope::conventional);
        let action = "GetCallerIdentity";
        let text = self.ask(&scope, STS, action, &[]).await?;
        let id = document::first_text(&text, "Account");
        let id = id.filter(|id| crate::control::account::is_account_id(id));
        id.ok_or_else(|| self.refused(action, "there is no account id in its answer".to_owned()))
    }

    /// The error of an answer that cannot be used.
    pub(super) fn refused(&self, action: &str, why: String) -> UpstreamError {
        UpstreamError::Refused { url: self.url().to_owned(), action: action.to_owned(), why }
    }
}

/// A filter, as the parameters of a request.
pub(super) fn filter<'a>(
    name: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> Vec<(String, String)> {
    let values = (1..).zip(values);
    let values = values.map(|(n, value)| (format!("Filter.1.Value.{n}"), value.to_owned()));
    [("Filter.1.Name".to_owned(), name.to_owned())].into_iter().chain(values).collect()
}
