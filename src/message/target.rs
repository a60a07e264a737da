//! The scheme and host of a link as a browser finds them (WHATWG URL).

use url::{Host, Url};

/// Where a link leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// In lower case; empty for a relative one.
    pub(super) scheme: String,
    /// In lower case and A-label form, without brackets and final dot; empty where there is none.
    pub(super) host: String,
}

/// Reads a target, relative to `base` where that is not empty.
pub(super) fn read(target: &str, base: &str) -> Target {
    let target = target.trim_matches(|c: char| c <= ' ');
    if let Some(found) = plain(target) {
        return found;
    }
    // Browsers drop these wherever they stand.
    let clean;
    let target = if target.contains(['\t', '\n', '\r']) {
        clean = target.replace(['\t', '\n', '\r'], "");
        clean.as_str()
    } else {
        target
    };
    let scheme = scheme_of(target);
    if !scheme.is_empty() && !is_special(&scheme) {
        return Target { scheme, host: String::new() };
    }
    let parsed = if !scheme.is_empty() {
        Url::parse(target).ok()
    } else if target.starts_with("//") || target.starts_with("\\\\") || target.starts_with("/\\") {
        Url::parse(&format!("http:{target}")).ok()
    } else if base.is_empty() {
        return Target::default();
    } else {
        Url::parse(base).ok().and_then(|base| base.join(target).ok())
    };
    match parsed {
        Some(url) => Target { scheme: url.scheme().to_owned(), host: host_of(&url) },
        // A browser goes nowhere with it.
        None => Target { scheme, host: String::new() },
    }
}

/// `http://host/…` with nothing strange before the path: nearly all of them.
fn plain(target: &str) -> Option<Target> {
    let bytes = target.as_bytes();
    let (scheme, start) = match bytes.get(..8)? {
        [b'h' | b'H', b't' | b'T', b't' | b'T', b'p' | b'P', b':', b'/', b'/', _] => ("http", 7),
        [b'h' | b'H', b't' | b'T', b't' | b'T', b'p' | b'P', b's' | b'S', b':', b'/', b'/'] => ("https", 8),
        _ => return None,
    };
    let rest = &bytes[start..];
    let end = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))).unwrap_or(rest.len());
    let host = &target[start..start + end];
    let last = host.rsplit('.').next()?;
    let ordinary = last.starts_with(|c: char| c.is_ascii_alphabetic())
        && !host.starts_with('.')
        && !host.contains("..")
        && matches!(rest.get(end), None | Some(b'/' | b'?' | b'#'));
    // A tab further on does no harm, and a last label that begins with a letter is no number.
    (ordinary && !has_ace(host)).then(|| Target { scheme: scheme.to_owned(), host: host.to_ascii_lowercase() })
}

/// Whether a label is in A-label form: whether it is a valid one is for IDNA to say.
fn has_ace(host: &str) -> bool {
    host.split('.').any(|label| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")))
}

/// The scheme that a target begins with, in lower case; empty if there is none.
fn scheme_of(target: &str) -> String {
    let Some(colon) = target.bytes().take(40).position(|b| b == b':') else { return String::new() };
    let scheme = &target[..colon];
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if valid { scheme.to_ascii_lowercase() } else { String::new() }
}

fn is_special(scheme: &str) -> bool {
    matches!(scheme, "http" | "https" | "ftp" | "ws" | "wss" | "file")
}

fn host_of(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').to_ascii_lowercase(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_browsers_find_them() {
        let cases = [
            ("https://Example.ORG/path", "https", "example.org"),
            ("http://example.org", "http", "example.org"),
            ("  https://example.org?x", "https", "example.org"),
            ("http://bank.example@evil.example/", "http", "evil.example"),
            ("http://bank.example:80@evil.example/", "http", "evil.example"),
            ("https://evil.example:8443/", "https", "evil.example"),
            ("http:\\\\evil.example\\bank.example", "http", "evil.example"),
            ("ht\ntp://evil.\texample/", "http", "evil.example"),
            ("http:evil.example", "http", "evil.example"),
            ("//evil.example/x", "http", "evil.example"),
            ("http://0300.0250.1.1/", "http", "192.168.1.1"), // octal
            ("http://0xC0A80101/", "http", "192.168.1.1"),
            ("http://3232235777/", "http", "192.168.1.1"),
            ("http://192.168.257/", "http", "192.168.1.1"),
            ("http://[2001:DB8::1]:80/", "http", "2001:db8::1"),
            ("http://%65vil.example/", "http", "evil.example"),
            ("http://b\u{fc}cher.example/", "http", "xn--bcher-kva.example"),
            ("http://evil\u{3002}example/", "http", "evil.example"), // an ideographic full stop is a dot
            ("http://\u{ff45}vil.example/", "http", "evil.example"), // full-width letters
            ("http://XN--BCHER-KVA.example/", "http", "xn--bcher-kva.example"),
            ("http://evil.example./", "http", "evil.example"),
            ("HTTPS://EVIL.EXAMPLE/", "https", "evil.example"),
            ("mailto:a@example.org", "mailto", ""),
            ("javascript:alert(1)", "javascript", ""),
            ("java\tscript:alert(1)", "javascript", ""),
            ("data:text/html,x", "data", ""),
            ("tel:+33", "tel", ""),
            ("#top", "", ""),
            ("index.html", "", ""),
            ("http://", "http", ""),
            ("http://{{ url }}/", "http", ""),
            ("", "", ""),
        ];
        for (target, scheme, host) in cases {
            let expected = Target { scheme: scheme.to_owned(), host: host.to_owned() };
            assert_eq!(read(target, ""), expected, "{target:?}");
        }
        assert_eq!(read("/path", "https://example.org/").host, "example.org");
        assert_eq!(read("https://other.example", "https://example.org/").host, "other.example");
    }
}
