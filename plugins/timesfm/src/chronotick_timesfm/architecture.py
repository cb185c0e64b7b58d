"""The library's TimesFM 2.5 for weights of any width and depth.

The library knows the published dimensions only, as an attribute of its module's class. Weights of the same architecture
and other dimensions (small ones for tests, or a user's own) are loaded by setting that attribute to what the tensors'
shapes say. Patch lengths, horizon and quantiles are not changed by that.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from chronotick.sdk import WeightsMismatch

WEIGHTS_FILE = "model.safetensors"
_MEND = "Use weights of TimesFM 2.5; those of version 3 have another licence and are not loaded."


def load(torch: Any, timesfm: Any, folder: Path, device: Any) -> Any:
    """The model with the weights of a folder, on a device, not compiled.

    Raises:
        WeightsMismatch: they are not of this architecture.
    """
    from safetensors import SafetensorError

    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise WeightsMismatch(f"{folder} has no {WEIGHTS_FILE}.", mend=_MEND)
    try:
        _fit_dimensions(path)
        model = timesfm.TimesFM_2p5_200M_torch(torch_compile=False)
        # The library takes the first CUDA device wherever there is one, and multiplies batches by their number.
        model.model.device, model.model.device_count = device, 1
        model.load_checkpoint(str(folder), torch_compile=False)
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, RuntimeError, LookupError, SafetensorError) as error:
        first = str(error).splitlines()[0]
        raise WeightsMismatch(f"{folder} does not hold weights of TimesFM 2.5: {first}", mend=_MEND) from error
    return model


def _fit_dimensions(path: Path) -> None:
    from safetensors import safe_open
    from timesfm.timesfm_2p5.timesfm_2p5_base import TimesFM_2p5_200M_Definition
    from timesfm.timesfm_2p5.timesfm_2p5_torch import TimesFM_2p5_200M_torch_module

    with safe_open(str(path), framework="pt") as file:
        names = set(file.keys())

        def shape(name: str) -> list[int]:
            return list(file.get_slice(name).get_shape())

        layers = 1 + max(int(name.split(".")[1]) for name in names if name.startswith("stacked_xf."))
        width, hidden = shape("stacked_xf.0.attn.out.weight")[0], shape("stacked_xf.0.ff0.weight")[0]
        heads = width // shape("stacked_xf.0.attn.query_ln.scale")[0]
        blocks = {
            name: shape(f"{name}.hidden_layer.weight")[0]
            for name in ("tokenizer", "output_projection_point", "output_projection_quantiles")
        }
    known = TimesFM_2p5_200M_Definition()
    transformer = replace(known.stacked_transformers.transformer, model_dims=width, hidden_dims=hidden, num_heads=heads)
    TimesFM_2p5_200M_torch_module.config = replace(
        known,
        tokenizer=replace(known.tokenizer, hidden_dims=blocks["tokenizer"], output_dims=width),
        stacked_transformers=replace(known.stacked_transformers, num_layers=layers, transformer=transformer),
        **{
            name: replace(getattr(known, name), input_dims=width, hidden_dims=blocks[name])
            for name in ("output_projection_point", "output_projection_quantiles")
        },
    )
