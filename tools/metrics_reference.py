"""Writes docs/reference/metrics.md from what both planes measure; `--check` only compares."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics import MetricWrapperBase

from controlplane.overview.backend_figures import backend_families
from controlplane.overview.figures import families
from controlplane.overview.notification_figures import notification_families
from dataplane.middleware.measures import Measures

PAGE = Path(__file__).parent.parent / "docs/reference/metrics.md"

_HEAD = """# Metrics

`GET /metrics` on the metrics port, in Prometheus' text format, summed over the processes of the data plane. Counts
start anew when the data plane does. Labels are operations, statuses and fixed words, never names that clients choose.

| name | kind | labels | meaning |
|---|---|---|---|
"""

_CONTROL = """
Of the control plane of the instance, as it left them within the last minute:

| name | kind | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be."""
    rows = []
    for each in vars(Measures(CollectorRegistry())).values():
        if isinstance(each, MetricWrapperBase):
            (family,) = each.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in each._labelnames)
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return _HEAD + "\n".join(sorted(rows)) + "\n" + _CONTROL + "\n".join(sorted(_control_rows())) + "\n"


def _control_rows() -> Iterator[str]:
    for family in (*families(), *backend_families(), *notification_families()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert isinstance(family, (CounterMetricFamily, GaugeMetricFamily))
        labels = ", ".join(f"`{label}`" for label in family._labelnames)
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def main() -> int:
    """0 when the page stands as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing, fail when the page is out of date"
    )
    options = parser.parse_args()
    if options.check:
        return int(not PAGE.is_file() or PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
