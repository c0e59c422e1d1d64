"""The built-in cleaning steps."""

from loomlm.plugin import Component, NoConfig, hookimpl
from loomlm_cleaning.config import UnicodeConfig, WhitespaceConfig

loomlm_api = (1, 1)


@hookimpl
def loomlm_cleaners() -> list[Component]:
    return [
        _step("unicode", "Unicode normalisation (UAX 15)", config=UnicodeConfig),
        _step("control", "drops control characters and invisible marks"),
        _step("whitespace", "runs of white space to one space", config=WhitespaceConfig),
        _step("html", "markup to text, entities resolved"),
        _step("lowercase", "to lower case"),
    ]


def _step(name: str, summary: str, config: type = NoConfig) -> Component:
    target = f"loomlm_cleaning.steps:{name}_step"
    return Component(kind="cleaner", name=name, summary=summary, target=target, config=config)
