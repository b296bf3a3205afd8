"""The model's part of a study's config. Imports no torch: parsing the workflow reads it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# name -> shape; `N` in a comment is the non-embedding parameter count of the encoder-decoder form
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"d_model": 48, "heads": 3, "d_kv": 16, "d_ff": 128, "encoder_layers": 2, "decoder_layers": 2},  # 0.13M
    "mini": {"d_model": 64, "heads": 4, "d_kv": 16, "d_ff": 176, "encoder_layers": 2, "decoder_layers": 2},  # 0.23M
    "1M": {"d_model": 128, "heads": 4, "d_kv": 32, "d_ff": 352, "encoder_layers": 3, "decoder_layers": 3},  # 1.4M
    "3M": {"d_model": 192, "heads": 6, "d_kv": 32, "d_ff": 512, "encoder_layers": 3, "decoder_layers": 3},  # 3.1M
    "10M": {"d_model": 256, "heads": 4, "d_kv": 64, "d_ff": 704, "encoder_layers": 5, "decoder_layers": 5},  # 9.3M
    "30M": {"d_model": 384, "heads": 6, "d_kv": 64, "d_ff": 1024, "encoder_layers": 7, "decoder_layers": 7},  # 29M
    "100M": {"d_model": 640, "heads": 10, "d_kv": 64, "d_ff": 1728, "encoder_layers": 9, "decoder_layers": 9},  # 104M
    # the two models of Isik et al. 2024 (arXiv 2402.04177): T5 v1.1's gated width at 770M, T5 v1.0's plain one at 3B
    "T5-770M": {"d_model": 1024, "heads": 16, "d_kv": 64, "d_ff": 2816, "encoder_layers": 24, "decoder_layers": 24},
    "T5-3B": {
        "d_model": 1024,
        "heads": 32,
        "d_kv": 128,
        "d_ff": 16384,
        "encoder_layers": 24,
        "decoder_layers": 24,
        "activation": "relu",
    },
}


class ModelSettings(BaseModel):
    """A Transformer's shape; the vocabulary decides the size of its embedding and output layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Literal["tiny", "mini", "1M", "3M", "10M", "30M", "100M", "T5-770M", "T5-3B"] | None = Field(
        None, description="A named shape; any other key given beside it replaces that part of the shape."
    )
    d_model: int = Field(64, ge=8, description="Width of the residual stream.")
    heads: int = Field(4, ge=1, description="Attention heads.")
    d_kv: int = Field(16, ge=4, description="Width of one attention head.")
    d_ff: int = Field(176, ge=8, description="Inner width of the feed-forward layers.")
    encoder_layers: int = Field(2, ge=0, description="Encoder layers; 0 makes a decoder-only language model.")
    decoder_layers: int = Field(2, ge=1, description="Decoder layers.")
    activation: Literal["gated-gelu", "relu"] = Field(
        "gated-gelu", description="Feed-forward layer: gated GELU (T5 v1.1, mT5) or plain ReLU (T5 v1.0)."
    )
    relative_buckets: int = Field(32, ge=4, description="Buckets of the relative position bias.")
    relative_distance: int = Field(128, ge=8, description="Distance beyond which relative positions share the last bucket.")

    @model_validator(mode="before")
    @classmethod
    def _named_size(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("size") in SIZES:
            return {**SIZES[values["size"]], **values}
        return values

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.heads * self.d_kv

    @property
    def parameters_non_embedding(self) -> int:
        """Parameters without the two vocabulary matrices and the position bias tables."""
        attention = 4 * self.d_model * self.inner
        feed_forward = (3 if self.activation == "gated-gelu" else 2) * self.d_model * self.d_ff
        encoder = self.encoder_layers * (attention + feed_forward + 2 * self.d_model) + (self.d_model if self.encoder_layers else 0)
        sublayers = 2 if self.encoder_layers else 1
        decoder = self.decoder_layers * (sublayers * attention + feed_forward + (sublayers + 1) * self.d_model) + self.d_model
        return encoder + decoder

    def parameters_total(self, vocabulary_size: int) -> int:
        """All parameters: both vocabulary matrices (untied, as in T5 v1.1) and the position bias tables included."""
        stacks = 2 if self.encoder_layers else 1
        return self.parameters_non_embedding + 2 * vocabulary_size * self.d_model + stacks * self.relative_buckets * self.heads

    def flops(self, source: float, target: float, pairs: float, vocabulary_size: int) -> float:
        """Floating-point operations of one training step (forward and backward: 3 × forward).

        `pairs` sequences of `source` encoder and `target` decoder positions (numbers or arrays); matrix products only, two
        operations a multiply-add, attention scores counted in full (no causal saving), every target position projected to the
        vocabulary.
        """
        d, inner = self.d_model, self.inner
        feed_forward = (3 if self.activation == "gated-gelu" else 2) * d * self.d_ff
        encoder = self.encoder_layers * source * (4 * d * inner + feed_forward + 2 * source * inner)
        decoder = self.decoder_layers * target * (4 * d * inner + feed_forward + 2 * target * inner)
        if self.encoder_layers:
            decoder += self.decoder_layers * (2 * d * inner * (source + target) + 2 * source * target * inner)
        return 3.0 * 2.0 * pairs * (encoder + decoder + target * d * vocabulary_size)
