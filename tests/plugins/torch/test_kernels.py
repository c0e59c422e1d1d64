"""What is asked of the kernels: that they are exact is an error where they cannot be."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from loomlm.components import NoConfig
from loomlm.config.settings import TrainerConfig
from loomlm.contracts import StepContext
from loomlm.errors import UsageError
from loomlm.registry import Registry
from loomlm_torch.kernels import reproducible, whole_float32
from loomlm_torch.trainer import TorchTrainer

from ..small import SmallConfig, batch

pytestmark = pytest.mark.one_backend("torch")
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Putting(nn.Module):
    """Goes through an operation that has no kernel that gives the same bits each time."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, data: Mapping[str, Tensor]) -> Tensor:
        hidden = self.inner(data)
        place, value = torch.zeros(1, dtype=torch.long), torch.zeros(1)
        return hidden + torch.zeros(1).put_(place, value)


def flags() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


@pytest.mark.parametrize("determinism", ["exact", "fast"])
def test_an_operation_without_an_exact_kernel(make_engine, determinism):
    engine = make_engine(SmallConfig(), determinism=determinism)
    engine.module.backbone = Putting(engine.module.backbone)
    context = StepContext(step=1, seed=17, learning_rate=0.01)

    if determinism == "fast":
        engine.train_step([batch(1)], context)
        assert engine.scalars()[0].finite
        return
    with pytest.raises(UsageError, match=r'"exact" cannot be kept on cpu: put_ .*= "fast"'):
        engine.train_step([batch(1)], context)
    assert flags() == (False, False)


def test_within_nothing_is_let_through_with_a_warning():
    """Attention goes by this on CUDA: with warnings its gradients have other bits each time."""
    with reproducible(True, CPU):
        assert flags() == (True, False)
    with reproducible(False, CPU):
        assert flags() == (False, False)


def test_a_user_s_own_setting_is_put_back():
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    try:
        with reproducible(True, CPU):
            assert flags() == (True, False)
        assert flags() == (True, True)
    finally:
        torch._C._set_deterministic_algorithms(False, warn_only=False)


def test_products_before_the_run_are_told():
    said = "it uses CuBLAS ... you must set the variable CUBLAS_WORKSPACE_CONFIG=:4096:8"
    with (
        pytest.raises(UsageError, match=r"Set CUBLAS_WORKSPACE_CONFIG=:4096:8 .* before Python"),
        reproducible(True, CUDA),
    ):
        raise RuntimeError(said)


@pytest.mark.parametrize(
    ("precision", "device", "within"),
    [("fp32", CUDA, False), ("bf16", CUDA, True), ("fp32", CPU, True)],
)
def test_float32_on_cuda_is_not_cut_short(precision, device, within):
    assert torch.backends.cudnn.allow_tf32
    with whole_float32(precision, device):
        assert torch.backends.cudnn.allow_tf32 is within
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize(("major", "expected"), [(7, "fp32"), (8, "bf16")])
def test_bf16_is_chosen_only_where_the_gpu_has_it(monkeypatch, major, expected):
    properties = type("Properties", (), {"major": major})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 0)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: "a GPU")
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: properties)
    # PyTorch would compute in bf16 on any of them, in more steps.
    monkeypatch.setattr("torch.cuda._check_bf16_tensor_supported", lambda device: True)
    component = Registry.load().find("backbone", "mlp").component
    backbone = component.load()(component.config())

    resolved = TorchTrainer(NoConfig()).resolve(TrainerConfig(), backbone)

    assert resolved["device"] == ("cuda:0", "a GPU")
    assert resolved["precision"][0] == expected


@pytest.mark.parametrize(
    ("able", "name", "keys", "expected"),
    [
        ("avx512_bf16", "transformer", {"width": 256}, "bf16"),
        ("amx_bf16", "rnn", {"width": 128}, "bf16"),
        ("avx512_bf16", "transformer", {"width": 64}, "fp32"),
        ("avx512_f", "transformer", {"width": 256}, "fp32"),
        # Rows of tables are read and summed: there is nothing to multiply.
        ("avx512_bf16", "mlp", {"width": 256}, "fp32"),
    ],
)
def test_bf16_is_chosen_on_a_cpu_where_it_pays(monkeypatch, able, name, keys, expected):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {able: True})
    component = Registry.load().find("backbone", name).component
    backbone = component.load()(component.config(**keys))
    trainer = TorchTrainer(NoConfig())

    assert trainer.resolve(TrainerConfig(device="cpu"), backbone)["precision"][0] == expected
    assert "precision" not in trainer.resolve(TrainerConfig(precision="fp32"), backbone)
