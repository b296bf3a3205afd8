"""Checkpoints in Hugging Face's layout: `config.json` and `model.safetensors`, one replica each.

With an encoder it is a T5 v1.1 (or mT5) that `transformers` loads as it is; without one, the same decoder under a `model_type`
of our own.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from transferlaws.errors import UserError
from transferlaws.files import atomic, read_json, sha256, write_json
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer

WEIGHTS, CONFIG = "model.safetensors", "config.json"
DECODER_ONLY = "transferlaws_decoder"
EMBEDDINGS = ["shared.weight", "decoder.embed_tokens.weight", "encoder.embed_tokens.weight"]
ALIASES = {"shared.weight": EMBEDDINGS, "lm_head.weight": ["lm_head.weight", *EMBEDDINGS]}  # an absent output layer is tied


def hugging_face_weights(model: Transformer, replica: int) -> dict[str, Tensor]:
    """One replica's weights under T5's names, copied to contiguous fp32 tensors on the CPU."""
    return {name: view.to("cpu", torch.float32).contiguous() for name, view in _views(model, replica).items()}


def _names(cross: bool, settings: ModelSettings) -> dict[str, list[str]]:
    """Our parameter -> T5's parts of it, as `<sublayer>.<name>`."""
    last = 2 if cross else 1
    inputs = ["wi_0", "wi_1"] if settings.activation == "gated-gelu" else ["wi"]
    names = {
        "self_norm": ["0.layer_norm"],
        "self_qkv": [f"0.SelfAttention.{part}" for part in "qkv"],
        "self_out": ["0.SelfAttention.o"],
        "ff_norm": [f"{last}.layer_norm"],
        "ff_in": [f"{last}.DenseReluDense.{part}" for part in inputs],
        "ff_out": [f"{last}.DenseReluDense.wo"],
    }
    if cross:
        names |= {
            "cross_norm": ["1.layer_norm"],
            "cross_q": ["1.EncDecAttention.q"],
            "cross_kv": [f"1.EncDecAttention.{part}" for part in "kv"],
            "cross_out": ["1.EncDecAttention.o"],
        }
    return names


def hugging_face_config(settings: ModelSettings, vocabulary_size: int) -> dict:
    """The `config.json` of a T5 v1.1 of this shape."""
    return {
        "model_type": "t5" if settings.encoder_layers else DECODER_ONLY,
        "architectures": ["T5ForConditionalGeneration"] if settings.encoder_layers else ["Transformer"],
        "vocab_size": vocabulary_size,
        "d_model": settings.d_model,
        "d_kv": settings.d_kv,
        "d_ff": settings.d_ff,
        "num_layers": settings.encoder_layers,
        "num_decoder_layers": settings.decoder_layers,
        "num_heads": settings.heads,
        "relative_attention_num_buckets": settings.relative_buckets,
        "relative_attention_max_distance": settings.relative_distance,
        "feed_forward_proj": settings.activation,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.0,
        "tie_word_embeddings": False,
        "is_encoder_decoder": bool(settings.encoder_layers),
        "use_cache": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
        "initializer_factor": 1.0,
        "torch_dtype": "float32",
    }


def save_checkpoint(model: Transformer, replica: int, folder: str | Path) -> str:
    """Write one replica; returns the SHA-256 of its weights file."""
    folder = Path(folder)
    write_json(folder / CONFIG, hugging_face_config(model.settings, model.vocabulary_size))
    with atomic(folder / WEIGHTS) as temporary:
        save_file(hugging_face_weights(model, replica), temporary, metadata={"format": "pt"})
    return sha256(folder / WEIGHTS)


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy a checkpoint's files into a folder, which is made if need be."""
    target.mkdir(parents=True, exist_ok=True)
    for file in (CONFIG, WEIGHTS):
        shutil.copyfile(source / file, target / file)


def read_settings(folder: str | Path) -> tuple[ModelSettings, int]:
    """The shape and vocabulary size that a checkpoint's `config.json` states; `UserError` where it is no such model."""
    path = Path(folder) / CONFIG
    try:
        return _settings_of(path, read_json(path))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise UserError(f"{path}: not the config.json of a T5 or mT5: {what}.") from None


