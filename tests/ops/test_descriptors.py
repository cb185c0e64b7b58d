"""The limit on open files."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from chronotick.ops.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
print(raise_limit({wanted}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("hard", "wanted", "said"), [(512, 256, "256 256 512"), (512, 1024, "512 512 512"), (512, 32, "64 64 512")]
)
def test_the_soft_limit_rises_as_far_as_it_may(hard: int, wanted: int, said: str) -> None:
    """Up to what is wanted or allowed, whichever is less; never down, and the hard limit stays."""
    program = PROGRAM.format(hard=hard, wanted=wanted)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == said
