"""`chronotick config`: check a configuration file, or show what every key means."""

import argparse
from pathlib import Path

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.output import paint, print_error, print_json
from chronotick.errors import ConfigError


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "config",
        "configuration files",
        "  chronotick config check configs/default.yaml\n  chronotick config keys",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    check = add_command(
        verbs,
        "check",
        "say everything that is wrong with a file, and what it comes to",
        "  chronotick config check my.yaml\nexit codes: 0 sound, 78 not",
    )
    check.add_argument("file", type=Path, metavar="FILE")
    add_json(check)
    check.set_defaults(run=run_check)
    keys = add_command(
        verbs, "keys", "list every key with its unit, range and default", "  chronotick config keys --json"
    )
    add_json(keys)
    keys.set_defaults(run=run_keys)


def run_check(args: argparse.Namespace) -> int:
    import msgspec

    from chronotick.config.load import load

    try:
        loaded = load(args.file)
    except ConfigError as error:
        if args.json:
            print_json({"file": str(args.file), "ok": False, "error": str(error)})
        else:
            print_error(str(error))
        return exits.CONFIG
    if args.json:
        body = {"file": str(args.file), "ok": True, "notes": loaded.notes, "config": msgspec.to_builtins(loaded.config)}
        print_json(body)
        return exits.OK
    config = loaded.config
    print(f"{args.file}: sound.")
    for note in loaded.notes:
        print(f"  note: {note}")
    print(f"  {len(config.ntp.servers)} servers, polled every {config.ntp.min_poll_s:g} to {config.ntp.max_poll_s:g} s")
    for role in config.roles:
        off = "" if role.enabled else " (disabled)"
        print(
            f"  role {role.name}: {role.plugin} sees {role.context} points of {role.step_s:g} s, "
            f"says {role.horizon}, every {role.interval_s:g} s{off}"
        )
    return exits.OK


def run_keys(args: argparse.Namespace) -> int:
    import msgspec

    from chronotick.config.describe import describe

    keys = describe()
    if args.json:
        print_json({"keys": [msgspec.to_builtins(key) for key in keys]})
        return exits.OK
    for key in keys:
        default = "required" if key.required else f"default {key.default!r}"
        print(f"{paint(key.key, 'bold')}  {key.type}; {default}\n    {key.doc}")
    return exits.OK
