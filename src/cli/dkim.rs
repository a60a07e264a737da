//! `outguard dkim`: keys made, and the records that publish them.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::arguments::{Arguments, CONFIG_PATH, DkimCommand, DkimKind, KeygenArguments, Look};
use super::exit::Failed;
use super::json_line;
use crate::align::sign::key::zone_strings;
use crate::align::sign::{KeyKind, PrivateKey, Signer};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::mail::Domain;

/// One published key, for scripts.
#[derive(Debug, Serialize)]
struct Published<'a> {
    domain: &'a str,
    selector: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    name: &'a str,
    record: &'a str,
}

pub(super) fn run(arguments: &Arguments, command: &DkimCommand, out: &mut dyn Write) -> Result<(), Failed> {
    match command {
        DkimCommand::Keygen(asked) => keygen(arguments, asked, out),
        DkimCommand::Record { domain } => records(arguments, domain.as_deref(), out),
    }
}

/// A name in its comparable form.
fn name(text: &str, what: &str) -> Result<String, Failed> {
    match Domain::parse(text) {
        Ok(Domain::Name(name)) => Ok(name.into()),
        Ok(Domain::Literal(_)) | Err(_) => Err(Failed::Usage { what: format!("{text:?} is no {what}") }),
    }
}

fn word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa => "rsa",
        KeyKind::Ed25519 => "ed25519",
    }
}

fn keygen(arguments: &Arguments, asked: &KeygenArguments, out: &mut dyn Write) -> Result<(), Failed> {
    let domain = name(&asked.domain, "domain")?;
    let selector = match &asked.selector {
        Some(selector) => name(selector, "selector")?,
        None => this_month()?,
    };
    let kinds: &[(KeyKind, &str)] = match asked.kind {
        DkimKind::Rsa => &[(KeyKind::Rsa, "")],
        DkimKind::Ed25519 => &[(KeyKind::Ed25519, "")],
        // Two keys cannot stand under one name.
        DkimKind::Both => &[(KeyKind::Rsa, ""), (KeyKind::Ed25519, "-ed25519")],
    };
    let owner = service_user(arguments);
    make_folder(&asked.folder, owner)?;
    let mut sections = String::new();
    for (kind, suffix) in kinds {
        let selector = format!("{selector}{suffix}");
        let file = asked.folder.join(format!("{domain}.{selector}.pem"));
        let (key, pem) = PrivateKey::generate(*kind).map_err(|error| io::Error::other(error.to_string()))?;
        write_key(&file, &pem, owner)?;
        let _ = write!(
            sections,
            "    [[dkim]]\n    domain = \"{domain}\"\n    selector = \"{selector}\"\n    key = {{ file = \"{}\" }}\n",
            file.display()
        );
        let at = format!("{selector}._domainkey.{domain}");
        let record = key.record();
        let published = Published {
            domain: &domain,
            selector: &selector,
            kind: word(*kind),
            file: Some(&file),
            name: &at,
            record: &record,
        };
        say(arguments.look(), &published, out)?;
    }
    if arguments.look() == Look::People {
        write!(
            out,
            "Publish the record first. Once it can be seen, write this into the configuration, above an older key of the \
             same kind, and reload:\n\n{sections}\nThe older key signs no more then. Leave its record published for two \
             weeks more: mail that it signed is still under way.\n"
        )?;
        if owner.is_none() && rustix::process::geteuid().is_root() {
            writeln!(
                out,
                "\nOnly root can read the key. Where the daemon runs as another user: chown -R outguard: {}",
                asked.folder.display()
            )?;
        }
    }
    Ok(())
}

/// The records of the keys that are configured.
fn records(arguments: &Arguments, domain: Option<&str>, out: &mut dyn Write) -> Result<(), Failed> {
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    let loaded = Config::load(file).map_err(|faults| Failed::Config(faults.to_string()))?;
    let signer = Signer::new(&loaded.config.align.signing).map_err(|fault| Failed::Config(fault.to_string()))?;
    let wanted = domain.map(|domain| name(domain, "domain")).transpose()?;
    let mut keys = signer.keys().iter().filter(|key| wanted.as_deref().is_none_or(|wanted| *key.domain == *wanted));
    let first = keys.next().ok_or_else(|| {
        let of = wanted.as_deref().unwrap_or("any domain");
        let what = format!("a [[dkim]] key of {of}");
        Failed::NotFound { what, advice: "`outguard dkim keygen` makes one" }
    })?;
    for key in std::iter::once(first).chain(keys) {
        let (at, record) = (key.record_name(), key.record());
        let published = Published {
            domain: &key.domain,
            selector: &key.selector,
            kind: word(key.kind()),
            file: None,
            name: &at,
            record: &record,
        };
        say(arguments.look(), &published, out)?;
    }
    Ok(())
}