def _settings_of(path: Path, config: dict) -> tuple[ModelSettings, int]:
    kind = config.get("model_type")
    if kind not in ("t5", "mt5", DECODER_ONLY):
        raise UserError(f"{path}: model_type is {kind!r}; expected t5, mt5 or {DECODER_ONLY}.")
    activation = config.get("feed_forward_proj", "relu")
    if activation not in ("gated-gelu", "relu"):
        raise UserError(f"{path}: feed_forward_proj is {activation!r}; expected gated-gelu or relu.")
    layers = config["num_layers"]
    settings = ModelSettings(
        d_model=config["d_model"],
        heads=config["num_heads"],
        d_kv=config["d_kv"],
        d_ff=config["d_ff"],
        encoder_layers=layers,
        decoder_layers=config.get("num_decoder_layers") or layers,
        activation=activation,
        relative_buckets=config.get("relative_attention_num_buckets", 32),
        relative_distance=config.get("relative_attention_max_distance", 128),
    )
    if type(size := config["vocab_size"]) is not int or not 0 < size < 1 << 31:
        raise ValueError(f"vocab_size is {size!r}")
    return settings, size


def load_checkpoint(model: Transformer, replica: int, folder: str | Path) -> None:
    """Fill one replica from a checkpoint folder, ours or a public T5 or mT5 in safetensors.

    A tied output layer (T5 v1.0) becomes an untied one with the same logits. `UserError` where shapes or names differ.
    """
    folder = Path(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(
            f"{path}: no such file. A checkpoint folder holds {CONFIG} and {WEIGHTS}; pickled weights (.bin) are not read: "
            "convert them with `transformers` (`save_pretrained`)."
        )
    found, size = read_settings(folder)
    ours = model.settings.model_copy(update={"size": None})
    if found != ours or size != model.vocabulary_size:
        theirs = found.model_dump() | {"vocabulary": size}
        differing = {
            key: value for key, value in theirs.items() if (ours.model_dump() | {"vocabulary": model.vocabulary_size})[key] != value
        }
        raise UserError(f"{folder / CONFIG}: the model's shape differs from the study's: {json.dumps(differing)}.")
    scale = _output_scale(read_json(folder / CONFIG))
    targets = _views(model, replica)
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            for name, target in targets.items():
                stored = next((alias for alias in ALIASES.get(name, [name]) if alias in names), None)
                if stored is None:
                    raise UserError(f"{path}: no tensor {name}; it holds {len(names)} others. Is it a T5 checkpoint?")
                weight = file.get_tensor(stored)
                if not weight.is_floating_point() or not weight.isfinite().all():
                    raise UserError(f"{path}: {stored} is no tensor of finite floating-point numbers ({weight.dtype}).")
                weight = weight.float()
                if name == "lm_head.weight":
                    weight = weight * scale
                if weight.shape != target.shape:
                    raise UserError(f"{path}: {stored} has the shape {tuple(weight.shape)}, expected {tuple(target.shape)}.")
                target.copy_(weight)
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}). Delete it and run again.") from None


def _output_scale(config: dict) -> float:
    """What the decoder's output is multiplied by before the output layer: 1/sqrt(D) in T5 v1.0, which ties that layer."""
    if config["model_type"] == "t5" and config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True)):
        return config["d_model"] ** -0.5
    return 1.0


def _views(model: Transformer, replica: int) -> dict[str, Tensor]:
    """T5's names -> views of one replica; Hugging Face's matrices are (out, in), ours (in, out)."""
    views = {"shared.weight": model.embedding.data[replica], "lm_head.weight": model.head.data[replica]}
    for side, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
        if stack is None:
            continue
        views[f"{side}.final_layer_norm.weight"] = stack.final_norm.data[replica]
        views[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = stack.relative_bias.data[replica]
        for name, parts in _names(side == "decoder" and model.encoder is not None, stack.settings).items():
            stacked = getattr(stack, name).data[replica]
            for layer in range(stack.layers):
                for index, part in enumerate(parts):
                    weight = stacked[layer]
                    if weight.dim() == 3:
                        weight = weight[:, index]
                    views[f"{side}.block.{layer}.layer.{part}.weight"] = weight.t() if weight.dim() == 2 else weight
    return views
