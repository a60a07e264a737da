//! A service account's token (OAuth 2.0 client credentials, RFC 6749 4.4): what is asked for it, and what comes. Pure.

use bytes::Bytes;
use serde::Deserialize;
use url::form_urlencoded;

use super::client::{OvhError, broken, shortened};
use super::settings::ServiceAccount;
use crate::secret::Secret;

/// The form that asks for a token.
pub(super) fn form(account: &ServiceAccount) -> Bytes {
    let text = |secret: &Secret| String::from_utf8_lossy(secret.reveal()).into_owned();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    form.append_pair("client_id", &text(&account.client_id));
    form.append_pair("client_secret", &text(&account.client_secret));
    form.append_pair("scope", "all");
    form.finish().into()
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct TokenJson {
    access_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// The token of an answer. An unknown client is told with 200 too.
pub(super) fn token_in(answer: &[u8]) -> Result<Secret, OvhError> {
    let told: TokenJson = serde_json::from_slice(answer).unwrap_or_default();
    match (told.access_token, told.error) {
        (Some(token), None) if !token.is_empty() => Ok(Secret::new(token.into_bytes())),
        (_, Some(code)) => Err(OvhError::Refused {
            status: 200,
            code: shortened(&code),
            message: shortened(told.error_description.as_deref().unwrap_or("it refuses without a word")),
            missing: Vec::new(),
        }),
        (_, None) => Err(broken("the question for a token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_and_what_comes() {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let account = ServiceAccount { client_id: secret("EU.id"), client_secret: secret("a&b=c +") };
        assert_eq!(
            form(&account),
            "grant_type=client_credentials&client_id=EU.id&client_secret=a%26b%3Dc+%2B&scope=all"
        );
        let refused = OvhError::Refused {
            status: 200,
            code: "invalid_client".into(),
            message: "no such client".into(),
            missing: Vec::new(),
        };
        let cases = [
            (r#"{"access_token":"tok","token_type":"Bearer","expires_in":3599,"scope":"all"}"#, Ok(secret("tok"))),
            (r#"{"error":"invalid_client","error_description":"no such client"}"#, Err(refused)),
            (r#"{"access_token":""}"#, Err(broken("the question for a token"))),
            ("<html>", Err(broken("the question for a token"))),
        ];
        for (answer, expected) in cases {
            assert_eq!(token_in(answer.as_bytes()), expected, "{answer}");
        }
    }
}
