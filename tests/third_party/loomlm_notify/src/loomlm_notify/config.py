"""The keys of the observer."""

from attrs import frozen

from loomlm.plugin import key


@frozen
class NotifyConfig:
    """Who is told when the run has ended."""

    url: str = key("where the summary goes, as a POST with JSON: https://...")
    failures_only: bool = key("keep quiet about runs that end well", False)
    timeout: float = key("seconds to wait for an answer", 10.0, above=0)

    def __attrs_post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, got {self.url!r}")
