//! What a next hop offers (RFC 5321 4.1.1.1).

use super::reply::PeerReply;

/// The extensions of an EHLO answer that we use. A next hop may lie about them: then its replies tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one keyword of the answer, offered or not")]
pub struct Extensions {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870).
    pub size: bool,
    /// 8BITMIME (RFC 6152).
    pub eightbitmime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// AUTH PLAIN (RFC 4954, RFC 4616).
    pub auth_plain: bool,
    /// AUTH LOGIN.
    pub auth_login: bool,
}

impl Extensions {
    /// Reads an answer to EHLO: the first line is a greeting, each further one a keyword with parameters.
    pub fn of(reply: &PeerReply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines.iter().skip(1) {
            // `AUTH=PLAIN` is how servers of the last century say `AUTH PLAIN`.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty()).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("PIPELINING") => offered.pipelining = true,
                Some("SIZE") => offered.size = true,
                Some("8BITMIME") => offered.eightbitmime = true,
                Some("SMTPUTF8") => offered.smtputf8 = true,
                Some("DSN") => offered.dsn = true,
                Some("STARTTLS") => offered.starttls = true,
                Some("AUTH") => {
                    for mechanism in words {
                        match mechanism.as_str() {
                            "PLAIN" => offered.auth_plain = true,
                            "LOGIN" => offered.auth_login = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::ReplyReader;
    use super::*;

    #[test]
    fn keywords_have_no_case_and_the_first_line_is_no_keyword() {
        let answer = b"250-DSN greets you\r\n250-size 1000\r\n250-Pipelining\r\n250-AUTH=LOGIN\r\n250-AUTH GSSAPI PLAIN\r\n250 X\r\n";
        let (reply, _) = ReplyReader::new().read(answer).unwrap();
        let expected =
            Extensions { pipelining: true, size: true, auth_plain: true, auth_login: true, ..Extensions::default() };
        assert_eq!(Extensions::of(&reply.unwrap()), expected);
    }
}
