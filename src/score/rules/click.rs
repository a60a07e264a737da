//! A link that a click follows, with what several rules ask of it.

use crate::message::Link;

/// One such link.
pub(super) struct Click<'a> {
    /// The link.
    pub(super) link: &'a Link,
    /// Its target in lower case.
    pub(super) lower: String,
    /// What stands between `//` and the path.
    pub(super) authority: &'a str,
    /// What stands behind the host.
    pub(super) path: &'a str,
    /// The registered domain of its host.
    pub(super) site: &'a str,
    /// Whether that is the sender's.
    pub(super) is_own: bool,
}

impl<'a> Click<'a> {
    /// Takes a link apart.
    pub(super) fn new(link: &'a Link, site: &'a str, is_own: bool) -> Self {
        let target = link.target.as_str();
        let slashes = target.as_bytes().windows(2).position(|pair| pair == b"//");
        let rest = slashes.map_or(target, |at| &target[at + 2..]);
        let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = if slashes.is_some() { rest[..path].split('\\').next().unwrap_or_default() } else { "" };
        Self { link, lower: target.to_lowercase(), authority, path: &rest[path..], site, is_own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::LinkKind;

    #[test]
    fn targets_are_taken_apart() {
        let cases = [
            // target, authority, path
            ("https://u@a.example:81/p?q#f", "u@a.example:81", "/p?q#f"),
            ("HTTP://a.example", "a.example", ""),
            ("http://a.example\\b/c", "a.example", "/c"), // readers take it for a slash
            ("http://a.example?q", "a.example", "?q"),
            ("//a.example/p", "a.example", "/p"),
            ("mailto:a@example.org?subject=x", "", "?subject=x"), // no host of its own
            ("", "", ""),
        ];
        for (target, authority, path) in cases {
            let (scheme, host, visible) = (String::new(), String::new(), String::new());
            let link = Link { kind: LinkKind::Anchor, target: target.to_owned(), scheme, host, visible };
            let click = Click::new(&link, "", false);
            assert_eq!((click.authority, click.path), (authority, path), "{target}");
        }
    }
}
