"""Pretraining's and fine-tuning's parts of a study's config. Import no torch: parsing the workflow reads them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

CPU_GROUP = 12  # replicas at once on a CPU: enough to share the cost of a step's bookkeeping, little memory

Optimiser = Literal["adamw-scaled", "adamw", "adafactor", "muon"]


class OptimiserSettings(BaseModel):
    """What turns gradients into steps; the learning rate is the training stage's own key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Optimiser = Field(
        "adamw-scaled",
        description="adamw-scaled: AdamW whose step is multiplied by each matrix's RMS; adamw; adafactor (T5's); muon.",
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the first moment (Muon: of its momentum).")
    beta2: float = Field(0.98, ge=0, lt=1, description="Decay of the second moment.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root of the second moment.")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay, multiplied by the learning rate.")
    clip: float = Field(1.0, gt=0, description="Largest gradient norm of a replica.")


class PretrainingSettings(BaseModel):
    """How a trajectory is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    objective: Literal["infilling", "span-corruption", "next-token"] = Field(
        "infilling",
        description="infilling: mask spans, reproduce all; span-corruption: T5's; next-token: for models without encoder.",
    )
    mask_density: float = Field(0.35, gt=0, lt=1, description="Share of tokens that are masked.")
    mean_span: float = Field(3.5, ge=1, description="Mean length of a masked span, in tokens.")
    length: int = Field(64, ge=8, description="Longest sequence, in tokens, its end mark included; longer text is cut in pieces.")
    batch_tokens: int = Field(2048, ge=8, description="Text positions a step.")
    shapes: int = Field(3, ge=1, le=8, description="Into how many widths segments are sorted, from which batches are filled.")
    optimiser: OptimiserSettings = Field(OptimiserSettings(), description="The optimiser and its constants.")
    learning_rate: float = Field(2e-2, gt=0, description="Peak learning rate.")
    schedule: Literal["inverse-square-root", "wsd", "constant"] = Field(
        "inverse-square-root",
        description="After warm-up: peak × sqrt(warm-up / step); constant; wsd: constant, and every rung ends in a decay branch.",
    )
    warmup_steps: int = Field(50, ge=1, description="Linear warm-up, in steps.")
    anneal: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="If above 0, each rung is the end of a branch that leaves the trunk and decays to 0 over this share of the "
        "rung's tokens. Left out: 0.2 for wsd, else 0.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate.")
    sharded: bool = Field(
        False, description="Under torchrun: split parameters over the GPUs (FSDP2) instead of keeping a copy on each."
    )
    max_epochs: float | None = Field(
        None,
        gt=0,
        description="Most passes over any corpus. Left out: text repeats without end and the table counts its epochs.",
    )
    exhausted: Literal["fail", "stop"] = Field(
        "fail",
        description="What becomes of rungs that take more passes over a corpus than max_epochs. fail: the ladder is refused before "
        "it is trained; stop: they are left out, for that mixture alone, and the log and trajectory.json say so.",
    )
    validation_tokens: int = Field(8192, ge=1, description="Text tokens of each corpus's validation split for the upstream loss.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Type of computation (parameters stay fp32); auto: bf16 on a GPU, fp32 on a CPU."
    )
    state_seconds: float = Field(60, gt=0, description="Seconds between saves of the resumable state.")

    @model_validator(mode="after")
    def _limited(self) -> "PretrainingSettings":
        if self.exhausted == "stop" and self.max_epochs is None:
            raise ValueError("exhausted is stop, but no text runs out without max_epochs: give it, 1 for no repetition")
        return self

    @property
    def anneal_share(self) -> float:
        """The share of a rung's tokens that its decay branch takes; 0 for none."""
        return (0.2 if self.schedule == "wsd" else 0.0) if self.anneal is None else self.anneal


def _distinct(rates: list[float]) -> list[float]:
    if len(set(rates)) != len(rates):
        raise ValueError(f"a learning rate stands twice: {rates}")
    return rates


class FinetuningSettings(BaseModel):
    """How the replicas of a curve are fine-tuned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rates: Annotated[list[Annotated[float, Field(gt=0, allow_inf_nan=False)]], AfterValidator(_distinct)] = Field(
        [3e-3, 1e-2, 3e-2], min_length=1, description="Each is a replica; the one with the least dev loss is kept."
    )
    optimiser: OptimiserSettings = Field(OptimiserSettings(), description="The optimiser and its constants.")
    batch: int = Field(64, ge=1, description="Pairs (or segments) a step.")
    max_steps: int | None = Field(1000, ge=1, description="Most steps; null: `max_epochs` alone ends what does not stop by itself.")
    max_epochs: float = Field(20, gt=0, description="Most passes over the fine-tuning set; the smaller of the two limits holds.")
    schedule: Literal["linear", "cosine", "constant", "plateau"] = Field(
        "linear",
        description="After the warm-up. linear, cosine: decay to 0 over the most steps; constant; plateau: constant, halved for a "
        "replica whenever its dev loss has not improved, and falling to 0 over the last fifth of the most steps.",
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the most steps with a rising learning rate.")
    warmup_steps: int | None = Field(None, ge=1, description="The same in steps, up to half of the most; left out: `warmup`.")
    evaluations: int = Field(10, ge=1, description="How often dev loss is measured over the most steps.")
    evaluation_growth: float | None = Field(
        None,
        gt=0,
        le=1,
        description="If given, dev loss is measured instead whenever the steps have grown by this share, and by 10 at least: few "
        "steps and many are watched alike.",
    )
    patience: int = Field(4, ge=1, description="A replica stops after this many evaluations without a better dev loss.")
    dev_items: int = Field(500, ge=1, description="Dev pairs (or segments) used for stopping and for the learning rate.")
    length: int = Field(
        128,
        ge=4,
        description="Longest source or target, in tokens, its end mark included; longer ones are cut off, and counted.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate.")
    group: int = Field(
        0,
        ge=0,
        description="Most replicas trained at once by a process; 0: all on a GPU, 12 on a CPU, where groups go side by side.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Type of computation (parameters stay fp32); auto: bf16 on a GPU, fp32 on a CPU."
    )
    state_seconds: float = Field(60, gt=0, description="Seconds between saves of the resumable state.")

    def most_steps(self, batches: int) -> tuple[int, str]:
        """The last step of a set of `batches` steps an epoch, and the limit that sets it: max_steps or max_epochs."""
        epochs = max(round(self.max_epochs * batches), 1)
        return (epochs, "max_epochs") if self.max_steps is None or epochs < self.max_steps else (self.max_steps, "max_steps")

    def rates_together(self) -> list[list[float]]:
        """The learning rates by those that go together: all, unless `group` is less than their number."""
        size = self.group or len(self.learning_rates)
        return [self.learning_rates[first : first + size] for first in range(0, len(self.learning_rates), size)]

    def groups(self, starts: int, on_cpu: bool) -> list[int]:
        """How many of `starts` (seed, rung) pairs go together, group by group: few groups, alike in size, the larger ones first.

        What is left of a curve when some of its groups are finished is divided in the same way.
        """
        rates = len(self.learning_rates)
        most = max((self.group or (CPU_GROUP if on_cpu else starts * rates)) // rates, 1)
        number = -(-starts // most)
        return [(starts + place) // number for place in reversed(range(number))]
