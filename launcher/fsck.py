"""`penstock fsck`: compares the metadata with every stored byte, of a deployment that serves or one at rest."""

import json
import os
import sys
from pathlib import Path

from engine.deployment.inspection import Inspection, inspect
from engine.errors import EngineError, InvalidConfig, StartRefused, WrongKey
from engine.upkeep.fsck import Fsck
from engine.upkeep.fsck_cards import RingCards
from engine.upkeep.fsck_report import Finding, FsckReport
from launcher.exit_status import ExitStatus
from launcher.problems import problem_line

_SUMMARY = (
    ("blob_count", "blobs"),
    ("location_count", "pieces"),
    ("volume_count", "volume files"),
    ("card_count", "cards"),
    ("verified_bytes", "bytes verified"),
    ("dead_bytes", "bytes dead"),
)


def fsck(config: Path, *, as_json: bool) -> int:
    """Print what is wrong to standard output; OK only if nothing is. Changes neither rows nor bytes."""
    try:
        with inspect(config, os.environ) as deployment:
            for name in deployment.unseen:
                _say(
                    f"backend {name!r} is in the memory of its process, or configured no more: not looked at"
                )
            report = _run(deployment)
    except InvalidConfig as error:
        for problem in error.problems:
            print(problem_line(config, problem), file=sys.stderr)
        return ExitStatus.CONFIG
    except (StartRefused, WrongKey) as error:
        _say(str(error))
        return ExitStatus.CONFIG
    except EngineError as error:
        _say(f"the deployment could not be looked at to the end: {error}")
        return ExitStatus.FAILED
    if as_json:
        print(json.dumps(_document(report), indent=2))
    else:
        for finding in report.findings:
            print(_line(finding))
        print(_summary(report))
    return ExitStatus.OK if report.is_clean else ExitStatus.FAILED


def _run(deployment: Inspection) -> FsckReport:
    return Fsck(
        deployment.store,
        deployment.backends,
        volumes=deployment.volumes,
        cards=RingCards(deployment.ring),
    ).run()


def _line(finding: Finding) -> str:
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{finding.problem.name}: {finding.subject}: {finding.problem.value}{detail}"


def _summary(report: FsckReport) -> str:
    counts = ", ".join(f"{report.counts[key]} {text}" for key, text in _SUMMARY)
    if report.is_clean:
        return f"clean: {counts}"
    left_out = report.finding_count - len(report.findings)
    more = f", {left_out} of them not shown" if left_out else ""
    return f"{report.finding_count} findings{more}: {counts}"


def _document(report: FsckReport) -> dict[str, object]:
    return {
        "is_clean": report.is_clean,
        "finding_count": report.finding_count,
        "findings": [
            {"problem": each.problem.name, "subject": each.subject, "detail": each.detail}
            for each in report.findings
        ],
        "counts": report.counts,
    }


def _say(line: str) -> None:
    print(f"penstock fsck: {line}", file=sys.stderr)
