//! `[ovh]`: the credentials for OVHcloud's API.

use super::item::{Fault, Item, Setting};
use super::reader::{TableReader, key};
use super::secrets::SecretSetting;
use super::values::{expected, quoted};
use crate::ovh::OvhSettings;
use crate::ovh::settings::{Credentials, Endpoint, Keys, ServiceAccount};

impl Setting for Endpoint {
    const EXPECTED: &'static str =
        "\"ovh-eu\", \"ovh-ca\", \"ovh-us\" or an address such as \"https://eu.api.ovh.com/1.0\"";

    fn read(item: &Item<'_>) -> Result<Self, Fault> {
        match item.text() {
            Some("ovh-eu") => Ok(Self::Eu),
            Some("ovh-ca") => Ok(Self::Ca),
            Some("ovh-us") => Ok(Self::Us),
            Some(text) => match url::Url::parse(text) {
                Ok(url) if url.scheme() == "https" && url.host().is_some() => Ok(Self::At(text.to_owned())),
                Ok(url) if url.scheme() == "http" && is_loopback(&url) => Ok(Self::At(text.to_owned())),
                Ok(_) | Err(_) => Err(expected::<Self>(item)),
            },
            None => Err(expected::<Self>(item)),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Eu => quoted("ovh-eu"),
            Self::Ca => quoted("ovh-ca"),
            Self::Us => quoted("ovh-us"),
            Self::At(base) => quoted(base),
        }
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(_)) | None => false,
    }
}

/// Reads `[ovh]`.
pub(super) fn read(root: &mut TableReader<'_>) -> Option<OvhSettings> {
    let doc = "Keys for OVHcloud's API, or a service account. The doctor tells whether they work and what they may do. Absent: it is \
               not asked.";
    let mut table = root.table("ovh", doc);
    let endpoint = table.or(key("endpoint", "Which API made them; they work at no other."), Endpoint::default());
    let mut secret = |name, doc, example| table.optional::<SecretSetting>(key(name, doc).example(example));
    let application_key =
        secret("application_key", "The application key.", "{ file = \"/etc/outguard/ovh-application-key\" }");
    let application_secret =
        secret("application_secret", "The application secret.", "{ file = \"/etc/outguard/ovh-application-secret\" }");
    let consumer_key = secret("consumer_key", "The consumer key.", "{ file = \"/etc/outguard/ovh-consumer-key\" }");
    let client_id = secret(
        "client_id",
        "The id of an OAuth 2.0 service account, in place of keys.",
        "{ file = \"/etc/outguard/ovh-client-id\" }",
    );
    let client_secret = secret("client_secret", "Its secret.", "{ file = \"/etc/outguard/ovh-client-secret\" }");
    let keys = (application_key, application_secret, consumer_key);
    let credentials = match (keys, (client_id, client_secret)) {
        ((Some(application_key), Some(application_secret), Some(consumer_key)), (None, None)) => {
            Credentials::Keys(Keys {
                application_key: application_key.secret,
                application_secret: application_secret.secret,
                consumer_key: consumer_key.secret,
            })
        }
        ((None, None, None), (Some(client_id), Some(client_secret))) => Credentials::ServiceAccount(ServiceAccount {
            client_id: client_id.secret,
            client_secret: client_secret.secret,
        }),
        ((None, None, None), (None, None)) => return None,
        _ => {
            let sentence = "application_key, application_secret and consumer_key belong together, and client_id and \
                            client_secret; write the three, or the two of a service account";
            table.reading().error(&table.here(), sentence);
            return None;
        }
    };
    Some(OvhSettings { endpoint, credentials })
}
