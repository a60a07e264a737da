//! What the provider's guides advise on content, and where each point is looked at.

/// One point of the guides.
pub(super) struct Advice {
    /// What it is about.
    pub(super) topic: &'static str,
    /// What is advised.
    pub(super) says: &'static str,
    /// The rules that look at it.
    pub(super) rules: &'static [&'static str],
    /// What else does, or why nothing can.
    pub(super) beside: &'static str,
}

/// All points, in the order of the guides.
pub(super) const ADVICE: [Advice; 24] = [
    advice(
        "frequency",
        "many mails and many recipients in short time are spam by themselves",
        &[],
        "behaviour: `volume`, `rush`, `many-recipients` (`docs/behaviour.md`), and the limits",
    ),
    advice("words", "avoid buy, last chance, acheter, dernière chance", &["words-buying"], ""),
    advice("words", "no capitals", &["subject-capitals", "body-capitals"], ""),
    advice("words", "no impersonal subjects", &["subject-says-nothing", "words-greeting-impersonal"], ""),
    advice("words", "no exclamation marks", &["subject-exclamations", "body-exclamations"], ""),
    advice("words", "no discounts in per cent", &["subject-percent-off"], ""),
    advice("subject", "not empty", &["subject-empty"], ""),
    advice("subject", "fewer than three words in capitals", &["subject-capitals"], ""),
    advice("subject", "not starting with Hi, FREE, BUY, BUYING", &["subject-starts-like-advert"], ""),
    advice("body", "not empty", &["body-empty"], ""),
    advice("body", "not over 70 % white space", &["body-white-space"], ""),
    advice("body", "no huge font", &["body-huge-font"], ""),
    advice("body", "a text colour that is not the background's", &["text-in-background-colour", "hidden-text"], ""),
    advice("body", "no JavaScript", &["body-script", "link-runs-script"], ""),
    advice("body", "no pornographic terms", &["words-pornographic"], ""),
    advice(
        "images",
        "no lone image over 1 MB, much text beside images",
        &["image-large-alone", "image-only", "image-in-place-of-text"],
        "",
    ),
    advice(
        "links",
        "few, and much text beside them",
        &["links-many", "links-for-little-text", "link-and-little-else"],
        "",
    ),
    advice(
        "links",
        "valid",
        &["link-leads-nowhere"],
        "nothing is fetched to see whether a page is there; `link-host-encoded` and `link-odd-port` see odd ones, and lists of kind `domain` can be asked (`docs/reference.md`)",
    ),
    advice(
        "links",
        "no https text on an http target",
        &["link-shows-https-leads-http"],
        "`link-shows-other-host` sees other hosts",
    ),
    advice(
        "attachments",
        "no EXE, BAT, PIF, XML, XLSX or documents with macros, in archives either",
        &["attachment-program", "attachment-discouraged", "attachment-macros"],
        "`attachment-script` and `attachment-disk-image` see more of the kind",
    ),
    advice(
        "sender",
        "From is there and one's own, the header is in form",
        &["from-missing", "from-broken", "from-not-account"],
        "all of family `header`",
    ),
    advice(
        "sender",
        "the client's address is on no block list",
        &[],
        "a list of kind `client` can be asked (`docs/reference.md`); behaviour sees networks that are new to the account",
    ),
    advice("unsubscribe", "a link for those who did not ask", &["bulk-without-unsubscribe"], ""),
    advice(
        "forms",
        "a fixed From, the visitor in Reply-To",
        &["script-in-visitors-name", "from-free-mail"],
        "captchas and limits for each visitor are the site's",
    ),
];

const fn advice(
    topic: &'static str,
    says: &'static str,
    rules: &'static [&'static str],
    beside: &'static str,
) -> Advice {
    Advice { topic, says, rules, beside }
}

#[cfg(test)]
mod tests {
    use super::super::data;
    use super::*;

    /// No point without an answer, no name that is none, and no rule that names the guide and answers nothing of it.
    #[test]
    fn every_point_is_looked_at() {
        let rules = &data::embedded().rules;
        for advice in &ADVICE {
            assert!(!advice.rules.is_empty() || !advice.beside.is_empty(), "{}", advice.says);
            for name in advice.rules {
                assert!(rules.iter().any(|rule| rule.name == *name), "{name}");
            }
        }
        for rule in rules.iter().filter(|rule| rule.origin.contains("OVHcloud guide")) {
            let answers = ADVICE.iter().any(|advice| advice.rules.contains(&rule.name.as_str()));
            assert!(answers, "{} names the guide", rule.name);
        }
    }
}
