"""The built-in cleaning steps."""

from loomlm.plugin import Component, NoConfig, hookimpl
from loomlm_cleaning.config import (
    AugmentConfig,
    BoilerplateConfig,
    C4Config,
    DuplicatesConfig,
    GopherQualityConfig,
    GopherRepetitionConfig,
    LabelsConfig,
    LanguageConfig,
    LengthConfig,
    MaskConfig,
    NearDuplicatesConfig,
    SampleConfig,
    ScriptConfig,
    UnicodeConfig,
    WhitespaceConfig,
)

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
        _step(
            "mojibake",
            "text that was decoded in a wrong way, repaired (ftfy, Speer 2019)",
            "mojibake",
            needs="ftfy",
        ),
        _step("length", "texts within bounds of words and characters", "ratios", LengthConfig),
        _step(
            "gopher_quality",
            "what is prose, by the rules of MassiveText (Rae 2021)",
            "ratios",
            GopherQualityConfig,
        ),
        _step(
            "gopher_repetition",
            "what does not repeat itself, by the rules of MassiveText (Rae 2021)",
            "ratios",
            GopherRepetitionConfig,
        ),
        _step(
            "c4",
            "lines and texts that are prose, by the rules of C4 (Raffel 2020)",
            "lines",
            C4Config,
        ),
        _step(
            "boilerplate", "lines that stand in many texts, taken out", "lines", BoilerplateConfig
        ),
        _step(
            "script", "texts in some scripts (Unicode's Script)", "scripts", ScriptConfig, "regex"
        ),
        _step(
            "language",
            "texts in some languages (py3langid, Lui 2012)",
            "languages",
            LanguageConfig,
            "py3langid",
        ),
        _step(
            "duplicates",
            "examples, paragraphs or lines that stand earlier, left out",
            "duplicates",
            DuplicatesConfig,
        ),
        _step(
            "near_duplicates",
            "texts that nearly repeat an earlier one, left out (MinHash, Broder 1997)",
            "duplicates",
            NearDuplicatesConfig,
            "rensa",
        ),
        _step("sample", "some examples, drawn by chance", "sampling", SampleConfig),
        _step("labels", "labels renamed, merged, left out", "labels", LabelsConfig),
        _step(
            "augment",
            "copies of training examples, with words left out or swapped (EDA, Wei 2019)",
            "augmenting",
            AugmentConfig,
        ),
    ]


def _step(
    name: str, summary: str, module: str = "steps", config: type = NoConfig, needs: str = ""
) -> Component:
    return Component(
        kind="cleaner",
        name=name,
        summary=summary,
        target=f"loomlm_cleaning.{module}:{name}_step",
        config=config,
        requires=(needs,) if needs else (),
        install='pip install "loomlm[data]"' if needs else "",
    )