fn say(look: Look, published: &Published<'_>, out: &mut dyn Write) -> Result<(), Failed> {
    if look == Look::Json {
        return json_line(out, published);
    }
    if let Some(file) = published.file {
        writeln!(out, "Made {}, a {} key.\n", file.display(), published.kind)?;
    }
    writeln!(out, "{}. IN TXT ( {} )\n", published.name, zone_strings(published.record))?;
    Ok(())
}

/// A selector that says how old its key is.
fn this_month() -> Result<String, Failed> {
    let now = SystemClock::new()?.now().wall;
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.0).unwrap_or(i64::MAX));
    let now = now.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!("og{}", now.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y%m")))
}

/// The user that the daemon becomes, where we may give it files.
fn service_user(arguments: &Arguments) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let file = arguments.config.as_deref().unwrap_or(Path::new(CONFIG_PATH));
    // A file that cannot be used, as where [[dkim]] was written before its key, still lies where the daemon keeps mail.
    let config = Config::load(file).map(|loaded| loaded.config).unwrap_or_default();
    let Some(user) = config.user else {
        // Where a service manager chooses the user, the store is theirs.
        let store = std::fs::metadata(&config.store.path).ok()?;
        return Some((store.uid(), store.gid()));
    };
    let user = nix::unistd::User::from_name(&user).ok()??;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

fn failed(path: &Path, what: &str, error: &io::Error) -> Failed {
    Failed::Io(io::Error::new(error.kind(), format!("{}: {what}: {error}", path.display())))
}

fn make_folder(folder: &PathBuf, owner: Option<(u32, u32)>) -> Result<(), Failed> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(folder, "the folder cannot be made", &error)),
    }
    give(folder, File::open(folder), owner)
}

/// A file that nobody else may read, and that was not there before: a key is never overwritten.
fn write_key(path: &Path, pem: &Zeroizing<String>, owner: Option<(u32, u32)>) -> Result<(), Failed> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.map_err(|error| failed(path, "the key is not written", &error))?;
    let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| failed(path, "the key is not written whole", &error))?;
    give(path, Ok(file), owner)
}

fn give(path: &Path, file: io::Result<File>, owner: Option<(u32, u32)>) -> Result<(), Failed> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    file.and_then(|file| fchown(file, Some(uid), Some(gid)))
        .map_err(|error| failed(path, "cannot be given to the daemon's user", &error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser as _;

    use super::*;

    fn made(words: &[&str]) -> Result<String, Failed> {
        let arguments = Arguments::try_parse_from([&["outguard", "dkim"], words].concat()).unwrap();
        let super::super::arguments::Command::Dkim(command) = &arguments.command else { panic!("{words:?}") };
        let mut out = Vec::new();
        run(&arguments, command, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_key_its_record_and_the_way_back() {
        let folder = tempfile::TempDir::new().unwrap();
        let keys = folder.path().join("dkim");
        let keys_word = keys.display().to_string();
        let words = ["keygen", "Example.COM", "--selector", "s1", "--kind", "both", "--folder", &keys_word];
        let text = made(&words).unwrap();
        assert!(text.contains("s1._domainkey.example.com. IN TXT ( \"v=DKIM1; k=rsa; p=MII"), "{text}");
        assert!(text.contains("s1-ed25519._domainkey.example.com. IN TXT ( \"v=DKIM1; k=ed25519; p="), "{text}");
        assert!(!text.contains("PRIVATE"), "{text}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&keys.join("example.com.s1.pem"))), (0o700, 0o600));
        assert!(matches!(made(&words), Err(Failed::Io(_))), "a key is never overwritten");

        // What it says to write into the configuration can be written there, and gives the same records.
        let section: Vec<&str> = text.lines().filter(|line| line.starts_with("    ")).collect();
        let config = folder.path().join("outguard.toml");
        std::fs::write(&config, section.join("\n")).unwrap();
        let config = config.display().to_string();
        let records = made(&["record", "example.com", "--config", &config]).unwrap();
        assert_eq!(records.matches(" IN TXT ").count(), 2, "{records}");
        assert!(records.lines().filter(|line| !line.is_empty()).all(|line| text.contains(line)), "{records}\n{text}");
        assert!(matches!(made(&["record", "example.net", "--config", &config]), Err(Failed::NotFound { .. })));
        let json = made(&["record", "--json", "--config", &config]).unwrap();
        assert!(json.lines().all(|line| line.starts_with("{\"domain\":\"example.com\",\"selector\":\"s1")), "{json}");
        for bad in [["keygen", "[192.0.2.1]", "--folder", &keys_word], ["keygen", "a/../b", "--folder", &keys_word]] {
            assert!(matches!(made(&bad), Err(Failed::Usage { .. })), "{bad:?}");
        }
    }
}
