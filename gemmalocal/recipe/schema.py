"""What a recipe is. Bounds and one line of help live on each field; unknown keys are errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gemmalocal.recipe import objective, teacher
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.recipe.objective import ObjectiveSpec
from gemmalocal.recipe.search_spec import SearchSpec
from gemmalocal.recipe.section import RecipeSection
from gemmalocal.recipe.teacher import TeacherSpec

MANY = 1_000_000_000
MOST_ROWS = 65_536  # in a step

Modules = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ALL_MODULES: list[Modules] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class LoraSpec(RecipeSection):
    """The adapter (LoRA, https://arxiv.org/abs/2106.09685, or DoRA, https://arxiv.org/abs/2402.09353)."""

    rank: int = Field(8, ge=1, le=512, description="Width of the adapter.")
    alpha: float = Field(16, gt=0, le=1_000_000, description="The adapter's update is scaled by alpha / rank.")
    dropout: float = Field(
        0, ge=0, lt=1, description="The share of the adapter's input that is dropped at random in training."
    )
    target_modules: Annotated[list[Modules], Field(min_length=1)] = Field(
        ALL_MODULES, description="The projections that get an adapter."
    )
    layers: Annotated[int, Field(ge=1, le=MANY)] | Literal["all"] = Field(
        "all", description="How many layers get an adapter, counted from the last; or all."
    )


class TrainSpec(RecipeSection):
    """The optimization."""

    steps: int | None = Field(None, ge=1, le=MANY, description="How many optimizer steps. Or give epochs, or minutes.")
    epochs: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="How often to go through the training rows; the last step takes the rows that are left. "
        "Or give steps, or minutes.",
    )
    minutes: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="How long to train, from when the rows are read to the last answer. The rate falls by the clock, "
        "and the last evaluation, save and answers end in time. Pauses do not count; a run that goes on has what was "
        "left. Or give steps.",
    )
    batch_size: int = Field(4, ge=1, le=MOST_ROWS, description="Rows in a batch.")
    accumulation: int = Field(1, ge=1, le=MOST_ROWS, description="Batches whose gradients are summed for one step.")
    micro_batch: Annotated[int, Field(ge=1, le=MOST_ROWS)] | Literal["auto"] = Field(
        "auto", description="Rows computed at once. It changes memory, not results."
    )
    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="The highest learning rate. auto: by the method, the model's size and the adapter's alpha and "
        "rank; check says which it is, and why. For dpo, ipo, orpo, simpo and kto, if left out: 5e-5 for small models, "
        "less for large ones.",
    )
    prompt_weight: float = Field(
        0,
        ge=0,
        le=1,
        description="By how much what the model is given is learned beside the replies: 0 not at all, 1 as much.",
    )
    schedule: Literal["constant", "linear", "cosine"] = Field("cosine", description="How the rate falls after warmup.")
    warmup: Annotated[int, Field(ge=0, le=MANY)] | Annotated[float, Field(gt=0, lt=1)] = Field(
        0, description="Steps over which the rate rises to its highest; or their share of the run, such as 0.1."
    )
    optimizer: Literal["adamw", "adafactor", "lion", "paged_adamw_8bit"] = Field(
        "adamw",
        description="adafactor and lion keep less state than adamw, paged_adamw_8bit (torch, not on Apple's GPU) a "
        "quarter of it.",
    )
    weight_decay: float = Field(0, ge=0, description="Decoupled weight decay.")
    gradient_clip: float = Field(
        1.0,
        ge=0,
        description="The largest norm of the gradient. A larger gradient is scaled down to it. 0 is no limit.",
    )
    checkpointing: bool | Literal["auto"] = Field(
        "auto",
        description="Compute activations again instead of keeping them: less memory, about a third slower. auto: "
        "only if it would not fit otherwise.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides the order of rows, the adapter's start and dropout.")
    evaluate_every: int = Field(25, ge=1, le=MANY, description="Steps between two measurements of the held-out loss.")
    evaluation_rows: int = Field(
        512, ge=1, le=MANY, description="The most held-out rows that are measured, evenly spaced among all."
    )
    save_every: int = Field(25, ge=1, le=MANY, description="Steps between two checkpoints.")
    keep: int = Field(2, ge=1, le=MANY, description="How many of the newest checkpoints are kept, beside the best.")
    early_stop: int | None = Field(
        None, ge=1, le=MANY, description="Stop after this many evaluations without a better one."
    )

    report: bool = Field(False, description="Report on the run when it has ended: did it help?")

    @property
    def highest_rate(self) -> float:
        """The learning rate, once it is known what auto means (`rates.resolved`)."""
        assert self.learning_rate != "auto", "resolve it first"
        return self.learning_rate

    @property
    def rows_per_step(self) -> int:
        """Rows whose gradients make one optimizer step."""
        return self.batch_size * self.accumulation

    def rows_over(self, rows: int) -> int | None:
        """How many rows `epochs` of so many training rows are, repetitions counted; None where `steps` decides."""
        return max(1, round(self.epochs * rows)) if self.epochs is not None else None

    def steps_over(self, rows: int) -> int | None:
        """Optimizer steps over so many training rows: `steps`, or what `epochs` take; None where `minutes` decide."""
        if self.steps is not None or self.minutes is not None:
            return self.steps
        return math.ceil((self.rows_over(rows) or 1) / self.rows_per_step)

    def warmup_over(self, steps: int) -> int:
        """Steps of the warm-up in a run of so many steps."""
        return self.warmup if isinstance(self.warmup, int) else max(1, round(self.warmup * steps))

    @property
    def rows_at_once(self) -> int | None:
        """The most rows in a micro-batch; None leaves it to the plan."""
        return None if self.micro_batch == "auto" else self.micro_batch

    @model_validator(mode="after")
    def _one_length(self) -> TrainSpec:
        if sum(length is not None for length in (self.steps, self.epochs, self.minutes)) != 1:
            raise ValueError("give one of steps, epochs and minutes, and no other beside it")
        return self

    @model_validator(mode="after")
    def _steps_that_fit(self) -> TrainSpec:
        if self.rows_per_step > MOST_ROWS:
            raise ValueError(f"batch_size x accumulation is {self.rows_per_step:,} rows a step, at most {MOST_ROWS:,}")
        return self


