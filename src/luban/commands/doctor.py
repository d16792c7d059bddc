"""`luban doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer


def doctor(
    speed: Annotated[bool, typer.Option(help="Measure for five seconds how fast the machine computes.")] = True,
) -> None:
    """Say what is installed, what this machine can do, and what to install for what."""
    from luban.report.wrapping import say, wrapped

    for label, text in findings(speed):
        say(wrapped(f"{label:<11} {text}", indent=12))


def findings(speed: bool) -> Iterator[tuple[str, str]]:
    """Yield what was found, a label and a few words at a time; what takes longest comes last."""
    import platform

    from luban.core import installation
    from luban.core.cache import cache_folder, cache_limit
    from luban.core.version import VERSION

    packages = ", ".join(f"{name} {version}" for name, version in installation.versions().items())
    yield "versions", f"luban {VERSION}, Python {platform.python_version()}, {packages}"
    yield "system", platform.platform()
    yield "processor", installation.processor()
    capabilities = installation.capabilities()
    for name, present in (capabilities or {}).items():
        yield name, "yes" if present else f"no{WITHOUT[name]}"
    yield "GPU", "; ".join(installation.accelerators()) or "none that torch can use: trainings run on the processor"
    total, free = installation.memory()
    yield "memory", f"{_gigabytes(total)}, {_gigabytes(free)} free for this process"
    yield "disk", f"{_gigabytes(installation.free_disk())} free here, where `runs` is written"
    limit = _gigabytes(cache_limit())
    yield "cache", f"{cache_folder()}: {_gigabytes(installation.cache_bytes())}; encoded columns {limit} at most"
    for number, (extra, (_, purpose)) in enumerate(installation.EXTRAS.items()):
        missing = installation.missing_modules(extra)
        state = f"pip install 'luban[{extra}]'" if missing else "installed"
        yield "" if number else "extras", f"{extra}: {state} ({purpose})"
    if speed:
        found = installation.measured_speed()
        products = ", ".join(
            f"{dtype} {'emulated, not used' if value is None else f'{value:,.0f}'}"
            for dtype, value in found.gflops.items()
        )
        yield "speed", f"products of matrices on {found.device}, in GFLOP/s: {products}"
        yield "", f"memory copied at {found.copy_gb:,.1f} GB/s"


WITHOUT = {
    "bfloat16": ": trainings run in float32",
    "VNNI": ": int8 models gain less here",
}


def _gigabytes(size: int | None) -> str:
    return "an unknown amount" if size is None else f"{size / 1e9:.1f} GB"
