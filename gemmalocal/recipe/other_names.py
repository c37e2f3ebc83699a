"""What other trainers call the keys of a recipe: transformers, TRL, PEFT, Axolotl, Unsloth, LLaMA-Factory, mlx-lm."""

from __future__ import annotations

_OURS = {
    "model": "base_model base_model_name base_model_name_or_path model_id model_name model_name_or_path model_path",
    "method": "adapter_type fine_tune_type finetuning_type tuner",
    "method: dora": "use_dora peft_use_dora",
    "method: full": "full_finetuning",
    "quantize": "quantization quantization_bit bits bnb_4bit_quant_type",
    "quantize: 4bit": "load_in_4bit",
    "quantize: 8bit": "load_in_8bit",
    "dtype": "torch_dtype compute_dtype precision mixed_precision bnb_4bit_compute_dtype",
    "dtype: bfloat16": "bf16",
    "dtype: float16": "fp16",
    "dtype: float32": "fp32",
    "start_from": "adapter_name_or_path lora_model_dir peft_model_id resume_adapter_file",
    "data.path": (
        "data_path data_files dataset dataset_name dataset_path dataset_text_field datasets train_data "
        "train_file training_file"
    ),
    "data.template": "formatting_func prompt_template prompt_format text_field",
    "data.split": "test_size val_set_size val_size validation_split eval_split",
    "data.max_length": (
        "cutoff_len max_len max_seq_len max_seq_length max_sequence_length model_max_length "
        "sequence_len seq_len seq_length"
    ),
    "data.long_rows": "truncation truncate excess_length_strategy",
    "lora.rank": "r lora_r lora_rank rank_dimension",
    "lora.alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "lora.target_modules": "lora_target lora_target_modules lora_target_linear modules keys",
    "lora.layers": "layers_to_transform lora_layers num_layers num_lora_layers",
    "train.steps": (
        "iters iterations max_iters max_steps num_steps num_train_steps total_steps train_steps training_steps"
    ),
    "train.epochs": "num_epochs num_train_epochs n_epochs epoch",
    "train.minutes": "max_time max_minutes time_limit max_duration",
    "train.batch_size": (
        "batch micro_batch_size per_device_batch_size per_device_train_batch_size "
        "per_gpu_train_batch_size train_batch_size"
    ),
    "train.accumulation": (
        "accumulate_grad_batches grad_accum grad_accumulation_steps gradient_accumulation gradient_accumulation_steps"
    ),
    "train.learning_rate": "lr base_lr max_lr peak_lr",
    "train.schedule": "lr_schedule lr_scheduler lr_scheduler_type scheduler scheduler_type",
    "train.warmup": "lr_warmup_ratio lr_warmup_steps num_warmup_steps warmup_iters warmup_ratio warmup_steps",
    "train.optimizer": "optim optimizer_name optimizer_type",
    "train.weight_decay": "decay wd",
    "train.gradient_clip": (
        "clip_grad clip_grad_norm grad_clip grad_norm_clip gradient_clip_val gradient_clipping max_grad_norm"
    ),
    "train.checkpointing": "activation_checkpointing grad_checkpoint gradient_checkpointing use_gradient_checkpointing",
    "train.seed": "random_seed random_state data_seed",
    "train.evaluate_every": "eval_every eval_steps eval_frequency steps_per_eval evals_per_epoch",
    "train.evaluation_rows": "eval_samples max_eval_samples val_batches",
    "train.save_every": "checkpoint_every checkpoint_steps save_steps saves_per_epoch steps_per_save",
    "train.keep": "max_checkpoints save_total_limit",
    "train.early_stop": "early_stopping early_stopping_patience patience",
    "samples.max_tokens": "generation_max_length max_new_tokens",
}
_SAID = {
    "give the name with --name": "adapter_path output_dir run_name project_name exp_name save_path",
    "here the update is scaled by lora.alpha / lora.rank: set lora.alpha": "scale lora_scale use_rslora rslora",
    "every step is written down; there is nothing to set": (
        "logging_steps log_every steps_per_report logging_dir logging_strategy report_to wandb "
        "wandb_project wandb_entity wandb_name tensorboard"
    ),
    "rows are packed where that changes no result; there is nothing to set": (
        "packing sample_packing pack_dataset eval_sample_packing pad_to_sequence_len group_by_length"
    ),
    "only answers are supervised, and text as a whole, by the shape of the rows; there is nothing to set": (
        "mask_prompt train_on_inputs train_on_prompt completion_only_loss assistant_only_loss train_on_responses_only"
    ),
    "evaluations are every train.evaluate_every steps, checkpoints every train.save_every": (
        "eval_strategy save_strategy evaluation_strategy"
    ),
    "go on with: gemmalocal resume RUN": "resume resume_from_checkpoint",
    "evaluation needs no size of a batch; there is nothing to set": "eval_batch_size per_device_eval_batch_size",
}
OURS = {theirs: ours for ours, names in _OURS.items() for theirs in names.split()}
SAID = {theirs: sentence for sentence, names in _SAID.items() for theirs in names.split()}


def answer(key: str) -> str:
    """What to say to a key of another trainer's, as a phrase; empty if it is none."""
    name = key.lower().replace("-", "_").lstrip("_")
    if ours := OURS.get(name):
        return f"here it is '{ours}'"
    return SAID.get(name, "")
