"""The backbone `encoder_decoder` in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import ModelSpec


class EncoderDecoder(nn.Module):
    """Reads `source` and `source_length`, `tokens` and `length`; gives (batch, time, width)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.config = spec.config
        width = spec.config.width
        self.embedding = nn.Embedding(spec.vocab_size, width)
        self.positions = nn.Embedding(spec.config.longest, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(2 * width, width, bias=False)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        states, _ = self.decoder(self._embed(batch["tokens"], None))
        return self._attend(states, *self._read(batch))

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The cache: what was read, and where each row's decoder stands."""
        states, _ = self.decoder(self._embed(batch["tokens"], None))
        place = batch["length"].long()
        state = states[torch.arange(len(place)), place - 1]
        memory, hidden = self._read(batch)
        cache = {"memory": memory, "hidden": hidden, "state": state, "place": place}
        return self._attend(state[:, None], memory, hidden)[:, 0], cache

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        embedded = self._embed(tokens[:, None], cache["place"][:, None])
        states, _ = self.decoder(embedded, cache["state"][None].contiguous())
        cache["state"], cache["place"] = states[:, 0], cache["place"] + 1
        return self._attend(states, cache["memory"], cache["hidden"])[:, 0]

    def _read(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """States of the source (batch, source, width), and true (batch, source) behind its end."""
        embedded = self._embed(batch["source"], None)
        states, _ = self.encoder(embedded)
        places = torch.arange(states.shape[1], device=states.device)
        # An empty source is read as its first place: attention to nothing is not a number.
        return states + embedded, places >= batch["source_length"].clamp(min=1)[:, None]

    def _embed(self, tokens: Tensor, places: Tensor | None) -> Tensor:
        if places is None:
            places = torch.arange(tokens.shape[1], device=tokens.device)
        embedded = self.embedding(tokens) + self.positions(places)
        return F.dropout(embedded, self.config.dropout, self.training)

    def _attend(self, states: Tensor, memory: Tensor, hidden: Tensor) -> Tensor:
        """(batch, time, width) states to the same, with what they attend to."""
        scores = self.query(states) @ self.key(memory).transpose(1, 2) / states.shape[-1] ** 0.5
        found = scores.masked_fill(hidden[:, None], float("-inf")).softmax(dim=-1) @ memory
        return self.out(torch.cat([states, found], dim=-1)).tanh()
