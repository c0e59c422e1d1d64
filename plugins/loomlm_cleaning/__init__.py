"""The built-in cleaning steps."""

from loomlm.plugin import Component, NoConfig, hookimpl
from loomlm_cleaning.config import MaskConfig, UnicodeConfig, WhitespaceConfig

loomlm_api = (1, 1)


@hookimpl
def loomlm_cleaners() -> list[Component]:
    return [
        _step("unicode", "Unicode normalisation (UAX 15)", config=UnicodeConfig),
        _step("control", "drops control characters and invisible marks"),
        _step("whitespace", "runs of white space to one space", config=WhitespaceConfig),
        _step("html", "markup to text, entities resolved"),
        _step("lowercase", "to lower case"),
        _step("hyphens", "words that a line's end cut in two, put together"),
        _step("mask", "a word for each URL and each e-mail address", config=MaskConfig),
        Component(
            kind="cleaner",
            name="mojibake",
            summary="text that was decoded in a wrong way, repaired (ftfy, Speer 2019)",
            target="loomlm_cleaning.mojibake:mojibake_step",
            requires=("ftfy",),
            install='pip install "loomlm[data]"',
        ),
    ]


def _step(name: str, summary: str, config: type = NoConfig) -> Component:
    target = f"loomlm_cleaning.steps:{name}_step"
    return Component(kind="cleaner", name=name, summary=summary, target=target, config=config)
