"""Traces from the logs of chronyd and ntpd."""

from pathlib import Path

import pytest

from chronotick.backtest.read import read_trace
from chronotick.errors import ConfigError

CHRONY = """\
====================================================================================================================
   Date (UTC) Time     IP Address   L St 123 567 ABCD  LP RP Score    Offset  Peer del. Peer disp.  Root del. Root disp. Refid     MTxRx
====================================================================================================================
2026-01-02 03:04:05 192.0.2.1       N  1 111 111 1111   6  6 0.00 -1.500e-03  2.000e-02  1.000e-06  4.000e-03  1.000e-03 7F7F0101 4B D K
2026-01-02 03:05:09 192.0.2.2       N  1 111 111 1111   6  6 0.00  2.500e-03  3.000e-02  1.000e-06  4.000e-03  1.000e-03 7F7F0101 4B D K
"""  # noqa: E501
PEERS = """\
61042 100.500 192.0.2.1 9614 -0.001500000 0.020000000 0.001000000 0.000100000
61042 164.500 192.0.2.2 9614 0.002500000 0.030000000 0.001000000 0.000100000
61043 0.500 192.0.2.1 9614 0.000500000 0.030000000 0.001000000 0.000100000
"""


def test_chronyd_measurements_are_read(tmp_path: Path) -> None:
    """Offset, delay, server, spacing, and the claim: half the root delay, and both dispersions."""
    path = tmp_path / "measurements.log"
    path.write_text(CHRONY)
    first, second = read_trace(path).fixes
    assert (first.theta_ns, second.theta_ns) == (-1_500_000, 2_500_000)
    assert second.raw_ns - first.raw_ns == 64_000_000_000
    assert (first.server, first.delay_s) == ("192.0.2.1", 2e-2)
    assert first.root_distance_s == pytest.approx(1e-2 + 2e-3 + 1e-3 + 1e-6)


def test_ntpd_peerstats_are_read_across_midnight(tmp_path: Path) -> None:
    """The day and its seconds make one time."""
    path = tmp_path / "peerstats.20260102"
    path.write_text(PEERS)
    fixes = read_trace(path).fixes
    assert [fix.theta_ns for fix in fixes] == [-1_500_000, 2_500_000, 500_000]
    assert fixes[2].raw_ns - fixes[0].raw_ns == 86_300_000_000_000


@pytest.mark.parametrize("text", [CHRONY.replace("2.000e-02", "much"), PEERS.replace("0.030000000", "-")])
def test_a_damaged_line_is_named(tmp_path: Path, text: str) -> None:
    """The line and its beginning are said."""
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"line \d is not a measurement"):
        read_trace(path)


@pytest.mark.parametrize("text", [CHRONY, PEERS])
def test_a_log_that_is_being_written_is_read(tmp_path: Path, text: str) -> None:
    """Half a line at the end is left out."""
    path = tmp_path / "log"
    path.write_text(text + text.splitlines()[-1][:50])
    assert len(read_trace(path).fixes) == len([line for line in text.splitlines() if line[0].isdigit()])
