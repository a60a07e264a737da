#!/usr/bin/env python3
"""Runs outguard, SpamAssassin, Rspamd and bogofilter over the same labelled mail and prints their figures side by side.

    benches/compare/compare.py --corpus FOLDER --work FOLDER

FOLDER of the corpus holds manifest.csv (split, label, source, file) and the files; see docs/model.md. Needs the Debian
packages spamassassin, spamd, rspamd, redis-server and bogofilter, and a release build of outguard. Nobody asks the
network. What was judged once is kept in the work folder and not judged again; so a run can be interrupted.

Of every message only those header fields are kept that its sender submits: what the receiving servers added names the
collection it came from, and often the label.
"""

import argparse
import csv
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import peers

SUBMITTED = {
    b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"in-reply-to",
    b"references", b"list-unsubscribe", b"list-unsubscribe-post", b"x-mailer", b"user-agent",
}
SHARES = (0.001, 0.005, 0.01)


def submitted(message):
    """The message with the header fields that its sender wrote."""
    kept, keep = [], False
    lines = message.splitlines(keepends=True)
    for at, line in enumerate(lines):
        if not line.strip(b"\r\n"):
            return b"".join(kept + lines[at:])
        if line[:1] not in b" \t":
            name = line.split(b":", 1)[0].strip().lower()
            keep = name in SUBMITTED or name.startswith(b"content-")
        if keep:
            kept.append(line)
    return b"".join(kept)


def sample(args, work):
    """Copies the sampled messages into the work folder, with a manifest of their own."""
    manifest = work / "manifest.csv"
    if manifest.exists():
        return list(csv.DictReader(manifest.open()))
    rows = list(csv.DictReader((args.corpus / "manifest.csv").open()))
    left_out = set(filter(None, args.leave_out.split(",")))
    chosen, order = [], random.Random(args.seed)
    for split, ham, spam in (("train", args.train, args.train), ("dev", args.ham, args.spam)):
        for label, count in (("ham", ham), ("spam", spam)):
            # Of sources left out nothing is learnt, and nothing else is judged.
            there = [
                r for r in rows
                if r["split"] == split and r["label"] == label
                and (not left_out or (r["source"] in left_out) == (split == "dev"))
            ]
            order.shuffle(there)
            chosen += there[:count]
    for row in chosen:
        to = work / "mail" / row["split"] / row["file"]
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(submitted((args.corpus / row["file"]).read_bytes()))
        row["file"] = f"mail/{row['split']}/{row['file']}"
    order.shuffle(chosen)  # so that what is judged by a given hour is a sample too
    columns = ["split", "label", "source", "file", "constructed"]
    with manifest.open("w") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(chosen)
    (work / "ham").mkdir(exist_ok=True)  # tells outguard train that nothing is to be unpacked
    return chosen


def figures(scores, rows):
    """Area under the ROC, and recall at each share of ham held; a tie with the threshold is not held."""
    ham = sorted((scores[r["file"]] for r in rows if r["label"] == "ham"), reverse=True)
    spam = [scores[r["file"]] for r in rows if r["label"] == "spam"]
    both = sorted([(s, 0) for s in ham] + [(s, 1) for s in spam])
    area, below, at = 0.0, 0, 0
    while at < len(both):
        end = at
        while end < len(both) and both[end][0] == both[at][0]:
            end += 1
        spams = sum(label for _, label in both[at:end])
        hams = end - at - spams
        area += spams * (below + hams / 2)
        below += hams
        at = end
    recalls = []
    for share in SHARES:
        threshold = ham[int(len(ham) * share)]
        recalls.append(sum(s > threshold for s in spam) / len(spam))
    return area / (len(ham) * len(spam)), recalls


def outguard_model(args, work, name, train):
    """What outguard's text model says alone: log-odds and points by file. `train` are further arguments of its making."""
    model, scores = work / f"{name}.model", work / f"{name}.csv"
    if train is not None and not model.exists():
        subprocess.run([args.outguard, "train", *train, "--name", name, "--output", model], check=True)
    if not scores.exists():
        given = ["--model", model if train is not None else args.model]
        subprocess.run([args.outguard, "train", "--corpus", work, *given, "--scores", scores], check=True)
    rows = csv.DictReader(scores.open())
    return {str(Path(r["file"]).relative_to(work)): (float(r["log_odds"]), int(r["points"])) for r in rows}


SOFT_POINTS_MAX, TAKEN_BACK_MAX, TAKEN_BACK_FOR_EACH, FULL_POINTS, RAISED = 70, 60, 12, 150, 30


