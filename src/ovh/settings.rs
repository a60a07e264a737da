//! What an operator decides about OVHcloud's API.

use crate::secret::Secret;

/// `[ovh]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OvhSettings {
    /// Which of OVHcloud's APIs made the credentials.
    pub endpoint: Endpoint,
    /// What proves who asks.
    pub credentials: Credentials,
}

/// What proves who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Three keys, with rights of their own.
    Keys(Keys),
    /// An OAuth 2.0 service account, with rights by policies.
    ServiceAccount(ServiceAccount),
}

/// Keys that sign each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The application key.
    pub application_key: Secret,
    /// The application secret.
    pub application_secret: Secret,
    /// The consumer key.
    pub consumer_key: Secret,
}

/// What a token is asked for with (OAuth 2.0 client credentials, RFC 6749 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The client's id.
    pub client_id: Secret,
    /// The client's secret.
    pub client_secret: Secret,
}

/// One of OVHcloud's APIs. Keys work only at the one that made them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Endpoint {
    /// Europe.
    #[default]
    Eu,
    /// Canada.
    Ca,
    /// The United States.
    Us,
    /// Another base address, such as a test's: `https`, or `http` on loopback.
    At(String),
}

impl Endpoint {
    /// The address that paths follow, without a slash at the end.
    pub fn base(&self) -> &str {
        match self {
            Self::Eu => "https://eu.api.ovh.com/1.0",
            Self::Ca => "https://ca.api.ovh.com/1.0",
            Self::Us => "https://api.us.ovhcloud.com/1.0",
            Self::At(base) => base.trim_end_matches('/'),
        }
    }

    /// The region whose address was written out.
    fn known(base: &str) -> Option<Self> {
        [Self::Eu, Self::Ca, Self::Us]
            .into_iter()
            .find(|region| origin(region.base()).eq_ignore_ascii_case(&origin(base)))
    }

    /// Where a service account gets its token.
    pub fn token(&self) -> String {
        match self {
            Self::Eu => "https://www.ovh.com/auth/oauth2/token".to_owned(),
            Self::Ca => "https://ca.ovh.com/auth/oauth2/token".to_owned(),
            Self::Us => "https://us.ovhcloud.com/auth/oauth2/token".to_owned(),
            Self::At(base) => {
                if let Some(known) = Self::known(base) {
                    return known.token();
                }
                format!("{}/auth/oauth2/token", origin(base))
            }
        }
    }

    /// Where keys are made, with the rights that outguard asks for.
    pub fn create_token(&self) -> String {
        let page = match self {
            Self::Eu | Self::At(_) => "https://eu.api.ovh.com/createToken/",
            Self::Ca => "https://ca.api.ovh.com/createToken/",
            Self::Us => "https://api.us.ovhcloud.com/createToken/",
        };
        format!("{page}?GET=/ip&GET=/ip/*&POST=/ip/*/spam/*/unblock&GET=/me&GET=/auth/*")
    }
}

/// Scheme and host of an address, and its port.
fn origin(base: &str) -> String {
    base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_written_out_is_that_region() {
        for region in [Endpoint::Eu, Endpoint::Ca, Endpoint::Us] {
            let base = region.base();
            for base in [base.to_owned(), format!("{base}/"), base.replace("1.0", "v1"), base.to_ascii_uppercase()] {
                assert_eq!(Endpoint::At(base).token(), region.token());
            }
        }
        let other = Endpoint::At("http://127.0.0.1:8080/1.0".to_owned());
        assert_eq!(other.token(), "http://127.0.0.1:8080/auth/oauth2/token");
    }
}
