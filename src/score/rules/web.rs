//! Marks of web forms and of sites that were broken into.

use super::look::{Look, Sight, example};
use super::registry::Rule;

/// The rules of this family.
pub(super) const RULES: &[Rule] = &[
    Rule { name: "script-mail", look: |look| scripts(look).next().and_then(|script| example(&script)) },
    Rule { name: "script-evaluated", look: evaluated },
    Rule { name: "script-name-suspicious", look: name_suspicious },
    Rule { name: "script-in-odd-folder", look: in_odd_folder },
    Rule { name: "service-account", look: service_account },
    Rule { name: "mailer-of-intruders", look: mailer_of_intruders },
    Rule { name: "script-in-visitors-name", look: visitors_name },
];

/// What the header says about scripts: `X-PHP-Originating-Script: 33:mail.php`, `X-PHP-Script: shop.example/up/x.php for
/// 192.0.2.1`. PHP writes them itself (`mail.add_x_header`), so a script that hides them is another story. All are looked
/// at: one that says little does not stand before another that says more.
fn scripts<'a>(look: &'a Look<'_>) -> impl Iterator<Item = String> + 'a {
    const FIELDS: [&str; 4] = ["X-PHP-Originating-Script", "X-PHP-Script", "X-PHP-Filename", "X-Source-Args"];
    let values = FIELDS.into_iter().flat_map(|name| look.fields(name));
    values.filter(|value| !value.trim().is_empty()).map(str::to_lowercase)
}

/// The script's own path or name, without the uid before it and the client behind it.
fn path(script: &str) -> &str {
    let name =
        script.split_once(':').filter(|(uid, _)| uid.bytes().all(|b| b.is_ascii_digit())).map_or(script, |(_, n)| n);
    name.trim().split(" for ").next().unwrap_or("")
}

/// Code that was sent to the site and run there, or made of pieces: no site's own program does that for mail.
fn evaluated(look: &Look<'_>) -> Sight {
    let marks = ["eval()'d", "runtime-created function", "assert code", "create_function"];
    scripts(look).find(|script| marks.iter().any(|mark| script.contains(mark))).and_then(|script| example(&script))
}

/// Names that intruders' tools are left under, and names of one or two letters or digits.
fn name_suspicious(look: &Look<'_>) -> Sight {
    let tools = look.lists.of("intruder-scripts");
    let suspicious = |file: &str| {
        let Some((stem, _)) = file.split_once(".php") else { return false };
        let short = stem.len() <= 2 || (stem.len() >= 4 && stem.bytes().all(|b| b.is_ascii_digit()));
        let hidden = stem.is_empty() || file.starts_with('.');
        tools.has(stem) || short || hidden
    };
    scripts(look).find_map(|script| {
        let file = path(&script).rsplit('/').next().unwrap_or("");
        if suspicious(file) { example(file) } else { None }
    })
}

/// A script in a folder for files that visitors or programs leave there.
fn in_odd_folder(look: &Look<'_>) -> Sight {
    let odd = look.lists.of("odd-script-folders");
    scripts(look).find(|script| odd.within(path(script)).is_some()).and_then(|script| example(path(&script)))
}

/// The web server's own user, by account or by sender: whose site it was is not known.
fn service_account(look: &Look<'_>) -> Sight {
    let users = look.lists.of("service-users");
    if let Some(user) = look.local_user().filter(|user| users.has(user)) {
        return example(user);
    }
    let (local, _) = look.from?.address.split_once('@')?;
    if users.has(&local.to_lowercase()) { example(local) } else { None }
}

fn mailer_of_intruders(look: &Look<'_>) -> Sight {
    let tools = look.lists.of("intruder-mailers");
    look.mailers.iter().find(|mailer| tools.within(mailer).is_some()).and_then(|mailer| example(mailer))
}

/// The provider's guide: a form sends in the site's name, and names the visitor in Reply-To.
fn visitors_name(look: &Look<'_>) -> Sight {
    let by_script = scripts(look).next().is_some()
        || look.local_user().is_some_and(|user| look.lists.of("service-users").has(user));
    let free = look.lists.of("free-mail").domain(&look.from_domain)?;
    if by_script { example(free) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{check, hit, mail, miss};
    use super::*;
    use crate::account::AccountSource;

    #[test]
    fn hits_and_near_misses() {
        let by = |script: &str| mail().field("X-PHP-Originating-Script", script);
        let at = |script: &str| mail().field("X-PHP-Script", script);
        let mailer = |name: &str| mail().field("X-Mailer", name);
        check(
            RULES,
            vec![
                hit("script-mail", "PHP says so", by("33:contact.php")),
                miss("script-mail", "an empty field", by("")),
                hit(
                    "script-evaluated",
                    "code that was sent in",
                    by("33:index.php(1) : eval()'d code(5) : eval()'d code"),
                ),
                miss("script-evaluated", "a name that speaks of it", by("33:evaluation.php")),
                hit("script-name-suspicious", "a tool's name", by("33:leafmailer.php")),
                hit("script-name-suspicious", "one letter", by("33:x.php")),
                hit("script-name-suspicious", "only digits", at("shop.example/blog/48213.php for 192.0.2.1")),
                miss("script-name-suspicious", "a library", by("33:class-phpmailer.php")),
                miss("script-name-suspicious", "a page of a shop", by("33:404.php")),
                hit(
                    "script-in-odd-folder",
                    "among uploads",
                    at("shop.example/wp-content/uploads/2026/m.php for 192.0.2.1"),
                ),
                hit(
                    "script-in-odd-folder",
                    "among uploads, with PHP's own field before it",
                    by("33:a.php").field("X-PHP-Script", "shop.example/wp-content/uploads/2026/mail.php for 192.0.2.1"),
                ),
                hit(
                    "script-name-suspicious",
                    "in the second of two fields",
                    by("33:contact.php").also("X-PHP-Originating-Script", "33:leafmailer.php"),
                ),
                hit(
                    "script-evaluated",
                    "in another field",
                    at("shop.example/index.php for 192.0.2.1").field("X-PHP-Filename", "a.php(1) : eval()'d code"),
                ),
                miss(
                    "script-in-odd-folder",
                    "a plugin",
                    at("shop.example/wp-content/plugins/form/send.php for 192.0.2.1"),
                ),
                hit("service-account", "by account", mail().account("uid:www-data", AccountSource::LocalUser)),
                hit("service-account", "by sender", mail().from("Shop <apache@host.example>")),
                miss("service-account", "a site's own user", mail().account("uid:web17", AccountSource::LocalUser)),
                miss("service-account", "a longer name", mail().from("Shop <apache-club@host.example>")),
                hit("mailer-of-intruders", "a known tool", mailer("Leaf PHPMailer 2.7 (leafmailer.pw)")),
                hit(
                    "mailer-of-intruders",
                    "a known tool behind another",
                    mailer("Outlook 16.0").also("X-Mailer", "Leaf PHPMailer 2.7 (leafmailer.pw)"),
                ),
                miss(
                    "mailer-of-intruders",
                    "the library",
                    mailer("PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)"),
                ),
                hit("script-in-visitors-name", "a form", by("33:contact.php").from("Visitor <v@gmail.com>")),
                miss("script-in-visitors-name", "in the site's name", by("33:contact.php").reply_to("v@gmail.com")),
                miss("script-in-visitors-name", "no script", mail().from("Visitor <v@gmail.com>")),
            ],
        );
    }
}
