//! The pages in a real browser: what it shows of them, and that nothing runs out of the window, on a phone and a desk.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::rig::dns::{Dns, Record, Zone};
use crate::rig::loopback::own_address;
use crate::rig::process;
use crate::rig::relay::{Site, binary};

/// Browsers that tell the page as they understood it.
const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// What the browser makes of an address, in a window so wide; `None`: there is no browser.
fn shown(address: &str, width: u32, profile: &Path) -> Option<String> {
    for browser in BROWSERS {
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"])
            .arg(format!("--window-size={width},800"))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(address)
            .output();
        let Ok(output) = output else { continue };
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !page.is_empty(), "{browser} {address}: {output:?}");
        return Some(page);
    }
    process::say_skipped(format_args!("no browser; on Debian chromium-headless-shell, which ./check installs"));
    None
}

/// The page with its style in it and a script that measures, for the page itself runs none.
fn measured(page: &str, style: &str) -> String {
    let body = page.split_once("\r\n\r\n").map_or(page, |(_, body)| body);
    let link = "<link rel=\"stylesheet\" href=\"/style.css\">";
    assert!(body.contains(link), "{body}");
    let script = "<script>addEventListener('load', () => { const all = document.documentElement; \
                  document.title = `width ${all.scrollWidth} of ${all.clientWidth} scripts ${document.scripts.length}`; });</script>";
    body.replace(link, &format!("<style>{style}</style>{script}"))
}

#[test]
fn a_browser_shows_the_pages_whole() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = shown("about:blank", 800, &folder.path().join("profile")) else { return };
    let long = [63, 63, 63, 50].map(|length| "x".repeat(length)).join(".");
    let hostile = format!("v=spf1 <script>document.title=1</script> include:{} ~all", "y".repeat(200));
    let zone = Zone::from([
        ("example.com".into(), vec![Record::Text(hostile), Record::Mx(10, "mx.example.com".into())]),
        (long.clone(), vec![Record::Text("v=spf1 ~all".into()), Record::Mx(10, "mx.example.com".into())]),
        ("mx.example.com".into(), vec![Record::Address([192, 0, 2, 10].into())]),
    ]);
    let dns = Dns::start(SocketAddr::from((own_address(), 5353)), zone);
    let passwords = folder.path().join("passwords");
    std::fs::write(&passwords, process::run(&binary(), &["password", "ann"], b"right\n").stdout).unwrap();
    let listen = SocketAddr::from((own_address(), 10081));
    let site = Site::new(&format!(
        "[dns]\nservers = [\"{}\"]\n\
         [doctor]\nevery = \"1s\"\nport25 = []\nmailboxes = []\ndomains = [\"example.com\", \"{long}\"]\n\
         [[egress]]\nname = \"{}\"\npublic_address = \"2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff\"\nehlo = \"mail.example.com\"\n\
         [review]\nlisten = \"{listen}\"\npassword_file = \"{}\"\n",
        dns.address(),
        "e".repeat(64),
        passwords.display()
    ));
    let relay = site.start();
    relay.wait_log(&["`outguard doctor --last`"]);

    // As a browser gets it: with a login, and under the policy that lets nothing run.
    let profile = folder.path().join("profile");
    let live = shown(&format!("http://ann:right@{listen}/doctor"), 390, &profile).unwrap();
    assert!(live.contains("<h1>Doctor</h1>") && live.contains(&long), "{live}");
    assert!(
        live.contains("&lt;script&gt;document.title=1") && live.contains("<title>Doctor · outguard</title>"),
        "{live}"
    );

    let get = |path: &str| {
        let mut control = std::os::unix::net::UnixStream::connect(site.folder().join("control.sock")).unwrap();
        crate::doctor::ask(
            &mut control,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        )
    };
    let style = get("/style.css");
    let style = style.split_once("\r\n\r\n").unwrap().1;
    for path in ["/", "/doctor"] {
        let file = folder.path().join("page.html");
        std::fs::write(&file, measured(&get(path), style)).unwrap();
        for width in [320, 390, 1_280] {
            let page = shown(&format!("file://{}", file.display()), width, &profile).unwrap();
            let title = page.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
            let words: Vec<&str> = title.split(' ').collect();
            let ["width", needed, "of", has, "scripts", "1"] = words[..] else { panic!("{path} at {width}: {title}") };
            assert!(needed.parse::<u32>().unwrap() <= has.parse().unwrap(), "{path} at {width} px: {title}");
        }
    }
    relay.stop();
}
