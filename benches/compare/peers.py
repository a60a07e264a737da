"""The other filters, each started here with its own settings and folders, rules alone and with what it learnt.

Every function takes the work folder, the files to judge, the rows to learn from and when to stop, and gives a name and
the scores by file. No network test of any of them is on.
"""

import http.client
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path


def kept(work, name, judge, until):
    """Scores of a run before, and of this one, written as they come."""
    path = work / f"{name}.scores"
    known = {}
    if path.exists():
        known = {file: float(score) for score, file in (line.split(" ", 1) for line in path.read_text().splitlines())}
    if time.monotonic() >= until:
        return known
    with path.open("a") as out:
        for file, score in judge(known):
            known[file] = score
            out.write(f"{score} {file}\n")
            out.flush()
            if time.monotonic() > until:
                break
    return known


def learnt_files(work, learnt, label):
    return [work / r["file"] for r in learnt if r["label"] == label]


@contextmanager
def daemon(command, port, **more):
    """A daemon that listens on a port of this machine while the block runs."""
    started = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        for _ in range(6000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if started.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {started.returncode}")
            time.sleep(0.1)
        yield
    finally:
        started.terminate()
        started.wait()


def bogofilter(work, files, learnt, until):
    """bogofilter's number is a probability; its list is made from nothing."""
    words = work / "bogofilter"
    if not words.exists():
        words.mkdir()
        for label, flag in (("ham", "-n"), ("spam", "-s")):
            names = "\n".join(map(str, learnt_files(work, learnt, label))) + "\n"
            subprocess.run(["bogofilter", "-d", words, flag, "-b"], input=names.encode(), check=True)

    def judge(known):
        todo = [file for file in files if file not in known]
        names = "\n".join(str(work / file) for file in todo) + "\n"
        command = ["bogofilter", "-d", words, "-v", "-T", "-T", "-b"]
        said = subprocess.run(command, input=names.encode(), capture_output=True) if todo else None
        for line in said.stdout.decode().splitlines() if said else []:
            name, score = line.rsplit(None, 1)
            yield str(Path(name.split()[0]).relative_to(work)), float(score)

    return f"bogofilter ({len(learnt)})", kept(work, "bogofilter", judge, until)


SPAMASSASSIN = """
dns_available no
skip_rbl_checks 1
use_razor2 0
use_pyzor 0
use_dcc 0
use_auto_whitelist 0
bayes_auto_learn 0
bayes_auto_expire 0
"""


def spamassassin(work, files, learnt, until, bayes):
    """Debian's rules as installed, its plugins as installed; Bayes from nothing."""
    name, port = ("spamassassin-bayes", 18784) if bayes else ("spamassassin", 18783)
    site = work / name
    if not site.exists():
        made = work / f"{name}.making"
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree("/etc/spamassassin", made, ignore=shutil.ignore_patterns("local.cf", "sa-update*"))
        (made / "local.cf").write_text(f"{SPAMASSASSIN}use_bayes {int(bayes)}\nbayes_path {work}/sa-bayes\n"
                                      "bayes_file_mode 0777\n")  # spamd's child is nobody
        for label in ("ham", "spam") if bayes else ():
            names = made / f"{label}.list"
            names.write_text("".join(f"{file}\n" for file in learnt_files(work, learnt, label)))
            learn = ["sa-learn", "-L", "--siteconfigpath", made, "--no-sync", f"--{label}", f"--folders={names}"]
            subprocess.run(learn, check=True)
        if bayes:
            subprocess.run(["sa-learn", "-L", "--siteconfigpath", made, "--sync"], check=True)
            for words in work.glob("sa-bayes_*"):
                words.chmod(0o666)
        made.rename(site)

    def judge(known):
        todo = [file for file in files if file not in known]
        if not todo:
            return
        command = ["spamd", "-L", "-m", "1", "-x", "--siteconfigpath", site, "-i", "127.0.0.1", "-p", port]
        with daemon([*command, "-r", work / f"{name}.pid"], port):
            for file in todo:
                yield file, spamd_score((work / file).read_bytes(), port)

    what = f"with Bayes ({len(learnt)})" if bayes else "rules alone"
    return f"SpamAssassin, {what}", kept(work, name, judge, until)


def spamd_score(message, port):
    with socket.create_connection(("127.0.0.1", port), timeout=600) as peer:
        peer.sendall(b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(message) + message)
        peer.shutdown(socket.SHUT_WR)
        reply = b""
        while part := peer.recv(65536):
            reply += part
    for line in reply.decode().splitlines():
        if line.startswith("Spam:"):
            return float(line.split(";")[1].split("/")[0])
    raise RuntimeError(f"spamd said {reply!r}")


# What asks others, learns by itself, or judges an envelope that nobody has here.
RSPAMD_OFF = (
    "antivirus arc asn aws_s3 bimi clickhouse dcc dkim dkim_signing dmarc elastic external_services fuzzy_check greylist "
    "hfilter history_redis ip_score known_senders maillist metadata_exporter metric_exporter milter_headers mx_check "
    "neural once_received p0f ratelimit rbl replies reputation rspamd_update spamtrap spf surbl url_redirector whitelist"
).split()
# They fire on all old mail.
RSPAMD_OLD_MAIL = ("DATE_IN_PAST", "DATE_IN_FUTURE", "HFILTER_HOSTNAME_UNKNOWN")
RSPAMD_PORT = 18793
REDIS_PORT = 18796


def rspamd(work, files, learnt, until, bayes):
    """Debian's rules; Bayes in a Redis of its own."""
    name = "rspamd-bayes" if bayes else "rspamd"
    site = work / name
    rspamd_settings(site, bayes)

    def judge(known):
        todo = [file for file in files if file not in known]
        if not todo:
            return
        redis = ["redis-server", "--port", REDIS_PORT, "--bind", "127.0.0.1", "--dir", site, "--save", ""]
        folders = {"LOCAL_CONFDIR": site, "DBDIR": site / "db", "RUNDIR": site / "run", "LOGDIR": site / "log"}
        command = ["rspamd", "-f", "-i"] + [f"--var={key}={value}" for key, value in folders.items()]
        with daemon(redis, REDIS_PORT), daemon(command, RSPAMD_PORT):
            for label in ("ham", "spam") if bayes else ():
                for file in learnt_files(work, learnt, label):
                    rspamd_asked(RSPAMD_PORT + 1, f"/learn{label}", file.read_bytes())
            for file in todo:
                said = json.loads(rspamd_asked(RSPAMD_PORT, "/checkv2", (work / file).read_bytes()))
                old = sum(said["symbols"].get(symbol, {}).get("score", 0.0) for symbol in RSPAMD_OLD_MAIL)
                yield file, round(said["score"] - old, 4)

    what = f"with Bayes ({len(learnt)})" if bayes else "rules alone"
    return f"Rspamd, {what}", kept(work, name, judge, until)


def rspamd_settings(site, bayes):
    if site.exists():
        return
    for folder in ("db", "run", "log", "local.d", "override.d"):
        (site / folder).mkdir(parents=True)
    local = site / "local.d"
    for module in RSPAMD_OFF:
        (local / f"{module}.conf").write_text("enabled = false;\n")
    (local / "options.inc").write_text(
        'dns { nameserver = ["127.0.0.1:9"]; timeout = 0.01s; retransmits = 1; }\ncheck_all_filters = true;\n'
    )
    (local / "logging.inc").write_text(f'type = "file"; filename = "{site}/log/rspamd.log"; level = "error";\n')
    (local / "worker-normal.inc").write_text(f'bind_socket = "127.0.0.1:{RSPAMD_PORT}"; count = 1; task_timeout = 60s;\n')
    (local / "worker-controller.inc").write_text(f'bind_socket = "127.0.0.1:{RSPAMD_PORT + 1}"; secure_ip = "127.0.0.1";\n')
    (local / "worker-proxy.inc").write_text("enabled = false;\n")
    (local / "worker-fuzzy.inc").write_text("enabled = false;\n")
    if bayes:
        (local / "redis.conf").write_text(f'servers = "127.0.0.1:{REDIS_PORT}";\n')
        (local / "classifier-bayes.conf").write_text(
            f'backend = "redis"; servers = "127.0.0.1:{REDIS_PORT}"; min_learns = 100; autolearn = false;\n'
        )


def rspamd_asked(port, path, message):
    """A learner that knows the message already answers 208."""
    for attempt in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        try:
            connection.request("POST", path, body=message)
            reply = connection.getresponse()
            body = reply.read()
            if reply.status in (200, 204, 208):
                return body
            # What is too short to learn from is told apart from a learner that is not there.
            if path.startswith("/learn") and reply.status < 500 or b"all learn conditions" in body:
                return body
        except ConnectionError:
            if attempt == 4:
                raise
        finally:
            connection.close()
        time.sleep(0.5)
    if path.startswith("/learn"):
        return b""
    raise RuntimeError(f"Rspamd answered {path} with {reply.status}: {body[:200]!r}")


ALL = {
    "bogofilter": bogofilter,
    "rspamd": partial(rspamd, bayes=False),
    "rspamd-bayes": partial(rspamd, bayes=True),
    "spamassassin": partial(spamassassin, bayes=False),
    "spamassassin-bayes": partial(spamassassin, bayes=True),
}