def verdict(rules, soft, raised, log_odds, points):
    """The sum that `outguard score` shows: rules and text, and what the text makes of soft rules."""
    if log_odds < 0:
        earned = min(-log_odds * TAKEN_BACK_FOR_EACH, TAKEN_BACK_MAX)
        return rules + points - min(soft, int(earned + 0.5))
    return rules + points + (min(raised, FULL_POINTS) * max(0, min(points, FULL_POINTS)) + RAISED // 2) // RAISED


def outguard_rules(args, work, rows):
    """The points of all rules by file, those of soft ones and those that a text raises, before the text makes more or less of them. The rule of old
    dates is not among them: all are old here."""
    kept = work / "outguard.jsonl"
    if not kept.exists():
        settings = work / "outguard.toml"
        settings.write_text("")
        lists = [work / r["file"] for r in rows]
        lines = []
        for from_ in range(0, len(lists), 500):
            command = [args.outguard, "--config", settings, "--json", "score", *lists[from_:from_ + 500]]
            lines.append(subprocess.run(command, check=True, capture_output=True).stdout)
        kept.write_bytes(b"".join(lines))
    # A rule is soft by its own points, not by what its family leaves of them.
    written = (Path(__file__).parents[2] / "config/rules.toml").read_text()
    data = tomllib.loads(written)
    light = {r["name"] for r in data["rule"] if r["points"] <= SOFT_POINTS_MAX and r.get("soft", True)}
    read = {f["name"] for f in data["family"] if f.get("read_by_model")}
    phrases = {r["name"] for r in data["rule"] if r["family"] in read}
    points, soft, raised = {}, {}, {}
    for line in kept.read_text().splitlines():
        judged = json.loads(line)
        name = str(Path(judged["file"]).relative_to(work))
        rules = [r for r in judged["reasons"] if r["name"] not in ("text", "text-is-ordinary", "text-and-rules", "date-far")]
        points[name] = sum(r["points"] for r in rules)
        soft[name] = sum(max(r["points"], 0) for r in rules if r["name"] in light)
        raised[name] = sum(max(r["points"], 0) for r in rules if r["name"] in light - phrases)
    return points, soft, raised


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where samples, lists and scores are kept")
    parser.add_argument("--ham", type=int, default=3000, help="ham messages judged")
    parser.add_argument("--spam", type=int, default=1500, help="spam messages judged")
    parser.add_argument("--train", type=int, default=3000, help="messages of each label that the others learn from")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--leave-out", default="", help="sources A,B that nobody learns from and that alone are judged")
    parser.add_argument("--outguard", type=Path, default=Path("target/release/outguard"))
    parser.add_argument("--model", type=Path, default=Path("config/model/outguard.model"))
    parser.add_argument("--minutes", type=float, default=600, help="no peer judges longer, 0: none at all; what all have judged counts")
    parser.add_argument("--only", default=f"outguard,{','.join(peers.ALL)}")
    args = parser.parse_args()
    for name in ("corpus", "work", "outguard", "model"):
        setattr(args, name, getattr(args, name).resolve())
    args.work.mkdir(parents=True, exist_ok=True)
    rows = sample(args, args.work)
    judged = [r for r in rows if r["split"] == "dev"]
    learnt = [r for r in rows if r["split"] == "train"]
    said = list(systems(args, judged, learnt))
    judged = [r for r in judged if all(r["file"] in scores for _, scores in said)]
    table = [(name, *figures(scores, judged)) for name, scores in said]
    ham = sum(r["label"] == "ham" for r in judged)
    print(f"\n{ham} ham, {len(judged) - ham} spam\n")
    print("| | AUC | 0.1 % | 0.5 % | 1 % of ham held |\n|---|--:|--:|--:|--:|")
    for name, area, recalls in table:
        print(f"| {name} | {area:.4f} | " + " | ".join(f"{r:.3f}" for r in recalls) + " |")


def systems(args, judged, learnt):
    """Each system's name and its scores by file, as they are ready."""
    only = args.only.split(",")
    if "outguard" in only:
        rules, soft, raised = outguard_rules(args, args.work, judged)
        left_out = [["--exclude-source", name] for name in filter(None, args.leave_out.split(","))]
        whole = ["--corpus", args.corpus, *sum(left_out, [])] if left_out else None
        models = [("all", whole), (f"{len(learnt)}", ["--corpus", args.work])]
        for learnt_from, how in models:
            model = outguard_model(args, args.work, f"outguard-{learnt_from}", how)
            sums = {file: verdict(rules[file], soft[file], raised[file], odds, points) for file, (odds, points) in model.items()}
            yield f"outguard, rules and model ({learnt_from})", sums
            yield f"outguard, model alone ({learnt_from})", {file: odds for file, (odds, _) in model.items()}
        yield "outguard, rules alone", rules
    files = [r["file"] for r in judged]
    until = time.monotonic() + args.minutes * 60
    for name, peer in peers.ALL.items():
        if name in only:
            yield peer(args.work, files, learnt, until)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no daemon of ours is left behind
    missing = [name for name in ("spamd", "rspamd", "redis-server", "bogofilter") if not shutil.which(name)]
    if missing:
        print(f"not installed, leave them out with --only: {', '.join(missing)}")
    main()
