"""The built-in backbones: their keys, their layouts and what they make of a batch, in numpy.

No framework is named here. The backends build the modules from these layouts.
"""

from loomlm.plugin import Component, hookimpl
from loomlm_backbones import trials
from loomlm_backbones.config import MlpConfig, RnnConfig, TransformerConfig

loomlm_api = (1, 1)


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="mlp",
            summary="mean of embeddings of words and n-grams, or a window of tokens; hidden layers",
            target="loomlm_backbones.mlp:Mlp",
            config=MlpConfig,
            trials=trials.MLP,
        ),
        Component(
            kind="backbone",
            name="rnn",
            summary="LSTM or GRU, one way or both, with the dropouts of AWD-LSTM",
            target="loomlm_backbones.rnn:Rnn",
            config=RnnConfig,
            trials=trials.RNN,
        ),
        Component(
            kind="backbone",
            name="transformer",
            summary="self-attention, as a decoder or an encoder: GPT-2, Llama and between",
            target="loomlm_backbones.transformer:Transformer",
            config=TransformerConfig,
            trials=trials.TRANSFORMER,
        ),
    ]
