//! What an operator decides about OVHcloud's API.

use crate::secret::Secret;

/// `[ovh]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OvhSettings {
    /// Which of OVHcloud's APIs made the keys.
    pub endpoint: Endpoint,
    /// The application key.
    pub application_key: Secret,
    /// The application secret.
    pub application_secret: Secret,
    /// The consumer key.
    pub consumer_key: Secret,
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
