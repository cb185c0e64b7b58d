"""What must hold between keys: each rule says one sentence when it does not."""

from collections import Counter

from chronotick.config.convert import closest
from chronotick.config.schema import Config, RoleConfig
from chronotick.config.tree import Node, shown


def check(config: Config, tree: Node) -> tuple[str, ...]:
    """One sentence for each broken rule, with the place of the key that breaks it."""
    problems: list[str] = []

    def order(section: str, low: str, high: str) -> None:
        values = [getattr(getattr(config, section), name) for name in (low, high)]
        if values[0] > values[1]:
            node = tree.get(section, low) or tree.get(section, high)
            problems.append(
                f"{_place(node, tree)}: `{section}.{low}` is {values[0]:g}, more than `{section}.{high}`, "
                f"which is {values[1]:g}."
            )

    order("ntp", "min_poll_s", "max_poll_s")
    order("ntp", "min_stratum", "max_stratum")
    sources = len(config.ntp.servers) + len(config.interop.sources)
    if not sources:
        problems.append(f"{_place(tree.get('ntp', 'servers'), tree)}: `ntp.servers` is empty; expected at least one.")
    if sources and config.ntp.min_agreeing > sources:
        problems.append(
            f"{_place(tree.get('ntp', 'min_agreeing'), tree)}: `ntp.min_agreeing` is {config.ntp.min_agreeing}, "
            f"more than there are `ntp.servers` ({sources}): no time would ever be served."
        )
    if config.interop.chronyd and config.interop.refclock_socket:
        problems.append(
            f"{_place(tree.get('interop', 'chronyd'), tree)}: `interop.chronyd` asks the chronyd that "
            "`interop.refclock_socket` tells the time: it would vote for itself. Choose one."
        )
    for server, times in Counter(config.ntp.servers).items():
        if times > 1:
            place = _place(tree.get("ntp", "servers"), tree)
            problems.append(f"{place}: `ntp.servers` names {shown(server)} {times} times: it must not vote twice.")

    for section, names in (("roles", [r.name for r in config.roles]), ("plugins", [p.name for p in config.plugins])):
        for at, name in enumerate(names):
            if name in names[:at]:
                problems.append(f"{_item(tree, section, at)}: `{section}` names `{name}` twice; names are unique.")
    plugins = [plugin.name for plugin in config.plugins]
    for at, role in enumerate(config.roles):
        problems += [f"{_item(tree, 'roles', at)}: {sentence}" for sentence in _role(role, plugins)]
    return tuple(problems)


def _role(role: RoleConfig, plugins: list[str]) -> list[str]:
    problems = []
    if role.min_context > role.context:
        problems.append(
            f"`roles.{role.name}.min_context` is {role.min_context}, more than its context, which is {role.context}."
        )
    if plugins and role.plugin not in plugins:
        near = closest(role.plugin, plugins)
        problems.append(
            f"role `{role.name}` asks the plugin `{role.plugin}`, which `plugins` does not list."
            + (f" Did you mean `{near}`?" if near else "")
        )
    return problems


def _item(tree: Node, section: str, at: int) -> str:
    node = tree.get(section)
    return node.items[at].place if node is not None and at < len(node.items) else tree.place


def _place(node: Node | None, tree: Node) -> str:
    return (node or tree).place
