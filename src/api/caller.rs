//! Who asks, and what they may do: a handler takes the proof of the role that it needs.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::refusal::Refused;
use super::settings::Role;

/// The process at the other end of the socket, by the kernel's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name for the journal: the user's, or `uid 1000` where the system knows none.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
}

impl Caller {
    /// Judges a peer by its uid; `own_uid` is the daemon's.
    pub fn of_uid(uid: u32, own_uid: u32, name: Option<String>, others: Role) -> Self {
        let role = if uid == 0 || uid == own_uid { Role::Admin } else { others };
        Self { name: name.unwrap_or_else(|| format!("uid {uid}")).into(), role }
    }

    fn from(parts: &Parts) -> Option<Self> {
        parts.extensions.get::<Self>().cloned()
    }
}

/// Proof that the caller may look.
#[derive(Debug)]
pub struct Reader(());

/// Proof that the caller may change things.
#[derive(Debug)]
pub struct Admin(Caller);

impl Admin {
    /// The name for the journal.
    pub fn name(&self) -> String {
        self.0.name.to_string()
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        allowed(parts, Role::Read).map(|_| Self(()))
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        allowed(parts, Role::Admin).map(Self)
    }
}

/// A request without a caller came by no socket of ours: it may do nothing.
fn allowed(parts: &Parts, needed: Role) -> Result<Caller, Refused> {
    Caller::from(parts).filter(|caller| caller.role >= needed).ok_or(Refused::NotAllowed { needed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles() {
        let cases = [
            (0, Role::None, Role::Admin),   // root
            (990, Role::None, Role::Admin), // the service user
            (1000, Role::Read, Role::Read),
            (1000, Role::None, Role::None),
        ];
        for (uid, others, expected) in cases {
            assert_eq!(Caller::of_uid(uid, 990, None, others).role, expected, "uid {uid}");
        }
        assert_eq!(&*Caller::of_uid(1000, 990, None, Role::Read).name, "uid 1000");
    }
}