class SampleSpec(RecipeSection):
    """Prompts that are answered greedily before, during and after training."""

    prompts: list[str] = Field(default_factory=list, description="The prompts to answer.")
    max_tokens: int = Field(48, ge=1, le=4096, description="The most tokens of an answer.")
    during: bool = Field(True, description="Answer the first prompt at every evaluation too.")
    calls: int = Field(
        8,
        ge=0,
        le=1000,
        description="Where rows have tools: how many held-out rows are answered before and after training, to tell how "
        "many calls are right.",
    )
    calls_during: bool = Field(False, description="Answer these rows at every evaluation too.")


class ReportSpec(RecipeSection):
    """How a report judges answers."""

    metric: Literal["auto", "exact", "number", "json", "tools", "label", "rouge"] = Field(
        "auto",
        description="When an answer is right. exact: the same text. number: the same number at its end. json: the same "
        "value. tools: the same calls of tools. label: this label and no other. rouge: free text, which is only "
        "compared. auto finds out by the answers of the held-out rows.",
    )


class Recipe(RecipeSection):
    """Everything that decides a training run."""

    model: str = Field(description="A folder, a Hub name (owner/name), or gemma-3-270m-demo.")
    backend: Literal["auto", "mlx", "torch"] = Field(
        "auto", description="The engine. auto: MLX on a Mac, torch where a CUDA card is, and MLX or torch on a CPU."
    )
    method: Literal["lora", "dora", "full"] = Field("lora", description="What is trained: an adapter, or every weight.")
    quantize: Literal["none", "4bit", "8bit"] = Field(
        "none",
        description="Quantize the frozen weights when they are loaded (QLoRA): MLX in groups of 64, torch in NF4 or "
        "by rows. none leaves them as they are stored.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="The numbers of the frozen weights. auto: float32 on a CPU, as stored on a Mac, and on a CUDA "
        "card bfloat16 if it has that, else float16 (in products only). On a CPU torch uses bfloat16 in "
        "products only, which are twice as fast where the CPU has them.",
    )
    start_from: str | None = Field(
        None,
        description="A run, a checkpoint of one (RUN@STEP), or a folder with an adapter (PEFT's layout or mlx-lm's). "
        "Training starts from its adapter. The model and the lora section must be the same. Its optimizer and its rows "
        "are not taken.",
    )
    data: DataSpec
    objective: ObjectiveSpec = Field(default_factory=ObjectiveSpec)
    teacher: TeacherSpec = Field(default_factory=TeacherSpec)
    lora: LoraSpec = Field(default_factory=LoraSpec)
    train: TrainSpec
    samples: SampleSpec = Field(default_factory=SampleSpec)
    report: ReportSpec = Field(default_factory=ReportSpec)
    track: list[Literal["tensorboard", "wandb", "trackio", "mlflow"]] = Field(
        default_factory=list,
        description="Trackers that are told of the run as it goes on, each by a process of its own.",
    )
    search: SearchSpec = Field(default_factory=SearchSpec)

    @property
    def bits(self) -> int | None:
        """Bits of a weight that is quantized when loaded."""
        return None if self.quantize == "none" else int(self.quantize[0])

    @property
    def weight_dtype(self) -> str:
        """Of the weights in memory: those of a full fine-tune are float32, or small updates would be rounded away."""
        return "float32" if self.method == "full" else self.dtype

    @model_validator(mode="before")
    @classmethod
    def _defaults_by_objective(cls, tree: Any) -> Any:
        return objective.completed(tree) if isinstance(tree, Mapping) else tree

    @model_validator(mode="after")
    def _compared_as_answers(self) -> Recipe:
        """Answers are compared as a whole, and nothing else of a row."""
        if self.objective.judging and (self.train.prompt_weight or self.data.train_on != "replies"):
            raise ValueError(f"{self.objective.kind} compares answers: leave train.prompt_weight and data.train_on out")
        if problem := teacher.misfit(self.teacher, self.objective, self.train.minutes, self.search):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _full_means_all(self) -> Recipe:
        if self.method == "full":
            if self.lora != LoraSpec():
                raise ValueError("method full trains every weight: leave the lora section out")
            if self.start_from is not None:
                raise ValueError("method full starts from a whole model: give that as the model, not as start_from")
            if self.quantize != "none":
                raise ValueError("method full trains every weight: quantized ones cannot be trained")
            if self.dtype not in ("auto", "float32"):
                raise ValueError(f"method full needs dtype float32: {self.dtype} would round small updates away")
        return self
