//! The answers that are not 200.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::operator::OperatorError;
use super::settings::Role;
use super::view::Failure;
use crate::store::StoreError;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The caller may not.
    NotAllowed {
        /// What it would have to be.
        needed: Role,
    },
    /// The request makes no sense.
    Bad {
        /// What is wrong.
        fault: String,
    },
    /// There is no such message.
    NoSuchMessage {
        /// As it was asked for.
        id: String,
    },
    /// It took longer than a request may.
    Late,
    /// There is no such path.
    NoSuchPath,
    /// The daemon or its store did not do it.
    Operator(OperatorError),
}

impl From<OperatorError> for Refused {
    fn from(error: OperatorError) -> Self {
        Self::Operator(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Operator(OperatorError::Store(error))
    }
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotAllowed { .. } => StatusCode::FORBIDDEN,
            Self::Bad { .. } => StatusCode::BAD_REQUEST,
            Self::NoSuchMessage { .. }
            | Self::NoSuchPath
            | Self::Operator(OperatorError::Store(StoreError::NoSuchMessage(_))) => StatusCode::NOT_FOUND,
            Self::Operator(OperatorError::Refused { .. }) => StatusCode::CONFLICT,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Operator(OperatorError::Stopping | OperatorError::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn failure(&self) -> Failure {
        let (error, advice) = match self {
            Self::NotAllowed { needed: Role::Admin } => (
                "only root and the service user may do that".to_owned(),
                "run it with sudo, or give others the role in [control]",
            ),
            Self::NotAllowed { needed: Role::Read | Role::None } => {
                ("you may not look at the queue".to_owned(), "run it with sudo, or set others = \"read\" in [control]")
            }
            Self::Bad { fault } => (fault.clone(), "nothing was done"),
            Self::NoSuchMessage { id } => (
                format!("there is no message {id} in the queue"),
                "it was delivered, bounced or removed; `outguard trace` tells while the journal keeps it",
            ),
            Self::Late => (
                "the daemon did not answer in time".to_owned(),
                "what was asked may still be done; look again before you repeat it",
            ),
            Self::NoSuchPath => (
                "there is no such path".to_owned(),
                "is this client older or newer than the daemon? see `outguard --version`",
            ),
            Self::Operator(error) => (error.to_string(), error.advice()),
        };
        Failure { error, advice: advice.to_owned() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status(), Json(self.failure())).into_response()
    }
}
