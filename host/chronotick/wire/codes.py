"""Error codes, each with a retryable flag and what the host does about it."""

from enum import StrEnum
from typing import Final

import msgspec


class Code(StrEnum):
    """Why a message, a request or a plugin failed. The values are the wire's."""

    BAD_MAGIC = "bad_magic"
    BAD_MESSAGE = "bad_message"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
    VERSION_MISMATCH = "version_mismatch"
    BAD_TOKEN = "bad_token"
    BAD_MANIFEST = "bad_manifest"
    NOT_READY = "not_ready"
    BUSY = "busy"
    DRAINING = "draining"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    BAD_WINDOW = "bad_window"
    BAD_HORIZON = "bad_horizon"
    BAD_LEVELS = "bad_levels"
    LOAD_FAILED = "load_failed"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_MISMATCH = "weights_mismatch"
    DEVICE_MISSING = "device_missing"
    OUT_OF_MEMORY = "out_of_memory"
    BAD_OUTPUT = "bad_output"
    PLUGIN_DIED = "plugin_died"
    OUT_OF_RANGE = "out_of_range"
    NO_TIME = "no_time"
    BAD_STAMP = "bad_stamp"
    INTERNAL = "internal"


class Reaction(StrEnum):
    """What the host does with the plugin that an error concerns.

    COUNT: count and log it, nothing else.
    SKIP: this forecast is void; ask again at the role's next turn.
    SUSPECT: as SKIP, and one strike: several in a row restart the plugin.
    STOP_ASKING: the role's request can never succeed with these capabilities; stop until the configuration changes.
    RESTART: end the process and start it again with back-off, within the restart budget.
    REFUSE: end the process, state INCOMPATIBLE, no restart.
    NEEDS_MENDING: end the process, show its mend, no restart until configuration or environment change.
    """

    COUNT = "count"
    SKIP = "skip"
    SUSPECT = "suspect"
    STOP_ASKING = "stop_asking"
    RESTART = "restart"
    REFUSE = "refuse"
    NEEDS_MENDING = "needs_mending"


class Rule(msgspec.Struct, frozen=True):
    """What a code means. `retryable`: the same request can succeed later without anybody mending anything."""

    retryable: bool
    reaction: Reaction
    meaning: str


RULES: Final[dict[Code, Rule]] = {
    Code.BAD_MAGIC: Rule(False, Reaction.COUNT, "The first frame is not this protocol's."),
    Code.BAD_MESSAGE: Rule(False, Reaction.SUSPECT, "The message does not decode, or a field is missing or wrong."),
    Code.UNKNOWN_TYPE: Rule(False, Reaction.COUNT, "The message decodes, but its type is not known here."),
    Code.TOO_LARGE: Rule(False, Reaction.STOP_ASKING, "The message is larger than the agreed maximum."),
    Code.VERSION_MISMATCH: Rule(False, Reaction.REFUSE, "Both sides have no common protocol major."),
    Code.BAD_TOKEN: Rule(False, Reaction.REFUSE, "The plugin's token is not the one that the host gave out."),
    Code.BAD_MANIFEST: Rule(False, Reaction.REFUSE, "What the plugin reports contradicts its manifest."),
    Code.NOT_READY: Rule(True, Reaction.SKIP, "The model is still loading."),
    Code.BUSY: Rule(True, Reaction.SKIP, "The plugin's queue is full."),
    Code.DRAINING: Rule(True, Reaction.SKIP, "The plugin is shutting down and takes nothing new."),
    Code.DEADLINE_EXCEEDED: Rule(True, Reaction.SUSPECT, "The deadline passed before the answer was there."),
    Code.CANCELLED: Rule(True, Reaction.SKIP, "The host cancelled the request."),
    Code.BAD_WINDOW: Rule(False, Reaction.STOP_ASKING, "The window's length, batch, covariates or values do not fit."),
    Code.BAD_HORIZON: Rule(False, Reaction.STOP_ASKING, "The horizon is outside the plugin's capabilities."),
    Code.BAD_LEVELS: Rule(
        False, Reaction.STOP_ASKING, "The quantile levels are not ascending in (0, 1) or not offered."
    ),
    Code.LOAD_FAILED: Rule(True, Reaction.RESTART, "Loading the model failed in a way that may pass."),
    Code.WEIGHTS_MISSING: Rule(False, Reaction.NEEDS_MENDING, "The weights are not on this machine."),
    Code.WEIGHTS_MISMATCH: Rule(False, Reaction.NEEDS_MENDING, "The weights are not those that were asked for."),
    Code.DEVICE_MISSING: Rule(False, Reaction.NEEDS_MENDING, "The device asked for is not on this machine."),
    Code.OUT_OF_MEMORY: Rule(True, Reaction.RESTART, "Memory ran out on the device or the machine."),
    Code.BAD_OUTPUT: Rule(
        False, Reaction.SUSPECT, "The forecast has a wrong shape, is not finite, or its quantiles cross."
    ),
    Code.PLUGIN_DIED: Rule(True, Reaction.RESTART, "The process ended, or its connection is gone."),
    Code.OUT_OF_RANGE: Rule(False, Reaction.COUNT, "The instant asked about is not one that can be answered for."),
    Code.NO_TIME: Rule(True, Reaction.SKIP, "The host has no time that it can stand for."),
    Code.BAD_STAMP: Rule(False, Reaction.COUNT, "The stamp was not made by this host, or was altered."),
    Code.INTERNAL: Rule(True, Reaction.SUSPECT, "A fault that has no code of its own."),
}


def rule_for(code: str) -> Rule:
    """The rule of a code; one that this version does not know counts as `internal`."""
    try:
        return RULES[Code(code)]
    except ValueError:
        return RULES[Code.INTERNAL]
