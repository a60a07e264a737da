//! Programs and MTAs that hand mail to the relay, each configured as its recipe says.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::rig::client::Client;
use crate::rig::process::{Running, find, find_unpacked, is_root, run, run_with, wait_for};
use crate::rig::relay::{Site, recipe, smarthost};
use crate::rig::sink::{Arrival, Sink};
use crate::rig::tls::{Certificate, set_mode};
use crate::{need, skip};

const MESSAGE: &[u8] =
    b"From: alice@example.com\nTo: bob@example.net\nSubject: whole way\n\n.dot\nGr\xc3\xbc\xc3\x9fe\n";

/// What every submitter must bring about.
fn check(arrival: &Arrival) {
    assert_eq!(arrival.mail_from, "alice@example.com");
    assert_eq!(arrival.recipients, ["bob@example.net"]);
    assert!(arrival.text().contains("Subject: whole way\r\n"), "{}", arrival.text());
    assert!(arrival.text().contains("\r\n.dot\r\nGr\u{fc}\u{df}e\r\n"), "{}", arrival.text());
}

/// The message with the line ends of the wire, for those who send bytes as they get them.
fn wire() -> String {
    lines(MESSAGE).replace('\n', "\r\n")
}

fn lines(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn msmtp() {
    let program = need!("msmtp");
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let to = relay.site().address();
    let config = relay.site().folder().join("msmtprc");
    fs::write(&config, recipe("msmtp/msmtprc", to)).expect("ours");
    set_mode(&config, 0o600);
    let config = config.display().to_string();
    let output = run(&program, &["-C", &config, "-f", "alice@example.com", "bob@example.net"], MESSAGE);
    assert!(output.status.success(), "{}", lines(&output.stderr));
    check(&sink.wait_accepted(1)[0]);
    // As programs call it that know no sender.
    let output = run(&program, &["-C", &config, "bob@example.net"], MESSAGE);
    assert!(output.status.success(), "{}", lines(&output.stderr));
    assert!(sink.wait_accepted(2)[1].mail_from.ends_with("@example.com"), "the user, at the domain of the recipe");
}

#[test]
fn python_smtplib() {
    let program = need!("python3");
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let script = "\
import smtplib, sys
host, port = sys.argv[1], int(sys.argv[2])
with smtplib.SMTP(host, port) as smtp:
    smtp.ehlo('program.example')
    assert smtp.has_extn('8bitmime') and smtp.has_extn('size') and smtp.has_extn('dsn'), smtp.esmtp_features
    refused = smtp.sendmail('alice@example.com', ['bob@example.net'], sys.stdin.buffer.read(), ['BODY=8BITMIME'])
    assert refused == {}, refused
    # A second message on the same connection, and a question that is not answered.
    smtp.sendmail('alice@example.com', ['second@example.net'], 'Subject: two\\n\\nx\\n')
    code, text = smtp.verify('bob@example.net')
    assert code in (252, 502), (code, text)
    assert smtp.docmd('NOOP')[0] == 250
";
    let to = relay.site().address();
    let output = run(&program, &["-c", script, &to.ip().to_string(), &to.port().to_string()], wire().as_bytes());
    assert!(output.status.success(), "{}", lines(&output.stderr));
    let arrivals = sink.wait_accepted(2);
    check(arrivals.iter().find(|arrival| arrival.recipients == ["bob@example.net"]).expect("the first"));
}

#[test]
fn nullmailer() {
    let daemon = need!("nullmailer-send");
    let inject = need!("nullmailer-inject");
    if !is_root() {
        skip!("nullmailer's queue wants its owner");
    }
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let to = relay.site().address();
    let root = relay.site().folder().join("nullmailer");
    for folder in ["conf", "queue/queue", "queue/tmp", "queue/failed", "bin", "sbin"] {
        fs::create_dir_all(root.join(folder)).expect("ours");
    }
    fs::write(root.join("conf/remotes"), recipe("nullmailer/remotes", to)).expect("ours");
    fs::write(root.join("mailname"), "client.example\n").expect("ours");
    let unpacked = |program: &Path| program.ancestors().nth(3).expect("below usr").to_owned();
    let link = |name: &str, to: &Path| {
        let _ = fs::remove_dir(root.join(name));
        std::os::unix::fs::symlink(to, root.join(name)).expect("ours");
    };
    let usr = unpacked(&inject);
    link("sbin", &usr.join("usr/sbin"));
    link("bin", &usr.join("usr/bin"));
    link("protocols", &usr.join("usr/lib/nullmailer"));
    let trigger = need!("mkfifo");
    run(&trigger, &[&root.join("queue/trigger").display().to_string()], b"");
    let prefix = root.display().to_string();
    let variables = [("NULLMAILER_TEST_PREFIX", prefix.as_str())];
    let log = root.join("log");
    let _daemon = Running::start_with("nullmailer", &daemon, &[], &log, &variables);
    let output = run_with(&inject, &["-f", "alice@example.com", "bob@example.net"], MESSAGE, &variables);
    assert!(output.status.success(), "{}", lines(&output.stderr));
    check(&sink.wait_accepted(1)[0]);
}

#[test]
fn exim() {
    let program = need!("exim4");
    if !is_root() {
        skip!("Exim's daemon wants root");
    }
    let Ok(Some(user)) = nix::unistd::User::from_name("Debian-exim") else {
        skip!("Exim's user is not there");
    };
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let to = relay.site().address();
    let root = relay.site().folder().join("exim");
    for folder in ["", "spool", "log"] {
        fs::create_dir(root.join(folder)).expect("ours");
        std::os::unix::fs::chown(root.join(folder), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .expect("root may");
        set_mode(&root.join(folder), 0o755);
    }
    set_mode(relay.site().folder(), 0o755);
    let folder = root.display();
    let text = format!(
        "exim_path = {}\n\
         exim_user = Debian-exim\n\
         exim_group = Debian-exim\n\
         primary_hostname = client.example\n\
         spool_directory = {folder}/spool\n\
         log_file_path = {folder}/log/%slog\n\
         pid_file_path = {folder}/pid\n\
         keep_environment =\n\
         tls_advertise_hosts =\n\
         domainlist local_domains =\n\
         acl_smtp_rcpt = accept\n\
         begin routers\n{}\n\
         begin transports\n{}\n\
         begin authenticators\n\
         plain:\n\
         driver = plaintext\n\
         public_name = PLAIN\n\
         server_prompts = :\n\
         server_condition = yes\n\
         server_set_id = $auth2\n\
         server_advertise_condition = yes\n\
         begin retry\n\
         * * F,1h,5s\n",
        program.display(),
        recipe("exim/outguard.router", to),
        recipe("exim/outguard.transport", to),
    );
    let config = root.join("exim.conf");
    fs::write(&config, text).expect("ours");
    let config = config.display().to_string();
    let output = run(&program, &["-C", &config, "-odf", "-oi", "-f", "alice@example.com", "bob@example.net"], MESSAGE);
    let log = || fs::read_to_string(root.join("log/mainlog")).unwrap_or_default();
    assert!(output.status.success(), "{} {}", lines(&output.stderr), log());
    wait_for(&format!("Exim's delivery: {}", log()), || !sink.accepted().is_empty());
    check(&sink.wait_accepted(1)[0]);
    // Root may write any sender, and then it is all that Exim tells. A client that logs in is known by its login.
    let taken = relay.wait_log(&["message.accepted"]);
    assert!(taken.contains("account=alice@example.com") && taken.contains("source=reverse-path"), "{taken}");
    let dialogue = "EHLO client.example\r\nAUTH PLAIN AGNhcm9sAHB3\r\nMAIL FROM:<alice@example.com>\r\n\
                    RCPT TO:<bob@example.net>\r\nDATA\r\nSubject: y\r\n\r\ny\r\n.\r\nQUIT\r\n";
    let output = run(&program, &["-C", &config, "-odf", "-bs"], dialogue.as_bytes());
    assert!(output.status.success(), "{} {}", lines(&output.stderr), log());
    let taken = relay.wait_log(&["message.accepted", "account=carol"]);
    assert!(taken.contains("source=mail-auth"), "{taken}");
}

#[test]
fn opensmtpd() {
    let Some(program) = find_unpacked("opensmtpd", "smtpd") else {
        skip!("OpenSMTPD is not unpacked");
    };
    if !is_root() {
        skip!("OpenSMTPD wants root");
    }
    if Path::new("/run/smtpd.sock").exists() || Path::new("/var/spool/smtpd").exists() {
        skip!("another OpenSMTPD uses the paths that are compiled in");
    }
    fs::create_dir_all("/var/lib/opensmtpd/empty").expect("root may");
    let _spool = RemovedAtEnd(&["/var/spool/smtpd", "/run/smtpd.sock"]);
    let sink = Sink::start();
    let relay = Site::new(&smarthost(sink.address())).start();
    let own = SocketAddr::from((crate::rig::loopback::own_address(), 2525));
    let config = relay.site().folder().join("smtpd.conf");
    let listen = format!("listen on {} port {}\n", own.ip(), own.port());
    let text = listen + &recipe("opensmtpd/smtpd.conf", relay.site().address());
    fs::write(&config, text).expect("ours");
    let log = relay.site().folder().join("smtpd.log");
    let config = config.display().to_string();
    let mut daemon = Running::start("opensmtpd", &program, &["-d", "-f", &config], &log);
    wait_for("OpenSMTPD", || {
        assert!(daemon.ended().is_none(), "{}", fs::read_to_string(&log).unwrap_or_default());
        std::net::TcpStream::connect(own).is_ok()
    });
    let heard = Client::greeted(own).deliver("alice@example.com", &["bob@example.net"], wire().as_bytes());
    assert_eq!(heard.expect("an answer").code, 250);
    check(&sink.wait_accepted(1)[0]);
    // It passes no login on: that takes `received-auth` (its recipe says how).
    let taken = relay.wait_log(&["message.accepted"]);
    assert!(taken.contains("account=alice@example.com") && taken.contains("source=reverse-path"), "{taken}");
}

/// OpenSMTPD's paths are compiled in: the test leaves none behind.
struct RemovedAtEnd(&'static [&'static str]);

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        for path in self.0 {
            // One of the two is what it is.
            let _ = fs::remove_file(path);
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn swaks(to: SocketAddr, further: &[&str]) -> std::process::Output {
    let server = to.ip().to_string();
    let port = to.port().to_string();
    let fixed =
        ["--server", &server, "--port", &port, "--from", "alice@example.com", "--to", "bob@example.net", "--data", "-"];
    run(&find("swaks").expect("asked for by the test"), &[&fixed[..], further].concat(), MESSAGE)
}

#[test]
fn swaks_logs_in_over_tls() {
    need!("swaks");
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = Certificate::make(folder.path(), &["relay.example"]);
    let passwords = folder.path().join("passwords");
    let sections = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n[auth]\npassword_file = \"{}\"\n",
        certificate.certificate_pem.display(),
        certificate.key_pem.display(),
        passwords.display()
    );
    fs::write(&passwords, password_line("box@example.com", "right")).expect("ours");
    set_mode(&passwords, 0o600);
    let sink = Sink::start();
    let relay = Site::new(&format!("{sections}{}", smarthost(sink.address()))).start();
    let to = relay.site().address();
    let login = |method, password| {
        swaks(to, &["-tls", "--auth", method, "--auth-user", "box@example.com", "--auth-password", password])
    };
    for method in ["PLAIN", "LOGIN"] {
        let output = login(method, "right");
        assert!(output.status.success(), "{method}: {}", lines(&output.stdout));
        assert!(lines(&output.stdout).contains("<~  235 2.7.0"), "{}", lines(&output.stdout));
        let output = login(method, "wrong");
        assert!(!output.status.success(), "{method}: {}", lines(&output.stdout));
        assert!(lines(&output.stdout).contains("535 5.7.8"), "{}", lines(&output.stdout));
    }
    for arrival in sink.wait_accepted(2) {
        check(&arrival);
        assert!(arrival.text().contains("with ESMTPSA"), "RFC 3848: {}", arrival.text());
    }
    let log = relay.site().log();
    assert!(!log.contains("right") && !log.contains("wrong"), "no password in the log: {log}");
}

/// One place an hour for each account: who an account is shows in what waits.
#[test]
fn swaks_speaks_xclient_and_the_login_is_the_account() {
    need!("swaks");
    let sink = Sink::start();
    let limits = "[limits]\naccount = \"1/h\"\negress = []\n";
    let relay = Site::new(&format!("{limits}{}", smarthost(sink.address()))).start();
    let to = relay.site().address();
    let send = |login: &str, subject: &str| {
        let login = format!("LOGIN={login}");
        let subject = format!("Subject: {subject}");
        let output = swaks(to, &["--xclient", &login, "--header", &subject]);
        assert!(output.status.success(), "{}", lines(&output.stdout));
    };
    let arrived = |subject: &str| {
        sink.accepted().iter().any(|arrival| arrival.text().contains(&format!("Subject: {subject}\r\n")))
    };
    send("alice@example.com", "first of alice");
    wait_for("the first", || arrived("first of alice"));
    // The same reverse-path, another login: another account. The same login again: it waits.
    send("alice@example.com", "second of alice");
    send("bob@example.com", "first of bob");
    wait_for("bob's", || arrived("first of bob"));
    assert!(!arrived("second of alice"), "one an hour");
}

fn password_line(user: &str, password: &str) -> String {
    use argon2::password_hash::PasswordHasher as _;
    let hash = argon2::Argon2::default().hash_password(password.as_bytes()).expect("a hash");
    format!("{user}:{hash}\n")
}
