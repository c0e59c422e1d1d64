"""What a config's `required_plugins` says has to be installed, and is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loomlm.errors import did_you_mean
from loomlm.registry import Registry
from loomlm.registry.plugins import canonical, version_of, why_not


def required_problems(required: Sequence[str], registry: Registry) -> Iterator[tuple[int, str]]:
    """The index of each requirement that is not met, and why: what is there, what to type."""
    for index, text in enumerate(required):
        message = _unmet(text, registry)
        if message is not None:
            yield index, message


def _unmet(text: str, registry: Registry) -> str | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return f"expected a distribution, such as loomlm-foo or loomlm-foo>=1.2, got {text!r}."
    install = f'Install it: pip install "{text}"'
    there = version_of(requirement.name)
    if there is None:
        names = {plugin.distribution for plugin in registry.plugins if plugin.distribution}
        near = did_you_mean(requirement.name, names)
        hint = f" {near}" if near.startswith("Did") else ""
        return f"{text} is not installed.{hint} {install}"
    if not requirement.specifier.contains(there, prereleases=True):
        return f"{requirement.name} {there} is installed, and {text} is required. {install}"
    name = canonical(requirement.name)
    plugins = [p for p in registry.plugins if canonical(p.distribution) == name]
    if not plugins:
        return (
            f"{requirement.name} {there} is installed, and brings no plugin that is loaded. Is "
            "LOOMLM_DISABLE_PLUGIN_AUTOLOAD set?"
        )
    out = [why_not(plugin) for plugin in plugins if plugin.state != "loaded"]
    return f"{requirement.name} is required, and {'; '.join(out)}." if out else None
