//! The paths of MAIL and RCPT (RFC 5321 4.1.2).

use super::CommandError;
use crate::mail::Address;

/// The forward-path of RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forward {
    /// An address.
    Address(Address),
    /// `<postmaster>` without a domain, which every server takes (RFC 5321 4.5.1). Whose it is the session knows.
    Postmaster,
}

/// Takes `keyword:<path>` off the front of a command's arguments: what stands between the brackets, source route
/// dropped, and the parameters behind. White space around the colon is no reason to lose mail.
pub(super) fn take<'l>(rest: &'l [u8], keyword: &[u8]) -> Result<(&'l [u8], &'l [u8]), CommandError> {
    let Some((head, tail)) = rest.split_at_checked(keyword.len()) else { return Err(CommandError::PathSyntax) };
    if !head.eq_ignore_ascii_case(keyword) {
        return Err(CommandError::PathSyntax);
    }
    let tail = tail.trim_ascii_start().strip_prefix(b":").ok_or(CommandError::PathSyntax)?.trim_ascii_start();
    let inner = tail.strip_prefix(b"<").ok_or(CommandError::PathSyntax)?;
    let end = bracket(inner).ok_or(CommandError::PathSyntax)?;
    let after = &inner[end + 1..];
    if !after.is_empty() && !after.starts_with(b" ") {
        return Err(CommandError::PathSyntax);
    }
    Ok((without_route(&inner[..end])?, after))
}

/// Where the closing bracket stands: the first one outside quotes.
fn bracket(inner: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    inner.iter().position(|&byte| {
        let end = byte == b'>' && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        end
    })
}

/// `@one.example,@two.example:user@example.org` is `user@example.org`: routes are taken and ignored (RFC 5321 app. C).
fn without_route(path: &[u8]) -> Result<&[u8], CommandError> {
    if !path.starts_with(b"@") {
        return Ok(path);
    }
    let colon = memchr::memchr(b':', path).ok_or(CommandError::PathSyntax)?;
    Ok(&path[colon + 1..])
}
