"""Where torch comes from, each link of the chain with the others out of reach."""

from pathlib import Path

import pytest

from chronotick.errors import PluginError
from chronotick.plugins.torch_source import Attempt, Machine, TorchChoice, find_links, plan_torch

HERE = Machine((3, 11), "x86_64")
WHEEL = Path("/wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl")


def plan(
    choice: TorchChoice | None = None,
    environ: dict[str, str] | None = None,
    wheels: tuple[Path, ...] = (),
    machine: Machine = HERE,
) -> tuple[Attempt, ...]:
    return plan_torch("2.13.0", choice, environ or {}, wheels, machine)


def names(attempts: tuple[Attempt, ...]) -> list[str]:
    return [attempt.name for attempt in attempts]


def test_without_settings_and_wheels_the_cpu_build_comes_before_the_registrys_own() -> None:
    cpu, registry = plan()
    assert (cpu.name, cpu.requirement, cpu.arguments) == ("cpu", "torch==2.13.0", ("--torch-backend", "cpu"))
    assert (registry.name, registry.requirement, registry.arguments) == ("registry", "torch==2.13.0", ())
    assert cpu.probe
    assert "5 GB" in registry.notice
    assert registry.disk_bytes > 5e9


def test_a_wheel_on_disk_comes_first_and_is_named_by_its_path() -> None:
    attempts = plan(wheels=(WHEEL,))
    assert names(attempts) == ["wheel", "cpu", "registry"]
    assert attempts[0].requirement == str(WHEEL)
    assert not attempts[0].probe


def test_the_users_backend_is_the_only_way_that_is_tried() -> None:
    (only,) = plan(environ={"UV_TORCH_BACKEND": "cu130"}, wheels=(WHEEL,))
    assert (only.name, only.arguments) == ("user", ("--torch-backend", "cu130"))


def test_the_command_line_outranks_the_users_environment() -> None:
    assert names(plan("cpu", {"UV_TORCH_BACKEND": "cu130"})) == ["cpu"]
    assert names(plan("auto", {"UV_TORCH_BACKEND": "cu130"})) == ["cpu", "registry"]


def test_asking_for_cpu_never_ends_with_a_cuda_build() -> None:
    assert names(plan("cpu", wheels=(WHEEL,))) == ["wheel", "cpu"]
    plain = Path("/wheels/torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl")
    assert names(plan("cpu", wheels=(plain,))) == ["cpu"]


def test_asking_for_cuda_asks_the_driver_where_there_is_one() -> None:
    assert names(plan("cuda", wheels=(WHEEL,))) == ["registry"]
    attempts = plan("cuda", machine=Machine((3, 11), "x86_64", nvidia=True))
    assert names(attempts) == ["cuda", "registry"]
    assert attempts[0].arguments == ("--torch-backend", "auto")


def test_asking_for_a_wheel_without_one_is_refused_with_the_mend() -> None:
    assert names(plan("wheel", wheels=(WHEEL,))) == ["wheel"]
    with pytest.raises(PluginError, match="UV_FIND_LINKS"):
        plan("wheel")


@pytest.mark.parametrize(
    "name",
    [
        "torch-2.12.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_aarch64.whl",
        "torch-2.13.0-cp311-none-macosx_11_0_arm64.whl",
        "torchvision-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0.tar.gz",
        "torch-2.13.0+cpu-cp311-cp311-win_amd64.whl",
    ],
)
def test_a_wheel_for_something_else_is_passed_over(name: str) -> None:
    assert names(plan(wheels=(Path("/wheels") / name,))) == ["cpu", "registry"]


def test_of_two_fitting_wheels_the_cpu_build_wins() -> None:
    cuda = Path("/wheels/torch-2.13.0+cu130-cp311-cp311-manylinux_2_28_x86_64.whl")
    assert plan(wheels=(cuda, WHEEL))[0].requirement == str(WHEEL)


@pytest.mark.parametrize(
    ("environ", "links"),
    [
        ({}, ()),
        ({"PIP_FIND_LINKS": "/a  /b"}, ("/a", "/b")),
        ({"UV_FIND_LINKS": "/c,/d"}, ("/c", "/d")),
        ({"UV_FIND_LINKS": "/c", "PIP_FIND_LINKS": "/a"}, ("/c",)),
        ({"UV_FIND_LINKS": "", "PIP_FIND_LINKS": "/a"}, ("/a",)),
    ],
)
def test_pips_folder_of_wheels_is_passed_on_where_uv_has_none_of_its_own(
    environ: dict[str, str], links: tuple[str, ...]
) -> None:
    assert find_links(environ) == links
