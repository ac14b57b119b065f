"""The memory of GPUs is set up before the first operation, and a limit that would have no effect is refused."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.app import build
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.runtimes import Resources, load_runtime
from deployments.runtimes.tensorflow_graph import set_up_gpus

GPUS = [SimpleNamespace(name="GPU:0"), SimpleNamespace(name="GPU:1")]


@dataclass
class Config:
    """As much of `tf.config` as is used, for a machine with GPUs."""

    takes_limits: bool = True
    growing: list[str] = field(default_factory=list)
    limits: dict[str, list[Any]] = field(default_factory=dict)
    were_listed: bool = False

    @property
    def experimental(self) -> "Config":
        return self

    def set_memory_growth(self, device: Any, enable: bool) -> None:
        assert enable
        self.growing.append(device.name)

    def LogicalDeviceConfiguration(self, memory_limit: int) -> Any:
        return SimpleNamespace(memory_limit=memory_limit)

    def set_logical_device_configuration(self, device: Any, parts: list[Any]) -> None:
        assert not self.were_listed
        self.limits[device.name] = parts if self.takes_limits else []

    def list_logical_devices(self, kind: str) -> list[str]:
        assert kind == "GPU"
        self.were_listed = True
        return [f"{name}/0" for name in self.limits]

    def get_logical_device_configuration(self, device: Any) -> list[Any] | None:
        return self.limits.get(device.name)


def test_memory_grows_as_needed_without_a_limit() -> None:
    config = Config()
    set_up_gpus(config, GPUS, None)
    assert config.growing == ["GPU:0", "GPU:1"]
    assert not config.limits


def test_a_limit_is_set_on_every_gpu_and_checked() -> None:
    config = Config()
    set_up_gpus(config, GPUS, 2048)
    assert {name: [one.memory_limit for one in parts] for name, parts in config.limits.items()} == {
        "GPU:0": [2048],
        "GPU:1": [2048],
    }
    assert config.were_listed
    assert not config.growing


def test_a_limit_that_tensorflow_has_not_taken_is_an_error() -> None:
    with pytest.raises(ModelUnavailable, match="memory_limit_mib: 2048: TensorFlow has"):
        set_up_gpus(Config(takes_limits=False), GPUS, 2048)


def test_a_limit_without_a_gpu_is_refused_by_the_replica() -> None:
    with pytest.raises(ModelUnavailable, match="sees no GPU"):
        load_runtime("tensorflow", Resources(memory_limit_mib=2048))


def test_a_limit_on_a_model_that_tensorflow_does_not_run_is_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="memory_limit_mib has no effect on family fixed-answer"):
        build(ModelDefinition(family="fixed-answer", memory_limit_mib=2048))
