//! What a client may do: judged by the edge from address, uid and login, kept to by the session.

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientRights {
    /// Whether it may send mail through us.
    pub access: Access,
    /// Whether it is believed about others.
    pub trust: Trust,
    /// Whether it may log in.
    pub auth: AuthOffer,
}

/// Whether a client may send mail through us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    Relay,
    /// After AUTH.
    AfterAuth,
    /// It is told 554 and the session ends.
    None,
}

/// Whether a client is believed about identity: XCLIENT and XFORWARD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is.
    Trusted,
    /// It is not.
    Plain,
}

/// Where AUTH is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthOffer {
    /// There are no passwords to check.
    Off,
    /// Once TLS is active.
    OverTls,
    /// At once: nobody listens between a loopback client and us.
    Always,
}

/// Whether the session is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsState {
    /// No, and STARTTLS is not offered.
    Unavailable,
    /// No, but STARTTLS is offered.
    Offered,
    /// Yes.
    Active,
}
