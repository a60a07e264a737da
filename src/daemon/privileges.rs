//! Giving up root, before any thread starts, and proving that it is gone.
//!
//! Better never to be root: the systemd unit starts outguard as its own user with `CAP_NET_BIND_SERVICE`. Where it is
//! started as root for a low port, sockets are bound first, then the process becomes the service user for good.

use nix::unistd::{Gid, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};

/// Why the process did not become the service user.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The system knows no such user.
    #[error(
        "there is no user {name:?}: create it (`adduser --system --group outguard`) or change `user` in the configuration"
    )]
    Unknown {
        /// As configured.
        name: String,
    },
    /// The system refused one of the steps.
    #[error("cannot become {name:?}: {step}: {source}")]
    Refused {
        /// The user.
        name: String,
        /// The step that failed.
        step: &'static str,
        /// The system's words.
        source: nix::Error,
    },
    /// The steps succeeded and yet root can be had again.
    #[error("root privileges could not be given up for good; outguard does not run like that")]
    NotProven,
}

/// As whom the process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunsAs {
    /// An ordinary user from the start.
    User,
    /// The service user, after it was root.
    Dropped,
    /// Root, since no user was configured: to be warned of.
    Root,
}

/// Becomes the service user, with its own groups; `None` leaves the process as it is. Must run while the process has one
/// thread: on Linux these calls change one thread each, and glibc passes them on only to threads that it knows.
///
/// # Errors
/// The user is unknown, a step is refused, or root could still be had afterwards.
pub fn drop_to(user: Option<&str>) -> Result<RunsAs, PrivilegeError> {
    let now_as = || if geteuid().is_root() { RunsAs::Root } else { RunsAs::User };
    let Some(name) = user else {
        return Ok(now_as());
    };
    let (uid, gid) = ids(name)?;
    if geteuid() == uid && getegid() == gid {
        return Ok(now_as());
    }
    let refused = |step| move |source| PrivilegeError::Refused { name: name.to_owned(), step, source };
    setgroups(&[]).map_err(refused("setgroups"))?;
    let c_name = std::ffi::CString::new(name).map_err(|_| PrivilegeError::Unknown { name: name.to_owned() })?;
    initgroups(&c_name, gid).map_err(refused("initgroups"))?;
    setgid(gid).map_err(refused("setgid"))?;
    setuid(uid).map_err(refused("setuid"))?;
    let still_root = !uid.is_root() && (setuid(Uid::from_raw(0)).is_ok() || geteuid().is_root());
    if still_root || geteuid() != uid || getegid() != gid {
        return Err(PrivilegeError::NotProven);
    }
    Ok(if uid.is_root() { RunsAs::Root } else { RunsAs::Dropped })
}

fn ids(user: &str) -> Result<(Uid, Gid), PrivilegeError> {
    let found = User::from_name(user).ok().flatten();
    found.map(|found| (found.uid, found.gid)).ok_or_else(|| PrivilegeError::Unknown { name: user.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_told() {
        let error = ids("no-such-user-here").unwrap_err();
        assert!(error.to_string().contains("no-such-user-here"), "{error}");
    }

    #[test]
    fn the_own_user_needs_no_change() {
        let me = User::from_uid(geteuid()).unwrap().unwrap();
        drop_to(Some(&me.name)).unwrap();
    }
}
